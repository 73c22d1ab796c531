"""Mixture weights: caps, rates, settings and inversions, as shares that sum to 1."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Shard, read_shard
from flannb.collection import SUBMIXTURES, tasks
from flannb.errors import UserError
from flannb.mixture import (
    MIXTURES,
    RELEASED_RATES,
    Mixture,
    draw_tasks,
    mixture,
    shard_weights,
    submixture_shares,
    unigram_entropy,
)

FOUR = ("zs_opt", "zs_noopt", "fs_opt", "fs_noopt")


def shards(task, submixture, records, settings=("zs_opt", "fs_opt"), inverted=False):
    return [
        Shard(task, submixture, setting, inverted, f"{submixture}/{task}.{setting}.arrow", records, records, 1, "")
        for setting in settings
    ]


def share(weights, **wanted):
    return sum(w for s, w in weights.items() if all(getattr(s, name) == value for name, value in wanted.items()))


ONE_OF_EACH = [shard for name in RELEASED_RATES for shard in shards(f"{name}_task", name, 100)]


def test_rates_are_those_of_the_release():
    assert RELEASED_RATES == {
        "flan2021": 0.40,
        "t0_sf": 0.32,
        "super_natural_instructions": 0.20,
        "cot": 0.05,
        "dialog": 0.03,
        "program_synthesis": 0.03,
    }


TASKS = st.lists(
    st.tuples(
        st.sampled_from(sorted(SUBMIXTURES)),
        st.integers(1, 10**6),
        st.lists(st.sampled_from(FOUR), min_size=1, unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(TASKS, st.floats(0.1, 1), st.floats(0.1, 1), st.booleans())
def test_shares_sum_to_one_and_submixtures_keep_their_rates(drawn, zero_shot, few_shot, by_size):
    made = [s for i, (name, n, have, twin) in enumerate(drawn) for s in shards(f"t{i}", name, n, have, twin)]
    rates = dict.fromkeys(SUBMIXTURES, 0.1) | RELEASED_RATES
    weights = shard_weights(made, Mixture(rates, zero_shot, few_shot, by_size=by_size))
    assert {shard.task for shard in weights} == {shard.task for shard in made} and min(weights.values()) > 0
    assert math.isclose(sum(weights.values()), 1)
    if not by_size:
        present = {shard.submixture for shard in made}
        for name, part in submixture_shares(weights).items():
            assert math.isclose(part, rates[name] / sum(rates[other] for other in present))


def test_a_submixture_keeps_its_rate_whatever_its_tasks_have():
    many = [s for i in range(50) for s in shards(f"extra{i}", "flan2021", 30_000, FOUR)]
    for made in (ONE_OF_EACH, [*ONE_OF_EACH, *many]):
        parts = submixture_shares(shard_weights(made, Mixture()))
        assert parts == pytest.approx({name: rate / 1.03 for name, rate in RELEASED_RATES.items()})


@pytest.mark.parametrize("name", SUBMIXTURES)
def test_caps_cap(name):
    cap = SUBMIXTURES[name].cap
    made = [*shards("small", name, cap // 4), *shards("full", name, cap), *shards("huge", name, 50 * cap)]
    weights = shard_weights(made, Mixture({name: 1.0}))
    assert share(weights, task="huge") == pytest.approx(share(weights, task="full"))
    assert share(weights, task="small") == pytest.approx(share(weights, task="full") / 4)


def test_three_inverted_for_every_ten_regular_examples():
    made = [*shards("gsm8k", "cot", 1000), *shards("gsm8k_inverted", "cot", 1000, inverted=True)]
    weights = shard_weights(made, Mixture({"cot": 1.0}))
    assert share(weights, inverted=True) / share(weights, inverted=False) == pytest.approx(3 / 10)
    without = shard_weights(made, Mixture({"cot": 1.0}, inversion=False))
    assert share(without, inverted=False) == pytest.approx(1) and not any(s.inverted for s in without)


def test_settings_share_a_task_evenly_by_default():
    weights = shard_weights([*shards("a", "flan2021", 10, FOUR), *shards("b", "cot", 10)], Mixture())
    for setting in FOUR:
        assert share(weights, task="a", setting=setting) == pytest.approx(share(weights, task="a") / 4)
    assert share(weights, task="b", setting="zs_opt") == pytest.approx(share(weights, task="b") / 2)


def test_a_missing_setting_leaves_the_kinds_their_shares():
    weights = shard_weights(shards("a", "flan2021", 10, FOUR[:3]), Mixture(zero_shot=0.9, few_shot=0.1))
    assert share(weights, setting="fs_opt") == pytest.approx(0.1)
    assert share(weights, setting="zs_opt") == share(weights, setting="zs_noopt") == pytest.approx(0.45)


def test_minus_few_shot_has_no_few_shot_shards():
    weights = shard_weights(ONE_OF_EACH, Mixture(few_shot=0.0))
    assert weights and all(shard.setting.startswith("zs") for shard in weights)
    assert submixture_shares(weights) == pytest.approx(submixture_shares(shard_weights(ONE_OF_EACH, Mixture())))


def test_a_mixture_less_a_submixture_rescales_the_others():
    parts = submixture_shares(shard_weights(ONE_OF_EACH, Mixture().without("cot")))
    assert "cot" not in parts and parts["flan2021"] == pytest.approx(0.40 / 0.98)


def test_by_size_weighs_all_tasks_alike():
    made = [*shards("a", "flan2021", 100), *shards("b", "flan2021", 100), *shards("c", "t0_sf", 100)]
    weights = shard_weights(made, Mixture({"flan2021": 1.0, "t0_sf": 1.0}, by_size=True))
    assert {task: share(weights, task=task) for task in "abc"} == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_p3_on_datasets_of_flan_2021_is_no_part_of_flan_2022():
    weights = shard_weights([*ONE_OF_EACH, *shards("p3", "p3_flan2021", 100)], Mixture())
    assert share(weights, task="p3") == 0


@pytest.mark.parametrize("made", [[], shards("a", "p3_flan2021", 10)])
def test_a_mixture_without_data_is_a_user_error(made):
    with pytest.raises(UserError, match="has no data in this build"):
        shard_weights(made, Mixture())


def test_unigram_entropy_is_that_of_the_weighted_targets(build):
    one, two = build.shards[0], build.shards[-1]
    counts = np.zeros(build.vocabulary_size)
    for shard, weight in ((one, 0.25), (two, 0.75)):
        for ids in read_shard(build.home / shard.path)["target_ids"].to_pylist():
            for token in ids:
                counts[token] += weight / shard.examples
    expected = -sum(p * math.log(p) for p in counts / counts.sum() if p)
    assert unigram_entropy(build, {one: 0.25, two: 0.75}) == pytest.approx(expected)


BOTH_KINDS = st.lists(
    st.tuples(
        st.sampled_from(sorted(RELEASED_RATES)),
        st.integers(1, 10**6),
        st.sampled_from([("zs_opt", "fs_opt"), ("zs_noopt", "fs_noopt"), FOUR, FOUR[:3], FOUR[1:]]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(BOTH_KINDS, st.floats(0, 1))
def test_the_few_shot_share_is_exact(drawn, wanted):
    made = [s for i, (name, n, have, twin) in enumerate(drawn) for s in shards(f"t{i}", name, n, have, twin)]
    weights = shard_weights(made, Mixture().with_few_shot(wanted))
    assert math.isclose(sum(weights.values()), 1)
    assert math.isclose(few_shot_share(weights), wanted, abs_tol=1e-12)


def few_shot_share(weights):
    return math.fsum(weight for shard, weight in weights.items() if shard.setting.startswith("fs"))


@pytest.mark.parametrize(
    ("wanted", "got"), [(0.1, 0.25), (0.25, 0.25), (0.3, 0.3), (0.6, 0.6), (0.75, 0.75), (0.9, 0.75)]
)
def test_tasks_with_both_kinds_make_up_for_those_with_one(wanted, got):
    made = [
        *shards("only_zero", "cot", 100, ("zs_opt",)),
        *shards("only_few", "cot", 100, ("fs_opt",)),
        *shards("both", "cot", 200, FOUR),
    ]
    weights = shard_weights(made, Mixture().with_few_shot(wanted))
    assert few_shot_share(weights) == pytest.approx(got)
    assert {task: share(weights, task=task) for task in ("only_zero", "only_few", "both")} == pytest.approx(
        {"only_zero": 0.25, "only_few": 0.25, "both": 0.5}
    )


@pytest.mark.parametrize("share_", [-0.1, 1.1, math.nan])
def test_a_few_shot_share_is_a_share(share_):
    with pytest.raises(UserError, match="must be from 0 to 1"):
        Mixture().with_few_shot(share_)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rates": {"flan2020": 1.0}}, "no submixture 'flan2020'; use flan2021"),
        ({"rates": {"cot": -1.0}}, "cot is -1.0"),
        ({"rates": {"cot": math.nan}}, "cot is nan"),
        ({"few_shot": math.inf}, "few_shot is inf"),
        ({"zero_shot": 0.0, "few_shot": 0.0}, "both 0"),
    ],
)
def test_mixtures_that_make_no_sense(arguments, said):
    with pytest.raises(UserError, match=said):
        Mixture(**arguments)


@pytest.mark.parametrize("name", MIXTURES)
def test_named_mixtures_weigh_what_their_names_say(name):
    made = [*ONE_OF_EACH, *shards("p3", "p3_flan2021", 100), *shards("cot_task_inverted", "cot", 100, inverted=True)]
    weights = shard_weights(made, mixture(name))
    parts = submixture_shares(weights)
    assert math.isclose(sum(parts.values()), 1)
    if name in RELEASED_RATES:
        assert set(parts) == {name}
    for gone in RELEASED_RATES:
        assert not name.endswith(f"minus_{gone}") or gone not in parts
    if name.startswith("equal"):
        assert len({round(part, 12) for part in parts.values()}) == 1
    if name == "flan2022":
        assert parts == pytest.approx({key: rate / 1.03 for key, rate in RELEASED_RATES.items()})
    assert (name == "minus_few_shot") <= all(shard.setting.startswith("zs") for shard in weights)
    assert any(shard.inverted for shard in weights) == ("cot" in parts and name != "minus_input_inversion")


def test_an_unknown_mixture_is_named():
    with pytest.raises(UserError, match="--mixture flan2023: unknown; choose one of flan2022"):
        mixture("flan2023")


# --- tasks drawn at random (Figure 4) ---

REAL = [task for task in tasks("hub") if RELEASED_RATES.get(task.submixture)]
HELD_IN = {task.name for task in REAL if task.held_in}


@given(st.integers(len(HELD_IN), len(REAL)), st.integers(0, 2**32))
def test_drawn_tasks_hold_the_held_in_ones(number, seed):
    drawn = draw_tasks(REAL, number, seed)
    assert len(drawn) == number and drawn >= HELD_IN
    shuffled = Random(seed).sample(REAL, len(REAL))
    assert draw_tasks(shuffled, number, seed) == drawn
    assert draw_tasks(REAL, max(len(HELD_IN), number - 1), seed) <= drawn


def test_draws_differ_between_seeds():
    assert draw_tasks(REAL, 200, 0) != draw_tasks(REAL, 200, 1)
    assert len(HELD_IN) == 8 and draw_tasks(REAL, 8, 0) == HELD_IN


@pytest.mark.parametrize("number", [0, len(HELD_IN) - 1, len(REAL) + 1])
def test_draws_that_cannot_be(number):
    with pytest.raises(UserError, match=f"choose from 8 .* to {len(REAL)}"):
        draw_tasks(REAL, number, 0)


def test_only_the_drawn_tasks_take_part_each_with_its_twin():
    made = [
        *shards("gsm8k", "cot", 100),
        *shards("gsm8k_inverted", "cot", 100, inverted=True),
        *shards("aqua", "cot", 100),
        *shards("aqua_inverted", "cot", 100, inverted=True),
        *shards("boolq", "flan2021", 100),
    ]
    weights = shard_weights(made, Mixture(tasks=frozenset({"gsm8k", "boolq"})))
    assert {shard.task for shard in weights} == {"gsm8k", "gsm8k_inverted", "boolq"}
    assert math.isclose(sum(weights.values()), 1)
    assert share(weights, task="gsm8k_inverted") / share(weights, task="gsm8k") == pytest.approx(0.3)


def test_a_file_of_rates_is_a_mixture(tmp_path):
    path = tmp_path / "rates.json"
    path.write_text('{"rates": {"cot": 3, "dialog": 1.0}}')
    assert mixture(str(path)) == Mixture({"cot": 3, "dialog": 1.0})
    for text in ("[]", "{}", '{"rates": {"cot": "3"}}', '{"rates": [1]}'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"rates\.json: 'rates' must give a number for each submixture"):
            mixture(str(path))
    path.write_text('{"rates": {"cots": 3}}')
    with pytest.raises(UserError, match="no submixture 'cots'"):
        mixture(str(path))
    with pytest.raises(UserError, match=r"none\.json: is not there\. Correct it"):
        mixture(str(tmp_path / "none.json"))
