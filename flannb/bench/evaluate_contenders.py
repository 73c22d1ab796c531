"""What the benchmarks of evaluation measure, each a process of its own."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flannb.bench.measure import absent, processor_seconds
from flannb.build import Mirror, Tokenizer
from flannb.collection import EVERY_SUITE, eval_tasks
from flannb.evaluate import MODES, Prompt, make_prompts, tokenize

PROMPT_LIMIT = 2048
SAMPLE = 96
"""Questions on which batch sizes are tried."""

Logs = list[list[float]]
"""Of each question, the log-likelihood of each option."""

Answer = Callable[[Sequence[Prompt], int], Logs]
"""Answers questions with a batch size."""


def questions(source: Mirror, number: int) -> list[Prompt]:
    """About so many questions with five exemplars, equally many of each subject."""
    tasks = [task for task in eval_tasks(source.collection, ["mmlu"]) if source.has(task.data)]
    each = max(1, number // len(tasks))
    return [prompt for task in tasks for prompt in make_prompts(task, "fs", source, each, seed=0).prompts]


def checkpoint(given: argparse.Namespace) -> dict[str, Any]:
    """Writes the model that both load."""
    from dataclasses import replace

    import jax

    from flannb.model import SIZES, T5Config, build_model, parameters, save_huggingface

    size, vocabulary = given.more
    tokenizer = Tokenizer(Path(vocabulary))
    tiny = T5Config(num_layers=2, num_heads=2, hidden_dim=64, intermediate_dim=128, key_value_dim=32)
    shape = replace(tiny if size == "tiny" else SIZES[size], tie_embedding_weights=True)
    made = build_model(shape.with_vocabulary(tokenizer.vocabulary_size), seed=0)
    save_huggingface(made, given.checkpoint, tokenizer)
    return {"parameters": parameters(made), "backend": jax.default_backend()}


def flannb(given: argparse.Namespace) -> tuple[Answer, dict[str, str]]:
    """The suites' own way: parts of prompts tokenised once, one row for all options of a question."""
    import jax

    from flannb.evaluate.models import open_model

    dtype = "float32" if jax.default_backend() == "cpu" else "mixed_bfloat16"
    model: Any = open_model(str(given.checkpoint), dtype=dtype)

    def answer(prompts: Sequence[Prompt], batch_size: int) -> Logs:
        model.batch_size = batch_size
        ids = [tokens.ids for tokens in tokenize(prompts, model, PROMPT_LIMIT)]
        texts = sorted({target for prompt in prompts for target in prompt.targets})
        known = dict(zip(texts, model.encode(texts), strict=True))
        found = model.score(ids, [[known[target] for target in prompt.targets] for prompt in prompts])
        return [[each.log for each in row] for row in found]

    return answer, {"dtype": dtype, "device": jax.devices()[0].device_kind}


def uncut(given: argparse.Namespace, prompts: Sequence[Prompt]) -> list[bool]:
    """Which prompts fit with all their exemplars; of the others, the harness leaves out another part."""
    from flannb.evaluate.models import open_model

    found = tokenize(prompts, open_model(str(given.checkpoint)), PROMPT_LIMIT)
    return [not (tokens.dropped or tokens.cut) for tokens in found]


def harness(given: argparse.Namespace) -> tuple[Answer, dict[str, str]]:
    """The harness's ``hf`` model with its sequence-to-sequence backend."""
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = "bfloat16" if device == "cuda" else "float32"
    options = {"backend": "seq2seq", "dtype": dtype, "device": device, "max_length": PROMPT_LIMIT}
    lm = HFLM(pretrained=str(given.checkpoint), batch_size=1, **options)

    def answer(prompts: Sequence[Prompt], batch_size: int) -> Logs:
        lm.batch_size_per_gpu = batch_size
        pairs = [(prompt.text(), target) for prompt in prompts for target in prompt.targets]
        requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
        found = iter(lm.loglikelihood(requests, disable_tqdm=True))
        return [[float(next(found)[0]) for _ in prompt.targets] for prompt in prompts]

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return answer, {"dtype": dtype, "device": name}


