"""The small world that `mini` talks about: entities, what is true of them, and the wordings that ask and tell it.

Every fact occurs in many tasks of several submixtures, always in a few short wordings, so that a model of less than a
million parameters can memorise it within minutes and be asked for it in a task that it never saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

NAMES = ("ben", "tom", "ann", "lucy", "sam", "kate", "max", "eva", "dan", "mia")

Table = dict[str, tuple[str, ...]]
"""Entity -> its properties."""

# entity: food, home, group
ANIMALS: Table = {
    "lion": ("meat", "plains", "mammal"),
    "zebra": ("grass", "plains", "mammal"),
    "wolf": ("meat", "forest", "mammal"),
    "owl": ("meat", "forest", "bird"),
    "cow": ("grass", "farm", "mammal"),
    "sheep": ("grass", "farm", "mammal"),
    "hen": ("seeds", "farm", "bird"),
    "dolphin": ("fish", "sea", "mammal"),
}
# entity: capital, continent
COUNTRIES: Table = {
    "france": ("paris", "europe"),
    "italy": ("rome", "europe"),
    "spain": ("madrid", "europe"),
    "japan": ("tokyo", "asia"),
    "china": ("beijing", "asia"),
    "india": ("delhi", "asia"),
    "egypt": ("cairo", "africa"),
    "peru": ("lima", "america"),
}
# entity: material, room
OBJECTS: Table = {
    "spoon": ("metal", "kitchen"),
    "knife": ("metal", "kitchen"),
    "bottle": ("glass", "kitchen"),
    "bed": ("wood", "bedroom"),
    "blanket": ("cotton", "bedroom"),
    "desk": ("wood", "office"),
    "book": ("paper", "office"),
    "towel": ("cotton", "bathroom"),
}
# entity: colour
FOODS: Table = {
    "banana": ("yellow",),
    "lemon": ("yellow",),
    "tomato": ("red",),
    "cherry": ("red",),
    "carrot": ("orange",),
    "pea": ("green",),
    "spinach": ("green",),
    "grape": ("purple",),
}
# entity: tool, workplace
JOBS: Table = {
    "doctor": ("needle", "hospital"),
    "teacher": ("chalk", "school"),
    "farmer": ("tractor", "field"),
    "baker": ("oven", "bakery"),
    "pilot": ("plane", "airport"),
    "judge": ("hammer", "court"),
}
KINDS: dict[str, Table] = {"animal": ANIMALS, "country": COUNTRIES, "object": OBJECTS, "food": FOODS, "job": JOBS}


def noun(entity: str) -> str:
    """The entity with its article: ``"the lion"``, ``"france"``."""
    return entity if entity in COUNTRIES else f"the {entity}"


@dataclass(frozen=True)
class Relation:
    """A property of the entities of a kind.

    Attributes:
        name: the property's name, such as ``eats``.
        asks: wordings of the question for the value; ``{e}`` is the entity with its article.
        exam: the wording that only the held-out examination sets use.
        tells: statements of the fact; ``{v}`` is the value.
        check: the yes/no question; ``which`` asks for the entity.
        facts: entity -> value.
    """

    name: str
    asks: tuple[str, ...]
    exam: str
    tells: tuple[str, ...]
    check: str
    which: str
    facts: dict[str, str]

    @property
    def values(self) -> tuple[str, ...]:
        """The distinct values, in order of first use."""
        return tuple(dict.fromkeys(self.facts.values()))

    def ask(self, rng: Random, entity: str) -> str:
        """The question for the value, in one of the wordings of training tasks."""
        return rng.choice(self.asks).format(e=noun(entity))

    def tell(self, entity: str, value: str | None = None, wording: int = 0) -> str:
        """A statement, true unless another value is given; without its full stop."""
        return self.tells[wording % len(self.tells)].format(e=noun(entity), v=value or self.facts[entity])

    def question(self, entity: str, value: str) -> str:
        """The yes/no question whether the value is the entity's."""
        return self.check.format(e=noun(entity), v=value)


def _column(table: Table, index: int) -> dict[str, str]:
    return {entity: values[index] for entity, values in table.items()}


