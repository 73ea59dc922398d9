"""The catalogue check: what agrees, what differs, what an exception settles, and what no source has."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vouchrec.evals import catalogue_facts as facts
from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.types import Item

TEXT = (
    "A lighthouse keeper counts ships that never arrive, until a boy rows out of the fog with a sealed box and a list "
    "of names. By the time the lamp fails, each of them has begun to doubt the other and the sea."
)


def record(**changes: object) -> dict[str, object]:
    return {
        "id": "the-lamp-1990",
        "title": "The Lamp",
        "aliases": ["La Lampe"],
        "year": 1990,
        "genres": ["science fiction", "drama"],
        "directors": ["Ann Öberg"],
        "cast": ["Bo Li", "Cy Moss"],
        "countries": ["West Germany"],
        "languages": ["German"],
        "themes": ["the sea"],
        "moods": ["tense"],
        "runtime": 100,
        "description": TEXT,
        **changes,
    }


def catalogue(folder: Path, *records: Mapping[str, object]) -> Path:
    path = folder / "films.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def load(folder: Path, *records: Mapping[str, object]) -> list[Item]:
    return list(read_items(catalogue(folder, *records)))


def csv_text(row: Mapping[str, object]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row))
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue()


def streaming(data: Path, name: str = "netflix", **changes: str) -> None:
    row = {
        "type": "Movie",
        "title": "Lamp, The",
        "director": "Ann Oberg",
        "cast": "Li Bo, Dee Fox",
        "country": "Germany",
        "release_year": "1990",
        "duration": "103 min",
        "listed_in": "Dramas, Sci-Fi & Fantasy",
        "description": "Ships fail to come.",
        **changes,
    }
    (data / "streaming").mkdir(exist_ok=True)
    (data / "streaming" / f"{name}_titles.csv").write_text(csv_text(row), encoding="utf-8")


def found(report: facts.Report) -> set[tuple[str, str]]:
    return {(c.attribute, c.source) for c in report.disagreements}


def test_agreement_leaves_nothing_open(tmp_path: Path) -> None:
    streaming(tmp_path)
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert report.open == []
    assert report.matched == {"netflix": 1}
    assert {c.attribute for c in report.checks if c.agreed} == set(facts.ATTRIBUTES) - {"languages"}


def test_a_name_that_a_long_cast_list_lacks_is_a_note(tmp_path: Path) -> None:
    streaming(tmp_path)
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert [(c.ours, c.source) for c in report.notes] == [("Cy Moss", "netflix")]


@pytest.mark.parametrize(
    ("attribute", "changes"),
    [
        ("year", {"release_year": "1992"}),
        ("genres", {"listed_in": "Comedies"}),
        ("directors", {"director": "Jo Bell"}),
        ("cast", {"cast": "Dee Fox, Ed Rey"}),
        ("runtime", {"duration": "107 min"}),
        ("countries", {"country": "France"}),
    ],
)
def test_each_attribute_can_differ(tmp_path: Path, attribute: str, changes: dict[str, str]) -> None:
    streaming(tmp_path, **changes)
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert [c.attribute for c in report.open] == [attribute]


@pytest.mark.parametrize(
    "changes",
    [
        {"release_year": "1991"},
        {"release_year": "1989"},
        {"duration": "106 min"},
        {"listed_in": "Cult Movies"},
        {"director": "", "cast": "", "country": "", "duration": ""},
    ],
)
def test_small_gaps_and_silence_are_no_disagreement(tmp_path: Path, changes: dict[str, str]) -> None:
    streaming(tmp_path, **changes)
    assert facts.check_facts(load(tmp_path, record()), tmp_path).open == []


def test_a_far_year_matches_only_by_people(tmp_path: Path) -> None:
    items = load(tmp_path, record())
    streaming(tmp_path, release_year="2010")
    assert found(facts.check_facts(items, tmp_path)) == {("year", "netflix")}
    streaming(tmp_path, release_year="2010", director="Jo Bell")
    report = facts.check_facts(items, tmp_path)
    assert report.matched == {"netflix": 0}
    assert report.open == []


def test_unmatched_titles_are_not_checkable(tmp_path: Path) -> None:
    streaming(tmp_path, title="The Lamppost")
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert report.checks == ()
    assert "| year | 0 | 0 | 0 | 0 | 1 |" in facts.markdown(report)


def test_the_remake_that_agrees_is_taken(tmp_path: Path) -> None:
    (tmp_path / "movietweetings").mkdir()
    (tmp_path / "movietweetings" / "movies.dat").write_text(
        "1::The Lamp (1991)::Comedy\n2::The Lamp (1990)::Drama|Sci-Fi\n3::The Lamp (1990)::Drama|Short\n",
        encoding="utf-8",
    )
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert [(c.attribute, c.theirs) for c in report.checks] == [("year", "1990"), ("genres", "drama|science fiction")]


def test_an_exception_holds_until_our_value_changes(tmp_path: Path) -> None:
    streaming(tmp_path, duration="120 min")
    path = tmp_path / "exceptions.jsonl"
    entry = {"item": "the-lamp-1990", "attribute": "runtime", "ours": "100", "reason": "The source has a longer cut."}
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    exceptions = facts.read_exceptions(path)
    report = facts.check_facts(load(tmp_path, record()), tmp_path, exceptions)
    assert len(report.disagreements) == 1
    assert report.open == []
    assert "| runtime | 1 | 0 | 1 | 0 | 0 |" in facts.markdown(report)
    changed = facts.check_facts(load(tmp_path, record(runtime=90)), tmp_path, exceptions)
    assert [c.ours for c in changed.open] == ["90"]
    assert "Exceptions without a disagreement: 1." in facts.markdown(changed)


def test_an_exception_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.jsonl"
    path.write_text('{"item": "a", "attribute": "year", "ours": "1"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="needs a reason"):
        facts.read_exceptions(path)
    assert facts.read_exceptions(tmp_path / "absent.jsonl") == {}


def write_every_source(data: Path) -> None:
    for folder in ("wikipedia-movies", "redial", "movietweetings", "movielens/ml-latest-2023-sample", "tmdb/by-year"):
        (data / folder).mkdir(parents=True)
    names = "[{'id': 1, 'name': 'Drama'}]"
    full = {
        "title": "The Lamp",
        "original_title": "Die Lampe",
        "release_date": "1990-05-01",
        "genres": names,
        "runtime": "100.0",
        "production_countries": "[{'iso_3166_1': 'DE', 'name': 'Germany'}]",
        "original_language": "de",
        "spoken_languages": "[{'iso_639_1': 'de', 'name': 'Deutsch'}]",
        "overview": "No ships.",
    }
    lead = "The Lamp is a 1990 drama film directed by Ann Öberg."
    film = {"title": "The Lamp", "year": 1990, "cast": ["Bo Li", "(voice)"], "genres": ["Drama"], "extract": lead}
    with lzma.open(data / "wikipedia-movies/movies.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(film) + "\n")
    info = {
        "1": {"name": "The Lamp (1990)", "genre": ["drama"], "director": ["Ann Öberg"], "star": ["Bo Li"], "plot": ""}
    }
    with lzma.open(data / "redial/id2info.json.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(info))
    (data / "movietweetings/movies.dat").write_text("1::The Lamp (1990)::Drama\n", encoding="utf-8")
    table = pa.table({"movieId": [1], "title": ["Lampe, La (a.k.a. The Lamp) (1990)"], "genres": ["Drama|Sci-Fi"]})
    pq.write_table(table, data / "movielens/ml-latest-2023-sample/movies.parquet")
    with zipfile.ZipFile(data / "tmdb/tmdb_5000_movies.csv.zip", "w") as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/tmdb.csv", csv_text(full))
    short = {k: full[k] for k in ("title", "release_date", "original_language", "overview")} | {"genre": "Drama,Crime"}
    with lzma.open(data / "tmdb/top10K-TMDB-movies.csv.xz", "wt", encoding="utf-8") as file:
        file.write(csv_text(short))
    with gzip.open(data / "tmdb/by-year/final_tmdb_data_1990.0.csv.gz", "wt", encoding="utf-8") as file:
        file.write(csv_text(full))
    basics = {"primaryTitle": "The Lamp", "originalTitle": "Die Lampe", "startYear": "1990.0", "runtimeMinutes": "100"}
    with gzip.open(data / "tmdb/by-year/basics.csv.gz", "wt", encoding="utf-8") as file:
        file.write(csv_text({**basics, "genres": "Drama"}))
    streaming(data)


def test_every_source_is_read(tmp_path: Path) -> None:
    write_every_source(tmp_path)
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert report.open == []
    assert set(report.matched) == {
        "wikipedia-movies",
        "redial",
        "movietweetings",
        "movielens",
        "tmdb-5000",
        "tmdb-10k",
        "tmdb-by-year",
        "imdb-basics",
        "netflix",
    }
    assert set(report.matched.values()) == {1}
    assert {c.source for c in report.checks if c.attribute == "languages"} == {"tmdb-5000", "tmdb-10k", "tmdb-by-year"}
    assert {c.source for c in report.checks if c.attribute == "directors"} == {"wikipedia-movies", "redial", "netflix"}


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of the sources"):
        facts.check_facts([], tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Andrei Tarkovsky", "Andrey Tarkovskiy", True),
        ("Tony Leung Chiu-wai", "Tony Chiu-Wai Leung", True),
        ("Robert Downey Jr.", "Robert Downey", True),
        ("Samuel L. Jackson", "Samuel Jackson", True),
        ("F.W. Murnau", "F. W. Murnau", True),
        ("Jean Reno", "Jean Renoir", False),
        ("Dean Martin", "Jean Martin", False),
    ],
)
def test_same_person(one: str, other: str, same: bool) -> None:
    assert facts.same_person(one, other) is same
    assert facts.same_person(other, one) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [("The Godfather", "Godfather, The"), ("Amélie", "amelie"), ("Thelma & Louise", "Thelma and Louise"), ("M", "M!")],
)
def test_title_keys_fold(one: str, other: str) -> None:
    assert facts.title_key(one) == facts.title_key(other)


def self_checks(folder: Path, *records: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(c.attribute, c.ours) for c in facts.check_catalogue(load(folder, *records))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"id": "the-lamp-1991"}, [("id", "the-lamp-1991")]),
        ({"id": "The Lamp 1990"}, [("id", "The Lamp 1990")]),
        ({"genres": ["drama", "space"]}, [("vocabulary", "space")]),
        ({"moods": ["odd"]}, [("vocabulary", "odd")]),
        ({"description": "Too short."}, [("length", "2")]),
        ({"description": f"{TEXT} An unforgettable night."}, [("praise", "unforgettable")]),
        ({"description": f"{TEXT} It stars cy moss."}, [("person in text", "cy moss")]),
        ({"description": f"{TEXT} So says Moss."}, [("person in text", "Moss")]),
        ({"description": f"{TEXT} So says Moss.", "genres": ["documentary"]}, []),
    ],
)
def test_records_are_checked_by_themselves(
    tmp_path: Path, changes: dict[str, object], expected: Sequence[tuple[str, str]]
) -> None:
    assert self_checks(tmp_path, record(**changes)) == expected


def test_repeated_ids_are_found() -> None:
    twice = Item("a-2001", "A", TEXT, {"year": 2001})
    checks = facts.check_catalogue([twice, Item("a-2001", "B", TEXT, {"year": 2001})])
    assert [(c.attribute, c.theirs) for c in checks] == [("id", "stands twice")]


def test_the_same_film_twice_is_found(tmp_path: Path) -> None:
    again = record(id="la-lampe-1991", title="La Lampe", year=1991)
    assert self_checks(tmp_path, record(), again) == [("same film", "The Lamp")]
    remake = record(id="la-lampe-1991", title="La Lampe", year=1991, directors=["Jo Bell"])
    assert self_checks(tmp_path, record(), remake) == []


def test_two_spellings_of_a_name_are_found(tmp_path: Path) -> None:
    other = record(id="boats-2001", title="Boats", aliases=[], year=2001, directors=["Ann Oberg"])
    assert self_checks(tmp_path, record(), other) == [("spelling", "Ann Oberg")]


def test_eight_shared_words_are_a_copy(tmp_path: Path) -> None:
    eight, seven = TEXT.split()[:8], TEXT.split()[:7]
    streaming(tmp_path, title="Elsewhere", description=f"Here a {' '.join(eight)}!".upper())
    report = facts.check_facts(load(tmp_path, record()), tmp_path)
    assert [(c.attribute, c.ours) for c in report.open] == [("copied text", " ".join(facts.words(" ".join(eight))))]
    streaming(tmp_path, title="Elsewhere", description=" ".join(seven))
    assert facts.check_facts(load(tmp_path, record()), tmp_path).open == []


def test_the_command_writes_a_table_and_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streaming(tmp_path, duration="120 min")
    out = tmp_path / "out.jsonl"
    absent = str(tmp_path / "absent.jsonl")
    arguments = ["--data", str(tmp_path), "--items", str(catalogue(tmp_path, record())), "--exceptions", absent]
    assert facts.main([*arguments, "--disagreements", str(out)]) == 1
    text = capsys.readouterr().out
    assert "| runtime | 1 | 0 | 0 | 1 | 0 |" in text
    assert "the-lamp-1990: runtime '100', netflix has '120'" in text
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [r["attribute"] for r in rows] == ["runtime", "cast member"]
    streaming(tmp_path)
    assert facts.main(arguments) == 0
    assert facts.main(["--data", absent]) == 2


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("VOUCH_DATA" not in os.environ, reason="VOUCH_DATA does not name the folder of public data sets")
def test_the_shipped_catalogue_has_no_open_disagreement() -> None:
    items = list(read_items(facts.BUILTIN_ITEMS))
    report = facts.check_facts(items, Path(os.environ["VOUCH_DATA"]), facts.read_exceptions(facts.EXCEPTIONS))
    assert report.open == []
    assert len(report.checks) > 10_000
