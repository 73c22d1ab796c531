"""Drawing: which template, style and exemplars each example gets.

All draws come from one generator seeded by the run's seed, the task, the setting and the part of the task, and are
recorded with each example; nothing is drawn at import or depends on other tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flannb.build.options import LETTERED, STYLES
from flannb.build.phrases import Phraser
from flannb.build.records import Records
from flannb.build.render import Pattern, Wording, wording, wordings_of
from flannb.collection import Task
from flannb.collection.submixtures import is_few_shot
from flannb.files import digest

EXEMPLAR_COUNTS = (2, 3, 5)
"""Numbers of exemplars of a few-shot example (the paper's appendix A.1)."""

SHARED_TEMPLATE = 0.5
"""Share of few-shot examples whose exemplars use the query's template; in the others each exemplar draws its own. The
released code has both kinds; the paper does not state the share."""

UNLIKE = 0.2
"""Share of few-shot examples whose exemplars show options where the query shows none, or none where it shows them."""

POSITIVE = 0.5
"""Share of few-shot examples whose exemplars are positive examples, where the task has some; in the others they are
drawn from its rows. The paper has both kinds and does not state the share."""

EXPLAINED = 0.5
"""Share of those that show the explanations of their positive examples, too."""

KINDS = ("drawn", "positive", "explained")
"""Kinds of exemplars: rows of the task, or its positive examples without and with explanations."""

CANDIDATES = 3
"""Rows that are drawn for each exemplar that an example may have; the first that suit become its exemplars."""

_LETTERED = np.array([STYLES.index(style) for style in LETTERED])


@dataclass(frozen=True)
class Draws:
    """What is drawn for the examples of a part of a task in one setting, an entry for each record.

    Attributes:
        words: the wordings of the setting, of which ``word`` has positions.
        turned: the same with options where the setting shows none, and without where it shows them.
        style: position in ``STYLES``.
        counts: number of exemplars.
        unlike: whether exemplars show options and the query none, or the other way round.
        candidates: positions of rows for exemplars (records, ``CANDIDATES`` times the most exemplars).
        shown: for each of them, the position of the wording that shows it.
        kind: position in ``KINDS``.
        inverted: whether the task is; then its templates show an answer, and its targets are questions.
    """

    words: Sequence[Wording]
    turned: Sequence[Wording]
    word: np.ndarray
    style: np.ndarray
    counts: np.ndarray
    unlike: np.ndarray
    candidates: np.ndarray
    shown: np.ndarray
    kind: np.ndarray
    inverted: bool


@dataclass(frozen=True)
class Exemplars:
    """The exemplars of all examples, one after the other.

    Attributes:
        example: position of the example; ascending.
        record: position among the records that exemplars are drawn from.
        shown: position of the wording that shows it.
    """

    example: np.ndarray
    record: np.ndarray
    shown: np.ndarray

    def where(self, kept: np.ndarray) -> "Exemplars":
        """Those of which the mask ``kept``, bool (exemplars,), is true."""
        return Exemplars(self.example[kept], self.record[kept], self.shown[kept])


_NONE = np.empty(0, np.int64)
NO_EXEMPLARS = Exemplars(_NONE, _NONE, _NONE)


def draw_examples(
    task: Task, setting: str, n: int, pool: int, seed: int, part: int, counts: Sequence[int], positives: int = 0
) -> Draws:
    """Draws for ``n`` records, with exemplars from ``pool`` ones or from the ``positives`` that come after them."""
    words = wordings_of(task, setting)
    by_letter = np.array([word.by_letter for word in words])
    stream = [seed, task.name, setting, part] if part else [seed, task.name, setting]
    rng = np.random.default_rng(int(digest(stream)[:16], 16))
    word = rng.integers(len(words), size=n)
    style = rng.integers(len(STYLES) * len(LETTERED), size=n)
    exemplars = rng.choice(counts, size=n)
    # The templates of inverted tasks ask for different things (see flannb.build.inversion).
    shared = (rng.random(n) < SHARED_TEMPLATE) | task.inverted
    candidates = rng.integers(max(1, pool), size=(n, CANDIDATES * max(counts)))
    own = rng.integers(len(words), size=candidates.shape)
    # Letters and texts as answers do not mix in one prompt.
    alone = shared[:, None] | (by_letter[own] != by_letter[word][:, None])
    # A letter says nothing without the options.
    unlike = (rng.random(n) < UNLIKE) & task.has_options & ~by_letter[word]
    kind = np.zeros(n, np.int64)
    if is_few_shot(setting) and positives > 1:  # one alone may be the query itself
        kind += (rng.random(n) < POSITIVE) | (pool == 0)
        kind *= 1 + ((rng.random(n) < EXPLAINED) & all(word.explained.names for word in words))
        written = pool + rng.integers(positives, size=candidates.shape)
        candidates = np.where(kind[:, None] > 0, written, candidates)
    return Draws(
        words=words,
        turned=[w if w.by_letter else wording(w.template, not w.with_options, w.position) for w in words],
        word=word,
        style=np.where(by_letter[word], _LETTERED[style % len(LETTERED)], style % len(STYLES)),
        counts=exemplars,
        unlike=unlike,
        candidates=candidates,
        shown=np.where(alone, word[:, None], own),
        kind=kind,
        inverted=task.inverted,
    )


def choose_exemplars(draws: Draws, asked: Phraser, records: Records, shots: Phraser, pool: Records) -> Exemplars:
    """Gives each example its first candidates that neither read like its query nor like one another.

    An exemplar that reads like the query would give its answer away, whichever row it is. They are compared as the
    query's template shows them, with options only where both show them; and where options are shown, also by what is
    asked and answered, since the same question may come with other options. Two rows of an inverted task that show
    the same answer are like each other only if their questions are the same, too.
    """
    taken = np.zeros(draws.candidates.shape, bool)
    if len(records) and len(pool):
        code, query = np.empty((*taken.shape, 2), np.int64), np.empty((len(records), 2), np.int64)
        kinds = 2 * draws.word + draws.unlike
        for kind in np.unique(kinds):
            at = np.flatnonzero(kinds == kind)
            candidates = draws.candidates[at]
            needed = np.flatnonzero(np.bincount(candidates.ravel(), minlength=len(pool)))
            for way, pattern in enumerate(_likenesses(draws, kind // 2, bool(kind % 2))):
                texts = [
                    phraser.text(pattern, some, np.zeros_like(some)) for phraser, some in ((asked, at), (shots, needed))
                ]
                codes = pa.concat_arrays(texts).dictionary_encode().indices.to_numpy()
                code[at, :, way:] = codes[len(at) :][np.searchsorted(needed, candidates)][..., None]
                query[at, way:] = codes[: len(at), None]
        other = np.array(pool.rows)[draws.candidates] != np.array(records.rows)[:, None]
        taken = _first(code, query, other, draws.counts)
    example, slot = np.nonzero(taken)
    return Exemplars(example, draws.candidates[example, slot], draws.shown[example, slot])


def _likenesses(draws: Draws, position: int, unlike: bool) -> tuple[Pattern, ...]:
    """One or two texts of a record; rows that have either in common are alike where a wording asks the query."""
    word, turned = draws.words[position], draws.turned[position]
    shown = turned if unlike and word.with_options else word
    if draws.inverted:
        return (shown.exemplar("\n"),)
    if not shown.with_options:
        return (shown.input,)
    asked = wording(word.template, with_options=False, position=word.position).input
    return shown.input, Pattern((*asked.segments, ("\n", "answer")))


def _first(code: np.ndarray, query: np.ndarray, usable: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of each row's codes (rows, candidates, 2), the first ``counts`` usable ones neither of which the query has
    (rows, 2), nor one that is taken.
    """
    taken = np.zeros(code.shape[:2], bool)
    seen = np.full((len(code), 1 + counts.max(), 2), -1)
    seen[:, 0] = query
    found = np.zeros(len(code), np.int64)
    for i in range(code.shape[1]):
        new = usable[:, i] & (found < counts) & (code[:, i, None] != seen).all((1, 2))
        found += new
        seen[new, found[new]] = code[new, i]
        taken[:, i] = new
    return taken
