"""Ratings on MovieLens 100K, five seeded folds: ``python -m vouchrec.evals.benchmarks.explicit --data D --out O``.

Ratings are split at random into five folds by a seed; each fold is predicted by what is fitted on the other four. RMSE and
MAE are over all predictions of all folds, with an interval that resamples people. With `--validate` the first fold's training
part is split again and the fold itself isn't read, which is what settings were chosen on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.evals.benchmarks.common import BOOTSTRAP_SEED, arguments, data_folder, digest
from vouchrec.evals.benchmarks.sequential import read_100k
from vouchrec.evals.intervals import Interval, Resample, bootstrap_statistic

__all__ = ["BiasedMf", "Biases", "Ratings", "folds", "read_ratings"]

FOLDS, FOLD_SEED = 5, 0
RESAMPLES = 1_000
Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings as three arrays of one length.

    Attributes:
        users, items: Numbers from 0.
        values: Stars.
    """

    users: Ids
    items: Ids
    values: Values

    def at(self, chosen: Ids) -> Ratings:
        """Return some of them."""
        return Ratings(self.users[chosen], self.items[chosen], self.values[chosen])


class RatingModel(Protocol):
    """Predicts stars."""

    def fit(self, ratings: Ratings, n_users: int, n_items: int) -> None:
        """Learn from ratings."""
        ...

    def predict(self, users: Ids, items: Ids) -> Values:
        """Return stars for pairs of numbers."""
        ...


class Biases:
    """Mean plus a deviation per person and per item, by alternating ridge regressions.

    Source: Koren, Bell & Volinsky, "Matrix factorization techniques for recommender systems", Computer 2009, equation 1.

    Args:
        user_l2, item_l2: Ratings of the mean that are added to each person's and each item's own.
        rounds: Alternations.
    """

    def __init__(self, user_l2: float = 5.0, item_l2: float = 3.0, rounds: int = 15) -> None:
        self.user_l2, self.item_l2, self.rounds = user_l2, item_l2, rounds
        self.mean = 0.0
        self.users: Values = np.zeros(0)
        self.items: Values = np.zeros(0)

    def fit(self, ratings: Ratings, n_users: int, n_items: int) -> None:
        """Learn the deviations."""
        self.mean = float(ratings.values.mean())
        self.users, self.items = np.zeros(n_users), np.zeros(n_items)
        rest = ratings.values - self.mean
        for _ in range(self.rounds):
            own = rest - self.users[ratings.users]
            self.items = _shrunk(ratings.items, own, n_items, self.item_l2)
            own = rest - self.items[ratings.items]
            self.users = _shrunk(ratings.users, own, n_users, self.user_l2)

    def predict(self, users: Ids, items: Ids) -> Values:
        """Return mean and deviations, unclipped."""
        return self.mean + self.users[users] + self.items[items]


def _shrunk(keys: Ids, values: Values, size: int, l2: float) -> Values:
    return np.bincount(keys, values, size) / (np.bincount(keys, minlength=size) + l2)


class BiasedMf:
    """Biases and a product of factors: mean + b_u + b_i + p_u . q_i, the factors by alternating least squares.

    The factors are fitted on what the biases leave, regularised by l2 times the number of ratings of the person or item (Zhou
    et al., "Large-scale parallel collaborative filtering for the Netflix Prize", AAIM 2008), then the biases on what the
    factors leave. The model is that of `SVD` in Surprise (Koren et al., 2009).

    Args:
        factors: Length of a vector.
        l2: Regularisation per rating.
        rounds: Alternations.
        seed: Seed of the first factors.
    """

    def __init__(self, factors: int = 20, l2: float = 0.15, rounds: int = 12, seed: int = 0) -> None:
        self.factors, self.l2, self.rounds, self.seed = factors, l2, rounds, seed
        self._biases = Biases()
        self._people: Values = np.zeros((0, factors))
        self._things: Values = np.zeros((0, factors))

    def fit(self, ratings: Ratings, n_users: int, n_items: int) -> None:
        """Learn biases and factors."""
        rng = np.random.default_rng(self.seed)
        self._biases.fit(ratings, n_users, n_items)
        rest = ratings.values - self._biases.predict(ratings.users, ratings.items)
        self._people = np.zeros((n_users, self.factors))
        self._things = 0.1 * rng.standard_normal((n_items, self.factors))
        by_user, by_item = _grouped(ratings.users, n_users), _grouped(ratings.items, n_items)
        for _ in range(self.rounds):
            self._solve(self._people, self._things, by_user, ratings.items, rest)
            self._solve(self._things, self._people, by_item, ratings.users, rest)

    def _solve(self, own: Values, others: Values, groups: Sequence[Ids], keys: Ids, rest: Values) -> None:
        ridge = np.eye(self.factors) * self.l2
        for row, group in enumerate(groups):
            if len(group):
                x = others[keys[group]]
                own[row] = np.linalg.solve(x.T @ x + len(group) * ridge, x.T @ rest[group])

    def predict(self, users: Ids, items: Ids) -> Values:
        """Return predictions, unclipped."""
        return self._biases.predict(users, items) + (self._people[users] * self._things[items]).sum(axis=1)


def _grouped(keys: Ids, size: int) -> list[Ids]:
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.cumsum(np.bincount(keys, minlength=size))[:-1])


MODELS: Mapping[str, tuple[Callable[[int], RatingModel], dict[str, float]]] = {
    "biases": (lambda _: Biases(), {"user_l2": 5.0, "item_l2": 3.0}),
    "biased matrix factorisation": (lambda seed: BiasedMf(seed=seed), {"factors": 20, "l2": 0.15, "rounds": 12}),
}


