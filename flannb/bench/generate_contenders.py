"""What the benchmark of generation compares, each a process of its own."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flannb.bench.generate import OPTION_TOKENS, OPTIONS
from flannb.bench.measure import absent
from flannb.model import SIZES, T5, T5Config, build_model, generate, save_huggingface, score
from flannb.vocabulary import EOS_ID, PAD_ID

TINY = T5Config(1000, 2, 2, 32, 64, 16)
FIRST_TOKEN = 10
"""Prompts and options have no special tokens."""

Ids = list[list[int]]


def model(given: argparse.Namespace, float32: bool = False) -> T5:
    """The model, with the same weights in every process."""
    dtype = "float32" if given.dtype == "float32" or float32 else "mixed_bfloat16"
    made = build_model(TINY if given.size == "tiny" else SIZES[given.size], seed=0, dtype=dtype)
    head = next(v for v in made.trainable_variables if v.path.endswith("reverse_embeddings"))
    value = np.array(head.value)
    value[:, EOS_ID] = value[:, PAD_ID] = 0  # never the likeliest, so that no row ends early
    head.assign(value)
    return made


def prompts(given: argparse.Namespace, size: int) -> np.ndarray:
    """Token ids (batch, input)."""
    return np.random.default_rng(0).integers(FIRST_TOKEN, size, (given.batch, given.input), np.int32)


def timed(call: Callable[[], Any], given: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the first call and of the others, and what the last returned."""
    seconds, outputs = [], None
    for _ in range(given.rounds + 1):
        started = time.perf_counter()
        outputs = call()
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[1:])
    return {
        "sequences_per_second": round(given.batch / median, 2),
        "median_seconds": median,
        "seconds": [round(value, 4) for value in seconds[1:]],
        "first_call_seconds": round(seconds[0], 2),
        "outputs": outputs,
    }


def flannb(given: argparse.Namespace) -> dict[str, Any]:
    """``flannb.model.generate``."""
    made = model(given)
    ids = prompts(given, made.config.vocabulary_size).tolist()
    return timed(lambda: generate(made, ids, given.new, given.batch), given)


def keras_hub(given: argparse.Namespace) -> dict[str, Any]:
    """KerasHub's ``T5Seq2SeqLM.generate`` as it comes, with its greedy sampler and its cache."""
    import keras_hub

    ours = model(given)
    policy = ours.dtype_policy.name
    shape = asdict(ours.config)
    lm = keras_hub.models.T5Seq2SeqLM(keras_hub.models.T5Backbone(**shape, dtype=policy), preprocessor=None)
    for theirs, own in zip(lm.trainable_variables, ours.trainable_variables, strict=True):
        theirs.assign(own.value)
    lm.compile(sampler="greedy")
    ids = prompts(given, ours.config.vocabulary_size)
    start = np.zeros((given.batch, given.new + 1), np.int32)
    inputs = {
        "encoder_token_ids": ids,
        "encoder_padding_mask": np.ones_like(ids),
        "decoder_token_ids": start,
        "decoder_padding_mask": np.arange(given.new + 1)[None] < np.ones((given.batch, 1)),
    }

    def call() -> Ids:
        output = lm.generate(inputs, stop_token_ids=None)
        return np.asarray(output["decoder_token_ids"])[:, 1:].tolist()

    return timed(call, given)


def transformers(given: argparse.Namespace) -> dict[str, Any]:
    """``T5ForConditionalGeneration.generate``, with its cache."""
    import torch
    from transformers import T5ForConditionalGeneration

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = model(given, float32=True)
    folder = save_huggingface(ours, given.folder / "checkpoint")
    dtype = getattr(torch, given.dtype)
    lm = T5ForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval()
    ids = torch.tensor(prompts(given, ours.config.vocabulary_size), dtype=torch.long, device=device)
    limits = {"max_new_tokens": given.new, "min_new_tokens": given.new, "do_sample": False, "num_beams": 1}

    def call() -> Ids:
        with torch.inference_mode():
            return lm.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **limits)[:, 1:].tolist()

    return timed(call, given)


def together(given: argparse.Namespace) -> dict[str, Any]:
    """Flannb's scoring: all options of a prompt in one row of the decoder, one pass of the encoder."""
    made, ids, options = _questions(given)
    return timed(lambda: [_best(row) for row in score(made, ids, options, given.batch)], given)


def one_by_one(given: argparse.Namespace) -> dict[str, Any]:
    """Flannb's scoring with a row for each option, as a model without shared prompts does it."""
    made, ids, options = _questions(given)
    rows = [prompt for prompt in ids for _ in range(OPTIONS)]
    single = [[option] for row in options for option in row]

    def call() -> list[int]:
        found = [one for (one,) in score(made, rows, single, given.batch)]
        return [_best(found[i : i + OPTIONS]) for i in range(0, len(found), OPTIONS)]

    return timed(call, given)


def _questions(given: argparse.Namespace) -> tuple[T5, Ids, list[Ids]]:
    made = model(given)
    size = made.config.vocabulary_size
    drawn = np.random.default_rng(1).integers(FIRST_TOKEN, size, (given.batch, OPTIONS, OPTION_TOKENS))
    return made, prompts(given, size).tolist(), drawn.tolist()


def _best(likelihoods: list[Any]) -> int:
    return int(np.argmax([each.log for each in likelihoods]))


CONTENDERS = {
    "flannb": flannb,
    "keras_hub": keras_hub,
    "transformers": transformers,
    "together": together,
    "one_by_one": one_by_one,
}
NEEDS = {"keras_hub": ("keras_hub",), "transformers": ("torch", "transformers")}


def _device(name: str) -> str:
    """The kind of device that computes; JAX takes most of a GPU's memory, so it keeps off one that torch needs."""
    if name == "transformers":
        import torch

        jax.config.update("jax_platforms", "cpu")
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return jax.devices()[0].device_kind


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """What a contender measured, and with which numbers on which device."""
    device = _device(given.name)
    if given.dtype == "auto":
        given.dtype = "float32" if device == "cpu" else "bfloat16"
    return CONTENDERS[given.name](given) | {"dtype": given.dtype, "device": device}


def main(arguments: list[str] | None = None) -> None:
    """Runs one contender and writes what it measured as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("size")
    for number in ("batch", "input", "new", "rounds"):
        parser.add_argument(number, type=int)
    parser.add_argument("dtype")
    parser.add_argument("result", type=Path)
    given = parser.parse_args(arguments)
    given.result.write_text(json.dumps(absent(NEEDS.get(given.name, ())) or measured(given)))


if __name__ == "__main__":
    main()
