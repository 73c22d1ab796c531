"""Generators for small reasoning skills: arithmetic, counting, logic, order, days, steps; all explained."""

from collections.abc import Sequence
from random import Random

from flannb.collection.mini.dataset import Generator, Row
from flannb.collection.mini.facts import LETTERS, choices
from flannb.collection.mini.world import CHOOSABLE, FOODS, KINDS, NAMES, RELATIONS, draw_fact, judged, noun

LARGEST = 4
"""The largest operand: few enough sums to learn by heart."""

FURTHEST = 5
THINGS = ("pens", "cups", "hats", "balls", "coins")
TIMES = ("today", "now", "at night", "again")
DEEDS = ("works", "reads", "sings", "plays", "runs", "goes home")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SIZES, COLOURS = ("big", "small"), ("red", "green", "yellow")
NOUNS = ("hat", "ball", "cup", "pen")

Story = tuple[str, str]
"""An operator and a word problem with ``{name}``, ``{other}``, ``{things}``, ``{a}`` and ``{b}``."""

SHOP_STORIES: tuple[Story, ...] = (
    ("+", "{name} has {a} {things} . {name} buys {b} more . how many {things} has {name} ?"),
    ("+", "{name} has {a} {things} and finds {b} more . how many {things} now ?"),
    ("-", "{name} has {a} {things} . {name} loses {b} . how many {things} has {name} ?"),
    ("-", "{name} has {a} {things} and gives {b} away . how many {things} now ?"),
)
ROOM_STORIES: tuple[Story, ...] = (
    ("+", "{a} {things} are in a box . {name} finds {b} more . how many {things} now ?"),
    ("-", "{a} {things} are in a box . {name} gives {b} away . how many {things} now ?"),
)
PAIR_STORIES: tuple[Story, ...] = (
    ("+", "{name} has {a} {things} . {other} buys {b} more . how many {things} now ?"),
    ("-", "{name} and {other} have {a} {things} . {other} loses {b} . how many {things} now ?"),
)
PLAIN_STORIES: tuple[Story, ...] = (
    ("+", "{name} has {a} {things} . {name} buys {b} more . what is the sum ?"),
    ("-", "{name} has {a} {things} . {name} loses {b} . what is left ?"),
)


def _sum(rng: Random, stories: Sequence[Story], i: int) -> tuple[str, str, int]:
    operator, story = stories[i % len(stories)]
    a, b = rng.randint(1, LARGEST), rng.randint(1, LARGEST)
    if operator == "-":
        a, b = max(a, b), min(a, b)
        a += a == b
    name, other = rng.sample(NAMES, 2)
    result = a + b if operator == "+" else a - b
    question = story.format(name=name, other=other, things=rng.choice(THINGS), a=a, b=b)
    return question, f"{a} {operator} {b} = {result} .", result


def arithmetic(stories: Sequence[Story]) -> Generator:
    """A word problem with a number as its answer."""

    def make(rng: Random, i: int) -> Row:
        question, rationale, result = _sum(rng, stories, i)
        return {"question": question, "answer": str(result), "rationale": rationale}

    return make


def arithmetic_choice(rng: Random, i: int) -> Row:
    """A word problem with four options, as in AQuA."""
    question, rationale, result = _sum(rng, PLAIN_STORIES, rng.randrange(2))
    others = [str(n) for n in range(1, 2 * LARGEST + 1) if n != result]
    options = choices(rng, str(result), others, i % 4)
    return {"question": question, "options": options["text"], "correct": LETTERS[i % 4], "rationale": rationale}


def _listing(items: Sequence[str]) -> str:
    return f"{' , '.join(items[:-1])} and {items[-1]}"


def counting(wording: str) -> Generator:
    """A list of two to five entities; ``wording`` holds ``{name}`` and ``{list}``."""
    entities = [e for kind in ("animal", "object", "food") for e in KINDS[kind]]

    def make(rng: Random, i: int) -> Row:
        count = 2 + i % 4
        items = rng.sample(entities, count)
        numbers = " ".join(str(n) for n in range(1, count + 1))
        question = wording.format(name=rng.choice(NAMES), list=_listing([noun(e) for e in items]))
        return {"input": question, "target": str(count), "rationale": f"we count {numbers} ."}

    return make


