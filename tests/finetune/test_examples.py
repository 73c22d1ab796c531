"""Training examples: the plain wording, tokenised and cut, and their endless stream."""

import numpy as np

from flannb.build import Lengths, Mini
from flannb.finetune.examples import Examples, example_stream
from flannb.finetune.splits import read_splits
from flannb.mixture import BatchShape
from flannb.vocabulary import EOS_ID


def test_an_example_is_the_prompt_and_its_answer(tasks, tokenizer):
    splits = read_splits(tasks["boolq"], Mini())
    examples = Examples(splits.train, tokenizer, Lengths(128, 48))
    assert len(examples) == 480 and examples.truncated == 0
    [pool] = splits.train
    for place, prompt in list(enumerate(pool.prompts()))[::97]:
        sides = examples[place]
        assert sides["encoder"].tolist() == [*tokenizer.encode([prompt.text()])[0], EOS_ID]
        assert sides["decoder"].tolist() == [*tokenizer.encode([prompt.gold])[0], EOS_ID]


def test_an_explanation_is_learned_where_rows_have_one(tokenizer):
    from dataclasses import replace

    from flannb.collection import FinetuningSet, FinetuningTask, Split, eval_tasks
    from flannb.collection.task import Column

    reads = next(task for task in eval_tasks("mini", ["cot"]) if task.name == "gsm8k")
    fields = {**reads.fields, "rationale": Column("rationale")}
    plain = replace(reads, fields={name: way for name, way in reads.fields.items() if name != "rationale"})
    where = [Split("mini/gsm8k", "default", split) for split in ("train", "validation", "test")]
    task = FinetuningTask("gsm8k", "GSM8K", (FinetuningSet(plain, *where, train_fields=fields),))
    splits = read_splits(task, Mini())
    [(_, target), *_] = splits.train[0].texts()
    record = splits.train[0].records.records[0]
    assert target == f"{record['rationale']} so the answer is {record['answer']}"
    assert "rationale" not in splits.test[0].records.records[0]
    assert splits.test[0].prompts()[0].text().endswith("explain step by step .")


def test_what_is_too_long_is_cut_and_counted(tasks, tokenizer):
    splits = read_splits(tasks["boolq"], Mini())
    examples = Examples(splits.train, tokenizer, Lengths(12, 48))
    assert examples.truncated == 480
    assert {len(examples[i]["encoder"]) for i in range(480)} == {12}
    assert examples[3]["encoder"][-1] == EOS_ID


def test_the_stream_holds_every_example_of_an_epoch(tasks, tokenizer):
    examples = Examples(read_splits(tasks["boolq"], Mini()).train, tokenizer, Lengths(128, 48))
    stream = iter(example_stream(examples, tokenizer).batches(BatchShape(8, 128, 48), 0, 0, 1))
    seen, wanted = 0, sum(len(examples[i]["encoder"]) for i in range(480))
    while seen < wanted:
        batch = next(stream)
        assert batch["encoder_token_ids"].shape == (8, 128)
        seen += int((batch["encoder_padding_mask"] > 0).sum())
    again = next(iter(example_stream(examples, tokenizer).batches(BatchShape(8, 128, 48), 0, 0, 1)))
    first = next(iter(example_stream(examples, tokenizer).batches(BatchShape(8, 128, 48), 0, 0, 1)))
    assert all(np.array_equal(again[name], first[name]) for name in first)
