"""The benchmarks' splits leak nothing, their figures agree with hand counts, and their tables carry what they must."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from vouchrec.evals.benchmarks import explicit, implicit_ml1m, second_domain, sequential
from vouchrec.evals.benchmarks.common import Case, Method, Report, digest, run_methods, write_report
from vouchrec.retrieval.errors import ConfigError, DataFileError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.neighbours import ItemKnn
from vouchrec.retrieval.scorers.popularity import PopularityScorer
from vouchrec.retrieval.types import Interaction


def learnt(matrix: InteractionMatrix, user: str) -> set[str]:
    row = matrix.matrix[[matrix.users.index(user)]]
    return {matrix.items[i] for i in row.indices}


# ---- what they share ----------------------------------------------------------------------------------------------


@pytest.fixture
def three() -> InteractionMatrix:
    dense = np.asarray([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], np.float32)
    return InteractionMatrix(sp.csr_matrix(dense), ("u", "v", "w"), tuple("abcd"), explicit=False)


def method(name: str, scorer, train: InteractionMatrix) -> Method:
    def fit():
        scorer.fit(train)
        return scorer

    return Method(name, fit)


def test_figures_agree_with_hand_counts(three: InteractionMatrix):
    cases = [Case("x", {"a": 1.0}, frozenset("c")), Case("y", {"b": 1.0}, frozenset("a"))]
    rows = run_methods(
        [method("kNN", ItemKnn(), three), method("pop", PopularityScorer(), three)], cases, "abcd", ks=(2,)
    )
    # kNN: after a come b, c: rank 2. After b comes a: rank 1. Popularity: b, c for x; a first for y.
    expected = (1 / math.log2(3) + 1) / 2
    assert rows[0].figures["NDCG@2"].value == pytest.approx(expected)
    assert rows[1].figures["NDCG@2"].value == pytest.approx(expected)
    assert rows[0].figures["Recall@2"].value == 1.0
    assert rows[0].gain is None
    assert rows[1].gain.value == pytest.approx(0.0)
    assert rows[0].exact
    assert not rows[1].exact


def test_the_history_is_never_ranked(three: InteractionMatrix):
    planted = [Case("x", {"a": 1.0}, frozenset("a"))]
    rows = run_methods([method("pop", PopularityScorer(), three)], planted, "abcd", ks=(4,))
    assert rows[0].figures["Recall@4"].value == 0.0


def test_a_report_carries_protocol_interval_time_and_versions(three: InteractionMatrix, tmp_path: Path):
    cases = [Case("x", {"a": 1.0}, frozenset("c"))]
    rows = run_methods([method("kNN", ItemKnn(), three)], cases, "abcd", ks=(2,))
    report = Report("toy", "Toy.", {"k": 2}, digest({"k": 2}, cases), 1, 4, rows)
    write_report(report, tmp_path)
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["hash"] == report.hash
    assert {"numpy", "scipy", "python"} <= set(record["versions"])
    assert record["rows"][0]["fit_s"] > 0
    assert report.hash in (tmp_path / "toy.md").read_text()
    assert not list(tmp_path.glob("*.tmp"))


def test_the_hash_changes_with_any_case():
    one = [Case("x", {"a": 1.0}, frozenset("c"))]
    assert digest({"k": 2}, one) == digest({"k": 2}, list(one))
    assert digest({"k": 2}, one) != digest({"k": 3}, one)
    assert digest({"k": 2}, one) != digest({"k": 2}, [Case("x", {"a": 1.0}, frozenset("d"))])
    assert digest({"k": 2}, one) != digest({"k": 2}, [Case("x", {"b": 1.0}, frozenset("c"))])


# ---- ml-1m ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text("0 0 1 2 3 4\n1 2 3 5 6 7 8 9 1 0 4\n")
    (tmp_path / "test.txt").write_text("0 5 6\n1 11 3\n")
    return tmp_path


def test_ml1m_asks_for_the_published_targets(lists: Path):
    train, cases = implicit_ml1m.read_split(lists, validate=False)
    assert len(train.items) == 12
    assert [case.targets for case in cases] == [{"i5", "i6"}, {"i11"}]  # 3 is in the training list: no target
    assert learnt(train, "0") == {"i0", "i1", "i2", "i3", "i4"}


def test_ml1m_validation_never_reads_the_test_part(lists: Path):
    (lists / "test.txt").unlink()
    train, cases = implicit_ml1m.read_split(lists, validate=True)
    assert [len(case.targets) for case in cases] == [1, 2]
    for case in cases:
        assert not case.targets & learnt(train, case.user)
        assert set(case.history) == learnt(train, case.user)


# ---- what comes next -------------------------------------------------------------------------------------------------


def test_the_last_is_the_target_and_validation_forgets_it():
    events = [Interaction("u", item, 3.0, float(time)) for item, time in (("c", 3), ("a", 1), ("d", 9), ("b", 2))]
    known = sequential.histories([*events, Interaction("v", "d", 5.0, 1.0)])
    train, cases = sequential.leave_one_out(known, validate=False)
    assert [(list(case.history), set(case.targets)) for case in cases] == [(["a", "b", "c"], {"d"})]
    assert learnt(train, "u") == {"a", "b", "c"}
    assert learnt(train, "v") == {"d"}
    train, cases = sequential.leave_one_out(known, validate=True)
    assert [(list(case.history), set(case.targets)) for case in cases] == [(["a", "b"], {"c"})]
    assert learnt(train, "u") == {"a", "b"}
    assert [known.items[i] for i in train.ordered()[0]] == ["a", "b"]


def test_a_bad_line_is_named(tmp_path: Path):
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n1\t2\t3\n")
    with pytest.raises(DataFileError, match="row 2"):
        sequential.read_100k(tmp_path)


# ---- ratings ---------------------------------------------------------------------------------------------------------


def test_folds_are_a_partition_by_a_seed():
    parts = explicit.folds(103)
    assert sorted(np.concatenate(parts).tolist()) == list(range(103))
    assert {len(part) for part in parts} == {20, 21}
    assert all((a == b).all() for a, b in zip(parts, explicit.folds(103), strict=True))
    assert any((a != b).any() for a, b in zip(parts, explicit.folds(103, seed=9), strict=False) if len(a) == len(b))


def test_validation_keeps_the_first_fold_closed():
    ratings = explicit.Ratings(np.zeros(100, np.int64), np.arange(100), np.ones(100))
    ((train, held),) = explicit._rounds(ratings, validate=True)
    first = set(explicit.folds(100)[0].tolist())
    assert not first & (set(train.tolist()) | set(held.tolist()))
    assert not set(train.tolist()) & set(held.tolist())


def test_biases_by_hand():
    model = explicit.Biases(user_l2=0.0, item_l2=0.0, rounds=50)
    # Two people, two items, purely additive: 3 +- 1 for the person, +- 0.5 for the item.
    ratings = explicit.Ratings(np.asarray([0, 0, 1, 1]), np.asarray([0, 1, 0, 1]), np.asarray([4.5, 3.5, 2.5, 1.5]))
    model.fit(ratings, 2, 2)
    assert model.predict(ratings.users, ratings.items) == pytest.approx(ratings.values, abs=1e-6)


def test_factors_learn_what_biases_cannot():
    rng = np.random.default_rng(0)
    people, things = rng.choice([-1.0, 1.0], 60), rng.choice([-1.0, 1.0], 50)
    users, items = (part.ravel() for part in np.meshgrid(np.arange(60), np.arange(50), indexing="ij"))
    values = 3 + people[users] * things[items]
    known = rng.random(len(values)) < 0.6
    ratings = explicit.Ratings(users[known], items[known], values[known])
    errors = []
    for model in (explicit.Biases(), explicit.BiasedMf(factors=3, l2=0.05)):
        model.fit(ratings, 60, 50)
        errors.append(float(np.sqrt(np.mean((model.predict(users[~known], items[~known]) - values[~known]) ** 2))))
    assert errors[1] < 0.3 < errors[0]


def test_the_interval_of_an_error_draws_people():
    squared = np.asarray([1.0, 1.0, 4.0, 4.0])
    found = explicit._over_people(squared, np.asarray([0, 0, 1, 1]), np.sqrt)
    assert found.value == pytest.approx(math.sqrt(2.5))
    assert found.low < found.value < found.high
    assert explicit._over_people(np.ones(4), np.asarray([0, 0, 1, 1]), np.sqrt).low == pytest.approx(1.0)


# ---- other domains ---------------------------------------------------------------------------------------------------


def test_listening_targets_are_not_learnt_from(tmp_path: Path):
    rows = [f"{user}\t{artist}\t{10 * artist + user}" for user in range(6) for artist in range(5 + user % 2)]
    (tmp_path / "user_artists.dat").write_text("\n".join(["userID\tartistID\tweight", *rows, "0\t99\t5"]) + "\n")
    events = second_domain.read_listening(tmp_path / "user_artists.dat")
    assert "99" not in {event.item for event in events}  # one listener only
    train, cases = second_domain.split_listening(events, validate=False)
    assert len(cases) == 6
    for case in cases:
        assert not case.targets & set(case.history)
        assert set(case.history) == learnt(train, case.user)


def book(number: int, title: str) -> dict[str, str]:
    return {
        "book_id": str(number),
        "title": title,
        "authors": "Ann Lee",
        "original_publication_year": "1999.0",
        "ratings_count": str(number),
    }


def test_the_name_of_a_series_is_not_in_the_text():
    books = second_domain.Books(
        [book(3, "Gold (The Sea, #3)"), book(1, "Salt (The Sea, #1)"), book(2, "Foam (The Sea #2)"), book(4, "Alone")]
    )
    assert books.series == {"The Sea": ("1", "2", "3")}
    assert books.texts[0] == "Gold by Ann Lee, 1999"
    assert not any("Sea" in text for text in books.texts)


def test_no_book_of_a_case_is_learnt_from():
    rows = [book(10 * s + n, f"T{s}{n} (S{s}, #{n})") for s in range(1, 7) for n in range(1, 5)]
    train, cases = second_domain.series_split(second_domain.Books(rows), validate=False)
    touched = set().union(*(learnt(train, user) for user in train.users))
    assert len(cases) == 3
    for case in cases:
        assert not touched & (case.targets | set(case.history))
        assert max(map(int, case.history)) < min(map(int, case.targets))


# ---- on the public data ----------------------------------------------------------------------------------------------


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("VOUCH_DATA")
    if not folder:
        pytest.skip("needs the public data sets: set VOUCH_DATA to their folder")
    return Path(folder)


@pytest.mark.data
def test_the_public_splits_have_the_published_sizes(data: Path):
    train, cases = implicit_ml1m.read_split(data / "movielens" / "ml-1m-implicit", validate=True)
    assert (len(train.users), len(cases)) == (6_040, 6_040)
    ratings, users, items = explicit.read_ratings(data / "movielens" / "ml-100k")
    assert (len(ratings.values), users, items) == (100_000, 943, 1_682)
    assert len(second_domain.read_books(data / "goodbooks" / "books.csv").items) == 10_000


def test_a_missing_data_set_is_named(tmp_path: Path):
    from vouchrec.evals.benchmarks.common import data_folder

    with pytest.raises(ConfigError, match=r"no train\.txt"):
        data_folder(tmp_path, "movielens/ml-1m-implicit", "train.txt")
