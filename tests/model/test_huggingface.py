"""Checkpoints of Hugging Face: read as ``transformers`` computes them, written as it reads them."""

import json
import shutil
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from flannb.build import Tokenizer
from flannb.errors import UserError
from flannb.model import (
    NotT5,
    T5Config,
    build_model,
    generate,
    load_checkpoint,
    open_checkpoint,
    save_huggingface,
)
from flannb.vocabulary import EOS_ID, PAD_ID

GOLDEN = sorted(path.parent for path in (Path(__file__).parent / "checkpoints").glob("*/config.json"))
UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


def weights(model):
    return {variable.path: np.asarray(variable.value) for variable in model.trainable_variables}


def assert_same(model, other):
    assert other.config == model.config
    assert weights(other).keys() == weights(model).keys()
    for path, value in weights(model).items():
        np.testing.assert_array_equal(weights(other)[path], value, err_msg=path)


def inputs(encoder, decoder):
    return {
        "encoder_token_ids": encoder.astype(np.int32),
        "encoder_padding_mask": (encoder != PAD_ID).astype(np.int32),
        "decoder_token_ids": decoder.astype(np.int32),
        "decoder_padding_mask": np.ones(decoder.shape, np.int32),
    }


def text_ids(rows):
    """What is left of generated ids without special ones."""
    ended = [row[: row.index(EOS_ID)] if EOS_ID in row else row for row in rows]
    return [[token for token in row if token != PAD_ID] for row in ended]


@pytest.fixture
def folder(model, tmp_path):
    return save_huggingface(model, tmp_path / "model")


def edit(folder, **changes):
    """Changes keys of ``config.json``; ``None`` takes one away."""
    path = folder / "config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def edit_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_folders_of_transformers_give_its_logits_and_its_text(golden):
    model, expected = load_checkpoint(golden), load_file(golden / "expected.safetensors")
    logits = jax.jit(model)(inputs(expected["encoder"], expected["decoder"]))
    np.testing.assert_allclose(np.asarray(logits), expected["logits"], atol=1e-4, rtol=1e-4)
    prompts = [[token for token in row if token != PAD_ID] for row in expected["encoder"].tolist()]
    assert generate(model, prompts, max_length=8) == text_ids(expected["generated"].tolist())
    with safe_open(golden / "expected.safetensors", "np") as file:
        assert file.metadata().keys() == {"transformers", "torch"}


def test_golden_folders_are_of_all_kinds():
    shapes = [open_checkpoint(folder).config for folder in GOLDEN]
    assert {(s.use_gated_activation, s.tie_embedding_weights) for s in shapes} == {(False, True), (True, False)}
    assert any((folder / "model.safetensors.index.json").is_file() for folder in GOLDEN)
    assert {str(next(iter(load_file(next(f.glob("model*.safetensors"))).values())).dtype) for f in GOLDEN} == {
        "float32",
        "bfloat16",
    }


# One layer as transformers 5.24 names and shapes it: d_model 16, 2 heads of 8, d_ff 24, vocabulary 40.
LAYERS = {
    "encoder.block.1.layer.0.SelfAttention.q.weight": (16, 16),
    "encoder.block.1.layer.0.SelfAttention.k.weight": (16, 16),
    "encoder.block.1.layer.0.SelfAttention.v.weight": (16, 16),
    "encoder.block.1.layer.0.SelfAttention.o.weight": (16, 16),
    "encoder.block.1.layer.0.layer_norm.weight": (16,),
    "encoder.block.1.layer.1.DenseReluDense.wo.weight": (16, 24),
    "encoder.block.1.layer.1.layer_norm.weight": (16,),
    "decoder.block.1.layer.0.SelfAttention.q.weight": (16, 16),
    "decoder.block.1.layer.0.SelfAttention.k.weight": (16, 16),
    "decoder.block.1.layer.0.SelfAttention.v.weight": (16, 16),
    "decoder.block.1.layer.0.SelfAttention.o.weight": (16, 16),
    "decoder.block.1.layer.0.layer_norm.weight": (16,),
    "decoder.block.1.layer.1.EncDecAttention.q.weight": (16, 16),
    "decoder.block.1.layer.1.EncDecAttention.k.weight": (16, 16),
    "decoder.block.1.layer.1.EncDecAttention.v.weight": (16, 16),
    "decoder.block.1.layer.1.EncDecAttention.o.weight": (16, 16),
    "decoder.block.1.layer.1.layer_norm.weight": (16,),
    "decoder.block.1.layer.2.DenseReluDense.wo.weight": (16, 24),
    "decoder.block.1.layer.2.layer_norm.weight": (16,),
}
ONCE = {
    "shared.weight": (40, 16),
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2),
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2),
    "encoder.final_layer_norm.weight": (16,),
    "decoder.final_layer_norm.weight": (16,),
}


