"""The evaluation suites of Table 1: Held-In, Chain-of-Thought, MMLU, BBH and BBH with chains of thought.

MMLU is scored on ``test``, as lm-evaluation-harness does; the suite ``mmlu_validation`` on what Chung et al. score.

How an answer is read (``EvalTask.answer``):

- ``option``: ``options`` holds the texts, ``answer`` is one of them. A letter stands for the option at its place. BBH
  prints its lettered options inside the question and its key is the letter, so there ``options`` are the letters
  themselves, ``("(A)", "(B)", ...)``, and nothing is shown twice.
- ``number``: equal numbers are equal answers; ``answer`` is plain digits, without separators and units.
- ``yes_no`` and ``text``: equal words.

A row that cannot be scored raises ``RowError`` like any unusable row: ASDiv's answers that are no single number (times,
names, ratios), and three BBH rows whose key was cut apart at a comma in the published files.
"""

import re
from collections.abc import Mapping
from typing import Any

from flannb.collection import flan2021
from flannb.collection.cot import FIELDS as COT_FIELDS
from flannb.collection.cot import as_sentence, cot_file, with_newlines
from flannb.collection.flan2021 import NO_YES, multiple_choice, picked
from flannb.collection.single_task import SINGLE_TASK, splits
from flannb.collection.task import (
    Apply,
    Column,
    Constant,
    Data,
    EvalTask,
    Field,
    Label,
    Options,
    RawFile,
    RowError,
    Split,
)

# --- Held-In: the validation splits of eight tasks of Flan 2021, with the tasks' own templates -----------------------


def _held_in(
    name: str, data: Data, exemplars: Data, fields: Mapping[str, Field], templates: str, metric: str = "accuracy"
) -> EvalTask:
    return EvalTask(name, "held_in", data, fields, templates, "option", exemplars, metric=metric)


HELD_IN: tuple[EvalTask, ...] = (
    _held_in("boolq", *splits("google/boolq", "default"), flan2021.BOOLQ, "boolean_qa", "auc_roc"),
    _held_in("arc_easy", *splits("allenai/ai2_arc", "ARC-Easy"), multiple_choice(), "multiple_choice"),
    _held_in("arc_challenge", *splits("allenai/ai2_arc", "ARC-Challenge"), multiple_choice(), "multiple_choice"),
    _held_in(
        "ai2_middle_science",
        flan2021.middle_science("dev"),
        flan2021.middle_science("train"),
        flan2021.UNIFIED,
        "multiple_choice",
        "macro_f1",
    ),
    *(
        _held_in(
            f"anli_r{n}",
            *splits("facebook/anli", "plain_text", f"dev_r{n}", f"train_r{n}"),
            flan2021.THREE_WAY,
            "nli",
            "macro_f1",
        )
        for n in (1, 2, 3)
    ),
    _held_in("rte", *splits("aps/super_glue", "rte"), flan2021.RTE, "nli", "auc_roc"),
)

# --- Chain-of-Thought: five sets, prompted for an explanation ---------------------------------------------------------
# Exemplars need rationales. GSM8K and StrategyQA take them from their own training files; SVAMP and ASDiv, which have
# none, from GSM8K's; CommonsenseQA from QASC's, because ECQA's file holds part of its scored questions.

_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:\([^()]*\))?")


def gsm8k_number(answer: str) -> str:
    """The number after ``####``, without thousands commas.

    Raises:
        RowError: there is none.
    """
    _, mark, number = answer.rpartition("####")
    if not mark:
        raise RowError("no #### in answer")
    return number.strip().replace(",", "")


def asdiv_number(answer: str) -> str:
    """The number of an answer such as ``9 (apples)``.

    Raises:
        RowError: the answer is not one number, with or without a unit.
    """
    found = _NUMBER.fullmatch(answer.strip())
    if not found:
        raise RowError("answer is no number")
    return found[1]


def plain_number(answer: Any) -> str:
    """The number without thousands commas and without ``.0``."""
    return str(answer).strip().replace(",", "").removesuffix(".0")


def body_and_question(body: str, question: str) -> str:
    """A word problem's story, ended by a full stop where it lacks one, and its question."""
    return f"{as_sentence(body)} {question.strip()}"


