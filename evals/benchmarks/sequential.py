"""What comes next on MovieLens 100K and latest-small: ``python -m vouchrec.evals.benchmarks.sequential --data D --out O``.

Every rating counts as an interaction. Leave-one-out by time: each person's last item is to be found among all items but
the history; the one before it is the validation target (`--validate`), for which the last is left out altogether.
Everything before is learnt from. Equal times keep the order of the file. One target a person: NDCG@k is 1 / log2(rank + 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

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
from vouchrec.retrieval.datasets import read_movielens
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.files import Json
from vouchrec.retrieval.scorers.registry import make_scorer
from vouchrec.retrieval.types import Interaction, ItemId, UserId

__all__ = ["leave_one_out", "read_100k"]

KS = (10,)
Data: TypeAlias = Literal["ml-100k", "ml-latest-small"]
SETTINGS: Mapping[str, Mapping[str, dict[str, Json]]] = {
    "ml-100k": {
        "sasrec": {"width": 64, "layers": 2, "dropout": 0.4, "length": 100, "epochs": 25, "batch": 16},
        "gru": {"width": 64, "layers": 1, "dropout": 0.4, "length": 100, "epochs": 15, "batch": 16},
        "ease": {"l2": 300.0},
        "itemknn": {"neighbours": 100, "tf_idf": True},
        "popularity": {},
    },
    "ml-latest-small": {
        "sasrec": {"width": 64, "layers": 2, "dropout": 0.4, "length": 100, "epochs": 25, "batch": 16},
        "ease": {"l2": 300.0},
        "itemknn": {"neighbours": 100, "tf_idf": True},
        "popularity": {},
    },
}
"""By data set and scorer, as chosen on the validation targets."""
BLEND = {"sasrec": 1.0, "ease": 0.25}
"""Weights of the blend, as chosen on the validation targets."""


@dataclass(frozen=True, slots=True)
class Histories:
    """Each person's items, oldest first.

    Attributes:
        items: Column names.
        rows: Columns by person.
    """

    items: tuple[ItemId, ...]
    rows: Mapping[UserId, Sequence[int]]


def read_100k(folder: Path) -> list[Interaction]:
    """Read `u.data`: person, item, rating and time, separated by tabs.

    Raises:
        DataFileError: A line has other fields.
    """
    path = folder / "u.data"
    found: list[Interaction] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split("\t")
        try:
            user, item, value, time = fields
            found.append(Interaction(user, item, float(value), float(time)))
        except ValueError as error:
            raise DataFileError(path, f"expected 4 fields, found {len(fields)}: {error}", row=number) from error
    return found


def histories(events: Sequence[Interaction]) -> Histories:
    """Order each person's items by time, equal times as in the file."""
    column: dict[ItemId, int] = {}
    rows: dict[UserId, list[int]] = {}
    for event in sorted(events, key=lambda e: e.time or 0.0):
        rows.setdefault(event.user, []).append(column.setdefault(event.item, len(column)))
    return Histories(tuple(column), rows)


def leave_one_out(known: Histories, *, validate: bool) -> tuple[InteractionMatrix, list[Case]]:
    """Take each person's last item, or with `validate` the one before it, as the target; people with less only train.

    Items without an interaction left keep their place in the ranking.
    """
    held = 2 if validate else 1
    users, rows, cases = list(known.rows), [], []
    for user in users:
        row = list(known.rows[user])
        if len(row) > held:
            row, target = row[:-held], row[-held]
            history = {known.items[i]: 1.0 for i in row}
            cases.append(Case(user, history, frozenset({known.items[target]})))
        rows.append(np.asarray(row, np.int64))
    indptr = np.cumsum([0, *map(len, rows)])
    cells = (np.ones(indptr[-1], np.float32), np.concatenate(rows), indptr)
    matrix = sp.csr_matrix(cells, shape=(len(users), len(known.items)))
    return InteractionMatrix(matrix, tuple(users), known.items, False, tuple(rows)), cases


def methods(name: str, train: InteractionMatrix, seed: int) -> list[Method]:
    """Return the rows: SASRec first, which the others are compared with; the blend last, of scorers fitted before it."""
    made: dict[str, CollaborativeScorer] = {}

    def fit(kind: str, settings: dict[str, Json]) -> CollaborativeScorer:
        made[kind] = make_scorer(kind, settings)
        made[kind].fit(train)
        return made[kind]

    def blend() -> CollaborativeScorer:
        return BlendScorer.of_fitted([made[kind] for kind in BLEND], list(BLEND.values()))

    own = {k: {**s, "seed": seed} if k in ("sasrec", "gru") else s for k, s in SETTINGS[name].items()}
    rows = [Method(kind, lambda k=kind, s=settings: fit(k, s), settings) for kind, settings in own.items()]
    return [*rows, Method("blend of " + " and ".join(BLEND), blend, BLEND)]


def export(train: InteractionMatrix, cases: Sequence[Case], folder: Path) -> None:
    """Write `train.csv` (user, item, place in the history) and `test.csv` (user, item to be found)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["user,item,place"]
    for user, row in zip(train.users, train.ordered(), strict=True):
        lines += [f"{user},{train.items[column]},{place}" for place, column in enumerate(row)]
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tests = ["user,item", *(f"{case.user},{item}" for case in cases for item in case.targets)]
    (folder / "test.csv").write_text("\n".join(tests) + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--set", choices=list(SETTINGS), default="ml-100k", help="which data set")
    parser.add_argument("--export", type=Path, help="write the split as CSV into this folder, for other libraries")
    options = parser.parse_args()
    if options.set == "ml-100k":
        events = read_100k(data_folder(options.data, "movielens/ml-100k", "u.data"))
    else:
        events = list(
            read_movielens(data_folder(options.data, "movielens/ml-latest-small", "ratings.csv")).interactions
        )
    train, cases = leave_one_out(histories(events), validate=options.validate)
    if options.export:
        export(train, cases, options.export)
    protocol = {
        "data": options.set,
        "part": "validation" if options.validate else "test",
        "split": "leave-one-out by time",
        "ranking": "all items but the history",
        "ks": KS,
    }
    rows = run_methods(methods(options.set, train, options.seed), cases, train.items, ks=KS)
    title = f"{options.set}, leave-one-out by time, full ranking ({protocol['part']})."
    name = f"sequential_{options.set}" + ("_validation" if options.validate else "")
    report = Report(name, title, protocol, digest(protocol, cases), len(cases), len(train.items), rows)
    write_report(report, options.out)


if __name__ == "__main__":
    main()
