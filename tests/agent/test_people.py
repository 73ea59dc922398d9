"""People in messages: short names of the well-known, words that are no names, and people whom the catalogue lacks."""

from __future__ import annotations

import numpy as np
import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.agent.link import Linker
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Recommended, Span
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Item

from .conftest import finished


def people(spans: list[Span]) -> list[tuple[str, str]]:
    return [(s.text, str(s.constraints[0].value)) for s in spans if s.kind == "person"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anything with Denzel", [("Denzel", "Denzel Washington")]),
        ("keanu pls", [("keanu", "Keanu Reeves")]),
        ("no Nic Cage", [("Nic Cage", "Nicolas Cage")]),
        ("not Cage", [("Cage", "Nicolas Cage")]),
        ("westerns, Jimmy Stewart always", [("Jimmy Stewart", "James Stewart")]),
        ("with Tony Leung if there is any", [("Tony Leung", "Tony Leung Chiu-wai")]),
        ("directed by Lean", [("Lean", "David Lean")]),
        ("not by PTA", [("PTA", "Paul Thomas Anderson")]),
        ("the coen brothers", [("coen brothers", "Joel Coen")]),
        ("something Fincher-ish", [("Fincher", "David Fincher")]),
        ("Mr Nolan", [("Nolan", "Christopher Nolan")]),
        ("films by Steven Speilberg", [("Steven Speilberg", "Steven Spielberg")]),
        ("with the Rock", [("the Rock", "Dwayne Johnson")]),
    ],
)
def test_short_names(full_linker: Linker, text: str, expected: list[tuple[str, str]]) -> None:
    assert people(full_linker.link(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "don't judge me",
        "everyone on my ward",
        "in the car park",
        "with lean dialogue",
        "I will die on this hill",
        "Kind of Blue",
        "an hour in the cage",
        "loved the Meg",
        "RIP to the old cinema",
    ],
)
def test_words_that_are_no_names(full_linker: Linker, text: str) -> None:
    assert people(full_linker.link(text)) == []


@pytest.mark.parametrize("text", ["Bill Evans, the record", "Lav Diaz for once", "Randolph Scott westerns"])
def test_a_surname_of_somebody_else_is_not_the_known_person(full_linker: Linker, text: str) -> None:
    assert people(full_linker.link(text)) == []


@pytest.mark.parametrize(
    ("text", "attribute", "name"),
    [
        ("a thriller with Zzyzx Quuxley please", "cast", "Zzyzx Quuxley"),
        ("something directed by Hal Quuxley", "directors", "Hal Quuxley"),
        ("Films by Zara de Quuxley", "", ""),
        ("no Zara Quuxley", "cast", "Zara Quuxley"),
        ("directed by Clint Eastwood or Zara Quuxley", "directors", "Zara Quuxley"),
        ("Zara Quuxley is my neighbour", "", ""),
        ("we met Zara Quuxley", "", ""),
        ("by the way, no Zara Quuxley, seen", "", ""),
        ("with Zara Street", "", ""),
        ("with Quuxley", "", ""),
        ("not Le Quuxley", "", ""),
        ("WITH ZARA QUUXLEY", "", ""),
    ],
)
def test_people_whom_the_catalogue_lacks(full_linker: Linker, text: str, attribute: str, name: str) -> None:
    found = [s.constraints[0] for s in full_linker.link(text) if s.kind == "person" and "Quuxley" in s.text]
    assert [(c.attribute, c.value) for c in found] == ([(attribute, name)] if name else [])


def test_a_person_whom_the_catalogue_lacks_is_answered_honestly(agent: Agent) -> None:
    text = "a horror film with Zzyzx Quuxley please"
    answer = finished(list(reply(agent, start(agent, None), text)))
    assert answer.understanding.source == "rules"
    assert ("cast", "Zzyzx Quuxley") in [(c.attribute, c.value) for c in answer.understanding.request.constraints]
    assert answer.text.startswith("I know no film that is all of this: horror and with Zzyzx Quuxley.")


def test_to_rule_out_a_person_whom_the_catalogue_lacks_keeps_everything(agent: Agent) -> None:
    events = list(reply(agent, start(agent, None), "a horror film, no Zzyzx Quuxley"))
    answer = finished(events)
    assert [(c.op, c.value) for c in answer.understanding.request.constraints if c.attribute == "cast"] == [
        ("is_not", "Zzyzx Quuxley")
    ]
    assert [e for e in events if isinstance(e, Recommended) and e.recommendations]


def test_a_footnote_mark_among_the_people_is_no_name() -> None:
    items = [Item("one", "One", "", {"cast": ("[a]", "Ann Lee")}), Item("two", "Two", "", {"cast": ("[a]",)})]
    catalogue = Catalogue(items, builtin_domain())
    linker = Linker(catalogue, np.zeros(len(catalogue), np.float32))
    assert [s for s in linker.link("a funny one with a heist") if s.kind == "person"] == []
    assert [s.kind for s in linker.link("with Ann Lee")] == ["person"]
