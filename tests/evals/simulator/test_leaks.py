"""What gives a target away, and what does not."""

from __future__ import annotations

import pytest

from vouchrec.evals.simulator.leaks import LeakCheck
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Constraint, Item

DOMAIN = Domain(attributes=(Attribute("genres"), Attribute("makers", people=True), Attribute("year", kind="number")))
LAMP = Item(
    "the-lamp-1990",
    "The Lamp: Über Alles Nights",
    "",
    {"genres": ("drama", "sea"), "makers": ("Ann Lee",), "year": 1990},
    ("La Lampe",),
)
CROWD = [Item(f"other-{n}", f"Other {n}", "", {"genres": ("drama",), "year": 1980 + n}) for n in range(12)]
SEA = [Item(f"sea-{n}", f"Wave {n}", "", {"genres": ("sea",), "year": 1990}) for n in range(3)]
CATALOGUE = Catalogue([LAMP, *CROWD, *SEA], DOMAIN)


def check() -> LeakCheck:
    return LeakCheck(CATALOGUE, ["the-lamp-1990"], crowd=5)


@pytest.mark.parametrize(
    "message",
    [
        "have you got The Lamp: Über Alles Nights?",
        "the LAMP, uber alles nights!!",
        "I want lamp uber alles nights",
        "something like La Lampe",
        "is it the lamp?",
        "show the-lamp-1990",
    ],
)
def test_a_name_is_a_leak(message: str):
    assert check().leaks(message) == ["names The Lamp: Über Alles Nights"]


@pytest.mark.parametrize("message", ["I like lamps", "a clamp", "alles gut", "Other 3 was nice", "anything else?"])
def test_other_words_are_none(message: str):
    assert not [leak for leak in check().leaks(message) if leak.startswith("names")]


def test_a_feature_that_many_have_is_no_leak():
    assert check().leaks("a drama") == []  # thirteen are


def test_a_feature_that_hardly_anything_else_has_is_a_leak():
    assert check().leaks("something about the sea") == [
        "describes The Lamp: Über Alles Nights so that 4 items are left"
    ]
    assert check().leaks("by Ann Lee, please") == ["describes The Lamp: Über Alles Nights so that 1 items are left"]
    assert check().leaks("from 1990") == []  # five are: exactly the crowd


def test_what_was_said_before_counts():
    own = LeakCheck(CATALOGUE, ["the-lamp-1990"], crowd=3)
    assert own.leaks("about the sea") == []  # four are
    own.say("about the sea")
    assert own.leaks("and a drama") == ["describes The Lamp: Über Alles Nights so that 1 items are left"]


def test_conditions_count_like_words():
    own = check()
    old = [Constraint("year", "max", 1984)]
    newer = [Constraint("year", "min", 1988)]
    assert own.leaks("a new one", newer) == []  # ten are
    own.say("a new one", newer)
    assert own.leaks("and a drama") == []  # five are: exactly the crowd
    own.say("and a drama")
    assert own.leaks("of the years before", [Constraint("year", "max", 1990)]) != []  # four are
    assert own.leaks("an old one", old) == []  # says nothing that is true of it


def test_names_of_everyday_words():
    words = {"the", "big", "one", "it"}
    assert LeakCheck.names_item(Item("a", "It"), words)
    assert LeakCheck.names_item(Item("a", "The Big One"), words)
    assert LeakCheck.names_item(Item("a", "???"), words)
    assert LeakCheck.names_item(Item("a", "Jaws", aliases=("Big",)), words)
    assert not LeakCheck.names_item(Item("a", "The Big Short"), words)
