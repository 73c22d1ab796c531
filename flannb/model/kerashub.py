"""Presets of KerasHub's ``T5Backbone``, ``config.json`` and HDF5 weights, read and written without KerasHub.

KerasHub computes ``gelu`` exactly, where T5 1.1 was trained with the tanh approximation that flannb computes; logits of
gated models therefore differ a little between the two.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from flannb.build.tokenizer import Tokenizer
from flannb.errors import UserError
from flannb.files import atomic, unwritable, write_json
from flannb.model.config import ACTIVATIONS, T5Config
from flannb.model.filling import Stored
from flannb.model.t5 import T5, parameters
from flannb.model.tensors import Tensors, open_hdf5, shard_names
from flannb.model.vocabulary import as_tokenizer, write_vocabulary

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
TOKENIZER = "tokenizer.json"
INDEX = "model.weights.json"
VOCABULARIES = ("assets/tokenizer/vocabulary.spm",)

CLASS = "T5Backbone"
_REGISTERED = "keras_hub>T5Backbone"


def read_config(content: Mapping[str, Any], where: str | Path) -> T5Config:
    """The shape of a model by the ``config.json`` of its preset.

    Raises:
        UserError: it lacks sizes, has one that no T5 has, or its activation is not one of T5's.
    """
    shape = content.get("config")
    if not isinstance(shape, Mapping):
        raise UserError(f"{where}: has no config with the model's sizes. Download it again.")
    known = {field.name for field in fields(T5Config)}
    values = {name: value for name, value in shape.items() if name in known and value is not None}
    required = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim")
    if missing := [name for name in required if not isinstance(values.get(name), int) or values[name] < 1]:
        raise UserError(f"{where}: has no {', '.join(missing)}. Download it again.")
    values.setdefault("key_value_dim", values["hidden_dim"] // values["num_heads"])
    if values.get("activation") not in ACTIVATIONS:  # absent, it would be T5 1.1's
        raise UserError(
            f"{where}: activation {values.get('activation')!r} is none of {', '.join(ACTIVATIONS)}; name another"
        )
    try:
        return T5Config(**values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def stored(model: T5) -> dict[str, Stored]:
    """Path of every variable -> its dataset.

    Keras names a layer's group by its class and its number among the layers of that class, in the order of computation:
    the encoder's layers, then the decoder's. Below that the attributes' names are the variables' paths.
    """
    groups, depth = {"token_embedding": "reversible_embedding"}, model.config.num_layers
    for number, side in enumerate(("encoder", "decoder")):
        groups[f"{side}_output_layer_norm"] = _numbered("t5_layer_norm", number)
        for i in range(depth):
            groups[f"transformer_{side}_layer_{i}"] = _numbered("t5_transformer_layer", number * depth + i)
    found = {}
    for path in (variable.path for variable in model.trainable_variables):
        layer, *middle, variable = path.split("/")
        number = 1 if variable == "reverse_embeddings" else 0
        found[path] = Stored("/".join(["layers", groups[layer], *middle, "vars", str(number)]))
    return found


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def open_weights(folder: Path, content: Mapping[str, Any]) -> Tensors:
    """The tensors of a preset's file, or of its shards.

    Raises:
        UserError: there is neither, or a file is damaged.
    """
    if (folder / WEIGHTS).is_file():
        tensors = open_hdf5([folder / WEIGHTS])
    elif (folder / INDEX).is_file():
        tensors = open_hdf5(folder / name for name in shard_names(folder / INDEX, ".h5"))
    else:
        raise UserError(f"{folder}: has neither {WEIGHTS} nor {INDEX}. Download it again.")
    return {name: tensor for name, tensor in tensors.items() if "seed_generator" not in name}


def save_kerashub(model: T5, folder: str | Path, tokenizer: Tokenizer | str | Path | None = None) -> Path:
    """Writes a model so that ``keras_hub.models.T5Backbone.from_preset(folder)`` has the same weights.

    The same weights give the same bytes; ``config.json`` comes last.

    Args:
        tokenizer: its vocabulary is written too, and ``keras_hub.models.T5Tokenizer.from_preset`` finds it. Without
            one, the vocabulary of a model that was there goes.

    Returns:
        The folder.

    Raises:
        UserError: the vocabulary cannot be read, or the folder cannot be written.
    """
    import h5py  # Keras brings it
    import keras

    folder, tokenizer = Path(folder), as_tokenizer(tokenizer)
    try:
        for name in (CONFIG, TOKENIZER, VOCABULARIES[0]):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:  # such as a file of the folder's name
        raise unwritable(folder, error) from error
    variables = {variable.path: variable for variable in model.trainable_variables}
    with atomic(folder / WEIGHTS) as temporary, h5py.File(temporary, "w") as file:
        for path, place in sorted(stored(model).items()):
            value = np.asarray(variables[path].value)
            kind = value.dtype.name
            data = file.create_dataset(place.name, data=value.view("V2") if kind == "bfloat16" else value)
            if kind == "bfloat16":
                data.attrs["dtype"] = kind
    if tokenizer is not None:
        write_vocabulary(tokenizer, folder / VOCABULARIES[0])
        write_json(
            folder / TOKENIZER,
            {
                "module": "keras_hub.src.models.t5.t5_tokenizer",
                "class_name": "T5Tokenizer",
                "config": {"name": "t5_tokenizer", "trainable": True, "dtype": "int32", "proto": None},
                "registered_name": "keras_hub>T5Tokenizer",
            },
        )
    write_json(folder / "metadata.json", {"keras_version": keras.__version__, "parameter_count": parameters(model)})
    policy = {"module": "keras", "class_name": "DTypePolicy", "registered_name": None}
    config = asdict(model.config) | {"name": "t5_backbone", "trainable": True}
    config["dtype"] = policy | {"config": {"name": model.dtype_policy.name}}
    write_json(
        folder / CONFIG,
        {
            "module": "keras_hub.src.models.t5.t5_backbone",
            "class_name": CLASS,
            "config": config,
            "registered_name": _REGISTERED,
        },
    )
    return folder
