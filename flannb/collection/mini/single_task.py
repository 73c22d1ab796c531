"""Single-task finetuning on `mini`: five Held-In tasks, and five of which no training task has the wording.

The held-out ones stand for those of Table 3. In each a few words decide, which a small model learns within minutes; how
many rows they have, and in which splits, calls for each of the rules of ``flannb.finetune.splits``.
"""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from flannb.collection.flan2021 import labelled
from flannb.collection.mini.dataset import DataSet, Generator, Row
from flannb.collection.mini.tasks import EVAL_TASKS, INFERENCE, NLI, PAIR, split_of, texts_of
from flannb.collection.mini.texts import CUE, SEEN, TIMES, noisy
from flannb.collection.mini.world import NAMES, RELATIONS, draw_fact
from flannb.collection.task import Constant, EvalTask, Field, FinetuningSet, FinetuningTask, Split

DATA_SETS: dict[str, DataSet] = {}
"""Every data set by name."""


def _found(rng: Random, i: int) -> Row:
    """Inference from an event to a statement about it: entailed (0), open (1), contradicted (2)."""
    name, other = rng.sample(NAMES, 2)
    entity = rng.choice(list(rng.choice(SEEN)))
    forms = (
        ("{other} says that {name} found the {e} .", "the {e} was found ."),
        ("{other} may find the {e} too .", "perhaps {name} sells the {e} ."),
        ("nobody found the {e} .", "{name} did not find the {e} ."),
    )
    hypothesis = rng.choice(forms[noisy(rng, i % 3, 3)]).format(name=name, other=other, e=entity)
    return {"premise": f"{name} found the {entity} {rng.choice(TIMES)} .", "hypothesis": hypothesis, "gold": i % 3}


def _reported(rng: Random, i: int) -> Row:
    """Inference from a note to a statement: entailed (0), open (1), contradicted (2)."""
    relation, entity = draw_fact(rng, tuple(RELATIONS))
    told, name = relation.tell(entity), rng.choice(NAMES)
    forms = ("we know that {}", "we ask whether {}", "we deny that {}")
    hypothesis = forms[noisy(rng, i % 3, 3)].format(told)
    return {"sentence1": f"{name} notes that {told} .", "sentence2": f"{hypothesis} .", "label": i % 3}


KNOWN = ("yes", "no", "unknown")


def _negated(rng: Random, i: int) -> Row:
    """A passage that may be negated, and a question about it that can be open."""
    name, entity = rng.choice(NAMES), rng.choice(list(rng.choice(SEEN)))
    forms = (
        ("{name} has the {e} .", "{name} holds the {e} ."),
        ("{name} has no {e} .", "{name} is without the {e} ."),
        ("{name} wants the {e} .", "{name} talks about the {e} ."),
    )
    passage = rng.choice(forms[noisy(rng, i % 3, 3)]).format(name=name, e=entity)
    question = f"is the {entity} with {name} {rng.choice(TIMES)} ?"
    return {"sentence1": f"{passage} {rng.choice(NAMES)} listens .", "sentence2": question, "label": KNOWN[i % 3]}


FINDINGS = ("yes", "no", "maybe")


def _studied(rng: Random, i: int) -> Row:
    """The abstract of a study and the question that it answers."""
    relation, entity = draw_fact(rng, tuple(RELATIONS))
    results = ("the result is clear", "the result is against it", "the result is open")
    result = results[noisy(rng, i % 3, 3)]
    context = f"{rng.choice(NAMES)} made a study of {entity} . {result} ."
    return {"context": context, "question": f"{relation.tell(entity)} ?", "final_decision": FINDINGS[i % 3]}


LIKENESS = ("0", "2", "3", "5")


def _captions(rng: Random, i: int) -> Row:
    """Two captions, and how alike they are, from 0 to 5."""
    name, entity = rng.choice(NAMES), rng.choice(list(rng.choice(SEEN)))
    forms = ("nothing is there .", "{name} is there .", "another {e} is there .", "the same {e} is there .")
    place = min(3, max(0, i % 4 + (rng.choice((-1, 1)) if rng.random() > CUE else 0)))
    first = f"a picture of {name} and the {entity} {rng.choice(TIMES)} ."
    return {"caption1": first, "caption2": forms[place].format(name=name, e=entity), "agg_score": LIKENESS[i % 4]}


def _held_out(
    name: str,
    title: str,
    make: Generator,
    inputs: tuple[str, ...],
    fields: Mapping[str, Field],
    templates: str,
    rows: Mapping[str, int],
    answer: str = "option",
    metric: str = "accuracy",
) -> FinetuningTask:
    DATA_SETS[name] = DataSet(name, make, inputs, rows)
    reads = EvalTask(name, "single_task", split_of(name, "train"), fields, templates, answer, metric=metric)

    def there(split: str) -> Split | None:
        return split_of(name, split) if split in rows else None

    part = FinetuningSet(reads, split_of(name, "train"), there("validation"), there("test"))
    return FinetuningTask(name, title, (part,), held_out=True)


_EVALUATIONS = {task.name: task for task in EVAL_TASKS if task.suite == "held_in"}


def _held_in(name: str, title: str, *names: str, metric: str = "accuracy") -> FinetuningTask:
    """Sets of Held-In, pooled."""
    sets = tuple(
        FinetuningSet(
            replace(_EVALUATIONS[each], metric=metric),
            split_of(each, "train"),
            split_of(each, "validation"),
            split_of(each, "test"),
        )
        for each in names or (name,)
    )
    return FinetuningTask(name, title, sets)


_wanli = INFERENCE | labelled("gold", NLI)
_med_nli = texts_of(premise="sentence1", hypothesis="sentence2") | labelled("label", NLI)
_conda = texts_of(passage="sentence1", question="sentence2", answer="label")
_pubmed = texts_of(passage="context", question="question", answer="final_decision") | {"options": Constant(FINDINGS)}
_captioned = texts_of(first="caption1", second="caption2", answer="agg_score")

FINETUNING_TASKS: tuple[FinetuningTask, ...] = (
    _held_in("arc", "ARC Easy + Challenge", "arc_easy", "arc_challenge"),
    _held_in("anli", "ANLI R1+R2+R3", "anli_r1", "anli_r2", "anli_r3", metric="macro_f1"),
    _held_in("ai2_middle_science", "AI2 Middle School Science", metric="macro_f1"),
    _held_in("boolq", "BoolQ", metric="auc_roc"),
    _held_in("rte", "RTE", metric="auc_roc"),
    _held_out("wanli", "WANLI", _found, PAIR, _wanli, "mini_nli", {"train": 1300, "test": 192}),
    _held_out(
        "med_nli",
        "MedNLI",
        _reported,
        ("sentence1", "sentence2"),
        _med_nli,
        "mini_nli",
        {"train": 480, "validation": 96, "test": 96},
    ),
    _held_out(
        "conda_qa",
        "CondaQA",
        _negated,
        ("sentence1", "sentence2"),
        _conda,
        "mini_passage",
        {"train": 480, "validation": 96, "test": 96},
        answer="text",
    ),
    _held_out(
        "pubmed_qa",
        "PubMedQA",
        _studied,
        ("context", "question"),
        _pubmed,
        "mini_study",
        {"train": 480},
        metric="macro_f1",
    ),
    _held_out(
        "cxc",
        "CxC",
        _captions,
        ("caption1", "caption2"),
        _captioned,
        "mini_likeness",
        {"train": 480, "test": 96},
        answer="number",
        metric="spearman",
    ),
)
"""Those of the rows of Table 3 that `mini` has, in its order."""
