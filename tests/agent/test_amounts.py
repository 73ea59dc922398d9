"""Numbers in words and digits."""

from __future__ import annotations

import re

import pytest

from vouchrec.agent.amounts import SPOKEN, amount


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("12", 12),
        ("2,5", 2.5),
        ("ninety", 90),
        ("eighty-five", 85),
        ("twenty  one", 21),
        ("a hundred", 100),
        ("one hundred and ten", 110),
        ("hundred twenty", 120),
        ("half", 0.5),
        ("a couple of", 2),
        ("an", 1),
        ("potato", -1),
        ("", -1),
        (None, -1),
    ],
)
def test_amount(said: str | None, value: float) -> None:
    assert amount(said, -1) == value


@pytest.mark.parametrize("said", ["ninety", "forty-five", "a hundred and ten", "one hundred", "seventeen"])
def test_the_pattern_covers_the_whole_number(said: str) -> None:
    assert re.fullmatch(SPOKEN, said)
