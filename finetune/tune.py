"""Fine-tuning: examples -> a LoRA adapter on a causal language model, completion-only loss, packed sequences.

Run as `python -m vouchrec.finetune.tune --base DIR --out DIR --minutes 20`; the examples are made from the authored data and the
built-in catalogue.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from vouchrec.agent.annotations import read_messages
from vouchrec.agent.link import Linker
from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.local import MARK, best_dtype, load_base, load_tokenizer, render_chat
from vouchrec.agent.redial_annotations import read_redial
from vouchrec.finetune.examples import (
    AUTHORED,
    REDIAL_ANNOTATIONS,
    Example,
    read_reasons,
    reason_examples,
    split_groups,
    understanding_examples,
)
from vouchrec.finetune.lora import LoraDials, add_lora, trainable_parameters
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ConfigError

Row: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Token ids, labels and positions of one packed sequence, each (length,) int64, and weights of its labels, (length,) float32."""
log = logging.getLogger(__name__)
MUON_RATIO = 5.0
"""Muon's learning rate over AdamW's."""
SPLIT_SEED = 1
"""Decides which authored lines are held out: the same in every run, so that a later stage never learns an earlier one's."""
IGNORE = -100
"""Label of tokens that are not learned."""
SKILL_WEIGHT = {"understand": 4.0}
"""Weight of an answer token by skill, else 1: of a reading two or three tokens are in doubt, of a reason thirty."""


@dataclass(frozen=True, slots=True)
class TuneConfig:
    """One fine-tuning run.

    Attributes:
        base: Folder or name of the base model.
        out: Folder of the finished adapter.
        minutes: Wall-clock budget.
        rate: Peak learning rate.
        length: Tokens of one packed sequence.
        batch: Sequences of one optimizer step.
        held_out: Fraction of authored lines kept for validation.
        whole: Train all weights instead of an adapter: the middle stage of a base of our own. `out` is then a base model.
    """

    base: str
    out: Path
    minutes: float = 20.0
    rate: float = 3e-3
    warmup: int = 30
    length: int = 256
    batch: int = 12
    copies: int = 12
    held_out: float = 0.04
    seed: int = 1
    whole: bool = False
    dials: LoraDials = field(default_factory=LoraDials)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example, its labels (-100 where the prompt is) and the weight of each label."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    weight: float = 1.0


def encode(tokenizer: PreTrainedTokenizerFast, example: Example) -> Encoded:
    """Render an example through the chat template; only the answer and its end token are learned."""
    prompt = render_chat(tokenizer, example.messages)
    whole = render_chat(tokenizer, (*example.messages, Message("assistant", example.answer)), open_turn=False)
    # Apart, as in serving: no token spans the end of the prompt. Some templates open a turn otherwise than they close it.
    answer = (
        whole.removeprefix(prompt) if whole.startswith(prompt) else example.answer + _closing(whole, example.answer)
    )
    if not answer.removeprefix(example.answer):
        answer += str(tokenizer.eos_token or "")
    asked, learned = (tokenizer.encode(text, add_special_tokens=False) for text in (prompt, answer))
    weight = SKILL_WEIGHT.get(example.skill, 1.0)
    return Encoded((*asked, *learned), (*(IGNORE for _ in asked), *learned), weight)


def _closing(whole: str, answer: str) -> str:
    """Return what a template writes behind an answer."""
    return whole[whole.rfind(answer) + len(answer) :] if answer in whole else ""


def pack(examples: Sequence[Encoded], length: int, rng: random.Random) -> Iterator[Row]:
    """Yield rows: shuffled examples laid end to end, none cut; the rest is padding.

    Positions begin anew at every example.
    """
    order = list(range(len(examples)))
    rng.shuffle(order)
    ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    weights: list[float] = []
    for index in order:
        example = examples[index]
        if len(example.ids) > length:
            continue
        if len(ids) + len(example.ids) > length:
            yield _padded(ids, labels, positions, weights, length)
            ids, labels, positions, weights = [], [], [], []
        ids.extend(example.ids)
        labels.extend(example.labels)
        positions.extend(range(len(example.ids)))
        weights.extend(example.weight for _ in example.ids)
    if ids:
        yield _padded(ids, labels, positions, weights, length)


def _padded(ids: list[int], labels: list[int], positions: list[int], weights: list[float], length: int) -> Row:
    room = length - len(ids)
    return (
        torch.tensor(ids + [0] * room),
        torch.tensor(labels + [IGNORE] * room),
        torch.tensor(positions + list(range(room))),
        torch.tensor(weights + [1.0] * room),
    )


