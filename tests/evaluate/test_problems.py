"""Bad input is counted and reported, and never a silent zero."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Mirror
from flannb.collection import eval_tasks
from flannb.evaluate import evaluate, read_predictions, read_problems, suite_scores
from flannb.evaluate.extract import EMPTY, FOREIGN_LETTER, UNREADABLE, extract, problem
from flannb.model.score import Likelihood

SUITES = ("mmlu", "bbh", "single_task")
WANTED = ("virology", "anatomy", "astronomy", "navigate", "squad_v2", "pubmed_qa")
TASKS = [task for task in eval_tasks("hub", SUITES) if task.suite in SUITES and task.name in WANTED]

EXAM = {"question": ["Which?", "What?", "Who?"], "choices": [["red", "blue", "green", "grey"]] * 3, "answer": [1, 2, 7]}
SQUAD = {
    "context": ["The Normans lived in France.", "Nothing about it."],
    "question": ["Where?", "Who?"],
    "answers": [{"text": ["France", "in France", "France"]}, {"text": []}],
}
PUBMED = {
    "context": [{"contexts": ["One.", "Two."]}] * 2,
    "question": ["Is it?"] * 2,
    "final_decision": ["maybe", "perhaps"],
}


def write(root, place, rows):
    folder = root / place
    folder.mkdir(parents=True)
    pq.write_table(pa.table(rows), folder / "0000.parquet")


@pytest.fixture
def mirror(tmp_path):
    root = tmp_path / "mirror"
    write(root, "cais/mmlu/virology/test", EXAM)
    write(root, "cais/mmlu/virology/dev", {name: values[:2] for name, values in EXAM.items()})
    write(root, "cais/mmlu/anatomy/test", EXAM)
    write(root, "cais/mmlu/anatomy/dev", {name: pa.array(v)[:0] for name, v in EXAM.items()})
    write(root, "lukaemon/bbh/navigate/test", {"input": ["Back?", "There?"], "target": ["Yes", "Perhaps"]})
    write(root, "rajpurkar/squad_v2/squad_v2/validation", SQUAD)
    write(root, "qiaojin/PubMedQA/pqa_labeled/train", PUBMED)
    return Mirror(root)


class Scripted:
    """A model whose answers are given: characters are tokens."""

    prefix, suffix, joins, name, batch_size = (), (1,), False, "scripted", 4

    def __init__(self, answers):
        self.answers, self.told = answers, []

    def prepare(self, longest, lengths, scores):
        self.told.append((longest, [*lengths], scores))

    def encode(self, texts):
        return [[ord(character) for character in text] for text in texts]

    def decode(self, ids):
        return ["".join(map(chr, row)) for row in ids]

    def generate(self, prompts, max_length, progress):
        answers = [self.answers[i % len(self.answers)] for i in range(len(prompts))]
        return self.encode(answers)

    def score(self, prompts, continuations, progress):
        return [[Likelihood(-float(len(option)), False) for option in options] for options in continuations]


def test_a_model_is_told_once_what_will_come_where_much_will_come(mirror, tmp_path):
    limits = {"prompt_limit": 150, "answer_limit": 9, "explanation_limit": 12}
    few, many, again = Scripted(["(F)"]), Scripted(["(F)"]), Scripted(["(F)"])
    few.batch_size = 10
    evaluate(few, mirror, TASKS, tmp_path / "few", rows=9, seed=0, quiet=True, **limits)
    for model in (many, again):
        evaluate(model, mirror, TASKS, tmp_path / "many", rows=None, seed=0, quiet=True, **limits)
    answers = sorted({12 if task.chain_of_thought else 9 for task in TASKS})
    assert many.told == [(150, answers, True)]
    assert few.told == again.told == []


@pytest.fixture
def run(mirror, tmp_path):
    limits = {"prompt_limit": 150, "answer_limit": 9, "explanation_limit": 9}
    folder = tmp_path / "predictions"
    evaluate(Scripted(["(F)", ""]), mirror, TASKS, folder, rows=None, seed=0, quiet=True, **limits)
    return folder


def found(folder, task, setting):
    table = read_problems(folder)
    chosen = table[(table["task"] == task) & (table["setting"] == setting)]
    return {(line["mode"], line["problem"]): line["rows"] for line in chosen.to_dict("records")}


def test_a_letter_without_an_option_and_an_empty_prediction_are_told_apart(run):
    problems = found(run, "virology", "zs")
    assert problems["generation", FOREIGN_LETTER] == 1 and problems["generation", EMPTY] == 1


def test_a_gold_answer_that_is_no_option_is_left_out_and_counted(run):
    assert found(run, "virology", "zs")["", "answer names no option"] == 1
    assert found(run, "pubmed_qa", "zs")["", "answer is not among the options"] == 1
    assert found(run, "navigate", "zs")["", "not ranked: the right answer is no candidate"] == 1
    assert len(read_predictions(run).query("task == 'virology' and setting == 'zs'")) == 2


def test_a_prompt_over_the_limit_loses_its_exemplars_first_and_it_is_recorded(run):
    problems = found(run, "virology", "fs")
    assert problems["generation", "exemplars dropped"] == 2 and problems["", "only 2 of 5 exemplars"] == 2
    table = read_predictions(run).query("task == 'virology' and setting == 'fs'")
    assert (table["dropped_exemplars"] > 0).all() and all(len(rows) < 2 for rows in table["exemplars"])


def test_a_question_over_the_limit_is_cut_and_it_is_recorded(mirror, tmp_path):
    limits = {"prompt_limit": 20, "answer_limit": 9, "explanation_limit": 9}
    tasks = [task for task in TASKS if task.name == "virology"]
    evaluate(Scripted(["red"]), mirror, tasks, tmp_path / "p", rows=None, seed=0, quiet=True, **limits)
    assert found(tmp_path / "p", "virology", "zs")["generation", "question cut"] == 2


def test_a_set_without_rows_for_its_exemplars_is_absent_few_shot_and_runs_zero_shot(run):
    (absent,) = found(run, "anatomy", "fs")
    assert absent[1] == "absent: mmlu/anatomy: cais/mmlu/anatomy/dev, from which exemplars come, has no rows"
    assert "absent: single_task/pubmed_qa: has no split" in next(iter(found(run, "pubmed_qa", "fs")))[1]
    assert any(problem.startswith("absent: single_task/squad_v2") for _, problem in found(run, "squad_v2", "fs"))
    assert set(read_predictions(run).query("task == 'anatomy'")["setting"]) == {"zs"}


def test_absent_sets_are_reported_and_the_mean_says_over_how_many_it_is(run):
    assert found(run, "astronomy", "zs") == {("", "absent: mirror lacks cais/mmlu/astronomy/test"): 0}
    assert "lacks github" in next(iter(found(run, "navigate", "fs")))[1]
    table = suite_scores(read_predictions(run, ("generation", "ranking")), TASKS).set_index(
        ["suite", "setting", "mode"]
    )
    assert table.loc[("mmlu", "zs", "generation"), ["tasks", "of", "n"]].tolist() == [2, 3, 4]
    assert table.loc[("mmlu", "fs", "ranking"), ["tasks", "of", "n"]].tolist() == [1, 3, 2]
    assert ("bbh", "fs", "generation") not in table.index


def test_ranking_takes_the_likeliest_and_per_token_the_likeliest_for_its_length(run):
    ranked = read_predictions(run, ("ranking",)).query("task == 'virology'")
    assert set(ranked["prediction"]) == {"red"}  # the shortest
    assert ranked["likelihoods"].iloc[0].tolist() == [-3.0, -4.0, -5.0, -4.0]
    per_token = read_predictions(run, ("ranking_per_token",)).query("task == 'virology' and setting == 'zs'")
    assert per_token["likelihoods"].iloc[0].tolist() == [-1.0] * 4
    assert not set(read_predictions(run, ("ranking",))["task"]) & {"squad_v2"}


def test_squad_scores_are_f1_against_all_answers(mirror, tmp_path):
    limits = {"prompt_limit": 300, "answer_limit": 9, "explanation_limit": 9}
    tasks = [task for task in TASKS if task.name == "squad_v2"]
    model = Scripted(["in the France of old", "unanswerable"])
    table = evaluate(model, mirror, tasks, tmp_path / "p", rows=None, seed=0, quiet=True, **limits)
    assert table["score"].tolist() == [pytest.approx(2 * 2 / (2 + 4)), 1.0]
    assert table["answers"].iloc[0].tolist() == ["France", "in France"]


def test_another_model_or_other_settings_are_run_again(mirror, tmp_path):
    limits = {"prompt_limit": 300, "answer_limit": 9, "explanation_limit": 9}
    tasks = [task for task in TASKS if task.name == "virology"]
    first, second = Scripted(["red"]), Scripted(["blue"])
    arguments = {"rows": None, "seed": 0, "quiet": True, **limits}
    evaluate(first, mirror, tasks, tmp_path, **arguments)
    assert set(evaluate(second, mirror, tasks, tmp_path, **arguments)["prediction"]) == {"red"}  # the same name
    second.name = "other"
    assert set(evaluate(second, mirror, tasks, tmp_path, **arguments)["prediction"]) == {"blue"}


def test_a_killed_run_goes_on_with_the_sets_it_lacks(mirror, tmp_path):
    limits = {"prompt_limit": 300, "answer_limit": 9, "explanation_limit": 9}
    tasks = [task for task in TASKS if task.suite == "mmlu"]
    arguments = {"rows": None, "seed": 0, "quiet": True, "settings": ("zs",), **limits}

    class Dies(Scripted):
        """Answers so many batches of sets and is killed."""

        batch_size = 0.25  # every set is a group of its own

        def generate(self, prompts, max_length, progress):
            if not self.answers:
                raise KeyboardInterrupt
            return self.encode([self.answers.pop()] * len(prompts))

    with pytest.raises(KeyboardInterrupt):
        evaluate(Dies(["red"]), mirror, tasks, tmp_path, **arguments)
    table = evaluate(Dies(["blue"]), mirror, tasks, tmp_path, **arguments)
    assert table.groupby("task")["prediction"].first().to_dict() == {"anatomy": "red", "virology": "blue"}


@pytest.mark.parametrize(
    ("prediction", "kind", "options", "expected"),
    [
        ("", "option", ("red", "blue"), EMPTY),
        (" \n", "text", None, EMPTY),
        ("(C)", "option", ("red", "blue"), FOREIGN_LETTER),
        ("The answer is (E).", "option", ("red", "blue"), FOREIGN_LETTER),
        ("Z", "option", ("red", "blue"), FOREIGN_LETTER),
        ("purple", "option", ("red", "blue"), UNREADABLE),
        ("(B)", "option", ("red", "blue"), None),
        ("many", "number", None, UNREADABLE),
        ("maybe", "yes_no", None, UNREADABLE),
        ("5", "number", None, None),
    ],
)
def test_why_no_answer_was_read(prediction, kind, options, expected):
    assert problem(prediction, extract(prediction, kind, options), kind, options) == expected
