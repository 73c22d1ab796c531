"""Training: optimizer, distribution, the step, the loop, checkpoints, logs."""

from flannb.train.distribution import distribute, join_processes
from flannb.train.held_out import HeldOut
from flannb.train.logs import PROGRESS_CSV, TENSORBOARD
from flannb.train.loop import EVALUATION_CSV, LOSS_CSV, Diverged, Evaluate, TrainOptions, train
from flannb.train.optimizer import Adafactor

__all__ = [
    "EVALUATION_CSV",
    "LOSS_CSV",
    "PROGRESS_CSV",
    "TENSORBOARD",
    "Adafactor",
    "Diverged",
    "Evaluate",
    "HeldOut",
    "TrainOptions",
    "distribute",
    "join_processes",
    "train",
]
