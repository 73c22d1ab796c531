"""How the data are made: sources, rendering, tokenizing, shards."""

from flannb.build.data import build_data, missing_tasks
from flannb.build.drawing import EXEMPLAR_COUNTS
from flannb.build.examples import Lengths, make_examples
from flannb.build.holdout import Holdout, part_of, token_columns
from flannb.build.index import Build, open_build
from flannb.build.inversion import (
    INVERTED_SHARE,
    PERMUTATIONS,
    Permutation,
    invert,
    permutation_templates,
    with_inversions,
)
from flannb.build.options import LETTERED, STYLES, OptionStyle
from flannb.build.parts import BuildOptions
from flannb.build.records import Records, first_records, read_records
from flannb.build.render import Piece, instruction, render, texts_of, wordings
from flannb.build.shards import Shard, TokenColumns, read_shard
from flannb.build.sources import Hub, Mini, Mirror, Source, open_source
from flannb.build.tokenizer import Texts, Tokenizer, open_tokenizer, train_tokenizer
from flannb.build.workers import asked_for, default_workers, workers

__all__ = [
    "EXEMPLAR_COUNTS",
    "INVERTED_SHARE",
    "LETTERED",
    "PERMUTATIONS",
    "STYLES",
    "Build",
    "BuildOptions",
    "Holdout",
    "Hub",
    "Lengths",
    "Mini",
    "Mirror",
    "OptionStyle",
    "Permutation",
    "Piece",
    "Records",
    "Shard",
    "Source",
    "Texts",
    "TokenColumns",
    "Tokenizer",
    "asked_for",
    "build_data",
    "default_workers",
    "first_records",
    "instruction",
    "invert",
    "make_examples",
    "missing_tasks",
    "open_build",
    "open_source",
    "open_tokenizer",
    "part_of",
    "permutation_templates",
    "read_records",
    "read_shard",
    "render",
    "texts_of",
    "token_columns",
    "train_tokenizer",
    "with_inversions",
    "wordings",
    "workers",
]
