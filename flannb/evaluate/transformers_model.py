"""Any sequence-to-sequence checkpoint of Hugging Face ``transformers``, as the suites take it.

``transformers`` and ``torch`` are optional: ``pip install 'flannb[transformers]'``. Weights are read from safetensors
only, and no code that comes with a checkpoint is run.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flannb.errors import UserError
from flannb.evaluate.models import Progress, digest_of

if TYPE_CHECKING:
    from flannb.model import Likelihood

_PROBE = ("one question", "and its answer")


class TransformersModel:
    """A sequence-to-sequence checkpoint with its tokenizer.

    Args:
        checkpoint: a folder, or a name on the Hugging Face Hub.
        batch_size: prompts a batch.
        device: such as ``cuda`` or ``cpu``; the first GPU by default, where there is one.
        dtype: such as ``float32`` or ``bfloat16``.
        revision: on the Hub, a branch, tag or commit.

    Raises:
        UserError: the packages are missing, or the checkpoint is not one of this kind in safetensors.
    """

    def __init__(
        self,
        checkpoint: str,
        batch_size: int = 32,
        device: str = "",
        dtype: str = "float32",
        revision: str | None = None,
    ):
        try:
            import torch
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        except ImportError as error:
            raise UserError(
                f"{checkpoint}: needs transformers and torch ({error}); run pip install 'flannb[transformers]'"
            ) from error
        options = {"revision": revision, "trust_remote_code": False}
        self._torch, self._device = torch, device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(checkpoint, **options)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                checkpoint, use_safetensors=True, dtype=getattr(torch, dtype), **options
            )
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(
                f"{checkpoint}: not a sequence-to-sequence checkpoint in safetensors with its tokenizer ({error});"
                " name another"
            ) from error
        # Narrowed to what the digest reads: all weights in float32 may be twice as much as the model.
        rows = {
            name: (weight[0] if weight.ndim > 1 else weight).detach().float()
            for name, weight in model.named_parameters()
        }
        self.name, self.batch_size = f"{checkpoint}@{digest_of(dtype, rows)}", batch_size
        self.model = model.to(self._device).eval()
        self.prefix: Sequence[int]
        self.suffix: Sequence[int]
        self.prefix, self.suffix = self._marks()
        # Checked and not assumed: byte-level vocabularies, for one, hold the spaces.
        first, second = self.encode(_PROBE)
        self.joins = all(whole == first + second for whole in self.encode(["\n\n".join(_PROBE), " ".join(_PROBE)]))

    def _marks(self) -> tuple[list[int], list[int]]:
        """The token ids that the tokenizer puts before and after a text."""
        marked, bare = (self.tokenizer(_PROBE[0], add_special_tokens=added).input_ids for added in (True, False))
        start = next(i for i in range(len(marked)) if marked[i : i + len(bare)] == bare)
        return marked[:start], marked[start + len(bare) :]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without the tokenizer's marks."""
        return self.tokenizer(list(texts), add_special_tokens=False).input_ids if texts else []

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of tokens, without special tokens."""
        return self.tokenizer.batch_decode([list(row) for row in ids], skip_special_tokens=True)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Token ids and mask, both (rows, longest), on the device."""
        width = max(map(len, rows))
        padding = self.model.config.pad_token_id or 0
        ids = [[*row, *[padding] * (width - len(row))] for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return tuple(self._torch.tensor(each, device=self._device) for each in (ids, mask))

    def _batches(self, prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Indices of prompts of like length, the longest first, so that lack of memory shows at once."""
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def prepare(self, longest: int, lengths: Sequence[int], scores: bool) -> None:
        """Does nothing: nothing is compiled."""

    def generate(
        self, prompts: Sequence[Sequence[int]], max_length: int, progress: Progress = lambda done: None
    ) -> list[list[int]]:
        """Greedy continuations, without the marks of their start, end and padding."""
        results: list[list[int]] = [[] for _ in prompts]
        # Others, such as T5's sentinels, are tokens that a model writes; decoding leaves them out.
        marks = {self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, self.model.config.decoder_start_token_id}
        done = 0
        for chosen in self._batches(prompts):
            ids, mask = self._padded([prompts[i] for i in chosen])
            with self._torch.inference_mode():
                output = self.model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=max_length, do_sample=False, num_beams=1
                )
            for i, row in zip(chosen, output.tolist(), strict=True):
                results[i] = [token for token in row if token not in marks]
            done += len(chosen)
            progress(done)
        return results

    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        progress: Progress = lambda done: None,
    ) -> "list[list[Likelihood]]":
        """The likelihood of each continuation of each prompt; each prompt passes the encoder once."""
        from flannb.model.score import Likelihood

        torch = self._torch
        results: list[list[Likelihood]] = [[] for _ in prompts]
        done, start = 0, self.model.config.decoder_start_token_id
        for chosen in self._batches(prompts):
            owners = [k for k, i in enumerate(chosen) for _ in continuations[i]]
            options = [option for i in chosen for option in continuations[i]]
            done += len(chosen)
            if options:
                ids, mask = self._padded([prompts[i] for i in chosen])
                targets, counted = self._padded(options)
                inputs, _ = self._padded([[start, *option[:-1]] for option in options])
                with torch.inference_mode():
                    memory = self.model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
                    logits = self.model(
                        encoder_outputs=(memory[owners],), attention_mask=mask[owners], decoder_input_ids=inputs
                    ).logits.float()
                    logs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0] * counted
                    best = (logits.argmax(-1) == targets) | (counted == 0)
                sums, greedy = np.asarray(logs.double().sum(-1).cpu()), np.asarray(best.all(-1).cpu())
                for owner, log, is_greedy in zip(owners, sums, greedy, strict=True):
                    results[chosen[owner]].append(Likelihood(float(log), bool(is_greedy)))
            progress(done)
        return results
