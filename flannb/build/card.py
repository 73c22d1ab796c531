"""The card of an exported dataset: what is in it, how it was made, and under which licences its texts are."""

from collections.abc import Iterable, Mapping

from flannb import __version__
from flannb.build.index import Build
from flannb.build.inversion import with_inversions
from flannb.build.shards import Shard
from flannb.collection import SUBMIXTURES, Data, tasks
from flannb.collection.licences import OTHER, Licence, licence_together, licences
from flannb.markdown import Markdown, escaped, front_matter, table

TASK_SOURCES = {
    "flan2021": "Flan2021",
    "t0_sf": "P3",
    "super_natural_instructions": "NIv2",
    "cot": "CoT",
    "dialog": "Dialog",
    "program_synthesis": "ProgramSynthesis",
    "p3_flan2021": "P3",
    "own": "Own",
}
"""Submixture -> what ``task_source`` says; the first five as in the public datasets."""

COLUMNS = {
    "`inputs`, `targets`": "the texts",
    "`task_source`": "the collection, as the public submixture datasets call it",
    "`task_name`": "the task",
    "`template_type`, `setting`": "two names of one: zero-shot (`zs`) or few-shot (`fs`), with or without options",
    "`template_idx`": "position of the template among those of the task and kind",
    "`submixture`, `inverted`": "where the task belongs; whether input and target changed places",
    "`row`": "the row of the task's training split",
    "`exemplars`": "the rows of the exemplars, in order",
    "`style`": "how the query's options are shown; empty without options",
    "`exemplar_templates`": "the templates of the exemplars, as `template_idx`",
    "`exemplar_style`": "how the exemplars' options are shown; empty without options",
    "`exemplar_kind`": "`drawn` from the task's rows, its `positive` examples (rows -1, -2, ...), or these `explained`",
}


def data_of(build: Build, shards: Iterable[Shard]) -> list[Data]:
    """The data that shards were made of, each task's once, without tasks that the collection has no more."""
    known = {task.name: task.data for task in with_inversions(tasks(build.collection))}
    names = dict.fromkeys(shard.task for shard in shards)
    return [known[name] for name in names if name in known]


def licence_section(found: Iterable[tuple[Licence, int]]) -> str:
    """A section on the licences of datasets, each given with the number of its tasks."""
    lines = [(each.dataset, each.licence, _stated(each), each.note, f"{count:,}") for each, count in found]
    return "\n".join(
        [
            "## Licences of the datasets",
            "",
            "What the datasets' cards on the Hub, or their authors, state; `unknown` is what nobody states for certain."
            " Read the terms of each before you use what is made of it. The templates are flannb's, Apache-2.0.",
            "",
            *table(["dataset", "licence", "stated by", "note", "tasks"], lines, right=[4]),
        ]
    )


def _stated(found: Licence) -> str:
    """Who states a licence, with the page where that was looked up."""
    by = found.stated_by or "nobody"
    return Markdown(f"[{by}]({found.source})") if found.source else found.stated_by


def licence_fields(found: Iterable[Licence]) -> dict[str, str]:
    """The keys of a card's head that name the licence."""
    name = licence_together(found)
    return {"license": name} | ({"license_name": "of-each-dataset"} if name == OTHER else {})


def dataset_card(build: Build, counts: Mapping[Shard, int], form: str, mixture: str, seed: int) -> str:
    """A dataset card, whose head tells ``datasets`` where the files are. Arguments as in ``flannb.build.export``."""
    shards = sorted(counts, key=lambda shard: shard.path)
    names = list(dict.fromkeys(shard.submixture for shard in shards))
    total = sum(counts.values())
    found = licences(data_of(build, shards))
    files = [{"config_name": "default", "default": True, "data_files": f"*/*.{form}"}]
    head = {
        **licence_fields(each for each, _ in found),
        "language": ["en"],
        "pretty_name": "The Flan Collection, rendered by flannb",
        "tags": ["instruction-tuning", "flan"],
        "size_categories": [_size_category(total)],
        "configs": [*files, *({"config_name": name, "data_files": f"{name}/*.{form}"} for name in names)],
    }
    lines = []
    for name in names:
        members = [shard for shard in shards if shard.submixture == name]
        examples = sum(counts[shard] for shard in members)
        many = len({shard.task for shard in members})
        lines.append(
            (SUBMIXTURES[name].title, Markdown(f"`{name}`"), f"{many:,}", f"{examples:,}", f"{examples / total:.1%}")
        )
    drawn = (
        "Every example of the mixture's tasks is here once; the mixture's rates are not applied."
        if all(count == shard.examples for shard, count in counts.items())
        else f"{total:,} examples, drawn at the rates of the mixture."
    )
    sources = ", ".join(sorted({TASK_SOURCES[name] for name in names}))
    columns = COLUMNS | {"`task_source`": f"{COLUMNS['`task_source`']}: {sources}"}
    parts = "\n".join(table(["submixture", "folder", "tasks", "examples", "share"], lines, right=[2, 3, 4]))
    about = "\n".join(table(["column", "what it holds"], (map(Markdown, line) for line in columns.items())))
    loader = "json" if form == "jsonl" else "parquet"
    return f"""{front_matter(head)}
# The Flan Collection, rendered by flannb

Instruction-tuning examples of Flan 2022 (Longpre et al. 2023, [arXiv 2301.13688](https://arxiv.org/abs/2301.13688)),
rendered by flannb {__version__} from the source {escaped(build.source)}.

- mixture: {escaped(mixture)}. {drawn}
- seed: {seed}
- build: `{build.key}`, a hash of data, templates, code, limits and seed
- length limits: {build.lengths.input} tokens of input, {build.lengths.target} of target; exemplars were pruned to fit,
  texts are not cut

{parts}

```python
import datasets

datasets.load_dataset("{loader}", data_files="{names[0]}/*.{form}", split="train")
```

## Columns

{about}

{licence_section(found)}
"""


def _size_category(examples: int) -> str:
    """The Hub's name for a number of examples."""
    marks = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    place = next((i for i in range(len(marks)) if examples < 10 ** (i + 3)), len(marks))
    if place == 0:
        return "n<1K"
    return f"{marks[place - 1]}<n<{marks[place]}" if place < len(marks) else "n>1B"
