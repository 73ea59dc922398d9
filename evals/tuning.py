"""tune(): the scorer's strength and the blend's weights for a history, chosen on held-out people of a workspace.

The objective is NDCG@k of the product's order (`rank`) over validation people; the test people are set aside and never
seen. The defaults are the first trial, so that what comes out is at least as good on these people. The weight of the
collaborative source stays: only proportions matter. Akiba et al., "Optuna", KDD 2019.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from tqdm import tqdm

from vouchrec.evals.intervals import Interval, paired_bootstrap
from vouchrec.evals.metrics import ndcg
from vouchrec.evals.protocols import Split, SplitSettings, check_split, likes_of, make_split
from vouchrec.retrieval.blend import Weights
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix, to_matrix
from vouchrec.retrieval.pipeline import rank
from vouchrec.retrieval.scorers.registry import default_l2
from vouchrec.retrieval.tuned import Tuned, write_tuned
from vouchrec.retrieval.types import Profile, Query
from vouchrec.retrieval.workspace import LEAST_INTERACTIONS, Workspace

if TYPE_CHECKING:
    import optuna

__all__ = ["SAMPLERS", "SPACE", "TuneReport", "TuneSettings", "tune"]

Sampler: TypeAlias = Literal["tpe", "random", "grid"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
STUDY = "study.db"
SPACE: Mapping[str, tuple[float, float]] = {
    "l2": (10.0, 3_000.0),
    "neighbours": (0.0, 1.5),
    "popularity": (0.0, 1.0),
    "recency": (0.0, 0.3),
}
"""Range of each setting; `l2` is searched on a logarithmic scale."""
_GRID: Mapping[str, Sequence[float]] = {
    "l2": (30.0, 100.0, 300.0, 1_000.0),
    "neighbours": (0.0, 0.2, 0.36, 0.7),
    "popularity": (0.0, 0.18, 0.4),
    "recency": (0.0, 0.05),
}
_KEPT_SCORERS = 3


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """How to search.

    Attributes:
        trials: Trials of the whole study, those of earlier runs included; the first is the defaults.
        sampler: `tpe` learns from earlier trials, `random` doesn't, `grid` goes through fixed values in random order.
        seed: Of the split and of the sampler.
        k: Length of the lists that are scored.
        people: Validation people at most; 0 for all.
        least: Likes that a person needs.
    """

    trials: int = 40
    sampler: Sampler = "tpe"
    seed: int = 0
    k: int = 10
    people: int = 300
    least: int = 5


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What a study found.

    Attributes:
        trials: Trials so far, those of earlier runs included.
        people: Validation people.
        default, best: Mean NDCG@k of the defaults and of the best trial over these people.
        gain: Paired difference; optimistic, since the best was chosen on the same people.
        tuned: The best settings; the defaults where nothing is better.
        file: Where they are written.
    """

    trials: int
    people: int
    default: float
    best: float
    gain: Interval
    tuned: Tuned
    file: Path


def tune(
    workspace: Workspace, folder: Path, settings: TuneSettings | None = None, *, progress: bool = False
) -> TuneReport:
    """Search, and write the best settings to `tuned.toml` in a folder; a study that is there goes on.

    Args:
        workspace: With interactions; not changed.
        folder: Where `study.db` and `tuned.toml` are kept.
        settings: How to search.
        progress: Show a bar.

    Raises:
        ConfigError: Too few interactions, an unknown sampler, Optuna is not installed, or the folder holds the study of
            other data or settings.
    """
    own = settings or TuneSettings()
    if own.sampler not in SAMPLERS:
        raise ConfigError(f"There is no sampler '{own.sampler}'.", hint=f"Samplers: {', '.join(SAMPLERS)}.")
    bench = _Bench(workspace, own)
    study = _open_study(folder, bench, own)
    left = own.trials - _finished(study)
    with tqdm(
        total=own.trials, initial=own.trials - max(0, left), desc="tuning", unit="trial", disable=not progress
    ) as bar:
        for _ in range(max(0, left)):
            before = _finished(study)
            study.optimize(bench.objective, n_trials=1)
            bar.update()
            if _finished(study) == before:
                break  # a grid that has been gone through
    return _report(study, bench, folder)


def _report(study: optuna.Study, bench: _Bench, folder: Path) -> TuneReport:
    tuned = bench.settings_of(study.best_params)
    default, best = bench.values(bench.default), bench.values(tuned)
    gain = paired_bootstrap(best, default, seed=bench.seed)
    if gain.value <= 0:
        tuned = Tuned()
    note = f"Written by `vouch tune`: study {bench.protocol}, {_finished(study)} trials, NDCG@{bench.k} on validation people."
    file = write_tuned(folder, tuned, note)
    return TuneReport(
        trials=_finished(study),
        people=len(best),
        default=math.fsum(default) / len(default),
        best=math.fsum(best) / len(best),
        gain=gain,
        tuned=tuned,
        file=file,
    )


