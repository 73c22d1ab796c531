"""The loader of templates: what it accepts, and what it says about what it does not accept."""

import string

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flannb.build.inversion import with_inversions
from flannb.collection import check, tasks
from flannb.collection.template import (
    FOLDER,
    KEYS,
    KINDS,
    Template,
    _templates,
    fill,
    load_templates,
    names_in,
    parse,
    templates,
)
from flannb.errors import UserError

GOOD = {
    "zero_shot": [{"input": "{question}", "target": "{answer}"}],
    "few_shot": [{"input": "{question}", "target": "{answer}"}],
}

no_braces = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]))
names = st.text(string.ascii_lowercase, min_size=1, max_size=8)


def write(folder, content) -> object:
    path = folder / "bad.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def with_template(kind: str, **changes) -> dict:
    """A good set but for the second template of a kind; a change to ``None`` takes the key out."""
    template = {"input": "Q: {question}", "target": "{answer}", **changes}
    second = {key: value for key, value in template.items() if value is not None}
    return {"boolq": {**GOOD, kind: [*GOOD[kind], second]}}


def with_zero_shot(**changes) -> dict:
    return with_template("zero_shot", **changes)


def with_few_shot(**changes) -> dict:
    return with_template("few_shot", **changes)


THREE = [{"input": text, "target": "{answer}"} for text in ("{question}", "Q: {question}", "q:\n{question}")]


def test_good_set(tmp_path):
    loaded = load_templates(write(tmp_path, {"boolq": GOOD}))
    assert loaded["boolq"].zero_shot == (Template("{question}", "{answer}"),)
    assert loaded["boolq"].few_shot[0].fields == {"question", "answer"}


def test_empty_file_has_no_sets(tmp_path):
    assert load_templates(write(tmp_path, "")) == {}


def test_scalars_are_text_as_written(tmp_path):
    path = write(tmp_path, "yes: {zero_shot: &a [{input: '{q}', target: '{a}'}], few_shot: *a}")
    assert load_templates(path)["yes"].few_shot == (Template("{q}", "{a}"),)


