"""Other domains: ``python -m vouchrec.evals.benchmarks.second_domain --data D --out O --set lastfm|goodbooks``.

lastfm: listening counts. Artists with at least three listeners; a fifth of each person's artists, at random, is to be found
among all artists but the history.

goodbooks: 10,000 books without interactions. A series stands for a reader: its first half is the history, the other half is
to be found among all books. The name of the series is cut from the titles, so that it can't be matched; authors and years
stay. Half of the series train the item-kNN, which knows nothing of the books of the others: what content alone can do
for items that nobody has touched.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

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
from vouchrec.retrieval.embed import BUILTIN, SentenceEmbedder
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.interactions import InteractionMatrix, to_matrix
from vouchrec.retrieval.scorers.blend import BlendScorer
from vouchrec.retrieval.scorers.content import ItemContents
from vouchrec.retrieval.scorers.files import Json
from vouchrec.retrieval.scorers.popularity import PopularityScorer
from vouchrec.retrieval.scorers.registry import make_scorer
from vouchrec.retrieval.types import Interaction, ItemId, UserId

__all__ = ["Books", "read_books", "read_listening", "split_listening"]

KS = (10,)
LEAST_LISTENERS, LEAST_ARTISTS, LEAST_VOLUMES = 3, 5, 3
LASTFM: Mapping[str, tuple[str, dict[str, Json]]] = {
    "item-kNN": ("itemknn", {"neighbours": 100, "tf_idf": True}),
    "popularity": ("popularity", {}),
    "user-kNN": ("userknn", {"neighbours": 100}),
    "EASE": ("ease", {"l2": 30.0}),
    "iALS": ("ials", {"factors": 64, "l2": 30.0, "alpha": 10.0}),
}
"""Rows by name, as chosen on the validation part."""
BLEND = {"item-kNN": 0.5, "iALS": 0.5}
_SERIES = re.compile(r"\s*\((?P<name>[^()]*?),?\s*#(?P<number>\d+(?:\.\d+)?)[^()]*\)\s*$")


# ---- lastfm -----------------------------------------------------------------------------------------------------


def read_listening(path: Path) -> list[Interaction]:
    """Read `user_artists.dat`: person, artist and count, with or without a header.

    Artists with fewer than `LEAST_LISTENERS` are left out.

    Raises:
        DataFileError: A line has other fields.
    """
    rows: list[tuple[UserId, ItemId, float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split("\t")
        if number == 1 and fields[0] == "userID":
            continue
        try:
            user, artist, count = fields
            rows.append((user, artist, float(count)))
        except ValueError as error:
            raise DataFileError(path, f"expected person, artist and count: {error}", row=number) from error
    listeners = Counter(artist for _, artist, _ in rows)
    return [Interaction(*row) for row in rows if listeners[row[1]] >= LEAST_LISTENERS]


def split_listening(
    events: Sequence[Interaction], *, validate: bool, seed: int = 0
) -> tuple[InteractionMatrix, list[Case]]:
    """Take a fifth of each person's artists as targets; with `validate` a fifth of what is left, the first left out."""
    items = sorted({event.item for event in events})
    people: dict[UserId, list[Interaction]] = {}
    for event in events:
        people.setdefault(event.user, []).append(event)
    rng = np.random.default_rng(seed)
    kept: list[Interaction] = []
    wanted: dict[UserId, frozenset[ItemId]] = {}
    for user, own in people.items():
        rest, held = _fifth(own, rng)
        if validate:
            rest, held = _fifth(rest, rng)
        kept += rest
        if held:
            wanted[user] = frozenset(event.item for event in held)
    train = to_matrix(kept, items, explicit=False)
    cases = [Case(user, _row(train, number), wanted[user]) for number, user in enumerate(train.users) if user in wanted]
    return train, cases


def _fifth(own: Sequence[Interaction], rng: np.random.Generator) -> tuple[list[Interaction], list[Interaction]]:
    if len(own) < LEAST_ARTISTS:
        return list(own), []
    order = [own[i] for i in rng.permutation(len(own))]
    cut = len(own) // 5
    return order[cut:], order[:cut]


def _row(train: InteractionMatrix, number: int) -> dict[ItemId, float]:
    row = train.matrix[[number]]
    return {train.items[i]: float(w) for i, w in zip(row.indices, row.data, strict=True)}


def listening_methods(train: InteractionMatrix, seed: int) -> list[Method]:
    """Return the rows: item-kNN first, which the others are compared with."""
    made: dict[str, CollaborativeScorer] = {}

    def fit(name: str) -> CollaborativeScorer:
        kind, settings = LASTFM[name]
        made[name] = make_scorer(kind, {**settings, "seed": seed} if kind == "ials" else settings)
        made[name].fit(train)
        return made[name]

    def blend() -> CollaborativeScorer:
        return BlendScorer.of_fitted([made[name] for name in BLEND], list(BLEND.values()))

    rows = [Method(name, lambda n=name: fit(n), settings) for name, (_, settings) in LASTFM.items()]
    return [*rows, Method("blend of " + " and ".join(BLEND), blend, BLEND)]