def tune(config: TuneConfig, train: Sequence[Example], validation: Sequence[Example]) -> dict[str, float]:
    """Train an adapter, save it with its log, and return its final validation losses by skill.

    The finished adapter appears under its name only when it is whole.

    Raises:
        ModelError: The base can't be loaded.
        ConfigError: The dials don't fit the base, or no example fits the length.
    """
    set_seed(config.seed)
    accelerator = Accelerator(mixed_precision="bf16")
    tokenizer = load_tokenizer(config.base)
    # A frozen base stays in the precision it is multiplied in; what is trained is kept in float32.
    base = load_base(config.base, torch.float32 if config.whole else best_dtype())
    model: torch.nn.Module = base if config.whole else add_lora(base, tokenizer, config.dials)
    log.info("trainable %s of %s parameters", *trainable_parameters(model))
    prepared = cast("torch.nn.Module", accelerator.prepare(model))
    optimizers = _optimizers(model, config)
    encoded = [encode(tokenizer, e) for e in tqdm(train, desc="encoding", leave=False)]
    if all(len(e.ids) > config.length for e in encoded):
        raise ConfigError(f"There is no example of at most {config.length} tokens to learn from.")
    by_skill = {
        skill: [encode(tokenizer, e) for e in validation if e.skill == skill] for skill in ("understand", "reason")
    }
    history = _run(config, accelerator, prepared, optimizers, encoded, by_skill)
    losses = {skill: evaluate(prepared, examples, config.length) for skill, examples in by_skill.items() if examples}
    _save(config, cast("PreTrainedModel", accelerator.unwrap_model(prepared)), tokenizer, history, losses)
    return losses


def _optimizers(model: torch.nn.Module, config: TuneConfig) -> list[torch.optim.Optimizer]:
    """AdamW for an adapter; for all weights Muon for the matrices inside the layers and AdamW for the rest."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not config.whole:
        return [torch.optim.AdamW([p for _, p in named], lr=config.rate, weight_decay=0.0, betas=(0.9, 0.98))]
    matrices = [p for name, p in named if p.ndim == 2 and ".layers." in name]
    rest = [p for name, p in named if p.ndim != 2 or ".layers." not in name]
    return [
        torch.optim.Muon(matrices, lr=config.rate * MUON_RATIO, weight_decay=0.0),
        torch.optim.AdamW(rest, lr=config.rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _run(
    config: TuneConfig,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    examples: Sequence[Encoded],
    validation: dict[str, list[Encoded]],
) -> list[dict[str, float]]:
    rng = random.Random(config.seed)
    history: list[dict[str, float]] = []
    started, step, tokens = time.monotonic(), 0, 0
    batch: list[Row] = []
    model.train()
    with tqdm(total=round(config.minutes * 60), desc="fine-tuning", unit="s") as bar:
        while (done := (time.monotonic() - started) / (config.minutes * 60)) < 1:
            for row in pack(examples, config.length, rng):
                batch.append(row)
                if len(batch) < config.batch:
                    continue
                done = (time.monotonic() - started) / (config.minutes * 60)
                if done >= 1:
                    break
                for group in (g for optimizer in optimizers for g in optimizer.param_groups):
                    group["lr"] = group.setdefault("peak", group["lr"]) * rate_at(done, step, config)
                loss = _step(accelerator, model, optimizers, batch)
                tokens += sum(int((r[1] != IGNORE).sum()) for r in batch)
                batch, step = [], step + 1
                bar.update(min(bar.total, round(time.monotonic() - started)) - bar.n)
                bar.set_postfix(loss=f"{loss:.3f}", step=step)
                if step % 20 == 0:
                    history.append(
                        {"step": step, "seconds": time.monotonic() - started, "loss": loss, "answer_tokens": tokens}
                    )
                if step % 200 == 0:
                    history[-1] |= {
                        f"valid_{k}": evaluate(model, v[:400], config.length) for k, v in validation.items() if v
                    }
                    log.info("%s", history[-1])
    return history


def rate_at(done: float, step: int, config: TuneConfig) -> float:
    """Return the factor of the peak learning rate: linear warm-up over steps, then a cosine over the budget."""
    return min(1.0, (step + 1) / config.warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def _step(
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Sequence[Row],
) -> float:
    ids, labels, positions, weights = (torch.stack(part) for part in zip(*batch, strict=True))
    with accelerator.autocast():
        loss = answer_loss(model, ids, labels, positions, weights)
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def answer_loss(
    model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor, positions: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return the weighted mean cross-entropy over answer tokens; examples packed together do not see one another."""
    mask = example_mask(positions)
    logits = model(input_ids=ids, position_ids=positions, attention_mask=mask).logits[:, :-1]
    targets = labels[:, 1:].reshape(-1)
    losses = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), targets, ignore_index=IGNORE, reduction="none"
    )
    counted = weights[:, 1:].reshape(-1) * (targets != IGNORE)
    return (losses * counted).sum() / counted.sum().clamp_min(1.0)


