"""Scales: how big a reproduction is."""

from dataclasses import dataclass, replace

from flannb.build import BuildOptions, Lengths
from flannb.errors import UserError
from flannb.mixture import BatchShape

PRETRAINED = "pretrained"
"""The start of rows that begin with the model that ``nox -s pretrain`` makes of the same source, scale and seed."""


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
        lengths: token limits of examples.
        rows_per_task: records of each task that are rendered.
        vocabulary_size: pieces of the tokenizer that the build trains.
        batch, steps, learning_rate, average, dtype, checkpoint_every: of training (``flannb.train.TrainOptions``).
        start: what rows start from: a checkpoint (see ``flannb.model.load_checkpoint``), ``PRETRAINED``, or empty for
            random weights.
        pretraining: how a model is pretrained at this scale; None where none is.
        eval_rows: rows of each suite and setting that are scored.
        prompt_limit: most tokens of an evaluation prompt.
        answer_limit, explanation_limit: most tokens generated.
        ranking: whether options are ranked by likelihood too, beside the generation that tables show.
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
    eval_rows: int
    prompt_limit: int
    answer_limit: int
    explanation_limit: int
    start: str = ""
    pretraining: Pretraining | None = None
    average: float = 0.0
    ranking: bool = True
    eval_batch: int = 64
    dtype: str = "float32"
    about: str = ""

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


SCALES: dict[str, Scale] = {
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
        about="minutes on two CPU cores, from random weights; shows that everything works, and the method's clearest "
        "effects",
    ),
    "micro": Scale(
        size="micro",
        lengths=Lengths(512, 128),
        rows_per_task=2000,
        vocabulary_size=16_000,
        batch=BatchShape(128, 512, 128),
        steps=3000,
        learning_rate=0.005,
        checkpoint_every=500,
        eval_rows=2000,
        prompt_limit=1024,
        answer_limit=32,
        explanation_limit=128,
        start=PRETRAINED,
        pretraining=Pretraining(Stage(6000, 0.01), Stage(2000, 0.005)),
        eval_batch=256,
        dtype="mixed_bfloat16",
        about="minutes a row on one large GPU, real data, from a model pretrained on its text",
    ),
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
    if name not in SCALES:
        raise UserError(f"--scale {name}: unknown; choose one of {', '.join(SCALES)}")
    return REAL_SMOKE if name == "smoke" and collection != "mini" else SCALES[name]
