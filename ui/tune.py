"""`vouch tune`: settings for one workspace, chosen on its own interactions."""

# ruff: noqa: D301  (the backslash-b in a docstring is click's mark for text that keeps its lines)
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vouchrec.ui import loader
from vouchrec.ui.options import WorkspaceOption
from vouchrec.ui.settings import Flags, read_settings

if TYPE_CHECKING:
    from vouchrec.evals.tuning import Sampler, TuneReport

__all__ = ["tune"]


def tune(
    workspace: WorkspaceOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the study. Default: runs/tune.")] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Trials in all; a study that is there goes on.")] = 40,
    sampler: Annotated[str, typer.Option("--sampler", help="tpe, random or grid.")] = "tpe",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split and of the sampler.")] = 0,
    people: Annotated[int, typer.Option("--people", min=1, help="Validation people at most.")] = 300,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Length of the lists that are scored.")] = 10,
    apply: Annotated[
        bool, typer.Option("--apply", help="Use what was found in the workspace, and fit its scorer anew.")
    ] = False,
) -> None:
    """Choose the collaborative scorer's strength and the weights of the blend on held-out people (needs vouchrec[tune]).

    The people of the test part of `vouch eval ranking` are never seen: measure there what tuning brought.

    \b
    Example:
      vouch eval ranking --workspace books --protocol strong --out runs/before
      vouch tune --workspace books --apply
      vouch eval ranking --workspace books --protocol strong --out runs/after
      vouch eval compare runs/before runs/after
    """
    settings = read_settings(Flags(workspace))
    opened = loader.open_workspace(settings)
    from vouchrec.evals.tuning import TuneSettings
    from vouchrec.evals.tuning import tune as run

    try:
        chosen = TuneSettings(trials, cast("Sampler", sampler), seed, k, people)
        report = run(opened, out or Path("runs") / "tune", chosen, progress=True)
        for line in _lines(report, k):
            typer.echo(line)
        if apply:
            opened.use(report.tuned, f"Applied by `vouch tune` from {report.file.name} of {report.trials} trials.")
            typer.echo(f"Applied: {opened.folder / 'tuned.toml'}; the scorer was fitted anew.")
    finally:
        opened.close()


def _lines(report: TuneReport, k: int) -> Iterator[str]:
    gain = report.gain
    yield f"{report.trials} trials over {report.people} validation people."
    yield f"NDCG@{k}: defaults {report.default:.4f}, best {report.best:.4f}."
    yield f"Difference {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], optimistic: chosen on the same people."
    if gain.value <= 0:
        yield "Nothing was better than the defaults, which stay."
    elif not gain.excludes_zero:
        yield "It can't be told apart from chance: measure it on the test part before you rely on it."
    yield f"Settings: {report.file}"
