"""flannb's own model folder: ``config.json`` and ``model.safetensors``, keyed by Keras's variable paths."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from flannb.build.tokenizer import Tokenizer
from flannb.errors import UserError
from flannb.files import SUMS, atomic, is_intact, read_sums, sha256, write_json, write_sums
from flannb.model.config import T5Config
from flannb.model.filling import Stored
from flannb.model.t5 import T5
from flannb.model.tensors import Tensors, open_safetensors
from flannb.model.vocabulary import write_vocabulary

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
VOCABULARIES = ("spiece.model",)


def save_model(model: T5, folder: Path, tokenizer: Tokenizer | None = None) -> None:
    """Writes the model's shape, its weights, and its vocabulary where one is given; else an earlier one is removed.

    The same weights give the same bytes. ``SHA256SUMS`` is written last; a folder that has it is read only if all its
    files are as it says.
    """
    tensors = {variable.path: np.asarray(variable.value) for variable in model.trainable_variables}
    with atomic(Path(folder) / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "flannb"})
    if tokenizer is not None:
        write_vocabulary(tokenizer, Path(folder) / VOCABULARIES[0])
    else:
        (Path(folder) / VOCABULARIES[0]).unlink(missing_ok=True)
    write_json(Path(folder) / CONFIG, asdict(model.config))
    names = (WEIGHTS, CONFIG, *(VOCABULARIES if tokenizer is not None else ()))
    write_sums(folder, {name: sha256(Path(folder) / name) for name in names})


def read_config(content: Mapping[str, Any], where: str) -> T5Config:
    """The shape that ``save_model`` wrote.

    Raises:
        UserError: it has other keys, or values that no T5 has.
    """
    try:
        return T5Config(**content)
    except (TypeError, UserError) as error:
        raise UserError(f"{where}: not the shape of a model of flannb ({error}). Train it again.") from error


def open_weights(folder: Path, content: Mapping[str, Any]) -> Tensors:
    """The tensors of a folder; where it has ``SHA256SUMS``, its files are read once to compare their hashes.

    Raises:
        UserError: a file is missing or damaged.
    """
    sums = read_sums(folder)
    if (folder / SUMS).is_file():
        for name in dict.fromkeys((WEIGHTS, CONFIG, *sums)):
            if not is_intact(folder / name, sums.get(name)):
                raise UserError(f"{folder / name}: not as it was written ({SUMS} says so). Train or copy it again.")
    return open_safetensors(folder)


def stored(model: T5) -> dict[str, Stored]:
    """Path of every variable -> its tensor, which has the same name."""
    return {variable.path: Stored(variable.path) for variable in model.trainable_variables}
