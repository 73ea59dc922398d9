"""The choice of a scorer by validation on the data at hand: what `vouch init` does.

Which candidates are tried depends on the size of the data, so that the default stays fast; `all` tries everything that can
be fitted here. The best exact scorer wins, unless an inexact one is better beyond chance: reasons cite contributions, and
exact ones are worth more than a difference that might be noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.retrieval.collaborative import EASE_LIMIT
from vouchrec.retrieval.errors import ConfigError, ModelError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.content import ItemContents
from vouchrec.retrieval.scorers.files import Json
from vouchrec.retrieval.scorers.registry import SCORERS, available, check_name, default_settings, make_scorer
from vouchrec.retrieval.scorers.validation import HeldOut, Holdout, Measured, hold_out, interval, measure

__all__ = ["AUTO", "EVERYTHING", "Candidate", "Choice", "Trial", "candidates", "check_choice", "choose"]

AUTO, EVERYTHING = "auto", "all"
"""Names that stand for a choice among several scorers."""
_LINE = "popularity"
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
        name: A key of the registry.
        settings: Arguments of its class.
    """

    name: str
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @property
    def label(self) -> str:
        """Name and settings for a table."""
        said = ", ".join(f"{key} {_short(value)}" for key, value in self.settings.items())
        return f"{self.name} ({said})" if said else self.name


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table.

    Attributes:
        name, settings: The candidate.
        exact: Whether its contributions sum to the score.
        ndcg, low, high: NDCG@10 over the held-out histories with its 95% bootstrap interval.
        fit_s, score_ms, peak_mb: Seconds to fit, milliseconds per history, megabytes at most.
        failed: Why it could not be fitted; empty when it could.
    """

    name: str
    settings: Mapping[str, Json]
    exact: bool
    ndcg: float = 0.0
    low: float = 0.0
    high: float = 0.0
    fit_s: float = 0.0
    score_ms: float = 0.0
    peak_mb: float = 0.0
    failed: str = ""

    @property
    def label(self) -> str:
        """Name and settings for a table."""
        return Candidate(self.name, self.settings).label


@dataclass(frozen=True, slots=True)
class Choice:
    """Which scorer to fit, and why.

    Attributes:
        name, settings: The scorer.
        asked: What was asked for: `auto`, `all` or a name.
        how: What was held out; None where nothing was compared.
        cases: Held-out histories.
        reason: One sentence.
        trials: All that was tried.
    """

    name: str
    settings: Mapping[str, Json]
    asked: str
    how: Holdout | None
    cases: int
    reason: str
    trials: tuple[Trial, ...] = ()

    def lines(self) -> list[str]:
        """Return the table and the choice as lines of text."""
        label = Candidate(self.name, self.settings).label
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
    `USER_KNN_PEOPLE` people, and popularity as the line to beat; up to `EASE_LIMIT` items EASE at one strength, item-kNN
    and popularity; above, item-kNN, iALS (where `implicit` is installed, else SVD) and popularity. `all`: everything that
    can be fitted here, the neural ones too.

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
        return Choice(asked, default_settings(asked, interactions), asked, None, 0, "As asked; nothing was compared.")
    held = hold_out(interactions, seed=seed)
    if len(held.histories) < LEAST_HELD_OUT:
        reason = f"Fewer than {LEAST_HELD_OUT} histories to compare on: the default."
        return Choice("ease", default_settings("ease", interactions), asked, None, len(held.histories), reason)
    tried = candidates(asked, interactions, contents=contents is not None)
    results: list[tuple[Trial, npt.NDArray[np.float64]]] = []
    with tqdm(total=len(tried), desc="comparing scorers", unit="scorer", disable=not progress, leave=False) as bar:
        for candidate in tried:
            bar.set_postfix_str(candidate.label)
            results.append(_try(candidate, held, contents))
            bar.update()
    best, reason = _winner(results)
    trials = tuple(trial for trial, _ in results)
    return Choice(best.name, best.settings, asked, held.how, len(held.histories), reason, trials)


def _try(candidate: Candidate, held: HeldOut, contents: ItemContents | None) -> tuple[Trial, npt.NDArray[np.float64]]:
    try:
        scorer = make_scorer(candidate.name, candidate.settings, contents=contents)
        found: Measured = measure(scorer, held)
    except ModelError as error:
        failed = Trial(candidate.name, candidate.settings, exact=False, failed=error.message)
        return failed, np.zeros(len(held.histories))
    low, high = interval(found.ndcg)
    trial = Trial(
        candidate.name,
        candidate.settings,
        SCORERS[candidate.name].exact,
        float(found.ndcg.mean()),
        low,
        high,
        found.fit_s,
        found.score_ms,
        found.peak_mb,
    )
    return trial, found.ndcg


def _winner(results: Sequence[tuple[Trial, npt.NDArray[np.float64]]]) -> tuple[Trial, str]:
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
