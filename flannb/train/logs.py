"""What training tells while it runs: a progress bar, a CSV, TensorBoard, and warnings, each of them said once."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flannb.files import write_text
from flannb.mixture import BatchShape
from flannb.model import T5Config, mfu, training_flops
from flannb.progress import Bar, remark, say

PROGRESS_CSV = "progress.csv"
TENSORBOARD = "tensorboard"

COLUMNS = (
    "step",
    "seconds",  # of training so far, compiling and waiting included
    "learning_rate",
    "gradient_norm",  # before clipping
    "tokens_per_second",  # real tokens, of inputs and targets
    "tflops",  # see flannb.model.flops
    "mfu",
    "real_inputs",  # share of the encoder's positions that hold tokens
    "real_tokens",  # share of all positions
    "waited",  # share of the time that went in waiting for batches
)


class Spikes:
    """Tells losses that leave the usual range: 15 median absolute deviations (ten standard ones, were they normal; the
    losses of small batches have long tails) above the median of the last 100, and ``least`` nats at that. Of a spike
    that goes on only the first step is told.
    """

    WINDOW, ENOUGH, DEVIATIONS = 100, 30, 15.0

    def __init__(self, least: float = 0.5):
        self._least = least
        self._recent: deque[float] = deque(maxlen=self.WINDOW)
        self._quiet_until = 0

    def found(self, step: int, loss: float) -> str | None:
        """What to say of the loss of a step, if anything."""
        text = None
        if len(self._recent) >= self.ENOUGH and step >= self._quiet_until:
            median = float(np.median(self._recent))
            spread = float(np.median(np.abs(np.array(self._recent) - median)))
            if loss > median + max(self.DEVIATIONS * spread, self._least):
                text = f"loss spike at step {step}: {loss:.3f}, where the last {len(self._recent)} had {median:.3f}"
                self._quiet_until = step + self.WINDOW
        self._recent.append(loss)
        return text


class Journal:
    """The bar, ``progress.csv``, TensorBoard's files and the warnings of a run.

    Args:
        folder: of the run.
        config, shape: what the FLOPs of a step are counted from.
        steps: of the whole training; ``start`` of them are done, and what was noted after them is dropped.
        quiet: no bar.
        writes: whether this process writes files and speaks; one of all does.
    """

    def __init__(
        self,
        folder: Path,
        config: T5Config,
        shape: BatchShape,
        steps: int,
        start: int,
        quiet: bool,
        writes: bool = True,
    ):
        self._shape, self._writes = shape, writes
        self._flops = training_flops(config, shape.size, shape.input, shape.target)
        self._path = Path(folder) / PROGRESS_CSV
        self._seconds = 0.0
        self._spikes, self._stalled = Spikes(), False
        self._board: Any = None
        if writes:
            rows = _noted(self._path, start)
            self._seconds = float(rows["seconds"].max()) if len(rows) else 0.0
            write_text(self._path, rows.to_csv(index=False))
            self._board = _tensorboard(Path(folder) / TENSORBOARD, start + 1)
            if start:
                remark(f"goes on from the checkpoint of step {start:,} of {steps:,}")
        self._bar = Bar(
            total=steps, initial=start, unit="step", desc="training", disable=quiet or not writes, mininterval=1.0
        )

    def say(self, text: str) -> None:
        """Says a line, in one of all processes."""
        if self._writes:
            say(text)

    def note(
        self, step: int, metrics: Sequence[dict[str, float]], seconds: float, waited: float, learning_rate: float
    ) -> None:
        """Notes the steps since the last call.

        Args:
            step: the last of them.
            metrics: of each (``flannb.train.step.make_step``).
            seconds: that they took; ``waited`` of these went in waiting for batches.
        """
        self._seconds += seconds
        count = len(metrics)
        for number, values in enumerate(metrics, start=step - count + 1):
            if spike := self._spikes.found(number, values["loss"]):
                self.say(spike)
            if self._board is not None:
                self._board.add_scalar("loss", values["loss"], number)
        inputs, targets = (sum(values[name] for values in metrics) for name in ("inputs", "tokens"))
        per_second = self._flops * count / seconds
        row = {
            "step": step,
            "seconds": self._seconds,
            "learning_rate": learning_rate,
            "gradient_norm": metrics[-1]["gradient_norm"],
            "tokens_per_second": (inputs + targets) / seconds,
            "tflops": per_second / 1e12,
            "mfu": mfu(per_second),
            "real_inputs": inputs / (count * self._shape.size * self._shape.input),
            "real_tokens": (inputs + targets) / (count * self._shape.size * (self._shape.input + self._shape.target)),
            "waited": waited / seconds,
        }
        # The first seconds of a run go in compiling and in filling the pipeline.
        if not self._stalled and step > count and seconds > 2.0 and waited > 0.5 * seconds:
            self._stalled = True
            self.say(
                f"step {step}: {waited / seconds:.0%} of the time goes in waiting for batches; the input pipeline is"
                " slower than the devices: free a CPU core for it, or move the data to a faster disk"
            )
        if self._writes:
            self._write(row)
        self._show(row, metrics[-1]["loss"])

    def close(self) -> None:
        """Ends the bar and the event files."""
        self._bar.close()
        if self._board is not None:
            self._board.close()

    def _write(self, row: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            pd.DataFrame([row], columns=list(COLUMNS)).to_csv(file, index=False, header=False, float_format="%.6g")
        if self._board is not None:
            for name in COLUMNS[2:]:
                if row[name] is not None:
                    self._board.add_scalar(name, row[name], row["step"])
            self._board.flush()

    def _show(self, row: dict[str, Any], loss: float) -> None:
        shown = {
            "loss": f"{loss:.3f}",
            "tokens/s": f"{row['tokens_per_second']:,.0f}",
            "TFLOP/s": f"{row['tflops']:.3g}",
        }
        if row["mfu"] is not None:
            shown["MFU"] = f"{row['mfu']:.0%}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(row["step"] - self._bar.n)


def _noted(path: Path, start: int) -> pd.DataFrame:
    """The rows of ``progress.csv`` up to step ``start``, of ``COLUMNS``.

    Lines that a kill or a full disk cut short, or that are damaged, are left out: no training should fail to go on for
    want of what it only tells.
    """
    try:
        rows = pd.read_csv(path, on_bad_lines="skip", encoding_errors="replace") if start else pd.DataFrame()
    except (OSError, ValueError):  # pandas's errors of parsing are ValueErrors
        rows = pd.DataFrame()
    rows = rows.reindex(columns=list(COLUMNS)).apply(pd.to_numeric, errors="coerce")
    return rows[rows["seconds"].notna() & (rows["step"] <= start)].astype({"step": int})


def _tensorboard(folder: Path, first: int) -> Any:
    """A writer of event files that drops what an earlier run wrote from step ``first`` on; None without its package."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        say("no TensorBoard files: pip install tensorboardX for them")
        return None
    return SummaryWriter(str(folder), purge_step=first if first > 1 else None)
