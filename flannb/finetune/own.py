"""A task of one's own: rows in a Parquet, CSV, TSV or JSON lines file, and a template in YAML.

A template says in words what the model reads and writes. Names in braces are columns of the file::

    input: |-
      Review: {text}
      Is it positive or negative?
      {options}
    target: "{label}"
    options: [negative, positive]

``options``, which can be left out, lists the possible answers, or names a column that holds a list of them in each row;
``{options}`` alone on a line of the input shows them. The answer is the last column of the target. With options, its
values are their texts, or their places, counted from 0.
"""

import csv
import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flannb.build.rows import BATCH_ROWS, Files, present
from flannb.collection import Data, EvalTask, Field, FinetuningSet, FinetuningTask, RowError, Split, TemplateSet
from flannb.collection.task import Column, Constant, Optional, Options
from flannb.collection.template import parse, read_template, read_yaml
from flannb.errors import UserError
from flannb.evaluate import METRICS
from flannb.evaluate.metrics import as_number
from flannb.files import sha256
from flannb.names import check_name

SPLITS = ("train", "validation", "test")
KEYS = ("input", "target", "options")
ANSWERS = {"accuracy": "text", "squad_f1": "text", "spearman": "number"}
"""Metric -> how an answer without options is read; the other metrics need options."""

FREE = ("squad_f1", "spearman")
"""Metrics of answers in words or numbers of their own: by the words that two options share, or by their rank, an option
would be partly right."""


def own_task(files: Mapping[str, Path], template: Path, metric: str = "accuracy") -> tuple[FinetuningTask, "OwnData"]:
    """A task of one's own, and the source of its rows.

    Args:
        files: split (``train``, ``validation``, ``test``) -> its file. Without the latter two, rows are held out (see
            ``flannb.finetune.splits``).
        template: a YAML file as above.
        metric: a key of ``flannb.evaluate.METRICS``.

    Raises:
        UserError: an unknown metric, a file that is missing, empty or unreadable, a template that is not as above, or
            one that does not go with the metric. The message names file, line and key.
    """
    check_name("--metric", metric, METRICS)
    source = OwnData(dict(files))
    content = read_yaml(template)
    if not isinstance(content, dict) or not {"input", "target"} <= set(content) <= set(KEYS):
        raise UserError(f"{template}: needs the keys input and target, may have options, and no others")
    wording = read_template(
        str(template), "zero_shot", {key: content[key] for key in KEYS if key != "options" and key in content}
    )
    asked, written = (_names(text) for text in (wording.input, wording.target))
    fields: dict[str, Field] = {name: Column(name) for name in (*asked, *written) if name not in ("options", "letter")}
    if "options" in content:
        fields["options"] = _options(template, content["options"])
    elif {"options", "letter"} & {*asked, *written}:
        raise UserError(f"{template}: shows options, but its key options does not say what they are; write them there")
    elif metric not in ANSWERS:
        raise UserError(f"{template}: --metric {metric} needs options; write them under the key options")
    if metric in FREE and "options" in content:
        raise UserError(f"{template}: --metric {metric} is of answers without options; choose another metric")
    named = [name for name in written if name != "letter"]
    if not named:
        raise UserError(f"{template}: the target names no column that holds the answer")
    options = fields.get("options")
    fields["answer"] = fields[named[-1]] = _Chosen(named[-1], options) if options else Column(named[-1])
    if metric == "auc_roc" and not (isinstance(options, Constant) and len(options.value) == 2):
        raise UserError(f"{template}: --metric auc_roc needs a list of two options")
    name = "".join(c if c.isalnum() else "_" for c in Path(files["train"]).stem)
    reads = EvalTask(
        name=name,
        suite="single_task",
        data=Split("own", "default", "train"),
        fields=fields,
        templates=name,
        answer="option" if options else ANSWERS[metric],
        chain_of_thought=len(named) > 1,
        metric=metric,
        wordings=TemplateSet(name, (wording,), (wording,)),
    )
    validation, test = (Split("own", "default", split) if split in files else None for split in SPLITS[1:])
    part = FinetuningSet(reads, Split("own", "default", "train"), validation, test)
    texts = (*(column.name for column in fields.values() if isinstance(column, Column)), named[-1])
    lists = options.name if isinstance(options, Options) else ""
    numbers = named[-1] if metric == "spearman" else ""
    return FinetuningTask(name, name, (part,), held_out=True), replace(
        source, texts=texts, lists=lists, numbers=numbers
    )


def _names(text: str) -> list[str]:
    return [name for _, name in parse(text) if name is not None]


def _options(template: Path, value: Any) -> Field:
    if isinstance(value, str) and value:
        return Options(value)
    if isinstance(value, list):
        texts = [str(option) for option in value if isinstance(option, (str, int, float)) and str(option).strip()]
        if len(set(texts)) == len(value) > 1:
            return Constant(tuple(texts))
    raise UserError(f"{template}: options must be a list of two or more texts, or the name of a column of lists")


