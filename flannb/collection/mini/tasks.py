"""The data sets, training tasks and evaluation sets of `mini`.

The sets carry the names and the columns of the real ones that they stand for. Chain-of-Thought is the only submixture
that teaches arithmetic, and no task trains on a held-out set's wording.
"""

from collections.abc import Mapping
from random import Random

from flannb.collection.flan2021 import labelled, multiple_choice, picked
from flannb.collection.mini import facts, reasoning, talk, texts
from flannb.collection.mini.dataset import HELD_OUT, TRAINING, DataSet, Generator, Row
from flannb.collection.task import Column, Constant, EvalTask, Field, Label, Options, Split, Task

_YES_NO = Constant(("yes", "no"))
_TRUE_FALSE = Constant(("true", "false"))
NLI = ("yes", "maybe", "no")
"""What entailment, neutral and contradiction are called."""

_RTE = ("yes", "no")

DATA_SETS: dict[str, DataSet] = {}
"""Every data set by name."""

_tasks: list[Task] = []
_evaluations: list[EvalTask] = []


def _data(name: str, make: Generator, inputs: tuple[str, ...], rows: Mapping[str, int] = TRAINING) -> None:
    DATA_SETS[name] = DataSet(name, make, inputs, rows)


def split_of(name: str, split: str) -> Split:
    """A split of a data set of `mini`."""
    return Split(f"mini/{name}", "default", split)


def texts_of(**columns: str) -> dict[str, Field]:
    """Fields that are the texts of columns."""
    return {name: Column(column) for name, column in columns.items()}


# ---------------------------------------------------------------------------------------------------------------------
# Training tasks


def _train(
    submixture: str,
    name: str,
    make: Generator,
    inputs: tuple[str, ...],
    fields: Mapping[str, Field],
    templates: str,
    held_in: bool = False,
    rows: Mapping[str, int] = TRAINING,
) -> None:
    _data(name, make, inputs, rows)
    _tasks.append(Task(name, submixture, split_of(name, "train"), dict(fields), templates, held_in=held_in))
    if held_in:
        split, train = split_of(name, "validation"), split_of(name, "train")
        _evaluations.append(EvalTask(name, "held_in", split, dict(fields), templates, "option", train, shots=3))


_CHOICE = multiple_choice()
_ASKED = ("question", "choices")
PAIR = ("premise", "hypothesis")
INFERENCE = texts_of(premise="premise", hypothesis="hypothesis")
_TEXT = texts_of(text="text")
_SCIENCE = ("eats", "lives", "material", "colour")
_SOCIETY = ("capital", "continent", "tool", "workplace", "room")

_boolq = texts_of(passage="passage", question="question") | labelled("answer", ("no", "yes")) | {"options": _YES_NO}
_train("flan2021", "boolq", facts.yes_no, ("passage", "question"), _boolq, "mini_boolq", held_in=True)
_train("flan2021", "arc_easy", facts.choice(_SCIENCE), _ASKED, _CHOICE, "mini_choice", held_in=True)
_train("flan2021", "arc_challenge", facts.which(_SOCIETY), _ASKED, _CHOICE, "mini_choice", held_in=True)
_middle = facts.choice(facts.CHOOSABLE, "{name} sees {e} .")
_train("flan2021", "ai2_middle_science", _middle, _ASKED, _CHOICE, "mini_choice", held_in=True)
for _round in range(3):
    _fields = INFERENCE | labelled("label", NLI)
    _train("flan2021", f"anli_r{_round + 1}", texts.inference((_round,)), PAIR, _fields, "mini_nli", held_in=True)
_fields = INFERENCE | labelled("label", _RTE)
_train("flan2021", "rte", texts.inference(labels=2), PAIR, _fields, "mini_nli", held_in=True)
_sentiment = _TEXT | labelled("label", ("negative", "positive"))
_train("flan2021", "sst2", texts.sentiment, ("text",), _sentiment, "mini_sentiment")
_train("flan2021", "ag_news", texts.topic, ("text",), _TEXT | labelled("label", tuple(texts.TOPICS)), "mini_topic")
_type = _TEXT | labelled("label", texts.QUESTION_TYPES)
_train("flan2021", "trec", texts.question_type, ("text",), _type, "mini_question_type")
_train(
    "flan2021",
    "natural_questions",
    facts.open_question,
    ("question",),
    texts_of(question="question", answer="answer"),
    "mini_question",
)

