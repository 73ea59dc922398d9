"""Wishes that are no conditions: kept wherever enough items allow it, given up one by one where they don't.

"Ideally Italian" means an Italian film as long as there are some. So a soft constraint first works like a hard one, and only where
too few items would be left does it merely raise the score (the `match` source).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.types import Constraint, RowMask


def narrow(catalogue: Catalogue, constraints: Sequence[Constraint], allowed: RowMask, n: int) -> RowMask:
    """Return the allowed rows that also keep the soft constraints, as many of these as leave enough to choose from.

    What is rather not wanted goes first, then strict attributes (a country, a kind), then open ones, in the order said. Before
    them, hard or soft: of an attribute of which an item seldom has two values, the first one counts, since "a Japanese film" is
    not one that was also produced in Japan.

    Args:
        allowed: (n_items,) bool, rows that break no hard constraint.
        n: Number of recommendations; at least that many rows are left, unless `allowed` has fewer.
    """
    for constraint in constraints:
        kept = allowed & _foremost(catalogue, constraint)
        if int(kept.sum()) >= n:
            allowed = kept
    for constraint in sorted((c for c in constraints if c.strength == "soft"), key=lambda c: _rank(catalogue, c)):
        kept = allowed & catalogue.mask([constraint])
        if int(kept.sum()) >= n:
            allowed = kept
    return allowed


def _foremost(catalogue: Catalogue, constraint: Constraint) -> RowMask:
    """Return the rows whose first value satisfies a wish for values of a single attribute; all rows for other constraints."""
    attribute = catalogue.domain.attribute(constraint.attribute)
    rows = np.ones(len(catalogue), dtype=np.bool_)
    if attribute is None or not attribute.single or attribute.kind != "list" or constraint.op not in ("is", "any_of"):
        return rows
    wanted = {fold(value) for value in constraint.values()}
    having = {row for value in constraint.values() for row in catalogue.rows_with(attribute.name, value)}
    rows[:] = False
    rows[[row for row in having if fold(catalogue.items[row].values(attribute.name)[0]) in wanted]] = True
    return rows


def _rank(catalogue: Catalogue, constraint: Constraint) -> int:
    if constraint.op in ("is_not", "none_of"):
        return 0
    attribute = catalogue.domain.attribute(constraint.attribute)
    return 1 if attribute is not None and attribute.strict else 2
