"""The loss curve of a training log as a picture."""

import json
from pathlib import Path
from typing import cast

__all__ = ["plot_losses"]


def plot_losses(log: Path, picture: Path) -> Path:
    """Draw training and held-out loss over tokens.

    Args:
        log: JSON lines with ``tokens``, ``loss`` and now and then ``held_out`` (source name to loss).
        picture: file to write; its suffix decides the format.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the log has no entries.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("the loss plot needs matplotlib: pip install 'vouchrec[train]'") from error
    entries = [cast(dict[str, object], json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    if not entries:
        raise ValueError(f"{log} has no entries to plot")
    held_out = [entry for entry in entries if "held_out" in entry]
    axes = (figure := Figure(figsize=(8, 5), layout="constrained")).subplots()
    axes.plot(_numbers(entries, "tokens"), _numbers(entries, "loss"), color="0.75", linewidth=0.8, label="training")
    losses = [cast(dict[str, float], entry["held_out"]) for entry in held_out]
    for name in losses[-1] if losses else ():
        values = [loss[name] for loss in losses]
        axes.plot(
            _numbers(held_out, "tokens"), values, linewidth=2.5 if name == "all" else 1, label=f"held out: {name}"
        )
    axes.set(xlabel="tokens", ylabel="loss (nats per token)")
    axes.legend()
    figure.savefig(picture, dpi=120)
    return picture


def _numbers(entries: list[dict[str, object]], key: str) -> list[float]:
    """One field of every entry."""
    return [float(str(entry[key])) for entry in entries]
