"""Running steps: each a notebook executed by papermill into a folder of its own, skipped where it is done already.

A step is done when its folder's ``manifest.json`` bears the step's key, which hashes everything that the step depends
on, and every output is there with the size on record. The manifest is written last, so a killed step has none: it runs
again and goes on from what it had saved. What was made under another key is removed first and never mixed in.
"""

import importlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from flannb.build.workers import CLUSTER, dask_client
from flannb.errors import UserError
from flannb.files import code_digest, digest, read_json, sha256, write_json
from flannb.processes import are_several

MANIFEST = "manifest.json"
INPUTS = "inputs.json"
KERNEL_LOG = "kernel.log"


@dataclass(frozen=True)
class Step:
    """One unit of work.

    Attributes:
        name: for people, such as ``flan2022/train``.
        folder: where it writes, relative to the project's root.
        notebook: the notebook that papermill executes.
        function: the plain function that does the same without papermill: its name in ``flannb.experiments.steps``, or
            in another module of ``flannb.experiments`` as ``module.name``.
        parameters: of notebook and function; JSON.
        code: the parts of the package that its result depends on.
        state: hashes of other inputs, such as the source's files.
        needs: the steps whose folders it reads.
        threads: CPU threads of its kernel; 0 leaves it to JAX.
        cache: folder of JAX's compiled programs; empty for none.
    """

    name: str
    folder: str
    notebook: str
    function: str
    parameters: Mapping[str, Any]
    code: tuple[str, ...]
    state: str = ""
    needs: tuple["Step", ...] = field(default=())
    threads: int = 0
    cache: str = ""

    @property
    def key(self) -> str:
        """Hash of all that the step depends on."""
        notebook = sha256(Path(self.notebook))
        code = code_digest(*self.code)
        return digest([notebook, self.function, dict(self.parameters), code, self.state, [n.key for n in self.needs]])


def is_done(step: Step) -> bool:
    """Whether the step's manifest bears its key and its outputs are there in full."""
    path = Path(step.folder) / MANIFEST
    if not path.is_file():
        return False
    try:
        manifest = read_json(path)
        outputs = manifest["outputs"]
        return manifest["key"] == step.key and all(
            (Path(step.folder) / name).is_file() and (Path(step.folder) / name).stat().st_size == entry["bytes"]
            for name, entry in outputs.items()
        )
    except (UserError, KeyError, TypeError):
        return False


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
        raise UserError(f"{step.name}: {error}") from None


