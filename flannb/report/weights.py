"""The report on a search for mixture weights: the proposal beside the paper's weights, and whether the regression that
it comes from predicts anything.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flannb.collection import SUBMIXTURES
from flannb.evaluate import REPEAT
from flannb.evaluate.intervals import Interval, difference, of_suites, suite_score
from flannb.report.drawing import GREEN, PINK, SETTING_MARKS, STAR, new_figure, plain, plain_rows, report_style
from flannb.report.figure_page import FigurePage, score_grid, write_page
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.page import caption
from flannb.report.table import Predictions, Setup, repeat_counts, score_table, with_interval
from flannb.search import CHOOSING, COMPARING, MEAN, PAPER, PROPOSED, Search, half, together

EQUAL = "equal"

BOTH = "both"
MARKS = {**SETTING_MARKS, BOTH: ("#000000", "D")}
"""Setting, or the mean of both, -> colour and marker."""

NAMES = {**TITLES, MEAN: "Mean of suites"}
MIXED = {**SETTINGS, BOTH: "mean of both"}

ABOUT = (
    "Beyond the paper, which leaves the choice of mixture weights as future work. Models of one size are trained as the"
    " rows of Table 1 are, on mixtures whose shares vary by factors around the paper's rates and equal ones. A ridge"
    " regression for each suite tells its score, the mean of zero-shot and few-shot, by the logarithms of the shares."
    " The proposal is the average of these mixtures whose predicted mean over suites is highest, so nothing is"
    " extrapolated; a model of it is trained as that of the paper's rates."
)
HALVES = (
    "Weights were chosen by the scores on one half of the evaluation rows, drawn by hash; all scores and differences of"
    " models below are on the other half, which took no part in it."
)
CAPTION = (
    "Above: shares of the submixtures, grey those of all runs. Below: points of the proposal above the paper's rates on"
    " rows that it was not chosen on, with paired 95% intervals."
)
LEFT_OUT = (
    "What a regression without a run predicts for it, over what it scored, on the rows that weights are chosen on. RMSE"
    " in points, in brackets that of taking the mean of the other runs; what lies on the line is predicted exactly."
)


def write_weights(folder: Path, found: Search, predictions: Predictions, setup: Setup) -> list[Path]:
    """Writes the report on a search; see ``flannb.report.figure_page.write_page``.

    Beside weights.csv, the scores of all rows, it leaves comparison.csv (``comparison``), runs.csv (shares of every
    run, its scores and what was predicted for it) and regression.csv (effects and errors).

    Args:
        folder: of the report.
        found: the search.
        predictions: row -> its predictions, those of the proposal among them.
        setup: what was measured, in the layout ``weights``.
    """
    kept = {row: half(frame, COMPARING, setup.seed) for row, frame in predictions.items()}
    table, compared = score_table(kept, setup), comparison(kept, setup)
    titles, seeds = setup.layout.titles(), seed_spread(predictions, setup)
    page = FigurePage(
        f"Mixture weights as a search, at the scale {setup.scale}",
        [*verdict(compared, found, seeds), ABOUT, HALVES, *caption(table, setup, repeats=repeat_counts(predictions))],
        {
            "weights": (CAPTION, weights_figure(found, compared, setup)),
            "regression": (LEFT_OUT, regression_figure(found, setup)),
        },
        {
            "The proposal against the paper's rates": _shown_comparison(compared),
            "Weights": _shown_runs(found, titles),
            "The regression": _shown_regression(found, seeds),
            "Scores": score_grid(table, "Mixture", titles),
        },
    )
    data = {
        "weights": table.drop(columns="paper"),
        "comparison": compared,
        "runs": _runs(found),
        "regression": _regression(found, seeds),
    }
    return write_page(folder, "weights", page, data)


def comparison(predictions: Predictions, setup: Setup) -> pd.DataFrame:
    """The proposal against the paper's rates, on the rows that both were scored on.

    Returns:
        For each suite, and ``mean`` for the mean over them, and each setting, and ``both`` for the mean over them:
        ``suite, setting, paper, proposed`` (percent), ``difference, ci_low, ci_high`` (points, paired), ``n`` (rows).
    """
    keys = ["suite", "task", "row", "setting"]
    frames = [predictions[row][predictions[row]["suite"].isin(setup.layout.suites)] for row in (PAPER, PROPOSED)]
    shared = pd.merge(*(frame[keys].drop_duplicates() for frame in frames), on=keys)
    lines = []
    for setting in (BOTH, *SETTINGS):
        rows = shared if setting == BOTH else shared[shared["setting"] == setting]
        suites = [together(frame.merge(rows, on=keys)) for frame in frames]
        paper, proposed = ({**scores, MEAN: of_suites(scores)} for scores in suites)
        for suite in paper:
            apart: Interval = difference(proposed[suite], paper[suite], setup.seed)
            scores = {"paper": suite_score(paper[suite]).score, "proposed": suite_score(proposed[suite]).score}
            interval = {"difference": apart.score, "ci_low": apart.low, "ci_high": apart.high, "n": apart.n}
            lines.append({"suite": suite, "setting": setting, **scores, **interval})
    order = [MEAN, *setup.layout.suites]
    return pd.DataFrame(lines).sort_values("suite", key=lambda names: names.map(order.index), kind="stable")


def seed_spread(predictions: Predictions, setup: Setup) -> pd.Series:
    """How far models of one mixture are apart by their seeds alone, on the rows that weights are chosen on.

    Returns:
        Suite, or ``mean`` -> standard deviation of the score in percentage points, pooled over the rows that were
        trained several times; empty where none was.
    """
    apart, degrees = [], 0
    for row, models in repeat_counts(predictions).items():
        if models > 1:
            frame = predictions[row][predictions[row]["suite"].isin(setup.layout.suites)]
            chosen = half(frame, CHOOSING, setup.seed)
            scores = pd.DataFrame([_scores(of_model) for _, of_model in chosen.groupby(REPEAT)])
            scores[MEAN] = scores.mean(axis=1)
            apart.append(scores - scores.mean())
            degrees += models - 1
    return np.sqrt((pd.concat(apart) ** 2).sum() / degrees) if apart else pd.Series(dtype=float)


def _scores(predictions: pd.DataFrame) -> dict[str, float]:
    """Suite -> score in percent, the mean of both settings."""
    return {suite: suite_score(rows).score for suite, rows in together(predictions).items()}


def verdict(compared: pd.DataFrame, found: Search, seeds: pd.Series) -> list[str]:
    """Sentences on what the proposal brought, and on what the regression is worth.

    Args:
        compared: from ``comparison``.
        found: the search.
        seeds: from ``seed_spread``.
    """
    whole = compared[(compared["suite"] == MEAN) & (compared["setting"] == BOTH)].iloc[0]
    worth = "better than" if whole["ci_low"] > 0 else "worse than" if whole["ci_high"] < 0 else "not clearly apart from"
    error = found.errors.loc[MEAN]
    use = (
        "predicts better than the mean does" if error["regression"] < error["others"] else "is no better than the mean"
    )
    apart = [
        f"Models of one mixture are {spread:.1f} points apart (standard deviation) by their seeds alone, which no"
        " weights can tell."
        for spread in seeds.filter([MEAN])
    ]
    return [
        f"In the mean over suites the proposed weights are {worth} the paper's: {whole['difference']:+.1f} points"
        f" [{whole['ci_low']:+.1f}, {whole['ci_high']:+.1f}], of {whole['n']:,} rows.",
        f"Of a run that it has not seen, the regression misses the mean score by {error['regression']:.1f} points (root"
        f" mean square); the mean of the other runs misses it by {error['others']:.1f}: it {use}.",
        *apart,
        f"For the proposal it predicted {found.predicted[MEAN]:.1f}, for the paper's rates"
        f" {found.regression.predict(found.shares).loc[PAPER].mean():.1f}.",
    ]


# --- Tables -----------------------------------------------------------------------------------------------------------


def _signed(line: pd.Series) -> str:
    return with_interval(line["difference"], line["ci_low"], line["ci_high"], "+.1f")


def _shown_comparison(compared: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for suite, of_suite in compared.groupby("suite", sort=False):
        by_setting = of_suite.set_index("setting")
        both = by_setting.loc[BOTH]
        line = {"Suite": NAMES[str(suite)], "Flan 2022": both["paper"], "Proposed": both["proposed"]}
        line["Difference"] = _signed(both)
        line |= {
            f"Difference, {SETTINGS[key]}": _signed(by_setting.loc[key]) for key in SETTINGS if key in by_setting.index
        }
        lines.append(line | {"Rows": int(both["n"])})
    return pd.DataFrame(lines)


def _shown_runs(found: Search, titles: dict[str, str]) -> pd.DataFrame:
    """Shares in percent, mean scores on the rows that weights are chosen on, and what was predicted for each."""
    shares = 100 * pd.concat([found.rates.to_frame(PROPOSED).T, found.shares])
    table = shares.rename(columns=lambda name: f"{SUBMIXTURES[name].title}, %")
    table.insert(0, "Mixture", [titles[row] for row in table.index])
    table["Mean score, choosing half"] = found.scores.mean(axis=1)
    predicted = found.left_out.mean(axis=1)
    table["Predicted without it"] = pd.concat([pd.Series({PROPOSED: found.predicted[MEAN]}), predicted])
    return table


def _shown_regression(found: Search, seeds: pd.Series) -> pd.DataFrame:
    """Points for each doubling of a share, errors on runs that were left out, and what seeds alone do."""
    lines = []
    for suite, error in found.errors.iterrows():
        effects = found.regression.effects
        of_suite = effects.loc[suite] if suite in effects.index else effects.mean()
        line = {"Suite": NAMES[str(suite)]}
        line |= {f"{SUBMIXTURES[name].title}, points a doubling": f"{of_suite[name]:+.1f}" for name in effects}
        line |= {"RMSE, left out": f"{error['regression']:.1f}", "RMSE of the others' mean": f"{error['others']:.1f}"}
        line |= {"Seeds alone": f"{seeds[suite]:.1f}"} if len(seeds) else {}
        lines.append(line)
    return pd.DataFrame(lines)


def _regression(found: Search, seeds: pd.Series) -> pd.DataFrame:
    table = found.regression.effects.join(found.errors.assign(seeds=seeds), how="right")
    return table.rename_axis("suite").reset_index()


def _runs(found: Search) -> pd.DataFrame:
    shares = pd.concat([found.rates.to_frame(PROPOSED).T, found.shares])
    predicted = pd.concat([found.predicted.drop(MEAN).to_frame(PROPOSED).T, found.left_out])
    table = shares.join(found.scores.add_prefix("score_")).join(predicted.add_prefix("predicted_"))
    return table.rename_axis("row").reset_index()


# --- Figures ----------------------------------------------------------------------------------------------------------


def weights_figure(found: Search, compared: pd.DataFrame, setup: Setup) -> Figure:
    """The shares that were run and proposed, and what the proposal brought in each suite and setting."""
    with report_style():
        figure = new_figure(5.2)
        above, below = figure.subplots(2, 1, height_ratios=(1, 1.15))
        _draw_shares(above, found)
        _draw_differences(below, compared)
        below.set_xlabel(f"Points above the paper's rates, scale {setup.scale}")
        return figure


def _draw_shares(axes: Axes, found: Search) -> None:
    names = list(found.shares)
    grey = found.shares.drop(index=[PAPER, EQUAL], errors="ignore")
    drawn: list[tuple[str, pd.DataFrame, dict[str, Any]]] = [
        ("design", grey, {"marker": "o", "color": "#BBBBBB", "markersize": 3}),
        ("all alike", found.shares.filter([EQUAL], axis=0), {"marker": "|", "color": "black", "markersize": 8}),
        ("paper", found.shares.loc[[PAPER]], {"marker": "o", "color": GREEN, "markersize": 5}),
        ("proposed", found.rates.to_frame().T, STAR | {"color": PINK}),
    ]
    for label, shares, style in drawn:
        for _, row in shares.iterrows():
            axes.plot(100 * row[names], range(len(names)), **{"linestyle": "none", **style})
        axes.plot([], [], **{"linestyle": "none", **style}, label=label)
    axes.set_xscale("log")
    lowest = 100 * found.shares.to_numpy().min()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if tick > lowest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("Share of the mixture (%)")
    _rows(axes, [SUBMIXTURES[name].title.replace("Instructions", "Inst.") for name in names])
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, frameon=False, columnspacing=1)


def _draw_differences(axes: Axes, compared: pd.DataFrame) -> None:
    suites = list(dict.fromkeys(compared["suite"]))
    axes.axvline(0, color="#888888", linewidth=0.6, zorder=1)
    for offset, (setting, (colour, marker)) in zip((0, 0.24, -0.24), MARKS.items(), strict=True):
        lines = compared[compared["setting"] == setting]
        places = [suites.index(suite) + offset for suite in lines["suite"]]
        axes.hlines(places, lines["ci_low"], lines["ci_high"], color=colour, linewidth=0.8, zorder=3)
        axes.plot(lines["difference"], places, marker, color=colour, markersize=3.2, zorder=4)
    _rows(axes, [NAMES[suite] for suite in suites])
    style: dict[str, Any] = {"linestyle": "none", "markersize": 3.6}
    handles = [Line2D([], [], color=MARKS[key][0], marker=MARKS[key][1], label=MIXED[key], **style) for key in MARKS]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, frameon=False)


def _rows(axes: Axes, names: list[str]) -> None:
    """A row for each name, from above."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    plain_rows(axes)


