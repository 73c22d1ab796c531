"""The verdicts on the claims about the tables, on predictions that are made to decide them."""

import numpy as np
import pytest

from flannb.report import LAYOUTS, evaluate_claims, to_csv
from flannb.report.claims import COLUMNS, PARTS


def verdict(claims, name):
    return claims.set_index("id").loc[name, "verdict"]


def detail(claims, name):
    return claims.set_index("id").loc[name, "detail"]


def give(predictions, row, rate, suite=None, setting=None, seed=0):
    """Sets the row's scores in a suite (all by default) to right with this rate."""
    frame = predictions[row]
    chosen = (suite is None or frame["suite"] == suite) & (setting is None or frame["setting"] == setting)
    chosen = np.broadcast_to(chosen, len(frame))
    frame.loc[chosen, "score"] = np.random.default_rng(seed).random(chosen.sum()) < rate


def test_scores_like_the_papers_give_the_papers_verdicts(predictions, setup):
    claims = evaluate_claims(predictions, setup)
    assert tuple(claims.columns) == COLUMNS
    assert [verdict(claims, claim) for claim in ("C1", "C2", "C3", "C4", "C5")] == ["holds"] * 5
    assert set(claims["scale"]) == {"smoke"}


def test_every_claim_is_followed_by_its_parts(predictions, setup):
    ids = list(evaluate_claims(predictions, setup)["id"])
    assert ids[:3] == ["C1", "C1.cot.zs", "C1.cot.fs"]
    assert len(ids) == len(set(ids)) == 5 + sum(len(PARTS[claim]) for claim in LAYOUTS["table1"].claims)
    assert [id for id in ids if id.startswith("C3.")] == [
        f"C3.{suite}.fs" for suite in ("held_in", "cot", "mmlu", "bbh", "bbh_cot")
    ]
    assert sum(id.startswith("C2.") for id in ids) == 6
    assert sum(id.startswith("C4.") for id in ids) == sum(id.startswith("C5.") for id in ids) == 10


def test_table2s_claims_are_tested_on_its_own_rows(predictions2, setup2):
    claims = evaluate_claims(predictions2, setup2)
    assert [name for name in claims["id"] if "." not in name] == ["C8", "C9"]
    parts = claims.set_index("id")
    assert [verdict(claims, claim) for claim in ("C8", "C8.mmlu.zs", "C8.cot.zs")] == ["holds"] * 3
    assert parts.loc["C8.cot.zs", "claim"].endswith("leaving out CoT costs more than leaving out any other")
    give(predictions2, "minus_dialog", 0.0, "cot")
    assert verdict(evaluate_claims(predictions2, setup2), "C8.cot.zs") == "does not hold"
    give(predictions2, "all_weighted", 1.0)
    assert verdict(evaluate_claims(predictions2, setup2), "C9") == "holds"


def test_one_part_on_the_wrong_side_is_enough_for_a_no(predictions, setup):
    give(predictions, "minus_cot", 1.0, "cot", "fs")
    claims = evaluate_claims(predictions, setup)
    assert verdict(claims, "C1.cot.zs") == "holds"
    assert verdict(claims, "C1.cot.fs") == "does not hold"
    assert verdict(claims, "C1") == "does not hold"
    assert detail(claims, "C1") == "1 of 2 parts hold, 1 does not"
    part = claims.set_index("id").loc["C1.cot.fs"]
    assert part["difference"] < part["ci_high"] < 0


def test_an_interval_around_zero_is_undecided(predictions, setup):
    give(predictions, "flan2022", 0.4, "cot", "zs", seed=1)
    give(predictions, "minus_cot", 0.4, "cot", "zs", seed=2)
    claims = evaluate_claims(predictions, setup)
    part = claims.set_index("id").loc["C1.cot.zs"]
    assert part["ci_low"] < 0 < part["ci_high"]
    assert part["verdict"] == "undecided"
    assert verdict(claims, "C1") == "undecided"
    assert detail(claims, "C1") == "1 of 2 parts hold, 1 undecided"