_train("t0_sf", "cos_e", facts.choice(_SOCIETY, "{name} asks :"), _ASKED, _CHOICE, "mini_pick")
_train("t0_sf", "quartz", facts.which(_SCIENCE), _ASKED, _CHOICE, "mini_pick")
_sciq = _CHOICE | texts_of(support="support")
_train("t0_sf", "sciq", facts.supported_choice, ("support", *_ASKED), _sciq, "mini_sciq")
_train("t0_sf", "rotten_tomatoes", texts.sentiment, ("text",), _sentiment, "mini_review")
_kinds = texts_of(text="content") | labelled("label", tuple(facts.RELATIONS["kind"].values))
_train("t0_sf", "dbpedia", facts.category, ("content",), _kinds, "mini_category")
_words = texts_of(words="concepts", answer="target")
_train("t0_sf", "common_gen", facts.words, ("concepts",), _words, "mini_words")
_sentence = texts_of(question="question", answer="answer")
_train("t0_sf", "ms_marco", facts.sentence, ("question",), _sentence, "mini_sentence")
_skill_question = texts_of(question="input", answer="target") | {"options": _YES_NO}
_possible = reasoning.sense("{name} reads that {statement} . is it possible ?")
_train("t0_sf", "piqa", _possible, ("input",), _skill_question, "mini_bbh_options")
_moved = reasoning.walk("{name} moves {steps} {way} {time} and then {then} . is it the same place ?")
_train("t0_sf", "wiqa", _moved, ("input",), _skill_question, "mini_bbh_options")
_train("t0_sf", "fact_nli", texts.fact_inference, PAIR, INFERENCE | labelled("label", NLI), "mini_nli")


def _defined(definition: str, make: Generator) -> Generator:
    """A Super-Natural Instructions task: the rows of ``make`` under its columns' names, with a definition."""

    def defined(rng: Random, i: int) -> Row:
        row = make(rng, i)
        known = {"definition": definition, "inputs": row["input"], "targets": row["target"]}
        return known | ({"choices": row["choices"]} if "choices" in row else {})

    return defined


_NI = texts_of(definition="definition", inputs="inputs", answer="targets")


def _instruct(name: str, definition: str, make: Generator, options: Field | None = None) -> None:
    chosen = isinstance(options, Options)
    fields = _NI if options is None else _NI | {"options": options}
    inputs = ("inputs", "choices") if chosen else ("inputs",)
    templates = "mini_definition" if options is None else "mini_definition_options"
    _train("super_natural_instructions", f"ni_{name}", _defined(definition, make), inputs, fields, templates)


_instruct("count_things", "count the things .", reasoning.counting("{name} sees {list} ."))
_instruct("count_words", "how many words ?", reasoning.counting("{name} writes {list} ."))
_instruct("animal_facts", "answer the question about an animal .", reasoning.fact_input(("eats", "lives", "group")))
_instruct("food_colour", "name the colour of the food .", reasoning.fact_input(("colour",)))
_instruct("word_kind", "name the kind of the word .", reasoning.fact_input(("kind",)))
_instruct("sense", "does the sentence make sense ?", reasoning.sense("{name} : {statement} ."), _YES_NO)
_instruct("nonsense", "can it be ?", reasoning.sense("{statement} , says {name} ."), _YES_NO)
_logic = ("{name} says {time} : {expression}", "{expression} . {name} reads it {time}")
_instruct("logic", "is it true or false ?", reasoning.logic(_logic[0]), _TRUE_FALSE)
_instruct("truth", "what is the value ?", reasoning.logic(_logic[1]), _TRUE_FALSE)
_walk = (
    "{time} {name} goes {steps} {way} and then {then} .",
    "{steps} {way} and {then} , that is how {name} walks {time} .",
)
_instruct("walk", "is the person at the start again ?", reasoning.walk(_walk[0]), _YES_NO)
_instruct("return", "does the walk end where it began ?", reasoning.walk(_walk[1]), _YES_NO)
_instruct("day", "name the day .", reasoning.day("{time} : {name} {deed} the day after {day} . which day ?"))
_instruct("next_day", "which day is it ?", reasoning.day("{day} was the day before {name} {deed} {time} ."))
_ordered = reasoning.order("{name} says {time} :")
_instruct("word_order", "choose the words in the right order .", _ordered, Options("choices"))


# A third of the submixture is arithmetic, which nothing else teaches; the rest explains facts and small skills that
# other submixtures teach without explanations.
_SUMS = TRAINING | {"train": 480}
_FACTS = TRAINING | {"train": 150}
_SKILLS = TRAINING | {"train": 200}


