"""The paper's artefacts as tables of runs, the scales, and what runs them."""

from flannb.experiments.artefacts import ARTEFACTS, Artefact, Row, artefact
from flannb.experiments.finetuning import finetune_step, single_task_step
from flannb.experiments.pretraining import pretrain_report_step, pretrain_step
from flannb.experiments.reproduce import enter_project, project_root
from flannb.experiments.scales import SCALES, Scale, scale
from flannb.experiments.steps import (
    available,
    build_step,
    built,
    evaluate_step,
    figure2_step,
    figure7_step,
    report_step,
    train_step,
    weights_of,
)
from flannb.experiments.trials import sweep_report_step, trial_step
from flannb.experiments.weights import propose_step, weights_step

__all__ = [
    "ARTEFACTS",
    "SCALES",
    "Artefact",
    "Row",
    "Scale",
    "artefact",
    "available",
    "build_step",
    "built",
    "enter_project",
    "evaluate_step",
    "figure2_step",
    "figure7_step",
    "finetune_step",
    "pretrain_report_step",
    "pretrain_step",
    "project_root",
    "propose_step",
    "report_step",
    "scale",
    "single_task_step",
    "sweep_report_step",
    "train_step",
    "trial_step",
    "weights_of",
    "weights_step",
]
