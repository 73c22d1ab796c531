"""Flan 2021: classic sets of understanding and generation, each with wordings of its own.

The list is the paper's, together with ``flan2021_more``, and the three of ``ADDED``, which are of the same kinds.
Translation is two tasks for each pair of languages, one for each direction, where the paper has one.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flannb.collection.task import (
    Apply,
    Column,
    Constant,
    Data,
    Field,
    Label,
    Options,
    Pick,
    RawFile,
    RowError,
    Split,
    Task,
)

NO_YES = ("no", "yes")
NLI = ("yes", "it is not possible to tell", "no")
"""What entailment, neutral and contradiction are called."""

ADDED = {
    "yelp_review_full": "not in the paper: the five-star form of its yelp_polarity",
    "rotten_tomatoes": "not in the paper: sentences of the reviews whose abstracts its Flan 2021 summarises",
    "subj": "not in the paper: opinion against description",
}
"""Tasks that the paper's list lacks -> why they are here."""

Fields = dict[str, Field]


def labelled(column: str, names: tuple[str, ...]) -> Fields:
    """The fields ``options`` and ``answer`` of a class label; ``names`` are the classes, in its order."""
    return {"options": Constant(names), "answer": Label(column, names)}


def picked(options: Field, key: str) -> Fields:
    """The fields ``options`` and ``answer`` where ``key`` names the right option (see ``Pick``)."""
    return {"options": options, "answer": Pick(options, key)}


def together(*values: Any) -> tuple[str, ...]:
    """The columns' texts as one tuple of options.

    Raises:
        RowError: a text is empty.
    """
    texts = tuple("" if value is None else str(value).strip() for value in values)
    if not all(texts):
        raise RowError("empty option")
    return texts


def first(values: Any, default: str = "") -> str:
    """The first text of a list, or of ``text``, ``spans`` or ``value`` in a struct; ``default`` if there is none."""
    if isinstance(values, Mapping):
        values = next((values[key] for key in ("text", "spans", "value") if values.get(key)), ())
    return values if isinstance(values, str) else next(iter(values or ()), default)


def at_index(options: list[str], key: str) -> str:
    """``options[int(key)]``, for sets whose key is the digit of an index from 0."""
    if not key.isdigit() or int(key) >= len(options):
        raise RowError("label names no option")
    return options[int(key)].strip()


def refers(pronoun: str, noun: str) -> str:
    """The question whether a pronoun stands for a noun."""
    return f'Does "{pronoun}" stand for "{noun}"?'


def stands_for(pronoun: str) -> str:
    """The question what a pronoun stands for."""
    return f'What does "{pronoun}" stand for?'


def multiple_choice(question: str = "question") -> Fields:
    """The fields of ARC and its kin: ``choices`` has the texts, ``answerKey`` a letter or a digit."""
    return {"question": Column(question), **picked(Options("choices.text"), "answerKey")}


# UnifiedQA's public form of a set: "the question \n (A) an option (B) another", then the right option's text.


def unified_question(text: str) -> str:
    """The question of a UnifiedQA input."""
    return text.replace("\\n", "\n").split("\n")[0]


def unified_options(text: str) -> tuple[str, ...]:
    """The options of a UnifiedQA input.

    Raises:
        RowError: there are none.
    """
    _, mark, rest = text.replace("\\n", "\n").partition("\n")
    letters = [letter for letter in "ABCDEFGH" if f"({letter})" in rest]
    for letter in letters:
        rest = rest.replace(f"({letter})", "\0", 1)
    options = tuple(part.strip() for part in rest.split("\0")[1:])
    if not mark or not all(options) or not options:
        raise RowError("no options in the input")
    return options


def unified_answer(text: str, answer: str) -> str:
    """The option that equals the answer but for case and spaces.

    Raises:
        RowError: there is none.
    """
    found = [option for option in unified_options(text) if option.casefold() == answer.strip().casefold()]
    if not found:
        raise RowError("answer names no option")
    return found[0]