def test_equal_predictions_decide_nothing_except_that_nothing_helps(predictions, setup):
    claims = evaluate_claims(dict.fromkeys(predictions, predictions["flan2022"]), setup)
    assert [verdict(claims, claim) for claim in ("C1", "C2", "C3", "C4")] == ["undecided"] * 4
    assert verdict(claims, "C2.held_in.zs") == "holds"
    assert verdict(claims, "C2.mmlu.zs") == "undecided"
    assert verdict(claims, "C5") == "does not hold"  # a tie in every cell is best in none


def test_inversion_that_helps_held_in_refutes_c2(predictions, setup):
    give(predictions, "minus_input_inversion", 0.1, "held_in", "zs")
    claims = evaluate_claims(predictions, setup)
    assert verdict(claims, "C2.held_in.zs") == "does not hold"
    assert verdict(claims, "C2") == "does not hold"


def test_inversion_that_harms_held_in_is_as_c2_says(predictions, setup):
    give(predictions, "minus_input_inversion", 1.0, "held_in")
    assert verdict(evaluate_claims(predictions, setup), "C2") == "holds"


def test_the_share_of_cells_decides_c5(predictions, setup):
    claims = evaluate_claims(predictions, setup).set_index("id")
    assert claims.loc["C5", "difference"] == 90.0
    assert claims.loc["C5", "detail"] == "best in 9 of 10 cells; a tie is not won"
    for suite in ("held_in", "cot", "mmlu"):
        give(predictions, "flan2021", 1.0, suite)
    claims = evaluate_claims(predictions, setup).set_index("id")
    assert claims.loc["C5", "verdict"] == "does not hold"
    assert claims.loc["C5", "ci_high"] < 50
    assert claims.loc["C5.mmlu.zs", "verdict"] == "does not hold"


def test_c5_is_undecided_where_a_cell_has_no_result(predictions, setup):
    frame = predictions["p3pp"]
    predictions["p3pp"] = frame[frame["suite"] != "bbh_cot"]
    claims = evaluate_claims(predictions, setup)
    assert verdict(claims, "C5") == "undecided"
    assert detail(claims, "C5") == (
        "best in 7 of 8 cells; a tie is not won; "
        "2 without a result (BBH-CoT, zero-shot: row 'p3pp' has no predictions here)"
    )


def test_a_row_that_was_not_run_is_named(predictions, setup):
    del predictions["minus_few_shot"]
    claims = evaluate_claims(predictions, setup)
    assert verdict(claims, "C3") == verdict(claims, "C3.mmlu.fs") == "undecided"
    assert detail(claims, "C3.mmlu.fs") == "row 'minus_few_shot' was not run"
    assert claims.set_index("id").loc["C3.mmlu.fs", ["difference", "ci_low", "ci_high"]].isna().all()
    assert verdict(claims, "C1") == "holds"


def test_no_run_at_all_leaves_everything_undecided(setup):
    assert set(evaluate_claims({}, setup)["verdict"]) == {"undecided"}


def test_different_evaluation_rows_are_not_compared(predictions, setup):
    predictions["minus_cot"].loc[predictions["minus_cot"]["row"] == 0, "row"] = 1000
    claims = evaluate_claims(predictions, setup)
    assert detail(claims, "C1.cot.zs") == "rows 'flan2022' and 'minus_cot' were scored on different evaluation rows"


def test_few_rows_decide_nothing(predictions, setup):
    few = {row: frame[(frame["row"] < 2) & (frame["task"] == "cot_0")] for row, frame in predictions.items()}
    claims = evaluate_claims(few, setup)
    assert detail(claims, "C1.cot.zs") == "only 2 evaluation rows; at least 30 are needed"
    assert set(claims["verdict"]) == {"undecided"}


def test_absent_sets_are_noted(predictions, setup):
    without = {row: frame[frame["task"] != "cot_0"] for row, frame in predictions.items()}
    assert detail(evaluate_claims(without, setup), "C1.cot.zs") == "n = 240, 4 of 5 sets"


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_input_gives_equal_bytes(predictions, setup, seed):
    shuffled = {row: frame.sample(frac=1, random_state=seed) for row, frame in predictions.items()}
    assert to_csv(evaluate_claims(predictions, setup)) == to_csv(evaluate_claims(shuffled, setup))
