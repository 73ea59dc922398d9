"""People, phrases and agendas: what may be said is true and hides the target; everything is decided by the seed."""

from __future__ import annotations

import string

import pytest

from vouchrec.evals.simulator import phrases
from vouchrec.evals.simulator.agenda import Agenda, Move
from vouchrec.evals.simulator.goals import Goal, GoalSettings, draw_goals, goal_record
from vouchrec.evals.simulator.leaks import LeakCheck
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.workspace import Workspace

SETTINGS = GoalSettings(n=40, crowd=4, changes=0.5)
CASES = [
    Case("ann", {"alien-1979": 1.0, "aliens-1986": 1.0}, frozenset(("heat-1995", "elsewhere"))),
    Case("ben", {"elsewhere": 1.0}, frozenset(("heat-1995",))),
]


@pytest.fixture
def goals(workspace: Workspace) -> list[Goal]:
    return draw_goals(workspace, CASES, SETTINGS)


def test_people_of_the_data_come_first(goals: list[Goal]):
    assert len(goals) == 40
    assert [g.id for g in goals if g.origin == "history"] == ["history-ann"]  # ben likes nothing of this catalogue
    ann = goals[0]
    assert ann.persona == ("alien-1979", "aliens-1986")
    assert ann.targets == {"heat-1995"}


def test_what_may_be_said_is_true_and_hides_the_target(workspace: Workspace, goals: list[Goal]):
    catalogue = workspace.catalogue
    assert any(g.facts for g in goals)
    assert any(g.detour for g in goals)
    for goal in goals:
        conditions = [c for fact in goal.facts for c in fact.constraints]
        mask = catalogue.mask(conditions)
        assert mask[catalogue.row(goal.anchor)]
        assert int(mask.sum()) >= SETTINGS.crowd
        assert goal.anchor in goal.targets
        assert goal.targets.isdisjoint(goal.persona)
        assert 6 <= goal.patience <= 8
        if goal.detour:
            wrong = catalogue.mask(goal.detour.constraints)
            assert not any(wrong[catalogue.row(target)] for target in goal.targets)
            assert int(wrong.sum()) >= SETTINGS.crowd


def test_the_seed_decides(workspace: Workspace, goals: list[Goal]):
    assert draw_goals(workspace, CASES, SETTINGS) == goals
    other = draw_goals(workspace, CASES, GoalSettings(seed=1, n=40, crowd=4, changes=0.5))
    assert other != goals


def test_a_record_is_for_people(workspace: Workspace, goals: list[Goal]):
    record = goal_record(goals[0], {"alien-1979": "Alien", "heat-1995": "Heat"})
    assert record["persona"] == ["Alien", "aliens-1986"]
    assert record["targets"] == ["Heat"]


def test_words_of_facts(workspace: Workspace, goals: list[Goal]):
    words = {fact.words for goal in goals for fact in goal.facts}
    assert words
    for said in words:
        assert said.startswith(("a ", "an "))
        assert "film" in said
        assert "a film a film" not in said
        assert "{" not in said
    common = [i for i in workspace.catalogue.items if "English" in i.values("languages")]
    assert len(common) > len(workspace.catalogue) / 2
    assert "a film in English" not in words  # it says nothing


# ---- phrases ------------------------------------------------------------------------------------------------------


def test_many_ways_in_every_register():
    assert phrases.count() >= 60
    kinds = set(phrases.PHRASES["plain"])
    for register in phrases.REGISTERS:
        assert set(phrases.PHRASES[register]) == kinds
        for kind, ways in phrases.PHRASES[register].items():
            assert len(set(ways)) == len(ways) >= 2
            for way in ways:
                slots = {name for _, name, _, _ in string.Formatter().parse(way) if name}
                assert slots <= {"fact", "bare", "old", "none", "title", "noun", "plural", "consume", "consumed"}
                assert bool(slots & {"fact", "bare"}) == (kind in ("open", "add", "again", "change")), way
                assert bool(slots & {"old", "none"}) == (kind == "change"), way
                assert ("title" in slots) == (kind in ("open_like", "like", "dislike", "seen")), way


def test_nothing_that_is_looked_for_is_made_of_the_words_of_phrases(workspace: Workspace, goals: list[Goal]):
    common = phrases.vocabulary(workspace.domain)
    for goal in goals:
        for target in goal.targets:
            item = workspace.catalogue.get(target)
            assert item is not None
            assert not LeakCheck.names_item(item, common)


# ---- agendas ------------------------------------------------------------------------------------------------------


def moves(workspace: Workspace, goal: Goal, seed: int, shown: tuple[str, ...] = ()) -> list[Move]:
    agenda = Agenda(goal, workspace.catalogue, seed)
    return [agenda.open(), *(agenda.next(shown) for _ in range(goal.patience))]


def test_everything_is_said_bit_by_bit(workspace: Workspace, goals: list[Goal]):
    for number, goal in enumerate(goals):
        done = moves(workspace, goal, number)
        facts = [m.fact for m in done if m.kind in ("open", "add", "change") and m.holds]
        assert facts == [f for f in goal.facts if f in facts]  # in order, each once
        named = [m.item for m in done if m.kind in ("open_like", "like")]
        assert set(named) <= set(goal.persona)
        assert len(set(named)) == len(named)


def test_a_mind_is_changed_once_and_at_once(workspace: Workspace, goals: list[Goal]):
    goal = next(g for g in goals if g.detour and g.facts)
    first, second, *rest = moves(workspace, goal, 0)
    assert (first.kind, first.fact, first.holds, first.wanted) == ("open", goal.detour, False, ())
    assert (second.kind, second.old, second.fact) == ("change", goal.detour, goal.facts[0])
    assert all(m.kind != "change" for m in rest)


def test_people_react_to_what_is_shown(workspace: Workspace, goals: list[Goal]):
    shown = ("alien-1979", "aliens-1986")
    kinds = {m.kind for n, goal in enumerate(goals) for m in moves(workspace, goal, n, shown)}
    assert {"seen", "dislike", "again", "more"} <= kinds
    judged = [m.item for m in moves(workspace, goals[1], 3, shown) if m.kind in ("seen", "dislike")]
    assert len(set(judged)) == len(judged)


def test_broken_wishes_are_counted(workspace: Workspace, goals: list[Goal]):
    goal = next(g for g in goals if g.facts and g.detour)
    agenda = Agenda(goal, workspace.catalogue, 0)
    agenda.open()
    assert agenda.broken([item.id for item in workspace.catalogue.items]) == 0  # nothing is wished that holds
    agenda.next(())
    mask = workspace.catalogue.mask(goal.facts[0].constraints)
    assert agenda.broken([item.id for item in workspace.catalogue.items]) == int((~mask).sum())
