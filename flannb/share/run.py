"""What is on record of a run: its model, the data and the mixture that it was trained on, its scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flannb.build import Build, Shard
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate import MODES, read_predictions, suite_scores
from flannb.experiments.reproduce import own_suffix
from flannb.experiments.scales import Scale, scale
from flannb.experiments.steps import PREDICTIONS, SEEN_CSV, built, weights_of
from flannb.files import MANIFEST, inside, is_intact, read_sealed
from flannb.progress import remark


@dataclass(frozen=True)
class Run:
    """A row of a table that has been trained.

    Attributes:
        name: of the row, such as ``flan2022``.
        model: folder of the model.
        manifest: of the training: parameters, versions, machine, seconds.
        build: the data.
        weights: the mixture, shard by shard.
        seen: what it has read of each task (``flannb.mixture.seen``).
        scores: of each suite (``flannb.evaluate.suite_scores``); empty where this model was not evaluated.
    """

    name: str
    model: Path
    manifest: Mapping[str, Any]
    build: Build
    weights: Mapping[Shard, float]
    seen: pd.DataFrame
    scores: pd.DataFrame

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the training was told."""
        parameters: Mapping[str, Any] = self.manifest["parameters"]
        return parameters

    @property
    def scale(self) -> Scale:
        """The scale that it was trained at."""
        return scale(self.parameters["scale"], self.build.collection)


def read_run(folder: Path) -> Run:
    """The run of a row.

    Args:
        folder: of the row, with ``train`` in it and, where it was evaluated, ``evaluate``; paths in its manifest count
            from the working directory. An evaluation that is not finished, or of an earlier training, does not count.

    Raises:
        UserError: no finished training there, or something of it or of its evaluation is missing or damaged.
    """
    home = Path(folder) / "train"
    if not (home / MANIFEST).is_file():
        raise UserError(
            f"{folder}: no finished training there. Name the folder of a row, such as runs/smoke/mini-0/flan2022."
        )
    manifest = read_sealed(home / MANIFEST)
    _check_outputs(home, manifest, ("model/", SEEN_CSV))
    parameters = manifest["parameters"]
    if "mixture" not in parameters:
        raise UserError(f"{folder}: is no row of a table; share those, which are trained on a mixture")
    build, evaluated = built(parameters["data"]), Path(folder) / f"evaluate{own_suffix('EVAL_TASKS')}"
    return Run(
        name=manifest["step"].split("/")[0],
        model=home / "model",
        manifest=manifest,
        build=build,
        weights=weights_of(build, parameters["mixture"], parameters["seed"], parameters["tasks_drawn"]),
        seen=pd.read_csv(home / SEEN_CSV),
        scores=_scores(evaluated, manifest["key"], build, parameters["seed"]),
    )


def _check_outputs(home: Path, manifest: Mapping[str, Any], beginnings: tuple[str, ...]) -> None:
    """Raises ``UserError`` where an output of a step whose name begins so is not as the step wrote it."""
    for name, entry in manifest["outputs"].items():
        if name.startswith(beginnings) and not is_intact(inside(home, name), entry["sha256"]):
            raise UserError(f"{home / name}: is missing or not as it was written. Give the command that made it again.")


def _scores(home: Path, training: str, build: Build, seed: int) -> pd.DataFrame:
    """The scores of the suites, by generation and, where that is on record, by ranking.

    Args:
        home: folder of the evaluation.
        training: key of the training; the scores of another one's model are not read.
    """
    if not home.is_dir():
        return pd.DataFrame()
    manifest = read_sealed(home / MANIFEST) if (home / MANIFEST).is_file() else {"needs": {}}
    if training not in [need["key"] for need in manifest["needs"].values()]:
        remark(
            f"{home}: no finished evaluation of this model, so there are no scores. Evaluate it, then share it again."
        )
        return pd.DataFrame()
    _check_outputs(home, manifest, (f"{PREDICTIONS}/",))
    return suite_scores(read_predictions(home / PREDICTIONS, MODES), eval_tasks(build.collection), seed)