class _Bench:
    """The validation people of a workspace, and what any settings score on them."""

    def __init__(self, workspace: Workspace, settings: TuneSettings) -> None:
        self._workspace, self.k, self.seed = workspace, settings.k, settings.seed
        items = [item.id for item in workspace.catalogue.items]
        likes = likes_of(workspace.store.interactions(), items)
        if len(likes) < LEAST_INTERACTIONS:
            problem = f"The workspace has {len(likes)} likes; {LEAST_INTERACTIONS} are the least that can be tuned on."
            raise ConfigError(problem, hint="Give more with `vouch init --interactions FILE`.")
        sizes = SplitSettings(seed=settings.seed, least=settings.least, most=settings.people)
        self._split: Split = check_split(make_split(likes, "strong", "validation", sizes))
        self._matrix: InteractionMatrix = to_matrix(self._split.train, items, explicit=False)
        touched = int((self._matrix.matrix.getnnz(axis=0) > 0).sum())
        self._default_l2 = default_l2(self._matrix.matrix.nnz, touched)
        self._products: dict[float, Workspace] = {}
        parts = [self._split.digest(), settings.k, sorted(items), SPACE]
        self.protocol = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def default(self) -> Tuned:
        """What the workspace would use untuned."""
        return Tuned(self._default_l2)

    @property
    def default_params(self) -> dict[str, float]:
        """The same as a trial, within the ranges."""
        weights = Weights.for_history()
        raw = {"l2": self._default_l2, **{name: weights.of(name) for name in ("neighbours", "popularity", "recency")}}
        return {name: min(max(value, SPACE[name][0]), SPACE[name][1]) for name, value in raw.items()}

    def settings_of(self, params: Mapping[str, float]) -> Tuned:
        """Return a trial's settings; a strength is rounded to three digits, so that fits can be used again."""
        weights = {name: round(value, 4) for name, value in params.items() if name != "l2"}
        tuned = Tuned(float(f"{params['l2']:.3g}"))
        return replace(tuned, weights=replace(tuned.weights, history=replace(Weights.for_history(), **weights)))

    def objective(self, trial: optuna.Trial) -> float:
        """Return the mean NDCG@k of a trial's settings."""
        params = {n: trial.suggest_float(n, low, high, log=n == "l2") for n, (low, high) in SPACE.items()}
        values = self.values(self.settings_of(params))
        return math.fsum(values) / len(values)

    def values(self, tuned: Tuned) -> list[float]:
        """Return NDCG@k of each validation person."""
        product, query = self._product(tuned.l2 or self._default_l2), Query(n=1)
        found: list[float] = []
        for case in self._split.cases:
            profile = Profile(history=dict(case.history))
            ranked = rank(product, query, profile, weights=tuned.weights.of_request(query, profile))
            found.append(ndcg(ranked, case.targets, self.k))
        return found

    def _product(self, l2: float) -> Workspace:
        """Return the workspace with a scorer of that strength, fitted without the validation people."""
        if l2 not in self._products:
            scorer = Ease(l2)
            scorer.fit(self._matrix)
            own = self._workspace
            while len(self._products) >= _KEPT_SCORERS:
                self._products.pop(next(iter(self._products)))
            self._products[l2] = Workspace(own.folder, own.store, own.domain, own.embedder, scorer=scorer)
        return self._products[l2]


def _open_study(folder: Path, bench: _Bench, settings: TuneSettings) -> optuna.Study:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("Tuning needs Optuna.", hint="Install it with `pip install 'vouchrec[tune]'`.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{(folder / STUDY).resolve()}",
        study_name="vouch",
        direction="maximize",
        load_if_exists=True,
    )
    known = cast("str", study.user_attrs.get("protocol", bench.protocol))
    if known != bench.protocol:
        hint = "Name another folder with --out."
        raise ConfigError(f"{folder} holds a study of other data or settings ({known}).", hint=hint)
    study.set_user_attr("protocol", bench.protocol)
    study.set_user_attr("settings", {**asdict(settings), "trials": None})
    study.sampler = _sampler(settings, _finished(study))
    if not study.trials:
        study.enqueue_trial(bench.default_params)
    return study


def _sampler(settings: TuneSettings, finished: int) -> optuna.samplers.BaseSampler:
    """Return the sampler; its seed moves on with the trials, or a study that goes on would repeat itself."""
    import optuna

    seed = settings.seed + finished
    if settings.sampler == "grid":
        return optuna.samplers.GridSampler(_GRID, seed=settings.seed)
    if settings.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _finished(study: optuna.Study) -> int:
    import optuna

    return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
