"""A causal language model on this machine: transformers, with a PEFT adapter; batched sampling, constrained JSON.

The only importer of transformers and peft on the serving side. Decoding is a plain loop over the model's forward pass with a
key/value cache: for the small built-in model, `generate()`'s own overhead costs more than its arithmetic.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from vouchrec.agent.llm.base import Completion, JsonSchema, Message
from vouchrec.agent.llm.constrain import Grammars, Guide
from vouchrec.agent.llm.fingerprint import fingerprint
from vouchrec.retrieval.errors import ModelError

BUILTIN_DIR = Path(__file__).parent.parent / "builtin"
TOP_P = 0.92
MARK = "vouch.json"
"""File in an adapter folder that says the adapter was trained on Vouch's own prompts, and on which base."""
TEMPLATE_FILE = "chat_template.jinja"
"""Chat template that an adapter brings for a base that has none."""


class LocalModel:
    """A causal language model by path or Hugging Face name, with an optional LoRA adapter merged into it.

    Raises:
        ModelError: The path is not a causal language model, has no chat template, or the adapter belongs to another base.
    """

    def __init__(
        self, base: str, *, adapter: Path | None = None, name: str = "", dtype: torch.dtype | None = None
    ) -> None:
        transformers_logging.disable_progress_bar()
        self.name = name or (f"{base}+{adapter.name}" if adapter else base)
        self._tokenizer = load_tokenizer(base, adapter=adapter)
        if adapter is not None:
            check_base(adapter, base)
        model = load_base(base, dtype or best_dtype())
        if adapter is not None:
            model = merge_adapter(model, adapter, base)
        self._model = cast("PreTrainedModel", torch.nn.Module.to(model.eval(), _device()))
        self.specialist = _is_specialist(adapter or Path(base))
        self._grammars = Grammars(self._tokenizer, int(model.config.vocab_size))
        self._end = _end_tokens(self._tokenizer, model)
        self._lock = threading.Lock()

    # ---- the seam ---------------------------------------------------------------------------------------------

    def generate(
        self,
        messages: Sequence[Message],
        *,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yield the answer in pieces as it is written."""
        if constraint is not None:
            yield self._constrained(self._ids(messages), self._grammars.start(constraint), max_tokens).text
            return
        shown = ""
        tokens: list[int] = []
        for column, _ in self._steps([self._ids(messages)], _Sampler(temperature, seed), max_tokens):
            if column[0] in self._end:
                break
            tokens.append(column[0])
            text = self._text(tokens)
            if not text.endswith("\ufffd"):  # an unfinished character waits for its other bytes
                yield text[len(shown) :]
                shown = text
        yield self._text(tokens)[len(shown) :]

    def complete(
        self,
        batch: Sequence[Sequence[Message]],
        *,
        n: int = 1,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """Return n answers for each prompt; unconstrained ones are decoded as one batch."""
        prompts = [self._ids(messages) for messages in batch]
        if constraint is not None:
            return [[self._constrained(ids, self._grammars.start(constraint), max_tokens)] * n for ids in prompts]
        rows = [ids for ids in prompts for _ in range(n)]
        done = self._sample(rows, _Sampler(temperature, seed), max_tokens) if rows else []
        return [done[i * n : (i + 1) * n] for i in range(len(prompts))]

    def score(self, messages: Sequence[Message], choices: Sequence[str]) -> list[float]:
        """Return the total log-probability of each choice as the answer.

        The prompt is read once; choices of one token, such as letters, cost nothing more.
        """
        prompt = self._ids(messages)
        answers = [self._tokenizer.encode(choice, add_special_tokens=False) for choice in choices]
        with self._lock, torch.inference_mode():
            cache = DynamicCache()
            first = torch.log_softmax(self._forward(prompt, cache).float(), dim=-1)
            found = [float(first[answer[0]]) if answer else 0.0 for answer in answers]
            longer = [i for i, answer in enumerate(answers) if len(answer) > 1]
            if longer:
                for i, rest in zip(longer, self._continued([answers[i] for i in longer], cache), strict=True):
                    found[i] += rest
        return found

    def _continued(self, answers: Sequence[list[int]], cache: DynamicCache) -> list[float]:
        """Return the log-probability of each answer after its first token, in one batch behind the prompt of the cache."""
        cache.batch_repeat_interleave(len(answers))
        width = max(len(answer) for answer in answers) - 1
        # What is filled up stands behind the answer, where no token of it can look.
        rows = [answer[:-1] + [answer[-1]] * (width - len(answer) + 1) for answer in answers]
        ids = torch.tensor(rows, device=self._model.device)
        logits = self._model(input_ids=ids, past_key_values=cache, use_cache=True).logits.float()
        logprobs = torch.log_softmax(logits, dim=-1)
        return [
            float(logprobs[row, torch.arange(len(answer) - 1), torch.tensor(answer[1:])].sum())
            for row, answer in enumerate(answers)
        ]

    def tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of a prompt in tokens."""
        return len(self._ids(messages))

    # ---- decoding ---------------------------------------------------------------------------------------------

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        return self._tokenizer.encode(render_chat(self._tokenizer, messages), add_special_tokens=False)

    def _text(self, tokens: Sequence[int]) -> str:
        return cast("str", self._tokenizer.decode(list(tokens), skip_special_tokens=True)).strip("\n")

    def _constrained(self, prompt: list[int], guide: Guide, max_tokens: int) -> Completion:
        """Greedy JSON: forced tokens go in together, choices one by one."""
        cache = DynamicCache()
        pending, written = list(prompt), list[int]()
        total, mass, choices = 0.0, 1.0, 0
        with self._lock, torch.inference_mode():
            while len(written) < max_tokens:
                forced = guide.forced()
                pending += forced
                written += forced
                if guide.done:
                    break
                logits = self._forward(pending, cache)
                probabilities = torch.softmax(logits.float(), dim=-1)
                allowed = torch.from_numpy(guide.allowed()).to(probabilities.device)
                legal = torch.where(allowed, probabilities, 0.0)
                mass = min(mass, float(legal.sum()))
                token = int(legal.argmax())
                total += float(torch.log(legal[token].clamp_min(1e-9)))
                choices += 1
                guide.take(token)
                pending = [token]
                written.append(token)
        finished = guide.done
        return Completion(self._text(written), total / max(choices, 1), mass, finished)

    def _forward(self, tokens: Sequence[int], cache: DynamicCache) -> torch.Tensor:
        ids = torch.tensor([list(tokens)], device=self._model.device)
        return self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]

    def _sample(self, rows: Sequence[list[int]], sampler: _Sampler, max_tokens: int) -> list[Completion]:
        texts: list[list[int]] = [[] for _ in rows]
        sums = [0.0] * len(rows)
        open_rows = set(range(len(rows)))
        for column, logprobs in self._steps(rows, sampler, max_tokens):
            for i in tuple(open_rows):
                sums[i] += logprobs[i]
                if column[i] in self._end:
                    open_rows.discard(i)
                else:
                    texts[i].append(column[i])
            if not open_rows:
                break
        return [
            Completion(self._text(tokens), sums[i] / (len(tokens) + 1), finished=i not in open_rows)
            for i, tokens in enumerate(texts)
        ]

    def _steps(
        self, rows: Sequence[list[int]], sampler: _Sampler, max_tokens: int
    ) -> Iterator[tuple[list[int], list[float]]]:
        """Yield for every step the next token of each row and its log-probability; the model is locked for the step only."""
        width = max(len(row) for row in rows)
        pad = self._tokenizer.pad_token_id or 0
        device = self._model.device
        ids = torch.tensor([[pad] * (width - len(r)) + r for r in rows], device=device)
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=device)
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        cache = DynamicCache()
        for _ in range(max_tokens):
            with self._lock, torch.inference_mode():
                output = self._model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                chosen, logprobs = sampler.pick(output.logits[:, -1].float())
            yield chosen.tolist(), logprobs.tolist()
            ids = chosen[:, None]
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
            positions = positions[:, -1:] + 1


