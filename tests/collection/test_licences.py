from flannb.collection import RawFile, Split, eval_tasks, tasks
from flannb.collection.licences import UNKNOWN, Licence, _lines, licence_of, licence_together, licences
from flannb.collection.public import COLLECTIONS

KNOWN = {"apache-2.0", "c-uda", "cc-by", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-sa-3.0"}
KNOWN |= {"cc-by-sa-4.0", "cc0-1.0", "mit", "other", UNKNOWN}


def test_every_dataset_of_the_collection_has_a_line_and_no_line_is_of_another():
    training = [*tasks("flan2022"), *(task for each in COLLECTIONS for task in each.tasks)]
    assert {licence_of(task.data).dataset for task in training} == set(_lines())


def test_what_is_stated_is_stated_by_somebody():
    for line in _lines().values():
        assert line.licence in KNOWN
        assert line.licence == UNKNOWN or line.stated_by in ("card", "authors")
        assert line.licence != UNKNOWN or line.stated_by in ("", "card")  # a card may say that it is unknown
        assert line.source == "" or line.source.startswith("https://")


def test_data_are_of_datasets():
    assert licence_of(Split("facebook/anli", "plain_text", "train_r1")).licence == "cc-by-nc-4.0"
    assert licence_of(RawFile("github/google-research/FLAN/flan/v2/x.tsv")).dataset == "github/google-research/FLAN"
    assert licence_of(Split("nobody/knows", "default", "train")) == Licence("nobody/knows")
    assert licence_of(RawFile("/home/someone/rows.jsonl")) == Licence("rows.jsonl", note="a file of one's own")
    assert {licence_of(task.data).licence for task in (*tasks("mini"), *eval_tasks("mini"))} == {"apache-2.0"}


def test_datasets_are_counted_and_share_a_licence_or_none():
    anli = [Split("facebook/anli", "plain_text", f"train_r{n}") for n in (1, 2, 3)]
    found = licences([*anli, Split("google/boolq", "default", "train")])
    assert [(each.dataset, count) for each, count in found] == [("facebook/anli", 3), ("google/boolq", 1)]
    assert licence_together([each for each, _ in found]) == "other"
    assert licence_together([found[0][0]]) == "cc-by-nc-4.0"
    assert licence_together([Licence("x"), Licence("y")]) == "other"