def example_mask(positions: torch.Tensor) -> torch.Tensor:
    """Return (batch, 1, length, length) bool: a token sees itself and the earlier tokens of its own example."""
    examples = (positions == 0).cumsum(dim=1)
    same = examples[:, :, None] == examples[:, None, :]
    causal = torch.ones(positions.shape[1], positions.shape[1], dtype=torch.bool, device=positions.device).tril()
    return (same & causal)[:, None]


def evaluate(model: torch.nn.Module, examples: Sequence[Encoded], length: int) -> float:
    """Return the mean loss per answer token over examples."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in pack(examples, length, random.Random(0)):
            learned = int((row[1][1:] != IGNORE).sum())
            total += learned * float(answer_loss(model, *(part[None] for part in row)))
            count += learned
    model.train(was_training)
    return total / max(1, count)


def _save(
    config: TuneConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    history: list[dict[str, float]],
    losses: dict[str, float],
) -> None:
    temporary = config.out.with_name(config.out.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    model.save_pretrained(str(temporary))
    if config.whole:
        tokenizer.save_pretrained(str(temporary))
    else:
        (temporary / MARK).write_text(json.dumps({"specialist": True, "format": 1}) + "\n", encoding="utf-8")
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}
    report = {"config": settings, "validation_loss": losses, "history": history}
    (temporary / "training.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    shutil.rmtree(config.out, ignore_errors=True)
    temporary.replace(config.out)


def authored_examples(
    *, copies: int, held_out: float, seed: int, leave_out: Sequence[str] = (), data: Path | None = None
) -> tuple[list[Example], list[Example]]:
    """Return (train, validation) examples from the authored data over the built-in catalogue, split by authored line.

    Args:
        leave_out: Authored files, by stem, that are not used.
        data: Folder of the public data sets, for the annotated messages of ReDial; without it they are left out.
    """
    catalogue = Catalogue(builtin_items(), builtin_domain())
    linker = Linker(catalogue, np.zeros(len(catalogue), np.float32))
    turns = read_messages(sorted(AUTHORED.glob("messages_*.jsonl"))) + (
        read_redial(data, REDIAL_ANNOTATIONS) if data else []
    )
    reasons = read_reasons([p for p in sorted(AUTHORED.glob("reasons_*.jsonl")) if p.stem not in leave_out])
    kept = split_groups([x.group for x in (*turns, *reasons)], held_out=held_out, seed=SPLIT_SEED)
    train = list(understanding_examples([t for t in turns if t.group not in kept], linker, copies=copies, seed=seed))
    train += reason_examples([r for r in reasons if r.group not in kept], catalogue, copies=copies, seed=seed)
    validation = list(understanding_examples([t for t in turns if t.group in kept], linker, copies=1, seed=seed))
    validation += reason_examples([r for r in reasons if r.group in kept], catalogue, copies=2, seed=seed)
    return train, validation


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--base", required=True, help="folder of the base model")
    parser.add_argument("--out", required=True, type=Path, help="folder of the adapter")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--copies", type=int, default=12, help="variants of every authored line")
    parser.add_argument("--held-out", type=float, default=0.04, help="share of authored lines kept for validation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="train all weights: the middle stage of a base of our own")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], help="authored files that are not used, such as reasons_2"
    )
    parser.add_argument("--data", type=Path, help="folder of the public data sets: adds annotated messages of ReDial")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    train, validation = authored_examples(
        copies=options.copies,
        held_out=options.held_out,
        seed=options.seed,
        leave_out=options.leave_out,
        data=options.data,
    )
    config = TuneConfig(
        base=options.base,
        out=options.out,
        minutes=options.minutes,
        rate=options.rate,
        copies=options.copies,
        held_out=options.held_out,
        seed=options.seed,
        whole=options.whole,
        dials=LoraDials(rank=options.rank),
    )
    log.info("%s", tune(config, train, validation))


if __name__ == "__main__":
    main()
