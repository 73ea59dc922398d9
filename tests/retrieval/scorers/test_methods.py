"""What is particular to a method: order, losses, balance, fold-in as the papers have it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.factors import Ials, Svd
from vouchrec.retrieval.scorers.neighbours import ItemKnn, UserKnn
from vouchrec.retrieval.scorers.registry import make_scorer

ITEMS = tuple("abcdefgh")


def matrix(dense: np.ndarray, order: tuple[np.ndarray, ...] | None = None) -> InteractionMatrix:
    users = tuple(f"u{n}" for n in range(len(dense)))
    return InteractionMatrix(sp.csr_matrix(dense.astype(np.float32)), users, ITEMS[: dense.shape[1]], False, order)


@pytest.fixture
def random_likes() -> np.ndarray:
    rng = np.random.default_rng(7)
    dense = (rng.random((30, 8)) < 0.4).astype(np.float32)
    dense[:, 0] = 1
    return dense


# ---- order -----------------------------------------------------------------------------------------------------------


def circle() -> InteractionMatrix:
    """People who go round the items in order, each from another start: what comes next is the successor."""
    rows = tuple((np.arange(4) + start % 8) % 8 for start in range(64))
    dense = np.zeros((64, 8), np.float32)
    for n, row in enumerate(rows):
        dense[n, row] = 1
    return matrix(dense, rows)


@pytest.mark.parametrize("name", ["sasrec", "gru"])
@pytest.mark.parametrize("loss", ["softmax", "gbce"])
def test_a_sequential_scorer_says_what_comes_next(name: str, loss: str):
    settings = {"width": 16, "layers": 1, "epochs": 30, "batch": 8, "learning_rate": 1e-2, "dropout": 0.0}
    scorer = make_scorer(name, {**settings, "loss": loss, "negatives": 4})
    scorer.fit(circle())
    for history, following in (("abc", "d"), ("fgh", "a")):
        assert ITEMS[int(np.argmax(scorer.score(dict.fromkeys(history, 1.0))))] == following
    forwards, backwards = (scorer.score(dict.fromkeys(h, 1.0)) for h in ("abc", "cba"))
    assert np.abs(forwards - backwards).max() > 0.1


def test_padding_of_a_batch_changes_no_score():
    scorer = make_scorer("sasrec", {"width": 16, "layers": 2, "epochs": 2, "length": 6})
    scorer.fit(circle())
    columns = [np.asarray([0, 1, 2, 3]), np.asarray([5])]
    weights = [np.ones(4, np.float32), np.ones(1, np.float32)]
    together = scorer._score_many(columns, weights)
    np.testing.assert_allclose(together[1], scorer.score({"f": 1.0}), atol=1e-6)
    np.testing.assert_allclose(together[0], scorer.score(dict.fromkeys("abcd", 1.0)), atol=1e-6)


def test_items_before_the_window_bring_nothing():
    scorer = make_scorer("sasrec", {"width": 8, "layers": 1, "epochs": 1, "length": 3})
    scorer.fit(circle())
    parts = scorer.contributions(dict.fromkeys("abcde", 1.0), "h")
    assert parts["a"] == parts["b"] == pytest.approx(0.0, abs=1e-6)


def test_an_unknown_loss_is_refused():
    with pytest.raises((ConfigError, ValueError), match="softmax"):
        make_scorer("sasrec", {"loss": "hinge"})


# ---- closed forms ------------------------------------------------------------------------------------------------------


def test_balanced_ease_is_ease_of_divided_rows(random_likes: np.ndarray):
    counts = random_likes.sum(axis=1, keepdims=True)
    divided = random_likes / counts**0.25
    scale = float((divided**2).sum() / (random_likes**2).sum())
    balanced, plain = Ease(l2=6.0, balance=0.25), Ease(l2=6.0 * scale)
    balanced.fit(matrix(random_likes))
    plain.fit(matrix(divided))
    np.testing.assert_allclose(balanced.score({"a": 1.0, "c": 0.5}), plain.score({"a": 1.0, "c": 0.5}), atol=1e-5)


def test_svd_projects_on_the_leading_singular_vectors(random_likes: np.ndarray):
    scorer = Svd(factors=3)
    scorer.fit(matrix(random_likes))
    _, _, right = np.linalg.svd(random_likes, full_matrices=False)
    expected = random_likes[4] @ right[:3].T @ right[:3]
    history = {item: float(w) for item, w in zip(ITEMS, random_likes[4], strict=True) if w}
    np.testing.assert_allclose(scorer.score(history), expected, atol=1e-4)


def test_user_knn_by_hand():
    scorer = UserKnn(neighbours=1)
    scorer.fit(matrix(np.asarray([[1, 1, 0, 0], [0, 1, 1, 1]])))
    # The history {a} is like the first person only: 1 / (1 x sqrt 2), who likes a and b.
    assert scorer.score({"a": 1.0}) == pytest.approx([2**-0.5, 2**-0.5, 0, 0], abs=1e-6)


def test_only_the_nearest_items_are_kept(random_likes: np.ndarray):
    scorer = ItemKnn(neighbours=2)
    scorer.fit(matrix(random_likes))
    scores = np.stack([scorer.score({item: 1.0}) for item in ITEMS])
    assert ((scores > 0).sum(axis=0) <= 2).all()


def test_ials_folds_in_as_the_paper_says(random_likes: np.ndarray):
    pytest.importorskip("implicit")
    scorer = Ials(factors=4, l2=2.0, alpha=3.0, iterations=4)
    scorer.fit(matrix(random_likes))
    y = scorer._vectors.astype(np.float64)
    confidence = np.ones(8)
    confidence[[0, 2]] += 3.0 * np.asarray([1.0, 0.5])
    liked = np.zeros(8)
    liked[[0, 2]] = 1.0
    person = np.linalg.solve(y.T @ (confidence[:, None] * y) + 2.0 * np.eye(4), y.T @ (confidence * liked))
    np.testing.assert_allclose(scorer.score({"a": 1.0, "c": 0.5}), y @ person, atol=1e-5)


def test_a_blend_is_the_weighted_sum_at_equal_spread(random_likes: np.ndarray):
    parts = [Ease(l2=3.0), ItemKnn()]
    blend = BlendScorer(parts, [0.75, 0.25])
    blend.fit(matrix(random_likes))
    history = {"b": 1.0, "d": 1.0}
    own = [part.score(history) for part in parts]
    expected = 0.75 * own[0] / own[0].std() + 0.25 * own[1] / own[1].std()
    np.testing.assert_allclose(blend.score(history), expected, atol=1e-5)


def test_a_blend_needs_a_weight_per_part():
    with pytest.raises(ValueError, match="1 scorers, 2 weights"):
        BlendScorer([Ease()], [1.0, 2.0])