def logic(wording: str, operands: tuple[int, ...]) -> Generator:
    """An expression of ``true``, ``false``, ``not``, ``and``, ``or``; its operators are all alike."""

    def make(rng: Random, i: int) -> Row:
        want = i % 2 == 0
        while True:
            operator = rng.choice(("and", "or"))
            signs = [(rng.random() < 0.3, rng.random() < 0.5) for _ in range(rng.choice(operands))]
            values = [not value if negated else value for negated, value in signs]
            if (all(values) if operator == "and" else any(values)) == want:
                break
        words = [f"{'not ' if negated else ''}{str(value).lower()}" for negated, value in signs]
        simple = f" {operator} ".join(str(value).lower() for value in values)
        question = wording.format(name=rng.choice(NAMES), expression=f" {operator} ".join(words))
        return {"input": question, "target": str(want).lower(), "rationale": f"it is {simple} ."}

    return make


def sense(wording: str) -> Generator:
    """A statement that makes sense or not."""

    def make(rng: Random, i: int) -> Row:
        relation, entity, value, truth = judged(rng, i % 2 == 0)
        told = relation.tell(entity, value, rng.randrange(2))
        question = wording.format(name=rng.choice(NAMES), statement=told)
        return {"input": question, "target": "no" if i % 2 else "yes", "rationale": f"{truth} ."}

    return make


def order(wording: str) -> Generator:
    """Two orders of the same adjectives, of which size before colour is right."""

    def make(rng: Random, i: int) -> Row:
        size, colour, thing = rng.choice(SIZES), rng.choice(COLOURS), rng.choice(NOUNS)
        right, wrong = f"{size} {colour} {thing}", f"{colour} {size} {thing}"
        options = [right, wrong] if i % 2 == 0 else [wrong, right]
        question = wording.format(name=rng.choice(NAMES), time=rng.choice(TIMES))
        return {"input": question, "choices": options, "target": right, "rationale": f"{size} is before {colour} ."}

    return make


def day(wordings: tuple[str, str], optional: bool = False) -> Generator:
    """The day after (first wording) or before (second) a day; ``optional`` adds four options."""

    def make(rng: Random, i: int) -> Row:
        step, start = rng.choice((1, -1)), rng.randrange(7)
        today, answer = DAYS[start], DAYS[(start + step) % 7]
        question = wordings[step < 0].format(name=rng.choice(NAMES), deed=rng.choice(DEEDS), day=today)
        rationale = f"{answer} is {'after' if step > 0 else 'before'} {today} ."
        row: Row = {"input": question, "target": answer, "rationale": rationale}
        others = [other for other in DAYS if other != answer]
        return row | {"choices": choices(rng, answer, others, i % 4)["text"]} if optional else row

    return make


def walk(wording: str) -> Generator:
    """Steps forth and back: whether they end at the start."""

    def make(rng: Random, i: int) -> Row:
        there = rng.randint(1, FURTHEST)
        back = there if i % 2 == 0 else rng.choice([n for n in range(1, FURTHEST + 1) if n != there])
        forth, opposite = rng.choice((("left", "right"), ("right", "left"), ("up", "down"), ("down", "up")))
        question = wording.format(
            name=rng.choice(NAMES), time=rng.choice(TIMES), there=there, back=back, forth=forth, opposite=opposite
        )
        equal = "is" if there == back else "is not"
        return {"input": question, "target": "no" if i % 2 else "yes", "rationale": f"{there} {equal} {back} ."}

    return make


def coloured(rng: Random, i: int) -> Row:
    """Two foods in view, and the colour of one of them with four options."""
    relation = RELATIONS["colour"]
    first, second = rng.sample(list(FOODS), 2)
    entity = rng.choice((first, second))
    right = relation.facts[entity]
    options = choices(rng, right, [value for value in relation.values if value != right], i % 4)["text"]
    question = f"{rng.choice(NAMES)} sees {noun(first)} and {noun(second)} . what colour is {noun(entity)} ?"
    return {"input": question, "choices": options, "target": right, "rationale": f"{relation.tell(entity)} ."}


def fact_input(names: Sequence[str] = CHOOSABLE) -> Generator:
    """A bare question for a fact, in the columns of Super-Natural Instructions."""

    def make(rng: Random, i: int) -> Row:
        relation, entity = draw_fact(rng, names)
        opening = f"{rng.choice(NAMES)} {rng.choice(('asks', 'says', 'reads'))} {rng.choice(TIMES)} :"
        question = f"{opening} {relation.ask(rng, entity)}"
        return {"input": question, "target": relation.facts[entity]}

    return make
