"""The card of an adapter: base, data, split, command, metrics and limits, as a page and as a record."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from vouchrec.agent.llm.fingerprint import fingerprint
from vouchrec.finetune.bases import Base
from vouchrec.finetune.dataset import Dataset
from vouchrec.finetune.settings import AdaptConfig, Finished

CUT = 10
_LIBRARIES = ("torch", "transformers", "peft", "accelerate")


def choice_metrics(ranks: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Return NDCG@10 and first places of the re-ranking validation, of the order as listed and of the adapter's.

    With one target NDCG is 1 / log2(rank + 1) within the first ten, else 0.
    """
    if not ranks:
        return {}
    found: dict[str, float] = {"choices": len(ranks)}
    for place, name in enumerate(("listed", "adapter")):
        own = [pair[place] for pair in ranks]
        found[f"NDCG@{CUT} {name}"] = sum(1 / math.log2(r + 1) for r in own if r <= CUT) / len(own)
        found[f"first {name}"] = sum(r == 1 for r in own) / len(own)
    return found


def card(
    config: AdaptConfig,
    base: Base,
    dataset: Dataset,
    finished: Finished,
    *,
    modules: Sequence[str],
    parameters: tuple[int, int],
    left_out: int,
) -> tuple[str, dict[str, object]]:
    """Return the card as Markdown and as a record."""
    record: dict[str, object] = {
        "base": config.base,
        "base_fingerprint": fingerprint(base.path),
        "template": "plain, since the base has none" if base.template else "the base's own",
        "data": {"digest": dataset.digest(), "examples": dataset.counts(), "left_out_as_too_long": left_out},
        "split": dict(dataset.split),
        "notes": list(dataset.notes),
        "command": config.command,
        "settings": {"length": config.length} | asdict(config.loop) | asdict(config.dials),
        "modules": list(modules),
        "parameters": {"trained": parameters[0], "all": parameters[1]},
        "steps": finished.steps,
        "best_step": finished.best_step,
        "seconds": round(finished.seconds, 1),
        "tokens": finished.tokens,
        "validation_loss": {skill: list(pair) for skill, pair in finished.losses.items()},
        "choices": dict(finished.choices),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    return "\n".join(_page(config, dataset, finished, record)) + "\n", record


def _page(config: AdaptConfig, dataset: Dataset, finished: Finished, record: Mapping[str, object]) -> list[str]:
    rate = finished.tokens / max(finished.seconds, 1e-9)
    rows = [f"| {k} | {a:.4f} | {b:.4f} |" for k, (a, b) in finished.losses.items()]
    counts = ", ".join(f"{skill} {a:,} (+{b:,} held out)" for skill, (a, b) in dataset.counts().items())
    lines = [
        "---", "library_name: peft", f"base_model: {config.base}", "tags: [vouch, lora, recommendation]", "---", "",
        f"# LoRA adapter of {config.base} for one catalogue", "",
        f"Made by `{config.command}`." if config.command else "",
        f"Use: `vouch chat --model {config.base} --adapter FOLDER --workspace WORKSPACE`", "",
        "## Data", "",
        f"- Examples: {counts}; digest `{dataset.digest()}`.",
        f"- Split: {record['split']}",
        *(f"- {note}" for note in dataset.notes),
        f"- Chat template: {record['template']}.", "",
        "## Training", "",
        f"- {finished.steps} steps, the best at {finished.best_step}; {finished.tokens:,} tokens in {finished.seconds:,.0f} s "
        f"({rate:,.0f} a second).",
        f"- LoRA of rank {config.dials.rank} on {record['modules']}; parameters {record['parameters']}.",
        f"- Settings: {record['settings']}", "",
        "## Validation", "",
        "Loss per answer token in nats, base with the same prompts and adapter:", "",
        "| skill | base | adapter |", "|---|---:|---:|", *rows, "",
    ]  # fmt: skip
    lines += [f"- Re-ranking, {k}: {v:.4f}" for k, v in finished.choices.items()]
    if finished.choices:
        lines.append(
            "- The target is always among the candidates here; `vouchrec.evals.reranking` asks without that favour."
        )
    if not finished.best_step:
        lines.append("- No evaluation was better than the base: this adapter changes nothing.")
    lines += [
        "", "## Limits", "",
        "- It knows Vouch's prompts and one catalogue; it is no general chat model.",
        "- Messages are in English, and come from authored lines: how your own people write may differ.",
        "- What it says is checked by Vouch before it is shown; used elsewhere, it is not.",
    ]  # fmt: skip
    return lines
