"""EASE: the closed form, its exact parts, fold-in, and what a damaged file gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.retrieval import collaborative
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.errors import ModelError, NotFittedError
from vouchrec.retrieval.interactions import InteractionMatrix

ITEMS = tuple("abcdef")


def matrix(rows: list[list[float]]) -> InteractionMatrix:
    dense = np.asarray(rows, np.float32)
    users = tuple(f"u{n}" for n in range(len(rows)))
    return InteractionMatrix(sp.csr_matrix(dense), users, ITEMS[: dense.shape[1]], explicit=False)


@pytest.fixture
def interactions() -> InteractionMatrix:
    rng = np.random.default_rng(3)
    dense = (rng.random((40, len(ITEMS))) < 0.4).astype(np.float32)
    dense[:, 0] = 1.0
    return matrix(dense.tolist())


@pytest.fixture
def fitted(interactions: InteractionMatrix) -> Ease:
    scorer = Ease(l2=5.0)
    scorer.fit(interactions)
    return scorer


def textbook_ease(x: np.ndarray, l2: float) -> np.ndarray:
    """Column by column: the ridge solution under the constraint of a zero diagonal (Steck 2019, equation 8)."""
    n = x.shape[1]
    weights = np.zeros((n, n))
    for j in range(n):
        others = [i for i in range(n) if i != j]
        gram = x[:, others].T @ x[:, others] + l2 * np.eye(n - 1)
        weights[others, j] = np.linalg.solve(gram, x[:, others].T @ x[:, j])
    return weights


def test_agrees_with_ridge_regression_per_column(interactions: InteractionMatrix, fitted: Ease):
    weights = textbook_ease(np.asarray(interactions.matrix.todense(), np.float64), 5.0)
    for row, item in enumerate(ITEMS):
        np.testing.assert_allclose(fitted.score({item: 1.0}), weights[row], atol=1e-5)


def test_two_items_by_hand():
    # Three people: two like both, one likes only a. X'X + 1 = [[4, 2], [2, 3]]; predicting b from a: 2 / 4.
    scorer = Ease(l2=1.0)
    scorer.fit(matrix([[1, 1], [1, 1], [1, 0]]))
    assert scorer.score({"a": 1.0}) == pytest.approx([0, 2 / 4], abs=1e-6)
    assert scorer.score({"b": 1.0}) == pytest.approx([2 / 3, 0], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(history=st.dictionaries(st.sampled_from(ITEMS), st.floats(0.05, 1.0), min_size=1), target=st.sampled_from(ITEMS))
def test_contributions_sum_to_the_score(history: dict[str, float], target: str):
    scorer = Ease(l2=2.0)
    scorer.fit(matrix([[1, 1, 0, 0, 1, 1], [1, 0, 1, 1, 0, 0], [0, 1, 1, 0, 1, 0], [1, 1, 1, 0, 0, 1]]))
    parts = scorer.contributions(history, target)
    assert set(parts) == set(history)
    assert sum(parts.values()) == pytest.approx(float(scorer.score(history)[ITEMS.index(target)]), abs=1e-5)


def test_own_contribution_is_zero(fitted: Ease):
    assert fitted.contributions({"a": 1.0, "b": 1.0}, "a")["a"] == 0.0


def test_a_new_like_changes_the_score_by_exactly_its_row(fitted: Ease):
    before, after = fitted.score({"a": 1.0}), fitted.score({"a": 1.0, "c": 0.5})
    np.testing.assert_allclose(after - before, 0.5 * fitted.score({"c": 1.0}), atol=1e-6)


def test_a_cold_user_and_unknown_items_score_zero(fitted: Ease):
    assert not fitted.score({}).any()
    assert not fitted.score({"never seen": 1.0}).any()
    assert fitted.contributions({"never seen": 1.0}, "a") == {}
    assert fitted.contributions({"a": 1.0}, "never seen") == {}
    np.testing.assert_array_equal(fitted.score({"a": 1.0, "never seen": 1.0}), fitted.score({"a": 1.0}))


def test_items_nobody_touched_have_no_column():
    scorer = Ease()
    scorer.fit(matrix([[1, 0, 1], [1, 0, 0]]))
    assert scorer.items == ("a", "c")
    assert scorer.popularity.tolist() == [2.0, 1.0]


def test_above_the_limit_the_most_popular_items_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collaborative, "EASE_LIMIT", 2)
    scorer = Ease()
    scorer.fit(matrix([[1, 1, 1], [0, 1, 1], [0, 0, 1]]))
    assert scorer.items == ("b", "c")


def test_an_empty_matrix_fits():
    scorer = Ease()
    scorer.fit(InteractionMatrix(sp.csr_matrix((0, 3), dtype=np.float32), (), ("a", "b", "c"), explicit=False))
    assert scorer.items == ()
    assert scorer.score({"a": 1.0}).shape == (0,)


def test_save_and_load_round_trip(fitted: Ease, tmp_path: Path):
    fitted.save(tmp_path)
    loaded = Ease.load(tmp_path)
    assert (loaded.items, loaded.l2) == (fitted.items, fitted.l2)
    np.testing.assert_array_equal(loaded.popularity, fitted.popularity)
    # float16 keeps 11 bits: a relative error of at most 2^-11 per weight.
    np.testing.assert_allclose(loaded.score({"a": 1.0}), fitted.score({"a": 1.0}), rtol=2**-11, atol=1e-6)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("name", ["scorer.json", "scorer.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_file_is_a_clear_error(fitted: Ease, tmp_path: Path, name: str, damage: str):
    fitted.save(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(ModelError, match="can't be read"):
        Ease.load(tmp_path)


@pytest.mark.parametrize("change", [{"kind": "iald"}, {"items": ["a"]}, {"l2": "many"}])
def test_files_that_disagree_are_a_clear_error(fitted: Ease, tmp_path: Path, change: dict[str, object]):
    fitted.save(tmp_path)
    path = tmp_path / "scorer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match="vouch init"):
        Ease.load(tmp_path)


def test_an_unfitted_scorer_says_so(tmp_path: Path):
    for call in (lambda: Ease().score({}), lambda: Ease().contributions({}, "a"), lambda: Ease().save(tmp_path)):
        with pytest.raises(NotFittedError, match=r"Ease is not fitted\. Call fit\(\) or load\(\)"):
            call()
