"""Conditions in words."""

from __future__ import annotations

import pytest

from vouchrec.agent.compose import conditions, describe
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.types import Constraint


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (Constraint("genres", "is_not", "horror"), "not horror"),
        (Constraint("runtime", "max", 120.0), "at most 120 minutes"),
        (Constraint("year", "min", 1980.0), "from 1980 or later"),
        (Constraint("countries", "any_of", ("Japan", "Iran")), "from Japan or Iran"),
        (Constraint("countries", "any_of", tuple("ABCDE")), "from A or B or C or D or E"),
        (Constraint("countries", "any_of", tuple("ABCDEFG")), "from A or B or C or D or 3 others"),
        (Constraint("cast", "none_of", tuple("ABCDEF")), "without A or B or C or D or 2 others"),
    ],
)
def test_conditions(constraint: Constraint, words: str) -> None:
    assert describe(constraint, builtin_domain()) == words


def test_who_directs_and_acts_is_ruled_out_in_one_breath() -> None:
    said = [Constraint(a, "is_not", "Charlie Chaplin") for a in ("directors", "cast")]
    assert conditions(said, builtin_domain()) == ([], ["without Charlie Chaplin"])
