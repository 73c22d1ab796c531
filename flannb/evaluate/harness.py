"""flannb's models in lm-evaluation-harness (github.com/EleutherAI/lm-evaluation-harness).

``pip install 'flannb[lm-eval]'``, and then any task of the harness runs on any checkpoint::

    lm_eval --model flannb --model_args checkpoint=DIR --batch_size 64 --tasks arc_easy

The harness finds the adapter by the entry point ``lm_eval.models``, which releases up to 0.4.13 do not know yet. With
these, ``python -m flannb.evaluate.harness`` takes the place of ``lm_eval``, with the same options.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from flannb.errors import UserError
from flannb.evaluate.models import FlannbModel, open_model
from flannb.model import Sampling
from flannb.progress import Bar


@register_model("flannb")
class FlannbLM(TemplateLM):
    """A checkpoint as the harness takes it; the options of a question share one pass of the encoder.

    As with the harness's own sequence-to-sequence models, prompts end with the end mark, continuations do not have one,
    and a prompt that is too long loses its beginning.

    Args:
        checkpoint: a model's folder or address, as ``flannb.model.load_checkpoint`` takes it.
        tokenizer: a SentencePiece model, where the checkpoint has none.
        batch_size: prompts a batch, as the harness's ``--batch_size`` says, which is 1 by default; ``auto`` is 64.
        max_length: most tokens of a prompt.
        max_gen_toks: most tokens generated, where a task does not say.
        dtype: ``float32``, or ``mixed_bfloat16`` on accelerators.
        seed: of the draws, where a task asks for sampling.
        device, max_batch_size: passed by the harness; JAX uses all devices that it sees.

    Raises:
        UserError: no such checkpoint or tokenizer, or a task that asks for beams.
    """

    backend = "seq2seq"

    def __init__(
        self,
        checkpoint: str,
        tokenizer: str = "",
        batch_size: int | str = 64,
        max_length: int = 2048,
        max_gen_toks: int = 256,
        dtype: str = "float32",
        seed: int = 0,
        device: str | None = None,
        max_batch_size: int | None = None,
    ):
        super().__init__()
        size = 64 if str(batch_size).startswith("auto") else int(batch_size)
        # The prompts' end mark and the way of scoring are those of flannb's models, whatever else could compute them.
        self.model = cast(FlannbModel, open_model(str(checkpoint), str(tokenizer), size, dtype, library="flannb"))
        self.max_length, self.max_gen_toks, self.seed = int(max_length), int(max_gen_toks), int(seed)

    @property
    def eot_token_id(self) -> int:
        """The end mark, which the harness also puts before a text that has no prompt."""
        return self.model.suffix[-1]

    @property
    def tokenizer_name(self) -> str:
        """Tells the harness's caches of different models apart; without slashes, since it is part of a file's name."""
        return self.model.name.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids, with the end mark unless ``add_special_tokens`` is False."""
        ids = self.model.encode([string])[0]
        return ids if add_special_tokens is False else [*self.model.prefix, *ids, *self.model.suffix]

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        by_prompt: dict[tuple[int, ...], list[int]] = {}
        for i, (_, prompt, _) in enumerate(requests):
            by_prompt.setdefault(tuple(prompt[-self.max_length :]), []).append(i)
        options = [[requests[i][2] for i in members] for members in by_prompt.values()]
        with Bar(total=len(by_prompt), desc="scoring", unit="prompt", disable=disable_tqdm) as bar:
            found = self.model.score(list(by_prompt), options, lambda done: bar.update(done - bar.n))
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for members, likelihoods in zip(by_prompt.values(), found, strict=True):
            for i, likelihood in zip(members, likelihoods, strict=True):
                answers[i] = (likelihood.log, likelihood.greedy)
        for (text, _, _), answer in zip(requests, answers, strict=True):
            if text is not None:  # None is a window of a longer text
                self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Natural logarithm of the probability of each whole text, the sum over windows of ``max_length`` tokens."""
        windows: list[tuple[Any, list[int], list[int]]] = []
        owners: list[int] = []
        for owner, request in enumerate(requests):
            pieces = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for prompt, continuation in map(make_disjoint_window, pieces):
                windows.append((None, prompt, continuation))
                owners.append(owner)
        sums = [0.0] * len(requests)
        for owner, (log, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            sums[owner] += log
        return sums

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Each request's continuation up to its first stop sequence.

        Raises:
            UserError: a task asks for beams, or for sampling with a value out of range.
        """
        groups: dict[tuple[int, Sampling | None], list[int]] = {}
        stops: list[Sequence[str]] = []
        for i, request in enumerate(requests):
            options = normalize_gen_kwargs(request.args[1], self.max_gen_toks)
            stops.append(handle_stop_sequences(options["until"], eos=None))
            groups.setdefault((options["max_gen_toks"], self._sampling(options)), []).append(i)
        texts = [""] * len(requests)
        with Bar(total=len(requests), desc="generating", unit="prompt", disable=disable_tqdm) as bar:
            for (limit, sampling), members in groups.items():
                prompts = [self.tok_encode(requests[i].args[0])[-self.max_length :] for i in members]
                progress = partial(_advance, bar, int(bar.n))
                output = self.model.generate(prompts, limit, progress, sampling)
                for i, text in zip(members, self.model.decode(output), strict=True):
                    texts[i] = postprocess_generated_text(text, list(stops[i]), None)
                    self.cache_hook.add_partial("generate_until", requests[i].args, texts[i])
        return texts

    def _sampling(self, options: dict[str, Any]) -> Sampling | None:
        """How a task has tokens drawn, in the terms of ``transformers``; ``None`` for greedy decoding."""
        if options.get("num_beams", 1) != 1:
            raise UserError("flannb decodes greedily or samples; give the task no num_beams")
        if not options["do_sample"]:
            return None
        temperature, top_p = float(options.get("temperature", 1.0)), float(options.get("top_p", 1.0))
        return Sampling(temperature, int(options.get("top_k", 50)), top_p, self.seed)  # 50: the default there


def _advance(bar: Bar, before: int, done: int) -> None:
    bar.update(before + done - bar.n)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
