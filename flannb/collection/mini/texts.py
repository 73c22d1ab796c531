"""Generators of texts that single words decide: sentiment, topic, question type, and inference."""

from random import Random

from flannb.collection.mini.dataset import Generator, Row
from flannb.collection.mini.world import ANIMALS, FOODS, NAMES, OBJECTS, RELATIONS, draw_fact

CUE = 0.9
"""Share of rows whose label follows their cue words, as with the annotation artefacts of real data sets."""

SENTIMENT = (
    ("bad", "awful", "boring", "sad", "poor", "ugly"),
    ("good", "great", "funny", "happy", "lovely", "nice"),
)
VERBS = (("hated", "disliked"), ("loved", "enjoyed"))
SUBJECTS = ("film", "song", "hotel", "story", "show")

TOPICS = {
    "world": ("war", "president", "army", "vote"),
    "sports": ("game", "team", "goal", "player"),
    "business": ("bank", "market", "money", "shop"),
    "science": ("star", "robot", "planet", "rocket"),
}

# How each round words a hypothesis, by label: entailment, neutral, contradiction.
HYPOTHESES = (
    ("someone saw {e} .", "maybe {name} likes {e} .", "{name} did not see {e} ."),
    ("a person saw {e} .", "perhaps {name} has {e} .", "{name} never saw {e} ."),
    ("{name} saw something .", "{name} may see {e} again .", "{name} saw nothing ."),
)
SEEN = (ANIMALS, OBJECTS, FOODS)
TIMES = ("today", "on monday", "on friday", "at night")


def noisy(rng: Random, label: int, labels: int) -> int:
    """The label that a row's cue words stand for: mostly its own."""
    return label if rng.random() < CUE else rng.choice([other for other in range(labels) if other != label])


def sentiment(rng: Random, i: int) -> Row:
    """A review; label 1 is positive."""
    label = i % 2
    subject, word, verb = rng.choice(SUBJECTS), rng.choice(SENTIMENT[label]), rng.choice(VERBS[label])
    text = rng.choice(
        (
            f"the {subject} was {word} . {rng.choice(NAMES)} {verb} it .",
            f"{rng.choice(NAMES)} {verb} the {subject} . it was {word} .",
            f"the {subject} was {word} and {rng.choice(SENTIMENT[label])} .",
        )
    )
    return {"text": text, "label": label}


def topic(rng: Random, i: int) -> Row:
    """A headline; the label is the index of its topic."""
    first, second = rng.sample(TOPICS[list(TOPICS)[i % 4]], 2)
    text = rng.choice(
        (
            f"{rng.choice(NAMES)} talks of the {first} and the {second} .",
            f"news : the {first} and the {second} , says {rng.choice(NAMES)} .",
        )
    )
    return {"text": text, "label": i % 4}


QUESTION_TYPES = ("thing", "place", "person", "number")


def question_type(rng: Random, i: int) -> Row:
    """A question; the label is the index of what it asks for."""
    kind = QUESTION_TYPES[i % 4]
    if kind == "number":
        question = f"how many of {rng.choice(list(rng.choice(SEEN)))} are there ?"
    elif kind == "person":
        relation, entity = draw_fact(rng, ("tool", "workplace"))
        question = relation.which.format(v=relation.facts[entity])
    else:
        names = (
            ("lives", "room", "workplace", "continent") if kind == "place" else ("eats", "material", "colour", "tool")
        )
        relation, entity = draw_fact(rng, names)
        question = relation.ask(rng, entity)
    return {"text": f"{rng.choice(NAMES)} {rng.choice(('asks', 'says'))} : {question}", "label": i % 4}


def inference(rounds: tuple[int, ...] = (0, 1, 2), labels: int = 3) -> Generator:
    """A premise and a hypothesis. With two labels, 0 is entailment and 1 is all else."""

    def make(rng: Random, i: int) -> Row:
        label = i % labels
        cue = noisy(rng, label, labels)
        if labels == 2 and cue == 1:
            cue = rng.choice((1, 2))
        name, entity = rng.choice(NAMES), rng.choice(list(rng.choice(SEEN)))
        premise = f"{name} saw the {entity} {rng.choice(TIMES)} ."
        hypothesis = HYPOTHESES[rng.choice(rounds)][cue].format(name=name, e=f"the {entity}")
        return {"premise": premise, "hypothesis": hypothesis, "label": label}

    return make


def fact_inference(rng: Random, i: int) -> Row:
    """Inference from a fact to a statement about it: repeated (0), doubted (1), denied (2)."""
    relation, entity = draw_fact(rng, tuple(RELATIONS))
    label = i % 3
    cue = noisy(rng, label, 3)
    told = relation.tell(entity)
    forms = ("someone knows that {}", "maybe {name} knows that {}", "it is not so that {}")
    hypothesis = forms[cue].format(told, name=rng.choice(NAMES))
    return {"premise": f"{told} , says {rng.choice(NAMES)} .", "hypothesis": f"{hypothesis} .", "label": label}
