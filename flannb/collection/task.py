"""What a task is: where its rows are, which columns become which fields, and which templates render them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, Protocol

from flannb.collection.template import TemplateSet

Record = dict[str, str | tuple[str, ...]]
"""One usable row: field name -> text. ``answer`` is the target's text; ``options``, where there is a choice, holds the
texts of all options, and ``answer`` is one of them."""


def described(value: Any) -> Any:
    """A task, or a part of one, as JSON that differs where what it reads or shows does; a function is only named."""
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, *(described(getattr(value, each.name)) for each in fields(value))]
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [described(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, partial):
        return described([value.func, value.args, value.keywords])
    if hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"  # str.lower, say, is of no module
    if value is None or isinstance(value, str | int | float):
        return value
    return [type(value).__qualname__, described(getattr(value, "__dict__", {}))]


class RowError(ValueError):
    """A row that cannot be used. ``str(error)`` is the reason, such as ``"empty question"``; rows are counted by it."""


@dataclass(frozen=True)
class Split:
    """A dataset split: the Parquet files at ``<root>/<repo_id>/<config>/<split>/*.parquet``."""

    repo_id: str
    config: str
    split: str

    def __str__(self) -> str:
        return f"{self.repo_id}/{self.config}/{self.split}"


@dataclass(frozen=True)
class RawFile:
    """A file that has no Parquet form on the Hub, at ``<root>/github/<owner>/<repo>/<path>``; where the path is
    absolute, a file of one's own, which every source reads alike.

    ``columns`` names the columns of a headerless ``.tsv``; a ``.json`` file holds a list of objects, or an object that
    has the list under ``key``; a ``.jsonl`` file has an object a line; a ``.parquet`` file names its columns itself.
    Any other file is one row, whose column ``text`` has all of it.
    """

    path: str
    columns: tuple[str, ...] = ()
    key: str = ""

    def __str__(self) -> str:
        return self.path


Data = Split | RawFile


class Field(Protocol):
    """Reads one field of a row from the row's values in ``columns``, the source columns that it needs, in their order.

    Raises:
        RowError: the row cannot be used.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns whose values the field is called with, in their order."""
        ...

    def __call__(self, *values: Any) -> str | tuple[str, ...]:
        """The field's text, or a tuple of texts. Raises ``RowError`` where the row has none that can be used."""
        ...


def _text(value: Any, column: str) -> str:
    text = "" if value is None else str(value).strip()
    if not text:
        raise RowError(f"empty {column}")
    return text


@dataclass(frozen=True)
class Column:
    """The text of a column."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column that is read."""
        return (self.name,)

    def __call__(self, value: Any) -> str:
        """The text without white space at its ends. Raises ``RowError`` where nothing is left."""
        return _text(value, self.name)


@dataclass(frozen=True)
class Optional:
    """The text of a column; empty where a row has none."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column that is read."""
        return (self.name,)

    def __call__(self, value: Any) -> str:
        """The text without white space at its ends, which may be empty."""
        return "" if value is None else str(value).strip()


@dataclass(frozen=True)
class Label:
    """The name of a class label: ``names[row[name]]``; booleans count as 0 and 1."""

    name: str
    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column that is read."""
        return (self.name,)

    def __call__(self, value: Any) -> str:
        """The label's name. Raises ``RowError`` where there is none."""
        if value is None or not 0 <= int(value) < len(self.names):
            raise RowError(f"{self.name} out of range")
        return self.names[int(value)]


@dataclass(frozen=True)
class Constant:
    """The same value in every row, such as the options of a yes/no question."""

    value: str | tuple[str, ...]
    columns: tuple[str, ...] = ()

    def __call__(self) -> str | tuple[str, ...]:
        """The value."""
        return self.value


@dataclass(frozen=True)
class Options:
    """The texts of a list column; ``name`` may reach into a struct: ``"choices.text"``."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The list column, or the struct that holds the list."""
        return (self.name.split(".")[0],)

    def __call__(self, value: Any) -> tuple[str, ...]:
        """The texts of the list; none for a null. Raises ``RowError`` where one is empty."""
        for part in self.name.split(".")[1:]:
            value = value[part] if value is not None else None
        return tuple(_text(item, self.name) for item in value or ())


@dataclass(frozen=True)
class Pick:
    """The text of the right option: the key column holds its letter, its digit (from 1), or its index (an integer,
    from 0).
    """

    options: Field
    key: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the options, and the key column last."""
        return (*self.options.columns, self.key)

    def __call__(self, *values: Any) -> str:
        """The option's text. Raises ``RowError`` where the key names none."""
        options, key = self.options(*values[:-1]), values[-1]
        if isinstance(key, str):
            key = key.strip()
            index = int(key) - 1 if key.isdigit() else ord(key.upper()) - ord("A") if len(key) == 1 else -1
        else:
            index = -1 if key is None else int(key)
        if not 0 <= index < len(options):
            raise RowError(f"{self.key} names no option")
        return options[index]


@dataclass(frozen=True)
class Apply:
    """Any pure function of the named columns, for what the other fields cannot say.

    The function gets the columns' values as positional arguments and may raise ``RowError``.
    """

    function: Callable[..., str | tuple[str, ...]]
    columns: tuple[str, ...]

    def __call__(self, *values: Any) -> str | tuple[str, ...]:
        """What the function gives; a text without white space at its ends. Raises ``RowError`` for an empty text."""
        value = self.function(*values)
        if isinstance(value, str) and (text := value.strip()):  # by far the most frequent case first
            return text
        return value if isinstance(value, tuple) else _text(value, "+".join(self.columns))


def columns_of(fields: Mapping[str, Field], where: tuple[str, str] | None = None) -> tuple[str, ...]:
    """The source columns that the fields, and the choice of rows, need: in order, each once."""
    filtered = [where[0]] if where else []
    return tuple(dict.fromkeys([*filtered, *(column for field in fields.values() for column in field.columns)]))


@dataclass(frozen=True)
class Task:
    """A training task.

    Attributes:
        name: unique in the collection, letters, digits and ``_`` only, such as ``boolq``.
        submixture: a key of ``flannb.collection.SUBMIXTURES``.
        data: where the training rows are.
        fields: field name -> how to read it. ``answer`` is required by templates that name it.
        templates: the key of the template set that renders it.
        where: a column and a value; the task has only the rows with it (many tasks share a file, as in Super-Natural
            Instructions).
        held_in: the task's validation split is in the Held-In suite.
        inverted: made by input inversion (see ``flannb.build.inversion``).
        unavailable: why nobody can read the data as they are declared; such a task is listed and never built.
        note: what a reader of the list should know: whose place the task takes, what could not be checked.
        positives: exemplars that were written for the task, for few-shot prompts; a source may lack them.
        positive_fields: how they are read, where otherwise than the rows.
    """

    name: str
    submixture: str
    data: Data
    fields: Mapping[str, Field]
    templates: str
    where: tuple[str, str] | None = None
    held_in: bool = False
    inverted: bool = False
    unavailable: str = ""
    note: str = ""
    positives: RawFile | None = None
    positive_fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns that the task reads, that of ``where`` among them."""
        return columns_of(self.fields, self.where)

    @property
    def has_options(self) -> bool:
        """Whether a record lists answer options, so that settings with and without them differ."""
        return "options" in self.fields


@dataclass(frozen=True)
class Collection:
    """Tasks that somebody published together: a mixture of that name, and a row of Table 1.

    Its tasks belong to the submixture ``own``, where each weighs min(cap, size), or to any other.

    Attributes:
        name: the key of the mixture and the row.
        title: as tables write it.
        tasks: of which no other collection has any.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class EvalTask:
    """One evaluation set of a suite.

    Attributes:
        name: unique within its suite, such as ``boolq`` or ``abstract_algebra``.
        suite: a key of ``flannb.collection.SUITES``.
        data: the rows that are scored.
        fields: as in ``Task``; ``answer`` is the gold answer.
        templates: the template set whose first zero-shot and few-shot templates make the prompts.
        answer: how an answer is read from a prediction: ``option``, ``number``, ``yes_no`` or ``text``.
        exemplars: the split from which few-shot exemplars come; never the scored split.
        exemplar_fields: the fields of the exemplar rows, where they differ from ``fields``.
        prompt: a public few-shot prompt used as it is (BBH), instead of drawn exemplars.
        shots: number of exemplars in the few-shot setting.
        chain_of_thought: prompts ask for an explanation; the answer is extracted from it.
        metric: what Table 3 scores the set by, a key of ``flannb.evaluate.METRICS``; suite means are of
            accuracies.
        candidates: all possible answers, where rows have no options of their own; ranking chooses among them.
        wordings: templates of the set's own, instead of those of the package that ``templates`` names.
    """

    name: str
    suite: str
    data: Data
    fields: Mapping[str, Field]
    templates: str
    answer: str
    exemplars: Data | None = None
    exemplar_fields: Mapping[str, Field] = field(default_factory=dict)
    prompt: RawFile | None = None
    shots: int = 5
    chain_of_thought: bool = False
    metric: str = "accuracy"
    candidates: tuple[str, ...] = ()
    wordings: TemplateSet | None = None

    @property
    def split(self) -> str:
        """The scored split, as tables report it."""
        return self.data.split if isinstance(self.data, Split) else "file"


@dataclass(frozen=True)
class FinetuningSet:
    """A dataset of a task.

    Attributes:
        reads: how its rows read, what its prompts look like, and how answers are found; the rows of ``reads.data`` are
            not used.
        train: the training rows.
        validation, test: the public splits with answers, where there are.
        train_fields: the fields of training rows, where they have more (an explanation to learn).
    """

    reads: EvalTask
    train: Data
    validation: Data | None = None
    test: Data | None = None
    train_fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def data(self) -> list[Data]:
        """All that it reads."""
        return [data for data in (self.train, self.validation, self.test) if data is not None]


@dataclass(frozen=True)
class FinetuningTask:
    """A task to finetune on.

    Attributes:
        name: its key, such as ``arc``.
        title: as Table 3 writes it.
        sets: its datasets, whose splits are pooled.
        held_out: whether the Flan collection has no such task.
    """

    name: str
    title: str
    sets: tuple[FinetuningSet, ...]
    held_out: bool = False

    @property
    def metric(self) -> str:
        """What the pooled sets are scored by, a key of ``flannb.evaluate.METRICS``."""
        return self.sets[0].reads.metric

    @property
    def data(self) -> list[Data]:
        """All that it reads."""
        return [data for part in self.sets for data in part.data]
