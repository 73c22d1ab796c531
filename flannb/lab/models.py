"""Models that the lab can ask: those that were trained here, and any other checkpoint."""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flannb.errors import UserError
from flannb.evaluate.models import FlannbModel, Seq2Seq, open_model
from flannb.experiments import scale
from flannb.experiments.steps import built
from flannb.files import INPUTS, read_json

NO_MODEL = (
    "No model is here yet. In a terminal, `nox -s train -- --rows flan2022,flan2021` trains two within minutes on two"
    " CPU cores. Or name another one: a model's folder, or an address such as hf://google/flan-t5-small."
)

INPUT_LIMIT = 512
"""Tokens of the longest input of a model that does not say what it was trained on; T5's own."""

FIRST = ("flan2022", "flan2021")
"""Rows whose models come first in lists: the pair that the paper compares."""

UNKNOWN_ID = 2
"""What T5's vocabularies have for characters that they lack."""


@dataclass(frozen=True)
class Found:
    """A model's folder.

    Attributes:
        label: how lists name it.
        path: of the folder.
        parameters: how many it has.
    """

    label: str
    path: str
    parameters: int


@dataclass(frozen=True)
class Answer:
    """What a model made of an instruction.

    Attributes:
        read: tokens that it read, end mark included.
        cut: tokens of the instruction that were too many.
        unknown: tokens that stand for characters its vocabulary lacks.
        made: tokens that it generated, without the end mark.
        ended: whether it ended by itself.
        seconds: that it took; the first answer to a length compiles.
    """

    text: str
    read: int
    cut: int
    unknown: int
    made: int
    ended: bool
    seconds: float


def find_models(root: Path) -> list[Found]:
    """The models below a folder: the smallest first, and of one size those of ``FIRST`` before others."""
    from flannb.model.checkpoint import parameters  # JAX and Keras, which looking at data does without

    found = []
    for path in sorted(Path(root).rglob("config.json")):
        folder = path.parent
        try:
            count = parameters(folder)
        except UserError:  # the configuration of something else, or a model that is being written
            continue
        name = folder.relative_to(root).as_posix().removesuffix("/model").removesuffix("/train")
        found.append(Found(f"{name} ({_short(count)} parameters)", folder.as_posix(), count))
    return sorted(found, key=lambda model: (model.parameters, _rank(model), model.label))


def _rank(model: Found) -> int:
    return next((i for i, row in enumerate(FIRST) if row in Path(model.path).parts), len(FIRST))


def _short(count: int) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)


def input_limit(model: str) -> int:
    """Tokens of the longest input that a model is used to, end mark included.

    For one that was trained here, the longest prompt of its scale; for others what their configuration says. T5 itself
    has no limit, since its positions are relative.
    """
    from flannb.model import open_checkpoint
    from flannb.model.hub import is_address

    if not is_address(model):
        with suppress(UserError, KeyError, TypeError):  # it was not trained here
            trained = read_json(Path(model).parent / INPUTS)["parameters"]
            return scale(trained["scale"], built(trained["data"]).collection).prompt_limit
    try:
        return int(open_checkpoint(model).content.get("n_positions", INPUT_LIMIT))
    except (UserError, TypeError, ValueError):
        return INPUT_LIMIT


def opened(model: str) -> Seq2Seq:
    """A model with its tokenizer; the last two stay in memory. Raises as ``flannb.evaluate.models.open_model``."""
    path = Path(model) / "config.json"
    return _opened(model, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=2)
def _opened(model: str, written: int) -> Seq2Seq:
    return open_model(model, batch_size=1)


def answer(model: Seq2Seq, instruction: str, limit: int, most: int) -> Answer:
    """What a model answers, greedily.

    Args:
        limit: tokens of the input; what is beyond is cut off.
        most: tokens generated.

    Raises:
        UserError: the instruction is empty.
    """
    if not instruction.strip():
        raise UserError("Type an instruction, or take the example above.")
    (ids,) = model.encode([instruction])
    room = limit - len(model.prefix) - len(model.suffix)
    prompt = [*model.prefix, *ids[:room], *model.suffix]
    start = time.perf_counter()
    (made,) = model.generate([prompt], most)
    return Answer(
        text=model.decode([made])[0],
        read=len(prompt),
        cut=max(0, len(ids) - room),
        unknown=_unknown(model, ids[:room]),
        made=len(made),
        ended=len(made) < most,
        seconds=time.perf_counter() - start,
    )


def _unknown(model: Seq2Seq, ids: list[int]) -> int:
    return ids.count(UNKNOWN_ID) if isinstance(model, FlannbModel) else 0
