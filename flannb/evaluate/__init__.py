"""Evaluation: prompts, answers by generation and by ranking, metrics, intervals, records."""

from flannb.evaluate.answers import answer
from flannb.evaluate.convergence import NEARLY, Convergence, convergence
from flannb.evaluate.extract import correct, extract
from flannb.evaluate.intervals import Interval, difference, suite_score
from flannb.evaluate.metrics import (
    METRICS,
    REPEAT,
    metric_difference,
    metric_score,
    metric_value,
    share_not_worse,
)
from flannb.evaluate.models import FlannbModel, Seq2Seq, fingerprint
from flannb.evaluate.prompts import (
    KINDS,
    NoExemplars,
    Prompt,
    PromptSet,
    Tokens,
    make_prompts,
    plain_wording,
    prompts_of,
    tokenize,
)
from flannb.evaluate.record import MODES, read_predictions, read_problems, read_set, write_set
from flannb.evaluate.run import evaluate, missing_data, present_tasks
from flannb.evaluate.scores import set_scores, side_by_side, suite_differences, suite_scores

__all__ = [
    "KINDS",
    "METRICS",
    "MODES",
    "NEARLY",
    "REPEAT",
    "Convergence",
    "FlannbModel",
    "Interval",
    "NoExemplars",
    "Prompt",
    "PromptSet",
    "Seq2Seq",
    "Tokens",
    "answer",
    "convergence",
    "correct",
    "difference",
    "evaluate",
    "extract",
    "fingerprint",
    "make_prompts",
    "metric_difference",
    "metric_score",
    "metric_value",
    "missing_data",
    "plain_wording",
    "present_tasks",
    "prompts_of",
    "read_predictions",
    "read_problems",
    "read_set",
    "set_scores",
    "share_not_worse",
    "side_by_side",
    "suite_differences",
    "suite_score",
    "suite_scores",
    "tokenize",
    "write_set",
]
