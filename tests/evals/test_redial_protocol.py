"""The protocol of the ReDial benchmark on dialogues made by hand, with leaks planted that must be caught."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vouchrec.evals.redial.data import Dialogue, Film, Message
from vouchrec.evals.redial.evaluate import Row, figures, mean_reciprocal_rank, rank_targets, recalls, repeat_scores
from vouchrec.evals.redial.features import Catalogue, events_of
from vouchrec.evals.redial.protocol import (
    Case,
    check_disjoint,
    make_cases,
    protocol_hash,
    targets_of,
    turns_of,
)
from vouchrec.retrieval.errors import ConfigError

FILMS = [Film(str(number), f"Film {number} (2000)", f"Film {number}", 2000) for number in range(1, 7)]
IDS = [film.id for film in FILMS]
CATALOGUE = Catalogue.of(FILMS)


def dialogue(*said: tuple[str, str], id: str = "d", workers: tuple[int, ...] = (1, 2)) -> Dialogue:
    return Dialogue(id, tuple(Message(who == "S", text) for who, text in said), frozenset(workers))


TALK = dialogue(
    ("R", "Hello"),
    ("S", "I liked @1"),
    ("S", "and @2, a lot"),
    ("R", "Then try @3"),
    ("R", "or @1 again, or @3, or @999"),
    ("S", "Seen @3"),
    ("R", "@3 and @4 then"),
)


def test_messages_of_one_person_are_one_turn():
    assert [(turn.seeker, turn.text.count("\n")) for turn in turns_of(TALK)] == [
        (False, 0),
        (True, 1),
        (False, 1),
        (True, 0),
        (False, 0),
    ]


def test_cases_by_hand():
    first, second = make_cases([TALK], IDS)
    assert (first.turn, first.mentioned, first.targets) == (2, ("1", "2"), ("3", "1"))  # 999 is no film
    assert (second.turn, second.mentioned, second.targets) == (4, ("1", "2", "3"), ("3", "4"))
    assert [turn.seeker for turn in first.context] == [False, True]


def test_a_context_holds_nothing_of_the_turn_itself():
    for case in make_cases([TALK], IDS):
        said = " ".join(turn.text for turn in case.context)
        assert all(f"@{film}" in said for film in case.mentioned)
        assert not any(f"@{film}" in said for film in targets_of(case, "dedup"))


def test_a_turn_without_context_counts_and_the_seekers_do_not():
    cases = make_cases([dialogue(("R", "See @5"), ("S", "No, @6"))], IDS)
    assert [(case.mentioned, case.targets, case.context) for case in cases] == [((), ("5",), ())]


def test_dedup_counts_no_film_that_was_mentioned_before():
    first, second = make_cases([TALK], IDS)
    assert targets_of(first, "standard") == ("3", "1")
    assert targets_of(first, "dedup") == targets_of(first, "unmasked") == ("3",)
    assert targets_of(second, "dedup") == ("4",)


def test_what_models_learn_from_names_each_film_once():
    assert [case.targets for case in events_of([TALK], CATALOGUE.column)] == [("1", "2"), ("3",), ("4",)]


@pytest.mark.parametrize(
    "leak",
    [
        dialogue(("S", "hi"), id="test-1", workers=(7, 8)),
        dialogue(*[("R", "A text of more than forty letters that names @1 and @2")], id="other", workers=(7, 8)),
        dialogue(("S", "something else"), id="third", workers=(7, 11)),
    ],
    ids=["same id", "same text", "same worker"],
)
def test_a_planted_leak_is_caught(leak: Dialogue):
    text = "A text of more than forty letters that names @1 and @2"
    test = [dialogue(("R", text), id="test-1", workers=(11, 12))]
    check_disjoint([TALK], test)
    with pytest.raises(ConfigError, match="share"):
        check_disjoint([TALK, leak], test)


def test_short_dialogues_are_no_copies_of_each_other():
    check_disjoint([dialogue(("S", "hi"), id="a", workers=(1, 2))], [dialogue(("S", "hi"), id="b", workers=(3, 4))])


def test_the_protocol_hash_changes_with_cases_and_films():
    cases = make_cases([TALK], IDS)
    known = protocol_hash(IDS, cases)
    assert known == protocol_hash(IDS, make_cases([TALK], IDS))
    assert known != protocol_hash(IDS, cases[:1])
    assert known != protocol_hash(IDS[:-1], cases)


# ---- ranks and figures by hand ----------------------------------------------------------------------------------


def case(mentioned: tuple[str, ...], targets: tuple[str, ...], dialogue: str = "d", turn: int = 0) -> Case:
    return Case(dialogue, turn, (), mentioned, targets)


def test_ranks_by_hand():
    scores = np.array([[0.9, 0.5, 0.7, 0.1, 0.5, 0.0]], np.float32)
    cases = [case(("1",), ("3", "2", "1"))]
    ranks = {row.target: row.rank for row in rank_targets("m", scores, cases, CATALOGUE, "standard")}
    assert ranks == {"1": 1, "3": 2, "2": 3.5}  # films 2 and 5 share the places 3 and 4
    ranks = {row.target: row.rank for row in rank_targets("m", scores, cases, CATALOGUE, "dedup")}
    assert ranks == {"3": 1, "2": 2.5}
    ranks = {row.target: row.rank for row in rank_targets("m", scores, cases, CATALOGUE, "unmasked")}
    assert ranks == {"3": 2, "2": 3.5}
    assert scores[0, 0] == np.float32(0.9)  # masking leaves the scores as they were


def test_a_constant_score_gains_nothing():
    rows = rank_targets("m", np.zeros((1, 6), np.float32), [case((), ("4",))], CATALOGUE, "standard")
    assert rows[0].rank == 3.5


def test_repeating_the_context_ranks_the_latest_film_first():
    cases = [case(("1", "2", "3"), ("3", "1", "5"))]
    rows = rank_targets("repeat", repeat_scores(cases, CATALOGUE), cases, CATALOGUE, "standard")
    assert {row.target: row.rank for row in rows} == {"3": 1, "1": 3, "5": 5}
    assert [r.rank for r in rank_targets("repeat", repeat_scores(cases, CATALOGUE), cases, CATALOGUE, "dedup")] == [2]


def row(rank: float, dialogue: str, target: str = "1") -> Row:
    return Row("m", "dedup", dialogue, 0, target, rank, 0)


def test_recall_is_over_targets():
    rows = [row(1, "a"), row(3, "a", "2"), row(10, "b"), row(11, "c")]
    assert recalls(rows, (1, 10, 50)) == (0.25, 0.75, 1.0)
    assert mean_reciprocal_rank(rows) == pytest.approx((1 + 1 / 3 + 1 / 10 + 1 / 11) / 4)
    assert all(math.isnan(value) for value in recalls([]))


def test_intervals_are_over_dialogues():
    alone = [row(1 if number % 2 else 20, f"d{number}") for number in range(40)]
    together = [row(1 if number % 2 else 20, f"d{number % 2}", str(number)) for number in range(40)]
    narrow, _ = figures(alone, None, seed=0)
    wide, _ = figures(together, None, seed=0)
    assert narrow["R@1"].value == wide["R@1"].value == 0.5
    assert wide["R@1"].high - wide["R@1"].low > 2 * (narrow["R@1"].high - narrow["R@1"].low)


def test_gains_compare_the_same_targets_only():
    own, base = [row(1, "a"), row(2, "b")], [row(2, "a"), row(2, "b")]
    _, gains = figures(own, base, seed=0)
    assert gains["R@1"].value == 0.5
    assert gains["R@10"].value == 0
    with pytest.raises(ValueError, match="other targets"):
        figures(own, base[::-1], seed=0)
