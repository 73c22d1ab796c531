"""Writes ``golden_inference.json``: what ``transformers`` generates and how likely it finds continuations.

``python tests/model/golden_inference.py``, where torch and transformers are installed. Weights and prompts are drawn
from seeds, so the file holds outputs only.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from flannb.model import T5Config, build_model, save_huggingface

PATH = Path(__file__).with_suffix(".json")
SHAPES = {
    "t5_1_1": {"activation": "gelu", "use_gated_activation": True, "tie_embedding_weights": False},
    "t5_1_0": {"activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True},
}
LIMIT = 8


def small_model(name):
    """A T5 whose weights are all drawn, of a size at which every one shows in the output."""
    model = build_model(T5Config(96, 3, 4, 24, 40, 12, **SHAPES[name]), seed=0)
    rng = np.random.default_rng(7)
    for variable in model.trainable_variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        size = 0.6 if name == "t5_1_0" and "token_embedding" not in variable.path else 0.3
        variable.assign(mean + size * rng.standard_normal(variable.shape).astype(np.float32))
    return model


def inputs():
    """Prompts of 2 to 150 tokens, each with one to four continuations."""
    rng = np.random.default_rng(8)
    prompts = [[*rng.integers(3, 96, size=n).tolist(), 1] for n in (1, 5, 17, 30, 31, 32, 64, 149)]
    sizes = [rng.integers(1, 9, size=1 + i % 4) for i in range(len(prompts))]
    return prompts, [[rng.integers(2, 96, size=n).tolist() for n in row] for row in sizes]


def main():
    import torch
    import transformers

    prompts, options = inputs()
    found = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
    for name in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            save_huggingface(small_model(name), folder)
            theirs = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
        texts, logs = [], []
        for prompt, row in zip(prompts, options, strict=True):
            ids = torch.tensor([prompt])
            with torch.inference_mode():
                texts.append(theirs.generate(ids, max_new_tokens=LIMIT, do_sample=False)[0, 1:].tolist())
                chances = [theirs(input_ids=ids, labels=torch.tensor([one])).logits.log_softmax(-1)[0] for one in row]
            logs.append([float(c[range(len(o)), o].double().sum()) for c, o in zip(chances, row, strict=True)])
        found[name] = {"texts": texts, "logs": [[round(log, 5) for log in row] for row in logs]}
    PATH.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
