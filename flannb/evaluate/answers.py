"""What a model answers to prompts, by generation and by ranking, and how that is read and scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flannb.evaluate.extract import correct, extract, problem
from flannb.evaluate.metrics import squad_f1
from flannb.evaluate.models import Progress, Seq2Seq
from flannb.evaluate.prompts import Prompt, Tokens, tokenize
from flannb.evaluate.record import MODES

if TYPE_CHECKING:
    from flannb.model import Likelihood


@dataclass(frozen=True)
class Answers:
    """What a model made of prompts, before it is read.

    Attributes:
        tokens: of each prompt.
        texts: generated for each, or none.
        likelihoods: of those that were ranked, by their positions: each option's likelihood, and its number of tokens.
            A prompt with an option that is no token, such as one of invisible signs, is not.
    """

    tokens: Sequence[Tokens]
    texts: Sequence[str]
    likelihoods: "Mapping[int, tuple[Sequence[Likelihood], Sequence[int]]]"


def answer(
    prompts: Sequence[Prompt],
    model: Seq2Seq,
    prompt_limit: int,
    longest: int,
    modes: Sequence[str] = MODES[:1],
    progress: Progress = lambda done: None,
) -> list[list[dict[str, Any]]]:
    """What a model answers to prompts, scored: ``ask`` and ``read_answers`` in one."""
    return read_answers(prompts, ask(prompts, model, prompt_limit, longest, modes, progress), modes)


def ask(
    prompts: Sequence[Prompt],
    model: Seq2Seq,
    prompt_limit: int,
    longest: int,
    modes: Sequence[str] = MODES[:1],
    progress: Progress = lambda done: None,
) -> Answers:
    """What a model generates for prompts, and how likely it finds their options.

    Args:
        prompt_limit: most tokens of a prompt.
        longest: most tokens generated.
        modes: of ``flannb.evaluate.record.MODES``.
        progress: called with how many are done, of all prompts that are generated for and those that are ranked.
    """
    tokens = tokenize(prompts, model, prompt_limit)
    ids, texts = [t.ids for t in tokens], []
    if "generation" in modes:
        texts = model.decode(model.generate(ids, longest, progress))
    ranked = [i for i, prompt in enumerate(prompts) if ranks(prompt)] if rankings(modes) else []
    targets = sorted({target for i in ranked for target in prompts[i].targets})
    known = dict(zip(targets, model.encode(targets), strict=True))
    ranked = [i for i in ranked if all(known[target] for target in prompts[i].targets)]
    if not ranked:
        return Answers(tokens, texts, {})
    options = [[known[target] for target in prompts[i].targets] for i in ranked]
    found = model.score([ids[i] for i in ranked], options, lambda done: progress(len(texts) + done))
    sizes = [[len(target) for target in option] for option in options]
    return Answers(tokens, texts, dict(zip(ranked, zip(found, sizes, strict=True), strict=True)))


def read_answers(prompts: Sequence[Prompt], found: Answers, modes: Sequence[str]) -> list[list[dict[str, Any]]]:
    """For each prompt its lines of ``flannb.evaluate.record.SCHEMA``: one of generation, then those of ranking."""
    lines: list[list[dict[str, Any]]] = [[] for _ in prompts]
    for i, text in enumerate(found.texts):
        lines[i].append(_generated(prompts[i], text, found.tokens[i]))
    for i, (likelihoods, sizes) in found.likelihoods.items():
        lines[i] += [_ranked(prompts[i], mode, likelihoods, sizes, found.tokens[i]) for mode in rankings(modes)]
    return lines


def rankings(modes: Sequence[str]) -> list[str]:
    """The modes that rank options."""
    return [mode for mode in modes if mode != "generation"]


def ranks(prompt: Prompt) -> bool:
    """Whether a prompt has options to rank."""
    return bool(prompt.choices) and prompt.gold in prompt.choices


def _line(prompt: Prompt, mode: str, tokens: Tokens) -> dict[str, Any]:
    return {
        "suite": prompt.suite,
        "task": prompt.task,
        "setting": prompt.setting,
        "split": prompt.split,
        "row": prompt.row,
        "mode": mode,
        "prompt": prompt.text(tokens.dropped),
        "target": prompt.gold,
        "exemplars": list(prompt.exemplar_rows[tokens.dropped :]),
        "dropped_exemplars": tokens.dropped,
        "options": list(prompt.options or prompt.choices),
        "answers": list(prompt.answers),
        "likelihoods": [],
        "problems": ["exemplars dropped"] * bool(tokens.dropped) + ["question cut"] * tokens.cut,
    }


def _generated(prompt: Prompt, prediction: str, tokens: Tokens) -> dict[str, Any]:
    options = prompt.options or None
    answer = extract(prediction, prompt.kind, options)
    if prompt.metric == "squad_f1":
        score = squad_f1(answer or "", prompt.answers)
    else:
        score = float(correct(answer, prompt.gold, prompt.kind, options))
    line = _line(prompt, "generation", tokens) | {"prediction": prediction, "extraction": answer, "score": score}
    unread = problem(prediction, answer, prompt.kind, options)
    line["problems"] += [unread] if unread else []
    return line


def _ranked(
    prompt: Prompt, mode: str, likelihoods: "Sequence[Likelihood]", sizes: Sequence[int], tokens: Tokens
) -> dict[str, Any]:
    per_token = mode == "ranking_per_token"
    values = [each.log / (size if per_token else 1) for each, size in zip(likelihoods, sizes, strict=True)]
    choice = prompt.choices[int(np.argmax(values))]
    return _line(prompt, mode, tokens) | {
        "prediction": choice,
        "extraction": choice,
        "score": float(choice == prompt.gold),
        "likelihoods": values,
    }
