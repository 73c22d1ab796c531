"""Tensors in files: what a header says of them, and each read only when it is asked for.

safetensors (whole or in shards with an index) and the HDF5 files that Keras writes. Nothing is unpickled.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from flannb.errors import UserError
from flannb.files import read_json

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Types of numbers that weights may have, by their name in safetensors, with their bytes."""

_HDF5_FLOATS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint.

    Attributes:
        file: where it is.
        shape: by the file's header.
        dtype: by the file's header, in safetensors' names (``F32``, ``BF16``, ``I8``, ...).
        read: reads it from the disk.
    """

    file: Path
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


Tensors = dict[str, Tensor]
"""The tensors of a checkpoint by their names."""


def open_safetensors(folder: Path) -> Tensors:
    """The tensors of ``model.safetensors``, or of the shards that ``model.safetensors.index.json`` names.

    Only headers are read; the shards stay mapped into memory, which takes none, for as long as the tensors live.

    Raises:
        UserError: neither file is there; a file is damaged; the index is not one, names what is no file of the folder,
            or a tensor is in two shards.
    """
    single = folder / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    if single.is_file():
        return _open_file(single)
    if not index.is_file():
        raise UserError(f"{folder}: has neither {single.name} nor {index.name}. Download it again.")
    found: Tensors = {}
    for name in shard_names(index, ".safetensors"):
        shard = _open_file(folder / name)
        if twice := sorted(found.keys() & shard.keys()):
            raise UserError(f"{folder / name}: has tensors of another shard: {', '.join(twice)}. Download it again.")
        found |= shard
    return found


def shard_names(index: Path, suffix: str) -> list[str]:
    """The files that an index (``{"weight_map": {tensor: file or files}}``) names, sorted; all are in its folder.

    Raises:
        UserError: it is no index, names a file outside of its folder or of another kind, or one that is missing.
    """
    content = read_json(index, "Copy or download it again.")
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    names: set[str] = set()
    for tensor, value in weight_map.items() if isinstance(weight_map, dict) else ():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or not name.endswith(suffix) or name != Path(name).name or "\\" in name:
                raise UserError(f"{index}: {tensor} is in {name!r}, which is not the name of a {suffix} file beside it")
            names.add(name)
    if not names:
        raise UserError(f"{index}: has no weight_map of tensors and their files. Download it again.")
    if missing := sorted(name for name in names if not (index.parent / name).is_file()):
        raise UserError(f"{index}: names files that are missing: {', '.join(missing)}. Download them again.")
    return sorted(names)


def _open_file(path: Path) -> Tensors:
    try:
        file = safe_open(path, "np")
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, not a dictionary
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}). Download or write it again.") from error

    def reader(name: str) -> Callable[[], np.ndarray]:
        return lambda: file.get_tensor(name)

    return {
        name: Tensor(path, tuple(part.get_shape()), str(part.get_dtype()), reader(name)) for name, part in parts.items()
    }


def open_hdf5(paths: Iterable[Path]) -> Tensors:
    """The tensors of HDF5 files, by their paths inside (``layers/.../vars/0``), as Keras writes them.

    Raises:
        UserError: a file is damaged or links to other files.
    """
    import h5py  # Keras brings it

    found: Tensors = {}
    for path in paths:
        file = None
        try:
            file = h5py.File(path, "r")
            for name, data in _datasets(file, ""):
                kind = _kind(data)
                found[name] = Tensor(path, tuple(data.shape), _HDF5_FLOATS.get(kind, kind), _hdf5_reader(data, kind))
        except Exception as error:
            if file is not None:
                file.close()
            if isinstance(error, UserError):
                raise
            # h5py raises whatever fits what it stumbled over
            raise UserError(f"{path}: not a whole HDF5 file ({error}). Download or write it again.") from error
    return found


def _datasets(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every dataset below a group and its path. Only what lies in the file itself is followed."""
    import h5py

    for name in group:
        path = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise UserError(f"{group.file.filename}: {path} is a link to elsewhere, which is not followed; copy it in")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{path}/")
        elif item.external or item.is_virtual:
            raise UserError(f"{group.file.filename}: {path} lies in another file, which is not read; copy it in")
        else:
            yield path, item


def _kind(data: Any) -> str:
    """The type of a dataset's numbers. NumPy has no bfloat16: Keras stores its bytes and says so beside them."""
    kind = data.attrs.get("dtype", data.dtype.name)
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _hdf5_reader(data: Any, kind: str) -> Callable[[], np.ndarray]:
    return lambda: data[()].view(ml_dtypes.bfloat16) if kind == "bfloat16" else data[()]
