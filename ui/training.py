"""The commands that train: `vouch finetune`, `vouch export`, `vouch pretrain`. What is heavy is imported when one runs."""

# ruff: noqa: D301  (the backslash-b in a docstring is click's mark for text that keeps its lines)
from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(finetune)
    app.command()(export)
    app.command()(pretrain)


def finetune(
    base: Annotated[str, typer.Option("--base", help="builtin, a folder or a Hugging Face name of a causal model.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the adapter; it appears when it is finished.")],
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace", "-w", help="Whose catalogue and interactions to learn. Default: the built-in demo."
        ),
    ] = None,
    dialogues: Annotated[
        Path | None, typer.Option("--dialogues", help="JSONL of your own annotated messages and reasons.")
    ] = None,
    skills: Annotated[
        str, typer.Option("--skills", help="Any of understand,reason,rerank,prefer. Default: all that are possible.")
    ] = "",
    examples: Annotated[int, typer.Option("--examples", min=20, help="Most training examples of one skill.")] = 4000,
    epochs: Annotated[float, typer.Option("--epochs", help="Passes over the examples.")] = 2.0,
    max_steps: Annotated[int, typer.Option("--max-steps", min=0, help="Optimizer steps instead of --epochs.")] = 0,
    rate: Annotated[float, typer.Option("--rate", help="Peak learning rate.")] = 2e-4,
    rank: Annotated[int, typer.Option("--rank", min=1, help="LoRA rank.")] = 16,
    dropout: Annotated[float, typer.Option("--dropout", min=0, max=0.9, help="LoRA dropout.")] = 0.05,
    length: Annotated[int, typer.Option("--length", min=64, help="Longest example in tokens.")] = 1024,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Examples of one optimizer step.")] = 16,
    micro_batch: Annotated[
        int, typer.Option("--micro-batch", min=1, help="Examples of one forward pass; the rest is accumulated.")
    ] = 4,
    four_bit: Annotated[
        Literal["auto", "on", "off"],
        typer.Option("--four-bit", help="QLoRA; auto: where CUDA and bitsandbytes are there."),
    ] = "auto",
    checkpointing: Annotated[
        Literal["auto", "on", "off"],
        typer.Option("--gradient-checkpointing", help="Less memory for a third more time; auto: with CUDA."),
    ] = "auto",
    evaluate_every: Annotated[int, typer.Option("--evaluate-every", min=1, help="Steps between evaluations.")] = 50,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, help="Steps that an interruption can cost at most.")
    ] = 50,
    patience: Annotated[
        int, typer.Option("--patience", min=0, help="Evaluations without improvement before stopping; 0: never stop.")
    ] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Seed of examples, adapter and order.")] = 1,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")] = False,
    search: Annotated[int, typer.Option("--search", min=0, help="Try so many settings first (Optuna).")] = 0,
    sampler: Annotated[
        Literal["tpe", "random", "grid"], typer.Option("--sampler", help="How --search chooses settings.")
    ] = "tpe",
    search_steps: Annotated[int, typer.Option("--search-steps", min=1, help="Steps of one trial.")] = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show examples, tokens, memory and time, and train nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an unfinished run or an adapter stands.")
    ] = False,
) -> None:
    """Adapt a language model to your catalogue: a LoRA adapter for reading, wording reasons and re-ranking.

    Interrupted, the same command goes on from the newest checkpoint.

    \b
    Examples:
      vouch finetune --base Qwen/Qwen3-1.7B --workspace books --out my-adapter --dry-run
      vouch finetune --base Qwen/Qwen3-1.7B --workspace books --out my-adapter
      vouch chat --model Qwen/Qwen3-1.7B --adapter my-adapter --workspace books
    """
    from vouchrec.ui import training_run

    wanted = training_run.Wanted(
        base=base, out=out, dialogues=dialogues, skills=skills, examples=examples, epochs=epochs, max_steps=max_steps,
        rate=rate, rank=rank, dropout=dropout, length=length, batch=batch, micro_batch=micro_batch, four_bit=four_bit,
        checkpointing=checkpointing, evaluate_every=evaluate_every, checkpoint_every=checkpoint_every,
        patience=patience, seed=seed, tensorboard=tensorboard, restart=restart, search=search, sampler=sampler,
        search_steps=search_steps, command=f"vouch {shlex.join(sys.argv[1:])}",
    )  # fmt: skip
    for line in training_run.dry_run(wanted, workspace) if dry_run else training_run.finetune(wanted, workspace):
        typer.echo(line)


def export(
    base: Annotated[str, typer.Option("--base", help="The base that the adapter was trained on.")],
    adapter: Annotated[Path, typer.Option("--adapter", help="Folder of the adapter.")],
    out: Annotated[Path, typer.Option("--out", help="New folder to write.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the adapter into the base: a model that needs no adapter.")
    ] = False,
) -> None:
    """Make an adapter ready for a server: merged into its base, or as a plain LoRA folder.

    \b
    Examples:
      vouch export --base Qwen/Qwen3-1.7B --adapter my-adapter --out my-lora           vLLM: --lora-modules
      vouch export --base Qwen/Qwen3-1.7B --adapter my-adapter --merge --out my-model
    """
    from vouchrec.ui import training_run

    for line in training_run.export(base, adapter, out, merge=merge):
        typer.echo(line)


def pretrain(
    data: Annotated[Path, typer.Option("--data", help="Folder of the public data sets.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for tokenizer, corpus, checkpoints and the model.")],
    minutes: Annotated[
        float, typer.Option("--minutes", help="Time for the training steps, resumed runs together.")
    ] = 70.0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights and batches.")] = 0,
) -> None:
    """Pre-train the base of the built-in language model from public text, on a CPU.

    Interrupted, the same command goes on from the newest checkpoint.

    \b
    Example:
      vouch pretrain --data DATA --out runs/base --minutes 70
    """
    from vouchrec.ui import training_run

    for line in training_run.pretrain(data, out, minutes=minutes, threads=threads, seed=seed):
        typer.echo(line)