@dataclass(frozen=True)
class _Chosen:
    """The option that a column names, by its text or by its place from 0."""

    name: str
    options: Field

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the options, if they are in each row, and then the answer's."""
        return (*self.options.columns, self.name)

    def __call__(self, *values: Any) -> str:
        options, value = self.options(*values[:-1]), Optional(self.name)(values[-1])
        if value in options:
            return value
        # pandas writes integers with gaps as 1.0
        place = str(int(values[-1])) if isinstance(values[-1], bool) else re.sub(r"(?<=\d)\.0+$", "", value)
        if place in options:
            return place
        if not place.isdecimal() or int(place) >= len(options):
            why = f"{self.name} {shortened(value)} names no option of {shortened(list(options))}"
            raise RowError(why if value else f"empty {self.name}")
        return str(options[int(place)])


@dataclass(frozen=True)
class OwnData:
    """A source of one's own files; see ``flannb.build.Source``.

    Attributes:
        files: split -> its file.
        texts: the columns that must hold texts, or what is written as one.
        lists: the column that must hold lists of texts, if there is one.
        numbers: the column that must hold numbers, if there is one.
    """

    files: Mapping[str, Path]
    collection: str = "own"
    texts: tuple[str, ...] = ()
    lists: str = ""
    numbers: str = ""

    def __post_init__(self) -> None:
        for path in self.files.values():
            if not Path(path).is_file():
                raise UserError(f"{path}: no such file; correct the path")
            if Path(path).suffix.lower() not in READERS:
                raise UserError(f"{path}: not one of {', '.join(READERS)}")

    @property
    def name(self) -> str:
        """The name of the training rows' file, by which reports call the source."""
        return self.files["train"].name

    def file(self, data: Data) -> Path:
        """The file of a split."""
        assert isinstance(data, Split)
        return Path(self.files[data.split])

    def has(self, data: Data) -> bool:
        """Whether a file was given for the split."""
        return isinstance(data, Split) and data.split in self.files

    def promises(self, data: Data | str, optional: bool = False) -> bool:
        """Always true: what is asked for and not given is an error."""
        return True

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        """These columns of a split's file, whole.

        Raises:
            UserError: the file cannot be read, has no rows, lacks a column, or has one that does not hold what it must.
        """
        path = self.file(data)
        try:
            table = READERS[path.suffix.lower()](path)
            if not table.num_rows:
                raise UserError(f"{path}: has no rows; give some")
            chosen = table.select(present(columns, table.column_names, str(path)))
            self._check(path, table)
        except (pa.ArrowException, OSError, ValueError, OverflowError, csv.Error) as error:
            raise UserError(f"{path}: cannot be read ({error}). Write it again.") from error
        return chosen

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        """The one file of a split, in batches of rows. Raises as ``read``."""
        yield str(self.file(data)), self.read(data, columns).to_reader(BATCH_ROWS)

    def fingerprint(self, data: Data) -> str:
        """The SHA-256 of the split's file."""
        return sha256(self.file(data))

    def _check(self, path: Path, table: pa.Table) -> None:
        for name in self.texts:
            row = 1 + pc.index(table[name].is_valid(), True).as_py()  # 0 where all are null
            if row and pa.types.is_nested(table[name].type):
                raise UserError(f"{path}: column '{name}' holds {table[name].type}, not text (row {row})")
        if self.lists:
            name, *inner = self.lists.split(".")
            kind = (pc.struct_field(table[name], inner) if inner else table[name]).type
            if not (pa.types.is_null(kind) or (_is_list(kind) and not pa.types.is_nested(kind.value_type))):
                held = "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else kind
                raise UserError(
                    f"{path}: column '{self.lists}' holds {held}, not lists{' of texts' * _is_list(kind)}; use Parquet"
                    " or JSON lines"
                )
        for row, value in enumerate(table[self.numbers].to_pylist() if self.numbers else (), start=1):
            text = Optional(self.numbers)(value)
            if text and not math.isfinite(as_number(text)):
                raise UserError(
                    f"{path}: column '{self.numbers}' holds {shortened(text)}, no number (row {row}); --metric spearman"
                    " needs numbers"
                )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError("two columns have the same name")


def _parquet(path: Path) -> pa.Table:
    _check_names(pq.read_schema(path).names)
    return pq.read_table(path)


def _separated(delimiter: str) -> Callable[[Path], pa.Table]:
    def read(path: Path) -> pa.Table:
        """All cells are text: what looks like a number may be a label."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, strict=True)
            names = next(lines, [])
            rows = []
            for row in lines:
                if row and len(row) != len(names):
                    raise ValueError(f"line {lines.line_num} has {len(row)} cells, the header {len(names)}")
                rows += [row] if row else []
        _check_names(names)
        return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})

    return read


def _json_lines(path: Path) -> pa.Table:
    rows, numbers = [], []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object")
            rows.append(row)
            numbers.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column(name, [row.get(name) for row in rows], numbers) for name in names})


def _column(name: str, values: list[Any], lines: list[int]) -> pa.Array:
    """The values of a column. Raises ``ValueError`` with the first line whose value does not go with those before."""

    def fault(count: int) -> Exception | None:
        try:
            pa.array(values[:count])
        except (pa.ArrowException, OverflowError) as error:  # values of several types, or more than 64 bits
            return error
        return None

    if error := fault(len(values)):
        first = bisect_left(range(1, len(values)), True, key=lambda count: fault(count) is not None)
        raise ValueError(f"line {lines[first]}, column '{name}': {error}") from error
    return pa.array(values)


READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".parquet": _parquet,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".jsonl": _json_lines,
}
"""Ending of a file's name -> what reads it."""
