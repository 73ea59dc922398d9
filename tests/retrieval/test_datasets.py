"""Readers of public rating files, and the match of titles to a catalogue."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vouchrec.retrieval import datasets
from vouchrec.retrieval.datasets import RatingSet, map_items, map_likes, parse_title, title_key
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.types import Interaction, Item


def film(key: str, title: str, year: int | None = None, *aliases: str, imdb: str = "") -> Item:
    attributes = {**({"year": year} if year else {}), **({"imdb": imdb} if imdb else {})}
    return Item(key, title, attributes=attributes, aliases=aliases)


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def dialogue(key: str, texts: list[str], liked: dict[str, int] | None = None) -> dict[str, object]:
    return {
        "conversationId": key,
        "movieMentions": {film: f"Film {film} (2001)" for film in liked or {}},
        "initiatorQuestions": {
            film: {"suggested": 0, "seen": 1, "liked": flag} for film, flag in (liked or {}).items()
        },
        "respondentQuestions": {"99": {"suggested": 0, "seen": 1, "liked": 1}},
        "messages": [{"text": text, "senderWorkerId": 1} for text in texts],
    }


# ---- MovieTweetings ---------------------------------------------------------------------------------------------


@pytest.fixture
def tweetings(tmp_path: Path) -> Path:
    (tmp_path / "movies.dat").write_text(
        "0111161::The Shawshank Redemption (1994)::Crime|Drama\n0211915::Le fabuleux destin (2001)::\n",
        encoding="utf-8",
    )
    (tmp_path / "ratings.dat").write_text("1::0111161::10::1363000000\n2::0211915::6::1363000001\n", encoding="utf-8")
    return tmp_path


def test_movietweetings(tweetings: Path):
    ratings = datasets.read_movietweetings(tweetings)
    assert ratings.shippable
    assert ratings.items[0] == Item(
        "0111161",
        "The Shawshank Redemption",
        attributes={"year": 1994, "genres": ("Crime", "Drama"), "imdb": "tt0111161"},
    )
    assert ratings.interactions == (
        Interaction("1", "0111161", 10.0, 1363000000.0),
        Interaction("2", "0211915", 6.0, 1363000001.0),
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ratings.dat", "1::2::3::4\n1::2::3\n", r"ratings\.dat, row 2: expected 4 fields separated by '::', found 3"),
        ("ratings.dat", "1::2::good::4\n", r"row 1, field 'rating': expected a number, found 'good'"),
        ("ratings.dat", "1::2::3::noon\n", r"row 1, field 'time': expected a number"),
        ("movies.dat", "0111161::Title (1994)\n", r"movies\.dat, row 1: expected 3 fields"),
    ],
)
def test_movietweetings_says_where_it_is_wrong(tweetings: Path, name: str, text: str, message: str):
    (tweetings / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError, match=message):
        datasets.read_movietweetings(tweetings)


def test_movietweetings_absent_or_not_utf8(tweetings: Path, tmp_path: Path):
    (tweetings / "movies.dat").write_bytes(b"1::Caf\xe9 (1999)::\n")
    with pytest.raises(DataFileError, match="not UTF-8"):
        datasets.read_movietweetings(tweetings)
    (tweetings / "movies.dat").unlink()
    with pytest.raises(DataFileError, match=r"movies\.dat: no such file"):
        datasets.read_movietweetings(tmp_path)


# ---- MovieLens --------------------------------------------------------------------------------------------------


def test_movielens_csv(tmp_path: Path):
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n7,"Matrix, The (1999)",Action|Sci-Fi\n8,Odd,(no genres listed)\n'
    )
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n7,0133093,603\n8,,\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,7,4.5,964982703\n")
    ratings = datasets.read_movielens(tmp_path)
    assert not ratings.shippable
    assert ratings.items == (
        Item("7", "The Matrix", attributes={"year": 1999, "genres": ("Action", "Sci-Fi"), "imdb": "tt0133093"}),
        Item("8", "Odd"),
    )
    assert ratings.interactions == (Interaction("1", "7", 4.5, 964982703.0),)


def test_movielens_parquet_without_links(tmp_path: Path):
    movies = {"movieId": [7], "title": ["Matrix, The (1999)"], "genres": ["Action"]}
    pq.write_table(pa.table(movies), tmp_path / "movies.parquet")
    ratings = {"userId": [1], "movieId": [7], "rating": [4.0], "timestamp": [1225734739]}
    pq.write_table(pa.table(ratings), tmp_path / "ratings.parquet")
    found = datasets.read_movielens(tmp_path)
    assert found.items == (Item("7", "The Matrix", attributes={"year": 1999, "genres": ("Action",)}),)
    assert found.interactions == (Interaction("1", "7", 4.0, 1225734739.0),)


def test_movielens_says_where_it_is_wrong(tmp_path: Path):
    with pytest.raises(DataFileError, match=r"movies\.csv: no such file"):
        datasets.read_movielens(tmp_path)
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n7,Title (1999),\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,7,4.5,1\n1,,4.5,1\n")
    with pytest.raises(DataFileError, match=r"ratings\.csv, row 3, field 'movieId': is missing or empty"):
        datasets.read_movielens(tmp_path)


# ---- ReDial -----------------------------------------------------------------------------------------------------

LONG = "I would love something with submarines, penguins and a very long winter"


def redial(folder: Path, train: list[dict[str, object]], test: list[dict[str, object]]) -> RatingSet:
    write_lines(folder / "train.jsonl.xz", train)
    write_lines(folder / "test.jsonl.xz", test)
    return datasets.read_redial_likes(folder)


def test_redial_takes_the_seekers_likes_in_order_of_mention(tmp_path: Path):
    texts = ["Is @30 good? I liked @12", "and @12 and @5", "not @8"]
    found = redial(
        tmp_path, [dialogue("1", texts, {"5": 1, "8": 0, "12": 1, "30": 1, "40": 2})], [dialogue("t", ["x"])]
    )
    assert [event.item for event in found.interactions] == ["30", "12", "5"]
    assert {event.user for event in found.interactions} == {"1"}
    assert found.shippable


def test_redial_leaves_test_dialogues_out(tmp_path: Path):
    test = [dialogue("7", ["Hi", LONG]), dialogue("8", ["Hello", "yes", "no"])]
    train = [
        dialogue("7", ["quite another text"], {"1": 1}),  # a test dialogue by id
        dialogue("90", ["HELLO ", "yes!", "no"], {"2": 1}),  # by its whole text
        dialogue("91", ["HELLO yes", "no"], {"2": 1}),  # and with merged messages
        dialogue("92", ["Good day", LONG.upper()], {"3": 1}),  # by a long message
        dialogue("93", ["Hello", "yes", "maybe"], {"4": 1}),  # only shares what everyone says
    ]
    assert [event.user for event in redial(tmp_path, train, test).interactions] == ["93"]


def test_redial_adds_titles_and_ids(tmp_path: Path):
    with lzma.open(tmp_path / "id2info.json.xz", "wt", encoding="utf-8") as file:
        json.dump({"5": {"name": "Film the Fifth (2001)", "imdb_id": "tt0000005"}, "6": {"name": "Six (1990)"}}, file)
    found = redial(tmp_path, [dialogue("1", ["@5"], {"5": 1})], [dialogue("t", ["x"])])
    assert found.items == (
        Item("5", "Film 5", attributes={"year": 2001, "imdb": "tt0000005"}, aliases=("Film the Fifth",)),
        Item("6", "Six", attributes={"year": 1990}),
    )


def test_redial_without_answers_or_titles(tmp_path: Path):
    odd: dict[str, object] = {**dialogue("1", ["x"]), "initiatorQuestions": [], "movieMentions": {"3": None}}
    found = redial(tmp_path, [odd], [dialogue("t", ["y"])])
    assert (found.items, found.interactions) == ((), ())


def test_redial_is_not_read_without_its_test_file(tmp_path: Path):
    write_lines(tmp_path / "train.jsonl.xz", [dialogue("1", ["x"], {"5": 1})])
    with pytest.raises(DataFileError, match=r"test\.jsonl\.xz: no such file"):
        datasets.read_redial_likes(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not xz", "can't be read"), (lzma.compress(b'{"a": 1}\n[]\n'), "row 2: expected a JSON object")],
)
def test_redial_says_where_it_is_wrong(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "test.jsonl.xz").write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        datasets.read_redial_likes(tmp_path)


# ---- titles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It  (2017)", ("It", (), 2017)),
        ("Usual Suspects, The (1995)", ("The Usual Suspects", (), 1995)),
        ("Seven (a.k.a. Se7en) (1995)", ("Seven", ("Se7en",), 1995)),
        ("City of Lost Children, The (Cité, La) (1995)", ("The City of Lost Children", ("La Cité",), 1995)),
        ("Avventura, L' (1960)", ("L'Avventura", (), 1960)),
        ("(500) Days of Summer (2009)", ("(500) Days of Summer", (), 2009)),
        ("Why Him%3F (2016)", ("Why Him?", (), 2016)),
        ("2001: A Space Odyssey (1968)", ("2001: A Space Odyssey", (), 1968)),
        ("Zootopia", ("Zootopia", (), None)),
    ],
)
def test_parse_title(text: str, expected: tuple[str, tuple[str, ...], int | None]):
    assert parse_title(text) == expected


def test_title_key():
    assert title_key("The Lion, the Witch & the Wardrobe") == title_key("lion the witch and the wardrobe")
    assert title_key("Amélie") == "amelie"
    assert title_key("WALL·E") == title_key("Wall-E")
    assert title_key("A") == "a"


CATALOGUE = [
    film("amour", "Amour", 2012, "Love"),
    film("purge", "The Purge", 2013),
    film("split", "Split", 2016),
    film("beauty91", "Beauty and the Beast", 1991),
    film("beauty17", "Beauty and the Beast", 2017),
    film("jumanji", "Jumanji: Welcome to the Jungle", 2017),
    film("jumanji95", "Jumanji", 1995),
    film("war1", "Star Wars: The Clone Wars", 2008),
    film("ribbon", "The White Ribbon", 2009, "Das weiße Band"),
]


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        (film("x", "AMOUR", 2012), "amour"),
        (film("x", "Split", 2017), "split"),
        (film("x", "Split", 2018), None),
        (film("x", "Love", 2012), "amour"),
        (film("x", "Love", 2011), None),  # an alias and another year
        (film("x", "Purge", 2013), "purge"),
        (film("x", "Purge", 2012), None),  # without its article and another year
        (film("x", "Beauty and the Beast", 1991), "beauty91"),
        (film("x", "Beauty and the Beast", 1992), "beauty91"),
        (film("x", "Beauty and the Beast"), None),  # two have the title
        (film("x", "Split"), "split"),
        (film("x", "Jumanji", 2017), "jumanji"),  # without its subtitle
        (film("x", "Jumanji", 1995), "jumanji95"),
        (film("x", "Jumanji", 2018), None),
        (film("x", "Star Wars: Rebels", 2008), None),  # only the part before the colon is the same
        (film("x", "Das weiße Band - Eine deutsche Kindergeschichte", 2009), "ribbon"),
        (film("x", "Unknown", 2012, "Amour"), "amour"),
    ],
)
def test_map_items(public: Item, expected: str | None):
    assert map_items([public], CATALOGUE).get("x") == expected


def test_a_neighbouring_year_gives_way_to_the_right_one():
    assert map_items([film("a", "Split", 2016), film("b", "Split", 2017)], CATALOGUE) == {"a": "split"}


def test_titles_are_pooled_by_imdb_id():
    first = RatingSet("a", "", True, 1, (film("1", "Amélie", imdb="tt1"),), ())
    second = RatingSet("b", "", True, 1, (film("2", "Le fabuleux destin", 2001, imdb="tt1"), film("3", "No id")), ())
    pooled = datasets.pool_titles(first, second)
    assert pooled[0].items[0].aliases == ("Le fabuleux destin",)
    assert pooled[0].items[0].number("year") == 2001
    assert pooled[1].items[0].aliases == ("Amélie",)
    assert pooled[1].items[1] == film("3", "No id")


def test_map_likes_counts_and_keeps_the_latest():
    events = (
        Interaction("u", "1", 9.0, 20.0),
        Interaction("u", "1b", 2.0, 10.0),  # the same film under another id, earlier
        Interaction("u", "2", 6.0, 30.0),  # not a like
        Interaction("v", "3", 9.0, 40.0),  # not in the catalogue
    )
    public = (film("1", "Split", 2016), film("1b", "Split", 2016), film("2", "Amour", 2012), film("3", "Other", 2012))
    mapped = map_likes(RatingSet("set", "MIT", True, 7.0, public, events), CATALOGUE)
    assert mapped.likes == (Interaction("set:u", "split", 1.0, 20.0),)
    assert (mapped.events, mapped.events_mapped, mapped.events_liked) == (4, 3, 2)
    assert (mapped.items, mapped.items_mapped, mapped.users) == (4, 2, 1)


def test_a_like_taken_back_does_not_count():
    events = (Interaction("u", "1", 9.0, 10.0), Interaction("u", "1", 3.0, 20.0))
    public = (film("1", "Split", 2016),)
    assert map_likes(RatingSet("set", "MIT", True, 7.0, public, events), CATALOGUE).likes == ()
