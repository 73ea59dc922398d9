"""Scores of readers against annotated messages."""

from __future__ import annotations

import pytest

from vouchrec.agent.annotations import AuthoredTurn
from vouchrec.agent.types import Reading, Role, Span
from vouchrec.evals.understanding import Linked, Reader, evaluate, report, slot_f1
from vouchrec.retrieval.types import Constraint


def message(*gold: Role, missed: int = 0) -> Linked:
    spans = tuple(
        Span(
            i,
            i + 1,
            "x",
            "title" if role in ("like", "seen") else "genres",
            constraints=(Constraint("genres", "is", "x"),),
        )
        for i, role in enumerate(gold)
    )
    return Linked(AuthoredTurn("f:1", "x" * 9, (), "recommend", 0), spans, gold, missed)


def saying(act: str, *roles: Role) -> Reader:
    return lambda turn, spans: Reading(act, roles)  # type: ignore[arg-type]


def test_a_perfect_reader_is_limited_by_the_linker_alone() -> None:
    messages = [message("must", "like", missed=1)] * 3
    scores = evaluate(messages, saying("recommend", "must", "like"), "x")
    figures = report(messages, {"x": scores})
    assert figures["linker"] == {"slots": 9, "recall": 0.667, "precision": 1.0}
    assert slot_f1(scores).value == pytest.approx(2 * 6 / (6 + 9))
    assert scores.conditions == [1.0] * 3


def test_slots_count_only_what_was_said_and_meant() -> None:
    scores = evaluate([message("must", "ignore", "seen")], saying("critique", "exclude", "like", "seen"), "x")
    assert scores.slots == [(1, 3, 2)]
    assert scores.acts == [0.0]
    assert scores.sorts == {("value", False): 1, ("item", True): 1}
    assert scores.conditions == [0.0]


def test_soft_wishes_are_no_conditions() -> None:
    assert evaluate([message("prefer")], saying("recommend", "avoid"), "x").conditions == [1.0]
    assert evaluate([message("prefer")], saying("recommend", "must"), "x").conditions == [0.0]


def test_no_reading_is_scored_as_nothing_understood() -> None:
    scores = evaluate([message("must")], lambda turn, spans: None, "x")
    assert scores.slots == [(0, 0, 1)]
    assert scores.acts == [0.0]
