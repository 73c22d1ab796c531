"""Generators for small reasoning skills: arithmetic, counting, logic, order, days, steps; all explained.

The words of a question decide its answer, whatever their order (but for counting and the order of words): a model of
one layer learns that within minutes, while comparing words by their places takes it far longer.
"""

from collections.abc import Sequence
from random import Random

from flannb.collection.mini.dataset import Generator, Row
from flannb.collection.mini.facts import LETTERS, choices
from flannb.collection.mini.world import CHOOSABLE, FOODS, KINDS, NAMES, RELATIONS, draw_fact, noun

LARGEST = 3
"""The largest operand: few enough sums to learn by heart."""

MOST = 4
"""The most things to count."""

FURTHEST = 5
THINGS = ("pens", "cups", "hats", "balls", "coins", "cards", "boxes", "keys", "rings", "bags", "nuts", "shells")
TIMES = ("today", "now", "at night", "again")
DEEDS = (
    "works",
    "reads",
    "sings",
    "plays",
    "runs",
    "goes home",
    "rests",
    "writes",
    "walks",
    "cooks",
    "swims",
    "sleeps",
)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WAYS = ("left", "right", "up", "down")
RETURNS, ONWARD = ("back", "home"), ("on", "away")
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
    b, a = sorted(rng.sample(range(1, LARGEST + 1), 2))
    result = a + b if operator == "+" else a - b
    name, other = rng.sample(NAMES, 2)
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
    """A list of two entities or more; ``wording`` holds ``{name}`` and ``{list}``."""
    entities = [e for kind in ("animal", "object", "food") for e in KINDS[kind]]

    def make(rng: Random, i: int) -> Row:
        count = 2 + i % (MOST - 1)
        items = rng.sample(entities, count)
        numbers = " ".join(str(n) for n in range(1, count + 1))
        question = wording.format(name=rng.choice(NAMES), list=_listing([noun(e) for e in items]))
        return {"input": question, "target": str(count), "rationale": f"we count {numbers} ."}

    return make


def logic(wording: str) -> Generator:
    """Two or three truth values that are all joined by ``and`` or all by ``or``."""

    def make(rng: Random, i: int) -> Row:
        want = i % 2 == 0
        while True:
            operator = rng.choice(("and", "or"))
            values = rng.choices((True, False), k=rng.choice((2, 3)))
            if (all(values) if operator == "and" else any(values)) == want:
                break
        expression = f" {operator} ".join(str(value).lower() for value in values)
        found = "all are" if all(values) else "some are" if any(values) else "none is"
        question = wording.format(name=rng.choice(NAMES), time=rng.choice(TIMES), expression=expression)
        return {"input": question, "target": str(want).lower(), "rationale": f"{operator} : {found} true ."}

    return make


def sense(wording: str) -> Generator:
    """A deed of somebody, which makes sense, or of a thing, which makes none."""
    doers, things = ([e for kind in kinds for e in KINDS[kind]] for kinds in (("animal", "job"), ("object", "food")))

    def make(rng: Random, i: int) -> Row:
        entity = rng.choice(things if i % 2 else doers)
        question = wording.format(name=rng.choice(NAMES), statement=f"{noun(entity)} {rng.choice(DEEDS)}")
        rationale = f"{RELATIONS['kind'].tell(entity)} ."
        return {"input": question, "target": "no" if i % 2 else "yes", "rationale": rationale}

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


def day(wording: str) -> Generator:
    """The day after a day."""

    def make(rng: Random, i: int) -> Row:
        today, answer = DAYS[i % 7], DAYS[(i + 1) % 7]
        question = wording.format(name=rng.choice(NAMES), deed=rng.choice(DEEDS), time=rng.choice(TIMES), day=today)
        return {"input": question, "target": answer, "rationale": f"{answer} is after {today} ."}

    return make


def walk(wording: str) -> Generator:
    """A way and how it goes on: whether it ends at the start."""

    def make(rng: Random, i: int) -> Row:
        question = wording.format(
            name=rng.choice(NAMES),
            time=rng.choice(TIMES),
            steps=rng.randint(1, FURTHEST),
            way=rng.choice(WAYS),
            then=(then := rng.choice(ONWARD if i % 2 else RETURNS)),
        )
        rationale = f"{then} is {'no return' if i % 2 else 'a return'} ."
        return {"input": question, "target": "no" if i % 2 else "yes", "rationale": rationale}

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
