"""The loader of templates: what it accepts, and what it says about what it does not accept."""

import string
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flannb.collection.template import FOLDER, Template, fill, load_templates, parse, templates
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


def with_zero_shot(**changes) -> dict:
    return {"boolq": {**GOOD, "zero_shot": [{**GOOD["zero_shot"][0], **changes}]}}


def test_good_set(tmp_path):
    loaded = load_templates(write(tmp_path, {"boolq": GOOD}))
    assert loaded["boolq"].zero_shot == (Template("{question}", "{answer}"),)
    assert loaded["boolq"].few_shot[0].fields == {"question", "answer"}


def test_empty_file_has_no_sets(tmp_path):
    assert load_templates(write(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("boolq: [", ["not readable as YAML"]),
        ("- a\n- b", ["mapping", "list"]),
        ({"boolq": {"zero_shot": GOOD["zero_shot"]}}, ["boolq", "few_shot"]),
        ({"boolq": {**GOOD, "one_shot": []}}, ["boolq", "no others"]),
        ({"boolq": {**GOOD, "zero_shot": GOOD["zero_shot"] * 2}}, ["boolq", "alike"]),
        ({"boolq": {**GOOD, "zero_shot": 3}}, ["boolq", "zero_shot"]),
        ({"boolq": {**GOOD, "zero_shot": "wording"}}, ["boolq", "zero_shot"]),
        ({"boolq": "wording"}, ["boolq"]),
        (with_zero_shot(input="{question.text}"), ["boolq", "zero_shot 0", "question.text"]),
        (with_zero_shot(input="{question!r}"), ["boolq", "zero_shot 0", "question"]),
        (with_zero_shot(input="{} {question}"), ["boolq", "zero_shot 0", "plain field name"]),
        (with_zero_shot(input="{question"), ["boolq", "zero_shot 0"]),
        (with_zero_shot(input="{question} {answer}"), ["boolq", "zero_shot 0", "'answer'"]),
        (with_zero_shot(instruction="The answer is {answer}."), ["boolq", "zero_shot 0", "'answer'"]),
        (with_zero_shot(place="between"), ["boolq", "zero_shot 0", "between"]),
        (with_zero_shot(colour="red"), ["boolq", "zero_shot 0", "colour"]),
        (with_zero_shot(input=3), ["boolq", "zero_shot 0"]),
        (with_zero_shot(separator=["\n"]), ["boolq", "zero_shot 0", "separator"]),
        (with_zero_shot(input="no field", target="none"), ["boolq", "zero_shot 0", "no field"]),
    ],
)
def test_bad_sets_are_named(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(UserError) as raised:
        load_templates(path)
    for part in [str(path), *said]:
        assert part in str(raised.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        load_templates(tmp_path / "nowhere.yaml")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["zero_shot", "few_shot", "input", "target", "place", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_nothing_but_user_errors(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("templates"), {"some_set": content})
    with suppress(UserError):
        load_templates(path)


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


def everything_but_mini():
    return [
        pytest.param(path.name, value, id=name)
        for path in sorted(FOLDER.glob("*.yaml"))
        if path.name != "mini.yaml"
        for name, value in load_templates(path).items()
    ]


@pytest.mark.parametrize(("file", "value"), everything_but_mini())
def test_wordings_of_the_real_collection(file, value):
    # P3's prompts are worded already
    assert len(value.zero_shot) >= (1 if value.name == "p3_rendered" else 4)
    assert len(value.few_shot) >= 3
    for template in value.zero_shot + value.few_shot:
        if "options" in template.fields:
            assert "{options}" in template.input.split("\n"), "{options} stands alone on its line"
    for template in value.zero_shot:
        assert template.place == "before"
        assert not template.instruction
    assert len({template.separator for template in value.few_shot}) > 1 or "inverted" in value.name


@pytest.mark.parametrize("name", ["cot", "math_cot", "bbh_cot"])
def test_chains_of_thought_state_their_answer(name):
    for template in templates()[name].zero_shot + templates()[name].few_shot:
        assert "answer is {answer}" in template.target


@pytest.mark.parametrize("name", ["cot_inverted", "math_cot_inverted"])
@pytest.mark.parametrize("kind", ["zero_shot", "few_shot"])
def test_every_permutation_is_worded(name, kind):
    """Question, answer and rationale are each given, wanted or absent; ``cot`` itself has question -> the others."""
    splits = {
        (frozenset(_names(t.input + t.instruction)), frozenset(_names(t.target)))
        for t in getattr(templates()[name], kind)
    }
    parts = ("question", "answer", "rationale")
    every = {
        (
            frozenset(p for p, role in zip(parts, roles, strict=True) if role == "in"),
            frozenset(p for p, role in zip(parts, roles, strict=True) if role == "out"),
        )
        for roles in ((a, b, c) for a in ("in", "out", "-") for b in ("in", "out", "-") for c in ("in", "out", "-"))
    }
    wanted = {(given, asked) for given, asked in every if given and asked}
    assert splits == wanted - {(frozenset({"question"}), frozenset({"answer", "rationale"}))}


def _names(text: str) -> set[str]:
    return {name for _, name in parse(text) if name is not None}
