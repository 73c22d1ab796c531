"""The steps of pretraining as plain functions of plain values: a model by an objective, and the report on both.

T5 was pretrained by span corruption (Raffel et al. 2020, arXiv 1910.10683), and its LM-adapted form, from which Flan-T5
starts, trained on by prefix language modelling (Lester et al. 2021, arXiv 2104.08691). Here both read the training rows
of the collection as running text (``flannb.build.corpus``), from which evaluation rows are kept away.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flannb.build import Tokenizer, asked_for, open_source, workers
from flannb.build.corpus import Corpus, build_corpus
from flannb.errors import UserError
from flannb.experiments.scales import Pretraining, Scale
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.steps import available, begin_training, built
from flannb.files import read_json, write_json
from flannb.mixture import BatchShape, entropy
from flannb.mixture.pretraining import OBJECTIVES, held_out_batches, held_out_examples, pretraining
from flannb.vocabulary import EOS_ID, PAD_ID

FINDINGS = "findings.json"
SAMPLES = 6
"""Held-out examples that the report shows the model's answers to."""

RISE = 20
"""The learning rate rises over one in so many steps, then falls to zero in a straight line, which leaves weights that
need no average. Over 500 steps on mini it ends at 2.80 nats, a constant rate as high at 2.78, or at 2.72 with a running
average of 0.98; longer runs are not measured yet.
"""

MEASUREMENTS = 4
"""Times that the held-out loss of a stage is measured after its start."""


