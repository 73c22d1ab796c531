"""T0-SF: the prompts of P3 (Bach et al. 2022) as they were rendered, without the datasets that Flan 2021 has.

``p3_templates.csv`` names the templates: the paper's 193, CommonsenseQA's, which ask what those of CoS-E ask, and
those on datasets of Flan 2021, which make the submixture ``p3_flan2021``. Each template is a configuration of
``bigscience/P3`` and a task. Only its training splits are read, so no row belongs to an evaluation split.
"""

import csv
from pathlib import Path

from flannb.collection.flan2021 import labelled, multiple_choice
from flannb.collection.task import Column, Split, Task

FILE = Path(__file__).with_name("p3_templates.csv")

FLAN2021_DATASETS = frozenset(
    {
        "ag_news",
        "cnn_dailymail",
        "common_gen",
        "cosmos_qa",
        "gigaword",
        "glue_mrpc",
        "glue_qqp",
        "imdb",
        "multi_news",
        "rotten_tomatoes",
        "samsum",
        "xsum",
        "yelp_review_full",
    }
)
"""P3's names of the datasets that Flan 2021 has too."""

NOTES = {
    **dict.fromkeys(FLAN2021_DATASETS, "in P3++ only: Flan 2022 has the dataset in Flan 2021"),
    "commonsense_qa": "not in the paper: asks what the templates of CoS-E ask",
}
"""P3's name of a dataset -> what to know of its tasks that the paper's T0-SF lacks."""

DBPEDIA = (
    "Company",
    "Educational Institution",
    "Artist",
    "Athlete",
    "Office Holder",
    "Mean of Transportation",
    "Building",
    "Natural Place",
    "Village",
    "Animal",
    "Plant",
    "Album",
    "Film",
    "Written Work",
)


def _p3(template: str, dataset: str) -> Task:
    fields = {"inputs": Column("inputs_pretokenized"), "answer": Column("targets_pretokenized")}
    submixture = "p3_flan2021" if dataset in FLAN2021_DATASETS else "t0_sf"
    name = "p3_" + template.replace(".", "_").rstrip("_")
    return Task(
        name, submixture, Split("bigscience/P3", template, "train"), fields, "p3_rendered", note=NOTES.get(dataset, "")
    )


with FILE.open(encoding="utf-8", newline="") as _file:
    P3: tuple[Task, ...] = tuple(_p3(row["template"], row["dataset"]) for row in csv.DictReader(_file))

RENDERED_ANEW = "not in the paper: a dataset of T0-SF rendered anew, with its options as a field"

# P3's prompts have their options inside the text. Two of its datasets are rendered anew, with options as a field.
WITH_OPTIONS: tuple[Task, ...] = (
    Task(
        "dbpedia_14",
        "t0_sf",
        Split("fancyzhx/dbpedia_14", "dbpedia_14", "train"),
        {"text": Column("content"), **labelled("label", DBPEDIA)},
        "entity_type",
        note=RENDERED_ANEW,
    ),
    Task(
        "commonsense_qa",
        "t0_sf",
        Split("tau/commonsense_qa", "default", "train"),
        multiple_choice(),
        "multiple_choice",
        note=RENDERED_ANEW,
    ),
)

TASKS: tuple[Task, ...] = (*P3, *WITH_OPTIONS)
