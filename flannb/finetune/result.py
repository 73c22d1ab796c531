"""A finished finetuning, read back."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from flannb.evaluate import REPEAT, read_set
from flannb.files import read_json
from flannb.finetune.validation import SCORE, mode_of, predictions_path

RESULT = "finetuning.json"
START = "start.parquet"
TEST = "test.parquet"


@dataclass(frozen=True)
class Finetuned:
    """A finetuning of ``flannb.finetune.finetune``.

    Attributes:
        folder: where it is.
        about: the content of its ``finetuning.json``.
    """

    folder: Path
    about: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Finetuned":
        """The finetuning in a folder.

        Raises:
            UserError: there is none, or it is not finished.
        """
        return cls(Path(folder), read_json(Path(folder) / RESULT))

    @property
    def metric(self) -> str:
        """A key of ``flannb.evaluate.METRICS``."""
        return str(self.about["metric"])

    @property
    def homes(self) -> list[Path]:
        """The folders of its trainings."""
        return [self.folder / f"seed{training['seed']}" for training in self.about["trainings"]]

    @cached_property
    def start(self) -> pd.DataFrame:
        """Predictions of the test rows by the checkpoint as it is."""
        return read_set(self.folder / START, (mode_of(self.metric),))

    @cached_property
    def tested(self) -> pd.DataFrame:
        """Predictions of the test rows by the best model of each training, which the column ``repeat`` numbers."""
        return _together([read_set(home / TEST, (mode_of(self.metric),)) for home in self.homes])

    @cached_property
    def steps(self) -> list[int]:
        """At which the validation rows were scored."""
        return [int(step) for step in pd.read_csv(self.homes[0] / "evaluation.csv")["step"]]

    def validated(self, step: int) -> pd.DataFrame:
        """Predictions of the validation rows after so many steps, with the column ``repeat``."""
        return _together([read_set(predictions_path(home, step), (mode_of(self.metric),)) for home in self.homes])

    @cached_property
    def curve(self) -> pd.DataFrame:
        """The learning curve, the mean over trainings: ``step``, ``validation`` (percent), and ``loss``, the mean since
        the step before (nats per target token; not a number at step 0).
        """
        curves = []
        for home in self.homes:
            scores, losses = (pd.read_csv(home / name) for name in ("evaluation.csv", "loss.csv"))
            spans = pd.cut(losses["step"], [0, *scores["step"].iloc[1:]], labels=scores["step"].iloc[1:])
            scores["loss"] = scores["step"].map(losses.groupby(spans, observed=True)["loss"].mean())
            curves.append(scores[["step", SCORE, "loss"]])
        return pd.concat(curves).groupby("step", as_index=False).mean()


def _together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([frame.assign(**{REPEAT: number}) for number, frame in enumerate(frames)], ignore_index=True)
