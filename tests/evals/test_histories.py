"""Held-out histories: the baselines by hand, and the whole measurement on a small data folder."""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from vouchrec.evals.heldout import bench
from vouchrec.evals.heldout import measure as measuring
from vouchrec.evals.heldout.report import ALL
from vouchrec.evals.histories import (
    ItemKnn,
    Method,
    Popularity,
    evaluate_histories,
    measure,
    product_lists,
    write_report,
)
from vouchrec.evals.runs import plots
from vouchrec.evals.runs.engine import evaluate
from vouchrec.evals.runs.figures import figures as run_figures
from vouchrec.evals.suites import histories
from vouchrec.evals.suites.histories import HistoriesSuite
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.datasets import read_shippable
from vouchrec.retrieval.domain import infer_domain
from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.pipeline import assess, recommend
from vouchrec.retrieval.ranking import Case, SplitRule, split_histories
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.types import Item, Profile, Query
from vouchrec.retrieval.workspace import Workspace, WorkspaceSettings, write_settings

ITEMS = ("a", "b", "c", "d")
CATALOGUE = [Item(f"film-{n}", f"Film {n}", attributes={"year": 2000}) for n in range(30)]


def matrix(rows: list[list[float]]) -> InteractionMatrix:
    return InteractionMatrix(sp.csr_matrix(np.asarray(rows, np.float32)), tuple(map(str, rows)), ITEMS, explicit=False)


TRAIN = matrix([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])


def test_popularity_counts_weighted_people():
    scorer = Popularity()
    scorer.fit(matrix([[1, 1, 0, 0], [2, 0, 0, 0]]))
    # A value of 2 is a row of weight 4.
    assert scorer.score({"b": 1.0}).tolist() == [5, 1, 0, 0]
    assert scorer.items == ITEMS


