"""Reading the answer out of a prediction, and comparing it with the gold answer.

A prediction is a direct answer (``"(B)"``, ``"blue whale"``, ``"1,200"``) or an explanation that states its answer
somewhere (``"3 + 2 = 5. So the answer is 5."``). What is read, in this order:

1. what follows the last marker ("answer is", "answer:", "####") after which an answer can be read, its first statement;
2. without such a marker: the whole prediction if it is an answer, else the answer that it states last.

A statement right after "not" does not count, and nothing is read from a list of options that a model writes itself, as
small models do when they invent a question: its last item is where the prediction was cut off. Four kinds of answers
are known:

======== ============================================================ =====================================
kind     what states an answer                                        what ``extract`` gives
======== ============================================================ =====================================
option   a letter, as in (B), B., "option B", or the option's text    the option's text; its letter, as in
                                                                      ``(B)``, where two texts are alike or
                                                                      no options are given (BBH has them in
                                                                      the question)
number   digits, or number words that stand alone                     ``-1200``, ``0.5``, ``1/3``
yes_no   yes, no, true, false                                         ``yes`` or ``no``
text     the rest of the line after the marker, or everything         the text without closing full stop
======== ============================================================ =====================================
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

Options = tuple[str, ...] | None
Reader = Callable[[str, Options, bool], str | None]
"""Reads the answer from (text, options, stated); ``stated``: the text is what follows a marker."""

EMPTY, FOREIGN_LETTER, UNREADABLE = "empty prediction", "letter of no option", "no answer found"

_MARKER = re.compile(
    r"(?:\b(?:so|thus|hence|therefore)\b,?\s+)?(?:\bthe\s+)?(?:\b(?:final|correct|right)\s+)?"
    r"\banswer(?:\s+(?:is|(?:must|should|would|will)\s+be)\b\s*:?|\s*[:=])|####",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"(?:\b(?:(?:can)?not|neither|nor)|n't)\s+(?:be\s+)?(?:(?:a|an|the)\s+)?$", re.IGNORECASE)
_ITEMS = re.compile(
    r"\boptions\s*:\s*(?:-\s*\S.*?\s-|\(?[A-Z][.)]\s.*?\s\(?[A-Z][.)](?=\s|$))", re.IGNORECASE | re.DOTALL
)  # two items of a list, the second as far as it goes
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "−": "-", "\u00a0": " ", "\u202f": " "} | {"⁄": "/"})
_SAME |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII
_MATH = re.compile(r"\\[()\[\]]")  # what LaTeX puts around a formula
_FRACTION = re.compile(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}")
_MARKUP = re.compile(
    r"\\(?:boxed|text|textbf|mathbf|mathrm)\{([^{}]*)\}|\*\*(?=\S)(.+?)(?<=\S)\*\*|`([^`\n]+)`"
    r"|<(b|i|em|strong|code)>(.*?)</\4>",
    re.IGNORECASE,
)
_VULGAR = {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8"}


def extract(prediction: str, kind: str, options: Options = None) -> str | None:
    """The answer that a prediction states, in the normal form of the module's table.

    Args:
        prediction: the model's output, direct or with an explanation.
        kind: ``option``, ``number``, ``yes_no`` or ``text``, as in ``EvalTask.answer``.
        options: the texts of the answer options in the order of their letters; only ``option`` looks at them.

    Returns:
        The answer, or ``None`` where none can be read.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    read = _reader(kind)
    text = _plain(prediction)
    marks = list(_MARKER.finditer(text))
    bounds = [*(mark.start() for mark in marks), len(text)]
    for mark, end in reversed(list(zip(marks, bounds[1:], strict=True))):
        answer = read(text[mark.end() : end], options, True)
        if answer is not None:
            return answer
    if kind != "text" and (listed := _ITEMS.search(text)):
        text = text[: listed.start()]
    return read(text, options, False)