def tune(answer: Answer, prompts: Sequence[Prompt], sizes: Sequence[int]) -> dict[str, Any]:
    """The batch size that answers a sample of the questions fastest, once everything is compiled."""
    chosen = np.random.default_rng(0).permutation(len(prompts))[: max(SAMPLE, 2 * max(sizes))]
    sample = [prompts[i] for i in chosen]
    tried = {}
    for size in sizes:
        for _ in range(2):  # the first call compiles
            started = time.perf_counter()
            answer(sample, size)
            seconds = time.perf_counter() - started
        tried[size] = round(len(sample) / seconds, 2)
    return {"batch_size": max(tried, key=lambda size: tried[size]), "tried": tried}


def timed(answer: Answer, prompts: Sequence[Prompt], batch_size: int) -> dict[str, Any]:
    """All questions, once."""
    before, started = processor_seconds(), time.perf_counter()
    logs = answer(prompts, batch_size)
    return {
        "seconds": time.perf_counter() - started,
        "processor_seconds": processor_seconds() - before,
        "logs": logs,
    }


def suites(given: argparse.Namespace) -> dict[str, Any]:
    """What ``python -m flannb.evaluate`` does with all suites; ``done_after`` counts from the start of the process."""
    import jax
    import psutil

    from flannb.evaluate.__main__ import main as evaluate
    from flannb.evaluate.record import read_predictions

    batch_size, folder = given.more
    dtype = "float32" if jax.default_backend() == "cpu" else "mixed_bfloat16"
    every = ",".join(name for name in EVERY_SUITE if name != "own")
    words = [str(given.checkpoint), "--source", str(given.source), "--folder", folder, "--dtype", dtype]
    rows = ["--rows", str(given.questions)] if given.questions else []
    if evaluate([*words, "--suites", every, "--batch-size", batch_size, *rows]):
        raise SystemExit("the evaluation failed")
    began = psutil.Process().create_time()
    predictions = read_predictions(Path(folder), MODES)
    counts = predictions.groupby(["suite", "setting", "mode"], sort=False).size().unstack(fill_value=0)
    return {
        "suites": [
            {
                "suite": suite,
                "setting": setting,
                "questions": int(found["generation"]),
                "ranked": int(found.get("ranking", 0)),
                "done_after": max(p.stat().st_mtime for p in Path(folder).glob(f"{suite}.{setting}.*")) - began,
            }
            for (suite, setting), found in counts.iterrows()
        ],
        "dtype": dtype,
        "device": jax.devices()[0].device_kind,
    }


CONTENDERS = {"flannb": flannb, "harness": harness}
NEEDS = {"harness": ("torch", "transformers", "accelerate", "lm_eval")}


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """What a contender did with the questions: ``tune`` and batch sizes are asked for, or ``run`` and one of them."""
    prompts = questions(Mirror(given.source), given.questions)
    answer, facts = CONTENDERS[given.name](given)
    what, value = given.more
    sizes = [int(size) for size in value.split(",")]
    result = (tune(answer, prompts, sizes) if what == "tune" else timed(answer, prompts, sizes[0])) | facts
    if given.name == "flannb" and what != "tune":
        result["uncut"] = uncut(given, prompts)
    return result


def main(arguments: list[str] | None = None) -> None:
    """Runs one contender and writes what it measured as JSON."""
    parser = argparse.ArgumentParser()
    whole = {"checkpoint": checkpoint, "suites": suites}
    parser.add_argument("name", choices=[*whole, *CONTENDERS])
    parser.add_argument("source", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("questions", type=int)
    parser.add_argument("more", nargs=2)
    parser.add_argument("result", type=Path)
    given = parser.parse_args(arguments)
    what = whole.get(given.name, measured)
    given.result.write_text(json.dumps(absent(NEEDS.get(given.name, ())) or what(given)))


if __name__ == "__main__":
    main()