def test_all_keys_of_a_few_shot_template(tmp_path):
    keys = {"instruction": "Do {kind}.", "place": "after", "between": "\n->", "separator": "\n"}
    keys["explained"] = "{answer}, since {explanation}"
    loaded = load_templates(write(tmp_path, with_few_shot(**keys)))
    assert loaded["boolq"].few_shot[1] == Template("Q: {question}", "{answer}", **keys)
    assert loaded["boolq"].few_shot[1].fields == {"question", "answer", "kind"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # the file
        ("boolq: [", ["not readable as YAML"]),
        ("boolq: !!python/name:os.system", ["boolq"]),
        ("[" * 5000, ["not readable as YAML"]),
        ("- a\n- b", ["mapping", "list"]),
        ("a: 1\na: 2", ["'a'", "twice", "line 2"]),
        # a set
        ({"boolq": {"zero_shot": GOOD["zero_shot"]}}, ["boolq", "few_shot"]),
        ({"boolq": {**GOOD, "one_shot": []}}, ["boolq", "no others"]),
        ({"boolq": {**GOOD, "zero_shot": 3}}, ["boolq", "zero_shot", "list"]),
        ({"boolq": {**GOOD, "few_shot": []}}, ["boolq", "few_shot", "at least one"]),
        ({"boolq": {**GOOD, "zero_shot": "wording"}}, ["boolq", "zero_shot"]),
        ({"boolq": "wording"}, ["boolq"]),
        ({"boolq": {**GOOD, "zero_shot": ["wording"]}}, ["boolq", "zero_shot 0", "mapping", "str"]),
        # two templates alike
        ({"boolq": {**GOOD, "zero_shot": GOOD["zero_shot"] * 2}}, ["boolq", "zero_shot 0 and 1", "alike"]),
        (with_few_shot(input=" {question}\n", separator="\n"), ["few_shot 0 and 1", "white space"]),
        ({"boolq": {**GOOD, "zero_shot": THREE}}, ["zero_shot 1 and 2", "case"]),
        # keys and values of a template
        (with_zero_shot(colour="red"), ["boolq", "zero_shot 1", "colour", "input, target"]),
        (with_zero_shot(instruction="Answer."), ["zero_shot 1", "instruction"]),
        (with_few_shot(colour="red"), ["boolq", "few_shot 1", "colour", "separator"]),
        (with_few_shot(target=None), ["few_shot 1", "no target"]),
        (with_zero_shot(input=3), ["boolq", "zero_shot 1", "input", "no field"]),
        (with_few_shot(separator=["\n"]), ["boolq", "few_shot 1", "separator", "list"]),
        # marks
        (with_zero_shot(input="{question.text}"), ["boolq", "zero_shot 1", "question.text"]),
        (with_zero_shot(input="{question!r}"), ["boolq", "zero_shot 1", "question"]),
        (with_zero_shot(input="{question:>9}"), ["boolq", "zero_shot 1", "question"]),
        (with_zero_shot(input="{} {question}"), ["boolq", "zero_shot 1", "plain field name"]),
        (with_zero_shot(input="{question"), ["boolq", "zero_shot 1", "input", "twice"]),
        (with_zero_shot(target="{answer}}"), ["boolq", "zero_shot 1", "target"]),
        (with_few_shot(instruction="{"), ["boolq", "few_shot 1", "instruction"]),
        # fields
        (with_zero_shot(input="no field"), ["boolq", "zero_shot 1", "input", "no field"]),
        (with_zero_shot(input="as {{question}}"), ["boolq", "zero_shot 1", "input", "no field"]),
        (with_zero_shot(input="as\n{options}"), ["boolq", "zero_shot 1", "input", "no field"]),
        (with_zero_shot(target="none"), ["boolq", "zero_shot 1", "target", "no field"]),
        (with_zero_shot(input="{question} {answer}"), ["boolq", "zero_shot 1", "'answer'"]),
        (with_few_shot(instruction="The answer is {answer}."), ["boolq", "few_shot 1", "'answer'"]),
        # options and letters
        (with_zero_shot(input="{question} {options}"), ["zero_shot 1", "{options}", "alone"]),
        (with_zero_shot(input="{options}\n{question}"), ["zero_shot 1", "{options}", "first"]),
        (with_zero_shot(input="{question}\n{{options}}"), ["zero_shot 1", "{options}", "alone"]),
        (with_zero_shot(input="{question}\n{options}\n{options}"), ["zero_shot 1", "twice"]),
        (with_zero_shot(target="{answer} of {options}"), ["zero_shot 1", "{options}", "input"]),
        (with_few_shot(instruction="{options}"), ["few_shot 1", "{options}", "input"]),
        (with_zero_shot(input="{question} {letter}"), ["zero_shot 1", "{letter}", "target"]),
        (with_zero_shot(target="{letter}"), ["zero_shot 1", "{letter}", "{options}"]),
        (with_zero_shot(input="{question}: {answer}\n{options}", target="{letter}"), ["zero_shot 1", "{answer}"]),
        # a few-shot template's layout
        (with_few_shot(place="between"), ["boolq", "few_shot 1", "between", "before, after"]),
        (with_few_shot(between=""), ["boolq", "few_shot 1", "between"]),
        (with_few_shot(separator=""), ["boolq", "few_shot 1", "separator"]),
        (with_few_shot(separator="\n###\n"), ["boolq", "few_shot 1", "separator", "white space"]),
        (with_few_shot(explained="{answer}"), ["boolq", "few_shot 1", "explained", "{explanation}"]),
        (with_few_shot(explained="{answer} {question} {explanation}"), ["few_shot 1", "explained", "no others"]),
        (with_few_shot(explained="{"), ["few_shot 1", "explained"]),
        (with_zero_shot(explained="{answer} {explanation}"), ["zero_shot 1", "explained"]),
    ],
)
def test_bad_sets_are_named(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(UserError) as raised:
        load_templates(path)
    for part in [str(path), *said]:
        assert part in str(raised.value)


def test_a_name_in_two_files_names_both_the_file_and_the_set(tmp_path, monkeypatch):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(yaml.safe_dump({"boolq": GOOD}), encoding="utf-8")
    monkeypatch.setattr("flannb.collection.template.FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"b\.yaml: template set 'boolq'"):
        _templates.__wrapped__()


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        load_templates(tmp_path / "nowhere.yaml")


WORDS = st.sampled_from(["{question}", "{answer}", "{options}", "{letter}", "{{", "}", "{", "Q:", "\n", " ", "{a.b}"])
TEXTS = st.lists(WORDS, max_size=5).map("".join) | st.text(string.printable, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary(max_size=3) | TEXTS
TEMPLATES = st.dictionaries(st.sampled_from([*KEYS["few_shot"], "x"]), TEXTS | SCALARS, max_size=6)
WHOLE = st.fixed_dictionaries({"input": TEXTS, "target": TEXTS}, optional=dict.fromkeys(KEYS["few_shot"][2:], TEXTS))
LISTS = st.lists(WHOLE | TEMPLATES, max_size=3)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KINDS, *KEYS["few_shot"], "x"]) | SCALARS, inner, max_size=4)
    ),
    max_leaves=10,
)  # fmt: skip
FILES = st.dictionaries(names, st.fixed_dictionaries(dict.fromkeys(KINDS, LISTS | ANYTHING)) | ANYTHING, max_size=2)