def regression_figure(found: Search, setup: Setup) -> Figure:
    """A panel for each suite and for their mean: predicted scores of runs that were left out, over their scores."""
    names = [*found.scores, MEAN]
    columns = 2
    with report_style():
        figure = new_figure(1.75 * -(-len(names) // columns) + 0.2)
        panels = figure.subplots(-(-len(names) // columns), columns, squeeze=False).flat
        for name, axes in zip(names, panels, strict=False):
            scores, predicted = (
                table.mean(axis=1) if name == MEAN else table[name] for table in (found.scores, found.left_out)
            )
            low, high = min(scores.min(), predicted.min()), max(scores.max(), predicted.max())
            ends = np.array([low, high]) + (0.06 * (high - low) + 0.1) * np.array([-1, 1])
            axes.plot(ends, ends, color="#888888", linewidth=0.6, zorder=1)
            axes.plot(scores, predicted, "o", color="#7F7F7F", markersize=3, zorder=2)
            axes.plot(scores[PAPER], predicted[PAPER], "o", color=GREEN, markersize=4, zorder=3)
            error = found.errors.loc[name]
            axes.set_title(
                f"{NAMES[name].replace('Chain-of-Thought', 'CoT')}: {error['regression']:.1f} ({error['others']:.1f})",
                loc="left",
                fontsize=7,
            )
            axes.set(xlabel="Score (%)", ylabel="Predicted (%)", xlim=ends, ylim=ends)
            plain(axes)
        for axes in panels:  # what is left
            axes.set_visible(False)
        handles = [
            Line2D([], [], marker="o", color="#7F7F7F", linestyle="none", markersize=3, label="a run"),
            Line2D([], [], marker="o", color=GREEN, linestyle="none", markersize=4, label="the paper's rates"),
        ]
        title = f"RMSE (of the others' mean) in points, scale {setup.scale}"
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, title=title, title_fontsize=6.5
        )
        return figure
