"""The single-task sets of Table 3 that no suite of Table 1 has, with the metric of each.

Splits: the public ``test`` split where it has answers, else ``validation``. PubMedQA's labelled part is one split, all
of which is scored, so it has nothing to take exemplars from. MedNLI needs an account at PhysioNet and CxC the captions
of MS-COCO; a mirror can hold them where their comments say.
"""

from collections.abc import Mapping
from typing import Any

from flannb.collection import flan2021
from flannb.collection.task import Apply, Column, Constant, Data, EvalTask, Field, RawFile, RowError, Split

YES_NO_MAYBE = ("yes", "no", "maybe")


def nli_name(label: str) -> str:
    """The name in our templates of ``entailment``, ``neutral`` or ``contradiction``.

    Raises:
        RowError: any other label, such as ``-`` where annotators did not agree.
    """
    names = dict(zip(("entailment", "neutral", "contradiction"), flan2021.NLI, strict=True))
    if label not in names:
        raise RowError("label is not entailment, neutral or contradiction")
    return names[label]


def _nli(premise: str, hypothesis: str, label: str) -> dict[str, Field]:
    return {
        "premise": Column(premise),
        "hypothesis": Column(hypothesis),
        "verdicts": flan2021.THREE_WAY["verdicts"],
        "options": Constant(flan2021.NLI),
        "answer": Apply(nli_name, (label,)),
    }


def squad_answers(answers: Mapping[str, Any]) -> tuple[str, ...]:
    """All acceptable answers of a SQuAD v2 question; ``unanswerable`` alone where the passage has none."""
    return tuple(dict.fromkeys(answers["text"])) or ("unanswerable",)


def abstract(context: Mapping[str, Any]) -> str:
    """The sections of a PubMedQA abstract as one passage, without its conclusion."""
    return " ".join(context["contexts"])


_SQUAD: dict[str, Field] = {
    "passage": Column("context"),
    "question": Column("question"),
    "answer": Apply(lambda answers: squad_answers(answers)[0], ("answers",)),
    "answers": Apply(squad_answers, ("answers",)),
}
_COSMOS: dict[str, Field] = {
    "passage": Column("context"),
    "question": Column("question"),
    **flan2021.picked(flan2021.COSMOS, "label"),
}
_CONDAQA: dict[str, Field] = {
    "passage": Column("sentence1"),
    "question": Column("sentence2"),
    "answer": Column("label"),  # YES, NO, DON'T KNOW, or words of the passage
}
_PUBMED: dict[str, Field] = {
    "passage": Apply(abstract, ("context",)),
    "question": Column("question"),
    "options": Constant(YES_NO_MAYBE),
    "answer": Column("final_decision"),
}
_CAPTIONS: dict[str, Field] = {"first": Column("caption1"), "second": Column("caption2"), "answer": Column("agg_score")}


def _cxc(split: str) -> RawFile:
    """A split of CxC's text-text ratings: the public ``data/sts_*.csv`` without its header, tab-separated, with the
    caption in place of each id of MS-COCO.
    """
    columns = ("caption1", "caption2", "agg_score", "sampling_method")
    return RawFile(f"github/google-research-datasets/Crisscrossed-Captions/data/sts_{split}.tsv", columns)


def _set(
    name: str,
    data: Data,
    exemplars: Data | None,
    fields: Mapping[str, Field],
    templates: str,
    answer: str,
    metric: str = "accuracy",
) -> EvalTask:
    return EvalTask(name, "single_task", data, fields, templates, answer, exemplars, metric=metric)


def splits(repo_id: str, config: str, scored: str = "validation", exemplars: str = "train") -> tuple[Split, Split]:
    """The split that is scored, and the one that exemplars come from."""
    return Split(repo_id, config, scored), Split(repo_id, config, exemplars)


SINGLE_TASK: tuple[EvalTask, ...] = (
    _set(
        "squad_v2",
        *splits("rajpurkar/squad_v2", "squad_v2", "validation"),
        _SQUAD,
        "extractive_qa",
        "text",
        "squad_f1",
    ),
    _set("cosmos_qa", *splits("allenai/cosmos_qa", "default", "validation"), _COSMOS, "reading_choice", "option"),
    _set(
        "wanli",
        *splits("alisawuffles/WANLI", "default", "test"),
        _nli("premise", "hypothesis", "gold"),
        "nli",
        "option",
    ),
    _set(
        "med_nli",  # as the Hub would show bigbio/mednli, whose rows may not be passed on
        *splits("bigbio/mednli", "mednli_source", "test"),
        _nli("sentence1", "sentence2", "gold_label"),
        "nli",
        "option",
    ),
    _set("conda_qa", *splits("lasha-nlp/CONDAQA", "default", "test"), _CONDAQA, "extractive_qa", "text"),
    _set(
        "pubmed_qa",
        Split("qiaojin/PubMedQA", "pqa_labeled", "train"),
        None,
        _PUBMED,
        "reading_choice",
        "option",
        "macro_f1",
    ),
    _set("cxc", _cxc("test"), _cxc("val"), _CAPTIONS, "similarity", "number", "spearman"),
)
"""Seven sets. The other rows of Table 3 are sets of the suites Held-In and Chain-of-Thought."""
