"""Training checkpoints that are whole or absent: safetensors and JSON, written beside their place and then renamed."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

__all__ = ["load_optimizer", "newest", "read", "replace_folder", "save_optimizer", "write"]

_PREFIX: Final = "step-"
_TENSORS: Final = "tensors.safetensors"
_STATE: Final = "state.json"


def replace_folder(unfinished: Path, final: Path) -> None:
    """Put a finished folder in its place, replacing an older one.

    A reader sees the old folder, the new one, or (for the moment between two renames) none, never a half of one.
    """
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(unfinished, final)
    shutil.rmtree(old, ignore_errors=True)


def write(
    folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, object], *, keep: int = 2
) -> Path:
    """Write a checkpoint and drop all but the newest ``keep``.

    Args:
        folder: folder of checkpoints.
        step: number of finished optimizer steps.
        tensors: weights and optimizer state, by name.
        state: whatever else is needed to go on, as JSON.
        keep: how many checkpoints stay.
    """
    unfinished = folder / f".{_PREFIX}{step:07d}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, unfinished / _TENSORS)
    (unfinished / _STATE).write_text(json.dumps(dict(state)) + "\n")
    final = folder / f"{_PREFIX}{step:07d}"
    replace_folder(unfinished, final)
    for old in sorted(folder.glob(f"{_PREFIX}*"))[:-keep]:
        shutil.rmtree(old)
    return final


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint, if there is one; what an interrupted write left behind has another name."""
    whole = [path for path in sorted(folder.glob(f"{_PREFIX}*")) if (path / _STATE).is_file()]
    return whole[-1] if whole else None


def read(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and state of a checkpoint."""
    return load_file(checkpoint / _TENSORS), cast(dict[str, object], json.loads((checkpoint / _STATE).read_text()))


def save_optimizer(optimizers: Sequence[Optimizer], names: Mapping[Parameter, str]) -> dict[str, Tensor]:
    """State of the optimizers as named tensors, ``optimizer.<field>.<parameter name>``.

    Args:
        optimizers: with tensor or number state per parameter.
        names: name of each parameter.
    """
    return {
        f"optimizer.{field}.{names[parameter]}": torch.as_tensor(value)
        for optimizer in optimizers
        for parameter, fields in cast(Mapping[Parameter, Mapping[str, Tensor | float]], optimizer.state).items()
        for field, value in fields.items()
    }


def load_optimizer(
    optimizers: Sequence[Optimizer], names: Mapping[Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `save_optimizer` gave; learning rates are the schedule's affair."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, field, name = key.split(".", 2)
            by_name.setdefault(name, {})[field] = tensor
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if names[parameter] in by_name:
                    optimizer.state[parameter] = by_name[names[parameter]]
