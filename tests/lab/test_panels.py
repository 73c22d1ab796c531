"""Explorer and asker, used by their controls; what they show is looked at as HTML."""

from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.lab import Asker, Explorer
from flannb.lab.examples import SETTINGS
from flannb.trust.hostile import payloads


@pytest.fixture
def explorer():
    return Explorer("mini", "boolq")


class Tags(HTMLParser):
    """The tags and attributes of a page, and its text without that of styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self._style = set(), set(), "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._style = tag == "style"

    def handle_endtag(self, tag):
        self._style = False

    def handle_data(self, data):
        self.text += "" if self._style else data


def test_all_views_show_the_example_that_is_picked(explorer):
    shown = explorer.example
    assert shown.task.name == "boolq" and shown.inputs in Tags(explorer.html("text")).text
    before = {name: explorer.html(name) for name in ("text", "tokens", "batch")}
    explorer.row.value = 5
    assert explorer.example.record != shown.record
    assert all(explorer.html(name) != html for name, html in before.items())
    assert f"Input: {len(explorer.example.input_ids)} tokens" in explorer.html("tokens")


def test_lists_follow_one_another(explorer):
    explorer.submixture.value = "cot"
    assert explorer.example.task.submixture == "cot" and not explorer.inverted.disabled
    assert [text for text, _ in explorer.setting.options] == ["zero-shot", "few-shot"]
    explorer.inverted.value = True
    assert explorer.example.task.inverted
    explorer.setting.value = "fs_opt"
    explorer.exemplars.value = 1
    assert len(explorer.example.exemplars) == 1
    explorer.submixture.value = "flan2021"
    assert explorer.inverted.disabled and not explorer.example.task.inverted
    assert [text for text, _ in explorer.setting.options] == list(SETTINGS.values())
    assert explorer.setting.value == "fs_opt" and len(explorer.example.exemplars) == 1


def test_what_is_left_to_the_draw_is_picked_in_every_list(explorer):
    explorer.submixture.value = "dialog"
    for control in (explorer.template, explorer.style, explorer.exemplars, explorer.kind):
        assert control.index == 0 and control.label == "drawn"


def test_templates_and_styles_can_be_picked(explorer):
    inputs = set()
    for _, value in explorer.template.options:
        explorer.template.value = value
        inputs.add(explorer.example.template.input)
        assert value == "" or explorer.example.position == value
    assert len(inputs) == len(explorer.template.options) - 1
    explorer.style.value = "pick_dash"
    assert explorer.example.style.name == "pick_dash" and "Pick one:" in explorer.example.inputs


def test_another_seed_draws_anew_and_the_same_one_the_same(explorer):
    seen = []
    for seed in (0, 1, 2, 3, 0):
        explorer.seed.value = seed
        seen.append(explorer.example.inputs)
    assert seen[0] == seen[-1] and len(set(seen)) > 1


def test_wrong_picks_are_told_in_the_place_of_the_example(tmp_path, explorer):
    no_source = Explorer(str(tmp_path / "nowhere"), "boolq")
    assert "no such folder" in no_source.html("text") and no_source.tasks == ()
    unknown = Explorer("mini", "nope")
    assert "mini has no task nope" in unknown.html("text")
    unknown.row.value = 1
    assert unknown.example is not None
    partial = Explorer(str(mirror(tmp_path / "mirror", ["x"])), "boolq")
    assert partial.example.task.name == "boolq"
    partial.task.value = "multirc"
    assert "multirc is not to be had here" in partial.html("batch")
    partial.task.value = "boolq"
    assert partial.example is not None


def test_a_damaged_file_is_told_and_other_submixtures_can_be_picked(tmp_path):
    root = mirror(tmp_path / "mirror", ["x"])
    (file,) = root.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    damaged = Explorer(str(root), "boolq")
    assert damaged.example is None and "not a whole Parquet file" in damaged.html("text")
    damaged.submixture.value = "cot"
    assert "not to be had here" in damaged.html("text")


def mirror(root, texts):
    path = root / "google/boolq/default/train/0000.parquet"
    path.parent.mkdir(parents=True)
    rows = [{"question": f"is it {t}", "passage": f"{t} it is {n}", "answer": True} for n, t in enumerate(texts * 3)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return root


def test_text_of_rows_stays_text(tmp_path):
    plain = Explorer("mini", "boolq")
    texts = payloads("http://127.0.0.1:9")
    hostile = Explorer(str(mirror(tmp_path, texts)), "boolq")
    for name in ("text", "tokens", "batch"):
        allowed = Tags(plain.html(name))
        for row in range(len(texts)):
            hostile.row.value = row
            page = Tags(hostile.html(name))
            assert page.tags <= allowed.tags and page.attributes <= allowed.attributes
            assert "mathjax_ignore" in hostile.html(name)
    hostile.row.value = 0
    assert texts[0] in Tags(hostile.html("text")).text


def test_one_model_and_two_answer_the_example(explorer, runs):
    asker = Asker(explorer, ["", ""], str(runs))
    page = Tags(asker.html())
    assert explorer.example.inputs in page.text and "The target of the row" in page.text
    assert page.text.index("flan2022") < page.text.index("flan2021")
    assert page.text.count("tokens read") == 2
    explorer.row.value = 9
    asker.take_example()
    assert asker.instruction.value == explorer.example.inputs
    asker.instruction.value = "is the banana a food ?"
    assert "The target of the row" not in asker.html()


def test_a_model_that_cannot_be_opened_leaves_the_other_its_answer(explorer, runs, tmp_path):
    asker = Asker(explorer, [str(tmp_path / "nowhere"), ""], str(runs))
    page = Tags(asker.html())
    assert "no such folder" in page.text and page.text.count("tokens read") == 1


def test_without_a_model_the_command_that_makes_one_is_named(explorer, tmp_path):
    assert "nox -s train" in Asker(explorer, [""], str(tmp_path)).html()


def test_instructions_are_escaped_and_an_empty_one_is_told(explorer, runs):
    asker = Asker(explorer, [""], str(runs))
    plain = Tags(asker.html())
    for text in payloads("http://127.0.0.1:9")[:6]:
        asker.instruction.value = text
        page = Tags(asker.html())
        assert page.tags <= plain.tags and page.attributes <= plain.attributes and text in page.text
    asker.instruction.value = " "
    assert "Type an instruction" in asker.html()
    asker.instruction.value = "the banana " * 600
    assert "tokens longer than this model" in asker.html()


def test_answering_lets_the_button_go_again(explorer, runs):
    asker = Asker(explorer, [""], str(runs))
    asker.ask.click()
    assert not asker.ask.disabled and asker.ask.description == "Answer"
