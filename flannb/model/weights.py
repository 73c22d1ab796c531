"""A model's weights on disk: ``config.json`` and ``model.safetensors``, keyed by Keras's variable paths."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from flannb.errors import UserError
from flannb.files import atomic, read_json, write_json
from flannb.model.config import T5Config
from flannb.model.t5 import T5

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def save_model(model: T5, folder: Path) -> None:
    """Writes the model's shape and its float32 weights; the same weights give the same bytes."""
    tensors = {variable.path: np.asarray(variable.value) for variable in model.trainable_variables}
    with atomic(Path(folder) / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "flannb"})
    write_json(Path(folder) / CONFIG, asdict(model.config))


def load_model(folder: Path, dtype: str = "float32") -> T5:
    """Reads what ``save_model`` wrote.

    Raises:
        UserError: a file is missing or damaged, or tensors are missing, unknown or of another shape; all are named.
    """
    path = Path(folder) / WEIGHTS
    try:
        model = T5(T5Config(**read_json(Path(folder) / CONFIG)), dtype=dtype)
        tensors = load_file(path)
    except (OSError, TypeError, SafetensorError) as error:
        raise UserError(f"{path}: not a model of flannb ({error}). Train it again.") from error
    variables = {variable.path: variable for variable in model.trainable_variables}
    wrong = sorted(variables.keys() ^ tensors.keys())
    wrong += sorted(p for p in variables.keys() & tensors.keys() if variables[p].shape != tensors[p].shape)
    if wrong:
        raise UserError(f"{path}: tensors do not fit {CONFIG}: {', '.join(wrong)}")
    for name, variable in variables.items():
        variable.assign(tensors[name])
    return model
