"""The one exception that a user can mend: its message says what is wrong, where, and what to do."""

import unicodedata


class UserError(Exception):
    """Bad input or a missing resource. The command line prints the message without a traceback and exits with 2."""


class ProcessLost(UserError):
    """Another process of a training is gone, so that this one cannot go on."""


def printable(text: str) -> str:
    r"""``text`` for a terminal: what would steer it (escapes, marks of direction) is written as ``\x1b`` and the like.

    Messages quote names and values from files, which anybody may have written.
    """
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
