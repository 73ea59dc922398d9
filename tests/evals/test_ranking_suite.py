"""The ranking suite on a small real workspace: by hand where numbers are small, and leaks end it before anything is fitted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vouchrec.evals import rankers
from vouchrec.evals.protocols import PROTOCOLS, SplitSettings
from vouchrec.evals.rankers import METHODS, Fitted, make_ranker
from vouchrec.evals.runs import plots
from vouchrec.evals.runs.engine import evaluate
from vouchrec.evals.suites import ranking
from vouchrec.evals.suites.ranking import RankingSettings, RankingSuite
from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ConfigError, LeakError
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.types import Interaction, Item
from vouchrec.retrieval.workspace import Workspace, WorkspaceSettings, write_settings

SIZES = SplitSettings(least=4, people=0.25)
ITEMS = [Item(f"i{n}", f"Item {n}", f"Number {n % 4}", {"kinds": (f"kind {n % 4}",)}) for n in range(24)]
EVENTS = [
    Interaction(f"u{u}", f"i{(4 * k + u) % 24}", 1.0, float(36 * k + u)) for u in range(36) for k in range(4 + u % 3)
]
"""Everybody likes items of one kind, so that a scorer can learn something."""


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "available", lambda: False)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder):
    folder = tmp_path_factory.mktemp("small")
    store = Store(folder / "store.db")
    domain = {"attributes": [{"name": "kinds", "kind": "list"}]}
    store.replace_items(ITEMS)
    store.set_meta("domain", json.dumps({**domain, "noun": "item", "plural": "items"}))
    store.replace_interactions(EVENTS)
    store.close()
    write_settings(folder, WorkspaceSettings(embedder="hash-64"))
    workspace = Workspace.open(folder, embedder=embedder)
    yield workspace
    workspace.close()


def run(workspace: Workspace, folder: Path, **changes: object):
    suite = RankingSuite(workspace, replace(RankingSettings(split=SIZES, k=5), **changes))
    return evaluate(suite, folder, seed=0)


def test_every_method_over_every_protocol(small: Workspace, tmp_path: Path):
    done = run(small, tmp_path)
    assert {row.group for row in done.rows.values()} == set(PROTOCOLS.values())
    assert {row.method for row in done.rows.values()} == set(METHODS)
    assert done.manifest.facts["items"] == 24
    for row in done.rows.values():
        assert 0 <= row.values["ndcg@5"] <= 1
        assert len(set(row.items)) == len(row.items) <= 5
        assert math.isnan(row.values["recall@20"]) == (row.method in ("content", "vouch"))
        assert math.isnan(row.values["auc"]) == (row.method in ("content", "vouch", "by-score"))
    found = {
        name: np.nanmean(
            [r.values["auc"] for r in done.rows.values() if r.method == name and r.group == PROTOCOLS["strong"]]
        )
        for name in ("random", "ease", "item-knn")
    }
    assert found["ease"] > 0.8  # it learns the kinds; chance does not
    assert found["item-knn"] > 0.8
    assert found["random"] < 0.65
    text = (tmp_path / "report.md").read_text()
    assert all(f"## {title}" in text for title in PROTOCOLS.values())


def test_values_by_hand(small: Workspace, tmp_path: Path):
    done = run(small, tmp_path, protocols=("leave-one-out",), methods=("popularity",))
    users: dict[str, list[Interaction]] = {}
    for event in EVENTS:
        users.setdefault(event.user, []).append(event)
    people: dict[str, int] = {}
    for events in users.values():
        for event in events[:-1]:
            people[event.item] = people.get(event.item, 0) + 1
    for user, events in users.items():
        row = next(r for r in done.rows.values() if r.case == user)
        known = {e.item for e in events[:-1]}
        ranked = sorted((i.id for i in ITEMS if i.id not in known), key=lambda i: -people.get(i, 0))
        place = ranked.index(events[-1].item) + 1
        assert row.items == tuple(ranked[:5])
        assert row.values["mrr@5"] == (1 / place if place <= 5 else 0)
        assert row.values["recall@20"] == float(place <= 20)
        assert row.values["serendipity"] == 0  # everyone is shown what is popular
        own = {i: people.get(i, 0) for i in known}
        assert row.values["lift"] == pytest.approx(
            np.mean([people.get(i, 0) for i in ranked[:5]]) / np.mean(list(own.values())) - 1
        )


def test_scorers_never_see_the_people_they_are_asked_about(
    small: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    seen: list[set[str]] = []
    original = rankers.to_matrix

    def watched(events, items, *, explicit):
        seen.append({event.user for event in events})
        return original(events, items, explicit=explicit)

    monkeypatch.setattr(rankers, "to_matrix", watched)
    done = run(small, tmp_path, protocols=("strong", "cold-users"))
    asked = {title: {r.case for r in done.rows.values() if r.group == title} for title in PROTOCOLS.values()}
    assert asked[PROTOCOLS["strong"]]
    # One matrix per scorer alone and protocol; the product shares EASE with it.
    assert len(seen) == 8
    for users in seen[:4]:
        assert users.isdisjoint(asked[PROTOCOLS["strong"]])
    for users in seen[4:]:
        assert users.isdisjoint(asked[PROTOCOLS["cold-users"]])


def test_the_workspaces_own_scorer_is_not_used(small: Workspace, tmp_path: Path):
    """It was fitted on everyone: with it the product would know the answers."""
    before = run(small, tmp_path / "before", methods=("vouch",), protocols=("strong",))
    small.fit("itemknn")
    after = run(small, tmp_path / "after", methods=("vouch",), protocols=("strong",))
    assert {r.key: r.items for r in before.rows.values()} == {r.key: r.items for r in after.rows.values()}


def test_a_leak_ends_the_run_before_anything_is_fitted(small: Workspace, monkeypatch: pytest.MonkeyPatch):
    original = ranking.make_split

    def leaking(likes, protocol, part, settings):
        split = original(likes, protocol, part, settings)
        case = split.cases[0]
        return replace(split, train=(*split.train, Interaction(case.user, next(iter(case.targets)))))

    monkeypatch.setattr(ranking, "make_split", leaking)
    with pytest.raises(LeakError, match="which is learnt from"):
        RankingSuite(small, RankingSettings(split=SIZES))


def test_resuming_fits_only_what_is_left(small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    original = ranking.timed

    def counted(ranker, case: Case):
        calls.append(case.user)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return original(ranker, case)

    monkeypatch.setattr(ranking, "timed", counted)
    chosen = {"protocols": ("strong",), "methods": ("popularity", "ease")}
    with pytest.raises(KeyboardInterrupt):
        run(small, tmp_path, **chosen)
    done = run(small, tmp_path, **chosen)
    assert len(calls) == len(done.rows) + 1
    plain = run(small, tmp_path / "other", **chosen)
    assert {r.key: r.items for r in plain.rows.values()} == {r.key: r.items for r in done.rows.values()}


def test_random_is_a_permutation_that_the_seed_decides(small: Workspace):
    answers = []
    for seed in (0, 0, 1):
        ranker = make_ranker("random", Fitted(small, seed), k=5, longest=50)
        ranker.fit(ranking.make_split(EVENTS, "strong", "test", SIZES))
        answers.append(ranker.answer(Case("u", {"i0": 1.0}, frozenset(("i1",)))).ranked)
    assert answers[0] == answers[1] != answers[2]
    assert sorted(answers[0]) == sorted(item.id for item in ITEMS[1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("luck",)}, "no method 'luck'"),
        ({"methods": ()}, "no method"),
        ({"protocols": ("luck",)}, "no protocol 'luck'"),
        ({"k": 51}, "list of 51"),
        ({"split": SplitSettings(least=99)}, "No protocol can be served"),
    ],
)
def test_bad_settings(small: Workspace, changes: dict[str, object], words: str):
    with pytest.raises(ConfigError, match=words):
        RankingSuite(small, replace(RankingSettings(split=SIZES), **changes))


def test_too_few_likes(small: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(small.store, "interactions", lambda: EVENTS[:50])
    with pytest.raises(ConfigError, match="has 50 likes; 100 are the least"):
        RankingSuite(small)


def test_without_times_the_temporal_protocol_is_left_out_unless_asked_for(
    small: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    bare = [replace(event, time=None) for event in EVENTS]
    monkeypatch.setattr(small.store, "interactions", lambda: bare)
    suite = RankingSuite(small, RankingSettings(split=SIZES))
    assert "temporal is left out" in caplog.text
    assert "temporal" not in suite.plan.protocol["splits"]
    with pytest.raises(ConfigError, match="time of every interaction"):
        RankingSuite(small, RankingSettings(split=SIZES, protocols=("temporal",)), chosen=True)
