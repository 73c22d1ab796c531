"""Files of one's own: what they add reaches every stage and process, and what depends on them has another address."""

import json
import os
from pathlib import Path

import pytest

from flannb import extra
from flannb.build import BuildOptions, Lengths, Mini, build_data, open_build, open_source, read_shard
from flannb.build.data import build_key
from flannb.collection import check, eval_tasks, tasks, templates
from flannb.errors import UserError
from flannb.experiments.__main__ import main
from flannb.experiments.artefacts import TABLE1
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, enter_project
from flannb.mixture import mixture, shard_weights

# `twice` is a function of the file, which worker processes must find.
DATA = """
from pathlib import Path
from flannb.collection import Collection, EvalTask, RawFile, Task, Template, TemplateSet
from flannb.collection.task import Apply, Column

def twice(word):
    return f"{word} {word}"

WORDS = RawFile(str(Path(__file__).with_name("words.jsonl")))
FIELDS = {"word": Apply(twice, ("word",)), "answer": Column("plural")}
ASK = Template("the plural of {word} ?", "{answer}")
TEMPLATES = [TemplateSet("plurals", (ASK,), (ASK,))]
COLLECTIONS = [Collection("plurals", "Plurals", (Task("plurals", "own", WORDS, FIELDS, "plurals"),))]
"""
SETS = """
from pathlib import Path
from flannb.collection import EvalTask, RawFile
from flannb.collection.task import Column

WORDS = RawFile(str(Path(__file__).with_name("words.jsonl")))
FIELDS = {"inputs": Column("word"), "answer": Column("plural")}
EVAL_TASKS = [EvalTask("plurals", "own", WORDS, FIELDS, "p3_rendered", "text", WORDS)]
"""
ROW = """
from flannb.experiments import Row
from flannb.mixture import Mixture

MIXTURES = {"half": Mixture({"cot": SHARE, "flan2021": 1.0})}
ROWS = {"table1": [Row("half", "Half", "half")]}
""".replace("SHARE", "1.0")


@pytest.fixture(autouse=True)
def _no_files_before_and_after(monkeypatch):
    monkeypatch.delenv(extra.EXTRA, raising=False)
    enter_project()
    yield
    extra.use()


@pytest.fixture
def write(tmp_path):
    words = [{"word": f"thing{i}", "plural": f"things{i}"} for i in range(12)]
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in words))

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def steps(**options):
    return {step.name: step for step in steps_of(TABLE1, Options(scale="tiny", **options))}


def test_nothing_is_added_where_no_file_is_named():
    assert extra.files() == () and extra.fingerprint(*extra.KINDS) == ""
    assert all(not extra.declared(kind) for kind in extra.KINDS)
    assert {task.submixture for task in tasks("mini")} & {"own"} == set()


def test_a_collection_is_a_task_a_mixture_and_a_row(write):
    extra.use(write("ideas.py", DATA))
    (task,) = [task for task in tasks("mini") if task.submixture == "own"]
    assert task.name == "plurals" and templates()["plurals"].zero_shot[0].target == "{answer}"
    check([*tasks("mini"), *eval_tasks("mini")])
    assert mixture("plurals").members(tasks("mini")) == [task]
    assert not mixture("flan2022").members([task])  # what is one's own stays out of the paper's mixtures
    made = steps()
    assert made["plurals/train"].parameters["mixture"] == "plurals"
    assert "plurals" in made["table1/report"].parameters["evaluations"]


