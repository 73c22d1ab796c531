"""Checkpoints of Hugging Face: T5, T5 1.1, T5-LM-adapted and Flan-T5 as safetensors, read and written.

Names of tensors and keys of ``config.json`` are those of ``transformers`` (``models/t5``).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from flannb.build.tokenizer import SENTINELS, Tokenizer
from flannb.errors import UserError
from flannb.files import atomic, unwritable, write_json
from flannb.model.config import T5Config
from flannb.model.filling import Stored, read
from flannb.model.layers import BUCKETS, MAX_DISTANCE
from flannb.model.t5 import T5
from flannb.model.tensors import Tensors, open_safetensors
from flannb.model.vocabulary import as_tokenizer, write_vocabulary
from flannb.vocabulary import EOS_ID, PAD_ID

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
GENERATION = "generation_config.json"
VOCABULARIES = ("spiece.model", "tokenizer.json")
"""Files of a tokenizer, the better one first."""

TOKENIZER_CONFIG = "tokenizer_config.json"

SHARD_BYTES = 5 * 10**9
"""Largest file of weights that is written; what is more goes to shards."""

SHARED = "shared.weight"
HEAD = "lm_head.weight"
EMBEDDINGS = (SHARED, "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Names of the one token embedding; a file has one of them or several."""

UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
"""What old checkpoints have and no model uses: cross-attention has no positions."""

PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin", "*.ckpt", "*.pt", "*.pth")
OTHERS = ("tf_model.h5", "tf_model*.h5", "flax_model.msgpack", "flax_model*.msgpack")
"""Weights that are not read: pickled ones, which can run code, and those of other frameworks."""

# feed_forward_proj without "gated-" -> activation in KerasHub's terms, where "gelu" is the tanh approximation; what
# transformers calls "gelu" is that as well when gated, and the exact one when not.
_ACTIVATIONS = {"relu": "relu", "gelu_new": "gelu", "silu": "silu", "swish": "silu"}

# What changes the arithmetic and has one value here; absent keys have it.
_FIXED = {
    "relative_attention_num_buckets": BUCKETS,
    "relative_attention_max_distance": MAX_DISTANCE,
    "is_encoder_decoder": True,
    "decoder_start_token_id": PAD_ID,
    "pad_token_id": PAD_ID,
    "eos_token_id": EOS_ID,
}

_SIZES = {
    "vocab_size": ("vocabulary_size", 32_128),
    "num_layers": ("num_layers", 6),
    "num_heads": ("num_heads", 8),
    "d_model": ("hidden_dim", 512),
    "d_ff": ("intermediate_dim", 2048),
    "d_kv": ("key_value_dim", 64),
}
"""Key of ``config.json`` -> name in ``T5Config``, and the value of ``transformers`` where it is absent."""


def read_config(content: Mapping[str, Any], where: str | Path) -> T5Config:
    """The shape of a model by its ``config.json``.

    The head is tied and rescaled (T5 1.0) unless ``tie_word_embeddings`` is false; ``transformers`` 5 writes true for
    every T5 and says the same with ``scale_decoder_outputs``.

    Raises:
        UserError: it is not a T5, or one that flannb's layers do not compute; all reasons are given.
    """
    problems = []
    sizes = {}
    for key, (name, default) in _SIZES.items():
        value = content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.append(f"{key} is {value!r}, not a positive number")
        sizes[name] = value
    depth = content.get("num_decoder_layers")
    if depth not in (None, content.get("num_layers", 6)):
        problems.append(f"num_decoder_layers is {depth!r}, but num_layers {content.get('num_layers', 6)!r}")
    for key, value in _FIXED.items():
        if content.get(key, value) not in (value, None):
            problems.append(f"{key} is {content[key]!r}, not {value!r}")
    projection = content.get("feed_forward_proj", "relu")
    gated = isinstance(projection, str) and projection.startswith("gated-")
    name = "gelu_new" if projection == "gated-gelu" else str(projection).removeprefix("gated-")
    if name not in _ACTIVATIONS:
        problems.append(f"feed_forward_proj is {projection!r}, none of relu, gated-gelu, gated-silu and their like")
    fractions = {
        "layer_norm_epsilon": content.get("layer_norm_epsilon", 1e-6),
        "dropout": content.get("dropout_rate", 0.1),
    }
    for key, value in fractions.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            problems.append(f"{key} is {value!r}, not in [0, 1)")
    if problems:
        raise UserError(f"{where}: flannb cannot compute this T5: {'; '.join(problems)}. Name another.")
    return T5Config(
        **sizes,
        **fractions,
        activation=_ACTIVATIONS[name],
        use_gated_activation=gated,
        tie_embedding_weights=bool(
            content.get("scale_decoder_outputs", content.get("tie_word_embeddings", True) is not False)
        ),
    )