def inference(premise: str, hypothesis: str, names: tuple[str, ...]) -> Fields:
    """The fields of natural language inference; ``verdicts`` says in words what the answers can be."""
    verdicts = "yes or no" if len(names) == 2 else "yes, no or it is not possible to tell"
    texts: Fields = {"premise": Column(premise), "hypothesis": Column(hypothesis), "verdicts": Constant(verdicts)}
    return {**texts, **labelled("label", names)}


UNIFIED: Fields = {
    "question": Apply(unified_question, ("input",)),
    "options": Apply(unified_options, ("input",)),
    "answer": Apply(unified_answer, ("input", "output")),
}

BOOLQ: Fields = {"passage": Column("passage"), "question": Column("question"), **labelled("answer", NO_YES)}
RTE = inference("premise", "hypothesis", ("yes", "no"))
THREE_WAY = inference("premise", "hypothesis", NLI)
SENTENCES: Fields = {"first": Column("sentence1"), "second": Column("sentence2"), **labelled("label", NO_YES)}
COPA = Apply(together, ("choice1", "choice2"))
COSMOS = Apply(together, ("answer0", "answer1", "answer2", "answer3"))
PIQA = Apply(together, ("sol1", "sol2"))
WINOGRANDE = Apply(together, ("option1", "option2"))

NEWS = ("World", "Sports", "Business", "Science and Technology")
QUESTION_TYPES = ("an abbreviation", "an entity", "a description", "a person", "a place", "a number")
STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
LANGUAGES = {
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "ro": "Romanian",
    "ru": "Russian",
    "tr": "Turkish",
}


def middle_science(split: str) -> RawFile:
    """AI2's middle-school science questions: UnifiedQA's public files, which a mirror has to hold at this place."""
    return RawFile(f"github/allenai/unifiedqa/ai2_science_middle/{split}.tsv", ("input", "output"))


def _train(repo_id: str, config: str = "default") -> Split:
    return Split(repo_id, config, "train")


def _task(name: str, templates: str, data: Data, fields: Fields, held_in: bool = False) -> Task:
    return Task(name, "flan2021", data, fields, templates, held_in=held_in, note=ADDED.get(name, ""))


def _summary(name: str, data: Data, text: str, summary: str, templates: str = "summary") -> Task:
    return _task(name, templates, data, {"text": Column(text), "answer": Column(summary)})


def spoken(pair: Mapping[str, str], code: str) -> str:
    """One side of a pair of sentences, by the code of its language; empty where there is none."""
    return ((pair or {}).get(code) or "").strip()


def translation(source: str, goal: str) -> Fields:
    """The fields of a translation between two languages, of which ``LANGUAGES`` has the codes."""
    return {
        "text": Apply(partial(spoken, code=source), ("translation",)),
        "answer": Apply(partial(spoken, code=goal), ("translation",)),
        "source": Constant(LANGUAGES[source]),
        "goal": Constant(LANGUAGES[goal]),
    }


def _translations(year: int, code: str) -> tuple[Task, ...]:
    """Both directions of a WMT language pair."""
    config = f"{code}-en"
    return tuple(
        _task(
            f"wmt{year}_{source}{goal}",
            "translation",
            _train(f"wmt/wmt{year}", config),
            translation(source, goal),
        )
        for source, goal in ((code, "en"), ("en", code))
    )


