"""Files of one's own that add to the laboratory: data, evaluation sets, mixtures, rows of tables.

Such a file is a Python module whose names in capitals say what it adds (``KINDS``); ``--extra FILE`` names it, or
``use(FILE)`` in a notebook. Each stage asks for what is its own (``declared``). An environment variable carries the
names to every process that a run starts, and what depends on a file has its hash in the address; not the hashes of
modules that it imports, so that after a change to one of these, ``--force`` makes things anew.

The file is executed, as a notebook is: name none that you would not run.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from flannb.errors import UserError
from flannb.files import digest, sha256
from flannb.names import split_names

EXTRA = "FLANNB_EXTRA"
"""Environment variable: the files' paths, as ``PATH`` has folders."""

KINDS: dict[str, type] = {
    "TASKS": list,
    "TEMPLATES": list,
    "COLLECTIONS": list,
    "EVAL_TASKS": list,
    "MIXTURES": dict,
    "ROWS": dict,
}
"""What a file may declare: lists, name -> mixture, and artefact -> list of rows."""

OF = {
    "TASKS": "flannb.collection.Task",
    "TEMPLATES": "flannb.collection.TemplateSet",
    "COLLECTIONS": "flannb.collection.Collection",
    "EVAL_TASKS": "flannb.collection.EvalTask",
    "MIXTURES": "flannb.mixture.Mixture",
    "ROWS": "flannb.experiments.Row",
}
"""The classes of what they hold; their modules import this one."""

DATA = ("TASKS", "TEMPLATES", "COLLECTIONS")
"""The kinds that a build depends on."""

BUILT_IN = {"public": Path(__file__).parent / "collection" / "public.py"}
"""Files that come with the package, by their names."""


def use(*names: str | os.PathLike[str]) -> None:
    """Takes these files, and no others, in this process and all that it starts; a file that was changed is read again.

    Args:
        names: paths, or keys of ``BUILT_IN``; none for no file.

    Raises:
        UserError: a file is missing, fails, or declares nothing.
    """
    paths = [str(BUILT_IN.get(str(name)) or Path(name).absolute()) for name in names]
    if wrong := next((path for path in paths if os.pathsep in path), None):
        raise UserError(f"--extra {wrong}: its path has a '{os.pathsep}', which separates paths; move or rename it")
    _load.cache_clear()
    _load(os.pathsep.join(paths))  # before those in use are given up
    os.environ.pop(EXTRA, None)
    if paths:
        os.environ[EXTRA] = os.pathsep.join(paths)


def add_option(made: argparse.ArgumentParser, about: str) -> None:
    """``--extra``, whose help is ``about``."""
    made.add_argument("--extra", metavar="A,B", help=f"{about} (flannb/extra.py)")


def as_asked(given: argparse.Namespace) -> None:
    """Takes the files that ``--extra`` names; without it, those of the environment stay. Raises as ``use``."""
    if given.extra is not None:
        use(*split_names(given.extra))


def files() -> tuple[str, ...]:
    """The paths of the files in use."""
    return tuple(filter(None, os.environ.get(EXTRA, "").split(os.pathsep)))


def names() -> list[str]:
    """What the files in use are called: a key of ``BUILT_IN``, or the file's name."""
    built_in = {str(path): name for name, path in BUILT_IN.items()}
    return [built_in.get(path, Path(path).name) for path in files()]


def declared(kind: str) -> Any:
    """All that the files declare of a kind, in their order: a new list, or dictionary.

    Raises:
        UserError: as ``use``, or two files have one name for two things.
    """
    values = [getattr(module, kind, KINDS[kind]()) for module, _ in _load(os.environ.get(EXTRA, ""))]
    if KINDS[kind] is list:
        return [thing for value in values for thing in value]
    merged: dict[str, Any] = {}
    for value in values:
        if twice := sorted(set(merged) & set(value)):
            raise UserError(f"--extra: '{twice[0]}' is in {kind} of two files")
        merged |= value
    return merged


def fingerprint(*kinds: str) -> str:
    """A hash of the files that declare any of these kinds; empty where none does."""
    found = [sha for module, sha in _load(os.environ.get(EXTRA, "")) if any(hasattr(module, kind) for kind in kinds)]
    return digest(found) if found else ""


@cache
def _load(paths: str) -> tuple[tuple[ModuleType, str], ...]:
    """The files as modules, each with its hash."""
    names = [Path(path) for path in paths.split(os.pathsep) if path]
    if len({path.stem for path in names}) < len(names):
        raise UserError(f"--extra {', '.join(map(str, names))}: two files of one name; rename one")
    return tuple(_module(path) for path in names)


def _module(path: Path) -> tuple[ModuleType, str]:
    if not path.is_file():
        raise UserError(f"--extra {path}: no such file. Name a Python file, or one of {', '.join(BUILT_IN)}.")
    sha = sha256(path)
    # Tasks go to other processes by the names of their functions, which are looked up in this module.
    spec = spec_from_file_location(f"flannb_extra_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--extra {path}: not a Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the code of the file raises
        raise UserError(f"--extra {path}: {_line(error, path)}{type(error).__name__}: {error}") from error
    found = [kind for kind in KINDS if hasattr(module, kind)]
    if not found:
        raise UserError(f"--extra {path}: declares none of {', '.join(KINDS)}")
    for kind in found:
        _check(path, kind, getattr(module, kind), KINDS[kind], OF[kind])
    return module, sha


def _check(path: Path, name: str, value: Any, kind: type, of: str) -> None:
    """Checks what a file declares.

    Args:
        name: of the value, such as ``TASKS``.
        kind: list or dict.
        of: the class of its items, or of the items of these where it is ``ROWS``.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(value, Mapping if kind is dict else (list, tuple)):
        raise UserError(f"--extra {path}: {name} must be a {kind.__name__}")
    module, _, wanted = of.rpartition(".")
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        place = f"item {key!r} of {name}"
        if name == "ROWS":
            _check(path, place, item, list, of)
        elif not isinstance(item, getattr(import_module(module), wanted)):
            raise UserError(f"--extra {path}: {place} must be a {of}, and is {type(item).__name__}")


def _line(error: BaseException, path: Path) -> str:
    """The last line of the file that the error went through."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return f"line {number}: " if number else ""
