"""Running steps: each a notebook executed by papermill into a folder of its own, skipped where it is done already.

The manifest is written last, so a killed step has none: it runs again and goes on from what it had saved. What was made
under another key is removed first and never mixed in; what was damaged since is named and made again.
"""

import importlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from flannb.errors import UserError
from flannb.experiments.cluster import on_cluster
from flannb.experiments.condition import beside, forget_record, lock_of, log_of, on_record
from flannb.experiments.devices import gpu_names, has_accelerator
from flannb.experiments.durations import Durations
from flannb.experiments.kernels import kernels, register
from flannb.experiments.side_by_side import KILLED, side_by_side
from flannb.experiments.step import Step, find_state, is_done, key_in
from flannb.experiments.watch import Spoken, Watch
from flannb.files import INPUTS, MANIFEST, exhausted, read_sealed, sha256, write_sealed
from flannb.processes import are_several
from flannb.progress import PROGRESS, environment, remark

TRAINING = ("pretrain_step", "train_step")
"""Functions that all processes of a run call together."""


def run_step(step: Step, papermill: bool = True) -> float:
    """Runs a step unless it is done; returns the seconds that it took, 0 if it was done.

    Two processes never work in one folder: the second waits, then finds the step done. Those of one training
    (``flannb.processes``) do it together.

    Args:
        papermill: execute the notebook; otherwise call the plain function in this process.

    Raises:
        UserError: what the step could not do, in its own words, after the step's name.
    """
    try:
        return _run_step(step, papermill)
    except UserError as error:
        raise type(error)(f"{step.name}: {error}\n  Its log: {log_of(step.folder)}") from None
    except Exception as error:
        if (told := exhausted(error)) is None:
            raise
        raise UserError(f"{step.name}: {told}\n  Its log: {log_of(step.folder)}") from error


def _run_step(step: Step, papermill: bool) -> float:
    if step.function in TRAINING and are_several(os.environ):
        import jax

        from flannb.train.distribution import join_processes, of_all_processes

        join_processes()
        done = of_all_processes(is_done(step))[0]
        if jax.process_index():  # the first process keeps the folder; the others train with it
            if not done:
                _call(step)
            seconds = 0.0
        else:
            seconds = _run_alone(step, papermill)
        of_all_processes(True)  # nobody goes on before the folder is whole
        return seconds
    return _run_alone(step, papermill)


