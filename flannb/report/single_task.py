"""The reports on single-task finetuning: Table 3, Figure 5 and Figure 6."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flannb.collection import finetuning_tasks
from flannb.evaluate import Interval, metric_difference, metric_score
from flannb.finetune import Finetuned
from flannb.report.claims import COLUMNS as CLAIM_COLUMNS
from flannb.report.figure_page import FigurePage, write_page
from flannb.report.published import published
from flannb.report.single_task_claims import Line, convergence_claims, pareto_claims
from flannb.report.single_task_figures import MODELS, bars, curves
from flannb.report.table import or_undefined

COLUMNS = (
    *("task", "dataset", "paper_metric", "group", "model", "metric", "score", "ci_low", "ci_high", "n"),
    *("train_rows", "validation_rows", "trainings", "best_steps", "source"),
)
CURVE_COLUMNS = (
    *("task", "dataset", "start", "step", "metric", "validation", "ci_low", "ci_high", "loss", "n", "trainings"),
)


@dataclass(frozen=True)
class Comparison:
    """A task finetuned from the model before instruction tuning and from the one after, on the same rows."""

    t5: Finetuned
    flan_t5: Finetuned

    def predictions(self) -> dict[str, pd.DataFrame]:
        """Model -> its predictions of the test rows."""
        return {
            "t5_finetuned": self.t5.tested,
            "flan_t5": self.flan_t5.start,
            "flan_t5_finetuned": self.flan_t5.tested,
        }

    @property
    def starts(self) -> dict[str, Finetuned]:
        """What each training began with."""
        return {"T5": self.t5, "Flan-T5": self.flan_t5}


@dataclass(frozen=True)
class SingleTaskSetup:
    """What was measured.

    Attributes:
        scale, source, seed: of the runs.
        tasks: all rows of the artefact, those without results too.
    """

    scale: str
    source: str
    seed: int
    tasks: Sequence[str]


Comparisons = Mapping[str, Comparison]
"""Task -> its finetunings, in the order of Table 3."""


def write_single_task(folder: Path, artefact: str, done: Comparisons, setup: SingleTaskSetup) -> list[Path]:
    """Writes the report on ``table3``, ``figure5`` or ``figure6``; see ``flannb.report.figure_page.write_page``.

    Args:
        folder: of the report.
        done: what was finetuned.
        setup: what was measured.
    """
    pairs = {name: (each.flan_t5, each.t5) for name, each in done.items()}
    if artefact == "figure6":
        claims = _claim_table("C11", convergence_claims(pairs, setup.seed), setup)
        table, paper = curve_table(done, setup), FASTER
        figures = {"figure6": (CURVES, curves(table, setup.scale))}
        grids = {"How fast and how high": _convergence_grid(claims, done)}
    else:
        claims = _claim_table("C10", pareto_claims(pairs, setup.seed), setup)
        table, paper = score_table(done, setup), PARETO
        figures = {"figure5": (BARS, bars(table, setup.scale))}
        grids = {"Scores": comparison_grid(table, done, setup), "Rows": rows_grid(done)}
    title = f"{TITLES[artefact]}, measured at the scale {setup.scale}"
    page = FigurePage(title, [paper, *_about(done, setup)], figures, grids, claims)
    return write_page(folder, artefact, page, {artefact: table})


TITLES = {"table3": "Table 3", "figure5": "Figure 5", "figure6": "Figure 6"}

PARETO = (
    "The paper claims that finetuning Flan-T5 is a Pareto improvement over finetuning T5, and that Flan-T5 as it is can"
    " beat a finetuned T5 where a task has few rows. It shows bars without numbers, so that only directions can be"
    " compared."
)
FASTER = "The paper claims that in single-task finetuning Flan-T5 converges faster than T5, to a higher peak."

BARS = "Test scores of every task, with 95% intervals."
CURVES = (
    "Validation scores along finetuning on the held-out tasks, with 95% bands. The dotted line is 95% of T5's best "
    "score; a curve first comes to it at its large mark. One that does not counts as one evaluation after the last."
)


def _about(done: Comparisons, setup: SingleTaskSetup) -> list[str]:
    """The sentences that say what the numbers are, and which tasks have none."""
    first = next(iter(done.values())).flan_t5.about
    options = first["options"]
    size, inputs, targets = (options["shape"][name] for name in ("size", "input", "target"))
    sentences = [
        f"Scale {setup.scale}, data source {setup.source}, seed {setup.seed}. Scores are in percent of each "
        "task's metric; 95% intervals are bootstrapped over rows, and over trainings where there are several.",
        f"Each finetuning takes {options['steps']:,} steps of {size} packed sequences of {inputs}/{targets} tokens at a"
        f" learning rate of {options['learning_rate']:g} and a dropout of {options['dropout']:g}; every"
        f" {options['checkpoint_every']} steps the validation rows are scored, and the best model is tested.",
    ]
    if absent := [name for name in setup.tasks if name not in done]:
        datasets = {task: dataset for dataset, task in _task_names().items()}
        sentences.append(f"Not in this source: {', '.join(datasets[name] for name in absent)}.")
    return sentences


def _task_names() -> dict[str, str]:
    """Dataset of Table 3 -> the name of its task."""
    return {task.title: task.name for task in finetuning_tasks("flan2022")}


def score_table(done: Comparisons, setup: SingleTaskSetup) -> pd.DataFrame:
    """Table 3 in long form, with the columns ``COLUMNS``: a line for each task and model.

    ``score`` and its interval are in percent, and empty where the metric is undefined (equal answers have no rank
    correlation) or nothing was measured; ``source`` then is ``not run``. ``best_steps`` are those of the trainings.
    """
    tasks, lines = _task_names(), []
    for paper in published("table3").to_dict("records"):
        name = tasks[paper["dataset"]]
        if name not in setup.tasks:
            continue
        shared = {"task": name, "dataset": paper["dataset"], "paper_metric": paper["metric"], "group": paper["group"]}
        if name not in done:
            lines += [{**shared, "model": model, "source": "not run"} for model in MODELS]
            continue
        for model, predictions in done[name].predictions().items():
            start = done[name].t5 if model.startswith("t5") else done[name].flan_t5
            trainings = start.about["trainings"] if model.endswith("finetuned") else []
            lines.append(
                {
                    **shared,
                    "model": model,
                    "metric": start.metric,
                    **_numbers(metric_score(predictions, start.metric, setup.seed)),
                    "train_rows": start.about["rows"]["train"],
                    "validation_rows": start.about["rows"]["validation"],
                    "trainings": len(trainings),
                    "best_steps": " ".join(str(training["best_step"]) for training in trainings),
                    "source": setup.source,
                }
            )
    counts = dict.fromkeys(("n", "train_rows", "validation_rows", "trainings"), "Int64")
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(
        dict.fromkeys(("score", "ci_low", "ci_high"), "float64") | counts
    )


def _numbers(interval: Interval) -> dict[str, float]:
    return {"score": interval.score, "ci_low": interval.low, "ci_high": interval.high, "n": interval.n}


def comparison_grid(table: pd.DataFrame, done: Comparisons, setup: SingleTaskSetup) -> pd.DataFrame:
    """The table to read: a line for each task, a column for each model, and how far the finetuned ones are apart."""
    lines = []
    for name, group in table.groupby("task", sort=False):
        cells = {"Task": group["dataset"].iloc[0], "Metric": group["paper_metric"].iloc[0]}
        for line in group.itertuples():
            title, _, _ = MODELS[str(line.model)]
            measured = line.source != "not run"
            cells[title] = or_undefined(line.score, line.ci_low, line.ci_high) if measured else "not run"
        if name in done:
            found = done[str(name)].predictions()
            gain = metric_difference(
                found["flan_t5_finetuned"], found["t5_finetuned"], done[str(name)].t5.metric, setup.seed
            )
            cells["Gain of Flan-T5"] = or_undefined(gain.score, gain.low, gain.high, "+.1f")
        lines.append(cells)
    return pd.DataFrame(lines).fillna("")


def rows_grid(done: Comparisons) -> pd.DataFrame:
    """How many rows each task has, how many models were trained, and what was done to get the rows."""
    lines = []
    for comparison in done.values():
        about = comparison.flan_t5.about
        rows = {f"{name.capitalize()} rows": f"{count:,}" for name, count in about["rows"].items()}
        trainings = str(len(about["trainings"]))
        lines.append({"Task": about["title"], **rows, "Trainings": trainings, "How": " ".join(about["notes"])})
    return pd.DataFrame(lines)


def curve_table(done: Comparisons, setup: SingleTaskSetup) -> pd.DataFrame:
    """Figure 6 in long form, with the columns ``CURVE_COLUMNS``: a line for each task, start and evaluation.

    ``loss`` is the mean training loss since the evaluation before, in nats per target token.
    """
    lines = []
    for name, comparison in done.items():
        for start, tuned in comparison.starts.items():
            losses = tuned.curve.set_index("step")["loss"]
            for step in tuned.steps:
                interval = metric_score(tuned.validated(step), tuned.metric, setup.seed)
                found = _numbers(interval)
                lines.append(
                    {
                        "task": name,
                        "dataset": tuned.about["title"],
                        "start": start,
                        "step": step,
                        "metric": tuned.metric,
                        "validation": found.pop("score"),
                        **found,
                        "loss": losses[step],
                        "trainings": len(tuned.homes),
                    }
                )
    return pd.DataFrame(lines, columns=list(CURVE_COLUMNS))


def _claim_table(claim: str, lines: Sequence[Line], setup: SingleTaskSetup) -> pd.DataFrame:
    """The verdict on a claim and on its parts, with the columns of ``flannb.report.claims``.

    Args:
        lines: from ``flannb.report.single_task_claims``: the claim's own, and those of its parts.
    """
    paper = published("claims").set_index("id").loc[claim]
    whole, *parts = lines
    same = {"where": paper["where"], "scale": setup.scale}
    frame = pd.DataFrame([line | same for line in (whole | {"claim": paper["claim"]}, *parts)])
    return frame.reindex(columns=list(CLAIM_COLUMNS)).astype(
        dict.fromkeys(("difference", "ci_low", "ci_high"), "float64")
    )


def _convergence_grid(claims: pd.DataFrame, done: Comparisons) -> pd.DataFrame:
    """The parts of C11 to read: a line for each task."""
    lines: dict[str, dict[str, str]] = {}
    for line in claims.itertuples():
        _, *rest = str(line.id).split(".")
        if rest:
            task, what = rest
            heading = "Steps saved" if what == "steps" else "Higher peak (points)"
            cell = or_undefined(line.difference, line.ci_low, line.ci_high, "+.1f")
            lines.setdefault(task, {"Task": done[task].t5.about["title"]})[heading] = cell
    return pd.DataFrame(list(lines.values()))
