"""What a run would take, without its weights: parameters, memory and time from the configuration and a short measurement.

Memory: frozen weights, the adapter with gradients and two moments in float32, activations of one forward pass. With
recomputation only the layers' inputs are kept, and one layer's insides. Time: a frozen base costs 2 FLOP per parameter and token
forward and 2 backward (its weights need no gradients), 2 more with recomputation; the device's rate is measured by multiplying
matrices of the model's width for a moment, and part of it is reached in training.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from transformers import PreTrainedModel

from vouchrec.agent.llm.local import best_dtype
from vouchrec.finetune.bases import Base, empty_model, use_four_bit
from vouchrec.finetune.dataset import Dataset
from vouchrec.finetune.examples import Example
from vouchrec.finetune.lora import lora_size, target_modules
from vouchrec.finetune.rows import Schedule
from vouchrec.finetune.settings import AdaptConfig
from vouchrec.finetune.tune import Encoded, encode

REACHED = 0.5
"""Part of the measured rate of large matrix products that training reaches."""
SAMPLE = 400
"""Examples whose tokens are counted; the rest is taken to be like them."""
_INSIDES = 34
"""Bytes per token and hidden unit that one layer's insides take in 16 bits (Korthikanti et al., MLSys 2023)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take.

    Attributes:
        longest, average: Tokens of an example; `answers` of its answer alone.
        parameters, trained: Of the base, and of the adapter.
        weights, adapter, activations: Bytes.
        seconds: Time of all steps.
        rate: FLOP per second that matrix products reached here.
    """

    examples: int
    too_long: int
    longest: int
    average: float
    answers: float
    steps: int
    tokens: int
    parameters: int
    trained: int
    modules: tuple[str, ...]
    weights: int
    adapter: int
    activations: int
    seconds: float
    rate: float
    device: str
    four_bit: bool

    @property
    def memory(self) -> int:
        """Bytes in all."""
        return self.weights + self.adapter + self.activations


def estimate(config: AdaptConfig, base: Base, dataset: Dataset) -> Estimate:
    """Estimate a run; no weights are loaded.

    Raises:
        ConfigError: The architecture has nothing to adapt.
    """
    model = empty_model(base.config)
    modules = config.dials.modules or target_modules(model)
    trained = lora_size(model, modules, config.dials.rank)
    parameters = sum(p.numel() for p in model.parameters())
    four_bit, dtype = use_four_bit(config.four_bit), best_dtype()
    sampled = random.Random(0).sample(list(dataset.train), min(SAMPLE, len(dataset.train)))
    encoded = [encode(base.tokenizer, e) for e in sampled]
    fitting = [e for e in encoded if len(e.ids) <= config.length]
    share = len(fitting) / max(1, len(encoded))
    examples = round(share * len(dataset.train))
    steps = _steps(config, examples, fitting)
    average = mean([len(e.ids) for e in fitting] or [0])
    checkpointing = config.checkpointing == "on" or (config.checkpointing == "auto" and torch.cuda.is_available())
    tokens = round(steps * config.loop.batch * average)
    rate = matrix_rate(_hidden(model), dtype)
    flops = (6 if checkpointing else 4) * (parameters - _embeddings(model)) + 6 * trained
    return Estimate(
        examples=examples,
        too_long=len(dataset.train) - examples,
        longest=max([len(e.ids) for e in fitting] or [0]),
        average=average,
        answers=mean([sum(label >= 0 for label in e.labels) for e in fitting] or [0]),
        steps=steps,
        tokens=tokens,
        parameters=parameters,
        trained=trained,
        modules=modules,
        weights=_weight_bytes(model, parameters, dtype, four_bit=four_bit),
        adapter=trained * 4 * 4,
        activations=_activation_bytes(config, model, fitting, checkpointing=checkpointing),
        seconds=tokens * flops / (rate * REACHED),
        rate=rate,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads",
        four_bit=four_bit,
    )


def matrix_rate(width: int, dtype: torch.dtype) -> float:
    """Return the FLOP per second of products of (512, width) by (width, 4 width) here, measured for about 0.3 s."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.ones(512, width, dtype=dtype, device=device)
    b = torch.ones(width, 4 * width, dtype=dtype, device=device)
    (a @ b).sum().item()
    count, started = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - started < 0.3:
        (a @ b).sum().item()
        count += 1
    return count * 2 * 512 * width * 4 * width / (time.perf_counter() - started)


