"""MovieLens 1M as implicit feedback, full ranking: ``python -m vouchrec.evals.benchmarks.implicit_ml1m --data D --out O``.

The split is the published one (train.txt and test.txt, 6,040 people): a person's training items are the history, the
others are ranked, the test items are to be found (weak generalisation). With `--validate` a fifth of each person's training
items is to be found instead, which is what settings were chosen on; the test part isn't read then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from vouchrec.evals.benchmarks.common import (
    Case,
    Method,
    Report,
    arguments,
    data_folder,
    digest,
    run_methods,
    write_report,
)
from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.files import Json
from vouchrec.retrieval.scorers.registry import make_scorer
from vouchrec.retrieval.types import ItemId

__all__ = ["read_split"]

KS = (20, 10)
SETTINGS: dict[str, dict[str, Json]] = {
    "popularity": {},
    "itemknn": {"neighbours": 100, "tf_idf": True},
    "userknn": {"neighbours": 100},
    "svd": {"factors": 50},
    "ials": {"factors": 64, "l2": 50.0, "alpha": 2.0, "iterations": 12},
}
"""By scorer, as chosen on the validation part."""
EASE_L2 = 800.0
BALANCED: dict[str, Json] = {"l2": 700.0, "balance": 0.25}
BLEND = {"balanced": 0.5, "ials": 0.5}
"""Weights of the blend, as chosen on the validation part."""


def read_split(folder: Path, *, validate: bool, seed: int = 0) -> tuple[InteractionMatrix, list[Case]]:
    """Read the lists: training interactions of weight 1 and one case per person.

    Args:
        folder: With train.txt and test.txt: a line is a person and the items, all numbers.
        validate: Take a fifth of each training list, at least one item, instead of the test list.
        seed: Seed of that fifth.
    """
    train = _lists(folder / "train.txt")
    if validate:
        rng = np.random.default_rng(seed)
        shuffled = {user: rng.permutation(own) for user, own in train.items() if len(own) > 1}
        cuts = {user: max(1, round(0.2 * len(own))) for user, own in shuffled.items()}
        test = {user: own[: cuts[user]].tolist() for user, own in shuffled.items()}
        train = {user: own[cuts[user] :].tolist() for user, own in shuffled.items()}
    else:
        test = _lists(folder / "test.txt")
    users = sorted(train)
    names = [f"i{n}" for n in range(1 + max(i for part in (train, test) for own in part.values() for i in own))]
    cases = [
        Case(
            str(user),
            {names[i]: 1.0 for i in train[user]},
            frozenset(names[i] for i in set(test[user]) - set(train[user])),
        )
        for user in users
        if set(test.get(user, ())) - set(train[user])
    ]
    return _matrix([train[user] for user in users], [str(user) for user in users], names), cases


def _lists(path: Path) -> dict[int, list[int]]:
    rows = [[int(field) for field in line.split()] for line in path.read_text(encoding="utf-8").splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def _matrix(rows: Sequence[Sequence[int]], users: Sequence[str], items: Sequence[ItemId]) -> InteractionMatrix:
    indices = np.concatenate([np.asarray(row, np.int64) for row in rows])
    indptr = np.cumsum([0, *map(len, rows)])
    matrix = sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(rows), len(items)))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return InteractionMatrix(matrix, tuple(users), tuple(items), explicit=False)


def methods(train: InteractionMatrix, seed: int) -> list[Method]:
    """Return the rows: EASE first, which the others are compared with; the blend last, of scorers fitted before it."""
    made: dict[str, CollaborativeScorer] = {}

    def fit(name: str, settings: dict[str, Json], key: str = "") -> CollaborativeScorer:
        scorer = made[key or name] = make_scorer(name, settings)
        scorer.fit(train)
        return scorer

    def blend() -> CollaborativeScorer:
        return BlendScorer.of_fitted([made[name] for name in BLEND], list(BLEND.values()))

    seeded = {name: {**own, "seed": seed} if name in ("svd", "ials") else own for name, own in SETTINGS.items()}
    rows = [Method(f"EASE, l2 {EASE_L2:g}", lambda: fit("ease", {"l2": EASE_L2}), {"l2": EASE_L2})]
    rows += [Method(name, lambda n=name, s=own: fit(n, s), own) for name, own in seeded.items()]
    rows.append(Method("EASE, people balanced", lambda: fit("ease", BALANCED, "balanced"), BALANCED))
    return [*rows, Method("blend of balanced EASE and iALS", blend, BLEND)]


def main() -> None:
    """Measure and write the table."""
    options = arguments(__doc__).parse_args()
    folder = data_folder(options.data, "movielens/ml-1m-implicit", "train.txt")
    train, cases = read_split(folder, validate=options.validate)
    protocol = {
        "data": "ml-1m-implicit",
        "part": "validation" if options.validate else "test",
        "split": "published lists" if not options.validate else "a fifth of each training list, seed 0",
        "ranking": "all items but the history",
        "ks": KS,
    }
    rows = run_methods(methods(train, options.seed), cases, train.items, ks=KS)
    protocol_hash = digest(protocol, cases)
    title = f"MovieLens 1M, implicit, full ranking ({protocol['part']})."
    name = "implicit_ml1m" + ("_validation" if options.validate else "")
    write_report(Report(name, title, protocol, protocol_hash, len(cases), len(train.items), rows), options.out)


if __name__ == "__main__":
    main()
