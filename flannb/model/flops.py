"""The model's own arithmetic: floating-point operations (FLOPs) of training and generation, peaks of devices, MFU.

Counted are the matrix products of the model (a multiplication and an addition are two operations), as PaLM's appendix B
does (arXiv 2204.02311). For one row of S input and T target tokens, with L layers, hidden size D, feed-forward size F,
inner size I (heads times head size) and vocabulary V:

    encoder   L (8 S D I          queries, keys, values, output
                 + 4 S S I        scores and weighted values
                 + m S D F)       feed-forward; m is 4, or 6 with a gate
    decoder   L (8 T D I + 4 T T I
                 + 4 T D I        cross-attention: queries, output
                 + 4 S D I        cross-attention: keys, values of the encoder's output
                 + 4 T S I + m T D F)
    head      2 T D V

Training is three times that: each product has two in the backward pass. Positions count whether they hold tokens or
padding, and attention counts in full, though a kernel may skip what causality or packing hides. Not counted: what
rematerialisation or a fused kernel computes again, embeddings, the relative bias, everything without a matrix product.
"""

import re

import jax

from flannb.model.config import T5Config

PEAK_TFLOPS = (
    # NVIDIA's data sheets: dense bf16 with tensor cores.
    ("B200", 2250.0),
    ("GH200", 989.4),
    ("H200", 989.4),
    ("H100 NVL", 835.5),
    ("H100 PCIe", 756.0),
    ("H100", 989.4),
    ("A100", 311.8),
    ("L40S", 362.1),
    ("L4", 121.0),
    ("A10", 125.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
    # cloud.google.com/tpu/docs/system-architecture-tpu-vm, for what JAX calls a device.
    ("TPU v6e", 918.0),
    ("TPU v6", 918.0),
    ("TPU v5p", 459.0),
    ("TPU v5 lite", 197.0),
    ("TPU v5e", 197.0),
    ("TPU v5", 459.0),
    ("TPU v4", 275.0),
    ("TPU v3", 61.5),
)
"""Peak bf16 TFLOP/s by words of the device's kind; the first that fits counts."""


def forward_flops(config: T5Config, batch: int, source: int, target: int) -> float:
    """FLOPs of one forward pass over ``batch`` rows of ``source`` and ``target`` tokens, with all logits."""
    decoder = _decoder_token_flops(config, target, source) * target + _memory_flops(config, source)
    return float(batch) * (_encoder_flops(config, source) + decoder + target * _head_flops(config))


def training_flops(config: T5Config, batch: int, source: int, target: int) -> float:
    """FLOPs of one optimizer step (forward and backward) over ``batch`` rows of ``source`` and ``target`` tokens."""
    return 3.0 * forward_flops(config, batch, source, target)


def generation_flops(config: T5Config, batch: int, source: int, length: int) -> float:
    """FLOPs of generating ``length`` tokens for ``batch`` prompts of ``source`` tokens.

    The encoder and the keys and values of its output are computed once; each step is one token's, which reads a cache
    of ``length`` keys, and its logits.
    """
    step = _decoder_token_flops(config, length, source) + _head_flops(config)
    return float(batch) * (_encoder_flops(config, source) + _memory_flops(config, source) + length * step)


def peak_flops() -> float | None:
    """Peak bf16 FLOP/s of all devices of all processes together, or None for kinds that ``PEAK_TFLOPS`` lacks."""
    peaks = [device_peak_flops(device.device_kind) for device in jax.devices()]
    return None if None in peaks else sum(peak for peak in peaks if peak is not None)


def mfu(flops_per_second: float) -> float | None:
    """Model FLOPs utilisation: the part of ``peak_flops`` that ``flops_per_second`` is, or None without a peak."""
    peak = peak_flops()
    return None if peak is None else flops_per_second / peak


def device_peak_flops(kind: str) -> float | None:
    """Peak bf16 FLOP/s of one device, by what JAX calls its kind; None for kinds that ``PEAK_TFLOPS`` lacks."""
    return next((1e12 * peak for name, peak in PEAK_TFLOPS if _is_of(kind, name)), None)


def _is_of(kind: str, name: str) -> bool:
    """Whether a kind has these words whole: an L40 is no L4. Nor is an RTX 3090 Ti, or a laptop's, an RTX 3090."""
    return re.search(rf"\b{re.escape(name)}\b(?! (?:Ti|D|Laptop)\b)", kind, re.IGNORECASE) is not None


def _inner(config: T5Config) -> int:
    return config.num_heads * config.key_value_dim


def _feed_forward_flops(config: T5Config) -> int:
    """Of one token in one layer."""
    return (6 if config.use_gated_activation else 4) * config.hidden_dim * config.intermediate_dim


def _encoder_flops(config: T5Config, source: int) -> int:
    inner = _inner(config)
    token = 8 * config.hidden_dim * inner + 4 * source * inner + _feed_forward_flops(config)
    return config.num_layers * source * token


def _memory_flops(config: T5Config, source: int) -> int:
    """Keys and values of the encoder's output, for all layers of the decoder."""
    return config.num_layers * 4 * source * config.hidden_dim * _inner(config)


def _decoder_token_flops(config: T5Config, keys: int, source: int) -> int:
    """Of one token in all layers, which attends to ``keys`` tokens and ``source`` positions of the encoder."""
    inner = _inner(config)
    layer = 12 * config.hidden_dim * inner + 4 * (keys + source) * inner + _feed_forward_flops(config)
    return config.num_layers * layer


def _head_flops(config: T5Config) -> int:
    return 2 * config.hidden_dim * config.vocabulary_size
