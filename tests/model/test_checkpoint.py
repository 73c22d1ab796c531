"""One door to checkpoints: what it finds, what it refuses, what a loaded model can do."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from flannb.errors import UserError
from flannb.model import (
    SIZES,
    T5Config,
    build_model,
    generate,
    load_checkpoint,
    open_checkpoint,
    save_huggingface,
    save_kerashub,
    save_model,
    score,
)
from flannb.model.__main__ import main
from flannb.model.filling import POLICIES, check_memory, empty_model, free_memory

SAVERS = {"flannb": save_model, "huggingface": save_huggingface, "kerashub": save_kerashub}


def assert_same(model, other):
    for mine, theirs in zip(model.trainable_variables, other.trainable_variables, strict=True):
        assert mine.path == theirs.path
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(theirs.value), err_msg=mine.path)


@pytest.mark.parametrize("kind", SAVERS)
def test_the_layout_is_seen_from_the_folder(kind, model, tied_model, tmp_path):
    for each, name in ((model, "untied"), (tied_model, "tied")):
        SAVERS[kind](each, tmp_path / name)
        loaded = load_checkpoint(tmp_path / name)
        assert loaded.config == each.config
        assert_same(each, loaded)


@pytest.mark.parametrize("kind", SAVERS)
def test_the_same_weights_give_the_same_bytes(kind, model, tmp_path):
    for name in ("a", "b"):
        SAVERS[kind](model, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) >= 2
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_progress_counts_all_bytes(model, tmp_path):
    save_model(model, tmp_path)
    sizes = []
    load_checkpoint(tmp_path, progress=sizes.append)
    assert len(sizes) == len(model.trainable_variables)
    assert sum(sizes) == 4 * sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such", "no such folder.*hf://no/such"),
        ("no/such/folder", "no such folder.$"),
        ("model.csv", "no such folder.*write hf://owner/name$"),
        ("s3://bucket/model", "write hf://owner/name"),
        ("hf://owner/na me", "not the address of a model"),
        ("hf://a/b/c", "not the address of a model"),
        ("hf://../secret", "not the address of a model"),
        ("kaggle://keras/t5", "write kaggle://owner/model/keras/variant"),
    ],
)
def test_names_that_are_no_checkpoints_are_refused_with_what_to_write(name, message):
    with pytest.raises(UserError, match=message):
        open_checkpoint(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not readable as JSON"), ("[]", "not an object"), ('{"class_name": "Bert"}', "'Bert'")],
)
def test_a_config_that_is_none_is_named(content, message, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        open_checkpoint(tmp_path)


def test_too_little_memory_is_said_before_any_is_taken(tmp_path):
    """A hundred times XXL, and no weights in the folder: the size comes from the configuration."""
    sizes = {"d_model": 2**17, "d_ff": 2**20, "num_heads": 128, "d_kv": 1024, "num_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5", **sizes}))
    with pytest.raises(UserError, match=r"weights take [\d.]+ GiB as float32, and .* has [\d.]+ GiB free") as raised:
        load_checkpoint(tmp_path)
    assert "smaller checkpoint" in str(raised.value) and "bfloat16" not in str(raised.value)


def test_bfloat16_is_proposed_where_it_would_fit():
    free, _ = free_memory()
    width = 2**14
    config = T5Config(int(1.5 * free / 4 / width), 1, 1, width, 1, 1, tie_embedding_weights=True)
    with pytest.raises(UserError, match=r"Load it with dtype bfloat16, or choose a smaller"):
        check_memory(empty_model(config, "float32"), "DIR")
    check_memory(empty_model(config, "bfloat16"), "DIR")


def test_an_empty_model_of_any_size_takes_no_memory():
    model = empty_model(SIZES["xxl"], "float32")
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 11_135_332_352


@pytest.mark.parametrize("dtype", POLICIES)
def test_a_model_computes_in_each_floating_policy(dtype, model, tmp_path):
    save_model(model, tmp_path)
    loaded = load_checkpoint(tmp_path, dtype)
    assert loaded.dtype_policy.name == dtype
    (wanted,), (found,) = (score(each, [[5, 6, 1]], [[[7, 8], [9]]]) for each in (model, loaded))
    assert [each.log for each in found] == pytest.approx([each.log for each in wanted], abs=0.5)


@pytest.mark.parametrize("dtype", ["float64", "complex64", "int32", "bool", "int8_from_float32", "float", ""])
def test_another_policy_is_named_with_those_there_are(dtype, model, tmp_path):
    save_model(model, tmp_path)
    with pytest.raises(UserError, match=f"dtype {dtype}: unknown; choose one of {', '.join(POLICIES)}$"):
        load_checkpoint(tmp_path, dtype)


DEVICES = """
import sys
import jax, keras
from flannb.model import generate, load_checkpoint

