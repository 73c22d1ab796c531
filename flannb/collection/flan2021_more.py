"""The rest of Flan 2021: conversations, pairs, damaged text to mend, and the sets that are hard to get.

Sources and forms are those of the public code (github.com/google-research/FLAN, flan/v2) where it has the set. What the
Hub does not serve keeps its task, with the reason in ``unavailable``; ``note`` says what stands in another's place and
what could not be checked against the Hub.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from flannb.collection.flan2021 import NO_YES, Fields, first, labelled, spoken, translation
from flannb.collection.task import Apply, Column, Constant, Data, RawFile, RowError, Split, Task

YES_NO = NO_YES[::-1]
SCORES = ("0", "1", "2", "3", "4", "5")
"""How alike two sentences are, from not at all to the same."""

MANUAL = "its authors hand it out on request; the Hub has a loading script that wants the files by hand"
OFF_HUB = "on its authors' site only; the Hub has no copy"
SCRIPT = "has been on the Hub as a loading script, which flannb does not run; no Parquet form is known"
UNCHECKED = "columns from the dataset's documentation; not checked against its Parquet files"

_MARK = re.compile(r"\[[^\]]*\]")

# --- reading the columns ---------------------------------------------------------------------------------------------


def numbered(texts: Sequence[str]) -> str:
    """The texts, one a line, numbered from 1.

    Raises:
        RowError: there are none, or one is empty.
    """
    if not texts or not all(text and text.strip() for text in texts):
        raise RowError("empty question or answer")
    return "\n".join(f"{i}. {text.strip()}" for i, text in enumerate(texts, 1))


def numbered_answers(answers: Mapping[str, Sequence[str]]) -> str:
    """CoQA's free answers, numbered like their questions."""
    return numbered((answers or {}).get("input_text", ()))


def first_answer(answers: Mapping[str, Sequence[str]]) -> str:
    """The answer to QuAC's first question, the only one that stands without those before it.

    Raises:
        RowError: the passage does not tell.
    """
    text = first((answers or {}).get("texts"))
    if text == "CANNOTANSWER":
        raise RowError("the first question has no answer")
    return text


def without_mark(context: str) -> str:
    """QuAC's passage without the mark that stands for no answer."""
    return (context or "").removesuffix("CANNOTANSWER")


def score(label: float) -> str:
    """A similarity of STS-B as a whole number.

    Raises:
        RowError: it is not from 0 to 5.
    """
    if label is None or not 0 <= label <= 5:
        raise RowError("label out of range")
    return SCORES[round(label)]


def polarity(sentiment: int) -> str:
    """Sentiment140's 0 and 4 as words.

    Raises:
        RowError: it is neither.
    """
    if sentiment not in (0, 4):
        raise RowError("sentiment is neither negative nor positive")
    return "positive" if sentiment else "negative"


def all_but_last_word(text: str) -> str:
    """LAMBADA's passage up to its last word."""
    return text.strip().rpartition(" ")[0]


def last_word(text: str) -> str:
    """The last word of a passage."""
    return text.strip().rpartition(" ")[2]


def plain_bytes(text: str) -> str:
    r"""DeepMind's mathematics without the ``b'...\n'`` around each text."""
    found = re.fullmatch(r"b(['\"])(.*)\1", (text or "").strip(), re.DOTALL)
    return (found[2] if found else text or "").replace("\\n", "\n").strip()


def triples(items: Sequence[str | Sequence[str]]) -> str:
    """Facts on one line: ``subject, relation, object; ...``, without underscores and marks such as ``[TITLE]``."""
    facts = [item.split(" | ") if isinstance(item, str) else item for item in items or ()]
    cleaned = [[_MARK.sub("", part).strip().strip('"').replace("_", " ") for part in fact] for fact in facts]
    return "; ".join(", ".join(part for part in fact if part) for fact in cleaned)


def sections(article: Mapping[str, Sequence[str]], key: str) -> str:
    """One part of all sections of a WikiLingua article, ``document`` or ``summary``."""
    return "\n".join(text.strip() for text in (article or {}).get(key, ()) if text and text.strip())


def story(*sentences: str) -> str:
    """The four sentences that a fifth is to end."""
    return " ".join(sentence.strip() for sentence in sentences)


def ending(one: str, two: str, right: int) -> str:
    """The right one of two endings, counted from 1."""
    return (one, two)[int(right) - 1].strip()


def endings(one: str, two: str) -> tuple[str, ...]:
    """Both endings."""
    return (one.strip(), two.strip())


def damaged(pair: Mapping[str, str], damage: Callable[[str], str]) -> str:
    """The English side of a pair, damaged.

    Raises:
        RowError: the damage leaves it as it was, so there is nothing to mend.
    """
    text = spoken(pair, "en")
    result = damage(text)
    if result == text:
        raise RowError("nothing to mend")
    return result


def without_punctuation(text: str) -> str:
    """Letters, digits and spaces only."""
    return re.sub(r"[^\w\s]", "", text)


def without_spaces(text: str) -> str:
    """All words run together."""
    return text.replace(" ", "")


# --- tasks -----------------------------------------------------------------------------------------------------------


def _task(name: str, templates: str, data: Data, fields: Fields, unavailable: str = "", note: str = "") -> Task:
    return Task(name, "flan2021", data, fields, templates, unavailable=unavailable, note=note)


def _glue(name: str) -> Split:
    return Split("nyu-mll/glue", name, "train")


def _mend(name: str, damage: Callable[[str], str]) -> Task:
    """Text to mend, of the English side of a parallel corpus, as the public code makes it from ParaCrawl."""
    fields: Fields = {
        "text": Apply(partial(damaged, damage=damage), ("translation",)),
        "answer": Apply(partial(spoken, code="en"), ("translation",)),
    }
    data = Split("Helsinki-NLP/opus-100", "da-en", "train")
    return _task(name, name, data, fields, note="made from OPUS-100 (da-en) in place of ParaCrawl (en-da)")


