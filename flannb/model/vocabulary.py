"""The vocabulary that goes along with a model's weights."""

from pathlib import Path

from flannb.build.tokenizer import Tokenizer
from flannb.files import atomic


def as_tokenizer(given: Tokenizer | str | Path | None) -> Tokenizer | None:
    """The tokenizer itself, or that of a file; None for none. Raises as ``Tokenizer``."""
    return given if given is None or isinstance(given, Tokenizer) else Tokenizer(Path(given))


def write_vocabulary(tokenizer: Tokenizer, path: Path) -> None:
    """Writes the SentencePiece model, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(tokenizer.content)
