"""The command line: ``python -m flannb.share RUN --to DIR --push OWNER/NAME`` writes a run's model and shares it."""

import argparse
import sys
from pathlib import Path

from flannb import extra, progress
from flannb.errors import UserError, printable
from flannb.experiments import enter_project
from flannb.experiments.reproduce import from_project
from flannb.share.hub import check_repository, plan_upload, upload
from flannb.share.model import export_model
from flannb.share.run import read_run
from flannb.terminal import run_command


def parser() -> argparse.ArgumentParser:
    """The options, with their help."""
    made = argparse.ArgumentParser(
        prog="python -m flannb.share",
        description="Writes the model of a run as a folder that transformers loads, with a card, and sends it, or an"
        " exported dataset, to the Hugging Face Hub.",
    )
    made.add_argument(
        "folder", help="of a row (runs/smoke/mini-0/flan2022), of an exported model, or of `nox -s data -- --export`"
    )
    made.add_argument("--to", metavar="DIR", help="where a row's model goes (default: share in the row's folder)")
    made.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (float32)")
    made.add_argument("--push", default="", metavar="OWNER/NAME", help="send it to this repository of the Hub")
    made.add_argument("--public", action="store_true", help="a repository that is made is public (default: private)")
    made.add_argument("--dry-run", action="store_true", help="list what --push would send and where to; asks nobody")
    extra.add_option(made, "the Python files that the run was made with")
    progress.add_options(made)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Exports, and pushes where that is asked for; returns the exit code: 0, or 2 for what the user can mend."""
    return run_command(parser().parse_args(arguments), _run)


def _run(given: argparse.Namespace) -> None:
    if given.dry_run and not given.push:
        raise UserError("--dry-run: says what --push OWNER/NAME would send; name a repository")
    if given.public and not given.push:
        raise UserError("--public: needs --push")
    if given.push:
        check_repository(given.push)  # before a model is exported
    extra.as_asked(given)
    folder = Path(from_project(given.folder))
    to = Path(from_project(given.to)) if given.to else folder / "share"
    enter_project()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if (folder / "train").is_dir():
        card = export_model(read_run(folder), to, given.push or folder.name, given.dtype)
        print(f"{to}: a model that transformers loads; {card} describes it")
        folder = to
    elif given.to:
        raise UserError(f"--to: {folder} is no row's folder, so there is nothing to export")
    elif not given.push:
        raise UserError(f"{folder}: no row's folder; name --push OWNER/NAME to send it as it is")
    if not given.push:
        return
    planned = plan_upload(folder, given.push)
    if given.dry_run:
        kind = "public" if given.public else "private"
        print(f"{planned.address} (a {planned.kind}; {kind} if it is made now) would get {len(planned.files)} files:")
        for name, size in planned.files:
            print(printable(f"{size:>14,}  {name}  ->  {planned.place(name)}"))
        print(f"{sum(size for _, size in planned.files):>14,}  bytes in all")
        return
    print(f"sent: {upload(planned, private=not given.public)}")


if __name__ == "__main__":
    sys.exit(main())
