"""What the suites need of a model, and flannb's own model in that form."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flannb.build import Tokenizer
from flannb.build.data import TOKENIZER
from flannb.errors import UserError
from flannb.files import read_json
from flannb.vocabulary import EOS_ID

if TYPE_CHECKING:
    from flannb.model import T5, Likelihood

Progress = Callable[[int], object]
"""Called with the number of prompts done, after each batch."""


class TextEncoder(Protocol):
    """How a model reads text.

    Attributes:
        prefix, suffix: token ids around every prompt, such as the end mark.
        joins: whether the tokens of texts joined by white space are the tokens of each, one after the other, as in T5's
            vocabulary.
    """

    prefix: Sequence[int]
    suffix: Sequence[int]
    joins: bool

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without prefix and suffix."""
        ...


class Seq2Seq(TextEncoder, Protocol):
    """A sequence-to-sequence model with its tokenizer.

    Attributes:
        name: identifies the model in records; predictions of another one are not taken for its own.
        batch_size: prompts a batch.
    """

    name: str
    batch_size: int

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of generated tokens."""
        ...

    def generate(self, prompts: Sequence[Sequence[int]], max_length: int, progress: Progress = ...) -> list[list[int]]:
        """Greedy continuations, of at most ``max_length`` tokens, in the order of the prompts."""
        ...

    def score(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]], progress: Progress
    ) -> "list[list[Likelihood]]":
        """The likelihood of each continuation of each prompt, each prompt encoded once (see ``flannb.model.score``)."""
        ...


class FlannbModel:
    """A T5 of flannb with its tokenizer, as the suites take it."""

    prefix: Sequence[int] = ()
    suffix: Sequence[int] = (EOS_ID,)
    joins = True

    def __init__(self, model: "T5", tokenizer: Tokenizer, batch_size: int = 64, name: str = "flannb"):
        self.model, self.tokenizer, self.batch_size, self.name = model, tokenizer, batch_size, name

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer.encode(texts)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        return self.tokenizer.decode(ids)

    def generate(
        self, prompts: Sequence[Sequence[int]], max_length: int, progress: Progress = lambda done: None
    ) -> list[list[int]]:
        from flannb.model import generate  # JAX and Keras, which reading predictions does without

        return generate(self.model, prompts, max_length, self.batch_size, progress=progress)

    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        progress: Progress = lambda done: None,
    ) -> "list[list[Likelihood]]":
        from flannb.model import score

        return score(self.model, prompts, continuations, self.batch_size, progress=progress)


def open_model(checkpoint: str, tokenizer: str = "", batch_size: int = 64, dtype: str = "float32") -> Seq2Seq:
    """A model by its folder: one of flannb, or one of ``transformers``; any other name is one on the Hugging Face Hub.

    Args:
        tokenizer: for flannb's models, a SentencePiece model, where the folder has no ``spiece.model``.
        dtype: for flannb's models a Keras dtype policy.

    Raises:
        UserError: the folder holds no model, or there is no tokenizer.
    """
    folder = Path(checkpoint)
    if not folder.is_dir() or "model_type" in read_json(folder / "config.json"):  # which transformers writes
        from flannb.evaluate.transformers_model import TransformersModel

        return TransformersModel(checkpoint, batch_size, dtype=dtype.replace("mixed_", ""))
    from flannb.model import load_checkpoint

    vocabulary = Path(tokenizer) if tokenizer else folder / TOKENIZER
    if not vocabulary.is_file():
        raise UserError(f"{vocabulary}: no such tokenizer; name the model's SentencePiece file as the tokenizer")
    return FlannbModel(load_checkpoint(folder, dtype), Tokenizer(vocabulary), batch_size, name=checkpoint)
