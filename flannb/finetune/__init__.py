"""Single-task finetuning after the paper's appendix A.2, on the tasks of Table 3 and on tasks of one's own."""

from flannb.finetune.own import OwnData, own_task
from flannb.finetune.result import Finetuned
from flannb.finetune.run import FinetuneOptions, finetune
from flannb.finetune.splits import Splits, read_splits

__all__ = [
    "FinetuneOptions",
    "Finetuned",
    "OwnData",
    "Splits",
    "finetune",
    "own_task",
    "read_splits",
]