def lines(found: Estimate, base: Base, dataset: Dataset, config: AdaptConfig, *, shown: int = 1) -> list[str]:
    """Return an estimate as lines to print: examples of every skill, then counts, memory and time."""
    text: list[str] = []
    for skill in dataset.counts():
        for example in [e for e in dataset.train if e.skill == skill][:shown]:
            text += _example_lines(example)
    about = "about " if base.borrowed else ""
    counts = ", ".join(f"{skill} {a:,} + {b:,}" for skill, (a, b) in dataset.counts().items())
    text += [
        f"examples      {counts} (training + validation); {found.too_long:,} longer than --length {config.length}",
        f"tokens        {about}{found.average:.0f} an example, {about}{found.answers:.0f} of them learned, "
        f"{about}{found.longest} the longest",
        f"steps         {found.steps:,} of {config.loop.batch} examples: {about}{found.tokens:,} tokens",
        f"parameters    {found.parameters / 1e6:,.1f}M in the base, {found.trained / 1e6:,.2f}M trained "
        f"(rank {config.dials.rank} on {', '.join(found.modules)})",
        f"memory        {_gb(found.memory)}: weights {_gb(found.weights)}{' in 4-bit' if found.four_bit else ''}, "
        f"adapter with optimizer {_gb(found.adapter)}, activations {_gb(found.activations)}",
        f"time          {_duration(found.seconds)} on this {found.device} "
        f"({found.rate / 1e12:.2f} TFLOP/s measured, {REACHED:.0%} of it assumed)",
    ]
    if base.borrowed:
        text.append(f"note          {base.name} has no tokenizer here: tokens are counted with the built-in one.")
    if base.template:
        text.append(f"note          {base.name} has no chat template: a plain one is used, and kept with the adapter.")
    return [*text, *(f"note          {note}" for note in dataset.notes)]


def _example_lines(example: Example) -> list[str]:
    prompt = "\n".join(f"  {line}" for m in example.messages for line in m.content.splitlines())
    return [f"--- {example.skill}", prompt, f"  -> {example.answer}"]


def _steps(config: AdaptConfig, examples: int, fitting: Sequence[Encoded]) -> int:
    if config.loop.max_steps:
        return config.loop.max_steps
    passes = max(1, -(-config.loop.batch // config.loop.micro_batch))
    per_sample = (
        Schedule(fitting, micro=config.loop.micro_batch, passes=passes, seed=1).steps_per_epoch if fitting else 1
    )
    return max(1, round(config.loop.epochs * per_sample * examples / max(1, len(fitting))))


def _weight_bytes(model: torch.nn.Module, parameters: int, dtype: torch.dtype, *, four_bit: bool) -> int:
    size = torch.finfo(dtype).bits // 8
    if not four_bit:
        return parameters * size
    outside = _embeddings(model)
    return round((parameters - outside) * 0.52) + outside * size  # 4 bits, and 0.13 for doubly quantised scales


def _activation_bytes(
    config: AdaptConfig, model: PreTrainedModel, fitting: Sequence[Encoded], *, checkpointing: bool
) -> int:
    width = max([len(e.ids) for e in fitting] or [config.length])
    tokens = config.loop.micro_batch * width
    hidden, layers = _hidden(model), _layers(model)
    scale = torch.finfo(best_dtype()).bits / 16
    inside = _INSIDES * tokens * hidden * scale
    kept = layers * 2 * tokens * hidden * scale + inside if checkpointing else layers * inside
    answers = max([sum(label >= 0 for label in e.labels) for e in fitting] or [1])
    logits = config.loop.micro_batch * (answers + 1) * int(getattr(model.config, "vocab_size", 0)) * 4 * 3
    return round(kept + logits)


def _hidden(model: PreTrainedModel) -> int:
    return int(getattr(model.config.get_text_config(), "hidden_size", 0) or 768)


def _layers(model: PreTrainedModel) -> int:
    return int(getattr(model.config.get_text_config(), "num_hidden_layers", 0) or 1)


def _embeddings(model: torch.nn.Module) -> int:
    """Return the parameters that are looked up, not multiplied."""
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    looked_up = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Embedding))
    return 0 if tied else looked_up


def _gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} minutes" if seconds < 7200 else f"about {seconds / 3600:.1f} hours"
