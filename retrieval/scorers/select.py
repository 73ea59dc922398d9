"""The choice of a scorer by validation on the data at hand: what `vouch init` does.

Which candidates are tried depends on the size of the data, so that the default stays fast; `all` tries everything that can
be fitted here. The two best exact scorers of different kinds are also tried as one, the mean of their scores. The best exact
scorer wins, unless an inexact one is better beyond chance: reasons cite contributions, and exact ones are worth more than
a difference that might be noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.retrieval.collaborative import EASE_LIMIT, CollaborativeScorer
from vouchrec.retrieval.errors import ConfigError, ModelError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.content import ItemContents
from vouchrec.retrieval.scorers.files import Json
from vouchrec.retrieval.scorers.registry import SCORERS, available, check_name, default_settings, make_scorer
from vouchrec.retrieval.scorers.validation import HeldOut, Holdout, Measured, hold_out, interval, measure

__all__ = ["AUTO", "EVERYTHING", "Candidate", "Choice", "Trial", "candidates", "check_choice", "choose"]

AUTO, EVERYTHING = "auto", "all"
"""Names that stand for a choice among several scorers."""
_LINE = "popularity"
Values: TypeAlias = npt.NDArray[np.float64]
"""(n_cases,) NDCG@10 by case."""
LEAST_HELD_OUT = 50
"""Held-out histories below which nothing is compared: the interval would be wider than any difference."""
TUNED_ITEMS = 5_000
"""Items up to which `auto` tries several settings of EASE, whose time grows with their cube."""
USER_KNN_PEOPLE = 20_000
"""People up to which `auto` tries user-kNN, whose time per list grows with them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scorer to try.

    Attributes:
        name: A key of the registry, or `blend`.
        settings: Arguments of its class.
        parts: Of a blend, the scorers whose mean it is.
    """

    name: str
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    parts: tuple[Candidate, ...] = ()

    @property
    def label(self) -> str:
        """Name and settings for a table."""
        if self.parts:
            return " + ".join(part.label for part in self.parts)
        said = ", ".join(f"{key} {_short(value)}" for key, value in self.settings.items())
        return f"{self.name} ({said})" if said else self.name

    def make(self, contents: ItemContents | None) -> CollaborativeScorer:
        """Return an unfitted scorer."""
        if self.parts:
            return BlendScorer([part.make(contents) for part in self.parts], [1 / len(self.parts)] * len(self.parts))
        return make_scorer(self.name, self.settings, contents=contents)


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table.

    Attributes:
        candidate: What was tried.
        exact: Whether its contributions sum to the score.
        ndcg, low, high: NDCG@10 over the held-out histories with its 95% bootstrap interval.
        fit_s, score_ms, peak_mb: Seconds to fit, milliseconds per history, megabytes at most.
        failed: Why it could not be fitted; empty when it could.
    """

    candidate: Candidate
    exact: bool
    ndcg: float = 0.0
    low: float = 0.0
    high: float = 0.0
    fit_s: float = 0.0
    score_ms: float = 0.0
    peak_mb: float = 0.0
    failed: str = ""

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate.name

    @property
    def label(self) -> str:
        """Name and settings for a table."""
        return self.candidate.label


@dataclass(frozen=True, slots=True)
class Choice:
    """Which scorer to fit, and why.

    Attributes:
        candidate: The scorer.
        asked: What was asked for: `auto`, `all` or a name.
        how: What was held out; None where nothing was compared.
        cases: Held-out histories.
        reason: One sentence.
        trials: All that was tried.
    """

    candidate: Candidate
    asked: str
    how: Holdout | None
    cases: int
    reason: str
    trials: tuple[Trial, ...] = ()

    @property
    def name(self) -> str:
        """Name of the scorer."""
        return self.candidate.name

    def lines(self) -> list[str]:
        """Return the table and the choice as lines of text."""
        label = self.candidate.label
        if not self.trials:
            return [f"Collaborative scorer: {label}. {self.reason}"]
        held = "people" if self.how == "people" else "last interactions"
        width = max(len(trial.label) for trial in self.trials)
        head = f"  {'scorer':<{width}}  NDCG@10  95% interval    reasons      fit s  ms/list      MB"
        lines = [f"Collaborative scorers on {self.cases:,} held-out {held}, all items ranked:", head]
        lines += [f"  {trial.label:<{width}}  {_figures(trial)}" for trial in self.trials]
        return [*lines, f"Chosen: {label}. {self.reason}"]

    def save(self, path: Path) -> None:
        """Write it as JSON, whole and then renamed."""
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        temporary.replace(path)


