"""The training loop of an adapter: accelerate for devices, processes and precision; checkpoints that are whole or absent."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

import torch
from accelerate import Accelerator
from torch.nn import Parameter
from tqdm import tqdm

from vouchrec.finetune import checkpoints
from vouchrec.finetune.rows import Batch, Schedule, answer_logits, collate, loss_sum
from vouchrec.finetune.tune import IGNORE, Encoded
from vouchrec.retrieval.errors import ConfigError

log = logging.getLogger(__name__)
Losses: TypeAlias = dict[str, float]
Report: TypeAlias = Callable[[Mapping[str, object]], None]
"""Takes one line of the log: step, tokens, loss, rate, seconds, and now and then `held_out`."""
CLIP = 1.0
FLOOR = 0.02
"""Part of the peak learning rate that is left at the end."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How an adapter is trained.

    Attributes:
        epochs: Passes over the examples, unless `max_steps` is set.
        max_steps: Optimizer steps; 0 for as many as `epochs` takes.
        rate: Peak learning rate of AdamW.
        warmup: Part of the steps in which the rate rises.
        batch: Examples of one optimizer step, over all processes.
        micro_batch: Examples of one forward pass of one process.
        evaluate_every, checkpoint_every: Steps between evaluations and between checkpoints.
        patience: Evaluations without improvement after which training stops; 0 for never.
    """

    epochs: float = 2.0
    max_steps: int = 0
    rate: float = 2e-4
    warmup: float = 0.05
    batch: int = 16
    micro_batch: int = 4
    evaluate_every: int = 50
    checkpoint_every: int = 50
    patience: int = 4
    seed: int = 1

    def __post_init__(self) -> None:
        counts = (self.batch, self.micro_batch, self.evaluate_every, self.checkpoint_every)
        if min(counts) < 1 or self.rate <= 0 or (self.epochs <= 0 and self.max_steps <= 0):
            hint = "Batch sizes, intervals, rate, and epochs or steps are all above 0."
            raise ConfigError("The training settings leave nothing to do.", hint=hint)


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        tokens: Tokens read, prompts included.
        best: Lowest mean validation loss, and the step it was reached at.
        since_best: Evaluations since then.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    since_best: int = 0
    before: Losses = field(default_factory=dict[str, float])
    best_losses: Losses = field(default_factory=dict[str, float])


class Loop:
    """One training run of an adapter on a frozen base.

    Args:
        accelerator: Decides device, processes and precision.
        model: The base with its adapter; what requires gradients is trained.
        train: Examples in tokens.
        validation: Examples in tokens, by skill.
        pad: Token that fills up.
        folder: Where checkpoints go.
    """

    def __init__(
        self,
        config: LoopConfig,
        accelerator: Accelerator,
        model: torch.nn.Module,
        train: Sequence[Encoded],
        validation: Mapping[str, Sequence[Encoded]],
        *,
        pad: int,
        folder: Path,
    ) -> None:
        self.config, self.accelerator, self.folder = config, accelerator, folder
        self._pad, self._validation = pad, validation
        self.model = cast("torch.nn.Module", accelerator.prepare(model))
        bare = cast("torch.nn.Module", accelerator.unwrap_model(self.model))
        self.trained: dict[str, Parameter] = {n: p for n, p in bare.named_parameters() if p.requires_grad}
        self._names = {p: n for n, p in self.trained.items()}
        self._optimizer = torch.optim.AdamW(
            self.trained.values(), lr=config.rate, weight_decay=0.0, betas=(0.9, 0.98), eps=1e-8
        )
        world = accelerator.num_processes
        passes = max(1, math.ceil(config.batch / (config.micro_batch * world)))
        self._schedule = Schedule(
            train,
            micro=config.micro_batch,
            passes=passes,
            seed=config.seed,
            world=world,
            rank=accelerator.process_index,
        )
        self.steps = config.max_steps or max(1, math.ceil(config.epochs * self._schedule.steps_per_epoch))
        self.progress = Progress()
        self._best: dict[str, torch.Tensor] = {}

    # ---- the run ----------------------------------------------------------------------------------------------

    def run(self, report: Report) -> Progress:
        """Train until the steps are done or validation no longer improves; the best weights are in place afterwards."""
        if not self.progress.step:
            self._note(self.evaluate())
            self.progress.before = dict(self.progress.best_losses)
        started, before = time.monotonic(), self.progress.seconds
        with tqdm(
            total=self.steps, initial=self.progress.step, desc="fine-tuning", unit="step",
            disable=None if self.accelerator.is_main_process else True,
        ) as bar:  # fmt: skip
            while self.progress.step < self.steps and not self._settled():
                loss = self.train_step()
                self.progress.seconds = before + time.monotonic() - started
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", best=f"{self.progress.best:.3f}")
                self._after(loss, report)
        self.restore_best()
        return self.progress

    def train_step(self) -> float:
        """Take one optimizer step; return the mean loss per weighted answer token."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.progress.step)  # dropout, the same after a resume
        batches = [collate(group, self._pad) for group in self._schedule.step(self.progress.step)]
        weight = self._summed(sum(batch.weight for batch in batches))
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.rate * self.rate_factor()
        total = 0.0
        self.model.train()
        for number, batch in enumerate(batches, start=1):
            last = number == len(batches)
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                with self.accelerator.autocast():
                    loss = loss_sum(self.model, batch.to(self.accelerator.device))
                # Processes average their gradients; the sum is wanted.
                self.accelerator.backward(loss * (self.accelerator.num_processes / weight))
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.trained.values(), CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.progress.step += 1
        self.progress.tokens += int(self._summed(float(sum(int(batch.mask.sum()) for batch in batches))))
        return self._summed(total) / weight

    def rate_factor(self) -> float:
        """Return the factor of the peak learning rate: linear warm-up, then a cosine."""
        done = self.progress.step / self.steps
        rising = (self.progress.step + 1) / max(1.0, self.config.warmup * self.steps)
        return min(1.0, rising) * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def evaluate(self) -> Losses:
        """Return the mean loss per answer token of every skill."""
        self.model.eval()
        found: Losses = {}
        with torch.inference_mode(), self.accelerator.autocast():
            for skill, examples in self._validation.items():
                batches = [batch.to(self.accelerator.device) for batch in self._in_order(examples)]
                total = sum(float(loss_sum(self.model, batch)) for batch in batches)
                found[skill] = total / max(1e-9, sum(batch.weight for batch in batches))
        return found

    def choice_ranks(self, examples: Sequence[Encoded], letters: Sequence[int]) -> list[tuple[int, int]]:
        """Return, for each choice, the 1-based rank of its target among the candidates: as listed, and by the model.

        Args:
            examples: Re-ranking examples in tokens; the first answer token is the letter of the target.
            letters: First token of every letter, in order.
        """
        self.model.eval()
        found: list[tuple[int, int]] = []
        with torch.inference_mode(), self.accelerator.autocast():
            for example in examples:
                batch = collate([example], self._pad).to(self.accelerator.device)
                scores = answer_logits(self.model, batch)[0, 0, torch.tensor(letters)]
                target = letters.index(next(label for label in example.labels if label != IGNORE))
                found.append((target + 1, int((scores > scores[target]).sum()) + 1))
        return found

    # ---- state ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; only the main process does."""
        if self.accelerator.is_main_process:
            tensors = {f"model.{name}": p for name, p in self.trained.items()}
            tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
            tensors |= checkpoints.save_optimizer([self._optimizer], self._names)
            p = self.progress
            state = {name: getattr(p, name) for name in Progress.__slots__ if name != "best"}
            checkpoints.write(self.folder, p.step, tensors, state | {"best": None if math.isinf(p.best) else p.best})
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint; returns whether there was one.

        Raises:
            ConfigError: It belongs to an adapter of another shape.
        """
        found = checkpoints.newest(self.folder)
        if found is None:
            return False
        tensors, state = checkpoints.read(found)
        shapes = {n: t.shape for n, t in tensors.items() if n.startswith("model.")}
        if shapes != {f"model.{n}": p.shape for n, p in self.trained.items()}:
            hint = "Use another --out, or --restart."
            raise ConfigError(f"{found} belongs to an adapter of another shape.", hint=hint)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(tensors[f"model.{name}"])
        checkpoints.load_optimizer([self._optimizer], self._names, self._on_device(tensors))
        self._best = {n.removeprefix("best."): t for n, t in tensors.items() if n.startswith("best.")}
        best = state.pop("best")
        self.progress = Progress(**cast("dict[str, int]", state))  # type: ignore[arg-type]
        self.progress.best = math.inf if best is None else float(str(best))
        return True

    def restore_best(self) -> None:
        """Put the weights of the best evaluation back."""
        with torch.no_grad():
            for name, tensor in self._best.items():
                self.trained[name].copy_(tensor)

    # ---- small parts ------------------------------------------------------------------------------------------

    def _after(self, loss: float, report: Report) -> None:
        """Evaluate, report and save where it is time."""
        p, last = self.progress, self.progress.step == self.steps
        entry: dict[str, object] = {
            "step": p.step, "tokens": p.tokens, "loss": round(loss, 4), "seconds": round(p.seconds, 1),
            "rate": self.config.rate * self.rate_factor(),
        }  # fmt: skip
        if p.step % self.config.evaluate_every == 0 or last:
            losses = self.evaluate()
            self._note(losses)
            entry["held_out"] = {k: round(v, 4) for k, v in losses.items()} | {"all": round(_mean(losses), 4)}
        report(entry)
        if p.step % self.config.checkpoint_every == 0 or last or self._settled():
            self.save()

    def _note(self, losses: Losses) -> None:
        p, mean = self.progress, _mean(losses)
        p.since_best += 1
        if mean < p.best:
            p.best, p.best_step, p.since_best, p.best_losses = mean, p.step, 0, losses
            self._best = {name: q.detach().clone().cpu() for name, q in self.trained.items()}

    def _settled(self) -> bool:
        return bool(self.config.patience) and self.progress.since_best >= self.config.patience

    def _in_order(self, examples: Sequence[Encoded]) -> Iterator[Batch]:
        ordered = sorted(examples, key=lambda e: len(e.ids))
        size = self.config.micro_batch
        return (collate(ordered[i : i + size], self._pad) for i in range(0, len(ordered), size))

    def _summed(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, device=self.accelerator.device, dtype=torch.float64)
        return float(cast("torch.Tensor", self.accelerator.reduce(tensor, "sum")))

    def _on_device(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        device = self.accelerator.device
        state = {n: t for n, t in tensors.items() if n.startswith("optimizer.")}
        # AdamW counts its steps on the CPU.
        return {n: t if n.startswith("optimizer.step.") else t.to(device) for n, t in state.items()}


def _mean(losses: Losses) -> float:
    return sum(losses.values()) / len(losses) if losses else math.inf


def cut_log(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint from which training goes on: those steps are done again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")
