"""What results at a scale cannot show, in words; and the order of scales."""

SCALES = ("tiny", "smoke", "micro", "small", "base", "large", "xl", "xxl")


def scale_order(scale: str) -> tuple[int, str]:
    """Sorts scales from the smallest to the largest; those of other names come last."""
    return (SCALES.index(scale) if scale in SCALES else len(SCALES)), scale


_MINI = (
    "The collection is generated English sentences about a small made-up world: no score here is one of the paper's"
    " datasets, whatever a column is called.",
    "The models are small enough for it: they learn forms of questions, and neither the knowledge nor the reasoning"
    " that MMLU and BBH measure in the paper.",
    "A difference may be compared with the paper's by its direction only. Its size says nothing.",
)

_AS_THE_PAPER = (
    "The prompts of training and evaluation are written anew, so scores differ from the paper's by the wording too.",
    "Program synthesis has a rate that the paper does not state, and some datasets can be read by nobody any more; the"
    " list of tasks names them.",
    "The paper's tables are of XL: what holds at another size need not hold there.",
)

_MINUTES = (
    "The models have about a million parameters or fewer and see some rows of each task for minutes: most scores are"
    " those of guessing, and what is above them are forms of answers.",
    "The scale shows that the whole way works on real data. It decides no claim of the paper.",
)

_MICRO = (
    "A model of tens of millions of parameters that has read little but its training data knows next to nothing, and"
    " mostly writes something else than one of the options. Written scores on MMLU, BBH and Chain-of-Thought tell how"
    " often it writes an answer that can be right at all, more than which; ranked answers leave that out.",
    "All models start from one that was pretrained; how another would change their scores, no interval shows.",
    "At most 2,000 rows of each task are read, fewer than the caps of the mixture: mixture balancing acts on the rates"
    " of the submixtures, and hardly between the tasks of one.",
    "A training goes through less than one percent of the paper's tokens. What takes longer to learn is not seen.",
    "A difference may be compared with the paper's by its direction only.",
)

_OF_THE_PAPER = SCALES[SCALES.index("small") :]


def limits(scale: str, collection: str) -> tuple[str, ...]:
    """Sentences on what results of a scale on a collection (``flannb.build.Source``) cannot show."""
    if collection == "mini":
        return _MINI
    if scale in _OF_THE_PAPER:
        return _AS_THE_PAPER
    return _MICRO if scale == "micro" else _MINUTES