_READING: tuple[Task, ...] = (
    _task("boolq", "boolean_qa", _train("google/boolq"), BOOLQ, held_in=True),
    _task(
        "multirc",
        "candidate_answer",
        _train("aps/super_glue", "multirc"),
        {
            "passage": Column("paragraph"),
            "question": Column("question"),
            "candidate": Column("answer"),
            **labelled("label", NO_YES),
        },
    ),
    _task(
        "cosmos_qa",
        "reading_choice",
        _train("allenai/cosmos_qa"),
        {"passage": Column("context"), "question": Column("question"), **picked(COSMOS, "label")},
    ),
    _task(
        "squad_v1",
        "extractive_qa",
        _train("rajpurkar/squad", "plain_text"),
        {"passage": Column("context"), "question": Column("question"), "answer": Apply(first, ("answers",))},
    ),
    _task(
        "squad_v2",
        "answerable_qa",
        _train("rajpurkar/squad_v2", "squad_v2"),
        {
            "passage": Column("context"),
            "question": Column("question"),
            "answer": Apply(partial(first, default="unanswerable"), ("answers",)),
        },
    ),
    _task(
        "drop",
        "numeric_qa",
        _train("ucinlp/drop"),
        {"passage": Column("passage"), "question": Column("question"), "answer": Apply(first, ("answers_spans",))},
    ),
    _task(
        "record",
        "cloze_qa",
        _train("aps/super_glue", "record"),
        {"passage": Column("passage"), "question": Column("query"), "answer": Apply(first, ("answers",))},
    ),
    _task(
        "trivia_qa",
        "closed_book_qa",
        _train("mandarjoshi/trivia_qa", "rc.nocontext"),
        {"question": Column("question"), "answer": Apply(first, ("answer",))},
    ),
    _task(
        "natural_questions",
        "closed_book_qa",
        _train("google-research-datasets/nq_open", "nq_open"),
        {"question": Column("question"), "answer": Apply(first, ("answer",))},
    ),
)

_CHOICE: tuple[Task, ...] = (
    _task("arc_easy", "multiple_choice", _train("allenai/ai2_arc", "ARC-Easy"), multiple_choice(), held_in=True),
    _task(
        "arc_challenge", "multiple_choice", _train("allenai/ai2_arc", "ARC-Challenge"), multiple_choice(), held_in=True
    ),
    _task("ai2_middle_science", "multiple_choice", middle_science("train"), UNIFIED, held_in=True),
    _task("openbookqa", "multiple_choice", _train("allenai/openbookqa", "main"), multiple_choice("question_stem")),
    _task(
        "copa",
        "cause_effect",
        _train("aps/super_glue", "copa"),
        {"premise": Column("premise"), "kind": Column("question"), **picked(COPA, "label")},
    ),
    _task(
        "hellaswag",
        "completion",
        _train("Rowan/hellaswag"),
        {"text": Column("ctx"), "options": Options("endings"), "answer": Apply(at_index, ("endings", "label"))},
    ),
    _task(
        "piqa", "goal_solution", _train("ybisk/piqa", "plain_text"), {"text": Column("goal"), **picked(PIQA, "label")}
    ),
    _task(
        "winogrande",
        "coreference",
        _train("allenai/winogrande", "winogrande_xl"),
        {
            "text": Column("sentence"),
            "question": Constant("What belongs in the place of _?"),
            **picked(WINOGRANDE, "answer"),
        },
    ),
    _task(
        "wsc",
        "coreference",
        _train("aps/super_glue", "wsc.fixed"),
        {
            "text": Column("text"),
            "question": Apply(refers, ("span2_text", "span1_text")),
            **labelled("label", NO_YES),
        },
    ),
    _task(
        "definite_pronoun_resolution",
        "coreference",
        _train("community-datasets/definite_pronoun_resolution", "plain_text"),
        {
            "text": Column("sentence"),
            "question": Apply(stands_for, ("pronoun",)),
            **picked(Options("candidates"), "label"),
        },
    ),
)

