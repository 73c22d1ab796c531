"""Tensors in files: whatever the bytes, they are read right or refused with the file's name."""

import io
import json

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from flannb.errors import UserError
from flannb.model.filling import read
from flannb.model.tensors import open_hdf5, open_safetensors, shard_names

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(4, dtype=np.float16),
    "c": np.array([[1.5]], ml_dtypes.bfloat16),
}
WHOLE = save(TENSORS)
HEADER = 8 + int.from_bytes(WHOLE[:8], "little")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("tensors")


def contents(tensors):
    return {name: read(tensor, name) for name, tensor in tensors.items()}


def write_index(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_headers_say_shape_type_and_file_before_values_are_read(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    found = open_safetensors(tmp_path)
    assert {name: (t.shape, t.dtype, t.file.name) for name, t in found.items()} == {
        "a": ((2, 3), "F32", "model.safetensors"),
        "b": ((4,), "F16", "model.safetensors"),
        "c": ((1, 1), "BF16", "model.safetensors"),
    }
    for name, value in contents(found).items():
        assert value.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(value, TENSORS[name])


def test_shards_are_one_checkpoint(tmp_path):
    save_file({"a": TENSORS["a"]}, tmp_path / "model-1.safetensors")
    save_file({"b": TENSORS["b"]}, tmp_path / "model-2.safetensors")
    write_index(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    found = open_safetensors(tmp_path)
    assert {name: tensor.file.name for name, tensor in found.items()} == {
        "a": "model-1.safetensors",
        "b": "model-2.safetensors",
    }
    np.testing.assert_array_equal(contents(found)["b"], TENSORS["b"])


def test_a_tensor_in_two_shards_is_named(tmp_path):
    for name in ("model-1.safetensors", "model-2.safetensors"):
        save_file({"a": TENSORS["a"]}, tmp_path / name)
    write_index(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    with pytest.raises(UserError, match=r"model-2\.safetensors: has tensors of another shard: a"):
        open_safetensors(tmp_path)


def test_missing_shards_are_all_named(tmp_path):
    save_file({"a": TENSORS["a"]}, tmp_path / "model-1.safetensors")
    names = ["model-1.safetensors", "model-2.safetensors", "model-3.safetensors"]
    write_index(tmp_path, dict(zip("abc", names, strict=True)))
    with pytest.raises(UserError, match=r"index\.json: names files that are missing: model-2\S+, model-3"):
        open_safetensors(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../x.safetensors", "/etc/x.safetensors", "a/x.safetensors", "..\\x.safetensors", "x.bin", "", 3, None, {"a": 1}],
)
def test_an_index_names_only_safetensors_of_its_folder(name, tmp_path):
    save_file({"a": TENSORS["a"]}, tmp_path / "x.safetensors")
    inner = tmp_path / "inner"
    inner.mkdir()
    write_index(inner, {"tensor": name})
    with pytest.raises(UserError, match=r"index\.json: tensor is in .*not the name of a \.safetensors file"):
        open_safetensors(inner)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(json_values | st.fixed_dictionaries({"weight_map": json_values}))
def test_any_other_index_is_refused_by_name(scratch, content):
    index = scratch / "any.json"
    index.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"any\.json"):
        shard_names(index, ".safetensors")


def refusal(work):
    """The message of the user error that some work ends with; empty where it ends well."""
    try:
        work()
    except UserError as error:
        return str(error)
    return ""


def open_bytes(folder, content):
    """Whatever the bytes are: a refusal with the file's name, or tensors of the shapes that the header says."""
    (folder / "model.safetensors").write_bytes(content)

    def work():
        for name, tensor in open_safetensors(folder).items():
            assert read(tensor, name).shape == tensor.shape

    message = refusal(work)
    assert not message or "model.safetensors" in message
    return message


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_anywhere_is_refused(scratch, length):
    assert open_bytes(scratch, WHOLE[:length])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, HEADER - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_garbled_header_is_refused_or_harmless(scratch, changes):
    content = bytearray(WHOLE)
    for at, value in changes:
        content[at] = value
    open_bytes(scratch, bytes(content))


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F64", "I8", "F8_E4M3", "X"]) | st.none(),
                "shape": st.lists(st.integers(-1, 2**62), max_size=3) | st.none(),
                "data_offsets": st.lists(st.integers(-1, 2**62), max_size=3),
            }
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_header_that_promises_what_is_not_there_is_refused(scratch, header):
    text = json.dumps(header).encode()
    open_bytes(scratch, len(text).to_bytes(8, "little") + text + bytes(16))


def test_a_folder_without_weights_names_both_files(tmp_path):
    with pytest.raises(UserError, match=r"neither model\.safetensors nor model\.safetensors\.index\.json"):
        open_safetensors(tmp_path)


def test_hdf5_gives_datasets_by_their_paths_and_bfloat16_by_its_mark(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["layers/one/vars/0"] = TENSORS["a"]
        file["layers/two/vars/1"] = TENSORS["c"].view("V2")
        file["layers/two/vars/1"].attrs["dtype"] = "bfloat16"
    found = open_hdf5([tmp_path / "x.h5"])
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} == {
        "layers/one/vars/0": ((2, 3), "F32"),
        "layers/two/vars/1": ((1, 1), "BF16"),
    }
    for name, value in zip(("a", "c"), contents(found).values(), strict=True):
        np.testing.assert_array_equal(value, TENSORS[name])


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = TENSORS["a"]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["layers/one"] = h5py.ExternalLink("secret.h5", "data")
    with pytest.raises(UserError, match=r"x\.h5: layers/one is a link to elsewhere"):
        open_hdf5([tmp_path / "x.h5"])
    (tmp_path / "raw").write_bytes(bytes(24))
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file.create_dataset("one", (2, 3), np.float32, external=[(str(tmp_path / "raw"), 0, 24)])
    with pytest.raises(UserError, match=r"y\.h5: one lies in another file"):
        open_hdf5([tmp_path / "y.h5"])


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_hdf5_file_is_refused_or_harmless(scratch, at, value):
    path, buffer = scratch / "damaged.h5", io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/one/vars/0"] = TENSORS["a"]
    content = bytearray(buffer.getvalue())
    if value:
        content[min(at, len(content) - 1)] = value
    else:
        content = content[:at]
    path.write_bytes(content)
    message = refusal(lambda: contents(open_hdf5([path])))
    assert not message or "damaged.h5" in message