def _translation(name: str, data: Data, goal: str, **said: str) -> Task:
    """Between English and Spanish, into ``goal``, a code."""
    return _task(name, "translation", data, translation("en" if goal == "es" else "es", goal), **said)


PARA_CRAWL = Split("para_crawl", "enes", "train")
OPUS_100 = Split("Helsinki-NLP/opus-100", "en-es", "train")
OPINIONS = "opinion_abstracts"

TASKS: tuple[Task, ...] = (
    _task(
        "coqa",
        "numbered_questions",
        Split("stanfordnlp/coqa", "default", "train"),
        {
            "passage": Column("story"),
            "questions": Apply(numbered, ("questions",)),
            "answer": Apply(numbered_answers, ("answers",)),
        },
        note=UNCHECKED,
    ),
    _task(
        "quac",
        "interview",
        Split("allenai/quac", "plain_text", "train"),
        {
            "title": Column("wikipedia_page_title"),
            "section": Column("section_title"),
            "passage": Apply(without_mark, ("context",)),
            "question": Apply(first, ("questions",)),
            "answer": Apply(first_answer, ("orig_answers",)),
        },
        note=f"the first question of each dialogue; {UNCHECKED}",
    ),
    _task(
        "trivia_qa_wiki_missing",
        "closed_book_qa",
        Split("mandarjoshi/trivia_qa", "rc.wikipedia.nocontext", "train"),
        {"question": Column("question"), "answer": Apply(first, ("answer",))},
        note="the paper's list names it and nothing says what is missing; here the Wikipedia part, without pages",
    ),
    _task(
        "qnli",
        "answering_sentence",
        _glue("qnli"),
        {"question": Column("question"), "sentence": Column("sentence"), **labelled("label", YES_NO)},
    ),
    _task(
        "stsb",
        "similarity",
        _glue("stsb"),
        {
            "first": Column("sentence1"),
            "second": Column("sentence2"),
            "options": Constant(SCORES),
            "answer": Apply(score, ("label",)),
        },
    ),
    _task(
        "sentiment140",
        "tweet_sentiment",
        Split("stanfordnlp/sentiment140", "sentiment140", "train"),
        {
            "text": Column("text"),
            "options": Constant(("negative", "positive")),
            "answer": Apply(polarity, ("sentiment",)),
        },
        note=UNCHECKED,
    ),
    _task(
        "story_cloze",
        "completion",
        Split("LSDSem/story_cloze", "2016", "validation"),
        {
            "text": Apply(story, tuple(f"input_sentence_{n}" for n in (1, 2, 3, 4))),
            "options": Apply(endings, ("sentence_quiz1", "sentence_quiz2")),
            "answer": Apply(ending, ("sentence_quiz1", "sentence_quiz2", "answer_right_ending")),
        },
        unavailable=MANUAL,
    ),
    _task(
        "lambada",
        "last_word",
        Split("cimec/lambada", "plain_text", "validation"),
        {"text": Apply(all_but_last_word, ("text",)), "answer": Apply(last_word, ("text",))},
        note=f"the development passages, since its training split is whole novels; {UNCHECKED}",
    ),
    _task(
        "math_dataset",
        "equation",
        Split("deepmind/math_dataset", "algebra__linear_1d", "train"),
        {"question": Apply(plain_bytes, ("question",)), "answer": Apply(plain_bytes, ("answer",))},
        note=UNCHECKED,
    ),
    _task(
        "web_nlg_en",
        "data_to_text",
        Split("GEM/web_nlg", "en", "train"),
        {"data": Apply(triples, ("input",)), "answer": Column("target")},
        note=UNCHECKED,
    ),
    _task(
        "dart",
        "data_to_text",
        Split("GEM/dart", "default", "train"),
        {"data": Apply(triples, ("tripleset",)), "answer": Column("target")},
        note=UNCHECKED,
    ),
    _task(
        "wiki_lingua_english_en",
        "summary",
        Split("esdurmus/wiki_lingua", "english", "train"),
        {
            "text": Apply(partial(sections, key="document"), ("article",)),
            "answer": Apply(partial(sections, key="summary"), ("article",)),
        },
        note=f"the authors' own copy, all sections of an article together, in place of GEM's; {UNCHECKED}",
    ),
    _task(
        "newsroom",
        "summary",
        Split("lil-lab/newsroom", "default", "train"),
        {"text": Column("text"), "answer": Column("summary")},
        unavailable=MANUAL,
    ),
    _task(
        "opinion_abstracts_idebate",
        "opinion_summary",
        RawFile(f"{OPINIONS}/idebate.json"),
        {"text": Column("_argument_sentences"), "answer": Column("_claim")},
        unavailable=OFF_HUB,
    ),
    _task(
        "opinion_abstracts_rotten_tomatoes",
        "opinion_summary",
        RawFile(f"{OPINIONS}/rottentomatoes.json"),
        {"text": Column("_critics"), "answer": Column("_critic_consensus")},
        unavailable=OFF_HUB,
    ),
    _translation("para_crawl_enes", PARA_CRAWL, "es", unavailable=SCRIPT),
    _translation("para_crawl_esen", PARA_CRAWL, "en", unavailable=SCRIPT),
    _translation("opus100_enes", OPUS_100, "es", note="public successor of para_crawl_enes"),
    _translation("opus100_esen", OPUS_100, "en", note="public successor of para_crawl_esen"),
    _mend("fix_punct", without_punctuation),
    _mend("true_case", str.lower),
    _mend("word_segment", without_spaces),
)
