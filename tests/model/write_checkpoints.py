"""Writes ``checkpoints/``: tiny T5s as ``transformers`` saves them, with the logits and the text ids that it computes.

Run it where transformers and torch are installed: ``python tests/model/write_checkpoints.py``. The tests read the
folders without either.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent / "checkpoints"
SIZES = {"vocab_size": 40, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}

# name -> differences of the configuration, and how it is saved
CASES = {
    "t5": ({"feed_forward_proj": "relu"}, torch.float32, "5GB"),
    "t5_1_1": ({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, torch.float32, "9KB"),
    "t5_1_1_bf16": ({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, torch.bfloat16, "5GB"),
}


def write(name: str, changes: dict, dtype: torch.dtype, shard: str) -> None:
    torch.manual_seed(len(name))
    rng = np.random.default_rng(len(name))
    config = transformers.T5Config(**SIZES, **changes, decoder_start_token_id=0)
    model = transformers.T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(torch.from_numpy(rng.normal(mean, 0.4, parameter.shape)))
    if not config.scale_decoder_outputs:
        model.lm_head.weight = torch.nn.Parameter(torch.from_numpy(rng.normal(0, 0.4, (40, 8)).astype(np.float32)))
    model.to(dtype)
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size=shard)

    model.float()  # computed in float32 whatever is stored
    encoder = rng.integers(2, 40, (3, 9))
    encoder[1, 5:] = 0
    decoder = np.concatenate([np.zeros((3, 1), int), rng.integers(2, 40, (3, 5))], axis=1)
    tensors = {"input_ids": torch.from_numpy(encoder), "attention_mask": torch.from_numpy((encoder > 0).astype(int))}
    with torch.no_grad():
        logits = model(**tensors, decoder_input_ids=torch.from_numpy(decoder)).logits.numpy()
        generated = model.generate(**tensors, max_new_tokens=8, do_sample=False).numpy()
    save_file(
        {"encoder": encoder, "decoder": decoder, "logits": logits, "generated": generated},
        folder / "expected.safetensors",
        metadata={"transformers": transformers.__version__, "torch": torch.__version__},
    )


if __name__ == "__main__":
    for case, (differences, stored_as, largest) in CASES.items():
        write(case, differences, stored_as, largest)
