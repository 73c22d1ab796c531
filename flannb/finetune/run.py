"""Finetuning on one task: trained from a checkpoint, scored on validation rows as it learns, tested where it was best.

What comes of it, below one folder::

    finetuning.json        what was done: rows, notes, options; of each training its best step and scores
    start.parquet          the checkpoint's own answers to the test rows, as it is
    seed0/                 a training; there are three where training rows are few
        evaluation.csv     the learning curve: step, validation score in percent
        loss.csv           the loss of every step
        validation/        answers to the validation rows at every checkpoint
        best/<step>/       the model of the best validation score
        test.parquet       its answers to the test rows
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flannb.begun import begin
from flannb.build import Lengths, Source, Tokenizer
from flannb.collection import FinetuningTask
from flannb.collection.task import described
from flannb.errors import UserError
from flannb.evaluate import plain_wording
from flannb.evaluate.record import is_recorded
from flannb.files import checkpoint_digest, digest, write_json
from flannb.finetune.examples import Examples, example_stream
from flannb.finetune.result import RESULT, START, TEST, Finetuned
from flannb.finetune.splits import Splits, read_splits, size
from flannb.finetune.validation import Questions, Validation, step_of
from flannb.mixture import BatchShape

CHECKPOINTS = "checkpoints"

WORKING = (CHECKPOINTS, "model")
"""What a training leaves in its folder and nobody needs once it is tested."""

PAPER_BATCH = BatchShape(128, 512, 512)


@dataclass(frozen=True)
class FinetuneOptions:
    """How a model is finetuned; as in the paper's appendix A.2 unless said otherwise.

    Attributes:
        steps: optimizer steps.
        shape: packed batch; its lengths limit examples, prompts and answers too.
        learning_rate: constant; of Adafactor, relative to the size of each weight matrix.
        dropout: of states and of attention's weights.
        checkpoint_every: steps between checkpoints, at each of which the validation rows are scored.
        seed: fixes what is held out, the order of the data, and dropout; further trainings count up from it.
        most_rows: most rows of validation, and of the test; ``None`` for all, as in the paper.
        eval_batch: prompts at once.
        dtype, remat, model_parallel: see ``flannb.train.TrainOptions``.
    """

    steps: int = 100_000
    shape: BatchShape = PAPER_BATCH
    learning_rate: float = 1e-3
    dropout: float = 0.1
    checkpoint_every: int = 20
    seed: int = 0
    most_rows: int | None = None
    eval_batch: int = 64
    dtype: str = "float32"
    remat: str = "none"
    model_parallel: int = 1


def finetune(
    task: FinetuningTask,
    source: Source,
    start: str | Path,
    options: FinetuneOptions,
    folder: Path,
    vocabulary: str | Path = "",
    say: Callable[[str], object] = lambda line: None,
    quiet: bool = False,
) -> Finetuned:
    """Finetunes a checkpoint on a task; what is done already in ``folder`` is kept, and what was killed goes on.

    Answers to the test rows that are not as they were written are made again. So is a training of which anything is
    missing or not as it was written that it goes on from or that its result rests on.

    Args:
        source: has the task's data.
        start: the checkpoint (see ``flannb.model.load_checkpoint``).
        vocabulary: a SentencePiece model, for a checkpoint that has none.
        say: is told how it goes, a line at a time.
        quiet: no progress bars.

    Raises:
        UserError: the source lacks the data, or they are too few; no such checkpoint, or none with a vocabulary; what
            is in ``folder`` is of another finetuning; and as ``flannb.train.train``.
    """
    from flannb.model import load_checkpoint, open_checkpoint  # JAX and Keras, which plans do without
    from flannb.train import TrainOptions, train

    folder = Path(folder)
    if lacking := [str(data) for data in task.data if not source.has(data)]:
        raise UserError(f"{task.name}: {source.name} lacks {', '.join(lacking)}; name another --source")
    checkpoint = open_checkpoint(start)
    tokenizer = _tokenizer(checkpoint.name, vocabulary or checkpoint.tokenizer)
    splits = read_splits(task, source, options.seed, options.most_rows)
    examples = Examples(splits.train, tokenizer, Lengths(options.shape.input, options.shape.target))
    about = _about(task, source, str(start), splits, examples, tokenizer, options)
    begin(folder, "finetuning", about, "--to")
    for note in about["notes"]:
        say(note)

    def questions(pools: str) -> Questions:
        prompts = [prompt for pool in getattr(splits, pools) for prompt in pool.prompts()]
        limits = (options.shape.input, options.shape.target)
        return Questions(prompts, task.metric, tokenizer, *limits, options.eval_batch)

    validation, test = questions("validation"), questions("test")
    if not is_recorded(folder / START):
        test.ask(load_checkpoint(start, options.dtype), folder / START)
    say(f"{start}, as it is: {test.score(folder / START):.1f} ({task.metric}) on {len(test.prompts):,} test rows")
    trainings = []
    for seed in range(options.seed, options.seed + splits.repeats):
        home = folder / f"seed{seed}"
        judge = Validation(validation, tokenizer, home)
        if not _is_whole(judge, home, options):
            say(f"seed {seed}: something in {home} is missing or not as it was written; trained again from the start")
            shutil.rmtree(home)
            judge = Validation(validation, tokenizer, home)
        if not is_recorded(home / TEST):
            training = TrainOptions(
                steps=options.steps,
                shape=options.shape,
                learning_rate=options.learning_rate,
                seed=seed,
                dropout=options.dropout,
                dtype=options.dtype,
                remat=options.remat,
                model_parallel=options.model_parallel,
                start=start,
                checkpoint_every=options.checkpoint_every,
                log_every=options.checkpoint_every,
            )
            train(example_stream(examples, tokenizer), checkpoint.config, training, home, judge, quiet)
            judge.keep_best()
            test.ask(load_checkpoint(judge.model(judge.best()), options.dtype), home / TEST, step=judge.best())
            for name in WORKING:
                shutil.rmtree(home / name, ignore_errors=True)
        best = step_of(home / TEST)
        entry = {
            "seed": seed,
            "best_step": best,
            "model": str(judge.model(best).relative_to(folder)),
            "validation": judge.score(best),
            "test": test.score(home / TEST),
        }
        trainings.append(entry)
        say(
            f"seed {seed}: best after {entry['best_step']:,} of {options.steps:,} steps, validation"
            f" {entry['validation']:.1f}, test {entry['test']:.1f}"
        )
    result = {**about, "start_score": test.score(folder / START), "trainings": trainings}
    write_json(folder / RESULT, result)
    return Finetuned(folder, result)


def _tokenizer(name: str, vocabulary: str | Path | None) -> Tokenizer:
    if not vocabulary:
        raise UserError(f"{name}: has no vocabulary; name the model's SentencePiece file")
    if not Path(vocabulary).is_file():
        raise UserError(f"{vocabulary}: no such file; name a SentencePiece model")
    return Tokenizer(Path(vocabulary))


def _is_whole(judge: Validation, home: Path, options: FinetuneOptions) -> bool:
    """Whether what a training goes on from, or what the result of one that is done rests on, is as it was written."""
    done = is_recorded(home / TEST)
    last = options.steps if done else _last_saved(home)
    scored = [step for step in (*range(0, options.steps, options.checkpoint_every), options.steps) if step <= last]
    if not scored:  # it begins
        return True
    return judge.has_scores(scored) and judge.has_model(step_of(home / TEST) if done else judge.best(scored))


def _last_saved(home: Path) -> int:
    """The last step of a training that it can go on from; -1 where there is none."""
    return max((int(path.name) for path in (home / CHECKPOINTS).glob("*") if path.name.isdecimal()), default=-1)


def _about(
    task: FinetuningTask,
    source: Source,
    start: str,
    splits: Splits,
    examples: Examples,
    tokenizer: Tokenizer,
    options: FinetuneOptions,
) -> dict[str, Any]:
    """What a finetuning is, as its folder records it."""
    notes = list(splits.notes)
    if examples.truncated:
        notes.append(
            f"{examples.truncated:,} of {len(examples):,} training examples are longer than"
            f" {options.shape.input}/{options.shape.target} tokens and were cut."
        )
    rows = {name: size(getattr(splits, name)) for name in ("train", "validation", "test")}
    return {
        "task": task.name,
        "title": task.title,
        "held_out": task.held_out,
        "metric": task.metric,
        "source": source.name,
        "start": start,
        "data": {str(data): source.fingerprint(data) for data in task.data},
        "template": digest([described([part, plain_wording(part.reads)[0].template]) for part in task.sets]),
        "checkpoint": checkpoint_digest(start),
        "vocabulary": tokenizer.fingerprint,
        "rows": rows,
        "notes": notes,
        "options": asdict(options),
    }
