"""The corpus of pretraining: every text once, nothing of the evaluation rows, the same bytes each time."""

from dataclasses import replace

import numpy as np
import pytest

from flannb.build import Tokenizer, read_records, workers
from flannb.build.corpus import CORPUS, build_corpus, open_corpus
from flannb.build.decontaminate import EvaluationText
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.files import read_sealed, write_json, write_sealed


def made(source, tasks, build, options, folder):
    with workers(1) as run:
        return build_corpus(source, tasks, Tokenizer(build.tokenizer_path), options, folder, run)


@pytest.fixture(scope="module")
def corpus(few_tasks, build, build_options, tmp_path_factory):
    from flannb.build import Mini

    return made(Mini(), few_tasks, build, build_options, tmp_path_factory.mktemp("corpus") / "corpus")


def texts(corpus, tokenizer, part):
    ids = corpus.read(part)
    return tokenizer.decode([ids.values[a:b].tolist() for a, b in zip(ids.offsets, ids.offsets[1:], strict=False)])


def test_counts_are_those_of_the_files(corpus):
    for part in ("training", "held_out"):
        ids = corpus.read(part)
        assert (len(ids), len(ids.values)) == (corpus.documents[part], corpus.tokens[part])
        assert corpus.tokens[part] > 0
    assert corpus.documents["held_out"] < 0.1 * corpus.documents["training"]
    assert not (corpus.home / "staged").exists()


def test_documents_are_rows_of_the_tasks_each_text_once(corpus, tokenizer, few_tasks):
    from flannb.build import Mini

    documents = texts(corpus, tokenizer, "training") + texts(corpus, tokenizer, "held_out")
    assert len(set(documents)) == len(documents)
    task = next(task for task in few_tasks if task.name == "boolq")
    records = read_records(Mini(), task.data, task.fields).records
    passages = {" ".join(record["passage"].split()) for record in records}
    together = " ".join(documents)
    assert sum(passage in together for passage in passages) >= 1 and max(map(together.count, passages)) == 1


def test_no_document_holds_evaluation_text(corpus, tokenizer):
    from flannb.build import Mini

    evaluation = EvaluationText.read(Mini(), eval_tasks("mini"))
    documents = texts(corpus, tokenizer, "training") + texts(corpus, tokenizer, "held_out")
    grams = [match for match in evaluation.matches([{"text": text} for text in documents]).values() if not match.whole]
    assert not grams


def test_the_same_rows_give_the_same_bytes(corpus, few_tasks, build, build_options, tmp_path):
    from flannb.build import Mini

    again = made(Mini(), few_tasks, build, build_options, tmp_path)
    files = sorted(path for path in corpus.home.rglob("*") if path.is_file())
    assert {path.suffix for path in files} == {".arrow", ".json", ".model"}
    for path in files:
        assert (again.home / path.relative_to(corpus.home)).read_bytes() == path.read_bytes()


def test_a_corpus_is_kept_by_what_it_was_made_from(few_tasks, build, build_options, tmp_path):
    from flannb.build import Mini

    first = made(Mini(), few_tasks, build, build_options, tmp_path)
    (first.home / "kept").touch()
    assert made(Mini(), few_tasks, build, build_options, tmp_path) == first and (first.home / "kept").exists()
    (first.home / CORPUS).unlink()  # as if it had been killed before the end
    assert made(Mini(), few_tasks, build, build_options, tmp_path) == first and not (first.home / "kept").exists()
    others = [
        made(Mini(), few_tasks[:-1], build, build_options, tmp_path),
        made(Mini(), few_tasks, build, replace(build_options, rows_per_task=15), tmp_path),
    ]
    assert len({each.home for each in [first, *others]}) == 3


@pytest.mark.parametrize("name", ["training/00000.arrow", "held_out/00000.arrow", "spiece.model"])
def test_a_corpus_with_a_changed_byte_is_made_again(name, few_tasks, build, build_options, tmp_path):
    from flannb.build import Mini

    path = made(Mini(), few_tasks, build, build_options, tmp_path).home / name
    whole = path.read_bytes()
    path.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])
    made(Mini(), few_tasks, build, build_options, tmp_path)
    assert path.read_bytes() == whole


def test_sentinels_are_above_all_text(corpus, tokenizer):
    ids = corpus.read("training").values
    assert ids.max() < corpus.first_sentinel - 99 and corpus.first_sentinel < tokenizer.vocabulary_size
    assert np.issubdtype(ids.dtype, np.integer)


def test_a_damaged_corpus_is_named(corpus, tmp_path):
    content = read_sealed(corpus.home / CORPUS)
    write_json(tmp_path / CORPUS, content)
    with pytest.raises(UserError, match=r"corpus\.json: is not as it was written"):
        open_corpus(tmp_path)
    write_sealed(tmp_path / CORPUS, {**content, "parts": {}})
    with pytest.raises(UserError, match=r"not a corpus \(KeyError\('training'\)\). Delete the folder"):
        open_corpus(tmp_path)