def _run_alone(step: Step, papermill: bool) -> float:
    folder = Path(step.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_of(folder):
        if is_done(step):
            return 0.0
        with on_record(step), environment({PROGRESS: str(beside(folder, "progress").absolute())}):
            _prepare(folder, step)
            started = time.time()
            if papermill and step.notebook:
                _execute(step)
            else:
                _call(step)
            seconds = time.time() - started
            write_sealed(folder / MANIFEST, _manifest(step, seconds))
        return seconds


def _prepare(folder: Path, step: Step) -> None:
    """Empties the folder unless what is in it was made under the same key."""
    inputs = {"key": step.key, "parameters": dict(step.parameters)}
    path = folder / INPUTS
    if key_in(path) != step.key:
        shutil.rmtree(folder)
        folder.mkdir()
        write_sealed(path, inputs)
    for left in folder.rglob(".*.tmp"):  # by a kill
        left.unlink(missing_ok=True)


def forget(step: Step) -> None:
    """Removes what a step has made, once nobody is at work on it."""
    folder = Path(step.folder)
    if folder.is_dir():
        with lock_of(folder):
            shutil.rmtree(folder)
            forget_record(folder)


def _call(step: Step) -> None:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = jax.config.values["jax_compilation_cache_dir"]
    for name, value in _compilation_cache(step).items():  # JAX has read its environment already
        jax.config.update(name, value)
    if jax.config.values["jax_compilation_cache_dir"] != before:
        compilation_cache.reset_cache()  # JAX would keep to the first folder
    function = getattr(importlib.import_module("flannb.experiments"), step.function)
    function(folder=step.folder, **step.parameters)


def _execute(step: Step) -> None:
    # jsonschema, which checks notebooks for papermill, would first build a grammar of addresses, which they do not
    # have; that takes longer than all other imports of this process.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill as pm
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    output = Path(step.folder) / Path(step.notebook).name
    try:
        with log_of(step.folder).open("a", encoding="utf-8") as log, environment(kernel_environment(step)):
            pm.execute_notebook(
                step.notebook,
                str(output),
                parameters={"folder": step.folder, **step.parameters},
                kernel_name="python3",
                engine_name=register(),
                kernel_manager_class=kernels(log),
                stdout_file=log,
                stderr_file=log,
                progress_bar=False,
                cwd=".",
                extra_arguments=["--log-level=ERROR"],  # the kernel warns of a connection that stays on this machine
            )
    except PapermillExecutionError as error:
        if error.ename in (UserError.__name__, "SystemExit"):
            raise UserError(error.evalue) from None
        found = re.fullmatch(r"\[Errno (\d+)\] ([^:]*)(?:: '(.*)')?", error.evalue)
        if found and (told := exhausted(OSError(int(found[1]), found[2], found[3]))):
            raise told from None
        raise UserError(
            f"{error.ename}: {error.evalue}\n"
            f"  The traceback is in {output}; this is a defect of flannb, please report it."
        ) from None
    except DeadKernelError:
        raise UserError(KILLED) from None


def _compilation_cache(step: Step) -> dict[str, Any]:
    """JAX's options that keep compiled programs between processes, by their names."""
    if not step.cache:
        return {}
    return {
        "jax_compilation_cache_dir": str(Path(step.cache).absolute()),
        "jax_persistent_cache_min_compile_time_secs": 0.5,
    }


def kernel_environment(step: Step) -> dict[str, str]:
    """Environment of a step's kernel: compiled programs are kept between kernels, and CPU threads bounded."""
    environment = {name.upper(): str(value) for name, value in _compilation_cache(step).items()}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if step.threads == 1:
        # For models this small, handing work between threads and memory back to the system costs more than the work:
        # one thread that computes as it dispatches and keeps its memory is half as fast again.
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        environment["JAX_CPU_ENABLE_ASYNC_DISPATCH"] = "false"
        environment |= {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
    return environment


def _manifest(step: Step, seconds: float) -> dict[str, Any]:
    folder = Path(step.folder)
    outputs = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (MANIFEST, INPUTS)
        and "checkpoints" not in path.relative_to(folder).parts
        and not path.name.endswith((".lock", ".tmp"))
    )
    return {
        "key": step.key,
        "step": step.name,
        **({"command": step.command} if step.command else {}),
        "parameters": dict(step.parameters),
        "needs": {need.name: _on_record(need) for need in _ancestors(step)},
        "outputs": {
            str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in outputs
        },
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
    }


def _ancestors(step: Step) -> list[Step]:
    """All steps that a step depends on, each once, first the nearest."""
    found: dict[str, Step] = {}
    for need in step.needs:
        found |= {need.name: need} | {s.name: s for s in _ancestors(need)}
    return list(found.values())


def _on_record(step: Step) -> dict[str, Any]:
    manifest = read_sealed(Path(step.folder) / MANIFEST)
    made = manifest.get("machine", {})
    device = ", ".join(made.get("gpus", ())) or made.get("accelerator") or made.get("processor", "")
    return {"key": manifest["key"], "seconds": manifest["seconds"], "device": device}


def machine() -> dict[str, Any]:
    """Hardware and system, without names that belong to one machine."""
    import platform

    names = gpu_names()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": names,
        **({"accelerator": "other than NVIDIA's"} if has_accelerator() and not names else {}),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def versions() -> dict[str, str]:
    """Versions of the packages that results may depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("flannb", "jax", "jaxlib", "keras", "grain", "sentencepiece", "numpy", "pyarrow", "orbax-checkpoint"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_all(
    steps: Iterable[Step], workers: int, cluster: str, papermill: bool, durations: Durations | None = None
) -> dict[str, float]:
    """Runs steps in the order of their needs, independent ones side by side, and shows how they go.

    Args:
        workers: processes of this machine; one without papermill runs the steps in this process.
        cluster: address of a Dask scheduler whose workers share this folder, instead.
        papermill: as in ``run_step``.
        durations: what steps take, to tell the time left; that of none is known by default.

    Returns:
        Seconds of each step by its folder.

    Raises:
        UserError: a step failed; the others have been stopped and go on when run again.
    """
    steps = list(steps)
    if are_several(os.environ) and (papermill or workers > 1 or cluster):
        raise UserError(
            "the environment tells of several processes: pass --plain --workers 1, so that they train together, or"
            " start one process"
        )
    states = {step.folder: find_state(step) for step in steps}
    waiting = [step for step in steps if states[step.folder] != (True, "")]
    seconds = dict.fromkeys((step.folder for step in steps), 0.0)
    for step in steps:
        if damage := states[step.folder][1]:
            remark(f"{step.name}: {damage}; made again")
    here = workers == 1 and not cluster and not papermill
    with Spoken() as spoken, Watch(steps, waiting, workers, durations or Durations(), here) as watch:

        def finished(step: Step, took: float) -> None:
            seconds[step.folder] = took
            watch.finished(step, took)

        if here:
            for step in waiting:
                with spoken.kept(log_of(step.folder)):
                    took = run_step(step, papermill)
                finished(step, took)
        elif cluster and waiting:
            on_cluster(waiting, cluster, partial(run_step, papermill=papermill), finished)
        else:
            side_by_side(waiting, workers, partial(run_step, papermill=papermill), finished)
    return seconds