def expected_shapes(inner, more):
    ffn = {f"{s}.block.1.layer.{n}.DenseReluDense.{wi}.weight": (24, 16) for s, n in inner for wi in inner[s, n]}
    one = LAYERS | ffn
    return {**one, **{name.replace("block.1", "block.0"): shape for name, shape in one.items()}, **ONCE, **more}


def test_tensors_have_the_names_and_shapes_of_transformers(model, tied_model, tmp_path):
    gated = {("encoder", 1): ("wi_0", "wi_1"), ("decoder", 2): ("wi_0", "wi_1")}
    plain = {("encoder", 1): ("wi",), ("decoder", 2): ("wi",)}
    for each, inner, more in ((model, gated, {"lm_head.weight": (40, 16)}), (tied_model, plain, {})):
        written = load_file(save_huggingface(each, tmp_path / "model") / "model.safetensors")
        assert {name: tensor.shape for name, tensor in written.items()} == expected_shapes(inner, more)


def test_kernels_are_transposed_and_tables_are_not(model, folder):
    written, ours = load_file(folder / "model.safetensors"), weights(model)
    kernel = ours["transformer_decoder_layer_1/cross_attention/key_projector/kernel"]
    np.testing.assert_array_equal(written["decoder.block.1.layer.1.EncDecAttention.k.weight"], kernel.T)
    head = ours["token_embedding/reverse_embeddings"]
    np.testing.assert_array_equal(written["lm_head.weight"], head.T)
    np.testing.assert_array_equal(written["shared.weight"], ours["token_embedding/embeddings"])


