"""What a training is asked at every checkpoint: the task's score on validation rows; the best model so far is kept."""

import math
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flannb.build import Tokenizer
from flannb.errors import UserError
from flannb.evaluate import FlannbModel, Prompt, answer, metric_value, read_set, write_set
from flannb.evaluate.metrics import METRICS
from flannb.evaluate.record import read_meta
from flannb.files import is_intact, read_sums

if TYPE_CHECKING:
    from flannb.model import T5

SCORE = "validation"
"""Name of the validation score among a training's evaluations."""


def mode_of(metric: str) -> str:
    """How the answers are found that a metric scores: by generation, or by ranking if it needs likelihoods."""
    modes = METRICS[metric][1]
    return "generation" if "generation" in modes else modes[0]


def predictions_path(folder: Path, step: int) -> Path:
    """Where a training's predictions of the validation rows after so many steps are."""
    return Path(folder) / "validation" / f"{step:07}.parquet"


def step_of(path: Path) -> int:
    """The step after which a model gave recorded predictions, where ``Questions.ask`` was told it."""
    return int(read_meta(path)["step"])


class Questions:
    """Prompts that models are asked, and the metric of their answers.

    Args:
        prompts: of one task.
        metric: a key of ``flannb.evaluate.METRICS``; answers are generated greedily, or ranked if it needs likelihoods.
        tokenizer: the models'.
        limit: most tokens of a prompt.
        longest: most tokens of an answer.
        batch_size: prompts a batch.
    """

    def __init__(
        self, prompts: Sequence[Prompt], metric: str, tokenizer: Tokenizer, limit: int, longest: int, batch_size: int
    ):
        self.prompts, self.metric = prompts, metric
        self._tokenizer, self._limit, self._longest, self._batch = tokenizer, limit, longest, batch_size
        self.mode = mode_of(metric)

    def ask(self, model: "T5", path: Path, **meta: Any) -> None:
        """Writes the model's predictions to ``path``, which are read back by ``read``."""
        asked = FlannbModel(model, self._tokenizer, self._batch)
        lines = answer(self.prompts, asked, self._limit, self._longest, (self.mode,))
        write_set(path, [line for row in lines for line in row], {"metric": self.metric, **meta})

    def read(self, path: Path) -> pd.DataFrame:
        """The predictions that ``ask`` wrote.

        Raises:
            UserError: they are missing or damaged.
        """
        return read_set(path, (self.mode,))

    def score(self, path: Path) -> float:
        """Their score in percent; 0 where the metric is undefined for them: equal answers correlate with nothing."""
        value = metric_value(self.read(path), self.metric)
        return 0.0 if math.isnan(value) else value


class Validation:
    """Scores a model in training on validation rows and keeps the best one.

    An instance is what ``flannb.train.train`` calls at every checkpoint. The best model is the first that reaches the
    highest score. A training that goes on after a kill may come to a step again; what was found there first is
    overwritten. Predictions that are not as they were written do not count.

    Args:
        questions: the validation rows.
        folder: gets ``validation/<step>.parquet``, the predictions after so many steps, and ``best/<step>/``, models.
    """

    def __init__(self, questions: Questions, tokenizer: Tokenizer, folder: Path):
        self._questions, self._tokenizer = questions, tokenizer
        self._folder, self._models = Path(folder), Path(folder) / "best"
        home = predictions_path(self._folder, 0).parent
        # A kill may have left predictions that are not listed yet; their step was not saved and comes again.
        recorded = [home / name for name, sha in read_sums(home).items() if is_intact(home / name, sha)]
        self._scores = {int(path.stem): questions.score(path) for path in recorded}

    def __call__(self, step: int, model: "T5") -> dict[str, float]:
        """Scores the model after so many steps, in percent as ``SCORE``, and saves it if it is the best so far."""
        from flannb.model import save_model  # JAX and Keras, which reading predictions does without

        self._scores = {done: score for done, score in self._scores.items() if done < step}
        # Only now is the checkpoint before this step certain to be saved: a training that is killed goes on from one
        # whose best model is still there.
        self.keep_best()
        path = predictions_path(self._folder, step)
        self._questions.ask(model, path, step=step)
        score = self._questions.score(path)
        if score > max(self._scores.values(), default=-math.inf):
            save_model(model, self.model(step), self._tokenizer)
        self._scores[step] = score
        return {SCORE: score}

    def best(self, among: Collection[int] | None = None) -> int:
        """The step of the best score, of all steps or of some."""
        return max(sorted(self._scores if among is None else among), key=lambda step: self._scores[step])

    def score(self, step: int) -> float:
        """The score after so many steps."""
        return self._scores[step]

    def model(self, step: int) -> Path:
        """The folder of the model of a step, which is there if it was the best so far."""
        return self._models / str(step)

    def has_scores(self, steps: Collection[int]) -> bool:
        """Whether the predictions after all of these steps are as they were written."""
        return set(steps) <= self._scores.keys()

    def has_model(self, step: int) -> bool:
        """Whether the model of a step is there and as it was written."""
        from flannb.model import open_checkpoint  # JAX and Keras, which reading predictions does without

        try:
            found = open_checkpoint(self.model(step))
            found.layout.open_weights(found.folder, found.content)
        except UserError:
            return False
        return True

    def keep_best(self) -> None:
        """Removes the models of all steps but the best, in the midst of a training or at its end."""
        for folder in self._models.glob("*"):
            if not self._scores or folder != self.model(self.best()):
                shutil.rmtree(folder)