def test_an_own_file_of_rows_is_read_whatever_the_source(write, tmp_path):
    extra.use(write("ideas.py", DATA))
    (task,) = [task for task in tasks("mini") if task.submixture == "own"]
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "MANIFEST.json").write_text("[]")
    for name in ("mini", "hub", str(tmp_path / "mirror")):
        source = open_source(name)
        assert source.has(task.data) and source.read(task.data, ("word",)).num_rows == 12
    before = Mini().fingerprint(task.data)
    write("words.jsonl", '{"word": "a", "plural": "as"}\n')
    assert Mini().fingerprint(task.data) != before
    (tmp_path / "words.jsonl").unlink()
    assert open_source(str(tmp_path / "mirror")).promises(task.data)  # so that its absence is told
    with pytest.raises(UserError, match=r"lacks 1 datasets:\n.*words\.jsonl"):
        steps()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.tsv", "thing0\tthings0\nthing1\tthings1\n"),
        ("words.json", '[{"word": "thing0", "plural": "things0"}, {"word": "thing1", "plural": "things1"}]'),
    ],
)
def test_rows_in_other_forms(write, name, text):
    write(name, text)
    columns = 'word", "plural' if name.endswith("tsv") else ""
    named = f'with_name("{name}")), ("{columns}",))' if columns else f'with_name("{name}")))'
    extra.use(write("ideas.py", DATA.replace('with_name("words.jsonl")))', named)))
    (task,) = [task for task in tasks("mini") if task.submixture == "own"]
    assert Mini().read(task.data, ("plural",))["plural"].to_pylist() == ["things0", "things1"]


def test_a_build_has_the_task_also_when_workers_make_it(write, tmp_path):
    extra.use(write("ideas.py", DATA))
    chosen = tuple(task for task in tasks("mini") if task.name in ("plurals", "ni_day"))
    options = BuildOptions(Lengths(128, 48), rows_per_task=20, vocabulary_size=300, seed=0)
    homes = [build_data(Mini(), chosen, options, tmp_path / str(count), count=count) for count in (1, 2)]
    builds = [open_build(home) for home in homes]
    assert builds[0].shards == builds[1].shards
    (shard,) = [s for s in builds[1].shards if s.task == "plurals" and s.setting == "zs_noopt"]
    row = read_shard(builds[1].home / shard.path).slice(0, 1).to_pylist()[0]
    assert row["inputs"] == "the plural of thing0 thing0 ?" and row["targets"] == "things0"
    assert set(shard_weights(builds[0].shards, mixture("plurals"))) == {
        s for s in builds[0].shards if s.task == "plurals"
    }


def test_a_changed_file_of_data_is_another_build_in_another_folder(write):
    plain = steps()
    extra.use(write("ideas.py", DATA))
    first, training = steps(), tasks("mini")
    options = BuildOptions(Lengths(128, 48), 20, 300, 0)
    key = build_key(Mini(), training, options)
    extra.use(write("ideas.py", DATA.replace("the plural of", "say the plural of")))
    second = steps()
    assert build_key(Mini(), training, options) != key
    for name in ("data", "flan2022/train", "flan2022/evaluate"):
        assert len({made[name].key for made in (plain, first, second)}) == 3
        assert len({made[name].folder for made in (plain, first, second)}) == 3


def test_a_row_reads_the_data_of_all_rows_and_trains_anew_only_when_its_mixture_changes(write):
    plain = steps()
    extra.use(write("row.py", ROW))
    first = steps()
    assert set(first) - set(plain) == {"half/train", "half/evaluate"}
    shared = set(plain) - {"table1/report"}
    assert all(first[name].key == plain[name].key and first[name].folder == plain[name].folder for name in shared)
    extra.use(write("row.py", ROW + "\n# a remark\n"))
    assert steps()["half/train"].key == first["half/train"].key
    extra.use(write("row.py", ROW.replace("1.0, ", "2.0, ")))
    changed = steps()
    assert changed["half/train"].key != first["half/train"].key
    assert changed["flan2022/train"].key == plain["flan2022/train"].key


def test_a_set_is_scored_beside_the_others_and_leaves_models_as_they_are(write):
    plain = steps()
    extra.use(write("sets.py", SETS))
    made = steps()
    assert [task.suite for task in eval_tasks("mini")].count("own") == 1
    assert made["flan2022/train"].key == plain["flan2022/train"].key
    assert made["flan2022/evaluate"].key != plain["flan2022/evaluate"].key
    assert made["flan2022/evaluate"].folder != plain["flan2022/evaluate"].folder