class _Sampler:
    """Nucleus sampling with a seed; greedy at temperature 0."""

    def __init__(self, temperature: float, seed: int) -> None:
        self.temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)

    def pick(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (rows,) tokens and their log-probabilities under the unsharpened model."""
        logprobs = torch.log_softmax(logits, dim=-1)
        if self.temperature <= 0:
            chosen = logits.argmax(dim=-1)
        else:
            weights = torch.softmax(logits / self.temperature, dim=-1).cpu()
            ordered, order = weights.sort(dim=-1, descending=True)
            ordered[ordered.cumsum(-1) - ordered > TOP_P] = 0.0
            drawn = torch.multinomial(ordered, 1, generator=self._generator)
            chosen = order.gather(-1, drawn).squeeze(-1).to(logits.device)
        return chosen, logprobs.gather(-1, chosen[:, None]).squeeze(-1)


# ---- loading ----------------------------------------------------------------------------------------------------


def builtin_model(*, adapter: Path | None = None) -> LocalModel:
    """Load the built-in base with its adapter, or with another one.

    Raises:
        ModelError: The packaged weights are absent or the adapter does not fit.
    """
    if not (BUILTIN_DIR / "base" / "config.json").is_file():
        raise ModelError(
            "The built-in language model is missing from this installation.", hint="Install vouchrec again."
        )
    return LocalModel(str(BUILTIN_DIR / "base"), adapter=adapter or BUILTIN_DIR / "adapter", name="vouch-builtin")


def load_tokenizer(base: str, *, adapter: Path | None = None) -> PreTrainedTokenizerFast:
    """Load a tokenizer with a chat template: its own, or for a base without one that of the adapter trained on it.

    Raises:
        ModelError: There is none.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        raise _not_a_model(base, error) from error
    brought = adapter / TEMPLATE_FILE if adapter else None
    if not tokenizer.chat_template and brought and brought.is_file():
        tokenizer.chat_template = brought.read_text(encoding="utf-8")
    if not tokenizer.chat_template:
        hint = "Use an instruction-tuned model, or add a chat_template to its tokenizer."
        raise ModelError(f"{base} has no chat template.", hint=hint)
    return cast("PreTrainedTokenizerFast", tokenizer)


def render_chat(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], *, open_turn: bool = True) -> str:
    """Return messages as the model reads them, for serving and for training alike.

    A template that offers to think first is told not to: the answers are short and have a form.

    Args:
        open_turn: The assistant's turn begins at the end; False where the messages hold the answer.
    """
    chat = [{"role": m.role, "content": m.content} for m in messages]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=open_turn, tokenize=False, enable_thinking=False)
    return cast("str", text)


