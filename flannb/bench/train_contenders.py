"""The programs that the training benchmark compares, each a process of its own.

``python -m flannb.bench.train_contenders NAME OPTIONS FILE``; the options are those of ``flannb.bench.train`` as JSON.
"""

import argparse
import json
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from flannb.errors import UserError
from flannb.model import SIZES, T5Config, peak_flops, training_flops
from flannb.names import check_name

SEED = 0
LEARNING_RATE = 1e-3
Z_LOSS = 1e-4
EXAMPLES = 6
"""Examples of a packed row, on average."""

Round = Callable[[int], float]
"""Takes a number of steps, waits until they are done, and returns the last loss."""


def configuration(given: Namespace) -> T5Config:
    """The model's shape.

    Raises:
        UserError: there is no size of that name.
    """
    check_name("--size", given.size, SIZES)
    return replace(SIZES[given.size], dropout=given.dropout)


def synthetic(given: Namespace, config: T5Config, packed: bool) -> dict[str, np.ndarray]:
    """A batch without padding; its rows hold one example each, or several of lengths drawn at random."""
    rng = np.random.default_rng(SEED)
    inputs, targets = (given.batch, given.input), (given.batch, given.target)
    batch = {
        "encoder_token_ids": rng.integers(2, config.vocabulary_size, inputs, np.int32),
        "encoder_padding_mask": np.ones(inputs, np.int32),
        "targets": rng.integers(2, config.vocabulary_size, targets, np.int32),
        "decoder_padding_mask": np.ones(targets, np.int32),
    }
    if packed:
        for name, (rows, length) in (("encoder_padding_mask", inputs), ("decoder_padding_mask", targets)):
            borders = np.sort(rng.random((rows, EXAMPLES - 1)), axis=1)
            batch[name] += (np.arange(length)[None, :, None] >= borders[:, None] * length).sum(2, dtype=np.int32)
    starts = np.diff(batch["decoder_padding_mask"], axis=1, prepend=0) != 0
    batch["decoder_token_ids"] = np.where(starts, 0, np.roll(batch["targets"], 1, axis=1))
    return batch


def from_build(given: Namespace) -> tuple[Iterator[dict[str, np.ndarray]], int]:
    """Batches of a build by the real input pipeline, and the size of its vocabulary."""
    from flannb.build import open_build
    from flannb.mixture import BatchShape, batches, mixture, shard_weights

    build = open_build(Path(given.data))
    weights = shard_weights(build.shards, mixture("flan2022"))
    return iter(
        batches(build, weights, BatchShape(given.batch, given.input, given.target), SEED)
    ), build.vocabulary_size


