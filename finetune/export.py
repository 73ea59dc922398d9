"""export(): an adapter made ready for other programs: merged into its base, or as a plain LoRA folder for a server."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open

from vouchrec.agent.llm.local import MARK, TEMPLATE_FILE, check_base, load_base, merge_adapter
from vouchrec.finetune import checkpoints
from vouchrec.finetune.bases import Base, inspect_base, quiet_transformers
from vouchrec.retrieval.errors import ConfigError, ModelError


def export(base_name: str, adapter: Path, out: Path, *, merge: bool) -> Path:
    """Write a model that needs no PEFT (`merge`), or the adapter with what a server of LoRA adapters wants.

    Args:
        base_name: The base that the adapter was trained on.

    Returns:
        `out`, which appears only when it is whole.

    Raises:
        ConfigError: The base or the folder can't be used, the adapter belongs to another base or can't be served as LoRA,
            or the disk is full.
    """
    base = inspect_base(base_name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already and not empty.", hint="Name a new folder with --out.")
    if not (adapter / "adapter_config.json").is_file():
        raise ConfigError(f"{adapter} is not a LoRA adapter: it has no adapter_config.json.")
    unfinished = out.with_name(f".{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        check_base(adapter, base.path)
        (_merged if merge else _lora)(base, adapter, unfinished)
        _extras(base, adapter, unfinished)
        checkpoints.replace_folder(unfinished, out)
    except ModelError as error:
        raise ConfigError(error.message, hint=error.hint) from error
    except (OSError, SafetensorError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise ConfigError(f"The disk of {out} is full.", hint="Make room, or name another disk.") from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def _merged(base: Base, adapter: Path, folder: Path) -> None:
    """Merge in float32, then round once to the precision that the base was saved in."""
    with quiet_transformers():
        model = merge_adapter(load_base(base.path, torch.float32), adapter, base.name)
        kind = getattr(base.config, "dtype", None)
        torch.nn.Module.to(model, kind if isinstance(kind, torch.dtype) else torch.float32)
        model.config.dtype = kind
        model.save_pretrained(str(folder))


def _lora(base: Base, adapter: Path, folder: Path) -> None:
    """Copy weights and configuration, which is all that a server reads.

    Raises:
        ConfigError: The adapter also trains embeddings, which servers of LoRA adapters don't load.
    """
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
        others = [name for name in file.keys() if "lora_A" not in name and "lora_B" not in name]  # noqa: SIM118
    if others:
        problem = f"{adapter} also holds trained embeddings ({others[0]}), which servers of LoRA adapters don't load."
        raise ConfigError(problem, hint="Use --merge and serve the merged model.")
    folder.mkdir(parents=True)
    shutil.copy(adapter / "adapter_model.safetensors", folder)
    config = cast("dict[str, object]", json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")))
    config["base_model_name_or_path"] = base.name
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _extras(base: Base, adapter: Path, folder: Path) -> None:
    """Add tokenizer, chat template, mark and card."""
    if (adapter / TEMPLATE_FILE).is_file():
        base.tokenizer.chat_template = (adapter / TEMPLATE_FILE).read_text(encoding="utf-8")
    with quiet_transformers():
        base.tokenizer.save_pretrained(str(folder))
    if (adapter / MARK).is_file():
        mark = cast("dict[str, object]", json.loads((adapter / MARK).read_text(encoding="utf-8")))
        (folder / MARK).write_text(
            json.dumps({"specialist": mark.get("specialist"), "format": 1}) + "\n", encoding="utf-8"
        )
    if (adapter / "README.md").is_file():
        shutil.copy(adapter / "README.md", folder / "README.md")