def with_options(question: str, options: tuple[str, ...]) -> str:
    """A question followed by its options, as the Chain-of-Thought files print them."""
    return "\n".join([question.strip(), "Options:", *(f"- {option}" for option in options)])


def commonsense_question(question: str, choices: Mapping[str, Any]) -> str:
    """CommonsenseQA's question with its options."""
    return with_options(question, tuple(choices["text"]))


def qasc_options(question: str) -> tuple[str, tuple[str, ...]]:
    """The question proper and the options of a QASC line, whose options read ``- (A) text``."""
    text, _, rest = with_newlines(question).partition("\nOptions:\n")
    return text, tuple(re.sub(r"^- \([A-Z]\) ", "", line).strip() for line in rest.splitlines())


def qasc_question(question: str) -> str:
    """QASC's question with options in CommonsenseQA's form."""
    return with_options(*qasc_options(question))


def qasc_answer(question: str, answer: str) -> str:
    """The text of QASC's right option.

    Raises:
        RowError: the letter names no option.
    """
    _, options = qasc_options(question)
    index = ord(answer.strip().strip("()")[:1] or " ") - ord("A")
    if not 0 <= index < len(options):
        raise RowError("answer names no option")
    return options[index]


QASC: Mapping[str, Field] = {
    "question": Apply(qasc_question, ("question",)),
    "answer": Apply(qasc_answer, ("question", "answer")),
    "rationale": COT_FIELDS["rationale"],
}


def _cot(
    name: str,
    data: Split,
    fields: Mapping[str, Field],
    templates: str,
    answer: str,
    exemplars: str,
    exemplar_fields: Mapping[str, Field] = COT_FIELDS,
) -> EvalTask:
    return EvalTask(
        name, "cot", data, fields, templates, answer, cot_file(exemplars), exemplar_fields, chain_of_thought=True
    )


CHAIN_OF_THOUGHT: tuple[EvalTask, ...] = (
    _cot(
        "gsm8k",
        Split("openai/gsm8k", "main", "test"),
        {"question": Column("question"), "answer": Apply(gsm8k_number, ("answer",))},
        "math_cot",
        "number",
        "gsm8k",
    ),
    _cot(
        "strategyqa",
        Split("ChilleD/StrategyQA", "default", "test"),
        {"question": Column("question"), "answer": Label("answer", NO_YES)},
        "cot",
        "yes_no",
        "strategyqa",
    ),
    _cot(
        "svamp",
        Split("ChilleD/SVAMP", "default", "test"),
        {"question": Apply(body_and_question, ("Body", "Question")), "answer": Apply(plain_number, ("Answer",))},
        "math_cot",
        "number",
        "gsm8k",
    ),
    _cot(
        "asdiv",
        Split("EleutherAI/asdiv", "asdiv", "validation"),
        {"question": Apply(body_and_question, ("body", "question")), "answer": Apply(asdiv_number, ("answer",))},
        "math_cot",
        "number",
        "gsm8k",
    ),
    _cot(
        "commonsense_qa",
        Split("tau/commonsense_qa", "default", "validation"),
        {
            "question": Apply(commonsense_question, ("question", "choices")),
            **picked(Options("choices.text"), "answerKey"),
        },
        "cot",
        "option",
        "qasc",
        QASC,
    ),
)

# --- MMLU: 57 subjects, five exemplars from ``dev`` ------------------------------------------------------------------

SUBJECTS: tuple[str, ...] = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_medicine",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "econometrics",
    "electrical_engineering",
    "elementary_mathematics",
    "formal_logic",
    "global_facts",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_european_history",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_mathematics",
    "high_school_microeconomics",
    "high_school_physics",
    "high_school_psychology",
    "high_school_statistics",
    "high_school_us_history",
    "high_school_world_history",
    "human_aging",
    "human_sexuality",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "machine_learning",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "moral_disputes",
    "moral_scenarios",
    "nutrition",
    "philosophy",
    "prehistory",
    "professional_accounting",
    "professional_law",
    "professional_medicine",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
    "virology",
    "world_religions",
)


