"""Reading data files: what is wrong is said with the file, the row and the field."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import clean_text, read_rows

FILMS = Domain(
    attributes=(
        Attribute("year", kind="number"),
        Attribute("genres"),
        Attribute("released", kind="date"),
        Attribute("studio", kind="text"),
    )
)

MANY_LINES = "".join(f'{{"id": {n}, "title": "A"}}\n' for n in range(1, 2_001)).encode()


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, domain: Domain | None = None) -> DataFileError:
    with pytest.raises(DataFileError) as caught:
        list(read_items(path, domain))
    assert str(caught.value).startswith(str(path))
    assert caught.value.path == path
    return caught.value


# ---- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,title\n1,"Alien, again"\n'),
        ("a.CSV", '\ufeffid , title\r\n1,"Alien, again"\r\n'),
        ("a.csv", '\n\nid,title\n\n1,"Alien, again"\n\n'),
        ("a.tsv", "id\ttitle\n1\tAlien, again\n"),
        ("a.jsonl", '{"id": 1, "title": "Alien, again"}\n\n'),
        ("a.ndjson", '\ufeff{"id": 1.0, "title": "Alien, again"}'),
    ],
)
def test_every_format_gives_the_same_item(tmp_path: Path, name: str, content: str):
    (item,) = read_items(write(tmp_path, name, content))
    assert (item.id, item.title) == ("1", "Alien, again")


def test_parquet_keeps_lists_numbers_and_ids_with_gaps(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"id": [7.0, 8.0], "title": ["A", "B"], "genres": [["x", "y"], None], "year": [1979, None]}), path
    )
    first, second = read_items(path, FILMS)
    assert (first.id, dict(first.attributes)) == ("7", {"genres": ("x", "y"), "year": 1979})
    assert dict(second.attributes) == {}


def test_rows_are_numbered_by_the_line_on_which_they_begin(tmp_path: Path):
    path = write(tmp_path, "a.csv", 'id,title,description\n1,A,"two\nlines"\n\n2,B,x\n')
    assert [number for number, _ in read_rows(path)] == [2, 5]
    path = write(tmp_path, "a.jsonl", '\n{"id": 1}\n\n{"id": 2}\n')
    assert [number for number, _ in read_rows(path)] == [2, 4]


def test_text_is_cleaned_and_composed(tmp_path: Path):
    path = write(
        tmp_path, "a.jsonl", '{"id": "  a\\nb ", "title": "Ame\\u0301lie\\u0000 \\ud800", "description": "two\\nlines"}'
    )
    (item,) = read_items(path)
    assert (item.id, item.title, item.description) == ("a b", "Amélie", "two\nlines")


@given(st.text())
def test_clean_text_is_stable_and_storable(text: str):
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert "\0" not in cleaned
    cleaned.encode("utf-8")


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_a_file_that_is_absent(tmp_path: Path):
    assert "no such file" in str(refusal(tmp_path / "absent.csv"))


def test_a_folder(tmp_path: Path):
    (tmp_path / "a.csv").mkdir()
    assert "no such file" in str(refusal(tmp_path / "a.csv"))


def test_another_format(tmp_path: Path):
    error = refusal(write(tmp_path, "a.xlsx", "x"))
    assert "format '.xlsx' is not read" in str(error)
    assert ".parquet" in error.hint


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file(tmp_path: Path, name: str, content: str):
    assert refusal(write(tmp_path, name, content.replace(" ", ""))).args[0].endswith("no rows")


def test_a_header_alone_and_an_empty_table(tmp_path: Path):
    assert "no rows" in str(refusal(write(tmp_path, "a.csv", "id,title\n")))
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert "no rows" in str(refusal(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("name", "content", "row", "byte"),
    [
        ("a.csv", b"id,title\n1,Alien\n2," + b"Am\xe9lie\n", 3, 5),
        ("a.jsonl", MANY_LINES + b'{"id": 0, "title": "Am\xe9lie"}\n', 2_001, 23),
        ("a.csv", "id,title\n1,Alien\n".encode("utf-16"), 1, 1),
    ],
)
def test_text_that_is_not_utf_8(tmp_path: Path, name: str, content: bytes, row: int, byte: int):
    error = refusal(write(tmp_path, name, content))
    assert error.row == row
    assert f"not UTF-8 text (byte {byte} of the line)" in str(error)
    assert "iconv" in error.hint


@pytest.mark.parametrize(
    ("content", "row", "said"),
    [
        ('id,title\n1,"Alien\n2,Big\n', 2, "malformed CSV: unexpected end of data"),
        ('id,title\n1,"Al"ien\n', 2, "malformed CSV"),
        ("id,title\n1,Alien\n2\n", 3, "1 columns, expected 2 as in the header"),
        ('id,title\n1,"A\nB"\n2,Big,1988\n', 4, "3 columns, expected 2 as in the header"),
        ("id,title\n1," + "x" * 1_000_001 + "\n", 2, "field larger than field limit"),
    ],
)
def test_malformed_csv(tmp_path: Path, content: str, row: int, said: str):
    error = refusal(write(tmp_path, "a.csv", content))
    assert said in str(error)
    assert error.row == row


def test_a_column_that_stands_twice(tmp_path: Path):
    error = refusal(write(tmp_path, "a.csv", "id,title,title\n1,A,B\n"))
    assert (error.row, error.field) == (1, "title")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 2, "title": ', "not JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('"text"', "expected a JSON object"),
        ("[" * 200_000, "not JSON"),
        ('{"id": ' + "9" * 5_000 + "}", "not JSON"),
    ],
)
def test_malformed_jsonl(tmp_path: Path, line: str, said: str):
    error = refusal(write(tmp_path, "a.jsonl", '{"id": 1, "title": "A"}\n\n' + line + "\n"))
    assert said in str(error)
    assert error.row == 3


@pytest.mark.parametrize("content", [b"PAR1 this is none PAR1", b"id,title\n1,A\n"])
def test_a_file_that_is_no_parquet(tmp_path: Path, content: bytes):
    assert "not a readable Parquet file" in str(refusal(write(tmp_path, "a.parquet", content)))


def test_parquet_cut_short(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(1_000)], "title": ["A"] * 1_000}), path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "not a readable Parquet file" in str(refusal(path))


def test_parquet_with_bytes_for_text(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1", "2"], "title": [b"A", b"B"]}), path)
    error = refusal(path)
    assert (error.row, error.field) == (1, "title")
    assert "expected text, found b'A'" in str(error)


def test_a_repeated_id_names_both_rows(tmp_path: Path):
    error = refusal(write(tmp_path, "a.csv", "id,title\n1,A\n2,B\n 1 ,C\n"))
    assert (error.row, error.field) == (4, "id")
    assert "id '1' stands in row 2 too" in str(error)


@pytest.mark.parametrize(
    ("content", "row", "field", "said"),
    [
        ("name,title\n1,A\n", 2, "id", "column is missing Columns found: name, title."),
        ("id;title\n1;A\n", 2, "id", "column is missing Columns found: id;title."),
        ("id,name\n1,A\n", 2, "title", "column is missing"),
        ("id,title\n1,A\n ,B\n", 3, "id", "is empty"),
        ("id,title\n1,A\n2,\n", 3, "title", "is empty"),
        (f"id,title\n{'x' * 501},A\n", 2, "id", "501 characters; at most 500"),
        (f"id,title\n1,{'x' * 1_001}\n", 2, "title", "1001 characters; at most 1000"),
        (f"id,title,description\n1,A,{'x' * 20_001}\n", 2, "description", "20001 characters; at most 20000"),
        ("id,title,\n1,A,x\n", 2, "", "this column has no usable name"),
        ("id,title,2nd\n1,A,x\n", 2, "2nd", "this column has no usable name"),
        ("id,title,Main Genre,main_genre\n1,A,x,y\n", 2, "main_genre", "two columns stand for 'main_genre'"),
    ],
)
def test_wrong_columns_and_missing_cells(tmp_path: Path, content: str, row: int, field: str, said: str):
    error = refusal(write(tmp_path, "a.csv", content))
    assert said in str(error)
    assert (error.row, error.field) == (row, field)


@pytest.mark.parametrize(
    ("cell", "field", "said"),
    [
        ('"year": "late"', "year", "expected a number, found 'late'"),
        ('"year": true', "year", "expected a number, found True"),
        ('"year": Infinity', "year", "expected a number, found inf"),
        ('"year": [1979]', "year", "expected a number, found [1979]"),
        ('"released": "31.5.1979"', "released", "expected a date like 2024-05-31, found '31.5.1979'"),
        ('"released": "1979-05-311"', "released", "expected a date"),
        ('"released": 1979', "released", "expected a date"),
        ('"genres": 7', "genres", "expected a list, found 7"),
        ('"genres": {"a": 1}', "genres", "expected a list, found {'a': 1}"),
        ('"genres": ["a", ["b"]]', "genres", "expected text, found ['b']"),
        ('"studio": ["a"]', "studio", "expected text, found ['a']"),
        ('"title": {"en": "A"}', "title", "expected text, found {'en': 'A'}"),
        ('"aliases": 7', "aliases", "expected a list, found 7"),
    ],
)
def test_values_of_the_wrong_kind(tmp_path: Path, cell: str, field: str, said: str):
    good = '{"id": 1, "title": "A", "year": 1979, "genres": ["a"], "released": "1979-05-31"}\n'
    error = refusal(write(tmp_path, "a.jsonl", good + '{"id": 2, "title": "B", ' + cell + "}\n"), FILMS)
    assert said in str(error)
    assert (error.row, error.field) == (2, field)