@pytest.mark.parametrize("kind", ["model", "tied_model"])
def test_what_is_written_is_read_and_written_again_to_the_byte(kind, request, tmp_path):
    model = request.getfixturevalue(kind)
    first = save_huggingface(model, tmp_path / "first")
    loaded = load_checkpoint(first)
    assert_same(model, loaded)
    second = save_huggingface(loaded, tmp_path / "second")
    names = sorted(path.name for path in first.iterdir())
    assert names == ["config.json", "generation_config.json", "model.safetensors"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_large_weights_are_written_in_shards_that_fit_and_leave_nothing_old(model, tmp_path):
    folder = save_huggingface(model, tmp_path / "model", shard_bytes=8_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shards = sorted(folder.glob("model-*.safetensors"))
    assert [shard.name for shard in shards] == sorted(set(index["weight_map"].values()))
    assert shards[0].name == f"model-00001-of-{len(shards):05d}.safetensors" and len(shards) > 2
    sizes = {shard.name: sum(tensor.nbytes for tensor in load_file(shard).values()) for shard in shards}
    assert max(sizes.values()) <= 8_000 and sum(sizes.values()) == index["metadata"]["total_size"]
    assert_same(model, load_checkpoint(folder))
    save_huggingface(model, folder)
    assert sorted(path.name for path in folder.glob("model*")) == ["model.safetensors"]
    assert_same(model, load_checkpoint(folder))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_written_and_read(dtype, model, tmp_path):
    folder = save_huggingface(model, tmp_path / "model", dtype=dtype)
    assert {str(tensor.dtype) for tensor in load_file(folder / "model.safetensors").values()} == {dtype}
    kind = getattr(ml_dtypes, dtype) if dtype == "bfloat16" else np.float16
    for path, value in weights(load_checkpoint(folder)).items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, weights(model)[path].astype(kind).astype(np.float32))
    half = load_checkpoint(folder, "bfloat16")
    assert {str(variable.dtype) for variable in half.trainable_variables} == {"bfloat16"}


def test_an_unknown_dtype_is_named(model, folder, tmp_path):
    with pytest.raises(UserError, match="dtype int3"):
        load_checkpoint(folder, "int3")
    with pytest.raises(UserError, match="dtype 'float8'"):
        save_huggingface(model, tmp_path, dtype="float8")


@pytest.mark.parametrize("name", ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"])
def test_the_embedding_is_found_under_each_of_its_names(name, model, folder):
    edit_tensors(folder, lambda tensors: tensors.update({name: tensors.pop("shared.weight")}))
    assert_same(model, load_checkpoint(folder))


def test_copies_of_the_embedding_are_read_once_and_others_refused(tied_model, tmp_path):
    folder = save_huggingface(tied_model, tmp_path / "model")
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    edit_tensors(folder, lambda tensors: tensors.update({name: tensors["shared.weight"].copy() for name in copies}))
    assert_same(tied_model, load_checkpoint(folder))
    edit_tensors(folder, lambda tensors: tensors["lm_head.weight"].__setitem__((3, 1), 9))
    with pytest.raises(UserError, match=r"lm_head\.weight is not shared\.weight.*tie_word_embeddings"):
        load_checkpoint(folder)
    edit_tensors(folder, lambda tensors: tensors.update({copies[0]: tensors[copies[0]][:-1].copy()}))
    with pytest.raises(UserError, match=r"encoder\.embed_tokens\.weight is not shared\.weight"):
        load_checkpoint(folder)


def test_a_head_that_is_the_embedding_and_not_rescaled_is_copied(tied_model, tmp_path):
    """As transformers 5 saves a T5 1.1 whose head equals its embedding."""
    folder = save_huggingface(tied_model, tmp_path / "model")
    edit(folder, tie_word_embeddings=True, scale_decoder_outputs=False)
    loaded = load_checkpoint(folder)
    assert not loaded.config.tie_embedding_weights
    table = weights(tied_model)["token_embedding/embeddings"]
    np.testing.assert_array_equal(weights(loaded)["token_embedding/reverse_embeddings"], table.T)
    edit(folder, tie_word_embeddings=False, scale_decoder_outputs=None)
    with pytest.raises(UserError, match=r"missing: lm_head\.weight"):
        load_checkpoint(folder)


def test_the_position_bias_of_old_checkpoints_that_nothing_uses_is_skipped(model, folder):
    edit_tensors(folder, lambda tensors: tensors.update({UNUSED: np.ones((32, 2), np.float32)}))
    assert_same(model, load_checkpoint(folder))


def test_sizes_absent_from_the_configuration_are_those_of_transformers(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    found = open_checkpoint(tmp_path).config
    assert (found.vocabulary_size, found.num_layers, found.num_heads) == (32_128, 6, 8)
    assert (found.hidden_dim, found.intermediate_dim, found.key_value_dim) == (512, 2048, 64)
    assert (found.activation, found.use_gated_activation, found.tie_embedding_weights) == ("relu", False, True)


@pytest.mark.parametrize(
    ("projection", "activation", "gated"),
    [
        ("relu", "relu", False),
        ("gated-relu", "relu", True),
        ("gated-gelu", "gelu", True),
        ("gelu_new", "gelu", False),
        ("gated-silu", "silu", True),
    ],
)
def test_activations_are_named_as_keras_names_them(projection, activation, gated, folder):
    edit(folder, feed_forward_proj=projection)
    found = open_checkpoint(folder).config
    assert (found.activation, found.use_gated_activation) == (activation, gated)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feed_forward_proj": "gelu"}, "feed_forward_proj is 'gelu'"),
        ({"feed_forward_proj": ["relu"]}, "feed_forward_proj"),
        ({"num_decoder_layers": 3}, "num_decoder_layers is 3, but num_layers 2"),
        ({"relative_attention_num_buckets": 16}, "relative_attention_num_buckets is 16, not 32"),
        ({"relative_attention_max_distance": 64}, "relative_attention_max_distance is 64, not 128"),
        ({"decoder_start_token_id": 2}, "decoder_start_token_id is 2, not 0"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder is False"),
        ({"d_model": "16"}, "d_model is '16'"),
        ({"num_heads": 0}, "num_heads is 0"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon is 'small'"),
        ({"d_ff": -1, "num_decoder_layers": 7}, "d_ff is -1.*num_decoder_layers is 7"),
    ],
)
def test_what_flannb_cannot_compute_is_named(changes, message, folder):
    edit(folder, **changes)
    with pytest.raises(UserError, match=message):
        open_checkpoint(folder)


def test_other_architectures_are_named(folder):
    edit(folder, model_type="bart")
    with pytest.raises(NotT5, match="model_type is 'bart'"):
        open_checkpoint(folder)


def test_tensors_that_do_not_fit_are_all_listed(folder):
    def change(tensors):
        del tensors["encoder.final_layer_norm.weight"], tensors["lm_head.weight"]
        tensors["encoder.block.7.extra"] = np.zeros(3, np.float32)
        tensors["shared.weight"] = tensors["shared.weight"][:-1].copy()
        tensors["decoder.final_layer_norm.weight"] = np.ones(16, np.int8)

    edit_tensors(folder, change)
    with pytest.raises(UserError) as raised:
        load_checkpoint(folder)
    message = str(raised.value)
    assert message.startswith(str(folder))
    assert "missing: encoder.final_layer_norm.weight, lm_head.weight\n" in message
    assert "unknown: encoder.block.7.extra\n" in message
    assert "of another shape: shared.weight [39, 16] instead of [40, 16]\n" in message
    assert message.endswith("not floating point: decoder.final_layer_norm.weight I8")


def test_weights_of_another_vocabulary_or_size_are_named(folder):
    edit(folder, vocab_size=64, feed_forward_proj="relu")
    with pytest.raises(UserError) as raised:
        load_checkpoint(folder)
    for part in (
        "shared.weight [40, 16] instead of [64, 16]",
        "DenseReluDense.wi.weight",
        "DenseReluDense.wi_1.weight",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "weights.ckpt"])
def test_pickled_weights_are_refused_with_the_way_to_convert_them(name, folder):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(UserError, match=r"unpickling can run code") as raised:
        load_checkpoint(folder)
    assert name in str(raised.value)
    assert f'from_pretrained("{folder}").save_pretrained("DIR")' in str(raised.value)


def test_weights_of_other_frameworks_and_none_at_all_are_told_apart(folder):
    (folder / "model.safetensors").rename(folder / "tf_model.h5")
    with pytest.raises(UserError, match=r"only tf_model\.h5: weights of another framework"):
        load_checkpoint(folder)
    (folder / "tf_model.h5").unlink()
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        load_checkpoint(folder)


def test_an_export_that_was_broken_off_is_no_checkpoint(model, folder, monkeypatch):
    def fail(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("flannb.model.huggingface.save_file", fail)
    with pytest.raises(KeyboardInterrupt):
        save_huggingface(model, folder)
    assert not list(folder.glob("*.tmp")) and not list(folder.glob(".*.tmp"))
    with pytest.raises(UserError, match=r"has no config\.json.*or a part of one"):
        load_checkpoint(folder)


def test_a_file_is_no_folder_to_write(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot be written"):
        save_huggingface(model, tmp_path / "file")


def test_the_vocabulary_goes_along_and_must_fit(model, tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"spiece\.model: has \d+ pieces, but the model a vocabulary of 40"):
        save_huggingface(model, tmp_path / "model", tokenizer)
    assert not (tmp_path / "model").exists()


def test_a_vocabulary_from_before_is_not_that_of_another_model(tokenizer, tmp_path):
    model = build_model(T5Config(tokenizer.vocabulary_size, 1, 1, 8, 8, 4), seed=0)
    folder = save_huggingface(model, tmp_path, tokenizer)
    (folder / "tokenizer.json").write_text("another, which transformers would prefer")
    names = {path.name for path in save_huggingface(model, folder, tokenizer).iterdir()}
    assert {"spiece.model", "tokenizer_config.json"} < names and "tokenizer.json" not in names
    assert open_checkpoint(save_huggingface(model, folder)).tokenizer is None
    assert sorted(path.name for path in folder.iterdir()) == sorted(names - {"spiece.model", "tokenizer_config.json"})


transformers_needed = "needs transformers and torch: pip install 'flannb[transformers]'"


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch", reason=transformers_needed)
    found = pytest.importorskip("transformers", reason=transformers_needed)
    found.utils.logging.set_verbosity_error()
    found.utils.logging.disable_progress_bar()
    return found


TEXTS = ("Which word means warm?", "Is a lake colder\nthan a stove? yes no", "Write about the fox.")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("tied", [True, False])
def test_transformers_reads_what_is_written_and_generates_the_same_text(tied, tokenizer, transformers, tmp_path):
    import torch

    shape = T5Config(tokenizer.vocabulary_size, 2, 2, 16, 24, 8, tie_embedding_weights=tied)
    model = build_model(shape, seed=1)
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        # A tied head repeats the start token unless the layers outweigh the embedding.
        size = 1.0 if tied and "token_embedding" not in variable.path else 0.3
        variable.assign(mean + size * rng.standard_normal(variable.shape).astype(np.float32))
    folder = save_huggingface(model, tmp_path / "ours", tokenizer, shard_bytes=10_000)
    theirs, report = transformers.T5ForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(report[problem] for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    reader = transformers.AutoTokenizer.from_pretrained(folder)
    prompts = reader(list(TEXTS)).input_ids
    assert prompts == [[*ids, EOS_ID] for ids in tokenizer.encode(TEXTS)]
    written = [
        theirs.generate(input_ids=torch.tensor([ids]), max_new_tokens=10, do_sample=False)[0].tolist()
        for ids in prompts
    ]
    ours = generate(model, prompts, max_length=10)
    assert ours == text_ids(written)
    known = [[token for token in row if token > 2] for row in ours]  # each writes unknown tokens its own way
    assert reader.batch_decode(known, skip_special_tokens=True) == tokenizer.decode(known)
    assert any(known)

    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="10KB")
    reader.save_pretrained(tmp_path / "theirs")
    back = open_checkpoint(tmp_path / "theirs")
    assert_same(model, back.load())
    assert back.tokenizer == tmp_path / "theirs" / "tokenizer.json"
    assert Tokenizer(back.tokenizer).encode(TEXTS) == tokenizer.encode(TEXTS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_pickled_weights_are_loaded_after_the_conversion_that_the_error_names(model, folder, transformers, tmp_path):
    import torch

    theirs = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    torch.save(theirs.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError) as raised:
        load_checkpoint(folder)
    lines = [line.strip() for line in str(raised.value).splitlines()[1:]]
    exec("\n".join(lines).replace('"DIR"', repr(str(tmp_path / "converted"))), {})
    shutil.rmtree(folder)
    assert_same(model, load_checkpoint(tmp_path / "converted"))
