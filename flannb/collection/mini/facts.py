"""Generators that ask for facts of the world: choices, yes/no questions, claims, explanations."""

from collections.abc import Sequence
from random import Random

from flannb.collection.mini.dataset import Generator, Row
from flannb.collection.mini.world import (
    CHOOSABLE,
    NAMES,
    RELATIONS,
    Relation,
    draw_fact,
    judged,
    noun,
)

LETTERS = ["A", "B", "C", "D"]


def choices(rng: Random, right: str, others: Sequence[str], place: int) -> dict[str, list[str]]:
    """Options in the form of ARC: the right one at ``place``, the rest drawn from the others."""
    texts = rng.sample(list(others), min(len(LETTERS) - 1, len(others)))
    texts.insert(place % (len(texts) + 1), right)
    return {"text": texts, "label": LETTERS[: len(texts)]}


def value_choices(rng: Random, relation: Relation, entity: str, i: int) -> dict[str, list[str]]:
    """Options for a relation's value, the right one at place ``i % 4``."""
    right = relation.facts[entity]
    return choices(rng, right, [value for value in relation.values if value != right], i % 4)


def _choice_row(rng: Random, relation: Relation, entity: str, i: int, before: str) -> Row:
    question = f"{before} {relation.ask(rng, entity)}".strip()
    return {"question": question, "choices": value_choices(rng, relation, entity, i), "answerKey": LETTERS[i % 4]}


def choice(names: Sequence[str] = CHOOSABLE, opening: str = "", explain: bool = False) -> Generator:
    """Questions for a value with four options. ``opening`` stands before it, with ``{name}`` and ``{e}``."""

    def make(rng: Random, i: int) -> Row:
        relation, entity = draw_fact(rng, names)
        row = _choice_row(rng, relation, entity, i, opening.format(name=rng.choice(NAMES), e=noun(entity)))
        return row | {"rationale": f"{relation.tell(entity)} ."} if explain else row

    return make


def supported_choice(rng: Random, i: int) -> Row:
    """A question with four options and a supporting sentence, as in SciQ."""
    relation, entity = draw_fact(rng, CHOOSABLE)
    support = f"{rng.choice(NAMES)} knows that {relation.tell(entity, wording=rng.randrange(2))} ."
    return _choice_row(rng, relation, entity, i, "") | {"support": support}


def exam(name: str) -> Generator:
    """Four options in the wording that no training task has."""
    relation = RELATIONS[name]

    def make(rng: Random, i: int) -> Row:
        entity = rng.choice(list(relation.facts))
        options = value_choices(rng, relation, entity, i)["text"]
        question = f"{rng.choice(NAMES)} : {relation.exam.format(e=noun(entity))}"
        return {"question": question, "choices": options, "answer": i % 4}

    return make


def which(names: Sequence[str]) -> Generator:
    """Half of the rows ask for the value, half for the entity that has it; four options."""
    forward = choice(names)

    def make(rng: Random, i: int) -> Row:
        if rng.random() < 0.5:
            return forward(rng, i)
        relation, entity = draw_fact(rng, names)
        value = relation.facts[entity]
        others = [e for e, v in relation.facts.items() if v != value]
        question = relation.which.format(v=value)
        return {"question": question, "choices": choices(rng, entity, others, i % 4), "answerKey": LETTERS[i % 4]}

    return make


def yes_no(rng: Random, i: int) -> Row:
    """A passage that tells a fact, and a yes/no question about it, as in BoolQ."""
    true = i % 2 == 0
    relation, entity, value, truth = judged(rng, true)
    passage = f"{rng.choice(NAMES)} {rng.choice(('reads', 'says'))} . {truth} ."
    return {"passage": passage, "question": relation.question(entity, value), "answer": true}


def open_question(rng: Random, i: int) -> Row:
    """A question without options."""
    relation, entity = draw_fact(rng)
    return {"question": f"{rng.choice(NAMES)} asks : {relation.ask(rng, entity)}", "answer": relation.facts[entity]}


def sentence(rng: Random, i: int) -> Row:
    """A question without options, answered by a sentence."""
    relation, entity = draw_fact(rng)
    return {"question": f"{rng.choice(NAMES)} asks : {relation.ask(rng, entity)}", "answer": relation.tell(entity)}


def category(rng: Random, i: int) -> Row:
    """A sentence on an entity, and the entity's kind as a label."""
    kinds = RELATIONS["kind"]
    kind = i % len(kinds.values)
    entity = rng.choice([e for e, k in kinds.facts.items() if k == kinds.values[kind]])
    verb = rng.choice(("thinks of", "talks of", "reads about", "asks about", "likes"))
    return {"content": f"{rng.choice(NAMES)} {verb} {noun(entity)} .", "label": kind}


def words(rng: Random, i: int) -> Row:
    """Two words of a fact, and the sentence that they make."""
    relation, entity = draw_fact(rng)
    concepts = [entity, relation.facts[entity], rng.choice(NAMES)]
    rng.shuffle(concepts)
    return {"concepts": " , ".join(concepts), "target": relation.tell(entity)}


def explained_claim(rng: Random, i: int) -> Row:
    """A true or false statement with the fact that decides it, as in Creak; label 1 is true."""
    relation, entity, value, truth = judged(rng, i % 2 == 0)
    claim = f"{rng.choice(NAMES)} claims : {relation.tell(entity, value, rng.randrange(2))} ."
    return {"claim": claim, "label": 1 - i % 2, "rationale": f"{truth} ."}
