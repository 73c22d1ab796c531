"""A SentencePiece model from ``tokenizer.json``, the only vocabulary that newer checkpoints of Hugging Face have."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from flannb.errors import UserError
from flannb.files import read_json
from flannb.vocabulary import EOS_ID, PAD_ID

_SENTINEL = re.compile(r"<extra_id_\d+>")
_SPECIAL = ("<pad>", "</s>", "<unk>")


def sentencepiece_model(path: Path) -> bytes:
    """The bytes of the ``spiece.model`` that tokenises as a T5's ``tokenizer.json`` does.

    Pieces, scores and the table of Unicode normalisation are all in the file. The sentinels, which follow the pieces,
    are left out, as in T5's own model.

    Raises:
        UserError: it is the tokenizer of another model.
    """
    from sentencepiece import sentencepiece_model_pb2 as protocol

    content = read_json(path, "Copy or download it again.")
    try:
        kind, vocabulary = content["model"]["type"], [(str(p), float(s)) for p, s in content["model"]["vocab"]]
        charsmap = _charsmap(content["normalizer"])
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise UserError(f"{path}: not the tokenizer of a T5 ({error!r}); name its SentencePiece model") from error
    while vocabulary and _SENTINEL.fullmatch(vocabulary[-1][0]):
        vocabulary.pop()
    if kind != "Unigram" or tuple(piece for piece, _ in vocabulary[:3]) != _SPECIAL:
        raise UserError(
            f"{path}: not the tokenizer of a T5, a Unigram model that starts with {', '.join(_SPECIAL)}; name its"
            " SentencePiece model"
        )
    model = protocol.ModelProto()
    kinds = protocol.ModelProto.SentencePiece
    special = {"<pad>": kinds.CONTROL, "</s>": kinds.CONTROL, "<unk>": kinds.UNKNOWN}
    for piece, score in vocabulary:
        model.pieces.add(piece=piece, score=score, type=special.get(piece, kinds.NORMAL))
    model.trainer_spec.model_type = protocol.TrainerSpec.UNIGRAM
    model.trainer_spec.vocab_size = len(vocabulary)
    for name, number in {"pad_id": PAD_ID, "eos_id": EOS_ID, "unk_id": 2, "bos_id": -1}.items():
        setattr(model.trainer_spec, name, number)
    model.normalizer_spec.name = "nmt_nfkc"
    model.normalizer_spec.precompiled_charsmap = charsmap
    return model.SerializeToString(deterministic=True)


def _charsmap(normalizer: Any) -> bytes:
    """The table of normalisation; beside it only white space may be treated, as SentencePiece does anyway."""
    parts = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    (table,) = (part["precompiled_charsmap"] for part in parts if part["type"] == "Precompiled")
    if others := {part["type"] for part in parts} - {"Precompiled", "Strip", "Replace"}:
        raise ValueError(f"normalizers {', '.join(sorted(others))}")
    return base64.b64decode(table, validate=True)
