"""A step, the unit of work of a run, and whether it is done.

A step is done when its folder's ``manifest.json`` bears the step's key, which hashes everything that the step depends
on, and every output has the hash on record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flannb.errors import UserError
from flannb.files import MANIFEST, code_digest, digest, inside, is_intact, read_sealed, sha256


@dataclass(frozen=True)
class Step:
    """One unit of work.

    Attributes:
        name: for people, such as ``flan2022/train``.
        folder: where it writes, relative to the project's root.
        notebook: the notebook that papermill executes; empty where the function is called in any case.
        function: the plain function of ``flannb.experiments`` that does the same without papermill.
        parameters: of notebook and function; JSON.
        code: the parts of the package that its result depends on.
        state: hashes of other inputs, such as the source's files.
        needs: the steps whose folders it reads.
        threads: CPU threads of its kernel; 0 leaves it to JAX.
        cache: folder of JAX's compiled programs; empty for none.
        command: what makes it and all that it needs; for the record.
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
    command: str = ""

    @cached_property
    def key(self) -> str:
        """Hash of all that the step depends on."""
        notebook = sha256(Path(self.notebook)) if self.notebook else ""
        code = code_digest(*self.code)
        return digest([notebook, self.function, dict(self.parameters), code, self.state, [n.key for n in self.needs]])


def is_done(step: Step) -> bool:
    """Whether the step's manifest bears its key and its outputs are as they were written."""
    return find_state(step) == (True, "")


def find_state(step: Step, verify: bool = True) -> tuple[bool, str]:
    """Whether a step has been done under its key, and what of it is damaged since; empty where nothing is.

    Args:
        verify: compare hashes; else only sizes, which takes no time.
    """
    path = Path(step.folder) / MANIFEST
    if not path.is_file():
        return False, ""
    try:
        manifest = read_sealed(path)
        outputs: dict[str, dict[str, Any]] = manifest["outputs"]
        if manifest["key"] != step.key:
            return False, ""
        for name, entry in outputs.items():
            output = inside(Path(step.folder), name)
            whole = output.is_file() and output.stat().st_size == entry["bytes"]
            if not whole or (verify and not is_intact(output, entry["sha256"])):
                return True, f"{output} is missing or not as it was written"
        return True, _damage_of_build(step) if verify and step.function == "build_step" else ""
    except (UserError, KeyError, TypeError, AttributeError) as error:
        return True, str(error) if isinstance(error, UserError) else f"{path} is damaged"


def _damage_of_build(step: Step) -> str:
    """The shards, which builds share, are no outputs of the step."""
    from flannb.build.index import damaged_files
    from flannb.experiments.steps import built

    damaged = damaged_files(built(step.folder))
    more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
    return f"{damaged[0]}{more} is missing or not as it was written" if damaged else ""


def seconds_of(step: Step) -> float:
    """The seconds that a step took which is done."""
    return float(read_sealed(Path(step.folder) / MANIFEST)["seconds"])


def key_in(path: Path) -> str:
    """The key in a step's ``inputs.json``; empty where there is none."""
    try:
        return str(read_sealed(path)["key"])
    except (UserError, KeyError, TypeError):
        return ""