def _run_step(step: Step, papermill: bool) -> float:
    if step.function == "train_step" and are_several(os.environ):
        import jax

        from flannb.train.distribution import join_processes, of_all_processes

        join_processes()
        done = of_all_processes(is_done(step))[0]
        if jax.process_index():  # the first process keeps the folder; the others train with it
            if not done:
                _call(step)
            return 0.0
    folder = Path(step.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if is_done(step):
            return 0.0
        _prepare(folder, step)
        started = time.time()
        if papermill:
            _execute(step)
        else:
            _call(step)
        seconds = time.time() - started
        write_json(folder / MANIFEST, _manifest(step, seconds))
        return seconds


def _prepare(folder: Path, step: Step) -> None:
    """Empties the folder unless what is in it was made under the same key."""
    inputs = {"key": step.key, "parameters": dict(step.parameters)}
    path = folder / INPUTS
    if not path.is_file() or _key_in(path) != step.key:
        shutil.rmtree(folder)
        folder.mkdir()
        write_json(path, inputs)


def _key_in(path: Path) -> str:
    try:
        return str(read_json(path)["key"])
    except (UserError, KeyError, TypeError):
        return ""


def _call(step: Step) -> None:
    import jax

    for option, value in _compilation_cache(step).items():  # JAX has read its environment already
        jax.config.update(option, value)
    module, _, name = step.function.rpartition(".")
    function = getattr(importlib.import_module(f"flannb.experiments.{module or 'steps'}"), name)
    function(folder=step.folder, **step.parameters)


def _execute(step: Step) -> None:
    import papermill as pm
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    output = Path(step.folder) / Path(step.notebook).name
    log = Path(step.folder) / KERNEL_LOG
    before = dict(os.environ)
    os.environ.update(kernel_environment(step))
    try:
        with log.open("ab") as errors:
            pm.execute_notebook(
                step.notebook,
                str(output),
                parameters={"folder": step.folder, **step.parameters},
                kernel_name="python3",
                kernel_manager_class=_kernels(errors),
                progress_bar=False,
                cwd=".",
                extra_arguments=["--log-level=ERROR"],  # the kernel warns of a connection that stays on this machine
            )
    except PapermillExecutionError as error:
        if error.ename in (UserError.__name__, "SystemExit"):
            raise UserError(error.evalue) from None
        raise UserError(
            f"{error.ename}: {error.evalue}\n"
            f"  The traceback is in {output}; this is a defect of flannb, please report it."
        ) from None
    except DeadKernelError:
        raise UserError(
            "its process was killed; if memory ran out, pass a smaller --workers. The same command goes on.\n"
            f"  Its last words, if any, are in {log}."
        ) from None
    finally:
        os.environ.clear()
        os.environ.update(before)


def _kernels(errors: BinaryIO) -> type:
    """A manager of kernels whose own error output goes to a file: that of several would mix in the terminal, and what
    matters of it reaches people as the notebook's output.
    """
    from jupyter_client.manager import AsyncKernelManager

    class Kernels(AsyncKernelManager):
        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            await super().start_kernel(**kwargs, stderr=errors)

    return Kernels


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
        and path.name not in (MANIFEST, INPUTS, KERNEL_LOG)
        and "checkpoints" not in path.parts
        and not path.name.endswith((".lock", ".tmp"))
    )
    return {
        "key": step.key,
        "step": step.name,
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
    manifest = read_json(Path(step.folder) / MANIFEST)
    return {"key": manifest["key"], "seconds": manifest["seconds"]}


def machine() -> dict[str, Any]:
    """Hardware and system, without names that belong to one machine."""
    import platform

    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
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


def run_all(steps: Iterable[Step], workers: int, cluster: str, papermill: bool) -> dict[str, float]:
    """Runs steps in the order of their needs, independent ones side by side, with a progress bar.

    Args:
        workers: processes of the local Dask cluster. One without papermill and without a cluster needs no Dask: the
            steps run in this process.
        cluster: address of a Dask scheduler whose workers share this folder; empty for a local cluster.
        papermill: as in ``run_step``.

    Returns:
        Seconds of each step by name.

    Raises:
        UserError: a step failed; the others have been stopped and go on when run again.
    """
    from tqdm.auto import tqdm

    steps = list(steps)
    if are_several(os.environ) and (papermill or workers > 1 or cluster):
        raise UserError(
            "the environment tells of several processes: pass --plain --workers 1, so that they train together, or"
            " start one process"
        )
    waiting = [step for step in steps if not is_done(step)]
    seconds = dict.fromkeys((step.name for step in steps), 0.0)
    with tqdm(total=len(steps), initial=len(steps) - len(waiting), unit="step", file=sys.stderr) as bar:

        def finished(name: str, took: float) -> None:
            seconds[name] = took
            bar.update(1)
            bar.write(f"{name}: {took:.0f} s", file=sys.stderr)

        if workers == 1 and not cluster and not papermill:
            for step in waiting:
                bar.set_postfix_str(step.name)
                finished(step.name, run_step(step, papermill))
        elif waiting:
            _distribute(waiting, workers, cluster, papermill, finished)
    return seconds


def _distribute(
    waiting: list[Step], workers: int, cluster: str, papermill: bool, finished: Callable[[str, float], None]
) -> None:
    _silence_dask()
    from dask.distributed import KilledWorker, as_completed

    with ExitStack() as stack:
        # Local workers ignore Ctrl-C: it is this process that stops them.
        with nullcontext() if cluster else _interrupts_ignored():
            client = stack.enter_context(dask_client(workers, cluster, timeout="20s"))
        futures: dict[str, Any] = {}
        for step in waiting:
            before = [futures[need.name] for need in step.needs if need.name in futures]
            futures[step.name] = client.submit(
                _after, step, papermill, before, bool(cluster), key=step.name, pure=False
            )
        for future in as_completed(futures.values()):
            try:
                finished(future.key, future.result())
            except KilledWorker:
                raise UserError(
                    f"{future.key}: its process was killed; if memory ran out, pass a smaller --workers."
                    " The same command goes on."
                ) from None


def _silence_dask() -> None:
    """Leaves it to the steps to say what went wrong; Dask's own report of the same failure would hide it.

    Dask reads these settings when it is first imported, in this process and in the workers.
    """
    os.environ |= {
        "DASK_LOGGING__DISTRIBUTED": "critical",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        # Dask's profiler and clocks would take a tenth of two cores from the work.
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
        "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
        "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    }
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started inside ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _after(step: Step, papermill: bool, before: list[float], fan_out: bool) -> float:
    """``run_step`` on a worker, once the steps before it are done.

    A step of one thread gets a core of its own: the thread pools of several kernels on the same cores would otherwise
    slow each other down threefold.

    Args:
        fan_out: a build sends its parts to the cluster that runs the steps, this worker included.
    """
    from dask.distributed import get_worker, secede

    if fan_out and step.function == "build_step":
        os.environ[CLUSTER] = get_worker().scheduler.address
        secede()
    name = str(get_worker().name)
    if step.threads != 1 or not name.isdigit() or not hasattr(os, "sched_setaffinity"):
        return run_step(step, papermill)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(name) % len(cores)]})
    try:
        return run_step(step, papermill)
    finally:
        os.sched_setaffinity(0, cores)
