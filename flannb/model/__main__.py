"""The command line: ``python -m flannb.model convert FROM TO`` writes a checkpoint in another layout."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from flannb import progress
from flannb.build.tokenizer import Tokenizer
from flannb.errors import UserError
from flannb.model.checkpoint import open_checkpoint
from flannb.model.huggingface import save_huggingface
from flannb.model.kerashub import save_kerashub
from flannb.model.t5 import T5, parameters
from flannb.model.vocabulary import as_tokenizer
from flannb.model.weights import save_model
from flannb.progress import Bar
from flannb.terminal import run_command

LAYOUTS: dict[str, Callable[[T5, Path, Tokenizer | None], object]] = {
    "huggingface": save_huggingface,
    "flannb": save_model,
    "kerashub": save_kerashub,
}


def parser() -> argparse.ArgumentParser:
    """The options, with their help."""
    made = argparse.ArgumentParser(prog="python -m flannb.model", description="Checkpoints of T5.")
    commands = made.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert", help="write a checkpoint in another layout")
    convert.add_argument(
        "source",
        metavar="FROM",
        help="a folder of flannb, Hugging Face (safetensors) or KerasHub; hf://owner/name[@revision]; or "
        "kaggle://owner/model/keras/variant",
    )
    convert.add_argument("target", metavar="TO", type=Path, help="the folder to write")
    convert.add_argument("--to", choices=LAYOUTS, default="huggingface", help="layout of the new folder (%(default)s)")
    convert.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (float32)")
    convert.add_argument("--tokenizer", metavar="FILE", help="a SentencePiece model, where FROM has none")
    progress.add_options(convert)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Converts; returns the exit code: 0, or 2 for what the user can mend."""
    return run_command(parser().parse_args(arguments), _convert)


def _convert(given: argparse.Namespace) -> None:
    checkpoint = open_checkpoint(given.source)
    if given.target.resolve() == checkpoint.folder.resolve():
        raise UserError(f"{given.target}: is the checkpoint itself; name another folder to write")
    tokenizer = as_tokenizer(given.tokenizer or checkpoint.tokenizer)
    with Bar(desc="reading", unit="B", unit_scale=True) as bar:
        model = checkpoint.load(given.dtype, bar.update)
    LAYOUTS[given.to](model, given.target, tokenizer)
    beside = "its tokenizer" if tokenizer else "no tokenizer (name one with --tokenizer)"
    print(f"{given.target}: {parameters(model):,} weights as {given.dtype}, and {beside}")


if __name__ == "__main__":
    sys.exit(main())
