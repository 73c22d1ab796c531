"""A run as a model folder of Hugging Face: weights, tokenizer, and a card that says what it was made of."""

import math
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from flannb import __version__
from flannb.build import Tokenizer
from flannb.build.card import data_of, licence_fields, licence_section
from flannb.collection import MORE_SUITES, SUBMIXTURES, SUITES, Split
from flannb.collection.licences import licences
from flannb.errors import UserError
from flannb.files import write_json, write_text
from flannb.markdown import escaped, front_matter, table
from flannb.mixture import submixture_shares
from flannb.model import load_checkpoint, parameters, save_huggingface
from flannb.model.hub import HF, repository
from flannb.report.layout import SETTINGS
from flannb.report.limits import limits
from flannb.share.run import Run

CARD = "README.md"
MARK = "share.json"
"""The file that makes a folder an export, whole or broken off: the first that is written, as the card is the last."""

TASK = "text2text-generation"
"""What the Hub calls models that read a text and write another."""


def export_model(run: Run, folder: Path, title: str, dtype: str = "float32") -> Path:
    """Writes the model of a run, so that ``transformers`` loads it, and its card.

    The same run gives the same bytes. The card is written last: a folder without it was not finished.

    Args:
        folder: is made if need be; it is empty or holds an earlier export, which may have been broken off.
        title: of the card, such as ``OWNER/NAME``.
        dtype: of the weights, ``float32`` or ``bfloat16``.

    Returns:
        The path of the card.

    Raises:
        UserError: the folder holds something else or is the training's, a damaged run, or the folder cannot be written.
    """
    folder, card = Path(folder), Path(folder) / CARD
    if folder.resolve().is_relative_to(run.model.parent.resolve()):
        raise UserError(f"--to {folder}: is of the run's own training; choose another folder")
    if not (folder / MARK).is_file() and folder.is_dir() and any(map(_is_foreign, folder.iterdir())):
        raise UserError(f"--to {folder}: the folder is not empty and no export; choose another one, or delete it")
    model = load_checkpoint(run.model, dtype)
    write_json(folder / MARK, {"key": run.manifest["key"]})
    card.unlink(missing_ok=True)  # one beside other weights would tell of what is not there
    save_huggingface(model, folder, Tokenizer(run.build.tokenizer_path), dtype)
    write_text(card, model_card(run, title, parameters(model)))
    return card


def _is_foreign(path: Path) -> bool:
    """Whether a file is no export's: a kill as the first one is written leaves only that file's temporary one."""
    return not path.match(f".{MARK}.*.tmp")


def model_card(run: Run, title: str, weights: int) -> str:
    """The card of a run's model.

    Args:
        weights: how many parameters it has.
    """
    given, scale = run.parameters, run.scale
    found = licences(data_of(run.build, run.weights))
    sources = [each.dataset for each, _ in found if each.dataset in _on_the_hub(run)]
    start = str(given["start"])
    results = _results(run)
    data = ModelCardData(
        model_name=title if results else None,
        language="en",
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["t5", "flan", "instruction-tuning", "flannb"],
        base_model=repository(start)[0] if start.startswith(HF) else None,
        datasets=sources or None,
        eval_results=results or None,
    )
    shares = submixture_shares(run.weights)
    tokens = run.seen["tokens"].sum()
    lines = [
        (SUBMIXTURES[name].title, f"{share:.1%}", f"{len({s.task for s in run.weights if s.submixture == name}):,}")
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    ]
    mixture = "\n".join(table(["submixture", "share", "tasks"], lines, right=[1, 2]))
    batch, versions = scale.batch, run.manifest["versions"]
    return f"""{front_matter(data.to_dict() | licence_fields(each for each, _ in found))}
# {escaped(title)}

A T5 of {weights:,} parameters, trained on instructions of the Flan Collection
(Longpre et al. 2023, [arXiv 2301.13688](https://arxiv.org/abs/2301.13688)) with flannb {__version__}: the row
{escaped(run.name)} at the scale {escaped(given["scale"])}.

```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained("FOLDER"), AutoModelForSeq2SeqLM.from_pretrained("FOLDER")
inputs = tokenizer("Is the sky blue?\\nOptions:\\n- yes\\n- no", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=32)[0], skip_special_tokens=True))
```

## Data

- source: {escaped(run.build.source)}; build `{run.build.key}`, a hash of data, templates, code, limits and seed
- mixture: {escaped(given["mixture"])}{f", of {given['tasks_drawn']:,} tasks drawn" if given["tasks_drawn"] else ""}
- read in training: {tokens / 1e6:,.1f} million tokens of inputs and targets; of the task most repeated, each record
  {run.seen["epochs"].max():,.1f} times

{mixture}

## Training

- start: {escaped(start) or "random weights"}
- {scale.steps:,} steps of {batch.size} packed rows of {batch.input} input and {batch.target} target tokens
- Adafactor at a learning rate of {scale.learning_rate:g}; dropout {scale.dropout:g}; {scale.dtype}
- seed {given["seed"]}
- {escaped(", ".join(f"{name} {number}" for name, number in versions.items()))}

## Scores

{_scores(run)}

## What it cannot do

{chr(10).join(f"- {escaped(sentence)}" for sentence in limits(given["scale"], run.build.collection))}
- Nobody has tested what it says about people, or whether what it says is true. It repeats what its data say.

{licence_section(found)}
"""


def _on_the_hub(run: Run) -> set[str]:
    """The datasets that the Hub has under their names."""
    found = {data.repo_id for data in data_of(run.build, run.weights) if isinstance(data, Split)}
    return {name for name in found if "/" in name and not name.startswith("mini/")}


def _scores(run: Run) -> str:
    if run.scores.empty:
        return "It was not evaluated."
    lines = [
        (
            (SUITES | MORE_SUITES)[line.suite],
            SETTINGS[line.setting],
            line.mode,
            f"{line.score:.1f}",
            f"{line.low:.1f} to {line.high:.1f}",
            f"{line.n:,}",
            f"{line.tasks} of {line.of}",
            line.split,
        )
        for line in run.scores.itertuples()
        if not math.isnan(line.score)
    ]
    return (
        "Accuracy in percent, the mean over a suite's tasks, with a 95% bootstrap interval over tasks and rows.\n"
        "Another training seed would add to it.\n\n"
        + "\n".join(table(["suite", "setting", "answers by", "score", "interval", "rows", "tasks", "split"], lines))
    )


def _results(run: Run) -> list[EvalResult]:
    """The scores by generation, as the Hub shows them beside a model."""
    own = "mini/" if run.build.collection == "mini" else ""  # whose sets are called like the public ones
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=f"{own}{line['suite']}",
            dataset_name=f"{own}{(SUITES | MORE_SUITES)[line['suite']]}, {SETTINGS[line['setting']]}",
            dataset_config=str(line["setting"]),
            dataset_split=str(line["split"]),
            metric_type="accuracy",
            metric_value=round(float(line["score"]), 2),
        )
        for line in _records(run)
        if line["mode"] == "generation" and not math.isnan(line["score"])
    ]


def _records(run: Run) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = run.scores.to_dict("records")
    return records