def pretrain_step(
    folder: str,
    objective: str,
    data: str,
    source: str,
    scale: str,
    seed: int,
    allow_missing: bool,
    store: str,
    size: str = "",
    start: str = "",
    quiet: bool = False,
) -> Path:
    """Trains a model by an objective of pretraining on the text of a source; returns the model's folder.

    The held-out loss of both objectives is measured before and after each quarter of the way.

    Args:
        folder: gets what ``flannb.train.train`` writes, and ``findings.json``: what the corpus holds, what a model
            reaches that knows how often tokens occur, and answers to held-out examples.
        objective: one of ``flannb.mixture.pretraining.OBJECTIVES``.
        data: folder of ``build_step``, whose tokenizer makes the ids.
        store: corpora lie here, named by what they were made from, so that both objectives share one.
        size: a key of ``flannb.model.SIZES``; the scale's where it is empty.
        start: checkpoint that it starts from; random weights where it is empty.

    Raises:
        UserError: the scale does not pretrain; or as ``build_corpus``, ``flannb.begun.begin`` and ``train``.
    """
    import jax

    from flannb.model import SIZES
    from flannb.train import HeldOut, TrainOptions, train

    chosen = scale_of(scale, open_source(source).collection)
    settings = pretraining_of(chosen, scale)
    stage = getattr(settings, objective)
    shape = settings.batch or chosen.batch
    corpus = _corpus(source, chosen, data, seed, allow_missing, store, quiet)
    batches = {name: held_out_batches(corpus, name, shape) for name in OBJECTIVES}
    losses = HeldOut(batches)
    options = TrainOptions(
        steps=stage.steps,
        shape=shape,
        learning_rate=stage.learning_rate,
        schedule="linear",
        warmup=stage.steps // RISE,
        seed=seed,
        checkpoint_every=-(-stage.steps // MEASUREMENTS),
        dtype=chosen.dtype,
        start=start or None,
    )
    config = SIZES[size or chosen.size]
    begin_training(folder, "pretraining", options, config, {"objective": objective, "data": corpus.home.name})
    model = train(
        pretraining(corpus, objective),
        config,
        options,
        Path(folder),
        lambda step, model: losses(model),
        quiet,
    )
    if jax.process_index() == 0:
        findings = {
            "corpus": {
                "documents": corpus.documents,
                "tokens": corpus.tokens,
                "contaminated": corpus.contaminated,
            },
            "held_out": {name: _target_counts(some) for name, some in batches.items()},
            "samples": _samples(model, corpus, objective, shape, chosen.dtype),
        }
        write_json(Path(folder) / FINDINGS, findings)
    return model


def read_findings(folder: str) -> dict[str, Any]:
    """The ``findings.json`` of ``pretrain_step``.

    Raises:
        UserError: it is missing or damaged.
    """
    return dict(read_json(Path(folder) / FINDINGS))


def pretraining_of(chosen: Scale, name: str) -> Pretraining:
    """How a scale pretrains.

    Raises:
        UserError: it does not.
    """
    if chosen.pretraining is None:
        raise UserError(
            f"--scale {name}: does not pretrain; its rows start from {chosen.start or 'random weights'}. Choose another"
            " scale, or another --start."
        )
    return chosen.pretraining


def _corpus(source: str, chosen: Scale, data: str, seed: int, allow_missing: bool, store: str, quiet: bool) -> Corpus:
    """The text of the rows that a build is of."""
    from flannb.progress import Bar

    opened = open_source(source)
    training, _ = available(opened, allow_missing)
    count, cluster = asked_for()
    with (
        Bar(total=len(training), desc="reading text", unit="task", disable=quiet) as bar,
        workers(count or 1, cluster) as run,
    ):
        tokenizer = Tokenizer(built(data).tokenizer_path)
        return build_corpus(opened, training, tokenizer, chosen.build_options(seed), Path(store), run, bar.reach)


def pretrain_report_step(folder: str, stages: Mapping[str, str], source: str, scale: str, seed: int) -> list[Path]:
    """Writes the report on pretraining.

    Args:
        folder: of the report.
        stages: objective -> folder of ``pretrain_step``, in the order of training.
    """
    from flannb.report import Pretrained, write_pretraining
    from flannb.train import EVALUATION_CSV, LOSS_CSV

    left = {
        objective: Pretrained(
            pd.read_csv(Path(home) / LOSS_CSV), pd.read_csv(Path(home) / EVALUATION_CSV), read_findings(home)
        )
        for objective, home in stages.items()
    }
    return write_pretraining(Path(folder), left, scale, open_source(source).name, seed)


def _target_counts(batches: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """The number of target tokens, and the entropy in nats of how often each occurs.

    No model that knows nothing but frequencies has a lower loss on these targets.
    """
    targets = np.concatenate([batch["targets"].ravel() for batch in batches])
    counts = np.bincount(targets[targets != PAD_ID])
    return {"tokens": int(counts.sum()), "unigram_entropy": entropy(counts)}


def _samples(model: Path, corpus: Corpus, objective: str, shape: BatchShape, dtype: str) -> list[dict[str, str]]:
    """Held-out inputs, their targets, and what the model writes, greedily."""
    import keras

    from flannb.model import generate, load_checkpoint

    keras.distribution.set_distribution(None)  # the training may have left one over several processes
    examples = held_out_examples(corpus, objective, shape, SAMPLES)
    inputs = [example["encoder"].tolist() for example in examples]
    written = generate(load_checkpoint(model, dtype), inputs, max_length=shape.target, batch_size=SAMPLES)
    tokenizer = Tokenizer(corpus.tokenizer_path)
    return [
        {
            "input": spelled(tokenizer, given),
            "target": spelled(tokenizer, example["decoder"].tolist()),
            "written": spelled(tokenizer, ids),
        }
        for given, example, ids in zip(inputs, examples, written, strict=True)
    ]


def spelled(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Text of ids, the first sentinel as ``<0>``, the second as ``<1>``, and the end marks of documents as ``</s>``."""
    parts: list[str] = []
    run: list[int] = []
    for token in [*ids, None]:
        if token is not None and token < tokenizer.piece_count and token != EOS_ID:
            run.append(token)
            continue
        parts += [text for text in tokenizer.decode([run]) if text]
        run = []
        if token is not None:
            parts.append("</s>" if token == EOS_ID else f"<{tokenizer.first_sentinel - token}>")
    return re.sub(r"( ?</s>)+$", "", " ".join(parts))
