"""flannb inside lm-evaluation-harness, on tasks of our own, against the harness's own ``hf`` model."""

import json
import os
import subprocess
import sys
import tomllib

import pyarrow.parquet as pq
import pytest

from flannb.build import Mini
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate import KINDS, make_prompts
from flannb.experiments.reproduce import project_root

pytestmark = pytest.mark.filterwarnings("ignore")  # of the harness's dependencies
REASON = "needs lm-evaluation-harness: pip install 'flannb[lm-eval]'"

RANKING = """
task: flannb_ranking
dataset_path: parquet
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
target_delimiter: " "
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
WRITING = """
task: flannb_writing
dataset_path: parquet
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["."], max_gen_toks: 5, do_sample: false}
metric_list: [{metric: exact_match}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tasks in the harness's format, over 500 prompts of the embedded collection."""
    pytest.importorskip("lm_eval", reason=REASON)
    import pyarrow as pa

    folder = tmp_path_factory.mktemp("tasks")
    tasks = [task for task in eval_tasks("mini") if task.suite == "mmlu" or task.name in ("boolq", "rte")]
    made = [p for task in tasks for kind in KINDS for p in make_prompts(task, kind, Mini(), 25, 0).prompts]
    rows = [
        {"prompt": p.text(), "choices": list(p.targets), "gold": p.choices.index(p.gold), "answer": p.gold}
        for p in made
    ]
    assert len(rows) == 500
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    for name, text in (("ranking", RANKING), ("writing", WRITING)):
        (folder / f"{name}.yaml").write_text(text.replace("FILE", str(folder / "rows.parquet")))
    return folder


def run(folder, out, model, arguments, tasks="flannb_ranking,flannb_writing"):
    """The samples of a run of the harness's command line: task -> one dictionary a prompt."""
    command = [sys.executable, "-m", "flannb.evaluate.harness", "--model", model, "--model_args", arguments]
    command += [
        "--batch_size",
        "32",
        "--device",
        "cpu",
        "--tasks",
        tasks,
        "--include_path",
        str(folder),
        "--output_path",
        str(out),
        "--log_samples",
    ]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    path = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | offline | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    samples = {}
    for path in out.rglob("samples_*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        task = path.name.removeprefix("samples_").rsplit("_", 1)[0]
        samples[task] = sorted(lines, key=lambda line: line["doc_id"])
    return samples


def test_the_entry_point_names_the_adapter():
    points = tomllib.loads((project_root() / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["lm_eval.models"] == {"flannb": "flannb.evaluate.harness:FlannbLM"}


def test_the_adapter_scores_and_writes_what_the_harnesss_own_model_does(folder, tied_folders, tmp_path):
    pytest.importorskip("accelerate", reason="the harness's own model needs it: pip install 'lm_eval[hf]'")
    # Tied, because release 0.4.13 ties all weights after loading: with transformers 5 its own T5 1.1 has a wrong head.
    flannb_folder, transformers_folder = tied_folders
    ours = run(folder, tmp_path / "ours", "flannb", f"checkpoint={flannb_folder}")
    own = f"pretrained={transformers_folder},backend=seq2seq,dtype=float32"
    theirs = run(folder, tmp_path / "theirs", "hf", own)
    assert ours.keys() == theirs.keys() == {"flannb_ranking", "flannb_writing"}
    for a, b in zip(ours["flannb_ranking"], theirs["flannb_ranking"], strict=True):
        logs = [[float(response[0][0]) for response in sample["resps"]] for sample in (a, b)]
        assert logs[0] == pytest.approx(logs[1], abs=1e-3)
        assert (a["acc"], a["acc_norm"]) == (b["acc"], b["acc_norm"])
    assert len(ours["flannb_ranking"]) == 500 and len({str(a["resps"]) for a in ours["flannb_ranking"]}) > 250
    pairs = [
        (a["resps"][0][0], b["resps"][0][0])
        for a, b in zip(ours["flannb_writing"], theirs["flannb_writing"], strict=True)
    ]
    # The release counts the prompt's tokens into a sequence-to-sequence model's limit, so its texts go on for longer.
    assert all(b.startswith(a) and (a == b or len(a) > 0) for a, b in pairs)
    assert len({a for a, _ in pairs}) > 5


def test_the_adapter_samples_where_a_task_asks_for_it(flannb_folder):
    pytest.importorskip("lm_eval", reason=REASON)
    from lm_eval.api.instance import Instance

    from flannb.evaluate.harness import FlannbLM

    def texts(seed, **options):
        lm = FlannbLM(str(flannb_folder), batch_size=4, seed=seed)
        options = {"until": [], "max_gen_toks": 6, **options}
        words = ("Where is it?", "Who was there?", "Is it so?")
        requests = [Instance("generate_until", {}, (text, options), 0) for text in words]
        return lm.generate_until(requests, disable_tqdm=True)

    greedy, sampled = texts(0, do_sample=False), texts(0, do_sample=True, temperature=2.0)
    assert sampled == texts(0, do_sample=True, temperature=2.0) and sampled != greedy
    assert texts(1, do_sample=True, temperature=2.0) != sampled
    assert texts(0, do_sample=True, temperature=1.0, top_k=1) == greedy
    with pytest.raises(UserError, match="no num_beams"):
        texts(0, do_sample=False, num_beams=4)
