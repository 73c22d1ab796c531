"""T5's SentencePiece tokenizer: loading one, or training one on the collection's text.

Ids are laid out as T5's are: 0 padding, 1 end, 2 unknown; the pieces; 100 sentinels; and the model's vocabulary rounded
up to a multiple of 128, which matrix units like. T5's vocabulary has no newline: white space becomes one space, so the
tokens of texts joined by white space are the tokens of each, one after the other. Builds and prompts rely on that.
"""

import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import sentencepiece as spm

from flannb.build.ragged import Ragged
from flannb.build.tokenizer_json import sentencepiece_model
from flannb.errors import UserError
from flannb.files import atomic, sha256

SENTINELS = 100


class Tokenizer:
    """A SentencePiece model of T5's kind.

    Args:
        path: a ``spiece.model`` file, or the ``tokenizer.json`` of a T5 of Hugging Face.

    Attributes:
        content: the bytes of the SentencePiece model.

    Raises:
        UserError: the file is missing or is no SentencePiece model.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such tokenizer; build the data first, or name a SentencePiece model")
        try:
            self.content = sentencepiece_model(self.path) if self.path.suffix == ".json" else self.path.read_bytes()
            self._model = spm.SentencePieceProcessor(model_proto=self.content)
        except (RuntimeError, OSError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error})") from error

    @property
    def piece_count(self) -> int:
        """Number of pieces; ids from here on are sentinels."""
        return self._model.get_piece_size()

    @cached_property
    def vocabulary_size(self) -> int:
        """Size of the model's vocabulary: pieces and sentinels, rounded up to a multiple of 128."""
        return -(-(self.piece_count + SENTINELS) // 128) * 128

    @cached_property
    def fingerprint(self) -> str:
        return sha256(self.path)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without an end mark."""
        return self._model.encode(list(texts))

    def encode_ragged(self, texts: Sequence[str]) -> Ragged:
        """As ``encode``, in one thread, as one int32 array: three times less memory and no Python integers."""
        ids = self._model.encode(list(texts), return_type="numpy", num_threads=1)
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return Ragged.from_lengths(np.concatenate(ids) if ids else np.empty(0, np.int32), lengths)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each list of ids; ids beyond the pieces (sentinels, padding of the vocabulary) are skipped."""
        return self._model.decode([[i for i in row if i < self.piece_count] for row in ids])

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, for people to look at."""
        return self._model.encode(text, out_type=str)


class Texts(dict[str, int]):
    """Texts that are tokenised once each, however many examples hold them: ``texts[text]`` is a text's number."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer
        self._new: list[str] = []
        self._tokens = Ragged(np.empty(0, np.uint16), np.zeros(1, np.int64))

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        self._new.append(text)
        return number

    def tokens(self) -> Ragged:
        """Token ids (uint16) of all texts by their numbers."""
        if self._new:
            more, before = self.tokenizer.encode_ragged(self._new), self._tokens
            self._tokens = Ragged(
                np.concatenate([before.values, more.values.astype(np.uint16)]),
                np.concatenate([before.offsets, more.offsets[1:] + before.offsets[-1]]),
            )
            self._new = []
        return self._tokens


def train_tokenizer(texts: Iterable[str], path: Path, vocabulary_size: int) -> Tokenizer:
    """Trains a unigram model on texts and saves it; the same texts give the same bytes.

    Args:
        texts: training text; a line break counts as white space.
        path: where the model is written, whole or not at all.
        vocabulary_size: number of pieces aimed at; small text may give fewer.
    """
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=(" ".join(text.split()) for text in texts),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            character_coverage=0.9999,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            num_threads=1,  # more threads sum in another order
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"no tokenizer could be trained ({error}); is there any text?") from error
    with atomic(path) as temporary:
        temporary.write_bytes(model.getvalue())
    return Tokenizer(path)
