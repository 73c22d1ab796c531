"""Sampling: what is drawn follows the model's probabilities, and depends on seed and prompt alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.errors import UserError
from flannb.model import Sampling, generate, score
from flannb.model.sample import prompt_seeds, truncate
from flannb.vocabulary import EOS_ID

RNG = np.random.default_rng(0)
PROMPTS = [[*RNG.integers(2, 40, size=n).tolist(), EOS_ID] for n in (3, 11, 1, 7, 5)]


def test_the_order_and_the_company_of_prompts_change_nothing(model):
    sampling = Sampling(temperature=1.5, seed=3)
    drawn = generate(model, PROMPTS, 4, batch_size=8, sampling=sampling)
    assert generate(model, PROMPTS, 4, batch_size=8, sampling=sampling) == drawn
    assert generate(model, PROMPTS[::-1], 4, batch_size=8, sampling=sampling) == drawn[::-1]
    assert generate(model, PROMPTS[1:2], 4, batch_size=8, sampling=sampling) == drawn[1:2]
    assert generate(model, PROMPTS, 4, batch_size=8, sampling=Sampling(temperature=1.5, seed=4)) != drawn


def test_frequencies_are_the_models_probabilities(model):
    draws = 600
    tokens = generate(model, [PROMPTS[0]] * draws, 1, batch_size=draws, sampling=Sampling())
    counts = np.bincount([row[0] if row else EOS_ID for row in tokens], minlength=40)
    (found,) = score(model, PROMPTS[:1], [[[token] for token in range(40)]])
    chances = np.exp([each.log for each in found])
    chances[EOS_ID] += chances[0]  # padding ends an output as well
    chances[0] = 0
    deviations = np.sqrt(draws * chances * (1 - chances))
    assert (np.abs(counts - draws * chances) < 4.5 * deviations + 1).all()


def test_one_token_or_a_cold_model_is_greedy(model):
    greedy = generate(model, PROMPTS, 4, batch_size=8)
    for sampling in (Sampling(top_k=1), Sampling(top_p=1e-6), Sampling(temperature=1e-4)):
        assert generate(model, PROMPTS, 4, batch_size=8, sampling=sampling) == greedy


@given(
    st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=2, max_size=8, unique=True),
    st.integers(0, 9),
    st.floats(0.01, 1.0),
)
def test_what_is_left_is_the_top_k_that_reach_top_p(logits, top_k, top_p):
    """Written plainly, token by token."""
    order = sorted(range(len(logits)), key=lambda i: -logits[i])[: top_k or None]
    weights = np.exp(np.float64([logits[i] for i in order]))
    before = np.cumsum(weights) / weights.sum() - weights / weights.sum()
    if np.abs(before - top_p).min() < 1e-5:
        return  # on the edge, rounding decides
    wanted = {i for i, reached in zip(order, before, strict=True) if reached < top_p}
    found = truncate(jnp.asarray([logits], "float32"), jnp.int32(top_k), jnp.float32(top_p))[0]
    assert {i for i, value in enumerate(found) if np.isfinite(value)} == wanted


def test_a_prompt_that_comes_again_has_a_seed_of_its_own():
    seeds = prompt_seeds([[5, 6], [7], [5, 6]])
    assert len(set(seeds.tolist())) == 3
    assert prompt_seeds([[7], [5, 6]]).tolist() == seeds[[1, 0]].tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "temperature 0.0: must be above 0"),
        ({"top_k": -1}, "top_k -1"),
        ({"top_p": 0.0}, "top_p 0.0"),
        ({"top_p": 1.5}, "top_p 1.5"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_values_out_of_range_are_named(values, message):
    with pytest.raises(UserError, match=message):
        Sampling(**values)
