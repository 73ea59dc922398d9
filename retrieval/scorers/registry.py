"""Scorers by name: which there are, what each needs, how to make one with sensible settings, and how to read a saved one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.errors import ConfigError, ModelError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.content import ItemContents
from vouchrec.retrieval.scorers.factors import implicit_installed
from vouchrec.retrieval.scorers.files import Json, read_kind

__all__ = [
    "SCORERS",
    "Kind",
    "available",
    "check_fittable",
    "check_name",
    "default_l2",
    "default_settings",
    "load_scorer",
    "make_scorer",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of scorer.

    Attributes:
        module: Where its class is, relative to `vouchrec.retrieval`; imported when one is made.
        name: The class.
        title: What it is, for tables.
        exact: True when its contributions sum to the score by algebra.
        contents: True when it needs item vectors to be fitted.
        library: Library beyond the usual ones that it needs; empty for none.
        neural: True when it is trained by torch, which takes minutes rather than seconds.
    """

    module: str
    name: str
    title: str
    exact: bool = True
    contents: bool = False
    library: str = ""
    neural: bool = False


SCORERS: Mapping[str, Kind] = {
    "popularity": Kind("scorers.popularity", "PopularityScorer", "popularity", exact=False),
    "ease": Kind("collaborative", "Ease", "EASE"),
    "itemknn": Kind("scorers.neighbours", "ItemKnn", "item-kNN"),
    "userknn": Kind("scorers.neighbours", "UserKnn", "user-kNN"),
    "svd": Kind("scorers.factors", "Svd", "truncated SVD"),
    "ials": Kind("scorers.factors", "Ials", "iALS, recalculated", library="implicit"),
    "bpr": Kind("scorers.factors", "Bpr", "BPR", exact=False, library="implicit"),
    "content": Kind("scorers.content", "ContentScorer", "content only", contents=True),
    "sasrec": Kind("scorers.neural_sequence", "Sasrec", "SASRec", exact=False, neural=True),
    "gru": Kind("scorers.neural_sequence", "Gru", "GRU", exact=False, neural=True),
    "lightgcn": Kind("scorers.neural_graph", "LightGcn", "LightGCN", neural=True),
    "twotower": Kind("scorers.neural_towers", "TwoTower", "two towers", exact=False, contents=True, neural=True),
}
"""Kind by name, in the order of tables."""
_BLEND = "blend"


def available(*, contents: bool) -> tuple[str, ...]:
    """Return the names that can be fitted here.

    Args:
        contents: Whether item vectors are at hand.
    """
    there = {"": True, "implicit": implicit_installed()}
    return tuple(n for n, kind in SCORERS.items() if there[kind.library] and (contents or not kind.contents))


def check_name(name: str) -> None:
    """Check that there is a scorer of this name.

    Raises:
        ConfigError: There is none; the message lists the names.
    """
    if name not in SCORERS:
        raise ConfigError(f"There is no scorer '{name}'.", hint=f"Scorers: {', '.join(SCORERS)}.")


def check_fittable(name: str) -> None:
    """Check that a scorer's library is installed.

    Raises:
        ConfigError: It is not.
    """
    kind = SCORERS.get(name)
    if kind is not None and kind.library == "implicit" and not implicit_installed():
        hint = f"Install it with `pip install 'vouchrec[scorers]'`, or choose one of {', '.join(available(contents=True))}."
        raise ConfigError(f"The scorer '{name}' needs the library {kind.library}, which is not installed.", hint=hint)


def default_l2(n_interactions: int, n_items: int) -> float:
    """Return the EASE ridge strength used without tuning: ten times the interactions per item, from 20 to 500.

    The Gram matrix grows with the interactions per item, and the strength with it. On the likes of MovieLens (small) the best
    strength was 100 to 200 at 15 interactions per item, and below 50 at 4; on large sets 500 is usual (Steck, WWW 2019).
    """
    return float(np.clip(10.0 * n_interactions / max(1, n_items), 20.0, 500.0))


def default_settings(name: str, interactions: InteractionMatrix) -> dict[str, Json]:
    """Return the settings that depend on the data: EASE's ridge strength."""
    if name != "ease":
        return {}
    touched = int((np.asarray(interactions.matrix.getnnz(axis=0)) > 0).sum())
    return {"l2": default_l2(interactions.matrix.nnz, touched)}


def make_scorer(
    name: str, settings: Mapping[str, Json] | None = None, *, contents: ItemContents | None = None
) -> CollaborativeScorer:
    """Make an unfitted scorer.

    Args:
        name: A key of `SCORERS`.
        settings: Arguments of its class; the others keep their defaults.
        contents: Item vectors, for the kinds that need them.

    Raises:
        ConfigError: There is no such scorer, it needs what is not there, or it has no such setting.
    """
    check_name(name)
    check_fittable(name)
    kind = SCORERS[name]
    arguments: dict[str, Any] = dict(settings or {})
    if kind.contents:
        if contents is None:
            raise ConfigError(f"The scorer '{name}' needs item vectors.", hint="Use it in a workspace.")
        arguments["contents"] = contents
    try:
        return cast("CollaborativeScorer", _class(kind)(**arguments))
    except TypeError as error:
        raise ConfigError(f"The scorer '{name}' can't be made: {error}.", hint="See its class for settings.") from error


def load_scorer(folder: Path) -> CollaborativeScorer:
    """Read a saved scorer of any kind.

    Raises:
        ModelError: It is absent, damaged, or of a kind that this version does not have.
    """
    name = read_kind(folder)
    if name == _BLEND:
        return BlendScorer.load(folder, load_scorer)
    if name not in SCORERS:
        hint = "Fit it again with `vouch init`."
        raise ModelError(f"The collaborative scorer in {folder} can't be read: unknown kind '{name}'.", hint=hint)
    return cast("CollaborativeScorer", _class(SCORERS[name]).load(folder))


def _class(kind: Kind) -> Any:
    return getattr(import_module(f"vouchrec.retrieval.{kind.module}"), kind.name)
