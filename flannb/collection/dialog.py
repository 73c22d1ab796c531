"""Dialog: the turns so far, and the next one.

A task takes one record from each conversation: ``dialog``, the turns so far, one a line, and ``answer``, the turn that
follows. The task chooses the turn, so a corpus can serve several tasks. The paper's sets are WikiDialog, QReCC and
Taskmaster; Sim-M and Sim-R (Shah et al. 2018) are small ones of Taskmaster's kind that anybody can have.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flannb.collection.task import Apply, Column, Data, Field, RawFile, RowError, Split, Task

Turns = list[tuple[str, str]]
"""Speaker and text of every turn, in order."""

USER, SYSTEM = "User", "Assistant"


def simulated_turns(turns: Sequence[dict[str, Any]]) -> Turns:
    """The turns of a Sim-M or Sim-R dialogue, each of whose entries is a system turn, if any, and the user's reply."""
    spoken = [
        (speaker, ((entry.get(key) or {}).get("text") or "").strip())
        for entry in turns or ()
        for speaker, key in ((SYSTEM, "system_utterance"), (USER, "user_utterance"))
    ]
    return [(speaker, text) for speaker, text in spoken if text]


def taskmaster_turns(utterances: Sequence[dict[str, Any]]) -> Turns:
    """The turns of a Taskmaster-2 conversation."""
    speakers = {"USER": USER, "ASSISTANT": SYSTEM}
    return [
        (speakers.get(turn["speaker"].upper(), turn["speaker"]), turn["text"].strip())
        for turn in utterances or ()
        if turn["text"] and turn["text"].strip()
    ]


def wikidialog_turns(utterances: Sequence[str]) -> Turns:
    """The turns of a WikiDialog conversation: the writer of the article begins, a reader asks."""
    return [((SYSTEM, USER)[i % 2], text.strip()) for i, text in enumerate(utterances or ()) if text.strip()]


def reply_index(turns: Turns, last: bool) -> int:
    """The place of the last (or the first) system turn that answers a user's turn.

    Raises:
        RowError: there is none.
    """
    replies = [i for i in range(1, len(turns)) if turns[i][0] == SYSTEM and turns[i - 1][0] == USER]
    if not replies:
        raise RowError("no reply in the dialogue")
    return replies[-1 if last else 0]


def history(value: Any, *, read: Callable[[Any], Turns], last: bool) -> str:
    """The turns before the reply, one a line, each after its speaker."""
    turns = read(value)
    return "\n".join(f"{speaker}: {text}" for speaker, text in turns[: reply_index(turns, last)])


def reply(value: Any, *, read: Callable[[Any], Turns], last: bool) -> str:
    """The text of the reply."""
    turns = read(value)
    return turns[reply_index(turns, last)][1]


def conversation(column: str, read: Callable[[Any], Turns], last: bool = True) -> dict[str, Field]:
    """The fields ``dialog`` and ``answer`` of a corpus whose ``column`` holds what ``read`` turns into turns."""
    return {
        "dialog": Apply(partial(history, read=read, last=last), (column,)),
        "answer": Apply(partial(reply, read=read, last=last), (column,)),
    }


def asked(context: Sequence[str], question: str) -> str:
    """QReCC's earlier questions and answers, and the question now."""
    turns = [*(context or ()), question]
    # the question now is a user's, so counting back from it tells who spoke
    return "\n".join(f"{(USER, SYSTEM)[(len(turns) - 1 - i) % 2]}: {text}" for i, text in enumerate(turns))


def _task(name: str, data: Data, fields: dict[str, Field], note: str = "") -> Task:
    return Task(name, "dialog", data, fields, "dialog", note=note)


SIMULATED = "github/google-research-datasets/simulated-dialogue"
TASKMASTER = ("flights", "food-ordering", "hotels", "movies", "music", "restaurant-search", "sports")

TASKS: tuple[Task, ...] = (
    *(
        _task(
            f"sim_{letter.lower()}_{which}",
            RawFile(f"{SIMULATED}/sim-{letter}/train.json"),
            conversation("turns", simulated_turns, last=which == "closing"),
            note="public addition of Taskmaster's kind",
        )
        for letter in ("M", "R")
        for which in ("opening", "closing")
    ),
    _task("wiki_dialog", Split("djaym7/wiki_dialog", "OQ", "train"), conversation("utterances", wikidialog_turns)),
    _task(
        "qrecc",
        Split("svakulenk0/qrecc", "default", "train"),
        {"dialog": Apply(asked, ("Context", "Question")), "answer": Column("Answer")},
    ),
    *(
        _task(
            f"taskmaster2_{domain.replace('-', '_')}",
            Split("google-research-datasets/taskmaster2", domain, "train"),
            conversation("utterances", taskmaster_turns),
        )
        for domain in TASKMASTER
    ),
)
