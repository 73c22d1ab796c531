"""Generators of dialogues and of small programs."""

from random import Random

from flannb.collection.mini.dataset import Row
from flannb.collection.mini.reasoning import DAYS
from flannb.collection.mini.world import FOODS, NAMES, RELATIONS, draw_fact, noun

BOOKINGS = ("table", "room", "taxi", "ticket")
VARIABLES = ("x", "y", "n", "k", "m")
OPERATIONS = {"adds {k} to {v}": "+", "takes {k} from {v}": "-", "multiplies {v} by {k}": "*"}
LIST_CALLS = {
    "the first item of": "{v} [ 0 ]",
    "the last item of": "{v} [ - 1 ]",
    "the length of": "len ( {v} )",
    "the sum of": "sum ( {v} )",
    "the largest item of": "max ( {v} )",
    "the smallest item of": "min ( {v} )",
}


def knowledge_dialog(rng: Random, i: int) -> Row:
    """A question for a fact, answered by a sentence."""
    relation, entity = draw_fact(rng)
    greeting = rng.choice(("hello .", "hi .", "i have a question ."))
    dialog = f"{rng.choice(NAMES)} : {greeting} {relation.ask(rng, entity)}"
    return {"dialog": dialog, "reply": f"{relation.tell(entity)} ."}


def followup_dialog(rng: Random, i: int) -> Row:
    """Two questions on one entity; the second is to be answered."""
    kind = rng.choice((("eats", "lives"), ("capital", "continent"), ("material", "room"), ("tool", "workplace")))
    first, second = (RELATIONS[name] for name in rng.sample(kind, 2))
    entity = rng.choice(list(first.facts))
    asked = f"{rng.choice(NAMES)} : {first.asks[0].format(e=noun(entity))} system : {first.tell(entity)} ."
    return {"dialog": f"{asked} user : {second.ask(rng, entity)}", "reply": f"{second.tell(entity)} ."}


def booking_dialog(rng: Random, i: int) -> Row:
    """A booking: the reply confirms the thing that was asked for last."""
    what, day = BOOKINGS[i % 4], rng.choice(DAYS)
    greeting = rng.choice(("hello .", "hi .", "hello system ."))
    wish = rng.choice(("i want a {} .", "please book a {} .", "i need a {} ."))
    dialog = f"{rng.choice(NAMES)} : {greeting} system : hello , which day ? user : {day} . {wish.format(what)}"
    return {"dialog": dialog, "reply": f"your {what} is booked ."}


def order_dialog(rng: Random, i: int) -> Row:
    """An order of food: the reply confirms the last wish."""
    first, last = rng.sample(list(FOODS), 2)
    wish = rng.choice(("no , i want the {} .", "no , please the {} .", "now i need the {} ."))
    dialog = f"{rng.choice(NAMES)} : i want the {first} . system : the {first} , yes ? user : {wish.format(last)}"
    return {"dialog": dialog, "reply": f"here is the {last} ."}


def _expression(rng: Random) -> tuple[str, str, str]:
    """An operation in words, as code, and its variable."""
    variable, number = rng.choice(VARIABLES), rng.randint(1, 5)
    words, sign = rng.choice(list(OPERATIONS.items()))
    return words.format(k=number, v=variable), f"{variable} {sign} {number}", variable


def function_program(rng: Random, i: int) -> Row:
    """A request for a return statement, as in MBPP."""
    told, code, _ = _expression(rng)
    wording = rng.choice(("{} needs code that {} .", "write code for {} that {} ."))
    return {"text": wording.format(rng.choice(NAMES), told), "code": f"return {code}"}


def print_program(rng: Random, i: int) -> Row:
    """A request for a program that reads and prints, as in programming contests."""
    told, code, variable = _expression(rng)
    wording = rng.choice(("{} reads {} and then {} . print it .", "read for {} the number {} . print what {} ."))
    return {"description": wording.format(rng.choice(NAMES), variable, told), "solution": f"print ( {code} )"}


def list_program(rng: Random, i: int) -> Row:
    """A one-line intent on a list, as in CoNaLa."""
    told, code = rng.choice(list(LIST_CALLS.items()))
    variable = rng.choice(VARIABLES)
    wording = rng.choice(("{} wants {} {} .", "get for {} {} {} .", "code for {} : {} {} ."))
    return {"intent": wording.format(rng.choice(NAMES), told, variable), "snippet": code.format(v=variable)}


def repair_program(rng: Random, i: int) -> Row:
    """A broken line and its repair, as in DrRepair."""
    _, code, _ = _expression(rng)
    right, broken = rng.choice(
        (
            (f"return {code}", f"retrun {code}"),
            (f"print ( {code} )", f"print ( {code}"),
            (f"print ( {code} )", f"prnt ( {code} )"),
        )
    )
    return {"broken": f"{rng.choice(NAMES)} wrote {broken}", "fixed": right}
