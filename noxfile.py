"""The project's commands: `nox -l` lists them, `nox -s NAME -- OPTIONS` runs one.

All sessions share the environment that the session `environment` keeps at what the lock file pins. It is installed on
first use (about 3 GB) and again only after the lock file or `pyproject.toml` has changed.

FLANNB_ACCELERATOR chooses the lock file: `cpu` (the default), `cuda` or `tpu`.
"""

import hashlib
import os
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests"]

LOCKS = {"cpu": "requirements.lock", "cuda": "requirements-cuda.lock", "tpu": "requirements-tpu.lock"}

# The Python that runs nox where the locked packages have wheels for it; else one that nox finds or uv downloads.
PYTHON = None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "3.11"

# A session per row: its name, the command of `python -m flannb.experiments`, what `nox -l` says.
EXPERIMENTS = (
    ("reproduce_table1", "table1", "Reproduce Table 1 of the paper: data, training, evaluation, report."),
    ("reproduce_table2", "table2", "Reproduce Table 2: mixtures that leave one submixture out."),
    ("reproduce_table3", "table3", "Reproduce Table 3: T5 and Flan-T5 finetuned on single tasks."),
    ("reproduce_figure1", "figure1", "Reproduce Figure 1: public collections in every suite."),
    ("reproduce_figure2", "figure2", "Reproduce Figure 2: a timeline of public collections."),
    ("reproduce_figure3", "figure3", "Reproduce Figure 3: the share of few-shot data in training."),
    ("reproduce_figure4", "figure4", "Reproduce Figure 4: the number of tasks, for several model sizes."),
    ("reproduce_figure5", "figure5", "Reproduce Figure 5: the same as bars."),
    ("reproduce_figure6", "figure6", "Reproduce Figure 6: learning curves of single tasks."),
    ("reproduce_figure7", "figure7", "Reproduce Figure 7: permutations of question, answer, explanation."),
    ("reproduce_all", "all", "Reproduce every table and figure and the ledger; tells what changed."),
    ("claims", "claims", "Write the ledger of the paper's claims from the reports that there are."),
    ("site", "site", "Write reports/index.html, the page of all reports, from what lies in their folder."),
    ("status", "status", "Tell what is done, running, failed and missing, and the time left; --json."),
    ("finetune", "finetune", "Finetune a checkpoint on a task: --task NAME or --data FILE, --start DIR."),
    ("data", "data", "Build the collection; --list, --mixture, --export."),
    ("mirror", "mirror", "Copy what tasks need from the Hub to a folder: --to DIR."),
    ("contamination", "contamination", "Report which training rows hold text of evaluation rows."),
    ("pretrain", "pretrain", "Pretrain a starting model on the text of the data; report its held-out loss."),
    ("sweep", "sweep", "Compare sizes and learning rates by the loss of short runs on held-out records."),
    ("search_weights", "weights", "Beyond the paper: propose mixture weights by runs of many; compare."),
    ("train", "train", "Train the models of Table 1, or of --artefact and --rows."),
    ("evaluate", "evaluate", "Train and evaluate those models."),
    ("report", "report", "Write the tables, figures and pages of finished runs again."),
)


@nox.session(python=PYTHON, reuse_venv=True)
def environment(session: nox.Session) -> None:
    """Install what the lock file pins, and flannb itself, where all sessions find them."""
    accelerator = os.environ.get("FLANNB_ACCELERATOR", "cpu")
    if accelerator not in LOCKS:
        session.error(f"FLANNB_ACCELERATOR={accelerator}: unknown. Choose one of {', '.join(LOCKS)}")
    lock = Path(LOCKS[accelerator])
    # The folder counts because an editable install remembers it.
    state = b"\0".join([lock.read_bytes(), Path("pyproject.toml").read_bytes(), os.fsencode(Path.cwd())])
    wanted = hashlib.sha256(state).hexdigest()
    stamp = session.env_dir / "installed.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    session.log(f"Installing the packages of {lock}; the first time takes a few minutes.")
    if session.venv_backend == "uv":
        session.run_install("uv", "pip", "sync", str(lock))  # also removes what another lock file had brought
    else:
        session.install("-r", str(lock), silent=False)
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    # An install command like the others, so that `--no-install` leaves no stamp behind.
    write = f"import pathlib; pathlib.Path({str(stamp)!r}).write_text({wanted!r})"
    session.run_install("python", "-c", write, log=False)


