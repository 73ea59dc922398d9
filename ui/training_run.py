"""What the training commands do: flags -> the calls of `finetune`, and lines to print."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import typer

from vouchrec.finetune.adapt import check_out
from vouchrec.finetune.adapt import finetune as train
from vouchrec.finetune.bases import Quantise, inspect_base
from vouchrec.finetune.dataset import DataOptions, Dataset, Skill, build_dataset
from vouchrec.finetune.estimate import estimate, lines
from vouchrec.finetune.export import export as write_export
from vouchrec.finetune.loop import LoopConfig
from vouchrec.finetune.lora import LoraDials
from vouchrec.finetune.search import Sampler, search
from vouchrec.finetune.settings import AdaptConfig, Checkpointing, Finished
from vouchrec.retrieval.errors import ConfigError
from vouchrec.ui import loader
from vouchrec.ui.settings import Flags, read_settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """The flags of `vouch finetune`; see its help."""

    base: str
    out: Path
    dialogues: Path | None
    skills: str
    examples: int
    epochs: float
    max_steps: int
    rate: float
    rank: int
    dropout: float
    length: int
    batch: int
    micro_batch: int
    four_bit: Quantise
    checkpointing: Checkpointing
    evaluate_every: int
    checkpoint_every: int
    patience: int
    seed: int
    tensorboard: bool
    restart: bool
    search: int
    sampler: Sampler
    search_steps: int
    command: str

    def config(self) -> AdaptConfig:
        """Return the training settings."""
        loop = LoopConfig(
            epochs=self.epochs, max_steps=self.max_steps, rate=self.rate, batch=self.batch,
            micro_batch=min(self.micro_batch, self.batch), evaluate_every=self.evaluate_every,
            checkpoint_every=self.checkpoint_every, patience=self.patience, seed=self.seed,
        )  # fmt: skip
        return AdaptConfig(
            base=self.base, out=self.out, length=self.length, loop=loop,
            dials=LoraDials(rank=self.rank, dropout=self.dropout), four_bit=self.four_bit,
            checkpointing=self.checkpointing, tensorboard=self.tensorboard, restart=self.restart, command=self.command,
        )  # fmt: skip

    def data(self) -> DataOptions:
        """Return which examples to make.

        Raises:
            ConfigError: There is no such skill.
        """
        names = tuple(name.strip() for name in self.skills.split(",") if name.strip())
        unknown = [name for name in names if name not in get_args(Skill)]
        if unknown:
            raise ConfigError(f"There is no skill '{unknown[0]}'.", hint=f"Skills: {', '.join(get_args(Skill))}.")
        return DataOptions(
            skills=cast("tuple[Skill, ...]", names),
            dialogues=self.dialogues,
            count=self.examples,
            validation=min(200, max(20, self.examples // 10)),
            seed=self.seed,
        )


def finetune(wanted: Wanted, workspace: Path | None) -> Iterator[str]:
    """Train an adapter; yield what to print when it is done."""
    config, options = wanted.config(), wanted.data()
    base = inspect_base(wanted.base)  # what is wrong with it is said before the workspace is read
    if base.template:
        _say(f"{wanted.base} has no chat template: a plain one is used, and kept with the adapter.")
    check_out(config)
    made: list[Dataset] = []

    def dataset() -> Dataset:
        if not made:
            made.append(_dataset(workspace, options))
            for note in made[0].notes:
                _say(note)
        return made[0]

    if wanted.search:
        config, trials = search(
            config, dataset(), trials=wanted.search, sampler=wanted.sampler, steps=wanted.search_steps
        )
        yield from (f"trial {n}: loss {t.loss:.4f} with {dict(t.settings)}" for n, t in enumerate(trials, start=1))
    yield from _summary(train(config, dataset), wanted, workspace)


def dry_run(wanted: Wanted, workspace: Path | None) -> Iterator[str]:
    """Yield examples and an estimate; nothing is written."""
    config, options = wanted.config(), wanted.data()
    base = inspect_base(wanted.base, borrow=True)
    dataset = _dataset(workspace, options)
    yield from lines(estimate(config, base, dataset), base, dataset, config)


def export(base: str, adapter: Path, out: Path, *, merge: bool) -> Iterator[str]:
    """Write a merged model or a LoRA folder; yield how to serve it."""
    folder = write_export(base, adapter, out, merge=merge)
    yield f"{folder} is written."
    if merge:
        yield f"vouch chat --model {folder}"
        yield f"vllm serve {folder}"
    else:
        template = f" --chat-template {folder / 'chat_template.jinja'}" if inspect_base(base).template else ""
        yield f"vllm serve {base} --enable-lora --lora-modules vouch={folder}{template}"


def pretrain(data: Path, out: Path, *, minutes: float, threads: int, seed: int) -> Iterator[str]:
    """Pre-train the built-in base; yield what to print when it is done.

    Raises:
        ConfigError: A data set is missing, or the folder holds a run of another shape.
    """
    logging.getLogger("vouchrec.finetune").setLevel(logging.INFO)
    from vouchrec.finetune.pretrain import PretrainConfig
    from vouchrec.finetune.pretrain import pretrain as run

    try:
        model = run(PretrainConfig(data=data, out=out, minutes=minutes, threads=threads, seed=seed))
    except (FileNotFoundError, ValueError) as error:
        problem = str(error)
        raise ConfigError(f"{problem[:1].upper()}{problem[1:]}.", hint="See docs/how-to/finetune.md.") from error
    yield f"{model} is finished."
    yield f"vouch finetune --base {model} --out ADAPTER"


def _say(note: str) -> None:
    """Tell the user something beside the results."""
    typer.echo(note, err=True)


def _dataset(folder: Path | None, options: DataOptions) -> Dataset:
    workspace = loader.open_workspace(read_settings(Flags(workspace=folder)))
    try:
        return build_dataset(workspace, options)
    finally:
        workspace.close()


def _summary(found: Finished, wanted: Wanted, workspace: Path | None) -> Iterator[str]:
    yield f"{found.folder} is finished: {found.steps} steps, the best at {found.best_step}, {found.seconds:.0f} s."
    for skill, (before, after) in found.losses.items():
        yield f"{skill:<11} loss per answer token {before:.3f} -> {after:.3f}"
    if found.choices:
        listed, adapter = (found.choices[f"NDCG@10 {name}"] for name in ("listed", "adapter"))
        yield f"choices     NDCG@10 as listed {listed:.3f}, by the adapter {adapter:.3f} (validation)"
    where = f" --workspace {workspace}" if workspace else ""
    yield f"vouch chat --model {wanted.base} --adapter {found.folder}{where}"
