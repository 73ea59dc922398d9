"""The choice of a scorer: what is held out, what is tried, who wins, and what a workspace remembers of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix, to_matrix
from vouchrec.retrieval.scorers import select
from vouchrec.retrieval.scorers.factors import implicit_installed
from vouchrec.retrieval.scorers.neighbours import ItemKnn
from vouchrec.retrieval.scorers.select import Trial, candidates, choose
from vouchrec.retrieval.scorers.validation import hold_out, interval, measure, top_k
from vouchrec.retrieval.types import Interaction

ITEMS = tuple(f"i{n}" for n in range(30))


def people(n: int, *, times: bool = True, seed: int = 1) -> InteractionMatrix:
    """People who like items of one of three kinds, one after the other."""
    rng = np.random.default_rng(seed)
    events = []
    for user in range(n):
        own = [i for i in range(len(ITEMS)) if i % 3 == user % 3]
        chosen = rng.permutation(own)[:6]
        events += [
            Interaction(f"u{user}", ITEMS[i], 1.0, float(when) if times else None) for when, i in enumerate(chosen)
        ]
    return to_matrix(events, ITEMS)


def cells(matrix: InteractionMatrix) -> set[tuple[str, str]]:
    rows, columns = matrix.matrix.nonzero()
    return {(matrix.users[r], matrix.items[c]) for r, c in zip(rows, columns, strict=True)}


@pytest.mark.parametrize("times", [True, False])
def test_what_is_held_out_is_not_learnt_from(times: bool):
    known = people(60, times=times)
    held = hold_out(known)
    assert held.how == "last"
    assert len(held.histories) == 60
    for user, history, targets in zip(known.users, held.histories, held.targets, strict=True):
        assert len(targets) == 1
        assert not targets & set(history)
        mine = {item for who, item in cells(held.train) if who == user}
        assert mine == set(history)
    assert len(cells(held.train)) == len(cells(known)) - 60


def test_with_many_people_whole_people_are_held_out():
    known = people(500)
    held = hold_out(known, most=80)
    assert held.how == "people"
    assert len(held.histories) == 80
    assert len(held.train.users) == 420
    assert all(
        len(history) == 4 and len(targets) == 2 for history, targets in zip(held.histories, held.targets, strict=True)
    )


def test_the_newest_are_to_be_found():
    events = [Interaction("u", item, 1.0, time) for item, time in (("i5", 3.0), ("i1", 9.0), ("i7", 1.0), ("i2", 4.0))]
    held = hold_out(to_matrix(events, ITEMS))
    assert list(held.histories[0]) == ["i7", "i5", "i2"]
    assert held.targets == (frozenset({"i1"}),)


def test_a_seed_gives_one_split_and_another_seed_another():
    known = people(500)
    assert hold_out(known, seed=1).histories == hold_out(known, seed=1).histories
    assert hold_out(known, seed=1).histories != hold_out(known, seed=2).histories


def test_ranking_leaves_the_history_out_and_counts_by_hand():
    scorer = ItemKnn()
    # a and b go together twice, a and c once: cosines 2/sqrt(6) and 1/sqrt(3).
    dense = np.asarray([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32)
    scorer.fit(InteractionMatrix(sp.csr_matrix(dense), ("u", "v", "w"), ("a", "b", "c"), explicit=False))
    assert scorer.score({"a": 1.0}) == pytest.approx([0, 2 / 6**0.5, 1 / 3**0.5], abs=1e-6)
    assert list(top_k(scorer, [{"a": 1.0}], ("a", "b", "c", "cold"), 3)) == [["b", "c", "cold"]]


def test_a_learning_scorer_is_measured_above_chance():
    measured = measure(ItemKnn(), hold_out(people(90)))
    # Four items of the own kind are left; a perfect scorer of kinds puts the one to be found among the first four.
    assert measured.ndcg.mean() > 0.5
    assert measured.fit_s > 0
    assert measured.score_ms > 0


def test_the_interval_holds_the_mean_and_narrows():
    values = np.random.default_rng(0).random(400)
    low, high = interval(values)
    assert low < values.mean() < high
    small = interval(values[:40])
    assert small[1] - small[0] > high - low


def test_auto_tries_what_suits_the_size(monkeypatch: pytest.MonkeyPatch):
    known = people(60)
    names = [c.name for c in candidates("auto", known, contents=True)]
    usual = ["popularity", *["ease"] * 5, "itemknn", "itemknn", "userknn"]
    assert names == [*usual, *(["ials"] if implicit_installed() else [])]
    monkeypatch.setattr(select, "TUNED_ITEMS", 10)
    assert [c.name for c in candidates("auto", known, contents=True)] == ["popularity", "ease", "itemknn"]
    monkeypatch.setattr(select, "EASE_LIMIT", 10)
    large = [c.name for c in candidates("auto", known, contents=True)]
    assert "ease" not in large
    assert large[:2] == ["popularity", "itemknn"]
    assert large[2] in {"ials", "svd"}
    assert "ease" not in {c.name for c in candidates("all", known, contents=True)}


def test_a_name_is_taken_without_comparison():
    choice = choose("svd", people(60))
    assert (choice.name, choice.trials, choice.how) == ("svd", (), None)


def test_few_people_get_the_default():
    choice = choose("auto", people(20))
    assert (choice.name, choice.trials) == ("ease", ())
    assert "Fewer than" in choice.reason


def test_the_best_is_chosen_and_every_trial_is_in_the_table():
    choice = choose("auto", people(90))
    assert [trial.name for trial in choice.trials[:9]] == ["popularity", *["ease"] * 5, "itemknn", "itemknn", "userknn"]
    best = max((t for t in choice.trials if t.exact), key=lambda t: t.ndcg)
    assert choice.candidate == best.candidate
    text = "\n".join(choice.lines())
    assert all(trial.label in text for trial in choice.trials)
    assert f"{best.ndcg:.4f}" in text


def test_the_two_best_kinds_are_tried_as_one():
    choice = choose("auto", people(90))
    blend = choice.trials[-1]
    assert blend.name == "blend"
    assert blend.exact
    singles = [t for t in choice.trials[:-1] if t.exact]
    best = max(singles, key=lambda t: t.ndcg)
    assert blend.candidate.parts[0] == best.candidate
    assert blend.candidate.parts[1].name != best.name
    again = measure(blend.candidate.make(None), hold_out(people(90)))
    assert again.ndcg.mean() == pytest.approx(blend.ndcg)


def trial(name: str, value: float, *, exact: bool = True, spread: float = 0.0) -> tuple[Trial, np.ndarray]:
    values = value + spread * np.random.default_rng(len(name)).standard_normal(200)
    return Trial(select.Candidate(name), exact, float(values.mean())), values


def test_an_inexact_scorer_wins_only_beyond_chance():
    close, _ = select._winner([trial("ease", 0.20, spread=0.3), trial("sasrec", 0.23, exact=False, spread=0.3)])
    assert close.name == "ease"
    clear, reason = select._winner([trial("ease", 0.20), trial("sasrec", 0.30, exact=False)])
    assert clear.name == "sasrec"
    assert "beyond chance" in reason


def test_popularity_is_only_the_line():
    best, reason = select._winner([trial("popularity", 0.5, exact=False), trial("ease", 0.2)])
    assert best.name == "ease"
    assert "Popularity alone has 0.5000" in reason


def test_a_scorer_that_cannot_be_fitted_is_in_the_table_and_not_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        select, "candidates", lambda *a, **k: [select.Candidate("content"), select.Candidate("itemknn")]
    )
    from vouchrec.retrieval.scorers.content import ContentScorer

    monkeypatch.setattr(select, "make_scorer", lambda n, s, contents: ContentScorer() if n == "content" else ItemKnn())
    choice = choose("auto", people(60))
    assert choice.name == "itemknn"
    assert "needs item vectors" in choice.trials[0].failed
    assert any("could not be fitted" in line for line in choice.lines())


@pytest.mark.parametrize("name", ["eas", "", "Auto"])
def test_an_unknown_name_lists_the_known(name: str):
    with pytest.raises(ConfigError, match="auto or all"):
        choose(name, people(60))


# ---- in a workspace ------------------------------------------------------------------------------------------------


FILMS, DOMAIN, RATINGS = (
    Path(__file__).parents[2] / "data" / name for name in ("films.jsonl", "films.toml", "ratings.csv")
)


@pytest.fixture
def make(tmp_path: Path, embedder):
    from vouchrec.retrieval.build import init_workspace
    from vouchrec.retrieval.workspace import Workspace, WorkspaceSettings

    opened: list[Workspace] = []

    def init(scorer: str | None, folder: str = "w"):
        settings = None if scorer is None else WorkspaceSettings(scorer=scorer)
        report = init_workspace(
            tmp_path / folder, FILMS, interactions=RATINGS, domain=DOMAIN, settings=settings, embedder=embedder
        )
        opened.append(Workspace.open(tmp_path / folder, embedder=embedder))
        return report, opened[-1]

    yield init
    for workspace in opened:
        workspace.close()


@pytest.mark.parametrize("name", ["itemknn", "userknn", "svd", "content"])
def test_a_workspace_keeps_the_scorer_that_was_asked_for(make, tmp_path: Path, name: str):
    from vouchrec.retrieval.pipeline import recommend
    from vouchrec.retrieval.types import Profile, Query

    report, workspace = make(name)
    assert report.fitted
    assert workspace.scorer.kind == name
    assert json.loads((tmp_path / "w" / "models" / "collaborative" / "choice.json").read_text())["asked"] == name
    found = recommend(workspace, Query(n=3), Profile({"alien-1979": 1.0, "heat-1995": 0.5}))
    assert len(found) == 3
    for one in found:
        parts = sum(part.value for part in one.evidence.contributions)
        assert parts == pytest.approx(one.scores["collaborative"], abs=1e-5)
    again, _ = make(None)
    assert again.choice.name == name


def test_a_workspace_keeps_a_blend(make, monkeypatch: pytest.MonkeyPatch):
    from vouchrec.retrieval.pipeline import recommend
    from vouchrec.retrieval.types import Profile, Query

    parts = (select.Candidate("ease", {"l2": 50.0}), select.Candidate("userknn"))
    mixed = select.Choice(select.Candidate("blend", {}, parts), "auto", "last", 60, "The best.")
    monkeypatch.setattr("vouchrec.retrieval.workspace.choose", lambda *a, **k: mixed)
    _, workspace = make("auto")
    assert workspace.scorer.kind == "blend"
    for one in recommend(workspace, Query(n=3), Profile({"alien-1979": 1.0, "heat-1995": 0.5})):
        parts_sum = sum(part.value for part in one.evidence.contributions)
        assert parts_sum == pytest.approx(one.scores["collaborative"], abs=1e-5)


def test_a_new_item_gets_a_collaborative_score_where_contents_count(make):
    from vouchrec.retrieval.types import Item

    _, workspace = make("content")
    workspace.add_items([Item("new", "Alien Again", "A crew meets an alien.", attributes={})])
    assert workspace.collaborative_scores({"alien-1979": 1.0})[workspace.catalogue.row("new")] != 0


def test_too_few_histories_get_ease_and_the_report_says_so(make):
    report, workspace = make("auto")
    assert type(workspace.scorer).__name__ == "Ease"
    assert "the default" in report.choice.lines()[0]


def test_a_wrong_name_writes_nothing(make, tmp_path: Path):
    with pytest.raises(ConfigError, match="Scorers: popularity, ease"):
        make("easy")
    assert not (tmp_path / "w").exists()


def test_a_missing_library_is_found_before_anything_is_written(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from vouchrec.retrieval.scorers import registry

    monkeypatch.setattr(registry, "implicit_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"vouchrec\[scorers\]"):
        make("ials")
    assert not (tmp_path / "w").exists()
    assert "ials" not in registry.available(contents=True)