def test_several_files_add_up(write):
    extra.use(write("ideas.py", DATA), write("row.py", ROW), "public")
    rows = [row.name for row in TABLE1.own_rows()]
    assert rows == ["half", "plurals", "self_instruct", "unnatural_instructions", "xp3"]
    assert os.environ[extra.EXTRA].count(os.pathsep) == 2
    assert "--extra ideas.py,row.py,public" in steps(allow_missing=True)["table1/report"].command


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", r"line 1: SyntaxError"),
        ("import os\nos.no_such_thing()\n", r"line 2: AttributeError.*no_such_thing"),
        ("x = 1\n", "declares none of TASKS"),
        ("TASKS = {}\n", "TASKS must be a list"),
        ("MIXTURES = []\n", "MIXTURES must be a dict"),
        ("x = 1\nraise SystemExit(3)\n", r"bad\.py: line 2: SystemExit: 3"),
        ("TASKS = [1]\n", r"bad\.py: item 0 of TASKS must be a flannb\.collection\.Task, and is int"),
        ("EVAL_TASKS = ['a']\n", r"item 0 of EVAL_TASKS must be a flannb\.collection\.EvalTask, and is str"),
        ("TEMPLATES = ['a']\n", r"item 0 of TEMPLATES must be a flannb\.collection\.TemplateSet, and is str"),
        ("COLLECTIONS = ['a']\n", r"item 0 of COLLECTIONS must be a flannb\.collection\.Collection, and is str"),
        ("MIXTURES = {'m': 1}\n", r"item 'm' of MIXTURES must be a flannb\.mixture\.Mixture, and is int"),
        ("ROWS = {'table1': [1]}\n", r"item 0 of item 'table1' of ROWS must be a flannb\.experiments\.Row, and is int"),
        ("ROWS = {'table1': 5}\n", "item 'table1' of ROWS must be a list"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(write, text, message):
    path = write("bad.py", text)
    with pytest.raises(UserError, match=message):
        extra.use(path)
    assert extra.EXTRA not in os.environ


def test_names_are_used_once(write, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        extra.use(tmp_path / "absent.py")
    with pytest.raises(UserError, match="must end in"):
        extra.use(write("ideas.txt", DATA))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "row.py").write_text(ROW)
    with pytest.raises(UserError, match="two files of one name"):
        extra.use(write("row.py", ROW), tmp_path / "other" / "row.py")
    extra.use(write("row.py", ROW), write("same.py", ROW))
    with pytest.raises(UserError, match="'half' is in MIXTURES of two files"):
        mixture("half")
    extra.use(write("row.py", "from flannb.mixture import MIXTURES\n"))
    with pytest.raises(UserError, match="do not import MIXTURES"):
        mixture("half")
    extra.use(write("ideas.py", DATA.replace('TemplateSet("plurals"', 'TemplateSet("nli"')))
    with pytest.raises(UserError, match="template set 'nli' is defined already"):
        templates()
    extra.use(write("ideas.py", DATA.replace('"{answer}")', '"plural")')))
    with pytest.raises(UserError, match=r"'plurals', zero_shot 0: the target names no field"):
        templates()


@pytest.mark.parametrize("named", [True, False])
def test_the_command_line_takes_the_files(write, tmp_path, capsys, named):
    options = ["--extra", str(write("row.py", ROW))] if named else []
    assert main(["data", "--source", "mini", "--mixture", "half", *options]) == (0 if named else 2)
    captured = capsys.readouterr()
    if named:
        assert "cot " in captured.out and "share 0.5" in captured.out
    else:
        assert "--mixture half: unknown" in captured.err


def test_reports_of_own_rows_have_a_place_of_their_own(write, capsys):
    path = write("row.py", ROW)
    assert main(["report", "--scale", "tiny", "--rows", "half", "--extra", str(path), "--runs", str(path.parent)]) == 2
    assert "is not done" in capsys.readouterr().err
    assert Path(extra.files()[0]) == path


def test_a_row_without_data_is_left_out_and_named_if_asked_for(write, tmp_path):
    (tmp_path / "mirror").mkdir()
    extra.use("public")
    made = steps(allow_missing=True)
    assert not any(name.startswith("xp3") for name in made)
    with pytest.raises(UserError, match="--rows xp3: mini has none of its data"):
        steps(allow_missing=True, rows=("xp3",))
    with pytest.raises(UserError, match="mini lacks 3 datasets"):
        steps()


def test_figure4_takes_no_rows_of_one_s_own(write):
    extra.use(write("row.py", ROW.replace('"table1"', '"figure4"')))
    with pytest.raises(UserError, match="--extra: ROWS of figure4: unknown; choose one of table1, table2"):
        TABLE1.own_rows()
