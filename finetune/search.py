"""search(): a few settings of an adapter tried for a part of the steps; the one with the lowest validation loss trains on.

Optuna proposes; every trial is an ordinary run in a folder of its own, so that what a trial says is what a run gives.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import Literal, TypeAlias

from vouchrec.finetune.adapt import finetune
from vouchrec.finetune.dataset import Dataset
from vouchrec.finetune.settings import AdaptConfig
from vouchrec.retrieval.errors import ConfigError

Sampler: TypeAlias = Literal["tpe", "random", "grid"]
SPACE: Mapping[str, tuple[float, ...]] = {
    "rate": (5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    "rank": (8, 16, 32),
    "dropout": (0.0, 0.05),
}
"""What a search varies; `grid` goes through it in order of a fixed seed, `random` and `tpe` draw from it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its settings and the mean validation loss over skills that it reached."""

    settings: Mapping[str, float]
    loss: float


def search(
    config: AdaptConfig, dataset: Dataset, *, trials: int, sampler: Sampler, steps: int
) -> tuple[AdaptConfig, list[Trial]]:
    """Return the config with the best settings found, and every trial.

    Args:
        steps: Optimizer steps of one trial.

    Raises:
        ConfigError: Optuna is not installed, or nothing is to be tried.
    """
    known = _read(config) if not config.restart else []
    if len(known) >= trials > 0:  # an interrupted run goes on with what was found
        return with_settings(config, min(known, key=lambda t: t.loss).settings), known
    if trials < 1 or steps < 1:
        raise ConfigError("A search has at least one trial of one step.", hint="Use --search 10.")
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("--search needs Optuna.", hint="pip install 'vouchrec[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: list(values) for name, values in SPACE.items()}
    seed = config.loop.seed
    samplers: Mapping[Sampler, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(5, trials)),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "grid": lambda: optuna.samplers.GridSampler(space, seed=seed),
    }
    done: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        chosen = {name: float(trial.suggest_categorical(name, values)) for name, values in space.items()}
        done.append(Trial(chosen, _loss(config, dataset, chosen, len(done), steps)))
        return done[-1].loss

    optuna.create_study(sampler=samplers[sampler]()).optimize(objective, n_trials=trials)
    best = min(done, key=lambda t: t.loss)
    _write(config, done)
    return with_settings(config, best.settings), done


def with_settings(config: AdaptConfig, settings: Mapping[str, float]) -> AdaptConfig:
    """Return a config with the settings of a trial."""
    dials = replace(config.dials, rank=int(settings["rank"]), dropout=settings["dropout"])
    return replace(config, loop=replace(config.loop, rate=settings["rate"]), dials=dials)


def _loss(config: AdaptConfig, dataset: Dataset, settings: Mapping[str, float], number: int, steps: int) -> float:
    """Return the mean validation loss over skills after a trial; its folder is removed."""
    tried = with_settings(config, settings)
    loop = replace(tried.loop, max_steps=steps, evaluate_every=steps, checkpoint_every=steps + 1, patience=0)
    folder = config.out.with_name(f"{config.out.name}.trial{number}")
    tried = replace(tried, loop=loop, out=folder, restart=True, tensorboard=False)
    try:
        found = finetune(tried, lambda: dataset)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(tried.work, ignore_errors=True)
    return mean(after for _, after in found.losses.values())


def _read(config: AdaptConfig) -> list[Trial]:
    path = config.work / "search.json"
    if not path.is_file():
        return []
    return [Trial(row["settings"], row["loss"]) for row in json.loads(path.read_text(encoding="utf-8"))]


def _write(config: AdaptConfig, trials: list[Trial]) -> None:
    """Keep the trials beside the run; `finetune` leaves the file there."""
    config.work.mkdir(parents=True, exist_ok=True)
    rows = [{"settings": dict(t.settings), "loss": t.loss} for t in trials]
    (config.work / "search.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
