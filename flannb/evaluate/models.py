"""What the suites need of a model, and flannb's own model in that form."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from flannb.build import Tokenizer
from flannb.errors import UserError
from flannb.files import digest
from flannb.vocabulary import EOS_ID

if TYPE_CHECKING:
    from flannb.model import T5, Likelihood, Sampling

Progress = Callable[[int], object]
"""Called with the number of prompts done, after each batch."""


OPTIONS = 128, 512
"""Tokens of all options of a question, for whose scoring programs are prepared."""


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

    def prepare(self, longest: int, lengths: Sequence[int], scores: bool) -> None:
        """Is told what many calls will be about, before them.

        Args:
            longest: most tokens of a prompt.
            lengths: most tokens generated, for some prompts and for others.
            scores: whether options are scored.
        """
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
        """Token ids of each text, without the end mark."""
        return self.tokenizer.encode(texts)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of tokens; sentinels are left out."""
        return self.tokenizer.decode(ids)

    def prepare(self, longest: int, lengths: Sequence[int], scores: bool) -> None:
        """Begins to compile on an accelerator; a CPU compiles the many shapes that it has as they come."""
        import jax

        from flannb.model import prepare_generation, prepare_scoring

        if jax.default_backend() == "cpu":
            return
        for length in lengths:
            prepare_generation(self.model, longest, length, self.batch_size)
        for size in OPTIONS if scores else ():
            prepare_scoring(self.model, longest, size, self.batch_size)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_length: int,
        progress: Progress = lambda done: None,
        sampling: "Sampling | None" = None,
    ) -> list[list[int]]:
        """Continuations by ``flannb.model.generate``, greedy without ``sampling``; raises as that does."""
        from flannb.model import generate  # JAX and Keras, which reading predictions does without

        return generate(self.model, prompts, max_length, self.batch_size, progress=progress, sampling=sampling)

    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        progress: Progress = lambda done: None,
    ) -> "list[list[Likelihood]]":
        """Likelihoods by ``flannb.model.score``; raises as that does."""
        from flannb.model import score

        return score(self.model, prompts, continuations, self.batch_size, progress=progress)


def fingerprint(model: "T5") -> str:
    """Tells a model from one trained further and from one computed in another type."""
    return digest_of(model.dtype_policy.name, {variable.path: variable.value for variable in model.variables})


def digest_of(dtype: str, weights: Mapping[str, Any]) -> str:
    """A short hash of the first row of each weight, and of the type that the model computes in.

    Args:
        weights: name -> array, which NumPy can read.
    """
    rows = {name: np.asarray(value[0] if value.ndim > 1 else value) for name, value in weights.items()}
    return digest([dtype, {name: row.tobytes().hex() for name, row in rows.items()}])[:8]


def open_model(
    checkpoint: str, tokenizer: str = "", batch_size: int = 64, dtype: str = "float32", library: str = ""
) -> Seq2Seq:
    """A model by its folder or address (see ``flannb.model.load_checkpoint``), with its tokenizer.

    Args:
        tokenizer: for what flannb computes, a SentencePiece model, where the checkpoint has none.
        dtype: for what flannb computes, a Keras dtype policy.
        library: which computes, ``flannb`` or ``transformers``; by default flannb for every T5, and transformers for
            other sequence-to-sequence checkpoints.

    Raises:
        UserError: there is no such model, or no tokenizer.
    """
    if library != "transformers":
        from flannb.model import NotT5, open_checkpoint

        try:
            found = open_checkpoint(checkpoint)
            vocabulary = Path(tokenizer) if tokenizer else found.tokenizer
            if vocabulary is None:
                raise UserError(f"{checkpoint}: has no tokenizer; name the model's SentencePiece file as the tokenizer")
            made = Tokenizer(vocabulary)  # before the weights, which take longer
            model = found.load(dtype)
            return FlannbModel(model, made, batch_size, name=f"{checkpoint}@{fingerprint(model)}")
        except NotT5:
            if library:
                raise
    from flannb.evaluate.transformers_model import TransformersModel
    from flannb.model.hub import repository

    name, revision = repository(checkpoint)
    return TransformersModel(name, batch_size, dtype=dtype.replace("mixed_", ""), revision=revision)