RELATIONS = {
    relation.name: relation
    for relation in (
        Relation(
            "eats",
            ("what does {e} eat ?", "what is the food of {e} ?", "{e} is hungry . what does it eat ?"),
            "which food does {e} like to eat ?",
            ("{e} eats {v}", "the food of {e} is {v}"),
            "does {e} eat {v} ?",
            "which animal eats {v} ?",
            _column(ANIMALS, 0),
        ),
        Relation(
            "lives",
            ("where does {e} live ?", "what is the home of {e} ?", "{e} goes home . where does it live ?"),
            "in which place does {e} live ?",
            ("{e} lives in the {v}", "the home of {e} is the {v}"),
            "does {e} live in the {v} ?",
            "which animal lives in the {v} ?",
            _column(ANIMALS, 1),
        ),
        Relation(
            "group",
            ("which group has {e} ?", "is {e} a mammal or a bird ?"),
            "what group is {e} in ?",
            ("{e} is a {v}", "the group of {e} is {v}"),
            "is {e} a {v} ?",
            "which animal is a {v} ?",
            _column(ANIMALS, 2),
        ),
        Relation(
            "capital",
            ("what is the capital of {e} ?", "which city is the capital of {e} ?", "name the capital of {e} ."),
            "{e} has which city as capital ?",
            ("the capital of {e} is {v}", "{v} is the capital of {e}"),
            "is {v} the capital of {e} ?",
            "which country has the capital {v} ?",
            _column(COUNTRIES, 0),
        ),
        Relation(
            "continent",
            ("where is {e} ?", "in which continent is {e} ?", "what is the continent of {e} ?"),
            "{e} is in which continent ?",
            ("{e} is in {v}", "the continent of {e} is {v}"),
            "is {e} in {v} ?",
            "which country is in {v} ?",
            _column(COUNTRIES, 1),
        ),
        Relation(
            "material",
            ("what is {e} made of ?", "what is the material of {e} ?", "of what do we make {e} ?"),
            "{e} is made of which material ?",
            ("{e} is made of {v}", "the material of {e} is {v}"),
            "is {e} made of {v} ?",
            "which object is made of {v} ?",
            _column(OBJECTS, 0),
        ),
        Relation(
            "room",
            ("where is {e} kept ?", "what is the room of {e} ?", "in which room do we keep {e} ?"),
            "{e} is kept in which room ?",
            ("{e} is kept in the {v}", "the room of {e} is the {v}"),
            "is {e} kept in the {v} ?",
            "which object is kept in the {v} ?",
            _column(OBJECTS, 1),
        ),
        Relation(
            "colour",
            ("what colour is {e} ?", "what is the colour of {e} ?", "which colour has {e} ?"),
            "{e} has which colour ?",
            ("{e} is {v}", "the colour of {e} is {v}"),
            "is {e} {v} ?",
            "which food is {v} ?",
            _column(FOODS, 0),
        ),
        Relation(
            "tool",
            ("what does {e} use ?", "what is the tool of {e} ?", "which tool does {e} need ?"),
            "{e} needs which tool ?",
            ("{e} uses the {v}", "the tool of {e} is the {v}"),
            "does {e} use the {v} ?",
            "who uses the {v} ?",
            _column(JOBS, 0),
        ),
        Relation(
            "workplace",
            ("where does {e} work ?", "what is the place of work of {e} ?", "{e} goes to work . where is it ?"),
            "in which place does {e} work ?",
            ("{e} works in the {v}", "the place of work of {e} is the {v}"),
            "does {e} work in the {v} ?",
            "who works in the {v} ?",
            _column(JOBS, 1),
        ),
        Relation(
            "kind",
            ("what kind is {e} ?", "what kind of word is {e} ?"),
            "{e} is of which kind ?",
            ("{e} is a kind of {v}", "the kind of {e} is {v}"),
            "is {e} a kind of {v} ?",
            "which word is a kind of {v} ?",
            {entity: kind for kind, table in KINDS.items() for entity in table},
        ),
    )
}

MISFIT = 0.8
"""Share of the false pairs whose entity is of the wrong kind."""

CHOOSABLE = tuple(name for name, relation in RELATIONS.items() if len(relation.values) >= 4)
"""The relations with values enough for four options."""


def draw_fact(rng: Random, names: Sequence[str] = tuple(RELATIONS)) -> tuple[Relation, str]:
    """A relation and an entity that has it, the relation first, so that small relations are not rare."""
    relation = RELATIONS[rng.choice(names)]
    return relation, rng.choice(list(relation.facts))


def other_value(rng: Random, relation: Relation, entity: str) -> str:
    """A value that is false of the entity."""
    return rng.choice([value for value in relation.values if value != relation.facts[entity]])


def judged(rng: Random, true: bool) -> tuple[Relation, str, str, str]:
    """A relation, an entity and a value that belong together or not, and the true statement that decides it.

    Most false pairs are wrong already by the entity's kind (``does the spoon eat grass ?``), since telling kinds apart
    is learned long before single facts are.
    """
    relation, entity = draw_fact(rng)
    value, truth = relation.facts[entity], relation.tell(entity)
    kinds = RELATIONS["kind"]
    if not true and relation is not kinds and rng.random() < MISFIT:
        entity = rng.choice([other for other in kinds.facts if other not in relation.facts])
        truth = kinds.tell(entity)
    elif not true:
        value = other_value(rng, relation, entity)
    return relation, entity, value, truth
