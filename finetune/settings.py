"""What `vouch finetune` is told, and what it has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from vouchrec.finetune.bases import Quantise
from vouchrec.finetune.loop import LoopConfig
from vouchrec.finetune.lora import LoraDials

Checkpointing: TypeAlias = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    """One fine-tuning for a catalogue of one's own.

    Attributes:
        base: `builtin`, a folder or a Hugging Face name.
        out: Folder of the finished adapter.
        length: Longest example in tokens; longer ones are left out.
        four_bit: QLoRA: `auto` is on where CUDA and bitsandbytes are there.
        checkpointing: Recompute activations in the backward pass, which saves memory; `auto` is on with CUDA.
        tensorboard: Also write TensorBoard event files.
        restart: Begin anew where an unfinished run or a finished adapter stands.
        command: The command line, for the card.
    """

    base: str
    out: Path
    length: int = 1024
    loop: LoopConfig = field(default_factory=LoopConfig)
    dials: LoraDials = field(default_factory=lambda: LoraDials(dropout=0.05))
    four_bit: Quantise = "auto"
    checkpointing: Checkpointing = "auto"
    tensorboard: bool = False
    restart: bool = False
    command: str = ""

    @property
    def work(self) -> Path:
        """Folder of checkpoints, log and examples."""
        return self.out.with_name(f"{self.out.name}.work")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run has made.

    Attributes:
        losses: Mean validation loss per answer token by skill, before and after.
        choices: NDCG@10 and hits of the re-ranking validation: as listed and by the adapter; empty without that skill.
    """

    folder: Path
    steps: int
    best_step: int
    seconds: float
    tokens: int
    losses: Mapping[str, tuple[float, float]]
    choices: Mapping[str, float]