def shared(session: nox.Session, module: str, *arguments: str) -> None:
    """Run `python -m MODULE ARGUMENTS` in the shared environment."""
    location = (session.cache_dir.parent / "environment").absolute()
    programs = location / ("Scripts" if os.name == "nt" else "bin")
    session.run(
        str(programs / "python"),
        "-m",
        module,
        *arguments,
        env={
            "VIRTUAL_ENV": str(location),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            # Some machines switch bytecode off; importing Keras and JAX then takes four times as long.
            "PYTHONDONTWRITEBYTECODE": None,
        },
        external=True,
    )


@nox.session(python=False, requires=["environment"])
def tests(session: nox.Session) -> None:
    """Run the test suite; options go to pytest."""
    side_by_side = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
    shared(session, "pytest", *side_by_side, *session.posargs)


@nox.session(python=False, requires=["environment"])
def lint(session: nox.Session) -> None:
    """Check formatting, style, types, and that notebooks hold no outputs."""
    shared(session, "ruff", "format", "--check", ".")
    shared(session, "ruff", "check", ".")
    shared(session, "mypy")
    shared(session, "nbstripout", "--verify", "--keep-id", *map(str, sorted(Path("notebooks").glob("*.ipynb"))))


@nox.session(python=False, requires=["environment"])
def bench(session: nox.Session) -> None:
    """Measure flannb beside others: `-- data`, `train`, `generate` or `evaluate`; `--json FILE` keeps figures."""
    shared(session, "flannb.bench", *(session.posargs or ["data"]))


@nox.session(python=False, requires=["environment"])
def trust(session: nox.Session) -> None:
    """Make things go wrong and count what is survived: `-- --areas kill,damage`; writes `reports/trust/`."""
    shared(session, "flannb.trust", *session.posargs)


@nox.session(python=False, requires=["environment"])
def share(session: nox.Session) -> None:
    """Write a run's model with a card, and send it or an exported dataset to the Hub: FOLDER, --push OWNER/NAME."""
    shared(session, "flannb.share", *session.posargs)


@nox.session(python=False, requires=["environment"])
def lab(session: nox.Session) -> None:
    """Open the notebooks in JupyterLab; options go to it, such as `-- --no-browser --port 8890`."""
    shared(session, "flannb.lab", *session.posargs)


@nox.session(venv_backend="uv", reuse_venv=True)
def lock(session: nox.Session) -> None:
    """Pin every dependency anew in the lock files; `-- --upgrade` takes newer versions."""
    for accelerator, path in LOCKS.items():
        extra = [] if accelerator == "cpu" else ["--extra", accelerator, "--constraint", LOCKS["cpu"]]
        session.run(
            *["uv", "pip", "compile", "pyproject.toml", "--output-file", path, *extra],
            *["--group", "test", "--group", "lint", "--group", "bench", "--group", "build"],
            # One file for all platforms, and one version of a package for all Pythons wherever one exists.
            *["--universal", "--python-version", "3.11", "--fork-strategy", "fewest"],
            *["--generate-hashes", "--no-annotate", "--quiet", "--custom-compile-command", "nox -s lock"],
            *session.posargs,
        )


def register(name: str, command: str, description: str) -> None:
    """Make a session that hands its options to a command of `python -m flannb.experiments`."""

    def experiment(session: nox.Session) -> None:
        shared(session, "flannb.experiments", command, *session.posargs)

    experiment.__doc__ = description
    nox.session(experiment, name=name, python=False, requires=["environment"])


for row in EXPERIMENTS:
    register(*row)