def flannb(given: Namespace) -> dict[str, Any]:
    """The step of ``flannb.train``, on all devices, or on as many as asked for."""
    import jax

    from flannb.model import build_model
    from flannb.train import Adafactor, distribute
    from flannb.train.distribution import placed, placer
    from flannb.train.step import make_step

    if given.devices:
        _use(given.devices)
    config, packed = configuration(given), bool(given.packed or given.data)
    stream: Iterator[dict[str, np.ndarray]]
    if given.data:
        stream, vocabulary = from_build(given)
        config = config.with_vocabulary(vocabulary)
    else:
        stream = repeat(synthetic(given, config, packed))
    distribution = distribute(config)
    place = placer(distribution)
    attention = given.attention
    if attention == "auto" and not packed and _dtype(given) == "mixed_bfloat16" and jax.default_backend() == "gpu":
        attention = "cudnn"
    model = build_model(config, SEED, _dtype(given), attention, given.remat)
    optimizer = Adafactor(LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state: Any = tuple([placed(variable, distribution) for variable in group] for group in groups)
    step = make_step(model, optimizer, Z_LOSS)
    real = []

    def advance(steps: int) -> float:
        nonlocal state
        for _ in range(steps):
            batch = next(stream)
            real.append(sum((batch[f"{side}_padding_mask"] > 0).mean() for side in ("encoder", "decoder")) / 2)
            state, metrics = step(state, place(batch))
        jax.block_until_ready(state)
        return float(metrics["loss"])

    found = _timed(given, config, advance) | _jax_device()
    return found | {
        "attention": model.way(training=True),
        "remat": given.remat,
        "real_tokens": round(float(np.mean(real)), 4),
        "pipeline": bool(given.data),
    }


def keras_hub(given: Namespace) -> dict[str, Any]:
    """KerasHub's stock backbone and head, trained by Keras's ``fit``.

    It cannot pack: its rows hold one example each.
    """
    import keras

    try:
        import keras_hub as hub
    except ImportError as error:
        return {"absent": f"keras-hub cannot be imported ({error})"}
    from flannb.train import distribute

    config = configuration(given)
    distribute(config)
    keras.config.set_dtype_policy(_dtype(given))
    backbone = hub.models.T5Backbone(**asdict(config))
    logits = backbone.token_embedding(backbone.output["decoder_sequence_output"], reverse=True)
    model = keras.Model(backbone.input, logits)
    model.compile(
        optimizer=keras.optimizers.Adafactor(learning_rate=LEARNING_RATE, relative_step=False),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    batch = synthetic(given, config, packed=False)
    pair = {name: value for name, value in batch.items() if name != "targets"}, batch["targets"]

    def advance(steps: int) -> float:
        return model.fit((pair for _ in range(steps)), steps_per_epoch=steps, epochs=1, verbose=0).history["loss"][-1]

    return _timed(given, config, advance) | _jax_device() | {"attention": "KerasHub's"}


def transformers(given: Namespace, compiled: bool = False) -> dict[str, Any]:
    """``transformers`` in PyTorch on one device: float32 weights, 16-bit products by autocast, PyTorch's Adafactor.

    It cannot pack: its rows hold one example each.
    """
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # JAX only names the peak here; the memory is PyTorch's
    try:
        import torch
        from transformers import T5Config as TheirConfig
        from transformers import T5ForConditionalGeneration
    except ImportError as error:
        return {"absent": f"{error}"}
    config = configuration(given)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(SEED)
    torch.backends.cuda.matmul.allow_tf32 = True
    half = (given.dtype or ("mixed_bfloat16" if device == "cuda" else "float32")) == "mixed_bfloat16"
    model = T5ForConditionalGeneration(
        TheirConfig(
            vocab_size=config.vocabulary_size,
            d_model=config.hidden_dim,
            d_kv=config.key_value_dim,
            d_ff=config.intermediate_dim,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            dropout_rate=config.dropout,
            feed_forward_proj=("gated-" if config.use_gated_activation else "") + config.activation,
            tie_word_embeddings=config.tie_embedding_weights,
            decoder_start_token_id=0,
        )
    )
    model.to(device).train()
    optimizer = torch.optim.Adafactor(model.parameters(), lr=LEARNING_RATE)
    batch = {name: torch.from_numpy(value).to(device) for name, value in synthetic(given, config, False).items()}
    parts = [
        {name: value[part :: given.parts].contiguous() for name, value in batch.items()} for part in range(given.parts)
    ]

    def forward(part: dict[str, Any]) -> Any:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            return model(
                input_ids=part["encoder_token_ids"].long(),
                attention_mask=part["encoder_padding_mask"],
                decoder_input_ids=part["decoder_token_ids"].long(),
                labels=part["targets"].long(),
            ).loss / len(parts)

    run = torch.compile(forward) if compiled else forward

    def advance(steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            losses = []
            for part in parts:
                loss = run(part)
                loss.backward()
                losses.append(loss.detach())
            optimizer.step()
        return sum(losses).item()  # waits for the device

    found = _timed(given, config, advance)
    on_gpu = device == "cuda"
    return found | {
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
        "attention": str(getattr(model.config, "_attn_implementation", "transformers'")),
        "torch": torch.__version__,
        "mfu": found["mfu"] if on_gpu else None,
        "parts": given.parts,
    }


def transformers_compiled(given: Namespace) -> dict[str, Any]:
    """The same with ``torch.compile``."""
    return transformers(given, compiled=True)


def _use(devices: int) -> None:
    """Lets this process, which has computed nothing yet, see so many devices.

    Raises:
        UserError: there are fewer.
    """
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_cuda_visible_devices", ",".join(map(str, range(devices))))
    if (found := jax.device_count()) != devices:
        raise UserError(f"--devices {devices}: there are {found}")


def _dtype(given: Namespace) -> str:
    import jax

    return given.dtype or ("float32" if jax.default_backend() == "cpu" else "mixed_bfloat16")


def _timed(given: Namespace, config: T5Config, advance: Round) -> dict[str, Any]:
    """Runs the rounds and says how fast they were.

    What comes before stands apart: two rounds, because programs are compiled again where the first results lie
    elsewhere than the first arguments did.
    """
    started = time.perf_counter()
    first_loss = advance(1)
    advance(given.steps)
    first = time.perf_counter() - started
    seconds, loss = [], first_loss
    for _ in range(given.rounds):
        started = time.perf_counter()
        loss = advance(given.steps)
        seconds.append((time.perf_counter() - started) / given.steps)
    step = statistics.median(seconds)
    speed, peak = training_flops(config, given.batch, given.input, given.target) / step, peak_flops()
    return {
        "step_seconds": step,
        "round_step_seconds": [round(value, 5) for value in seconds],
        "warm_up_seconds": round(first, 2),
        "tflops_per_second": speed / 1e12,
        "mfu": None if peak is None else speed / peak,
        "sequences_per_second": given.batch / step,
        "losses": [first_loss, loss],
    }


def _jax_device() -> dict[str, Any]:
    import jax

    devices = jax.local_devices()
    used = max((device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in devices)
    return {
        "device": f"{len(jax.devices())} x {devices[0].device_kind}",
        "peak_gib": round(used / 2**30, 2) if used else None,
    }


CONTENDERS = {
    "flannb": flannb,
    "keras_hub": keras_hub,
    "transformers": transformers,
    "transformers_compiled": transformers_compiled,
}


def main(arguments: list[str] | None = None) -> None:
    """Runs one contender and writes what it measured as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("result", type=Path)
    given = parser.parse_args(arguments)
    given.result.write_text(json.dumps(CONTENDERS[given.name](Namespace(**given.options))))


if __name__ == "__main__":
    main()