devices = keras.distribution.list_devices()
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
model = load_checkpoint(sys.argv[1])
print(len(model.trainable_variables[0].value.sharding.device_set), generate(model, [[5, 6, 1], [7, 1]], 3))

mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "model"), devices=devices)
layouts = keras.distribution.LayoutMap(mesh)
layouts[".*query_projector/kernel"] = (None, "model")
keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch"))
model = load_checkpoint(sys.argv[1])
kernel = next(v for v in model.trainable_variables if v.path.endswith("query_projector/kernel"))
print(kernel.value.sharding.shard_shape(kernel.shape), generate(model, [[5, 6, 1], [7, 1]], 3))
"""


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA simulates several devices on a CPU only")
def test_weights_go_where_the_distribution_puts_them(model, tmp_path):
    save_huggingface(model, tmp_path)
    flags = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", DEVICES, str(tmp_path)]
    there = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    written = generate(model, [[5, 6, 1], [7, 1]], 3)
    assert there.stdout.splitlines() == [f"2 {written}", f"(16, 8) {written}"]


def test_seed_and_other_options_are_those_of_a_new_model(tmp_path):
    new = build_model(T5Config(40, 1, 1, 8, 8, 4, dropout=0.5), seed=7)
    save_model(new, tmp_path)
    states = [
        [np.asarray(v.value).tolist() for v in each.non_trainable_variables]
        for each in (new, load_checkpoint(tmp_path, seed=7), load_checkpoint(tmp_path, seed=8))
    ]
    assert len(states[0]) > 0 and states[0] == states[1] != states[2]


def test_the_command_converts_between_all_layouts(model, tokenizer, tmp_path, capsys):
    first = save_huggingface(model, tmp_path / "first")
    (first / "spiece.model").write_bytes(tokenizer.path.read_bytes())
    chain = [("first", "flannb"), ("flannb", "kerashub"), ("kerashub", "huggingface")]
    # A vocabulary that has more pieces than the model has embeddings is refused where it would be published.
    for source, target in chain[:2]:
        assert main(["convert", str(tmp_path / source), str(tmp_path / target), "--to", target]) == 0
    assert (tmp_path / "flannb" / "spiece.model").read_bytes() == tokenizer.path.read_bytes()
    assert (tmp_path / "kerashub/assets/tokenizer/vocabulary.spm").read_bytes() == tokenizer.path.read_bytes()
    assert main(["convert", *(str(tmp_path / name) for name in chain[2])]) == 2
    assert "pieces" in capsys.readouterr().err
    (tmp_path / "kerashub/assets/tokenizer/vocabulary.spm").unlink()
    assert main(["convert", *(str(tmp_path / name) for name in chain[2])]) == 0
    assert "no tokenizer (name one with --tokenizer)" in capsys.readouterr().out
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "huggingface" / name).read_bytes() == (first / name).read_bytes()


def test_the_command_prints_errors_without_a_traceback(model, tmp_path, capsys):
    assert main(["convert", str(tmp_path / "none"), str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: no such folder.\n"
    save_model(model, tmp_path / "one")
    assert main(["convert", str(tmp_path / "one"), str(tmp_path / "one")]) == 2
    assert "is the checkpoint itself" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "hf://owner/name" in capsys.readouterr().out
