"""Training: the step, the loop, checkpoints."""

from flannb.train.loop import LOSS_CSV, MODEL, TrainOptions, data_parallel, train

__all__ = ["LOSS_CSV", "MODEL", "TrainOptions", "data_parallel", "train"]
