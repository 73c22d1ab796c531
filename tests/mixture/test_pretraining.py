"""The data of pretraining: all of the text once an epoch, and examples that fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Mini, Tokenizer, workers
from flannb.build.corpus import build_corpus
from flannb.build.ragged import Ragged
from flannb.errors import UserError
from flannb.mixture import BatchShape
from flannb.mixture.pretraining import (
    OBJECTIVES,
    Windows,
    held_out_batches,
    held_out_examples,
    pretraining,
    pretraining_examples,
)
from flannb.vocabulary import EOS_ID


@pytest.fixture(scope="module")
def corpus(few_tasks, build, build_options, tmp_path_factory):
    with workers(1) as run:
        return build_corpus(
            Mini(), few_tasks, Tokenizer(build.tokenizer_path), build_options, tmp_path_factory.mktemp("c") / "c", run
        )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(2, 12), st.integers(0, 99))
def test_an_epoch_has_every_document_once_with_its_end_mark(lengths, length, seed):
    values = np.arange(2, 2 + sum(lengths))
    documents = Ragged.from_lengths(values.astype(np.uint16), np.array(lengths))
    total = sum(lengths) + len(lengths)
    if total < length:
        with pytest.raises(UserError, match="no window"):
            Windows(documents, length, seed)
        return
    windows = Windows(documents, length, seed)
    for epoch in (0, 1):
        count = total // length
        text = np.concatenate([windows[epoch * count + i] for i in range(count)])
        assert len(text) == count * length and text.dtype == np.int32
        parts = np.split(text, np.flatnonzero(text == EOS_ID) + 1)
        whole = [part[:-1].tolist() for part in parts[:-1]]
        expected = [values[a:b].tolist() for a, b in zip(documents.offsets, documents.offsets[1:], strict=False)]
        assert all(part in expected for part in whole) and len({tuple(part) for part in whole}) == len(whole)


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_examples_fit_and_are_a_function_of_the_seed(corpus, objective):
    examples = pretraining_examples(corpus, objective, 64, 32, seed=0)
    for number in (0, 1, 500):
        example = examples[number]
        assert len(example["encoder"]) <= 64 and len(example["decoder"]) <= 32
        assert example["encoder"][-1] == example["decoder"][-1] == EOS_ID
        again = pretraining_examples(corpus, objective, 64, 32, seed=0)[number]
        assert all(np.array_equal(again[name], example[name]) for name in example)
    other = pretraining_examples(corpus, objective, 64, 32, seed=1)[0]
    assert not np.array_equal(other["encoder"], examples[0]["encoder"])


def test_span_corruption_uses_the_tokenizers_sentinels(corpus):
    example = pretraining_examples(corpus, "span_corruption", 64, 32, seed=0)[0]
    assert example["decoder"][0] == corpus.first_sentinel
    assert corpus.first_sentinel in example["encoder"]


def test_an_unknown_objective_is_named(corpus):
    with pytest.raises(UserError, match="objective mlm: unknown; choose one of span_corruption, prefix_lm"):
        pretraining_examples(corpus, "mlm", 64, 32, seed=0)


SHAPE = BatchShape(4, 24, 12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_stream_has_the_corpus_s_vocabulary_and_the_same_rows_for_any_number_of_processes(corpus, objective):
    stream = pretraining(corpus, objective)
    assert stream.tokenizer.content == corpus.tokenizer_path.read_bytes()
    whole, first, second = (iter(stream.batches(SHAPE, 0, *who)) for who in ((0, 1), (0, 2), (1, 2)))
    for _ in range(3):
        batch, parts = next(whole), (next(first), next(second))
        for name, values in batch.items():
            assert np.array_equal(values, np.concatenate([part[name] for part in parts]))
        assert batch["targets"].shape == (4, 12) and batch["targets"].max() < stream.tokenizer.vocabulary_size


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_held_out_batches_hold_each_window_once(corpus, objective):
    batches = held_out_batches(corpus, objective, SHAPE)
    assert {batch["targets"].shape for batch in batches} == {(4, 12)}
    examples = held_out_examples(corpus, objective, SHAPE, 1000)
    found = [
        tuple(row[segments == number])
        for batch in batches
        for row, segments in zip(batch["targets"], batch["decoder_padding_mask"], strict=True)
        for number in range(1, segments.max() + 1)
    ]
    assert sorted(found) == sorted(tuple(example["decoder"]) for example in examples)


def test_held_out_batches_are_at_most_so_many(corpus):
    shape = BatchShape(1, 24, 12)
    assert len(held_out_batches(corpus, "span_corruption", shape)) > 1
    assert len(held_out_batches(corpus, "span_corruption", shape, most=1)) == 1


def test_training_never_reads_held_out_text(corpus):
    held_out, training = corpus.read("held_out"), corpus.read("training")
    parts = [
        {tuple(ids.values[a:b]) for a, b in zip(ids.offsets, ids.offsets[1:], strict=False)}
        for ids in (held_out, training)
    ]
    assert not parts[0] & parts[1]
