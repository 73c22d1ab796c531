"""One door to all checkpoints: folders of flannb, of Hugging Face and of KerasHub, and their addresses."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flannb.errors import UserError
from flannb.files import read_json
from flannb.model import hub, huggingface, kerashub, weights
from flannb.model.config import T5Config
from flannb.model.filling import Stored, check_memory, empty_model, fill
from flannb.model.t5 import T5
from flannb.model.tensors import Tensors

CONFIG = "config.json"


class NotT5(UserError):
    """The checkpoint is of another architecture."""


class Layout(Protocol):
    """How a kind of folder keeps a T5; the modules ``weights``, ``huggingface`` and ``kerashub`` are layouts."""

    @property
    def VOCABULARIES(self) -> Sequence[str]:
        """Names of the files of a tokenizer."""
        ...

    def read_config(self, content: Mapping[str, Any], where: str) -> T5Config:
        """The model's shape by the folder's ``config.json``."""
        ...

    def open_weights(self, folder: Path, content: Mapping[str, Any]) -> Tensors:
        """The folder's tensors."""
        ...

    def stored(self, model: T5) -> dict[str, Stored]:
        """Path of every variable -> its tensor."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of which only the small files have been read.

    Attributes:
        name: its folder or address.
        folder: where its small files are.
        content: its ``config.json``.
        config: the model's shape.
        layout: how it keeps its weights.
    """

    name: str
    folder: Path
    content: dict[str, Any]
    config: T5Config
    layout: Layout

    @property
    def tokenizer(self) -> Path | None:
        """The file of its tokenizer, if it has one; ``Tokenizer`` reads it."""
        return next((path for name in self.layout.VOCABULARIES if (path := self.folder / name).is_file()), None)

    def load(self, dtype: str = "float32", progress: Callable[[int], object] = lambda size: None, **options: Any) -> T5:
        """The model; see ``load_checkpoint``."""
        model = empty_model(self.config, dtype, **options)
        check_memory(model, self.name)
        folder = self.folder
        if hub.is_address(self.name):
            folder = hub.fetch(self.name, weights=True)
            if self.layout is huggingface and not huggingface.has_weights(folder):
                raise UserError(huggingface.no_safetensors(self.name, hub.hub_files(self.name)))
        fill(model, self.layout.open_weights(folder, self.content), self.layout.stored(model), self.name, progress)
        return model


def open_checkpoint(path_or_id: str | Path) -> Checkpoint:
    """A checkpoint's shape and tokenizer, before its weights are fetched or read.

    Raises:
        NotT5: it is of another architecture.
        UserError: there is none, or flannb cannot compute it.
    """
    name = str(path_or_id)
    folder = hub.fetch(name, weights=False) if hub.is_address(name) else Path(name)
    if not folder.is_dir():
        address = name if name.count("/") == 1 else "owner/name"
        hint = f" For one of the Hugging Face Hub, write hf://{address}" if name.count("/") < 2 else ""
        raise UserError(f"{name}: no such folder.{hint}")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{name}: has no {CONFIG}, so it is no checkpoint, or a part of one; name another")
    content = read_json(folder / CONFIG, "Copy or download it again.")
    if not isinstance(content, dict):
        raise UserError(f"{name}: its {CONFIG} is not an object. Download it again.")
    where = f"{name}: {CONFIG}"
    layout = _layout(content, where)
    return Checkpoint(name, folder, content, layout.read_config(content, where), layout)


def parameters(folder: str | Path) -> int:
    """How many parameters a checkpoint in a folder has, by the headers of its files.

    Raises:
        UserError: as ``open_checkpoint``; its weights are not there or damaged.
    """
    checkpoint = open_checkpoint(folder)
    tensors = checkpoint.layout.open_weights(checkpoint.folder, checkpoint.content)
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def _layout(content: Mapping[str, Any], where: str) -> Layout:
    """Whose ``config.json`` it is, by the key that each writes."""
    if "model_type" in content:
        if content["model_type"] != "t5":
            raise NotT5(f"{where}: model_type is {content['model_type']!r}, not 't5'")
        return huggingface
    if "class_name" in content:
        if content["class_name"] != kerashub.CLASS:
            raise NotT5(f"{where}: class_name is {content['class_name']!r}, not {kerashub.CLASS!r}")
        return kerashub
    return weights


def load_checkpoint(
    path_or_id: str | Path,
    dtype: str = "float32",
    progress: Callable[[int], object] = lambda size: None,
    **options: Any,
) -> T5:
    """A T5 with the weights of a checkpoint.

    The layout is seen from ``config.json``. Shapes, types and free memory are looked at before the weights take any,
    and one tensor at a time is read; no weights are drawn before.

    Args:
        path_or_id: a folder of flannb; one of Hugging Face, with safetensors, whole or in shards; a preset of KerasHub;
            or ``hf://owner/name[@revision]`` or ``kaggle://owner/model/keras/variant[/version]`` for one of the latter
            two.
        dtype: a Keras dtype policy: ``float32``, ``mixed_bfloat16`` (float32 weights, bfloat16 arithmetic) or
            ``bfloat16``. Weights stored in any floating-point type are converted.
        progress: called with the bytes of each tensor that was read.
        options: the others of ``build_model``; ``seed``, 0 by default, is that of dropout.

    Returns:
        A Keras model that takes KerasHub's four inputs and returns logits (batch, target, vocabulary); see ``T5``.

    Raises:
        UserError: no such checkpoint; one of another architecture, or with settings that flannb does not compute;
            pickled weights; missing, unknown or misshapen tensors, which are all listed; a damaged file; too little
            memory; no access or no answer. The message says what to do.
    """
    return open_checkpoint(path_or_id).load(dtype, progress, **options)
