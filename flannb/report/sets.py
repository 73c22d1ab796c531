"""How the full row of a table does on each set of a suite, beside always giving the set's most frequent answer."""

from collections.abc import Mapping

from flannb.evaluate.intervals import suite_score
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.sections import Section
from flannb.report.table import Cell, Predictions, Setup, cells, majority_shares, one_model, with_interval


def sets_sections(ways: Mapping[str, Predictions], setup: Setup, suite: str = "held_in") -> list[Section]:
    """A section with a line for each set and setting; none where the full row has no predictions of the suite.

    A suite's mean hides that a model is above chance on one set and below it on another.

    Args:
        ways: how answers are found, as a column's head -> predictions.
    """
    full = setup.layout.full
    found = {way: cells(predictions, setup) for way, predictions in ways.items()}
    shares: dict[tuple[str, str], float] = {}
    for predictions in ways.values():
        shares = majority_shares(one_model(predictions), suite) | shares
    above, scored = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0)
    lines = []
    order = [*SETTINGS]
    for setting, task in sorted(shares, key=lambda key: (order.index(key[0]), key[1])):
        share = shares[setting, task]
        name, counts, texts = f"{task}, {SETTINGS[setting]}", [0], []
        for way, measured in found.items():
            scores = measured.get((full, suite, setting), Cell()).scores.get(task)
            if scores is None:
                texts.append("")
                continue
            score = suite_score({task: scores}, setup.seed)
            counts.append(len(scores))
            texts.append(with_interval(score.score, score.low, score.high))
            above[way] += score.low > 100 * share
            scored[way] += 1
        if any(texts):
            lines.append((name, str(max(counts)), f"{100 * share:.1f}", *texts))
    if not lines:
        return []
    title = setup.layout.titles()[full]
    sentences = (
        f"{title} set by set, in percent with 95% intervals over rows, beside always giving the answer that is right"
        " most often in a set. The whole interval is above that in"
        f" {', '.join(f'{above[way]} of {count} ({way.lower()})' for way, count in scored.items() if count)}.",
    )
    return [Section(f"{TITLES[suite]}, set by set", sentences, ("Set", "Rows", "Most frequent", *ways), tuple(lines))]
