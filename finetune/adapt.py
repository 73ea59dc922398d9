"""finetune(): a base and the examples of a workspace -> a LoRA adapter with its card, resumable, whole or absent.

Beside the adapter's folder stands `NAME.work` with the examples, the log and the checkpoints of the run; the adapter itself
appears under its name only when it is finished. Started again with the same settings, a run goes on from its newest checkpoint.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import SafetensorError

from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.fingerprint import fingerprint
from vouchrec.agent.llm.local import MARK, TEMPLATE_FILE, best_dtype
from vouchrec.agent.prompts import LETTERS
from vouchrec.finetune import checkpoints
from vouchrec.finetune.bases import Base, inspect_base, load_for_training, quiet_transformers, use_four_bit
from vouchrec.finetune.card import card, choice_metrics
from vouchrec.finetune.dataset import LEAST_EXAMPLES, Dataset
from vouchrec.finetune.examples import Example
from vouchrec.finetune.loop import Loop, cut_log
from vouchrec.finetune.lora import LoraDials, add_lora, lora_size, target_modules, trainable_parameters
from vouchrec.finetune.plot import plot_losses
from vouchrec.finetune.rows import encode_all
from vouchrec.finetune.settings import AdaptConfig, Finished
from vouchrec.finetune.tune import Encoded
from vouchrec.retrieval.errors import ConfigError, VouchError

log = logging.getLogger(__name__)
SAFETY = 1.2
"""Free disk that is asked for, over what the run is expected to write."""


def finetune(config: AdaptConfig, make_dataset: Callable[[], Dataset]) -> Finished:
    """Train an adapter and save it with its card.

    Args:
        make_dataset: Called once, by one process; the examples are then read by all.

    Raises:
        ConfigError: The base, the settings or the disk don't allow it; a run of other settings stands in the folder; or
            memory ran out. Checkpoints that were written stay whole.
    """
    base = inspect_base(config.base)
    four_bit = use_four_bit(config.four_bit)
    check_out(config)
    accelerator = Accelerator(mixed_precision="bf16" if best_dtype() == torch.bfloat16 else "no")
    with _explained(config):
        dataset = _shared_dataset(config, accelerator, make_dataset)
        run = _prepare(config, base, dataset, accelerator, four_bit=four_bit)
        reports = _Reports(config, accelerator)
        resumed = run.loop.resume()
        if resumed:
            log.warning("Going on from step %d.", run.loop.progress.step)
        cut_log(config.work / "log.jsonl", run.loop.progress.step)
        progress = run.loop.run(reports)
        reports.close()
        ranks = run.loop.choice_ranks(run.choices, run.letters) if run.choices else []
        losses = {k: (progress.before[k], v) for k, v in progress.best_losses.items()}
        found = choice_metrics(ranks)
        finished = Finished(
            config.out, progress.step, progress.best_step, progress.seconds, progress.tokens, losses, found
        )
        if accelerator.is_main_process:
            _save(config, base, dataset, run, finished)
        accelerator.wait_for_everyone()
    return finished


@dataclass(frozen=True, slots=True)
class _Run:
    """The parts of a run that stands ready."""

    loop: Loop
    model: torch.nn.Module
    choices: Sequence[Encoded]
    letters: Sequence[int]
    modules: tuple[str, ...]
    four_bit: bool
    left_out: int


def _prepare(config: AdaptConfig, base: Base, dataset: Dataset, accelerator: Accelerator, *, four_bit: bool) -> _Run:
    train = encode_all(base.tokenizer, dataset.train, config.length)
    if len(train) < LEAST_EXAMPLES:
        problem = f"Only {len(train)} of {len(dataset.train)} examples are at most {config.length} tokens long."
        raise ConfigError(problem, hint=f"At least {LEAST_EXAMPLES} are needed: raise --length.")
    validation = {
        skill: encode_all(base.tokenizer, [e for e in dataset.validation if e.skill == skill], config.length)
        for skill in dataset.counts()
    }
    checkpointing = config.checkpointing == "on" or (config.checkpointing == "auto" and torch.cuda.is_available())
    frozen = load_for_training(base, dtype=best_dtype(), four_bit=four_bit, checkpointing=checkpointing)
    modules = config.dials.modules or target_modules(frozen)
    _check_disk(config, lora_size(frozen, modules, config.dials.rank))
    dials = LoraDials(
        config.dials.rank,
        config.dials.scale,
        config.dials.dropout,
        base.knows_format and config.dials.train_tokens,
        modules,
    )
    set_seed(config.loop.seed)  # decides the adapter's first weights
    with quiet_transformers():
        model = add_lora(frozen, base.tokenizer, dials)
    loop = Loop(
        config.loop, accelerator, model, train, {k: v for k, v in validation.items() if v},
        pad=cast("int", base.tokenizer.pad_token_id or 0), folder=config.work / "checkpoints",
    )  # fmt: skip
    letters = [base.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in LETTERS]
    left_out = len(dataset.train) - len(train)
    return _Run(loop, model, validation.get("rerank", []), letters, modules, four_bit, left_out)


class _Reports:
    """Writes the log of a run: JSON lines, and TensorBoard where wanted; only the main process does."""

    def __init__(self, config: AdaptConfig, accelerator: Accelerator) -> None:
        self._path = config.work / "log.jsonl" if accelerator.is_main_process else None
        self._writer = _summary_writer(config.work / "tensorboard") if config.tensorboard and self._path else None

    def __call__(self, entry: Mapping[str, object]) -> None:
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry) + "\n")
        if self._writer is not None:
            step = int(str(entry["step"]))
            held = cast("Mapping[str, float]", entry.get("held_out", {}))
            values = {"loss": entry["loss"], "rate": entry["rate"]} | {f"held_out/{k}": v for k, v in held.items()}
            for name, value in values.items():
                self._writer.add_scalar(name, float(str(value)), step)

    def close(self) -> None:
        """Finish the event files."""
        if self._writer is not None:
            self._writer.close()


def _summary_writer(folder: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard needs TensorBoard.", hint="pip install 'vouchrec[train]'") from error
    return SummaryWriter(str(folder))


# ---- examples ---------------------------------------------------------------------------------------------------


def _shared_dataset(config: AdaptConfig, accelerator: Accelerator, make_dataset: Callable[[], Dataset]) -> Dataset:
    """Return the dataset, made by the main process; check that a run that goes on has the same one."""
    path = config.work / "examples.json"
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()
        return read_dataset(path)
    dataset = make_dataset()
    _check_same_run(config, dataset)
    write_dataset(path, dataset)
    accelerator.wait_for_everyone()
    return dataset


def write_dataset(path: Path, dataset: Dataset) -> None:
    """Write examples as JSON, whole or not at all."""
    record = {
        "notes": list(dataset.notes),
        "split": dict(dataset.split),
        **{part: [asdict(e) for e in getattr(dataset, part)] for part in ("train", "validation")},
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_dataset(path: Path) -> Dataset:
    """Read what `write_dataset` wrote."""
    record = json.loads(path.read_text(encoding="utf-8"))

    def examples(part: str) -> tuple[Example, ...]:
        return tuple(
            Example(e["skill"], e["group"], tuple(Message(**m) for m in e["messages"]), e["answer"])
            for e in record[part]
        )

    return Dataset(examples("train"), examples("validation"), tuple(record["notes"]), record["split"])


def _check_same_run(config: AdaptConfig, dataset: Dataset) -> None:
    """Keep the settings of a run beside its checkpoints, and refuse to go on with others."""
    settings = {
        "base": config.base,
        "data": dataset.digest(),
        "length": config.length,
        "loop": {k: v for k, v in asdict(config.loop).items() if k not in ("checkpoint_every", "patience")},
        "dials": asdict(config.dials) | {"modules": list(config.dials.modules)},
    }
    path = config.work / "settings.json"
    if path.is_file() and checkpoints.newest(config.work / "checkpoints") is not None:
        known = json.loads(path.read_text(encoding="utf-8"))
        other = next((k for k in settings if known.get(k) != settings[k]), None)
        if other:
            hint = "Use the same settings and data to go on, --restart to begin anew, or another --out."
            raise ConfigError(f"{config.work} holds an unfinished run with another {other}.", hint=hint)
        return
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


# ---- what can go wrong ------------------------------------------------------------------------------------------


def check_out(config: AdaptConfig) -> None:
    """Check the folders of a run, and clear what a restart leaves behind.

    Raises:
        ConfigError: Something stands there that would be lost, or the folder can't be made.
    """
    if config.restart:
        for name in ("checkpoints", "tensorboard"):
            shutil.rmtree(config.work / name, ignore_errors=True)
    elif (config.out / "adapter_config.json").is_file():
        raise ConfigError(f"{config.out} already holds an adapter.", hint="Use another --out, or --restart.")
    if config.out.exists() and not config.out.is_dir():
        raise ConfigError(f"{config.out} is a file.", hint="Name a folder with --out.")
    if config.out.is_dir() and any(config.out.iterdir()) and not (config.out / "adapter_config.json").is_file():
        raise ConfigError(f"{config.out} is not empty, and holds no adapter.", hint="Name a new folder with --out.")
    try:
        config.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{config.work} can't be made: {error.strerror or error}.") from error


def _check_disk(config: AdaptConfig, parameters: int) -> None:
    """Check the free disk: weights, their best state and two moments, each of four bytes, in three checkpoints at a time."""
    needed = round(parameters * 4 * (3 * 4 + 1) * SAFETY)
    free = shutil.disk_usage(config.work).free
    if free < needed:
        problem = f"The disk of {config.work} has {_size(free)} free; the run writes about {_size(needed)}."
        raise ConfigError(problem, hint="Make room, or name another disk with --out, or lower --rank.")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def _explained(config: AdaptConfig) -> Iterator[None]:
    """Turn a full disk and a full device into errors that say what to do."""
    try:
        yield
    except VouchError:
        raise
    except torch.OutOfMemoryError as error:
        raise ConfigError("The GPU ran out of memory.", hint=memory_hint(config)) from error
    except (OSError, SafetensorError, RuntimeError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        if full:
            hint = "Make room and run the same command again: it goes on from the newest whole checkpoint."
            raise ConfigError(f"The disk of {config.work} is full.", hint=hint) from error
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error):
            raise ConfigError("Memory ran out.", hint=memory_hint(config)) from error
        raise


def memory_hint(config: AdaptConfig) -> str:
    """Return which settings to lower when memory runs out."""
    return (
        f"Lower --micro-batch (now {config.loop.micro_batch}), --length (now {config.length}) or --rank "
        f"(now {config.dials.rank}); --four-bit on needs a quarter of the memory for the base. What was learned up to the "
        "newest checkpoint is kept, except that --rank and --length need --restart."
    )


# ---- saving -----------------------------------------------------------------------------------------------------


def _save(config: AdaptConfig, base: Base, dataset: Dataset, run: _Run, finished: Finished) -> None:
    """Write the adapter, its card and its log beside their place, then rename."""
    unfinished = config.out.with_name(f".{config.out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    model = run.loop.accelerator.unwrap_model(run.loop.model)
    with quiet_transformers():
        model.peft_config["default"].base_model_name_or_path = base.path if config.base != "builtin" else "builtin"
        model.save_pretrained(str(unfinished), save_embedding_layers=False)
    mark = {"specialist": True, "format": 1, "base": config.base, "fingerprint": fingerprint(base.path)}
    (unfinished / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")
    (unfinished / TEMPLATE_FILE).write_text(cast("str", base.tokenizer.chat_template), encoding="utf-8")
    lines = (config.work / "log.jsonl").read_text(encoding="utf-8")
    (unfinished / "log.jsonl").write_text(lines, encoding="utf-8")
    try:
        plot_losses(config.work / "log.jsonl", unfinished / "loss.png")
    except ImportError as error:  # a missing picture is no reason to lose a finished adapter
        log.warning("%s", error)
    counts = trainable_parameters(model)
    text, record = card(config, base, dataset, finished, modules=run.modules, parameters=counts, left_out=run.left_out)
    (unfinished / "README.md").write_text(text, encoding="utf-8")
    (unfinished / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    checkpoints.replace_folder(unfinished, config.out)
    shutil.rmtree(config.work / "checkpoints", ignore_errors=True)


__all__ = ["check_out", "finetune", "memory_hint", "read_dataset", "write_dataset"]