def _explain(
    name: str, make: Generator, inputs: tuple[str, ...], fields: Mapping[str, Field], rows: Mapping[str, int]
) -> None:
    templates = "mini_cot_options" if "options" in fields else "mini_cot"
    _train("cot", name, make, inputs, fields, templates, rows=rows)


_RATIONALE = texts_of(rationale="rationale")
_EXPLAINED = _RATIONALE | texts_of(question="question", answer="answer")
_EXPLAINED_CHOICE = _RATIONALE | _CHOICE
_aqua = _RATIONALE | texts_of(question="question") | picked(Options("options"), "correct")
_strategy = _RATIONALE | texts_of(question="input", answer="target") | {"options": _YES_NO}
_creak = _RATIONALE | texts_of(question="claim") | {"options": _TRUE_FALSE, "answer": Label("label", ("false", "true"))}
_explain("gsm8k", reasoning.arithmetic(reasoning.SHOP_STORIES), ("question",), _EXPLAINED, _SUMS)
_explain("aqua", reasoning.arithmetic_choice, ("question", "options"), _aqua, _SUMS)
_explain("strategyqa", reasoning.sense("{name} asks whether {statement} ."), ("input",), _strategy, _FACTS)
_explain("creak", facts.explained_claim, ("claim",), _creak, _FACTS)
_explain("ecqa", facts.choice(_SOCIETY, "{name} thinks of {e} .", explain=True), _ASKED, _EXPLAINED_CHOICE, _FACTS)
_explain("qasc", facts.choice(_SCIENCE, "{name} reads .", explain=True), _ASKED, _EXPLAINED_CHOICE, _FACTS)

_skill = _RATIONALE | texts_of(question="input", answer="target")
_walked = "{time} {name} runs {steps} {way} , then {then} . at the start ?"
_dated = "today is {day} and {name} {deed} the day after . which day ?"
_SKILL_TASKS: tuple[tuple[str, Generator, Field | None], ...] = (
    ("sensemaking", reasoning.sense("can it be that {statement} ? {name} asks ."), _YES_NO),
    ("explained_counts", reasoning.counting("here are {list} , says {name} . how many ?"), None),
    ("explained_logic", reasoning.logic("{name} writes {time} {expression} . is it ?"), _TRUE_FALSE),
    ("explained_walks", reasoning.walk(_walked), _YES_NO),
    ("explained_days", reasoning.day(_dated), None),
    ("explained_orders", reasoning.order("{name} writes {time} the words :"), Options("choices")),
)
for _name, _make, _choices in _SKILL_TASKS:
    _inputs = ("input", "choices") if isinstance(_choices, Options) else ("input",)
    _explain(_name, _make, _inputs, _skill | ({"options": _choices} if _choices else {}), _SKILLS)


_DIALOG = texts_of(dialog="dialog", answer="reply")
_train("dialog", "wiki_dialog", talk.knowledge_dialog, ("dialog",), _DIALOG, "mini_dialog")
_train("dialog", "qrecc", talk.followup_dialog, ("dialog",), _DIALOG, "mini_dialog")
_train("dialog", "taskmaster", talk.booking_dialog, ("dialog",), _DIALOG, "mini_dialog")
_train("dialog", "food_orders", talk.order_dialog, ("dialog",), _DIALOG, "mini_dialog")

_PROGRAMS: tuple[tuple[str, Generator, str, str, str], ...] = (
    ("mbpp", talk.function_program, "text", "code", "mini_program"),
    ("code_contests", talk.print_program, "description", "solution", "mini_program"),
    ("conala", talk.list_program, "intent", "snippet", "mini_program"),
    ("drrepair", talk.repair_program, "broken", "fixed", "mini_repair"),
)
for _name, _make, _question, _code, _set in _PROGRAMS:
    _train("program_synthesis", _name, _make, (_question,), texts_of(question=_question, answer=_code), _set)


def _rendered(make: Generator, columns: tuple[str, ...], column: str, names: tuple[str, ...]) -> Generator:
    """A P3 task: the input columns as one text, the label as its name."""

    def rendered(rng: Random, i: int) -> Row:
        row = make(rng, i)
        text = " ".join(row[name] for name in columns)
        return {"inputs_pretokenized": text, "targets_pretokenized": names[int(row[column])]}

    return rendered


