"""Recipes: small files in the public formats, what becomes of them, and the public data where it is present."""

from __future__ import annotations

import csv
import json
import lzma
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from vouchrec.retrieval import recipes
from vouchrec.retrieval.build import init_workspace
from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.domain import load_domain
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.interactions import read_interactions
from vouchrec.retrieval.types import Item

FILMS: Sequence[Mapping[str, object]] = (
    {
        "title": "The Long Ride",
        "year": 1952,
        "cast": ["Ada Stone", "Ben Wood"],
        "genres": ["Western", "Noir"],
        "extract": "The Long Ride is a 1952 American Western film directed by Zoe Hill and starring Ada Stone.",
    },
    {"title": "Night Bus", "year": 1999, "cast": [], "genres": ["Animated"], "extract": None},
    {"title": "Night Bus", "year": 1999, "cast": [], "genres": ["Animated"], "extract": "Another of that name."},
)
MOVIES = [
    ["4", " (2019)", "Drama"],
    ["1", "Long Ride, The (1952)", "Western|IMAX"],
    ["2", "Paper Moons (2001)", "Sci-Fi|Children"],
    ["3", "Untitled", "(no genres listed)"],
]
RATINGS = [["u1", "1", "4.5", "1000"], ["u2", "1", "3.0", "1001"], ["u2", "2", "5.0", "1002"], ["u2", "9", "5.0", "1"]]
TAGS = [["u1", "1", "dusty", "1"], ["u2", "1", "Dusty ", "2"], ["u2", "1", "horses", "2"], ["u2", "1", "western", "3"]]


