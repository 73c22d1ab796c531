"""Scales: how big a reproduction is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from flannb.build import BuildOptions, Lengths
from flannb.mixture import BatchShape
from flannb.names import check_name

PRETRAINED = "pretrained"
"""The start of rows that begin with the model that ``nox -s pretrain`` makes of the same source, scale and seed."""

TRAINING = ("size", "batch", "steps", "learning_rate", "average", "dropout", "dtype", "remat", "model_parallel")
"""Fields of ``Scale`` that a training depends on, beside its data."""

PRETRAINING = ("pretraining", "batch", "size", "dtype")
"""Those that pretraining depends on."""

EVALUATION = ("eval_rows", "prompt_limit", "answer_limit", "explanation_limit", "ranking", "eval_batch", "dtype")
"""Those that the predictions of a trained model depend on."""


@dataclass(frozen=True)
class Stage:
    """Training by one objective of pretraining: its optimizer steps, and the highest learning rate."""

    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Pretraining:
    """How a starting model is made: as T5 was, then as its LM adaptation was.

    Attributes:
        span_corruption, prefix_lm: the two stages, in this order.
        batch: instead of the scale's.
    """

    span_corruption: Stage
    prefix_lm: Stage
    batch: BatchShape | None = None


@dataclass(frozen=True)
class Scale:
    """Everything about the size of a reproduction.

    Attributes:
        size: a key of ``flannb.model.SIZES``.
        sizes: those that Figure 4 compares, the smallest first.
        lengths: token limits of examples.
        rows_per_task: records of each task that are rendered.
        vocabulary_size: pieces of the tokenizer that the build trains; a checkpoint to start from brings its own.
        batch, steps, learning_rate, average, dropout, dtype, remat, model_parallel, checkpoint_every: of training
            (``flannb.train.TrainOptions``).
        start: what rows start from: a checkpoint (see ``flannb.model.load_checkpoint``), ``PRETRAINED``, or empty for
            random weights.
        pretraining: how a model is pretrained at this scale; None where none is.
        eval_rows: rows of each suite and setting that are scored; None for all.
        prompt_limit: most tokens of an evaluation prompt.
        answer_limit, explanation_limit: most tokens generated.
        ranking: whether options are ranked by likelihood too, beside the generation that the paper scores.
        eval_batch: prompts at once.
        about: what to expect of it.
    """

    size: str
    lengths: Lengths
    rows_per_task: int
    vocabulary_size: int
    batch: BatchShape
    steps: int
    learning_rate: float
    checkpoint_every: int
    eval_rows: int | None
    prompt_limit: int
    answer_limit: int
    explanation_limit: int
    start: str = ""
    pretraining: Pretraining | None = None
    average: float = 0.0
    dropout: float = 0.0
    remat: str = "none"
    model_parallel: int = 1
    ranking: bool = True
    eval_batch: int = 64
    dtype: str = "float32"
    sizes: tuple[str, ...] = ()
    about: str = ""

    @property
    def positions(self) -> int:
        """How many token positions a training goes through, padding included."""
        return self.steps * self.batch.size * (self.batch.input + self.batch.target)

    def settings(self, names: Sequence[str]) -> dict[str, Any]:
        """Some fields by their names, as JSON."""
        fields = asdict(self)
        return {name: fields[name] for name in names}

    def build_options(self, seed: int, drop_contaminated: bool = False, tokenizer: str = "") -> BuildOptions:
        """The build that this scale reads, with a tokenizer of its own unless one is given."""
        return BuildOptions(
            self.lengths,
            self.rows_per_task,
            self.vocabulary_size,
            seed,
            tokenizer=tokenizer,
            drop_contaminated=drop_contaminated,
        )


def _paper(size: str, steps: int, eval_batch: int, devices: str, **memory: Any) -> Scale:
    """Flan-T5 of a size as Chung et al. trained it (arXiv 2210.11416, Table 22): packed sequences of 2,048 and 512
    tokens, 64 at a time, Adafactor at a constant 5e-4, dropout 0.05, from T5 1.1 LM-adapted (Lester et al. 2021).

    Rows of a task are cut at the cap of Flan 2021, the largest but those of Chain-of-Thought, whose files are smaller,
    and of Dialog. All evaluation rows are scored.

    Args:
        devices: on what a step fits (``--dry-run`` estimates it), though more of them are faster.
        memory: ``remat`` and ``model_parallel``.
    """
    return Scale(
        size=size,
        lengths=Lengths(2048, 512),
        rows_per_task=30_000,
        vocabulary_size=32_000,
        batch=BatchShape(64, 2048, 512),
        steps=steps,
        learning_rate=5e-4,
        checkpoint_every=1000,
        eval_rows=None,
        prompt_limit=2048,
        answer_limit=64,
        explanation_limit=256,
        start=f"hf://google/t5-{size}-lm-adapt",
        dropout=0.05,
        eval_batch=eval_batch,
        dtype="mixed_bfloat16",
        about=f"as the paper: {steps:,} steps from T5 1.1 LM-adapted, real data; {devices}",
        **memory,
    )


SCALES: dict[str, Scale] = {
    "tiny": Scale(
        size="smoke",
        lengths=Lengths(80, 32),
        rows_per_task=16,
        vocabulary_size=400,
        batch=BatchShape(2, 128, 32),
        steps=8,
        learning_rate=0.02,
        checkpoint_every=2,
        eval_rows=16,
        prompt_limit=144,
        answer_limit=4,
        explanation_limit=6,
        pretraining=Pretraining(Stage(8, 0.02), Stage(4, 0.01)),
        ranking=False,
        eval_batch=32,
        about="seconds; nothing is learnt, but every stage runs, as tests of flannb or of a new machine need it",
    ),
    "smoke": Scale(
        size="smoke",
        lengths=Lengths(80, 32),
        rows_per_task=400,
        vocabulary_size=1000,
        batch=BatchShape(8, 128, 32),
        steps=2400,
        learning_rate=0.02,
        average=0.998,
        checkpoint_every=800,
        eval_rows=336,
        prompt_limit=144,
        answer_limit=10,
        explanation_limit=32,
        pretraining=Pretraining(Stage(1200, 0.02), Stage(500, 0.01)),
        ranking=False,
        sizes=("smoke-quarter", "smoke-half", "smoke"),
        about="minutes on two CPU cores, from random weights; shows that everything works, and the method's clearest "
        "effects",
    ),
    "micro": Scale(
        size="micro",
        lengths=Lengths(512, 128),
        rows_per_task=2000,
        vocabulary_size=16_000,
        batch=BatchShape(64, 1024, 128),
        steps=600,
        learning_rate=0.01,
        checkpoint_every=200,
        eval_rows=600,
        prompt_limit=1024,
        answer_limit=32,
        explanation_limit=128,
        start=PRETRAINED,
        pretraining=Pretraining(Stage(3500, 0.01), Stage(1200, 0.005), BatchShape(128, 512, 128)),
        average=0.995,
        eval_batch=256,
        dtype="mixed_bfloat16",
        sizes=("micro-quarter", "micro-half", "micro"),
        about="minutes a row on one large GPU, real data, from a model pretrained on its text",
    ),
    "small": _paper("small", 98_000, 256, "one GPU of 80 GB"),
    "base": _paper("base", 84_000, 256, "one GPU of 80 GB", remat="dots"),
    "large": _paper("large", 64_000, 128, "one GPU of 80 GB", remat="full"),
    "xl": _paper("xl", 38_000, 64, "one GPU of 80 GB", remat="full"),
    "xxl": _paper("xxl", 14_000, 32, "eight GPUs of 80 GB, four to a copy", remat="full", model_parallel=4),
}


# Real text is longer and richer than mini's: what smoke becomes on the collection of the paper.
REAL_SMOKE = replace(
    SCALES["smoke"],
    lengths=Lengths(256, 64),
    rows_per_task=50,
    vocabulary_size=4000,
    batch=BatchShape(4, 256, 64),
    steps=900,
    learning_rate=0.02,
    average=0.98,
    checkpoint_every=300,
    eval_rows=171,
    prompt_limit=384,
    pretraining=Pretraining(Stage(900, 0.02), Stage(300, 0.01)),
)


def scale(name: str, collection: str) -> Scale:
    """A scale by its name, as it is for a collection.

    Args:
        name: a key of ``SCALES``.
        collection: ``mini`` or ``flan2022`` (see ``flannb.build.Source``).

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    check_name("--scale", name, SCALES)
    return REAL_SMOKE if name == "smoke" and collection != "mini" else SCALES[name]