def write_config(config: T5Config, dtype: str) -> dict[str, Any]:
    """The ``config.json`` of a model, for ``transformers`` 4 and 5."""
    gate = "gated-" if config.use_gated_activation else ""
    names = {"relu": "relu", "silu": "silu", "gelu": "gelu" if gate else "gelu_new"}
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        **{key: getattr(config, name) for key, (name, _) in _SIZES.items()},
        **_FIXED,
        "num_decoder_layers": config.num_layers,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "feed_forward_proj": gate + names[config.activation],
        "initializer_factor": 1.0,
        "tie_word_embeddings": config.tie_embedding_weights,
        "torch_dtype": dtype,
        "use_cache": True,
    }


def stored(model: T5) -> dict[str, Stored]:
    """Path of every variable -> its tensor. Kernels of torch are (outputs, inputs), so they are transposed."""
    config = model.config
    found = {"token_embedding/embeddings": Stored(SHARED)}
    if not config.tie_embedding_weights:
        found["token_embedding/reverse_embeddings"] = Stored(HEAD, transposed=True)
    inputs = {"input": "wi_0", "gate": "wi_1"} if config.use_gated_activation else {"input": "wi"}
    for side, attentions in {
        "encoder": {"self_attention": "SelfAttention"},
        "decoder": {"self_attention": "SelfAttention", "cross_attention": "EncDecAttention"},
    }.items():
        found[f"{side}_output_layer_norm/weight"] = Stored(f"{side}.final_layer_norm.weight")
        found[f"transformer_{side}_layer_0/self_attention/embeddings"] = Stored(
            f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
        for i in range(config.num_layers):
            ours, theirs = f"transformer_{side}_layer_{i}", f"{side}.block.{i}.layer"
            for number, (attention, module) in enumerate(attentions.items()):
                found[f"{ours}/{attention}_layer_norm/weight"] = Stored(f"{theirs}.{number}.layer_norm.weight")
                for projector in ("query", "key", "value", "output"):
                    found[f"{ours}/{attention}/{projector}_projector/kernel"] = Stored(
                        f"{theirs}.{number}.{module}.{projector[0]}.weight", transposed=True
                    )
            last = f"{theirs}.{len(attentions)}"
            found[f"{ours}/layer_norm/weight"] = Stored(f"{last}.layer_norm.weight")
            for projector, name in (inputs | {"output": "wo"}).items():
                found[f"{ours}/{projector}_projector/kernel"] = Stored(
                    f"{last}.DenseReluDense.{name}.weight", transposed=True
                )
    return found


def open_weights(folder: Path, content: Mapping[str, Any]) -> Tensors:
    """The tensors of a folder, each under one name: ``shared.weight`` stands for all names of the embedding.

    Raises:
        UserError: there are no safetensors, a file is damaged, or what should be one tensor is stored with
            different values.
    """
    if not has_weights(folder):
        raise UserError(no_safetensors(str(folder), [path.name for path in folder.iterdir()]))
    tensors = open_safetensors(folder)
    tensors.pop(UNUSED, None)
    tied = read_config(content, folder).tie_embedding_weights
    names = [*EMBEDDINGS, HEAD] if tied else list(EMBEDDINGS)
    there = [name for name in names if name in tensors]
    if not there:
        return tensors
    first, *others = there
    for name in others:
        if not _equal(tensors, first, name):
            hint = "; is tie_word_embeddings true by mistake?" if name == HEAD else ""
            raise UserError(f"{folder}: {name} is not {first}, which T5 uses in its place{hint}")
        del tensors[name]
    tensors[SHARED] = tensors.pop(first)
    if not tied and HEAD not in tensors and content.get("tie_word_embeddings") is not False:
        tensors[HEAD] = tensors[SHARED]  # one matrix in both places, and yet not rescaled
    return tensors


def _equal(tensors: Tensors, first: str, other: str) -> bool:
    if tensors[first].shape != tensors[other].shape:
        return False
    return read(tensors[first], first).tobytes() == read(tensors[other], other).tobytes()


def has_weights(folder: Path) -> bool:
    """Whether a folder has safetensors, whole or in shards."""
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def no_safetensors(where: str, names: list[str]) -> str:
    """Why a folder or repository without safetensors cannot be loaded, by the names of its files, and what to do."""
    pickled = sorted(name for name in names if any(Path(name).match(pattern) for pattern in PICKLED))
    others = sorted(name for name in names if any(Path(name).match(pattern) for pattern in OTHERS))
    if not pickled and not others:
        return f"{where}: has no {WEIGHTS} and no {INDEX}"
    kind = "pickled weights, and unpickling can run code" if pickled else "weights of another framework"
    return (
        f"{where}: has only {', '.join(pickled or others)}: {kind}, so flannb reads safetensors alone. If you trust "
        "them, convert them once, where transformers and torch are installed:\n"
        "  from transformers import T5ForConditionalGeneration\n"
        f'  T5ForConditionalGeneration.from_pretrained("{where.removeprefix("hf://")}").save_pretrained("DIR")'
    )


def save_huggingface(
    model: T5,
    folder: str | Path,
    tokenizer: Tokenizer | str | Path | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes a model so that ``T5ForConditionalGeneration.from_pretrained(folder)`` is the same model.

    The same weights give the same bytes. ``config.json`` comes last: a folder without it was not finished. What
    an earlier call left in the folder in other files, weights or vocabularies, is removed.

    Args:
        tokenizer: its vocabulary, a SentencePiece model, is written too, and ``AutoTokenizer`` finds it.
        dtype: ``float32``, ``bfloat16`` or ``float16``; by default the weights' own.
        shard_bytes: largest file of weights; one tensor is never split.

    Returns:
        The folder.

    Raises:
        UserError: an unknown dtype, a vocabulary that does not fit, or the folder cannot be written.
    """
    folder = Path(folder)
    dtype = dtype or str(model.trainable_variables[0].dtype)
    if dtype not in ("float32", "bfloat16", "float16"):
        raise UserError(f"dtype {dtype!r}: unknown; choose float32, bfloat16 or float16")
    content = write_config(model.config, dtype)
    tokenizer = as_tokenizer(tokenizer)
    if tokenizer is not None and tokenizer.piece_count > model.config.vocabulary_size:
        raise UserError(
            f"{tokenizer.path}: has {tokenizer.piece_count} pieces, but the model a vocabulary of "
            f"{model.config.vocabulary_size}; name the tokenizer it was trained with"
        )
    try:
        (folder / CONFIG).unlink(missing_ok=True)
    except OSError as error:  # such as a file of the folder's name
        raise unwritable(folder, error) from error
    _write_weights(model, folder, dtype, shard_bytes)
    _write_tokenizer(tokenizer, folder)
    write_json(folder / GENERATION, {"decoder_start_token_id": PAD_ID, "eos_token_id": EOS_ID, "pad_token_id": PAD_ID})
    write_json(folder / CONFIG, content)
    return folder


def _write_weights(model: T5, folder: Path, dtype: str, shard_bytes: int) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    variables = {variable.path: variable for variable in model.trainable_variables}
    places = {place.name: (path, place.transposed) for path, place in stored(model).items()}

    def array(name: str) -> np.ndarray:
        path, transposed = places[name]
        value = np.asarray(variables[path].value).astype(kind, copy=False)
        return np.ascontiguousarray(value.T if transposed else value)

    sizes = {name: int(np.prod(variables[path].shape)) * kind.itemsize for name, (path, _) in sorted(places.items())}
    shards = list(_shards(sizes, shard_bytes))
    names = [WEIGHTS] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        with atomic(folder / name) as temporary:
            save_file({tensor: array(tensor) for tensor in shard}, temporary, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        write_json(folder / INDEX, index)
        names.append(INDEX)
    for path in (*folder.glob("model*.safetensors"), folder / INDEX):
        if path.name not in names:
            path.unlink(missing_ok=True)


def _shards(sizes: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    """Names in order, in groups of at most ``limit`` bytes or of one tensor."""
    shard: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if shard and filled + size > limit:
            yield shard
            shard, filled = [], 0
        shard.append(name)
        filled += size
    yield shard


def _shard_name(number: int, count: int) -> str:
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def _write_tokenizer(tokenizer: Tokenizer | None, folder: Path) -> None:
    """The vocabulary and what ``AutoTokenizer`` needs to know of it; what is not written is removed."""
    written = (VOCABULARIES[0], TOKENIZER_CONFIG) if tokenizer is not None else ()
    for name in {*VOCABULARIES, TOKENIZER_CONFIG}.difference(written):
        (folder / name).unlink(missing_ok=True)
    if tokenizer is None:
        return
    write_vocabulary(tokenizer, folder / VOCABULARIES[0])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}  # the pieces 0, 1 and 2
    write_json(folder / TOKENIZER_CONFIG, {"tokenizer_class": "T5Tokenizer", "extra_ids": SENTINELS, **special})
