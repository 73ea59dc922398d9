"""What every scorer behind the protocol keeps: shapes, unknown ids, exact parts, saved files, seeds, empty histories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from vouchrec.retrieval.errors import ModelError, NotFittedError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.content import ColdItems, ItemContents
from vouchrec.retrieval.scorers.registry import SCORERS, load_scorer, make_scorer

N_USERS, N_ITEMS, KINDS = 80, 24, 3
ITEMS = tuple(f"i{n}" for n in range(N_ITEMS))
UNTOUCHED = ITEMS[-1]
SMALL: dict[str, dict[str, object]] = {
    "ease": {"l2": 5.0},
    "itemknn": {"neighbours": 10, "shrinkage": 2.0, "tf_idf": True},
    "userknn": {"neighbours": 15, "shrinkage": 0.5, "tf_idf": True},
    "svd": {"factors": 6, "scaling": 0.8},
    "ials": {"factors": 6, "l2": 1.0, "iterations": 5},
    "bpr": {"factors": 6, "iterations": 40},
    "sasrec": {"width": 16, "layers": 1, "length": 6, "epochs": 12, "batch": 16, "learning_rate": 5e-3},
    "gru": {"width": 16, "layers": 1, "length": 6, "epochs": 15, "batch": 16, "learning_rate": 5e-3},
    "lightgcn": {"width": 12, "epochs": 10, "batch": 128, "negatives": 16},
    "twotower": {"width": 12, "epochs": 10, "batch": 16},
}
"""Settings that suit a tiny matrix."""


def contents() -> ItemContents:
    """Vectors that tell the kind of an item: every third item is of one kind."""
    rng = np.random.default_rng(5)
    vectors = 0.3 * rng.standard_normal((N_ITEMS, 8)).astype(np.float32)
    for n in range(N_ITEMS):
        vectors[n, n % KINDS] += 1.0
    return ItemContents(ITEMS, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def interactions() -> InteractionMatrix:
    """People who like items of one kind, in an order; nobody touched the last item."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(N_USERS):
        own = [n for n in range(N_ITEMS - 1) if n % KINDS == user % KINDS]
        others = [n for n in range(N_ITEMS - 1) if n % KINDS != user % KINDS]
        rows.append(np.concatenate([rng.permutation(own)[:5], rng.permutation(others)[:1]]).astype(np.int64))
    indptr = np.cumsum([0, *map(len, rows)])
    weights = rng.uniform(0.4, 1.0, indptr[-1]).astype(np.float32)
    matrix = sp.csr_matrix((weights, np.concatenate(rows), indptr), shape=(N_USERS, N_ITEMS))
    return InteractionMatrix(matrix, tuple(f"u{n}" for n in range(N_USERS)), ITEMS, False, tuple(rows))


def fresh(name: str, **settings: object):
    if name == "blend":
        parts = [make_scorer(part, SMALL[part]) for part in ("ease", "itemknn", "userknn")]
        return BlendScorer(parts, [1.0, 0.5, 0.25])
    pytest.importorskip(SCORERS[name].library or "numpy")
    return make_scorer(name, {**SMALL.get(name, {}), **settings}, contents=contents())


NAMES = (*SCORERS, "blend")
HISTORY = {"i0": 1.0, "i3": 0.6, "i7": 0.9, "i9": 0.4}


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def fitted(name: str):
    scorer = fresh(name)
    scorer.fit(interactions())
    return scorer


def test_scores_have_a_place_per_item(fitted):
    scores = fitted.score(HISTORY)
    assert scores.shape == (len(fitted.items),)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert set(fitted.items) >= set(ITEMS[:-1])
    assert fitted.popularity.shape == scores.shape
    assert fitted.popularity.sum() == interactions().matrix.nnz


def test_it_learns_what_goes_together(fitted, name: str):
    if name == "popularity":
        return  # popularity looks at no history
    scores = dict(zip(fitted.items, fitted.score({"i0": 1.0, "i3": 1.0, "i6": 1.0}), strict=True))
    own = np.mean([scores[i] for i in ("i9", "i12", "i15", "i18", "i21")])
    other = np.mean([scores[i] for i in ("i1", "i2", "i4", "i5", "i7", "i8")])
    assert own > other


def test_unknown_ids_count_nothing(fitted):
    known = fitted.score(HISTORY)
    np.testing.assert_array_equal(fitted.score({**HISTORY, "no such item": 1.0}), known)
    assert fitted.contributions({"no such item": 1.0}, "i0") == {}
    assert fitted.contributions(HISTORY, "no such item") == {}


def test_an_empty_history_is_no_error(fitted, name: str):
    scores = fitted.score({})
    assert scores.shape == (len(fitted.items),)
    assert fitted.contributions({}, "i0") == {}
    np.testing.assert_array_equal(fitted.score({"no such item": 1.0}), scores)
    if name != "popularity":
        assert not scores.any()


@pytest.mark.parametrize("target", ["i0", "i1", "i12", "i22"])
def test_contributions_sum_to_the_score_where_they_are_exact(fitted, target: str):
    parts = fitted.contributions(HISTORY, target)
    assert set(parts) == set(HISTORY)
    if fitted.exact:
        score = float(fitted.score(HISTORY)[fitted.items.index(target)])
        assert sum(parts.values()) == pytest.approx(score, abs=1e-5)


