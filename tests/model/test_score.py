"""Likelihoods: what the whole model gives each continuation alone, with every prompt encoded once."""

import ast
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from flannb.errors import UserError
from flannb.model import T5Config, build_model, generate, prepare_scoring, score
from flannb.model.inference import padded_length
from flannb.model.score import _TOKEN_SCORES
from flannb.vocabulary import EOS_ID, PAD_ID

RNG = np.random.default_rng(0)
PROMPTS = [[*RNG.integers(2, 40, size=n).tolist(), EOS_ID] for n in (3, 11, 1, 7, 5)]
OPTIONS = [[RNG.integers(1, 40, size=n).tolist() for n in sizes] for sizes in ((1, 4, 2), (3,), (), (2, 2), (5, 1))]


def alone(model, pairs):
    """Log-probability and greediness of continuations by the whole model, one to a row and none packed."""
    shape = (len(pairs), 12), (len(pairs), 6)
    encoder, decoder, targets = (np.full(size, PAD_ID, np.int32) for size in (*shape, shape[1]))
    for row, (prompt, option) in enumerate(pairs):
        encoder[row, : len(prompt)] = prompt
        decoder[row, 1 : len(option)] = option[:-1]
        targets[row, : len(option)] = option
    batch = {
        "encoder_token_ids": encoder,
        "encoder_padding_mask": (encoder != PAD_ID).astype("int32"),
        "decoder_token_ids": decoder,
        "decoder_padding_mask": np.ones_like(decoder),
    }
    logits = np.asarray(jax.jit(model)(batch), np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    logs, best = np.take_along_axis(logs, targets[..., None], -1)[..., 0], logits.argmax(axis=-1) == targets
    lengths = [len(option) for _, option in pairs]
    return [(log[:n].sum(), best[:n].all()) for log, best, n in zip(logs, best, lengths, strict=True)]


def test_each_continuation_has_the_likelihood_that_it_has_alone(model):
    found = score(model, PROMPTS, OPTIONS, batch_size=3, bucket=16)
    assert [len(row) for row in found] == [len(options) for options in OPTIONS]
    expected = alone(model, [(p, option) for p, options in zip(PROMPTS, OPTIONS, strict=True) for option in options])
    flat = [likelihood for row in found for likelihood in row]
    assert [likelihood.log for likelihood in flat] == pytest.approx([log for log, _ in expected], abs=1e-4)
    assert [likelihood.greedy for likelihood in flat] == [greedy for _, greedy in expected]


def test_many_continuations_are_read_in_several_rows_and_have_the_same_likelihoods(model, monkeypatch):
    expected, counts = score(model, PROMPTS, OPTIONS, batch_size=3, bucket=16), []
    monkeypatch.setattr(sys.modules["flannb.model.score"], "TOGETHER", 5)
    found = score(model, PROMPTS, OPTIONS, batch_size=3, bucket=16, progress=counts.append)
    assert [len(row) for row in found] == [len(row) for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert [each.log for each in row] == pytest.approx([each.log for each in other], abs=1e-5)
        assert [each.greedy for each in row] == [each.greedy for each in other]
    assert len(counts) == 3  # batches of 7 rows: two prompts have two
    assert counts == sorted(counts)
    assert counts[-1] == len(PROMPTS)


def test_what_greedy_decoding_writes_is_greedy_and_nothing_else_is(model):
    written = generate(model, PROMPTS, max_length=4, batch_size=8, bucket=16)
    others = [[*tokens[:-1], (tokens[-1] + 1) % 40] if tokens else [5] for tokens in written]
    options = [[tokens or [EOS_ID], other] for tokens, other in zip(written, others, strict=True)]
    found = score(model, PROMPTS, options, batch_size=3, bucket=16)
    assert [[likelihood.greedy for likelihood in row] for row in found] == [[True, False]] * len(PROMPTS)


def test_probabilities_of_all_one_token_continuations_sum_to_one(model):
    found = score(model, PROMPTS[:1], [[[token] for token in range(40)]], batch_size=3, bucket=16)
    assert sum(np.exp(likelihood.log) for likelihood in found[0]) == pytest.approx(1, abs=1e-5)


def test_progress_counts_the_prompts_and_none_give_none(model):
    done = []
    score(model, PROMPTS, OPTIONS, batch_size=3, bucket=16, progress=done.append)
    assert done == [3, 5]
    assert score(model, [], []) == []


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([[]], [[[5]]], "prompt 0 is empty"),
        ([[5]], [[[5], []]], "prompt 0: continuation 1 is empty"),
        ([[5]], [[[40]]], "prompt 0: continuation 0 .* vocabulary of 40"),
        ([[5], [6]], [[[5]]], "2 prompts, but continuations of 1"),
    ],
)
def test_bad_input_is_named(model, prompts, options, message):
    with pytest.raises(UserError, match=message):
        score(model, prompts, options)


def test_what_is_prepared_is_all_that_is_compiled():
    model = build_model(T5Config(40, 1, 2, 8, 16, 4), seed=0)
    for continuations in (32, 128):
        prepare_scoring(model, 70, continuations, batch_size=2)
    prepared = set(_TOKEN_SCORES._programs[model])
    assert len(prepared) == 2 * 3
    prompts = [[5] * length for length in (3, 3, 40, 60, 65, 70)]
    score(model, prompts, [[[7] * 10] * number for number in (1, 2, 3, 4, 12, 2)], batch_size=2)
    assert set(_TOKEN_SCORES._programs[model]) == prepared


def test_lengths_are_padded_to_few_and_never_to_twice_as_many():
    lengths = range(1, 2049)
    padded = [padded_length(length, 32) for length in lengths]
    assert sorted(set(padded)) == [32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]
    assert all(length <= other < max(1.5 * length, length + 32) for length, other in zip(lengths, padded, strict=True))


def test_an_accelerator_has_one_length_for_each_doubling():
    padded = [padded_length(length, 128, fine=1) for length in range(1, 2049)]
    assert sorted(set(padded)) == [128, 256, 512, 1024, 2048]
    assert padded[:129] == [128] * 128 + [256]


SPREAD = """
import jax
from flannb.model import T5Config, build_model, generate, score

model = build_model(T5Config(40, 1, 2, 8, 8, 4), seed=0)
prompts = [[5, 6, 1], [7, 1], [8, 9, 3, 1]]
options = [[[4], [5, 6]], [[7]], [[8, 9]]]
written = generate(model, prompts, 3, batch_size=3, bucket=8)
likelihoods = score(model, prompts, options, batch_size=3, bucket=8)
outcome = [jax.local_device_count(), written, [[round(each.log, 4) for each in row] for row in likelihoods]]
"""


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA simulates several devices on a CPU only")
def test_two_devices_share_the_batches_and_give_the_same():
    here = {}
    exec(SPREAD, here)
    flags = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", SPREAD + "print(outcome)"]
    there = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    assert ast.literal_eval(there.stdout) == [2, *here["outcome"][1:]]
