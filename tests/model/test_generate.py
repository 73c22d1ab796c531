"""Generation: token for token what the whole model would choose, in the order of the prompts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flannb.errors import UserError
from flannb.model import T5Config, build_model, generate, prepare_generation
from flannb.model.decode import attend_by_products, attend_by_sums
from flannb.model.generate import _GENERATE
from flannb.vocabulary import EOS_ID, PAD_ID

RNG = np.random.default_rng(0)
PROMPTS = [[*RNG.integers(2, 40, size=n).tolist(), EOS_ID] for n in (3, 40, 1, 7, 12, 5, 33)]


def slowly(model, prompts, length):
    """Greedy choice with the whole model, one token at a time."""

    @jax.jit
    def logits(encoder, decoder):
        return model(
            {
                "encoder_token_ids": encoder,
                "encoder_padding_mask": (encoder != PAD_ID).astype("int32"),
                "decoder_token_ids": decoder,
                "decoder_padding_mask": jnp.ones_like(decoder),
            }
        )

    encoder = np.full((len(prompts), 48), PAD_ID, np.int32)
    for row, prompt in zip(encoder, prompts, strict=True):
        row[: len(prompt)] = prompt
    decoder = np.full((len(prompts), length + 1), PAD_ID, np.int32)
    for i in range(length):  # what follows position i is hidden from it
        decoder[:, i + 1] = np.asarray(logits(encoder, decoder))[:, i].argmax(axis=-1)
    results = []
    for tokens in decoder[:, 1:].tolist():
        until = tokens.index(EOS_ID) if EOS_ID in tokens else length
        results.append([token for token in tokens[:until] if token != PAD_ID])
    return results


def test_each_token_is_the_whole_models_choice_in_the_prompts_order(model):
    found = generate(model, PROMPTS, max_length=6, batch_size=3, bucket=8)
    assert found == slowly(model, PROMPTS, 6)
    assert len({tuple(tokens) for tokens in found}) > 1


def test_batch_size_and_bucket_change_nothing(model):
    expected = generate(model, PROMPTS, max_length=5)
    assert generate(model, PROMPTS, max_length=5, batch_size=2, bucket=4) == expected
    assert generate(model, PROMPTS[::-1], max_length=5) == expected[::-1]


def test_generation_stops_at_the_end_mark(model):
    """Two heads that know the end mark and one other id, and prefer the opposite: one ends at once."""
    head = next(v for v in model.trainable_variables if v.path.endswith("reverse_embeddings"))
    before = np.array(head.value)
    try:
        ends = []
        for sign in (1.0, -1.0):
            two = np.zeros_like(before)
            two[:, EOS_ID] = sign * before[:, EOS_ID]
            two[:, 9] = -two[:, EOS_ID]  # whichever is positive wins
            head.assign(two)
            ends.append(generate(model, PROMPTS[:1], max_length=1)[0])
        assert sorted(ends) == [[], [9]]
    finally:
        head.assign(before)


def test_progress_counts_the_prompts(model):
    done = []
    generate(model, PROMPTS, max_length=2, batch_size=3, progress=done.append)
    assert done == [3, 6, 7]


def test_what_is_prepared_is_all_that_is_compiled():
    model = build_model(T5Config(40, 1, 2, 8, 16, 4), seed=0)
    prepare_generation(model, 70, max_length=2, batch_size=2)
    prepared = set(_GENERATE._programs[model])
    assert len(prepared) == 3
    generate(model, [[5] * length for length in (3, 3, 40, 60, 65, 70)], max_length=2, batch_size=2)
    assert set(_GENERATE._programs[model]) == prepared


def test_no_prompts_give_no_results(model):
    assert generate(model, [], max_length=4) == []


@pytest.mark.parametrize(("prompt", "message"), [([], "prompt 1 is empty"), ([40], "prompt 1 .* vocabulary of 40")])
def test_bad_prompts_are_named(model, prompt, message):
    with pytest.raises(UserError, match=message):
        generate(model, [[5, 1], prompt], max_length=4)


def test_attention_as_sums_is_attention_as_products():
    query, keys, values = (np.float32(RNG.standard_normal(shape)) for shape in ((3, 2, 8), (3, 2, 5, 8), (3, 2, 5, 8)))
    bias = np.where(RNG.random((3, 1, 5)) < 0.3, -1e9, 0.0).astype(np.float32)
    one, other = (way(query, keys, values, bias) for way in (attend_by_sums, attend_by_products))
    assert np.asarray(one) == pytest.approx(np.asarray(other), abs=1e-5)


def test_half_precision_reads_the_same_weights(model):
    half = build_model(model.config, seed=0, dtype="mixed_bfloat16")
    for own, other in zip(half.trainable_variables, model.trainable_variables, strict=True):
        own.assign(other.value)
    expected = generate(model, PROMPTS, max_length=4, batch_size=8)
    found = generate(half, PROMPTS, max_length=4, batch_size=8)
    # The first token of most prompts is the same in 8 bits of precision; a wrong weight would change them all.
    assert sum(a[:1] == b[:1] for a, b in zip(expected, found, strict=True)) > len(PROMPTS) / 2