# ---- goodbooks --------------------------------------------------------------------------------------------------


class Books:
    """The books with what is needed here.

    Attributes:
        items: Ids.
        texts: What is embedded: title without the series, authors, year.
        ratings: (n,) number of ratings that each book has had.
        series: Books by name of the series, in the order of their numbers.
    """

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.items = tuple(row["book_id"] for row in rows)
        self.ratings: npt.NDArray[np.float32] = np.asarray([float(row["ratings_count"]) for row in rows], np.float32)
        self.texts: list[str] = []
        volumes: dict[str, list[tuple[float, ItemId]]] = {}
        for row in rows:
            found = _SERIES.search(row["title"])
            title = row["title"][: found.start()] if found else row["title"]
            year = row["original_publication_year"].removesuffix(".0")
            self.texts.append(f"{title} by {row['authors']}" + (f", {year}" if year else ""))
            if found:
                volumes.setdefault(found["name"].strip(), []).append((float(found["number"]), row["book_id"]))
        self.series = {
            name: tuple(item for _, item in sorted(own)) for name, own in volumes.items() if len(own) >= LEAST_VOLUMES
        }


def read_books(path: Path) -> Books:
    """Read `books.csv`."""
    with path.open(encoding="utf-8", newline="") as file:
        return Books(list(csv.DictReader(file)))


class _RatedMost(PopularityScorer):
    """Popularity by how many ratings the file says that a book has had."""

    def __init__(self, counts: npt.NDArray[np.float32], items: Sequence[ItemId]) -> None:
        super().__init__()
        self._take(items, counts)
        self._fitted = True


def series_split(books: Books, *, validate: bool, seed: int = 0) -> tuple[InteractionMatrix, list[Case]]:
    """Return half of the series as readers to learn from, and the other half as cases; `validate` swaps the halves."""
    names = sorted(books.series)
    order = np.random.default_rng(seed).permutation(len(names))
    halves = [[names[i] for i in part] for part in np.array_split(order, 2)]
    learnt, asked = reversed(halves) if validate else halves
    events = [Interaction(name, item, 1.0) for name in learnt for item in books.series[name]]
    cases: list[Case] = []
    for name in asked:
        own = list(dict.fromkeys(books.series[name]))
        cut = (len(own) + 1) // 2
        cases.append(Case(name, dict.fromkeys(own[:cut], 1.0), frozenset(own[cut:])))
    return to_matrix(events, books.items, explicit=False), cases


def book_methods(books: Books, train: InteractionMatrix) -> list[Method]:
    """Return the rows: item-kNN first, which the others are compared with."""

    def nearest() -> CollaborativeScorer:
        scorer = make_scorer("itemknn")
        scorer.fit(train)
        return scorer

    def content() -> CollaborativeScorer:
        vectors = SentenceEmbedder(BUILTIN).encode(books.texts)
        scorer = make_scorer("content", contents=ItemContents(books.items, vectors))
        scorer.fit(train)
        return scorer

    counted = cast("CollaborativeScorer", _RatedMost(books.ratings, books.items))
    return [
        Method("item-kNN", nearest),
        Method("popularity (number of ratings)", lambda: counted),
        Method("content only", content, {"embedder": BUILTIN}),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = arguments(__doc__)
    parser.add_argument("--set", choices=["lastfm", "goodbooks"], default="lastfm", help="which data set")
    options = parser.parse_args()
    if options.set == "lastfm":
        events = read_listening(data_folder(options.data, "lastfm", "user_artists.dat") / "user_artists.dat")
        train, cases = split_listening(events, validate=options.validate)
        methods = listening_methods(train, options.seed)
        split = "a fifth of each person's artists, seed 0"
    else:
        books = read_books(data_folder(options.data, "goodbooks", "books.csv") / "books.csv")
        train, cases = series_split(books, validate=options.validate)
        methods = book_methods(books, train)
        split = "half of the series, seed 0; the later half of each is to be found"
    part = "validation" if options.validate else "test"
    protocol = {"data": options.set, "part": part, "split": split, "ranking": "all items but the history", "ks": KS}
    rows = run_methods(methods, cases, train.items, ks=KS)
    title = f"{options.set}, full ranking ({part})."
    name = f"second_domain_{options.set}" + ("_validation" if options.validate else "")
    report = Report(name, title, protocol, digest(protocol, cases), len(cases), len(train.items), rows)
    write_report(report, options.out)


if __name__ == "__main__":
    main()
