"""Single-task finetuning: the tasks of Table 3, each with its metric and its public splits.

Rows read and prompts look as in the evaluation sets of the same names. What is left out of a task's splits here is
drawn from its training rows by the rules of the paper's appendix A.2 (``flannb.finetune.splits``): a ``test`` without
public answers counts as none. Where public training rows have explanations (GSM8K, StrategyQA), models learn to write
them; SVAMP, ASDiv and CommonsenseQA have none, so their answers are asked for directly.
"""

import re
from dataclasses import replace

from flannb.collection import flan2021
from flannb.collection.flan2021 import multiple_choice
from flannb.collection.single_task import SINGLE_TASK
from flannb.collection.suites import CHAIN_OF_THOUGHT, HELD_IN
from flannb.collection.task import Apply, Column, EvalTask, Field, FinetuningSet, FinetuningTask, RowError, Split

_READS = {task.name: task for task in (*HELD_IN, *CHAIN_OF_THOUGHT, *SINGLE_TASK)}


def _hub(
    name: str, validation: str = "", test: str = "", train: str = "train", reads: EvalTask | None = None, **more: Field
) -> FinetuningSet:
    """A set of the suites by its name, and the splits of its dataset; ``more`` are fields of training rows."""
    reads = reads or _READS[name]
    data = reads.data
    assert isinstance(data, Split)

    def part(split: str) -> Split | None:
        return replace(data, split=split) if split else None

    fields = {**reads.fields, **more} if more else {}
    return FinetuningSet(reads, replace(data, split=train), part(validation), part(test), fields)


def _direct(name: str, templates: str, **fields: Field) -> EvalTask:
    """A Chain-of-Thought set that is asked for its answer without an explanation."""
    task = _READS[name]
    return replace(task, templates=templates, chain_of_thought=False, fields={**task.fields, **fields})


_CALCULATION = re.compile(r"<<[^<>]*>>")


def gsm8k_rationale(answer: str) -> str:
    """The steps before ``####``, without the marks for a calculator.

    Raises:
        RowError: there are none.
    """
    steps, mark, _ = answer.rpartition("####")
    if not mark or not steps.strip():
        raise RowError("no steps in answer")
    return _CALCULATION.sub("", steps).strip()


def _middle_science() -> FinetuningSet:
    train, validation, test = (flan2021.middle_science(split) for split in ("train", "dev", "test"))
    return FinetuningSet(_READS["ai2_middle_science"], train, validation, test)


def _cxc() -> FinetuningSet:
    """CxC rates parts of MS-COCO that have no training split: its ``val`` trains."""
    reads = _READS["cxc"]
    assert reads.exemplars is not None
    return FinetuningSet(reads, reads.exemplars, None, reads.data)


_COMMONSENSE = _direct("commonsense_qa", "multiple_choice", **multiple_choice())

FINETUNING_TASKS: tuple[FinetuningTask, ...] = (
    FinetuningTask(
        "arc",
        "ARC Easy + Challenge",
        (_hub("arc_easy", "validation", "test"), _hub("arc_challenge", "validation", "test")),
    ),
    FinetuningTask(
        "anli",
        "ANLI R1+R2+R3",
        tuple(_hub(f"anli_r{n}", f"dev_r{n}", f"test_r{n}", f"train_r{n}") for n in (1, 2, 3)),
    ),
    FinetuningTask("ai2_middle_science", "AI2 Middle School Science", (_middle_science(),)),
    FinetuningTask("boolq", "BoolQ", (_hub("boolq", "validation"),)),
    FinetuningTask("rte", "RTE", (_hub("rte", "validation"),)),
    FinetuningTask("squad_v2", "SQuAD v2", (_hub("squad_v2", "validation"),)),
    FinetuningTask("cosmos_qa", "CosmosQA", (_hub("cosmos_qa", "validation"),)),
    FinetuningTask("gsm8k", "GSM8K", (_hub("gsm8k", test="test", rationale=Apply(gsm8k_rationale, ("answer",))),)),
    FinetuningTask("strategyqa", "StrategyQA", (_hub("strategyqa", test="test", rationale=Column("facts")),)),
    FinetuningTask("svamp", "SVAMP", (_hub("svamp", test="test", reads=_direct("svamp", "equation")),)),
    FinetuningTask("asdiv", "ASDiv", (_hub("asdiv", train="validation", reads=_direct("asdiv", "equation")),)),
    FinetuningTask("commonsense_qa", "CommonsenseQA", (_hub("commonsense_qa", "validation", reads=_COMMONSENSE),)),
    FinetuningTask("wanli", "WANLI", (_hub("wanli", test="test"),), held_out=True),
    FinetuningTask("med_nli", "MedNLI", (_hub("med_nli", "validation", "test"),), held_out=True),
    FinetuningTask("conda_qa", "CondaQA", (_hub("conda_qa", "validation", "test"),), held_out=True),
    FinetuningTask("pubmed_qa", "PubMedQA", (_hub("pubmed_qa"),), held_out=True),
    FinetuningTask("cxc", "CxC", (_cxc(),), held_out=True),
)
"""The rows of Table 3, in its order. ASDiv and PubMedQA's labelled part are public as one split each."""