def correct(extraction: str | None, gold: str, kind: str, options: Options = None) -> bool:
    """Whether an extracted answer is the gold answer.

    The gold answer is an option's text or letter, a number with or without its unit, any word for yes or no, or a text,
    according to ``kind``. Case, spaces, quotes around the whole, and a closing full stop never matter.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    read = _reader(kind)
    if extraction is None:
        return False
    if kind == "option":
        if options:
            index, found = option_index(gold, options), option_index(extraction, options)
            if index is None or found is None:
                return False
            # A gold text that two options have does not say which of them is meant.
            return index == found or _fold(options[found]) == _fold(gold)
        letters = [_letter(text) for text in (extraction, gold)]
        return letters[0] == letters[1] if all(letters) else _fold(extraction) == _fold(gold)
    if kind == "text":
        return _fold(_plain(extraction)) == _fold(_plain(gold))
    wanted = read(_plain(gold), options, True)
    return wanted is not None and wanted == read(_plain(extraction), options, False)


def problem(prediction: str, extraction: str | None, kind: str, options: Options = None) -> str | None:
    """Why no answer was read from a prediction, in words that problems are counted by; ``None`` where one was."""
    if not prediction.strip():
        return EMPTY
    if extraction is not None:
        return None
    stated = kind == "option" and options and extract(prediction, "option", None)
    return FOREIGN_LETTER if stated else UNREADABLE


def _reader(kind: str) -> Reader:
    if kind not in _READERS:
        raise ValueError(f"answer kind '{kind}' is unknown; it must be one of {', '.join(_READERS)}")
    return _READERS[kind]


def _plain(text: str) -> str:
    """The text without typographic variants and without the markup of LaTeX, Markdown and HTML around its parts."""
    text = text.translate(_SAME).replace("{,}", ",")  # as LaTeX separates thousands
    while True:  # markup may stand inside markup
        plain = _FRACTION.sub(r"\1/\2", _MATH.sub(" ", text))
        plain = _MARKUP.sub(lambda match: next(part for part in match.group(1, 2, 3, 5) if part is not None), plain)
        if plain == text or not plain.strip():  # marks around nothing are the text
            return text
        text = plain


def _trim(text: str) -> str:
    """The text on one line, without quotes around it and without a closing full stop."""
    text = " ".join(text.split())
    while text:
        shorter = text.rstrip(". ") or text
        if len(shorter) > 1 and shorter[0] == shorter[-1] and shorter[0] in "\"'`":
            shorter = shorter[1:-1].strip() or shorter
        if shorter == text:
            break
        text = shorter
    return text


def _fold(text: str) -> str:
    return _trim(text.translate(_SAME)).casefold()  # equal for texts that are the same answer


def _negated(text: str, start: int) -> bool:
    return _NEGATED.search(text, max(0, start - 16), start) is not None


# Text -------------------------------------------------------------------------------------------------------------


def _read_text(text: str, options: Options, stated: bool) -> str | None:
    if stated:
        text = text.strip().partition("\n")[0]
    return _trim(text) or None


# Yes and no -------------------------------------------------------------------------------------------------------

_YES = ("yes", "true", "yeah", "yep")
_NO = ("no", "false", "nope")
_YES_NO = re.compile(rf"\b({'|'.join(_YES + _NO)})\b", re.IGNORECASE)
# "no" before a word is a determiner ("there is no reason"), not an answer.
_AFTER_NO = r"(?=\s*(?:[^\w\s]|$|because\b|since\b))"
_BARE_NO = re.compile(rf"no{_AFTER_NO}", re.IGNORECASE)


def _read_yes_no(text: str, options: Options, stated: bool) -> str | None:
    words = list(_YES_NO.finditer(text))
    if not stated:
        words = [word for word in words if word[1].lower() != "no" or _BARE_NO.match(text, word.start())]
    if not words:
        return None
    word = words[0 if stated else -1]
    return "yes" if (word[1].lower() in _YES) != _negated(text, word.start()) else "no"


# Numbers ----------------------------------------------------------------------------------------------------------

_PLAIN = (
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?![0-9])(?:\.[0-9]+)?|(?<!\.)\.[0-9]+)"
    r"(?:[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z]))?"
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_/])(?<![0-9]\.)"
    r"(?:(?P<whole>[0-9]+)\s+(?=[0-9]+\s*/\s*[0-9]))?"
    rf"(?P<top>{_PLAIN})(?:\s*/\s*(?P<bottom>{_PLAIN})(?!\s*/|[0-9]))?"
)
_MAX_DIGITS = 60  # longer ones are degenerate output, and slow to compute with
_SENTENCE = re.compile(r"\n|[.!?;](?=\s|$)")
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: i for i, word in enumerate(_ONES)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_TIMES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORDS |= {f"{ten}-{one}": _WORDS[ten] + _WORDS[one] for ten in _TENS for one in _ONES[1:10]}


def _read_number(text: str, options: Options, stated: bool) -> str | None:
    for sign, plain in _VULGAR.items():
        text = text.replace(sign, plain)
    found = [match for match in _NUMBER.finditer(text) if not _negated(text, match.start())]
    numbers = [(match, value) for match in found if (value := _value(match, text)) is not None]
    if not numbers:
        return _number_word(text)
    if not stated:
        return _render(numbers[-1][1])
    # "The answer is 3 + 2 = 5 apples." states 5.
    sentence = _SENTENCE.search(text, numbers[0][0].end())
    equals = text.rfind("=", 0, sentence.start() if sentence else len(text))
    return _render(next((value for match, value in numbers if match.start() > equals), numbers[0][1]))


def _value(match: re.Match[str], text: str) -> Fraction | None:
    whole, top, bottom = _fraction(match["whole"] or "0"), _fraction(match["top"]), _fraction(match["bottom"] or "1")
    if whole is None or top is None or not bottom:
        return None
    value = whole + top / bottom
    return -value if _negative(text, match.start()) else value


def _fraction(digits: str) -> Fraction | None:
    return Fraction(digits.replace(",", "")) if len(digits) <= _MAX_DIGITS else None


def _negative(text: str, start: int) -> bool:
    """Whether a number that starts here has a minus sign: a hyphen that does not follow a word or an operand."""
    before = text[max(0, start - 8) : start].rstrip("$€£")
    if not before.endswith("-"):
        return False
    before = before[:-1].rstrip("$€£")
    operand = before.rstrip()[-1:]
    return not (before[-1:].isalnum() or operand.isdigit() or operand in (")", "%"))


def _number_word(text: str) -> str | None:
    words = [word.rstrip(",.!") for word in _fold(text).split()]
    if len(words) > 1 and words[0] in _TENS and words[1] in _ONES[1:10]:
        words = ["-".join(words[:2]), *words[2:]]
    value, times = _WORDS.get(words[0]) if words else None, 1
    if len(words) > 1 and words[1] in _TIMES:
        value, times = 1 if words[0] in ("a", "an") else value, _TIMES[words[1]]
        words = [words[0], *words[2:]]
    # More words than "five red apples" are a sentence, in which "one" is a pronoun; and "one hundred and five" is more
    # than is read here.
    if value is None or len(words) > 3 or any(word in _WORDS or word in _TIMES for word in words[1:]):
        return None
    return str(value * times)


def _render(value: Fraction) -> str:
    """An integer, a finite decimal, or else a fraction in lowest terms; equal numbers look alike."""
    rest, places = value.denominator, 0
    while rest % 2 == 0 or rest % 5 == 0:
        rest = rest // 10 if rest % 10 == 0 else rest // 2 if rest % 2 == 0 else rest // 5
        places += 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".") if places else digits)


# Options ----------------------------------------------------------------------------------------------------------

_LETTER = re.compile(r"\W*[(\[]?([A-Za-z])[)\].:,\s]*")
_LEADING = re.compile(r"\s*[(\[]?([A-Z])(?:[)\].:,]+(?=\s|\w|$)|\s*$)")
# In brackets, after "option", or a capital that ends the text after "is": "It's B."
_MENTIONED = re.compile(
    r"[(\[]\s?([A-Za-z])\s?[)\]]"
    r"|(?:\b(?:option|choice|letter)\s+\(?|(?:\bis|\bbe|'s)\s+(?=(?-i:[A-Z])[\s.!]*$))([A-Z])\b",
    re.IGNORECASE,
)
_BARE = re.compile(r"\s*([A-Z])\b(?!')")


def _read_option(text: str, options: Options, stated: bool) -> str | None:
    if not options:
        letter = _read_letter(text, stated)
        return None if letter is None else f"({letter})"
    index = _index(text, _plain_options(options), stated)
    if index is None:
        return None
    unique = [_fold(option) for option in _plain_options(options)].count(_fold(_plain(options[index]))) == 1
    return options[index] if unique and options[index].strip() else f"({chr(ord('A') + index)})"


@lru_cache(maxsize=1024)
def _plain_options(options: tuple[str, ...]) -> tuple[str, ...]:
    """The options as predictions are read: markup of the one would hide it in the other."""
    return tuple(map(_plain, options))


def _index(text: str, options: tuple[str, ...], stated: bool) -> int | None:
    """The position of the option that a text states."""
    index = option_index(text, options)
    if index is None:
        index = _leading(text, options, stated)
    bare = _BARE.match(text) if stated else None
    if index is None and bare and bare[1] not in "AI":  # those two may be words
        index = _position(bare[1], options)
    if index is None and (mentions := _mentions(text, options)):
        index = mentions[0 if stated else -1]
    if index is None and bare:
        index = _position(bare[1], options)
    if index is None and _are_yes_no(options):
        index = _by_value(_read_yes_no, text, options, stated)
    if index is None and all(len(_NUMBER.findall(option)) == 1 for option in options):
        index = _by_value(_read_number, text, options, stated)
    return index


def _read_letter(text: str, stated: bool) -> str | None:
    if letter := _letter(text):
        return letter
    matches = [match for match in _MENTIONED.finditer(text) if not _negated(text, match.start())]
    found = [(match[1] or match[2]).upper() for match in matches]
    if stated and (leading := _LEADING.match(text)):
        return leading[1]
    if found:
        return found[0 if stated else -1]
    first = _LEADING.match(text) or (_BARE.match(text) if stated else None)
    return first[1] if first else None


def _letter(text: str) -> str | None:
    """The letter that is all of the text, such as ``B`` for ``"(b)"`` or ``"B."``."""
    match = _LETTER.fullmatch(text) or _LETTER.fullmatch(_trim(text).strip("$"))
    return match[1].upper() if match else None


def _position(letter: str, options: tuple[str, ...]) -> int | None:
    index = ord(letter.upper()) - ord("A")
    return index if index < len(options) else None


def option_index(text: str, options: tuple[str, ...]) -> int | None:
    """The position of the option that is all of the text, by its text or else by its letter; None if it is none."""
    folded = _fold(text)
    for index, option in enumerate(options):
        if folded and folded == _fold(option):
            return index
    letter = _letter(text)
    return _position(letter, options) if letter else None


def _leading(text: str, options: tuple[str, ...], stated: bool) -> int | None:
    """The letter at the start, as in ``"B. blue whale"``; without a marker it must be followed by its option's text."""
    match = _LEADING.match(text)
    index = _position(match[1], options) if match else None
    if match is None or index is None:
        return None
    return index if stated or _fold(text[match.end() :]) in ("", _fold(options[index])) else None