def write_csv(path: Path, header: str, rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    small = folder / "movielens" / "ml-latest-small"
    write_csv(small / "movies.csv", "movieId,title,genres", MOVIES)
    write_csv(small / "ratings.csv", "userId,movieId,rating,timestamp", RATINGS)
    write_csv(small / "tags.csv", "userId,movieId,tag,timestamp", TAGS)
    write_csv(small / "links.csv", "movieId,imdbId,tmdbId", [["1", "0044837", "1"]])
    (folder / "wikipedia-movies").mkdir()
    with lzma.open(folder / "wikipedia-movies" / "movies.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(film) + "\n" for film in FILMS)
    return folder


def items_of(out: Path) -> dict[str, Item]:
    return {item.id: item for item in read_items(out / "items.jsonl", load_domain(out / "domain.toml"))}


def test_movielens_films_get_text_people_and_tags(data: Path, tmp_path: Path) -> None:
    report = recipes.cook("movielens-small", data, tmp_path / "out")
    items = items_of(tmp_path / "out")
    assert list(items) == ["1", "2", "3"]
    ride = items["1"]
    assert ride.title == "The Long Ride"
    assert ride.description.startswith("The Long Ride is a 1952")
    assert ride.attributes == {
        "year": 1952,
        "genres": ("western",),
        "tags": ("dusty", "horses"),
        "directors": ("Zoe Hill",),
        "cast": ("Ada Stone", "Ben Wood"),
    }
    assert items["2"].attributes == {"year": 2001, "genres": ("science fiction", "family")}
    assert items["3"].attributes == {}
    assert report == recipes.RecipeReport(3, 3, with_text=1, rated=2, rated_with_text=1, ratings_with_text=2)
    assert report.lines()[2] == "3 ratings, 2 of films with a text (66.7%)"


def test_ratings_keep_value_and_time_and_drop_unknown_films(data: Path, tmp_path: Path) -> None:
    recipes.cook("movielens-small", data, tmp_path / "out")
    events = [event for _, event in read_interactions(tmp_path / "out" / "interactions.csv")]
    assert [(e.user, e.item, e.value, e.time) for e in events] == [
        ("u1", "1", 4.5, 1000.0),
        ("u2", "1", 3.0, 1001.0),
        ("u2", "2", 5.0, 1002.0),
    ]


def test_wikipedia_alone_has_no_interactions_and_unique_ids(data: Path, tmp_path: Path) -> None:
    report = recipes.cook("wikipedia", data, tmp_path / "out")
    assert list(items_of(tmp_path / "out")) == ["the-long-ride-1952", "night-bus-1999", "night-bus-1999-2"]
    assert not (tmp_path / "out" / "interactions.csv").exists()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["domain.toml", "items.jsonl"]
    assert report.lines() == ["3 films, 2 with a text (66.7%)"]


def test_the_published_array_is_read_too(data: Path, tmp_path: Path) -> None:
    folder = data / "wikipedia-movies"
    (folder / "movies.jsonl.xz").unlink()
    (folder / "movies.json").write_text(json.dumps(list(FILMS)), encoding="utf-8")
    assert recipes.cook("wikipedia", data, tmp_path / "out").items == 3


def test_movielens_needs_no_texts_when_told_so(data: Path, tmp_path: Path) -> None:
    (data / "wikipedia-movies" / "movies.jsonl.xz").unlink()
    with pytest.raises(DataFileError, match="wikipedia-movies"):
        recipes.cook("movielens-small", data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert recipes.cook("movielens-small", data, tmp_path / "out", texts=False).with_text == 0


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        ("A 1931 film directed by Alan James.", ("Alan James",)),
        (
            "It was written and directed by Chris Lofing and Travis Cluff. The film stars",
            ("Chris Lofing", "Travis Cluff"),
        ),
        ("a drama film directed and written by Pat Verducci and starring Alicia Silver", ("Pat Verducci",)),
        ("a film directed, written, and produced by Tom de la Cruz in 1950", ("Tom de la Cruz",)),
        ("Directed by nobody in particular.", ()),
        ("a film about a man who directed by day.", ()),
        ("", ()),
    ],
)
def test_directors_are_read_only_where_plain(lead: str, expected: tuple[str, ...]) -> None:
    assert recipes.directors(lead) == expected


def test_the_domain_file_reads_back_as_it_was() -> None:
    names = ["year", "genres", "directors", "cast", "tags"]
    domain = recipes.film_domain(names)
    assert {a.name for a in domain.attributes} == set(names)


def test_domain_toml_round_trip(tmp_path: Path) -> None:
    domain = recipes.film_domain(["year", "genres", "directors", "cast", "tags", "countries"])
    (tmp_path / "domain.toml").write_text(recipes.domain_toml(domain), encoding="utf-8")
    assert load_domain(tmp_path / "domain.toml") == domain


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "wikipedia-movies" / "movies.jsonl.xz").write_bytes(b"no xz"), "can't be read"),
        (lambda d: (d / "movielens" / "ml-latest-small" / "ratings.csv").unlink(), "no such file"),
        (lambda d: write_csv(d / "movielens" / "ml-latest-small" / "tags.csv", "a,b", [["1", "2"]]), "movieId and tag"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], message: str
) -> None:
    spoil(data)
    arguments = ["movielens-small", "--data", str(data), "--out", str(tmp_path / "out")]
    assert recipes.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_prints_coverage(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipes.main(["wikipedia", "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "3 films, 2 with a text (66.7%)\n"


def test_init_takes_what_a_recipe_writes(data: Path, tmp_path: Path, embedder) -> None:
    out = tmp_path / "out"
    recipes.cook("movielens-small", data, out)
    report = init_workspace(
        tmp_path / "workspace",
        out / "items.jsonl",
        interactions=out / "interactions.csv",
        domain=out / "domain.toml",
        embedder=embedder,
    )
    assert (report.items, report.interactions, report.unknown_items) == (3, 3, 0)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("VOUCH_DATA" not in os.environ, reason="VOUCH_DATA does not name the folder of public data sets")
@pytest.mark.parametrize(
    ("name", "items", "interactions", "rated_text"),
    [("movielens-small", 9_742, 100_836, 0.6), ("movielens-2023", 86_536, 206_585, 0.5), ("wikipedia", 36_273, 0, 0.0)],
)
def test_the_public_data(
    tmp_path: Path, name: recipes.RecipeName, items: int, interactions: int, rated_text: float
) -> None:
    report = recipes.cook(name, Path(os.environ["VOUCH_DATA"]), tmp_path)
    assert (report.items, report.interactions) == (items, interactions)
    assert report.rated_with_text >= rated_text * report.rated
    assert len(items_of(tmp_path)) == items
