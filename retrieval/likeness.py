"""Likeness of items in their attributes, rare values counting more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Item, ItemId, ItemVector

PEOPLE = 0.5
"""How much a shared person counts against another shared value as rare."""


def attribute_likeness(catalogue: Catalogue, items: Sequence[ItemId]) -> ItemVector:
    """Return the mean over items of the share of an item's attribute values that each row has, (n_items,) float32 in [0, 1].

    Values of list attributes count by their inverse document frequency; attributes of which an item seldom has two values
    (countries, languages) are left out.
    """
    known = [item for i in items if (item := catalogue.get(i)) is not None]
    total = np.zeros(len(catalogue), np.float32)
    for item in known:
        total += _shared(catalogue, item)
    return total / np.float32(max(1, len(known)))


def _shared(catalogue: Catalogue, item: Item) -> ItemVector:
    scores = np.zeros(len(catalogue), np.float32)
    whole = 0.0
    for attribute in catalogue.domain.attributes:
        if attribute.kind != "list" or attribute.single:
            continue
        for value in item.values(attribute.name):
            rows = list(catalogue.rows_with(attribute.name, value))
            weight = math.log(1 + len(catalogue) / len(rows)) * (PEOPLE if attribute.people else 1.0)
            scores[rows] += weight
            whole += weight
    # A third of the values in common is about as alike as two different items get.
    return np.clip(scores / (whole / 3 or 1.0), 0.0, 1.0)