def loads_or_says_why(path) -> None:
    """Whatever a file holds, it gives sets that can be rendered, or a ``UserError`` that names the file."""
    try:
        loaded = load_templates(path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017  (the point is that there may be none)
        return
    for family in loaded.values():
        for template in (*family.zero_shot, *family.few_shot):
            record = dict.fromkeys(template.fields, "x")
            assert fill(parse(template.input), record)
            assert fill(parse(template.target), record)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_nothing_but_user_errors_from_any_content(tmp_path, content):
    loads_or_says_why(write(tmp_path, content))


YAML_MARKS = [
    "boolq",
    "zero_shot",
    "few_shot",
    "input",
    "target",
    "{q}",
    ": ",
    ":",
    "- ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<",
]
YAML_MARKS += ['"', "'", "|-", ">", "!!int ", "!!python/name:os.system", "{", "}", "[", "]", "? ", "%", "#", "\t", "\0"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(YAML_MARKS) | st.text(max_size=3), max_size=25).map("".join).map(str.encode)
       | st.binary(max_size=30))  # fmt: skip
def test_nothing_but_user_errors_from_any_bytes(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    loads_or_says_why(path)


@given(no_braces)
def test_text_without_marks_stays(text):
    assert fill(parse(text), {}) == text


@given(no_braces, names, st.text())
def test_values_are_not_parsed_again(text, name, value):
    assert fill(parse(f"{text}{{{name}}}{text}"), {name: value}) == f"{text}{value}{text}"


@given(st.text())
def test_doubled_braces_are_literal(text):
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert fill(parse(escaped), {}) == text


@given(st.text("ab{}.!:[]0 ", max_size=20))
def test_parse_accepts_or_raises_value_error(text):
    try:
        segments = parse(text)
    except ValueError:
        return
    assert all(name is None or name.isidentifier() for _, name in segments)


def test_package_has_no_name_twice():
    """``templates`` raises if it has; every file contributes."""
    everything = templates()
    assert all(set(load_templates(path)) <= set(everything) for path in FOLDER.glob("*.yaml"))


SETS = {
    name: value
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "mini.yaml"
    for name, value in load_templates(path).items()
}
WORDED_ALREADY = {"p3_rendered"}
"""P3's rows are prompts: their own text is their one zero-shot wording."""
EVALUATED_ONLY = {"bbh", "bbh_cot", "mini_likeness", "mini_passage", "mini_study"}
"""No mixture is trained with these; single tasks have one wording."""


def _by_text(wordings):
    """Those that settings without options can use, too."""
    return [template for template in wordings if "letter" not in template.fields]


@pytest.mark.parametrize("name", sorted(SETS.keys() - EVALUATED_ONLY))
def test_at_least_ten_wordings_of_each_kind(name):
    assert len(_by_text(SETS[name].zero_shot)) >= (1 if name in WORDED_ALREADY else 10)
    assert len(_by_text(SETS[name].few_shot)) >= 10


@pytest.mark.parametrize("name", sorted(SETS.keys() - EVALUATED_ONLY))
def test_few_shot_wordings_vary_in_layout(name):
    few_shot = SETS[name].few_shot
    assert {template.place for template in few_shot if template.instruction} == {"before", "after"}
    assert any(not template.instruction for template in few_shot) or name == "instructed", "its definition is one"
    assert len({template.separator for template in few_shot}) > 1
    assert len({template.between for template in few_shot}) > 1 or name == "dialog_inverted"
    assert any(template.input.rstrip().endswith(":") for template in few_shot), "no wording ends in a cue"


@pytest.mark.parametrize("name", sorted(SETS))
def test_zero_shot_wordings_vary_in_layout(name):
    wordings = SETS[name].zero_shot
    if name not in WORDED_ALREADY | EVALUATED_ONLY:
        assert len({template.input.startswith("{") for template in wordings}) == 2, "all begin alike"
        assert len({template.input[-1] for template in wordings}) > 1, "all end alike"


@pytest.mark.parametrize("name", sorted(SETS))
def test_first_wordings_are_plain(name):
    """They make the prompts of evaluation, whose answers are read as texts."""
    zero_shot, few_shot = SETS[name].zero_shot[0], SETS[name].few_shot[0]
    assert "letter" not in zero_shot.fields | few_shot.fields
    assert few_shot.place == "before"


@pytest.mark.parametrize("name", ["cot", "math_cot", "bbh_cot"])
def test_chains_of_thought_state_their_answer(name):
    for template in templates()[name].zero_shot + templates()[name].few_shot:
        assert "answer is {answer}" in template.target


def test_every_family_of_tasks_has_the_fields_of_its_wordings():
    """Sets beyond those of today's tasks are there to be used; no field of a used set is missing."""
    everything = with_inversions(tasks("hub"))
    check(everything)
    assert {task.templates for task in everything} <= SETS.keys()
    for task in everything:
        family = SETS[task.templates]
        named = frozenset().union(*(names_in(t.input) for t in (*family.zero_shot, *family.few_shot)))
        assert task.has_options <= ("options" in named), f"{task.name}: no wording shows the options"
