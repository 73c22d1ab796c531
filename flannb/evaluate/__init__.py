"""Evaluation: prompts, answers, scores, intervals."""

from flannb.evaluate.extract import correct, extract
from flannb.evaluate.intervals import Interval, difference, suite_score
from flannb.evaluate.prompts import KINDS, Prompt, make_prompts, tokenize
from flannb.evaluate.run import evaluate, missing_data, present_tasks, read_predictions, suite_prompts

__all__ = [
    "KINDS",
    "Interval",
    "Prompt",
    "correct",
    "difference",
    "evaluate",
    "extract",
    "make_prompts",
    "missing_data",
    "present_tasks",
    "read_predictions",
    "suite_prompts",
    "suite_score",
    "tokenize",
]