def read_ratings(folder: Path) -> tuple[Ratings, int, int]:
    """Return ratings and the numbers of people and items."""
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    events = read_100k(folder)
    rows = [(users.setdefault(e.user, len(users)), items.setdefault(e.item, len(items)), e.value) for e in events]
    table = np.asarray(rows, np.float64)
    return Ratings(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]), len(users), len(items)


def folds(n: int, *, count: int = FOLDS, seed: int = FOLD_SEED) -> list[Ids]:
    """Return a random partition of 0 to n - 1 into parts of equal size, within one."""
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(n), count)]


def _rounds(ratings: Ratings, *, validate: bool) -> list[tuple[Ids, Ids]]:
    """Return (training, to predict) by fold."""
    parts = folds(len(ratings.values))
    everything = np.arange(len(ratings.values))
    if not validate:
        return [(np.setdiff1d(everything, part), part) for part in parts]
    train = np.setdiff1d(everything, parts[0])
    held = train[folds(len(train), seed=FOLD_SEED + 1)[0]]
    return [(np.setdiff1d(train, held), held)]


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One model's figures over all folds.

    Attributes:
        rmse, mae: With intervals that resample people.
        fit_s: Seconds to fit one fold, mean.
        predict_us: Microseconds per prediction, mean.
    """

    name: str
    settings: Mapping[str, float]
    rmse: Interval
    mae: Interval
    fit_s: float
    predict_us: float


def measure(
    name: str,
    make: Callable[[int], RatingModel],
    settings: Mapping[str, float],
    ratings: Ratings,
    shape: tuple[int, int],
    rounds: Sequence[tuple[Ids, Ids]],
    seed: int,
) -> RatingRow:
    """Fit and predict every fold; stars are clipped to the scale."""
    low, high = float(ratings.values.min()), float(ratings.values.max())
    errors, users = [], []
    fit_s = predict_s = 0.0
    for train, held in tqdm(rounds, desc=name, unit="fold", leave=False):
        model = make(seed)
        started = time.perf_counter()
        model.fit(ratings.at(train), *shape)
        fitted = time.perf_counter()
        predicted = np.clip(model.predict(ratings.users[held], ratings.items[held]), low, high)
        predict_s += time.perf_counter() - fitted
        fit_s += fitted - started
        errors.append(predicted - ratings.values[held])
        users.append(ratings.users[held])
    error, user = np.concatenate(errors), np.concatenate(users)
    return RatingRow(
        name,
        settings,
        _over_people(error**2, user, np.sqrt),
        _over_people(np.abs(error), user, lambda v: v),
        fit_s / len(rounds),
        predict_s * 1e6 / len(error),
    )


def _over_people(losses: Values, users: Ids, finish: Callable[[float], float]) -> Interval:
    """Return the mean loss over all predictions, with an interval that draws people and takes all of theirs."""
    people, place = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(place, losses), np.bincount(place)

    def figure(drawn: Resample) -> float:
        return float(finish(sums[drawn].sum() / counts[drawn].sum()))

    return bootstrap_statistic(figure, len(people), seed=BOOTSTRAP_SEED, resamples=RESAMPLES)


def table(rows: Sequence[RatingRow], head: str) -> str:
    """Return the rows as Markdown."""
    lines = [head, "", "| model | RMSE | MAE | fit, s | per prediction, us |", "|---|---|---|---:|---:|"]
    for row in rows:
        cells = [f"{f.value:.4f} [{f.low:.4f}, {f.high:.4f}]" for f in (row.rmse, row.mae)]
        lines.append(f"| {row.name} | {' | '.join(cells)} | {row.fit_s:.1f} | {row.predict_us:.2f} |")
    return "\n".join(lines) + "\n"


def export(ratings: Ratings, rounds: Sequence[tuple[Ids, Ids]], folder: Path) -> None:
    """Write `foldN_train.csv` and `foldN_test.csv` with user, item and rating."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, parts in enumerate(rounds):
        for name, chosen in zip(("train", "test"), parts, strict=True):
            rows = zip(ratings.users[chosen], ratings.items[chosen], ratings.values[chosen], strict=True)
            lines = ["user,item,rating", *(f"{u},{i},{value:g}" for u, i, value in rows)]
            (folder / f"fold{number}_{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write the table."""
    parser = arguments(__doc__)
    parser.add_argument("--export", type=Path, help="write the folds as CSV into this folder, for other libraries")
    options = parser.parse_args()
    ratings, n_users, n_items = read_ratings(data_folder(options.data, "movielens/ml-100k", "u.data"))
    rounds = _rounds(ratings, validate=options.validate)
    if options.export:
        export(ratings, rounds, options.export)
    part = "validation" if options.validate else "test"
    protocol = {
        "data": "ml-100k",
        "part": part,
        "folds": FOLDS,
        "fold seed": FOLD_SEED,
        "first": rounds[0][1][:50].tolist(),
    }
    found = digest(protocol, [])
    rows = [
        measure(name, make, own, ratings, (n_users, n_items), rounds, options.seed)
        for name, (make, own) in MODELS.items()
    ]
    head = f"MovieLens 100K, {FOLDS} folds of seed {FOLD_SEED} ({part}), {len(ratings.values):,} ratings, protocol `{found}`."
    name = "explicit" + ("_validation" if options.validate else "")
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"protocol": protocol, "hash": found, "rows": [asdict(row) for row in rows]}
    for suffix, text in (("json", json.dumps(record, indent=1)), ("md", table(rows, head))):
        temporary = options.out / f"{name}.{suffix}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(options.out / f"{name}.{suffix}")


if __name__ == "__main__":
    main()
