"""Steps as plain functions: the tasks of a mixture, and what a report is made of."""

import pandas as pd
import pytest

from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate.record import set_path, write_set
from flannb.experiments import report_step, weights_of


def test_drawn_tasks_take_part_alone_and_a_seed_draws_the_same(build):
    names = {shard.task for shard in weights_of(build, "flan2022", seed=3, tasks_drawn=4)}
    assert len({name.removesuffix("_inverted") for name in names}) == 4
    assert "boolq" in names  # Held-In tasks always take part
    assert names == {shard.task for shard in weights_of(build, "flan2022", seed=3, tasks_drawn=4)}
    assert names < {shard.task for shard in weights_of(build, "flan2022", seed=3)}


def test_more_tasks_than_there_are_cannot_be_drawn(build):
    with pytest.raises(UserError, match="99 tasks cannot be drawn"):
        weights_of(build, "flan2022", seed=0, tasks_drawn=99)


def predictions_in(folder, modes):
    """Predictions of every set of two suites of mini, right in every second row."""
    for task in eval_tasks("mini"):
        if task.suite not in ("held_in", "mmlu"):
            continue
        for setting in ("zs", "fs"):
            about = {"suite": task.suite, "task": task.name, "setting": setting}
            blank = {"prompt": "", "target": "no", "exemplars": [], "dropped_exemplars": 0, "answers": ["no"]}
            lines = [
                {**about, **blank, "split": "test", "row": row, "mode": mode, "options": ["no", "yes"], "score": score}
                | {"prediction": "no", "extraction": "no", "likelihoods": [], "problems": []}
                for row in range(4)
                for mode, score in zip(modes, (float(row % 2), 1.0), strict=False)
            ]
            path = set_path(folder / "predictions", task.suite, setting, task.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_set(path, lines, {"key": "", **about, "rejected": {}, "absent": ""})


@pytest.mark.parametrize(("modes", "wanted"), [(("generation", "ranking"), True), (("generation",), False)])
def test_a_report_has_ranked_answers_where_there_are_any(tmp_path, modes, wanted):
    predictions_in(tmp_path / "evaluate", modes)
    evaluations = {f"few_shot_{share}": [str(tmp_path / "evaluate")] for share in (0, 50)}
    paths = report_step(str(tmp_path / "report"), "figure3", evaluations, {}, "mini", "micro", 0)
    assert ("ranking.csv" in {path.name for path in paths}) is wanted
    written = pd.read_csv(tmp_path / "report" / "figure3.csv").dropna(subset="score")
    assert set(written["score"]) == {50.0} and set(written["row"]) == set(evaluations)
    if wanted:
        assert set(pd.read_csv(tmp_path / "report" / "ranking.csv")["score"].dropna()) == {100.0}