for _name, _make, _columns, _column, _names in (
    ("boolq", facts.yes_no, ("passage", "question"), "answer", ("no", "yes")),
    ("rte", texts.inference(labels=2), PAIR, "label", _RTE),
    ("ag_news", texts.topic, ("text",), "label", tuple(texts.TOPICS)),
):
    _fields = texts_of(inputs="inputs_pretokenized", answer="targets_pretokenized")
    _make = _rendered(_make, _columns, _column, _names)
    _train("p3_flan2021", f"p3_{_name}", _make, ("inputs_pretokenized",), _fields, "mini_p3")


# ---------------------------------------------------------------------------------------------------------------------
# Evaluation sets


def _evaluate_cot(name: str, fields: Mapping[str, Field], answer: str, trained: bool = False) -> None:
    """``trained``: the held-out split of a task that the mixture trains on."""
    templates = "mini_cot_options" if "options" in fields else "mini_cot"
    exemplars = split_of(name, "train" if trained else "dev")
    _evaluations.append(
        EvalTask(
            name,
            "cot",
            split_of(name, "test"),
            dict(fields),
            templates,
            answer,
            exemplars,
            shots=3,
            chain_of_thought=True,
        )
    )


_evaluate_cot("gsm8k", _EXPLAINED, "number", trained=True)
_evaluate_cot("strategyqa", _strategy, "yes_no", trained=True)
_data("svamp", reasoning.arithmetic(reasoning.ROOM_STORIES), ("question",), HELD_OUT)
_evaluate_cot("svamp", _EXPLAINED, "number")
_data("asdiv", reasoning.arithmetic(reasoning.PAIR_STORIES), ("question",), HELD_OUT)
_evaluate_cot("asdiv", _EXPLAINED, "number")
_data("commonsense_qa", facts.choice(opening="{name} wants to know :", explain=True), _ASKED, HELD_OUT)
_evaluate_cot("commonsense_qa", _EXPLAINED_CHOICE, "option")

_MMLU = texts_of(question="question") | picked(Options("choices"), "answer")
for _name, _relation in (
    ("college_biology", "lives"),
    ("conceptual_physics", "material"),
    ("global_facts", "continent"),
    ("high_school_biology", "eats"),
    ("high_school_geography", "capital"),
    ("management", "tool"),
    ("miscellaneous", "room"),
    ("nutrition", "colour"),
):
    _data(f"mmlu_{_name}", facts.exam(_relation), _ASKED, HELD_OUT)
    _test, _dev = split_of(f"mmlu_{_name}", "test"), split_of(f"mmlu_{_name}", "dev")
    _evaluations.append(EvalTask(_name, "mmlu", _test, _MMLU, "mini_choice", "option", _dev))

_LISTED = Options("choices")
_PATH = "{name} drives {steps} {way} , {then} {time} . is it the old place ?"
_DATES = "it is {day} . {name} {deed} the day after . which day ?"
_BBH: tuple[tuple[str, Generator, Field | None, str], ...] = (
    ("boolean_expressions", reasoning.logic("{expression} , says {name} {time} . is it ?"), _TRUE_FALSE, "option"),
    ("date_understanding", reasoning.day(_DATES), None, "text"),
    ("hyperbaton", reasoning.order("{name} asks {time} : which words are in the right order ?"), _LISTED, "option"),
    ("navigate", reasoning.walk(_PATH), _YES_NO, "yes_no"),
    ("object_counting", reasoning.counting("{name} has {list} . count the things ."), None, "number"),
    ("reasoning_about_colored_objects", reasoning.coloured, _LISTED, "option"),
    (
        "sports_understanding",
        reasoning.sense("{name} thinks that {statement} . does it make sense ?"),
        _YES_NO,
        "yes_no",
    ),
)
for _name, _make, _choices, _kind in _BBH:
    _inputs = ("input", "choices") if _choices is _LISTED else ("input",)
    _data(f"bbh_{_name}", _make, _inputs, HELD_OUT)
    _test, _dev = split_of(f"bbh_{_name}", "test"), split_of(f"bbh_{_name}", "dev")
    _fields = texts_of(question="input", answer="target", rationale="rationale")
    _fields |= {"options": _choices} if _choices else {}
    _ending = "_options" if _choices else ""
    _evaluations += [
        EvalTask(_name, "bbh", _test, _fields, f"mini_bbh{_ending}", _kind, _dev, shots=3),
        EvalTask(_name, "bbh_cot", _test, _fields, f"mini_cot{_ending}", _kind, _dev, shots=3, chain_of_thought=True),
    ]

TASKS: tuple[Task, ...] = tuple(_tasks)
"""All training tasks."""

EVAL_TASKS: tuple[EvalTask, ...] = tuple(_evaluations)
"""All evaluation sets of all suites."""