def test_item_knn_by_hand():
    scorer = ItemKnn(neighbours=10)
    scorer.fit(TRAIN)
    # a has 3 people, b 2, c 2, d 1; a and b share 2, a and c 1, c and d 1.
    np.testing.assert_allclose(scorer.score({"a": 1.0}), [0, 2 / 6**0.5, 1 / 6**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(scorer.score({"a": 0.5, "d": 1.0})[2], 0.5 / 6**0.5 + 1 / 2**0.5, rtol=1e-6)
    assert not scorer.score({}).any()
    assert not scorer.score({"unknown": 1.0}).any()


def test_item_knn_keeps_the_nearest_only():
    scorer = ItemKnn(neighbours=1)
    scorer.fit(TRAIN)
    # c's nearest is d (0.71), not a (0.41); a's nearest is b.
    np.testing.assert_allclose(scorer.score({"a": 1.0}), [0, 2 / 6**0.5, 0, 0], rtol=1e-6)


def test_evaluate_histories_by_hand():
    # Popularity order: a, b = c, d. First case: b, c, d are left and d is third. Second case: a, c, d are left.
    cases = [Case("u", {"a": 1.0}, frozenset({"d"})), Case("v", {"b": 1.0}, frozenset({"a", "c"}))]
    methods = {"popularity": Method(Popularity, TRAIN), "EASE": Method(lambda: Ease(1.0), TRAIN)}
    figures = evaluate_histories(methods, cases, ITEMS, k=2, baseline="popularity", seed=0)
    assert figures["popularity"].recall.value == (0 / 1 + 2 / 2) / 2
    assert figures["popularity"].ndcg.value == (0 + 1) / 2
    assert figures["popularity"].coverage.value == 3 / 4
    assert figures["popularity"].ndcg_gain is None
    gain = figures["EASE"].ndcg_gain
    assert gain is not None
    assert gain.value == pytest.approx(figures["EASE"].ndcg.value - figures["popularity"].ndcg.value)


def test_no_cases_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        evaluate_histories({"p": Method(Popularity, TRAIN)}, [], ITEMS, k=2, baseline="p", seed=0)


# ---- from a data folder -----------------------------------------------------------------------------------------


def _dialogue(key: str, films: list[int]) -> dict[str, object]:
    return {
        "conversationId": key,
        "movieMentions": {str(n): f"Film {n} (2000)" for n in films},
        "initiatorQuestions": {str(n): {"suggested": 0, "seen": 1, "liked": 1} for n in films},
        "messages": [{"text": f"dialogue {key}" + "".join(f" @{n}" for n in films), "senderWorkerId": 1}],
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People like films of one of three kinds, so that their history says more than popularity does."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    (folder / "movietweetings").mkdir()
    (folder / "redial").mkdir()
    lines = [f"{n:07}::Film {n} (2000)::Drama" for n in range(30)]
    (folder / "movietweetings" / "movies.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows: list[str] = []
    for user in range(90):
        films = rng.choice(np.arange(user % 3, 30, 3), size=6, replace=False)
        rows += [f"{user}::{n:07}::8::{1000 + at}" for at, n in enumerate(films)]
    (folder / "movietweetings" / "ratings.dat").write_text("\n".join(rows) + "\n", encoding="utf-8")
    train = [_dialogue(str(k), rng.choice(np.arange(k % 3, 30, 3), size=4, replace=False).tolist()) for k in range(60)]
    for name, dialogues in (("train", train), ("test", [_dialogue("t", [1])])):
        with lzma.open(folder / "redial" / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in dialogues)
    return folder


@pytest.fixture
def tuned(data: Path, tmp_path: Path) -> Path:
    """A scorer folder as the tuning writes it."""
    rules = {"rated": SplitRule(), "told": SplitRule(least=3)}
    digests = [
        split_histories(part.likes, rule).digest()
        for part, rule in zip(read_shippable(data, CATALOGUE), rules.values(), strict=True)
    ]
    splits = {
        name: {"rule": asdict(rule), "digest": digest}
        for (name, rule), digest in zip(rules.items(), digests, strict=True)
    }
    order = {"l2": 5.0, "weight": 0.5, "older": 0.8}
    record = {"l2": 5.0, "told_weight": 1.0, "order": order, "splits": splits}
    (tmp_path / "tuning.json").write_text(json.dumps(record))
    return tmp_path


def ids() -> tuple[str, ...]:
    return tuple(item.id for item in CATALOGUE)


def film_workspace(folder: Path, embedder: Embedder) -> Workspace:
    folder.mkdir(exist_ok=True)
    store = Store(folder / "store.db")
    store.replace_items(CATALOGUE)
    store.set_meta("domain", json.dumps(infer_domain(CATALOGUE).to_dict()))
    store.close()
    write_settings(folder, WorkspaceSettings(embedder=embedder.name))
    return Workspace.open(folder, embedder=embedder)


def test_a_scorer_that_reads_the_history_beats_popularity(data: Path, tuned: Path):
    report = measure(data, scorer=tuned, items=CATALOGUE)
    # Of 90 people and 60 dialogues a fifth is for tuning; of the rest, a quarter was in the test of the first protocol.
    assert report.cases == {"movietweetings": 72, "redial": 48}
    assert report.fresh_cases == {"movietweetings": 54, "redial": 36}
    assert report.items == 30
    for group in report.figures:
        gain = report.figures[group]["EASE"].ndcg_gain
        assert gain is not None
        assert gain.excludes_zero
        assert f"EASE is above it in NDCG@{report.k}" in report.table()
        assert report.fresh[group].low > 0


def test_the_same_seed_gives_the_same_report(data: Path, tuned: Path):
    assert measure(data, scorer=tuned, items=CATALOGUE) == measure(data, scorer=tuned, items=CATALOGUE)


def test_a_report_is_written_and_put_into_the_card(data: Path, tuned: Path):
    report = measure(data, scorer=tuned, items=CATALOGUE)
    card = tuned / "CARD.md"
    card.write_text("# Card\n\n<!-- test figures: begin -->\nold\n<!-- test figures: end -->\n\nLimits\n")
    for _ in range(2):
        write_report(report, tuned / "docs", card)
    record = json.loads((tuned / "docs" / "results-histories.json").read_text())
    assert record["protocol"] == report.protocol
    told = {ALL, bench.OWN, "item-kNN", "EASE", measuring.SCORER}
    assert set(record["figures"]["redial"]) == told
    assert set(record["figures"]["movietweetings"]) == told | {bench.RECENT, bench.LATER}
    assert set(record["figures"]["redial"]["EASE"]["ndcg"]) == {"value", "low", "high"}
    assert report.table() in (tuned / "docs" / "results-histories.md").read_text()
    text = card.read_text()
    assert report.table() in text
    assert "\nold\n" not in text
    assert text.startswith("# Card\n\n<!-- test figures: begin -->\n")
    assert text.endswith("<!-- test figures: end -->\n\nLimits\n")


def test_a_scorer_tuned_on_another_split_is_refused(data: Path, tuned: Path):
    with pytest.raises(ConfigError, match="tuned on another split"):
        measure(data, scorer=tuned, items=CATALOGUE[:-1])


@pytest.mark.parametrize("text", [None, "{", "{}", '{"l2": 1, "told_weight": 1, "splits": {"rated": {}}}'])
def test_a_damaged_record_is_a_clear_error(data: Path, tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "tuning.json").write_text(text)
    with pytest.raises(ConfigError, match=r"tuning\.json can't be read.*finetune\.scorer"):
        measure(data, scorer=tmp_path, items=CATALOGUE)


def test_the_product_is_measured_where_a_workspace_is_given(
    data: Path, tuned: Path, tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench, "FOLDS", 2)
    workspace = film_workspace(tmp_path / "workspace", embedder)
    report = measure(data, scorer=tuned, workspace=workspace)
    for figures in report.figures.values():
        assert list(figures)[-2:] == [measuring.ORDERED, measuring.PRODUCT]
        gain = figures[measuring.ORDERED].ndcg_gain
        assert gain is not None
        assert gain.low > 0
    workspace.close()


def test_the_suite_has_the_same_figures_and_fits_no_fold_twice(
    data: Path, tuned: Path, tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench, "FOLDS", 2)
    monkeypatch.setattr(plots, "available", lambda: False)
    workspace = film_workspace(tmp_path / "workspace", embedder)
    report = measure(data, scorer=tuned, workspace=workspace)
    suite = HistoriesSuite(data, workspace, tuned)
    done = evaluate(suite, tmp_path / "run", seed=0)
    assert len(done.rows) == suite.plan.size
    found = {
        (f.group, f.method): f.interval.value
        for f in run_figures(done.manifest, list(done.rows.values()))
        if f.measure.name == f"ndcg@{report.k}"
    }
    for group, by_method in report.figures.items():
        for method, own in by_method.items():
            assert found[group, method] == pytest.approx(own.ndcg.value)
    folds: list[int] = []
    original = histories.fold_lists
    monkeypatch.setattr(histories, "fold_lists", lambda *args: folds.append(args[1]) or original(*args))
    people = {case.user for parts in suite._bench.folds.values() for case in parts[0].cases}
    left = list(suite.rows(frozenset(key for key in done.rows if key[2] in people)))
    assert folds == [1]
    assert len(left) == sum(key[2] not in people for key in done.rows)
    workspace.close()


def test_the_product_lists_are_those_of_recommend(tmp_path: Path, embedder: Embedder):
    workspace = film_workspace(tmp_path, embedder)
    scorer = Ease(1.0)
    likes = np.tile(np.eye(3, dtype=np.float32), (10, 10))
    scorer.fit(InteractionMatrix(sp.csr_matrix(likes), tuple(map(str, range(30))), ids(), explicit=False))
    workspace = Workspace(tmp_path, workspace.store, workspace.domain, workspace.embedder, scorer=scorer)
    case = Case("u", {"film-0": 1.0, "film-3": 1.0}, frozenset({"film-6"}))
    by_score, recommended = product_lists(workspace, [case], 10)
    profile = Profile(history=case.history)
    expected = recommend(workspace, Query(n=10), profile)
    assert recommended == [tuple(r.item.id for r in expected)]
    assert {"film-6", "film-9", "film-27"} <= set(by_score[0])
    assert not set(case.history) & {*by_score[0], *recommended[0]}
    # Before diversity the order is that of the scores over the whole catalogue.
    every = assess(workspace, Query(), profile, [i for i in ids() if i not in case.history])
    assert sorted((r.score for r in every), reverse=True)[:10] == pytest.approx(
        [r.score for r in assess(workspace, Query(), profile, by_score[0])]
    )
    workspace.close()
