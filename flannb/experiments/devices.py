"""The devices that runs have: which there are, and how rows that run side by side share them.

What is asked before a run does not start JAX, which would claim the memory of every GPU for this process.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile

from flannb.build.workers import default_workers as usable_cores
from flannb.errors import UserError
from flannb.names import split_names

GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Devices:
    """Devices of one kind.

    Attributes:
        kind: what JAX calls it, such as ``NVIDIA H100 80GB HBM3``; ``cpu`` for processors.
        count: of them.
        memory: bytes that JAX may use on each, where it is known.
        fused: whether attention over packed rows is fused on them, in 16 bits.
        here: whether they are this machine's.
    """

    kind: str
    count: int
    memory: int | None
    fused: bool
    here: bool

    def __str__(self) -> str:
        return f"{self.count} x {self.kind}"


def at_hand() -> Devices:
    """The devices that JAX finds, which it starts for that."""
    import jax

    from flannb.model.attention import choose
    from flannb.train.memory import device_memory

    found = jax.devices()
    fused = choose("auto", "bfloat16", head_dim=64, drops=True) == "flash"
    return Devices(found[0].device_kind, len(found), device_memory(), fused, here=True)


def named(text: str) -> Devices:
    """Devices by words such as ``8xH100``, to plan for machines that are elsewhere; they count as GPUs.

    Raises:
        UserError: the words are others, or name a kind whose peak flannb does not know.
    """
    from flannb.model.flops import PEAK_TFLOPS, device_peak_flops

    match = re.fullmatch(r"\s*([1-9]\d*)\s*[xX]\s*(\S.*?)\s*", text)
    if match is None or device_peak_flops(match[2]) is None:
        wrong = f"{match[2]} is unknown" if match else "write 8xH100"
        raise UserError(f"--devices {text}: {wrong}; kinds are {', '.join(name for name, _ in PEAK_TFLOPS)}")
    return Devices(match[2], int(match[1]), None, fused="TPU" not in match[2], here=False)


def has_accelerator() -> bool:
    """Whether JAX will find a GPU or TPU, as far as can be told without starting it.

    ``JAX_PLATFORMS`` decides where it is set; else JAX's plugin must be installed, and for a GPU its driver too, and
    ``CUDA_VISIBLE_DEVICES`` must leave one.
    """
    if platforms := os.environ.get("JAX_PLATFORMS", ""):
        return platforms.split(",")[0] != "cpu"
    return _has_cuda() or find_spec("libtpu") is not None


def _has_cuda() -> bool:
    plugin = any(find_spec(name) is not None for name in ("jax_cuda12_plugin", "jax_cuda13_plugin"))
    return plugin and shutil.which("nvidia-smi") is not None and _visible() != ()


def _visible() -> tuple[str, ...] | None:
    """What ``CUDA_VISIBLE_DEVICES`` leaves: GPUs up to the first that there cannot be; None where it is not set."""
    if GPUS not in os.environ:
        return None
    return tuple(takewhile(lambda name: not name.startswith("-"), split_names(os.environ[GPUS])))


def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that JAX will find, by their names in ``CUDA_VISIBLE_DEVICES``; none where it uses others."""
    if not has_accelerator() or not _has_cuda():
        return ()
    visible = _visible()
    return tuple(index for index, _, _ in _listed()) if visible is None else visible


def gpu_names() -> list[str]:
    """What the driver calls the GPUs that JAX will find, such as ``NVIDIA H200``."""
    if not (found := gpus()):
        return []
    return [name for index, name, uuid in _listed() if index in found or uuid in found]


def _listed() -> list[tuple[str, str, str]]:
    """Index, name and UUID of each GPU of this machine."""
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return re.findall(r"^GPU (\d+): (.*) \(UUID: (.*)\)", listed.stdout, flags=re.MULTILINE)


def default_workers(rows: int) -> int:
    """How many rows are trained side by side.

    One for each CPU core. With GPUs one for each, which a row that has one alone uses best, unless there are more GPUs
    than rows: then, as on TPUs, one row at a time is trained data-parallel on all devices.
    """
    if not has_accelerator():
        return usable_cores()
    found = len(gpus())
    return found if 1 <= found <= rows else 1


def share(slot: int, workers: int, found: tuple[str, ...]) -> Mapping[str, str]:
    """Environment of the process ``slot`` of so many ``workers`` that run side by side, which see a part of the GPUs.

    Processes that share a GPU also share its memory, which JAX would otherwise claim for the first of them.
    """
    if workers == 1 or not found:
        return {}
    each = max(1, len(found) // workers)
    own = [found[(slot * each + i) % len(found)] for i in range(each)]
    together = -(-workers // len(found))
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / together:.2f}"} if together > 1 else {}
    return {GPUS: ",".join(own), **memory}


LEAST_MEMORY = 3 * 2**29
"""Bytes that the smallest run takes, its libraries included; with less, some of them end the process or spin."""


def check_memory() -> None:
    """Raises ``UserError`` where a limit of this process (``ulimit``) leaves less memory than any run takes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for name, option in (("RLIMIT_DATA", "-d"), ("RLIMIT_AS", "-v")):
        limit, _ = resource.getrlimit(getattr(resource, name))
        if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
            raise UserError(
                f"this process may use {limit / 2**20:,.0f} MiB of memory only, and a run takes at least"
                f" {LEAST_MEMORY >> 20:,}; raise the limit (ulimit {option} unlimited, or the memory that the batch"
                " system grants)"
            )