def test_contributions_of_inexact_scorers_are_what_is_lost_without(fitted, name: str):
    if fitted.exact or name == "popularity":
        return  # its parts are not by ablation
    column = fitted.items.index("i12")
    without = {item: weight for item, weight in HISTORY.items() if item != "i3"}
    lost = float(fitted.score(HISTORY)[column] - fitted.score(without)[column])
    assert fitted.contributions(HISTORY, "i12")["i3"] == pytest.approx(lost, abs=1e-5)


def test_exact_is_as_the_registry_says(fitted, name: str):
    if name in SCORERS:
        assert fitted.exact is SCORERS[name].exact


def test_saved_and_loaded_it_scores_alike(fitted, tmp_path: Path):
    fitted.save(tmp_path / "one")
    loaded = load_scorer(tmp_path / "one")
    assert type(loaded) is type(fitted)
    assert (tuple(loaded.items), loaded.exact) == (tuple(fitted.items), fitted.exact)
    np.testing.assert_array_equal(loaded.popularity, fitted.popularity)
    # EASE keeps 11 bits of each weight, the others 24.
    np.testing.assert_allclose(loaded.score(HISTORY), fitted.score(HISTORY), rtol=2e-3, atol=1e-4)
    loaded.save(tmp_path / "two")
    again = load_scorer(tmp_path / "two")
    np.testing.assert_array_equal(again.score(HISTORY), loaded.score(HISTORY))
    assert not list(tmp_path.rglob("*.tmp"))
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in {".json", ".safetensors"}]


def test_one_seed_gives_one_scorer(fitted, name: str):
    again = fresh(name)
    again.fit(interactions())
    np.testing.assert_array_equal(again.score(HISTORY), fitted.score(HISTORY))


def test_fitting_again_forgets_the_first_fit(name: str, fitted):
    scorer = fresh(name)
    scorer.fit(interactions().rows(range(20)))
    scorer.fit(interactions())
    np.testing.assert_array_equal(scorer.score(HISTORY), fitted.score(HISTORY))


def test_unfitted_it_says_so(name: str, tmp_path: Path):
    for call in (
        lambda s: s.score(HISTORY),
        lambda s: s.contributions(HISTORY, "i0"),
        lambda s: s.save(tmp_path),
    ):
        with pytest.raises(NotFittedError):
            call(fresh(name))


def test_nobody_at_all_fits(name: str):
    nobody = InteractionMatrix(sp.csr_matrix((0, N_ITEMS), dtype=np.float32), (), ITEMS, explicit=False)
    scorer = fresh(name)
    scorer.fit(nobody)
    assert len(scorer.score(HISTORY)) == len(scorer.items)


def test_one_person_with_one_like_fits(name: str):
    one = sp.csr_matrix(([1.0], ([0], [2])), shape=(1, N_ITEMS), dtype=np.float32)
    scorer = fresh(name)
    scorer.fit(InteractionMatrix(one, ("u",), ITEMS, explicit=False))
    assert np.isfinite(scorer.score({"i2": 1.0})).all()


@pytest.mark.parametrize("file", ["scorer.json", "scorer.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "other"])
def test_a_damaged_file_is_a_clear_error(fitted, name: str, tmp_path: Path, file: str, damage: str):
    fitted.save(tmp_path / "one")
    path = tmp_path / "one" / file
    content = path.read_bytes()
    path.unlink()
    if damage == "other":
        other = fresh(name)
        other.fit(interactions().rows(range(40)))
        other.save(tmp_path / "other")
        if (tmp_path / "other" / file).read_bytes() == content:
            pytest.skip("the other one is the same")
        shutil.copyfile(tmp_path / "other" / file, path)
    elif damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(ModelError, match="vouch init"):
        load_scorer(tmp_path / "one")


def test_an_unknown_kind_is_a_clear_error(fitted, tmp_path: Path):
    fitted.save(tmp_path)
    path = tmp_path / "scorer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "crystal ball"}))
    with pytest.raises(ModelError, match="crystal ball"):
        load_scorer(tmp_path)


def test_those_that_know_contents_score_items_that_nobody_touched(fitted, name: str):
    if name not in SCORERS or not SCORERS[name].contents:
        assert UNTOUCHED not in fitted.items
        return
    assert isinstance(fitted, ColdItems)
    scores = dict(zip(fitted.items, fitted.score({"i2": 1.0, "i5": 1.0, "i8": 1.0}), strict=True))
    # The untouched item is of the kind of i2.
    assert scores[UNTOUCHED] > np.mean([scores[i] for i in ("i0", "i1", "i3", "i4", "i6", "i7")])


def test_an_item_that_came_after_the_fit_is_scored_by_its_content(name: str):
    if name not in SCORERS or not SCORERS[name].contents:
        return  # it knows no contents
    scorer = fresh(name)
    scorer.fit(interactions())
    before = scorer.score(HISTORY)
    known = contents()
    scorer.extend(ItemContents(("new", "i0"), known.vectors[[3, 4]]))
    assert scorer.items == (*ITEMS, "new")
    np.testing.assert_array_equal(scorer.score(HISTORY)[:-1], before)
    scores = dict(zip(scorer.items, scorer.score({"i0": 1.0, "i3": 1.0, "i6": 1.0}), strict=True))
    assert scores["new"] > np.mean([scores[i] for i in ("i1", "i2", "i4", "i5", "i7", "i8")])
