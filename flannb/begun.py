"""What was begun in a folder, on record, so that nothing goes on from what something else has left there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flannb.errors import UserError
from flannb.files import read_json, write_json

BEGUN = "begun.json"


def begin(folder: Path, what: str, about: Mapping[str, Any], option: str = "") -> None:
    """Records what is begun in a folder, unless it is there already.

    Args:
        what: a word for it, such as ``training``.
        about: all that its result depends on; JSON.
        option: of the command that names the folder.

    Raises:
        UserError: something else is in it; the message says what differs.
    """
    path = folder / BEGUN
    now = json.loads(json.dumps(about))
    if not path.is_file():
        write_json(path, now)
        return
    before = read_json(path)
    if not isinstance(before, dict):
        raise UserError(f"{path}: says of no {what} what it is; delete {folder}, or name another folder")
    if before != now:
        raise UserError(
            f"{folder}: holds a {what} with other {', '.join(_differing(now, before))}. To keep it, name another"
            f" folder{f' with {option}' if option else ''}; else delete this one. Then run again."
        )


def _differing(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """The names of what differs, each with those of its parts that do."""
    found = []
    for name in now | before:
        new, old = now.get(name), before.get(name)
        if new != old:
            parts = _differing(new, old) if isinstance(new, dict) and isinstance(old, dict) else []
            found.append(f"{name} ({', '.join(parts)})" if parts else name)
    return found