_INFERENCE: tuple[Task, ...] = (
    _task("rte", "nli", _train("aps/super_glue", "rte"), RTE, held_in=True),
    _task(
        "cb",
        "nli",
        _train("aps/super_glue", "cb"),
        {**THREE_WAY, **labelled("label", (NLI[0], NLI[2], NLI[1]))},
    ),
    _task("mnli", "nli", _train("nyu-mll/glue", "mnli"), THREE_WAY),
    _task("snli", "nli", _train("stanfordnlp/snli", "plain_text"), THREE_WAY),
    *(
        _task(f"anli_r{n}", "nli", Split("facebook/anli", "plain_text", f"train_r{n}"), THREE_WAY, held_in=True)
        for n in (1, 2, 3)
    ),
    _task(
        "wnli",
        "nli",
        _train("nyu-mll/glue", "wnli"),
        inference("sentence1", "sentence2", NO_YES),
    ),
    _task(
        "qqp",
        "duplicate_questions",
        _train("nyu-mll/glue", "qqp"),
        {"first": Column("question1"), "second": Column("question2"), **labelled("label", NO_YES)},
    ),
    _task("mrpc", "paraphrase", _train("nyu-mll/glue", "mrpc"), SENTENCES),
    _task("paws_wiki", "paraphrase", _train("google-research-datasets/paws", "labeled_final"), SENTENCES),
    _task("wic", "word_sense", _train("aps/super_glue", "wic"), {"word": Column("word"), **SENTENCES}),
)

_CLASSES: tuple[Task, ...] = (
    _task(
        "cola",
        "acceptability",
        _train("nyu-mll/glue", "cola"),
        {"text": Column("sentence"), **labelled("label", NO_YES)},
    ),
    *(
        _task(name, "sentiment", data, {"text": Column(column), **labelled("label", ("negative", "positive"))})
        for name, data, column in (
            ("sst2", _train("nyu-mll/glue", "sst2"), "sentence"),
            ("imdb", _train("stanfordnlp/imdb", "plain_text"), "text"),
            ("yelp_polarity", _train("fancyzhx/yelp_polarity", "plain_text"), "text"),
            ("rotten_tomatoes", _train("cornell-movie-review-data/rotten_tomatoes"), "text"),
        )
    ),
    _task(
        "yelp_review_full",
        "rating",
        _train("Yelp/yelp_review_full", "yelp_review_full"),
        {"text": Column("text"), **labelled("label", STARS)},
    ),
    _task("ag_news", "topic", _train("fancyzhx/ag_news"), {"text": Column("text"), **labelled("label", NEWS)}),
    _task(
        "trec",
        "question_type",
        _train("CogComp/trec"),
        {"question": Column("text"), **labelled("coarse_label", QUESTION_TYPES)},
    ),
    _task(
        "subj",
        "subjectivity",
        _train("SetFit/subj"),
        {"text": Column("text"), **labelled("label", ("objective", "subjective"))},
    ),
)

_GENERATION: tuple[Task, ...] = (
    _summary("cnn_dailymail", _train("abisee/cnn_dailymail", "3.0.0"), "article", "highlights"),
    _summary("xsum", _train("EdinburghNLP/xsum"), "document", "summary"),
    _summary("gigaword", _train("Harvard/gigaword"), "document", "summary", "headline"),
    _summary("multi_news", _train("alexfabbri/multi_news"), "document", "summary"),
    _summary("samsum", _train("Samsung/samsum", "samsum"), "dialogue", "summary", "dialog_summary"),
    _summary("aeslc", _train("Yale-LILY/aeslc"), "email_body", "subject_line", "subject_line"),
    _task(
        "common_gen",
        "concepts_to_text",
        _train("allenai/common_gen"),
        {"data": Apply(", ".join, ("concepts",)), "answer": Column("target")},
    ),
    _task(
        "e2e_nlg",
        "data_to_text",
        _train("tuetschek/e2e_nlg"),
        {"data": Column("meaning_representation"), "answer": Column("human_reference")},
    ),
    *_translations(14, "fr"),
    *(task for code in ("cs", "de", "fi", "ro", "ru", "tr") for task in _translations(16, code)),
)

TASKS: tuple[Task, ...] = (*_READING, *_CHOICE, *_INFERENCE, *_CLASSES, *_GENERATION)
