"""One training run of the base model: its settings, its step, its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import Parameter, functional
from torch.optim import AdamW, Muon, Optimizer
from transformers import OPTForCausalLM

from vouchrec.finetune import checkpoints
from vouchrec.finetune.batches import Batches, held_out_rows
from vouchrec.finetune.corpus import WEIGHTS, Shards
from vouchrec.finetune.tokenizer import MAX_LENGTH

__all__ = ["PretrainConfig", "Trainer", "loss_of"]


@dataclass(frozen=True)
class PretrainConfig:
    """What to train, on what, for how long.

    Attributes:
        data: folder of data sets; read only where ``out`` has no finished corpus yet.
        out: folder of everything written.
        minutes: wall-clock budget of the training steps, over all resumed runs together.
        tokens: budget in tokens; whichever budget ends first counts.
        lengths: sequence lengths, as pairs (share of the budget from which it holds, tokens). Short ones first:
            attention is the slow part on a CPU, and most documents are short.
        batch_tokens: tokens of one optimizer step.
        micro_tokens: tokens of one forward and backward pass.
        optimizer: ``muon`` for the matrices inside the layers (AdamW for the rest) or ``adamw`` for all.
        matrix_rate: peak learning rate of Muon.
        rate: peak learning rate of AdamW.
        warmup: steps of linear warm-up.
        decay: share of the budget, at its end, in which the learning rates fall linearly to zero.
        clip: largest gradient norm.
        warm_start: start all weights from the packaged sentence encoder, whose shape the model must have.
        seed: of weights and batches.
        threads: CPU threads.
        checkpoint_minutes, export_minutes: time between checkpoints, and between exports to ``latest``.
        eval_steps: steps between held-out evaluations.
        hidden, layers, heads, intermediate: shape of the model.

    Raises:
        ValueError: for a budget that is not positive, or sequence lengths that leave a gap or exceed the context.
    """

    data: Path
    out: Path
    minutes: float = 70.0
    tokens: int = 10**12
    lengths: tuple[tuple[float, int], ...] = ((0.0, 256), (0.7, 512), (0.94, 1024))
    batch_tokens: int = 4096
    micro_tokens: int = 4096
    optimizer: Literal["muon", "adamw"] = "muon"
    matrix_rate: float = 0.01
    rate: float = 0.003
    warmup: int = 30
    decay: float = 0.5
    clip: float = 1.0
    warm_start: bool = True
    seed: int = 0
    threads: int = 2
    checkpoint_minutes: float = 5.0
    export_minutes: float = 10.0
    eval_steps: int = 200
    hidden: int = 384
    layers: int = 6
    heads: int = 12
    intermediate: int = 1536

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.tokens <= 0:
            raise ValueError("minutes and tokens must be positive")
        if not self.lengths or self.lengths[0][0] != 0.0:
            raise ValueError("lengths must begin with a length for share 0.0 of the budget")
        if max(tokens for _, tokens in self.lengths) > MAX_LENGTH:
            raise ValueError(f"no sequence may be longer than the context of {MAX_LENGTH} tokens")


def loss_of(model: OPTForCausalLM, rows: Tensor) -> Tensor:
    """Mean next-token cross-entropy in nats; rows as `Batches.rows` gives them.

    The softmax is taken in float32: in bfloat16 its rounding is as large as the late gradients.
    """
    states = model.model.decoder(input_ids=rows[:, :-1], use_cache=False).last_hidden_state
    logits = functional.linear(states, model.lm_head.weight)
    return functional.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


class Trainer:
    """One training run: model, optimizers, batches and clock.

    The model computes in bfloat16; the optimizers work on float32 copies of its parameters (`master`), because a
    late update is smaller than bfloat16 can resolve.

    Attributes:
        step: finished optimizer steps.
        tokens: tokens trained on.
        seconds: time spent in training, over all resumed runs; the loop that calls `train_step` keeps it.
    """

    def __init__(self, config: PretrainConfig, model: OPTForCausalLM, shards: Shards) -> None:
        self.config = config
        self.master = {name: Parameter(value.detach().float().clone()) for name, value in model.named_parameters()}
        for parameter in model.parameters():  # not model.to(): buffers stay exact
            parameter.data = parameter.data.to(torch.bfloat16)
        self.model = model
        self.batches = Batches(shards, config.seed)
        self.held_out = held_out_rows(shards)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.optimizers = _optimizers(self.master, config)
        self._names = {parameter: name for name, parameter in self.master.items()}

    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        return min(1.0, max(self.seconds / (60 * self.config.minutes), self.tokens / self.config.tokens))

    def train_step(self) -> float:
        """One optimizer step; returns its loss in nats per token."""
        length = [tokens for share, tokens in self.config.lengths if share <= self.progress()][-1]
        rows = self.batches.rows(self.step, max(1, self.config.batch_tokens // length), length)
        micro = rows.split(max(1, self.config.micro_tokens // length))
        total = 0.0
        for part in micro:
            loss = loss_of(self.model, part) * (len(part) / len(rows))
            loss.backward()
            total += float(loss.detach())
        self._update()
        self.step += 1
        self.tokens += rows.shape[0] * length
        return total

    def _update(self) -> None:
        """Clip, step the float32 copies and write them back to the model."""
        parameters = dict(self.model.named_parameters())
        for name, copy in self.master.items():
            gradient = parameters[name].grad
            copy.grad = None if gradient is None else gradient.float()
        torch.nn.utils.clip_grad_norm_(self.master.values(), self.config.clip)
        rate = _rate(self.step, self.progress(), self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["peak"]
            optimizer.step()
        with torch.no_grad():
            for name, copy in self.master.items():
                parameters[name].copy_(copy)
                parameters[name].grad = None

    def evaluate(self) -> dict[str, float]:
        """Held-out loss of every source, and their mean under the training weights as ``all``.

        Empty if nothing is held out, as with a corpus of a few documents.
        """
        if not self.held_out:
            return {}
        self.model.eval()
        with torch.no_grad():
            losses = {
                name: sum(float(loss_of(self.model, part)) * len(part) for part in rows.split(8)) / len(rows)
                for name, rows in self.held_out.items()
            }
        self.model.train()
        weight = sum(WEIGHTS[name] for name in losses)
        return losses | {"all": sum(WEIGHTS[name] * loss for name, loss in losses.items()) / weight}

    def save(self) -> Path:
        """Write a checkpoint."""
        weights = {f"model.{name}": copy for name, copy in self.master.items()}
        tensors = weights | checkpoints.save_optimizer(self.optimizers, self._names)
        state = {"step": self.step, "tokens": self.tokens, "seconds": self.seconds, "taken": self.batches.taken}
        return checkpoints.write(self.config.out / "checkpoints", self.step, tensors, state)

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint; returns whether there was one.

        Raises:
            ValueError: if it belongs to a model of another shape.
        """
        found = checkpoints.newest(self.config.out / "checkpoints")
        if found is None:
            return False
        tensors, state = checkpoints.read(found)
        shapes = {name: tensor.shape for name, tensor in tensors.items() if name.startswith("model.")}
        if shapes != {f"model.{name}": copy.shape for name, copy in self.master.items()}:
            raise ValueError(f"{found} belongs to a model of another shape: use another output folder")
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, copy in self.master.items():
                copy.copy_(tensors[f"model.{name}"])
                parameters[name].copy_(copy)
        checkpoints.load_optimizer(self.optimizers, self._names, tensors)
        self.step, self.tokens = int(str(state["step"])), int(str(state["tokens"]))
        self.seconds = float(str(state["seconds"]))
        self.batches.taken = cast(dict[str, int], state["taken"])
        return True


def _optimizers(master: Mapping[str, Parameter], config: PretrainConfig) -> list[Optimizer]:
    """Muon for the matrices of the layers and AdamW for embeddings and norms, or AdamW for all."""
    inner = [copy for name, copy in master.items() if copy.ndim == 2 and ".layers." in name]
    chosen = {id(copy) for copy in inner}
    rest = [copy for copy in master.values() if id(copy) not in chosen]
    groups = [{"params": rest, "peak": config.rate, "weight_decay": 0.0}]
    if config.optimizer == "adamw":
        groups.append({"params": inner, "peak": config.rate, "weight_decay": 0.1})
        return [AdamW(groups, lr=config.rate, betas=(0.9, 0.95))]
    muon = Muon([{"params": inner, "peak": config.matrix_rate}], lr=config.matrix_rate, weight_decay=0.01)
    return [muon, AdamW(groups, lr=config.rate, betas=(0.9, 0.95))]


def _rate(step: int, progress: float, config: PretrainConfig) -> float:
    """Factor on the learning rates: linear warm-up, flat, then linear down to zero at the end of the budget."""
    falling = (1.0 - progress) / config.decay if config.decay else 1.0
    return min(1.0, (step + 1) / config.warmup, falling)
