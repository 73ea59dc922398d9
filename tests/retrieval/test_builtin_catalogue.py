"""The shipped catalogue: its size, its spread, and the form of every record."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from vouchrec.evals.catalogue_facts import EXCEPTIONS as EXCEPTIONS_FILE
from vouchrec.evals.catalogue_facts import GENRES, MOODS, check_catalogue, read_exceptions
from vouchrec.retrieval.build import builtin_items
from vouchrec.retrieval.types import Item

LISTS = {
    "genres": (1, 4),
    "directors": (1, 9),
    "cast": (0, 8),
    "countries": (1, 3),
    "languages": (1, 3),
    "moods": (2, 10),
    "themes": (3, 18),
    "subgenres": (0, 4),
    "settings": (1, 5),
    "characters": (0, 4),
    "qualities": (3, 21),
}


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return builtin_items()


def having(items: list[Item], attribute: str, value: str) -> int:
    return sum(value in item.values(attribute) for item in items)


def test_size_and_spread(items: list[Item]) -> None:
    assert len(items) >= 2_000
    assert sum(item.values("languages")[0] not in {"English", "Silent"} for item in items) >= 250
    assert having(items, "genres", "animation") >= 60
    assert having(items, "genres", "documentary") >= 60
    assert sum((item.number("year") or 9_999) < 1960 for item in items) >= 100


def test_every_record_is_whole(items: list[Item]) -> None:
    for item in items:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-\d{4}", item.id)
        assert 1900 <= (item.number("year") or 0) <= 2026
        assert 10 <= (item.number("runtime") or 0) <= 600
        for name, (low, high) in LISTS.items():
            assert low <= len(item.values(name)) <= high, (item.id, name)
        assert 25 <= len(item.description.split()) <= 75, item.id


def test_values_come_from_the_lists(items: list[Item]) -> None:
    assert {g for item in items for g in item.values("genres")} <= GENRES
    assert {m for item in items for m in item.values("moods")} <= MOODS
    themes = Counter(theme for item in items for theme in item.values("themes"))
    assert all(theme == theme.casefold().strip() and len(theme.split()) <= 4 for theme in themes)


def test_ids_and_titles_are_unique(items: list[Item]) -> None:
    assert len({item.id for item in items}) == len(items)
    assert len({(item.title, item.number("year")) for item in items}) == len(items)


def test_the_catalogue_agrees_with_itself(items: list[Item]) -> None:
    settled = read_exceptions(EXCEPTIONS_FILE)
    assert [check for check in check_catalogue(items) if check.key not in settled] == []