def mmlu(suite: str, split: str) -> tuple[EvalTask, ...]:
    """MMLU's 57 subjects, scored on a split: ``test``, or ``validation``."""
    return tuple(
        EvalTask(
            subject,
            suite,
            Split("cais/mmlu", subject, split),
            {
                "question": Column("question"),
                **picked(Options("choices"), "answer"),
                "subject": Constant(subject.replace("_", " ")),
            },
            "exam",
            "option",
            Split("cais/mmlu", subject, "dev"),
            shots=5,
        )
        for subject in SUBJECTS
    )


MMLU: tuple[EvalTask, ...] = mmlu("mmlu", "test")
MMLU_VALIDATION: tuple[EvalTask, ...] = mmlu("mmlu_validation", "validation")

# --- BIG-Bench Hard (Suzgun et al. 2022): 27 files of 23 tasks, three-shot with the public prompts -------------------

BBH_FILES: dict[str, str] = {
    "boolean_expressions": "text",
    "causal_judgement": "yes_no",
    "date_understanding": "option",
    "disambiguation_qa": "option",
    "dyck_languages": "text",
    "formal_fallacies": "text",
    "geometric_shapes": "option",
    "hyperbaton": "option",
    "logical_deduction_five_objects": "option",
    "logical_deduction_seven_objects": "option",
    "logical_deduction_three_objects": "option",
    "movie_recommendation": "option",
    "multistep_arithmetic_two": "number",
    "navigate": "yes_no",
    "object_counting": "number",
    "penguins_in_a_table": "option",
    "reasoning_about_colored_objects": "option",
    "ruin_names": "option",
    "salient_translation_error_detection": "option",
    "snarks": "option",
    "sports_understanding": "yes_no",
    "temporal_sequences": "option",
    "tracking_shuffled_objects_five_objects": "option",
    "tracking_shuffled_objects_seven_objects": "option",
    "tracking_shuffled_objects_three_objects": "option",
    "web_of_lies": "yes_no",
    "word_sorting": "text",
}
"""Name of a file -> how its answers are read."""

BBH_CANDIDATES: dict[str, tuple[str, ...]] = {
    "boolean_expressions": ("True", "False"),
    "causal_judgement": ("Yes", "No"),
    "formal_fallacies": ("valid", "invalid"),
    "navigate": ("Yes", "No"),
    "sports_understanding": ("yes", "no"),
    "web_of_lies": ("Yes", "No"),
}
"""The answers of files that have few of them and no lettered options."""

_LETTERED = re.compile(r"^(\([A-Z]\))", re.MULTILINE)


def bbh_options(question: str) -> tuple[str, ...]:
    """The letters of the options in a BBH question, in their brackets."""
    return tuple(_LETTERED.findall(question))


def bbh_letter(question: str, target: str) -> str:
    """The right option's letter in its brackets.

    Raises:
        RowError: the target is the letter of no option.
    """
    if target.strip() not in bbh_options(question):
        raise RowError("target names no option")
    return target.strip()


def _bbh(suite: str, name: str, answer: str) -> EvalTask:
    fields: dict[str, Field] = {"question": Column("input"), "answer": Column("target")}
    if answer == "option":
        fields |= {"options": Apply(bbh_options, ("input",)), "answer": Apply(bbh_letter, ("input", "target"))}
    return EvalTask(
        name,
        suite,
        Split("lukaemon/bbh", name, "test"),
        fields,
        suite,
        answer,
        # the file has the rationales; the direct prompts are the same exemplars without them
        prompt=RawFile(f"github/suzgunmirac/BIG-Bench-Hard/cot-prompts/{name}.txt"),
        shots=3,
        chain_of_thought=suite == "bbh_cot",
        candidates=BBH_CANDIDATES.get(name, ()),
    )


BBH: tuple[EvalTask, ...] = tuple(
    _bbh(suite, name, answer) for suite in ("bbh", "bbh_cot") for name, answer in BBH_FILES.items()
)

EVAL_TASKS: tuple[EvalTask, ...] = (*HELD_IN, *CHAIN_OF_THOUGHT, *MMLU, *BBH)
MORE_EVAL_TASKS: tuple[EvalTask, ...] = (*MMLU_VALIDATION, *SINGLE_TASK)
