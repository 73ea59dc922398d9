"""Soft wishes: kept while enough items allow it, given up where they don't."""

from __future__ import annotations

import numpy as np
import pytest

from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.narrow import narrow
from vouchrec.retrieval.types import Constraint

CATALOGUE = Catalogue(builtin_items(), builtin_domain())
ALL = np.ones(len(CATALOGUE), dtype=np.bool_)


def soft(attribute: str, op: str, value: object) -> Constraint:
    return Constraint(attribute, op, value, "soft")  # type: ignore[arg-type]


def test_a_wish_that_many_items_meet_is_kept() -> None:
    kept = narrow(CATALOGUE, [soft("genres", "is", "western")], ALL, 5)
    assert 5 <= kept.sum() < len(CATALOGUE)
    assert all("western" in CATALOGUE.items[row].values("genres") for row in np.flatnonzero(kept))


def test_the_first_country_counts_while_there_are_enough() -> None:
    japan = Constraint("countries", "is", "Japan")
    allowed = CATALOGUE.mask([japan])
    kept = narrow(CATALOGUE, [japan], allowed, 5)
    assert 5 <= kept.sum() < allowed.sum()
    assert all(CATALOGUE.items[row].values("countries")[0] == "Japan" for row in np.flatnonzero(kept))
    assert narrow(CATALOGUE, [japan], allowed, int(allowed.sum())).sum() == allowed.sum(), "too few of them alone"


def test_a_wish_that_too_few_meet_is_given_up_and_the_others_stay() -> None:
    wishes = [soft("directors", "is", "Nobody At All"), soft("genres", "is_not", "drama")]
    kept = narrow(CATALOGUE, wishes, ALL, 5)
    assert kept.sum() >= 5
    assert not any("drama" in CATALOGUE.items[row].values("genres") for row in np.flatnonzero(kept))


@pytest.mark.parametrize("n", [1, 5, 50])
def test_enough_is_always_left(n: int) -> None:
    wishes = [soft("moods", "is", m) for m in ("funny", "tense", "romantic", "eerie")] + [soft("year", "max", 1960)]
    assert narrow(CATALOGUE, wishes, ALL, n).sum() >= n


def test_a_mood_is_kept_as_long_as_it_fills_the_list() -> None:
    mood = soft("moods", "is", "funny")
    rows = np.flatnonzero(CATALOGUE.mask([mood]))[:2]
    few = np.zeros(len(CATALOGUE), dtype=np.bool_)
    few[rows] = True
    few[np.flatnonzero(~CATALOGUE.mask([mood]))[:20]] = True
    assert narrow(CATALOGUE, [mood], few, 2).sum() == len(rows)
    assert narrow(CATALOGUE, [mood], few, 3).sum() == few.sum(), "two films are no list of three"


def test_hard_conditions_on_many_values_are_not_its_business() -> None:
    assert narrow(CATALOGUE, [Constraint("genres", "is", "horror")], ALL, 5).sum() == len(CATALOGUE)
