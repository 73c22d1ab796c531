"""What ``transformers`` computes for small T5 models: ``python tests/model/golden.py`` writes ``golden.safetensors``.

Weights and batches are drawn from a seed, so that only results are stored: logits, losses and all gradients.
"""

from pathlib import Path

import numpy as np

from flannb.model import T5Config, build_model

FILE = Path(__file__).parent / "golden.safetensors"
SHAPE = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 24,
    "key_value_dim": 8,
}
T5_1_0 = {"activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True}

# Name: the model, and the lengths of the rows' inputs and targets.
CASES = {
    "t5_1.1": (T5Config(**SHAPE), [(9, 5), (4, 7), (1, 1)]),
    "t5_1.0": (T5Config(**SHAPE | T5_1_0), [(9, 5), (4, 7), (1, 1)]),
    "deep_narrow": (T5Config(**SHAPE | {"num_layers": 3, "num_heads": 3, "key_value_dim": 4}), [(6, 6), (7, 2)]),
    "long": (T5Config(**SHAPE | T5_1_0 | {"num_layers": 1}), [(190, 30), (150, 45)]),
}


def drawn_model(config, seed=0):
    """A model all of whose weights matter to the result."""
    model, rng = build_model(config, seed=0), np.random.default_rng(seed)
    for variable in model.trainable_variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        variable.assign(mean + 0.3 * rng.standard_normal(variable.shape).astype(np.float32))
    return model


def drawn_batch(config, lengths, seed=0):
    """The model's inputs and targets for rows of these lengths, padded at the end."""
    rng = np.random.default_rng([seed, 1])

    def rows(sizes):
        array = np.zeros((len(sizes), max(sizes)), np.int32)
        for row, size in zip(array, sizes, strict=True):
            row[:size] = rng.integers(2, config.vocabulary_size, size)
        return array

    encoder, targets = (rows(sizes) for sizes in zip(*lengths, strict=True))
    return {
        "encoder_token_ids": encoder,
        "encoder_padding_mask": (encoder > 0).astype(np.int32),
        "decoder_token_ids": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
        "decoder_padding_mask": (targets > 0).astype(np.int32),
        "targets": targets,
    }


def name_in_transformers(path, gated):
    """The name of a variable in ``T5ForConditionalGeneration``, and whether its tensor is transposed there."""
    parts = path.split("/")
    while not parts[0].startswith(("token_", "transformer_", "encoder_", "decoder_")):
        parts.pop(0)
    if parts[0] == "token_embedding":
        return {"embeddings": ("shared.weight", False), "reverse_embeddings": ("lm_head.weight", True)}[parts[1]]
    if parts[0].endswith("output_layer_norm"):
        return f"{parts[0].split('_')[0]}.final_layer_norm.weight", False
    _, side, _, number = parts[0].split("_")
    last = 2 if side == "decoder" else 1
    block = f"{side}.block.{number}.layer."
    if parts[1] in ("self_attention", "cross_attention"):
        attention = "0.SelfAttention." if parts[1] == "self_attention" else "1.EncDecAttention."
        if parts[2] == "embeddings":
            return block + attention + "relative_attention_bias.weight", False
        return block + attention + parts[2][0] + ".weight", True
    if parts[1].endswith("layer_norm"):
        place = {"self_attention_layer_norm": 0, "cross_attention_layer_norm": 1, "layer_norm": last}[parts[1]]
        return f"{block}{place}.layer_norm.weight", False
    dense = {"input_projector": "wi_0" if gated else "wi", "gate_projector": "wi_1", "output_projector": "wo"}
    return f"{block}{last}.DenseReluDense.{dense[parts[1]]}.weight", True


def in_transformers(model, batch):
    """What ``transformers`` computes with a model's weights: logits, the loss, and gradients by variable path."""
    import torch
    from transformers import T5Config as TheirConfig
    from transformers import T5ForConditionalGeneration

    config = model.config
    theirs = T5ForConditionalGeneration(
        TheirConfig(
            vocab_size=config.vocabulary_size,
            d_model=config.hidden_dim,
            d_kv=config.key_value_dim,
            d_ff=config.intermediate_dim,
            num_layers=config.num_layers,
            num_decoder_layers=config.num_layers,
            num_heads=config.num_heads,
            dropout_rate=0.0,
            feed_forward_proj=("gated-" if config.use_gated_activation else "") + config.activation,
            tie_word_embeddings=config.tie_embedding_weights,
            decoder_start_token_id=0,
        )
    ).eval()
    if not config.tie_embedding_weights:  # transformers 5 ties the two until a checkpoint has both
        theirs.lm_head.weight = torch.nn.Parameter(torch.empty(config.vocabulary_size, config.hidden_dim))
    parameters = dict(theirs.named_parameters())
    names = {v.path: name_in_transformers(v.path, config.use_gated_activation) for v in model.trainable_variables}
    assert not {name for name, _ in names.values()} ^ parameters.keys()
    with torch.no_grad():
        for variable in model.trainable_variables:
            name, transposed = names[variable.path]
            value = np.array(variable.value)
            parameters[name].copy_(torch.from_numpy(value.T.copy() if transposed else value))
    ids = {name: torch.from_numpy(value).long() for name, value in batch.items()}
    output = theirs(
        input_ids=ids["encoder_token_ids"],
        attention_mask=ids["encoder_padding_mask"],
        decoder_input_ids=ids["decoder_token_ids"],
        labels=ids["targets"].masked_fill(ids["targets"] == 0, -100),
    )
    output.loss.backward()
    gradients = {}
    for path, (name, transposed) in names.items():
        gradient = parameters[name].grad.numpy()
        gradients[path] = np.ascontiguousarray(gradient.T if transposed else gradient)
    return output.logits.detach().numpy(), output.loss.item(), gradients


def main():
    """Writes the file."""
    import torch
    import transformers
    from safetensors.numpy import save_file

    tensors = {}
    for name, (config, lengths) in CASES.items():
        batch = drawn_batch(config, lengths)
        logits, loss, gradients = in_transformers(drawn_model(config), batch)
        tensors[f"{name}/logits"] = logits
        tensors[f"{name}/loss"] = np.float32(loss).reshape(1)
        tensors |= {f"{name}/gradient/{path}": gradient for path, gradient in gradients.items()}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file(tensors, FILE, metadata=versions)
    print(f"{FILE.name}: {FILE.stat().st_size:,} bytes, {versions}")


if __name__ == "__main__":
    main()
