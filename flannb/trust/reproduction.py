"""A reproduction of one row of Table 1, and pretraining, at the scale ``tiny``, as a user runs them, and the bytes that
they end with.
"""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps, pretrain_report_steps, project_root
from flannb.experiments.step import Step
from flannb.files import INPUTS
from flannb.trust.case import Bench, NotSurvived, demand, until

ROW = "flan2022"
PLAIN = ("--plain", "--workers", "1")
"""Options of a run in one process; without them it goes through Dask and the kernels of notebooks."""

COMPILED = "runs/.cache/jax"
"""JAX's cache of compiled programs, below a reproduction's home."""

BEGINNING = 180.0
"""Seconds within which a run comes to the stage that it starts with."""

TIMEOUT = 600.0
"""Seconds after which a run counts as one that hangs."""


@dataclass
class Reproduction:
    """A home of runs and reports.

    Attributes:
        home: folder of both.
        environment: variables of all its processes, beside those of this one.
    """

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    STAGES: ClassVar[dict[str, str]] = {"data": "data", "train": "train", "evaluate": "evaluate", "report": "table1"}
    """The stages in order, and the command that runs up to each."""

    CHOSEN: ClassVar[tuple[str, ...]] = ("--rows", ROW)
    """Options that say what of the command is run."""

    @property
    def options(self) -> Options:
        """The options of all its steps."""
        return Options(scale="tiny", rows=(ROW,), runs=str(self.home / "runs"), reports=str(self.home / "reports"))

    def steps(self) -> dict[str, Step]:
        """The steps by their stages."""
        return dict(zip(self.STAGES, artefact_steps(TABLE1, self.options), strict=True))

    def command(self, *options: str, command: str = "") -> list[str]:
        """The command line; by default that of the last stage."""
        words = [sys.executable, "-m", "flannb.experiments", command or [*self.STAGES.values()][-1]]
        where = ["--runs", str(self.home / "runs"), "--reports", str(self.home / "reports")]
        return [*words, "--scale", "tiny", *self.CHOSEN, *where, *options]

    def start(
        self,
        *options: str,
        command: str = "",
        before: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a run in a process group of its own.

        Args:
            before: words in front of the command, such as those of ``prlimit``.
        """
        own = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(project_root())}
        return subprocess.Popen(
            [*before, *self.command(*options, command=command)],
            cwd=project_root(),
            env={**os.environ, **own, **self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, *options: str, command: str = "", before: Sequence[str] = ()) -> str:
        """Runs to the end; returns what was said.

        Raises:
            NotSurvived: the run failed.
        """
        code, said = ended(self.start(*options, command=command, before=before))
        demand(code == 0, f"the run ended with {code}: {said[-500:]}")
        return said

    def finish_here(self, command: str = "") -> str:
        """As ``finish`` with ``PLAIN``, in this process, which spares the start of another."""
        from flannb.experiments.__main__ import main

        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = main(self.command(*PLAIN, command=command)[3:])
        demand(code == 0, f"the run ended with {code}: {said.getvalue()[-500:]}")
        return said.getvalue()

    def outcome(self) -> dict[str, bytes]:
        """What the run made, by file: shards, log, weights, predictions and the report's numbers."""
        steps = self.steps()
        report, train, evaluate = (Path(steps[name].folder) for name in ("report", "train", "evaluate"))
        kept = [
            *sorted((self.home / "runs/data").glob("*/*/*.arrow")),
            *sorted((self.home / "runs/data").glob("*/index.json")),
            *sorted((self.home / "runs/data").glob("*/SHA256SUMS")),
            train / "loss.csv",
            *sorted((train / "model").iterdir()),
            *sorted((evaluate / "predictions").iterdir()),
            *(report / name for name in ("table1.csv", "table1.md", "claims.csv")),
        ]
        return {path.relative_to(self.home).as_posix(): path.read_bytes() for path in kept}


def ended(process: subprocess.Popen[str], timeout: float = TIMEOUT) -> tuple[int, str]:
    """Waits for the end of a run; returns its exit code and what it said.

    Raises:
        NotSurvived: it does not end.
    """
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        said = kill(process)
        raise NotSurvived(f"the run did not end within {timeout:.0f} s; it said: {said[-1000:]}") from None
    return process.returncode, out + err


@contextlib.contextmanager
def none_left(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Kills what of these runs is left when the block ends, however it ends, so that no case disturbs the next."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                kill(process)


def kill(process: subprocess.Popen[str]) -> str:
    """Kills a run and all processes of its group; returns what it had said."""
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate()
    return out + err


class Rehearsed(Reproduction):
    """A reproduction that was run once undisturbed, and can be put back to the beginning of each of its stages.

    All areas of a bench share one (``rehearse``).

    Attributes:
        seconds: that each stage took, from when its folder was there.
        whole: its outcome.
    """

    def __init__(self, home: Path):
        super().__init__(home)
        self.seconds: dict[str, float] = {}
        for stage, command in self.STAGES.items():
            self._keep(stage)
            began = time.time()
            self.finish_here(command)
            started = (Path(self.steps()[stage].folder) / INPUTS).stat().st_mtime
            self.seconds[stage] = time.time() - max(began, started)
        self._keep("end")
        self.whole = self.outcome()

    def back_to(self, stage: str, compiled: bool = False) -> None:
        """Puts everything back as it was when ``stage`` began; ``"end"`` is when all were done.

        Args:
            compiled: the programs of all stages stay in JAX's cache, which saves most of the time.
        """
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._kept(stage), self.home)
        if compiled:
            shutil.copytree(self._kept("end") / COMPILED, self.home / COMPILED, dirs_exist_ok=True)

    def reach(self, process: subprocess.Popen[str], stage: str, share: float) -> None:
        """Waits until a run that starts with ``stage`` is at this share of it, or has ended.

        Raises:
            NotSurvived: the stage does not begin.
        """
        inputs = Path(self.steps()[stage].folder) / INPUTS
        until(lambda: inputs.is_file() or process.poll() is not None, BEGINNING, f"the beginning of {stage}")
        time.sleep(share * self.seconds[stage])

    def compare(self) -> None:
        """Compares the outcome with the undisturbed one.

        Raises:
            NotSurvived: it differs; the message names a file.
        """
        found = self.outcome()
        for name in sorted(self.whole.keys() | found.keys()):
            demand(found.get(name) == self.whole.get(name), f"{name} differs from that of an undisturbed run")

    def _kept(self, stage: str) -> Path:
        return self.home.with_name(f"{self.home.name}-before-{stage}")

    def _keep(self, stage: str) -> None:
        shutil.rmtree(self._kept(stage), ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.home, self._kept(stage))


class Pretraining(Rehearsed):
    """The same of pretraining: both its stages and the report on them count as one."""

    STAGES: ClassVar[dict[str, str]] = {"data": "data", "pretrain": "pretrain"}
    CHOSEN: ClassVar[tuple[str, ...]] = ()

    def steps(self) -> dict[str, Step]:
        """The build, and the first step of pretraining, with which the stage begins."""
        return dict(zip(self.STAGES, pretrain_report_steps(self.options), strict=False))

    def outcome(self) -> dict[str, bytes]:
        """Sums of the build, logs, weights and findings of both stages, and the report's numbers, by file."""
        stages = Path(self.steps()["pretrain"].folder).parent
        kept = [
            *sorted((self.home / "runs/data").glob("*/SHA256SUMS")),
            *sorted(stages.glob("*/loss.csv")),
            *sorted(stages.glob("*/model/*")),
            *sorted(stages.glob("*/findings.json")),
            *(self.home / f"reports/pretrain/tiny/{name}" for name in ("held_out.csv", "pretrain.md")),
        ]
        return {path.relative_to(self.home).as_posix(): path.read_bytes() for path in kept}


_REHEARSED: dict[Path, Rehearsed] = {}


def rehearse(bench: Bench, job: int = 0, kind: type[Rehearsed] = Rehearsed) -> Rehearsed:
    """The rehearsed reproduction of a bench, one for each job side by side; made when it is first asked for."""
    home = bench.folder / f"{'home' if kind is Rehearsed else kind.__name__.lower()}{job}"
    if home not in _REHEARSED:
        _REHEARSED[home] = kind(home)
    return _REHEARSED[home]