def _figures(trial: Trial) -> str:
    if trial.failed:
        return f"could not be fitted: {trial.failed}"
    reasons = "exact" if trial.exact else "approximate"
    if trial.name == "popularity":
        reasons = "none"
    return (
        f"{trial.ndcg:7.4f}  [{trial.low:.4f}, {trial.high:.4f}]  {reasons:<11} {trial.fit_s:6.1f} {trial.score_ms:8.2f}"
        f" {trial.peak_mb:7.0f}"
    )


def _short(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def check_choice(asked: str) -> None:
    """Check what a user asked for.

    Raises:
        ConfigError: It is neither `auto` nor `all` nor a scorer.
    """
    if asked not in (AUTO, EVERYTHING):
        try:
            check_name(asked)
        except ConfigError as error:
            raise ConfigError(error.message, hint=f"{error.hint[:-1]}; auto or all to choose.") from error


def candidates(asked: str, interactions: InteractionMatrix, *, contents: bool) -> list[Candidate]:
    """Return what is tried.

    `auto`: up to `TUNED_ITEMS` items EASE at several strengths, item-kNN plain and with shrinkage, user-kNN up to
    `USER_KNN_PEOPLE` people, iALS where `implicit` is installed, and popularity as the line to beat. Up to `EASE_LIMIT`
    items EASE at one strength, item-kNN and popularity. Above, item-kNN, iALS (else SVD) and popularity. `all`:
    everything that can be fitted here, the neural ones too.

    Args:
        asked: `auto` or `all`.
        interactions: What will be fitted.
        contents: Whether item vectors are at hand.
    """
    items = int((np.asarray(interactions.matrix.getnnz(axis=0)) > 0).sum())
    if asked == EVERYTHING:
        names = [name for name in available(contents=contents) if name != "ease" or items <= EASE_LIMIT]
        return [found for name in names for found in _variants(name, interactions, items)]
    if items > EASE_LIMIT:
        factor = "ials" if "ials" in available(contents=contents) else "svd"
        return [Candidate("popularity"), Candidate("itemknn"), Candidate(factor)]
    few = items <= TUNED_ITEMS
    names = ["popularity", "ease", "itemknn"]
    if few and len(interactions.users) <= USER_KNN_PEOPLE:
        names.append("userknn")
    if few and "ials" in available(contents=contents):
        names.append("ials")
    return [found for name in names for found in _variants(name, interactions, items)]


def _variants(name: str, interactions: InteractionMatrix, items: int) -> list[Candidate]:
    """Return a scorer's settings that are worth trying."""
    base = default_settings(name, interactions)
    if name == "ease" and items <= TUNED_ITEMS:
        middle = float(np.float64(base["l2"] or 0.0))
        plain = [Candidate(name, {"l2": middle * factor}) for factor in (0.5, 1.0, 2.0)]
        return [*plain, *(Candidate(name, {"l2": middle * factor, "balance": 0.25}) for factor in (1.0, 2.0))]
    if name == "itemknn" and items <= TUNED_ITEMS:
        return [Candidate(name), Candidate(name, {"shrinkage": 10.0, "tf_idf": True})]
    return [Candidate(name, base)]


def choose(
    asked: str,
    interactions: InteractionMatrix,
    *,
    contents: ItemContents | None = None,
    progress: bool = False,
    seed: int = 0,
) -> Choice:
    """Choose a scorer for these interactions.

    Args:
        asked: `auto`, `all`, or a scorer's name, which is taken as it is.
        interactions: What will be fitted.
        contents: Item vectors, for the scorers that use them.
        progress: Show a bar.
        seed: Seed of the split.

    Raises:
        ConfigError: There is no such scorer, or none of the candidates can be fitted.
    """
    check_choice(asked)
    if asked not in (AUTO, EVERYTHING):
        named = Candidate(asked, default_settings(asked, interactions))
        return Choice(named, asked, None, 0, "As asked; nothing was compared.")
    held = hold_out(interactions, seed=seed)
    if len(held.histories) < LEAST_HELD_OUT:
        reason = f"Fewer than {LEAST_HELD_OUT} histories to compare on: the default."
        usual = Candidate("ease", default_settings("ease", interactions))
        return Choice(usual, asked, None, len(held.histories), reason)
    tried = candidates(asked, interactions, contents=contents is not None)
    comparison = _Comparison(held, contents)
    with tqdm(total=len(tried) + 1, desc="comparing scorers", unit="scorer", disable=not progress, leave=False) as bar:
        for candidate in tried:
            bar.set_postfix_str(candidate.label)
            comparison.add(candidate)
            bar.update()
        comparison.add_blend()
        bar.update()
    best, reason = _winner(comparison.results)
    trials = tuple(trial for trial, _ in comparison.results)
    return Choice(best.candidate, asked, held.how, len(held.histories), reason, trials)


class _Comparison:
    """Candidates measured on the same histories; the best exact one of each kind is kept fitted for a blend."""

    def __init__(self, held: HeldOut, contents: ItemContents | None) -> None:
        self._held, self._contents = held, contents
        self._kept: dict[str, tuple[Trial, CollaborativeScorer]] = {}
        self.results: list[tuple[Trial, Values]] = []

    def add(self, candidate: Candidate) -> None:
        """Fit and measure a candidate; one that can't be fitted gets a row that says so."""
        try:
            scorer = candidate.make(self._contents)
            found = measure(scorer, self._held)
        except ModelError as error:
            failed = Trial(candidate, exact=False, failed=error.message)
            self.results.append((failed, np.zeros(len(self._held.histories))))
            return
        trial = self._record(candidate, found, SCORERS[candidate.name].exact)
        best = self._kept.get(candidate.name)
        if trial.exact and (best is None or trial.ndcg > best[0].ndcg):
            self._kept[candidate.name] = (trial, scorer)

    def add_blend(self) -> None:
        """Measure the mean of the two best kinds."""
        ranked = sorted(self._kept.values(), key=lambda pair: -pair[0].ndcg)[:2]
        if len(ranked) == 2:
            blend = BlendScorer.of_fitted([scorer for _, scorer in ranked], [0.5, 0.5])
            found = measure(blend, self._held, fit=False)
            fitted = replace(found, fit_s=sum(t.fit_s for t, _ in ranked), peak_mb=max(t.peak_mb for t, _ in ranked))
            self._record(Candidate("blend", {}, tuple(trial.candidate for trial, _ in ranked)), fitted, exact=True)

    def _record(self, candidate: Candidate, found: Measured, exact: bool) -> Trial:
        low, high = interval(found.ndcg)
        mean = float(found.ndcg.mean())
        trial = Trial(candidate, exact, mean, low, high, found.fit_s, found.score_ms, found.peak_mb)
        self.results.append((trial, found.ndcg))
        return trial


def _winner(results: Sequence[tuple[Trial, Values]]) -> tuple[Trial, str]:
    """Return the best exact scorer, or an inexact one that is above it beyond chance.

    Popularity is only the line to beat: it knows no history, and the blend of sources has it anyway.
    """
    fitted = [(trial, values) for trial, values in results if not trial.failed and trial.name != _LINE]
    if not fitted:
        raise ConfigError("None of the scorers can be fitted on these interactions.", hint="Choose one with --scorer.")
    line = next((trial for trial, _ in results if trial.name == _LINE), None)
    best, best_values = max(fitted, key=lambda pair: pair[0].ndcg)
    below = f" Popularity alone has {line.ndcg:.4f}." if line is not None and line.ndcg > best.ndcg else ""
    exact = max((p for p in fitted if p[0].exact), key=lambda pair: pair[0].ndcg, default=None)
    if best.exact or exact is None:
        return best, f"The best on the held-out histories.{below}"
    low, _ = interval(best_values - exact[1])
    if low > 0:
        return best, f"Above {exact[0].label}, the best with exact reasons, beyond chance.{below}"
    return exact[0], f"The best with exact reasons; {best.label} is not above it beyond chance.{below}"
