"""T5's SentencePiece tokenizer: loading one, or training one on the collection's text.

Ids are laid out as T5's are: 0 padding, 1 end, 2 unknown; the pieces; 100 sentinels; and the model's vocabulary rounded
up to a multiple of 128, which matrix units like. T5's vocabulary has no newline: white space becomes one space, at
which pieces end. So the tokens of a text are those of its words, and each different word is tokenised once. Builds and
prompts rely on that. Only ties differ from a whole text's: where a word can be cut in two equally likely ways, as
``444`` into ``44 4`` and ``4 44``, the text before it decides how sentencepiece rounds (5 of 100,329 texts of the
public Chain-of-Thought files).
"""

import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import sentencepiece as spm

from flannb.build.ragged import Ragged, runs
from flannb.build.tokenizer_json import sentencepiece_model
from flannb.errors import UserError
from flannb.files import atomic, sha256
from flannb.vocabulary import EOS_ID, PAD_ID

SENTINELS = 100

MOST_WORDS = 200_000
"""Words whose tokens are kept, in about 40 MB; tasks of one dataset have most words in common."""

_MARK = "\N{LOWER ONE EIGHTH BLOCK}"
"""What SentencePiece writes for a space."""

_IN_WORD = np.ones(256, bool)
_IN_WORD[list(b" \t\r\n")] = False


def model_vocabulary(pieces: int) -> int:
    """Size of the vocabulary of a model whose tokenizer has so many pieces."""
    return -(-(pieces + SENTINELS) // 128) * 128


class Tokenizer:
    """A SentencePiece model of T5's kind.

    Args:
        path: a ``spiece.model`` file, or the ``tokenizer.json`` of a T5 of Hugging Face.

    Attributes:
        content: the bytes of the SentencePiece model.

    Raises:
        UserError: the file is missing, is no SentencePiece model, or is one whose pieces do not end at white space.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._known: dict[str, list[int]] = {}
        if not self.path.is_file():
            raise UserError(f"{path}: no such tokenizer; build the data first, or name a SentencePiece model")
        try:
            self.content = sentencepiece_model(self.path) if self.path.suffix == ".json" else self.path.read_bytes()
            self._model = spm.SentencePieceProcessor(model_proto=self.content)
            whole, *parts = self._model.encode(["a b\n\nc", "a", "b", "c"])  # of an empty file, this fails first
        except (RuntimeError, OSError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error}); name another file") from error
        if whole != [*chain.from_iterable(parts)] or any(
            _MARK in piece[1:].lstrip(_MARK) for piece in self._all_pieces
        ):
            raise UserError(f"{path}: pieces of this model go across white space, as those of T5 do not; name another")

    @property
    def piece_count(self) -> int:
        """Number of pieces; ids from here on are sentinels."""
        return self._model.get_piece_size()

    @cached_property
    def vocabulary_size(self) -> int:
        """Size of the model's vocabulary: pieces and sentinels, rounded up to a multiple of 128."""
        return model_vocabulary(self.piece_count)

    @property
    def first_sentinel(self) -> int:
        """Id of sentinel 0, the last one of all, as T5 has it; sentinel ``i`` is that minus ``i``."""
        return self.piece_count + SENTINELS - 1

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self.path)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without an end mark."""
        return self.encode_ragged(texts).to_arrow().to_pylist()

    def encode_ragged(self, texts: Sequence[str]) -> Ragged:
        """As ``encode``, as one int32 array: three times less memory and no Python integers."""
        words, counts = _split(texts)
        different = words.dictionary_encode()
        ids = self._ids(different.dictionary.cast(pa.large_string()).to_pylist())
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        tokens = Ragged.from_lengths(np.fromiter(chain.from_iterable(ids), np.int32, lengths.sum()), lengths)
        return tokens.gather(Ragged.from_lengths(different.indices.to_numpy(), counts))

    def _ids(self, words: list[str]) -> list[list[int]]:
        """Token ids of words; those of words that were there before are at hand."""
        new = [word for word in words if word not in self._known]
        if len(self._known) + len(new) > MOST_WORDS:
            self._known, new = {}, words
        self._known.update(zip(new, self._model.encode(new, num_threads=1), strict=True))
        return [self._known[word] for word in words]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each list of ids; ids beyond the pieces (sentinels, padding of the vocabulary) are skipped."""
        end = self.piece_count
        return self._model.decode([[i for i in row if i < end] for row in ids])

    def has_pieces_of(self, other: "Tokenizer") -> bool:
        """Whether every id means the same in both."""
        return self._all_pieces == other._all_pieces

    @cached_property
    def _all_pieces(self) -> list[str]:
        return self._model.id_to_piece(list(range(self.piece_count)))

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, for people to look at."""
        return self._model.encode(text, out_type=str)


def _split(texts: Sequence[str]) -> tuple[pa.LargeBinaryArray, np.ndarray]:
    """The words of all texts, one after the other, and how many each text has."""
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"\n".join(encoded), np.uint8)
    inside = _IN_WORD[data]
    starts, ends = runs(inside)
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data[inside])]
    words = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts), buffers)
    bounds = np.cumsum([0, *(len(text) + 1 for text in encoded)])
    return words, np.diff(np.searchsorted(starts, bounds))


def open_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that stays loaded in this process, with the words that it has met; files that are the same share it.

    Raises as ``Tokenizer``.
    """
    path = Path(path)
    if not path.is_file():
        return Tokenizer(path)
    key = sha256(path)
    if key not in _LOADED:
        for old in list(_LOADED)[: 1 - _KEPT]:
            del _LOADED[old]
        _LOADED[key] = Tokenizer(path)
    return _LOADED[key]


_KEPT = 2
_LOADED: dict[str, Tokenizer] = {}
"""The tokenizers opened last, by the hash of their file."""


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
    # Read first: what is raised while SentencePiece reads, such as by a signal, would be lost in an error of its own.
    sentences = [" ".join(text.split()) for text in texts]
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            character_coverage=0.9999,
            pad_id=PAD_ID,
            eos_id=EOS_ID,
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