@lru_cache(maxsize=1024)
def _naming(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a mention of an option: its letter in group 1 or 2, or its text in group 3, the first that fits."""
    return re.compile(f"{_MENTIONED.pattern}|({'|'.join(map(_whole_words, texts)) or '(?!)'})", re.IGNORECASE)


def _candidates(text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Options' texts that may be in a text, the longest first.

    A pattern takes longer to compile than to use, and most answers have the first word of no option.
    """
    lowered = text.lower() if text.isascii() else None
    texts = {_trim(option.translate(_SAME)) for option in options} - {""}
    firsts = {option: option.split()[0] for option in texts}
    found = [o for o in texts if lowered is None or not firsts[o].isascii() or firsts[o].lower() in lowered]
    return tuple(sorted(found, key=lambda option: (-len(option), option)))


def _mentions(text: str, options: tuple[str, ...]) -> list[int]:
    """The options that the text names by letter or by text, in order."""
    indices = {_fold(option): index for index, option in reversed(list(enumerate(options)))}
    found: list[int | None] = []
    letter_end: int | None = None
    for match in _naming(_candidates(text, options)).finditer(text):
        letter = match[1] or match[2]
        # A text right after a letter belongs to the letter: "(A) blue whale" is one mention.
        belongs = not letter and letter_end is not None and not text[letter_end : match.start()].strip(" .:")
        if not belongs and not _negated(text, match.start()):
            found.append(_position(letter, options) if letter else indices.get(_fold(match[3])))
        letter_end = match.end() if letter else None
    return [index for index in found if index is not None]


def _whole_words(text: str) -> str:
    """A pattern of the text that does not match inside longer words or numbers."""
    before = r"(?<![\w-])(?<![0-9][.,])" if text[0].isdigit() else r"(?<!\w)" if text[0].isalnum() else ""
    after = r"(?!\w|[.,][0-9])" if text[-1].isdigit() else r"(?!\w)" if text[-1].isalnum() else ""
    words = r"\s+".join(re.escape(word) for word in text.split())
    return before + words + after + (_AFTER_NO if text.lower() == "no" else "")


def _are_yes_no(options: tuple[str, ...]) -> bool:
    words = [_fold(option) for option in options]
    return len(words) == 2 and any(a in _YES and b in _NO for a, b in (words, words[::-1]))


def _by_value(read: Reader, text: str, options: tuple[str, ...], stated: bool) -> int | None:
    """The one option whose value, a number or yes or no, the text states: ``"12"`` for ``"$12.00"``."""
    value = read(text, None, stated)
    matching = [index for index, option in enumerate(options) if value == read(option.translate(_SAME), None, True)]
    return matching[0] if value is not None and len(matching) == 1 else None


_READERS: dict[str, Reader] = {
    "option": _read_option,
    "number": _read_number,
    "yes_no": _read_yes_no,
    "text": _read_text,
}