def load_base(base: str, dtype: torch.dtype) -> PreTrainedModel:
    """Load a causal language model.

    Raises:
        ModelError: The path or name is not one.
    """
    try:
        config = AutoConfig.from_pretrained(base)
        kinds: Sequence[str] = config.architectures or ()
        if kinds and not any("CausalLM" in k or "LMHead" in k or "ConditionalGeneration" in k for k in kinds):
            raise ModelError(
                f"{base} is a {kinds[0]}, not a causal language model.", hint="Use a model that writes text."
            )
        return cast("PreTrainedModel", AutoModelForCausalLM.from_pretrained(base, dtype=dtype))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _not_a_model(base, error) from error


def check_base(adapter: Path, base: str) -> None:
    """Refuse an adapter that says which weights it was trained on, when the base has others of the same shape.

    Raises:
        ModelError: The base is another.
    """
    mark = _mark(adapter)
    wanted = mark.get("fingerprint")
    found = fingerprint(base) if wanted else ""
    if wanted and found and found != wanted:
        hint = f"Use it with the base that it was trained on: {mark.get('base')}."
        raise ModelError(f"Adapter {adapter} does not fit {base}: it was trained on other weights.", hint=hint)


def merge_adapter(model: PreTrainedModel, adapter: Path, base: str) -> PreTrainedModel:
    """Return the model with a LoRA adapter merged into its weights.

    Raises:
        ModelError: The folder is not an adapter, is damaged, or belongs to another base.
    """
    import peft

    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(f"{adapter} is not a LoRA adapter: it has no adapter_config.json.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it would warn of is refused below
            wrapped = peft.PeftModel.from_pretrained(model, str(adapter))
        _check_names(wrapped, adapter)
        return cast("PreTrainedModel", wrapped.merge_and_unload())
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        hint = "Train it again with `vouch finetune`, or name the base it was trained on."
        raise ModelError(f"Adapter {adapter} does not fit {base}: {_first_line(error)}.", hint=hint) from error


def _check_names(wrapped: torch.nn.Module, adapter: Path) -> None:
    """Refuse an adapter that lacks weights for the base or has some for layers that the base lacks; PEFT passes over both.

    Raises:
        ValueError: With the first name that differs.
    """
    import peft

    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
        saved = set(file.keys())
    differing = saved ^ set(peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False))
    if differing:
        raise ValueError(f"weights differ, for instance {min(differing)}")


def best_dtype() -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it natively, else float32."""
    if torch.cuda.is_available():
        return torch.bfloat16
    # torch has no public question for this; without the private one float32 is always right, only slower.
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if callable(ask) and ask() else torch.float32


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _end_tokens(tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel) -> frozenset[int]:
    configured: object = model.generation_config.eos_token_id if model.generation_config else None
    ends = [
        tokenizer.eos_token_id,
        *(cast("list[object]", configured) if isinstance(configured, list) else [configured]),
    ]
    return frozenset(e for e in ends if isinstance(e, int))


def _is_specialist(folder: Path) -> bool:
    return bool(_mark(folder).get("specialist"))


def _mark(folder: Path) -> dict[str, object]:
    try:
        found: object = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _not_a_model(base: str, error: Exception) -> ModelError:
    hint = "Give a folder with config.json, tokenizer and weights, a Hugging Face name with a network, or 'builtin'."
    return ModelError(f"'{base}' can't be loaded as a language model: {_first_line(error)}.", hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
