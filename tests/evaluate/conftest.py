"""A tiny T5 as flannb and as ``transformers`` have it, with the same weights and the same vocabulary."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from flannb.evaluate import FlannbModel
from flannb.model import T5Config, build_model, save_model

DECODER_PARTS = {"self_attention": ("0", "SelfAttention"), "cross_attention": ("1", "EncDecAttention")}
PROJECTORS = {"query": "q", "key": "k", "value": "v", "output": "o"}


def random_model(tokenizer, tied):
    """Random weights, large enough for outputs to differ between prompts."""
    shape = T5Config(tokenizer.vocabulary_size, 1, 2, 16, 32, 8, tie_embedding_weights=tied)
    model = build_model(shape, seed=0)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        # A tied head repeats the start token unless the layers outweigh the embedding.
        size = 1.0 if tied and "token_embedding" not in variable.path else 0.3
        variable.assign(mean + size * rng.standard_normal(variable.shape).astype(np.float32))
    return FlannbModel(model, tokenizer, batch_size=8)


def write_flannb(model, folder):
    """The model as ``open_model`` reads it, its tokenizer beside the weights."""
    save_model(model.model, folder)
    (folder / "spiece.model").write_bytes(model.tokenizer.path.read_bytes())
    return folder


@pytest.fixture(scope="session")
def flannb_model(tokenizer):
    """With a head of its own, as T5 1.1 has it."""
    return random_model(tokenizer, tied=False)


@pytest.fixture(scope="session")
def flannb_folder(flannb_model, tmp_path_factory):
    return write_flannb(flannb_model, tmp_path_factory.mktemp("flannb") / "model")


def _name(path):
    """The name in ``transformers`` of a variable of flannb."""
    parts = path.split("/")
    if parts[0] == "token_embedding":
        return {"embeddings": "shared.weight", "reverse_embeddings": "lm_head.weight"}[parts[1]]
    side = "encoder" if "encoder" in parts[0] else "decoder"
    if parts[0].endswith("output_layer_norm"):
        return f"{side}.final_layer_norm.weight"
    block = f"{side}.block.{parts[0].rsplit('_', 1)[1]}.layer"
    for part, (number, attention) in DECODER_PARTS.items():
        if parts[1] == f"{part}_layer_norm":
            return f"{block}.{number}.layer_norm.weight"
        if parts[1] == part:
            if parts[2] == "embeddings":
                return f"{block}.0.SelfAttention.relative_attention_bias.weight"
            return f"{block}.{number}.{attention}.{PROJECTORS[parts[2].split('_')[0]]}.weight"
    last = f"{block}.{1 if side == 'encoder' else 2}"
    dense = {"input_projector": "wi_0", "gate_projector": "wi_1", "output_projector": "wo"}
    return (
        f"{last}.layer_norm.weight" if parts[1] == "layer_norm" else f"{last}.DenseReluDense.{dense[parts[1]]}.weight"
    )


@pytest.fixture(scope="session")
def transformers_folder(flannb_model, tmp_path_factory):
    return write_transformers(flannb_model, tmp_path_factory.mktemp("transformers") / "model")


@pytest.fixture(scope="session")
def tied_folders(tokenizer, tmp_path_factory):
    """Folders of a model whose head is its embedding, as T5 1.0 has it: flannb's and that of ``transformers``."""
    model, root = random_model(tokenizer, tied=True), tmp_path_factory.mktemp("tied")
    return write_flannb(model, root / "flannb"), write_transformers(model, root / "transformers")


def write_transformers(model, folder):
    """The same model and vocabulary as a checkpoint of ``transformers``."""
    reason = "needs transformers and torch: pip install 'flannb[transformers]'"
    pytest.importorskip("torch", reason=reason)
    transformers = pytest.importorskip("transformers", reason=reason)
    from sentencepiece import SentencePieceProcessor
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    folder.mkdir()
    config = model.model.config
    # Written as published checkpoints of T5 1.1 are, not by today's save_pretrained.
    shape = {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": config.vocabulary_size,
        "d_model": config.hidden_dim,
        "d_kv": config.key_value_dim,
        "d_ff": config.intermediate_dim,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.num_layers,
        "num_heads": config.num_heads,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": config.tie_embedding_weights,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(shape))
    weights = {}
    for variable in model.model.trainable_variables:
        value, name = np.array(variable.value), _name(variable.path)
        transposed = value.ndim == 2 and name != "shared.weight" and "relative_attention_bias" not in name
        weights[name] = np.ascontiguousarray(value.T if transposed else value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    pieces = SentencePieceProcessor(model_file=str(model.tokenizer.path))
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    fast = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    fast.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("\n", " "), normalizers.Strip(), normalizers.Replace("  ", " ")]
    )
    fast.pre_tokenizer = pre_tokenizers.Metaspace()
    fast.decoder = decoders.Metaspace()
    end = pieces.id_to_piece(1)
    fast.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, 1)])
    special = {"eos_token": end, "pad_token": pieces.id_to_piece(0), "unk_token": pieces.id_to_piece(2)}
    transformers.PreTrainedTokenizerFast(tokenizer_object=fast, **special).save_pretrained(folder)
    return folder
