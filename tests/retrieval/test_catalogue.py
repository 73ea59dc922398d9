"""Items and their filters: reading by a domain, folding, postings, masks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.retrieval.catalogue import Catalogue, fold, item_hash, item_text, parse_item, read_items, value_range
from vouchrec.retrieval.domain import Attribute, Domain, load_domain
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.types import AttributeValue, Constraint, Item, Op

DATA = Path(__file__).parents[1] / "data"
DOMAIN = Domain(
    attributes=(
        Attribute("genres"),
        Attribute("year", kind="number"),
        Attribute("released", kind="date"),
        Attribute("studio", kind="text"),
        Attribute("plot", kind="text", filterable=False),
    )
)
ITEMS = (
    Item("a", "Alien", attributes={"genres": ("Horror", "Science Fiction"), "year": 1979, "released": "1979-05-25"}),
    Item("b", "Big", attributes={"genres": ("comedy",), "year": 1988, "released": "1988-06-03", "studio": "Fox"}),
    Item("c", "Cléo", attributes={"genres": ("drama",), "year": 1962.5, "plot": "long"}),
    Item("d", "Nothing known"),
)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(ITEMS, DOMAIN)


def allowed(catalogue: Catalogue, attribute: str, op: Op, value: AttributeValue) -> str:
    mask = catalogue.mask([Constraint(attribute, op, value)])
    return "".join(item.id for item, ok in zip(catalogue.items, mask, strict=True) if ok)


# ---- reading ------------------------------------------------------------------------------------------------------


def test_the_test_catalogue_reads():
    items = list(read_items(DATA / "films.jsonl", load_domain(DATA / "films.toml")))
    assert len(items) == 40
    heats = [item for item in items if item.title == "Heat"]
    assert sorted(item.number("year") or 0 for item in heats) == [1986, 1995]


def test_csv_by_a_domain(tmp_path: Path):
    path = tmp_path / "items.csv"
    path.write_text(
        "ID,Title,Aliases,Genres,Year,Released,Studio,unheard of\n"
        "1, Alien ,Al|Alien 1,horror | horror|sf,1979.0,1979-05-25T20:00:00,0042,x\n"
        "2,Big,,,,,,\n"
    )
    alien, big = read_items(path, DOMAIN)
    expected = {"genres": ("horror", "sf"), "year": 1979, "released": "1979-05-25", "studio": "0042"}
    assert alien == Item("1", "Alien", "", expected, ("Al", "Alien 1"))
    assert isinstance(alien.attributes["year"], int)
    assert big == Item("2", "Big")


def test_without_a_domain_values_keep_the_kind_they_have():
    row = {
        "id": 1,
        "title": "A",
        "n": 2,
        "x": 2.5,
        "tags": ["a", "b"],
        "pair": "a|b",
        "word": "a",
        "day": dt.date(2020, 1, 2),
        "no": None,
    }
    assert dict(parse_item(row).attributes) == {
        "n": 2,
        "x": 2.5,
        "tags": ("a", "b"),
        "pair": ("a", "b"),
        "word": "a",
        "day": "2020-01-02",
    }


def test_parse_item_names_the_place():
    with pytest.raises(DataFileError, match=r"^items\[3\], field 'year': expected a number, found 'x'$"):
        parse_item({"id": "1", "title": "A", "year": "x"}, DOMAIN, where="items[3]")


def test_the_hash_changes_with_any_field_and_not_with_order():
    item = Item("a", "A", "text", {"x": 1, "y": ("p", "q")}, ("B",))
    changed = [
        Item("b", "A", "text", item.attributes, ("B",)),
        Item("a", "B", "text", item.attributes, ("B",)),
        Item("a", "A", "texts", item.attributes, ("B",)),
        Item("a", "A", "text", {"x": 2, "y": ("p", "q")}, ("B",)),
        Item("a", "A", "text", {"x": 1, "y": ("q", "p")}, ("B",)),
        Item("a", "A", "text", item.attributes),
    ]
    assert len({item_hash(i) for i in [item, *changed]}) == 7
    assert item_hash(Item("a", "A", "text", {"y": ("p", "q"), "x": 1}, ("B",))) == item_hash(item)


def test_the_text_of_an_item_has_all_of_it():
    assert item_text(Item("a", "A", "Words.", {"x": 1, "y": ("p", "q")}, ("B",))) == "A. B. Words.. x: 1. y: p, q"


# ---- folding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amélie", "AMELIE"),
        ("Amélie", "Ame\u0301lie"),
        ("Straße", "STRASSE"),
        ("  a \t b ", "A B"),
        ("℡", "tel"),
        ("İstanbul", "istanbul"),
    ],
)
def test_fold_ignores_case_accents_and_space(one: str, other: str):
    assert fold(one) == fold(other)


def test_fold_keeps_what_differs():
    assert len({fold(t) for t in ["Alien", "Aliens", "千と千尋", "Сталкер", "기생충", "7", "!"]}) == 7


@given(st.text())
def test_fold_is_idempotent(text: str):
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_way_for_plain_text_agrees(text: str):
    assert fold(text) == fold(text + "\u0301")


# ---- filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "op", "value", "ids"),
    [
        ("genres", "is", "HORROR", "a"),
        ("genres", "is", "science fiction", "a"),
        ("genres", "is", "fiction", ""),
        ("genres", "is_not", "horror", "bcd"),
        ("genres", "any_of", ("horror", "Cömedy"), "ab"),
        ("genres", "none_of", ("horror", "comedy"), "cd"),
        ("genres", "any_of", (), ""),
        ("genres", "none_of", (), "abcd"),
        ("genres", "min", "horror", ""),
        ("year", "min", 1979, "ab"),
        ("year", "max", 1979, "ac"),
        ("year", "min", "1980", "b"),
        ("year", "is", 1979, "a"),
        ("year", "is", 1979.0, "a"),
        ("year", "is", "1979", "a"),
        ("year", "is_not", 1979, "bcd"),
        ("year", "any_of", ("1979", "1962.5"), "ac"),
        ("year", "none_of", ("1979",), "bcd"),
        ("year", "min", "soon", ""),
        ("released", "min", "1979-05-25", "ab"),
        ("released", "max", "1979-05-24", ""),
        ("released", "min", 1980, "b"),
        ("released", "max", 1979, "a"),
        ("released", "max", "1979", "a"),
        ("released", "is", "1979-05", "a"),
        ("released", "is", 1988.0, "b"),
        ("released", "is_not", "1988", "acd"),
        ("released", "max", "9999-12", "ab"),
        ("studio", "is", "fox", "b"),
        ("unheard_of", "is", "x", ""),
        ("unheard_of", "is_not", "x", "abcd"),
        ("unheard_of", "max", 3, ""),
    ],
)
def test_masks(catalogue: Catalogue, attribute: str, op: Op, value: AttributeValue, ids: str):
    assert allowed(catalogue, attribute, op, value) == ids


def test_several_constraints_must_all_hold(catalogue: Catalogue):
    mask = catalogue.mask(
        [Constraint("year", "min", 1960), Constraint("year", "max", 1980), Constraint("genres", "is", "drama")]
    )
    assert mask.tolist() == [False, False, True, False]
    assert catalogue.mask([]).all()


VALUES = st.one_of(
    st.sampled_from(["horror", "Comedy", "drama", "none", "1979", "1988-06-03", "1979-05", "Fox", ""]),
    st.integers(1900, 2030),
    st.floats(allow_nan=True, allow_infinity=True),
    st.lists(st.sampled_from(["horror", "comedy", "1979", "1988-06-03"]), max_size=3).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(
    attribute=st.sampled_from(["genres", "year", "released", "studio", "other"]),
    op=st.sampled_from(["is", "is_not", "any_of", "none_of", "min", "max"]),
    value=VALUES,
)
def test_one_item_and_all_items_are_judged_alike(attribute: str, op: Op, value: AttributeValue):
    catalogue = Catalogue(ITEMS, DOMAIN)
    constraint = Constraint(attribute, op, value)
    assert catalogue.mask([constraint]).tolist() == [catalogue.satisfied(constraint, row) for row in range(len(ITEMS))]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, "number", (3, 3)),
        ("2.5", "number", (2.5, 2.5)),
        ("x", "number", None),
        (float("nan"), "number", None),
        (10**400, "number", None),
        (10**400, "date", None),
        ("x", "date", None),
        (("1",), "number", None),
        ("2024-02", "date", (dt.date(2024, 2, 1).toordinal(), dt.date(2024, 2, 29).toordinal())),
    ],
)
def test_value_range(value: AttributeValue, kind: str, expected: object):
    assert value_range(value, kind) == expected  # type: ignore[arg-type]


# ---- adding and changing ------------------------------------------------------------------------------------------


def test_a_new_item_takes_the_next_row_and_is_filtered_at_once(catalogue: Catalogue):
    catalogue.numbers("year")
    assert catalogue.put(Item("e", "E", attributes={"genres": ("horror",), "year": 2001})) == 4
    assert (catalogue.row("e"), len(catalogue), "e" in catalogue) == (4, 5, True)
    assert allowed(catalogue, "genres", "is", "horror") == "ae"
    assert allowed(catalogue, "year", "min", 2000) == "e"


def test_a_changed_item_keeps_its_row_and_loses_its_old_values(catalogue: Catalogue):
    catalogue.numbers("year")
    assert catalogue.put(Item("a", "Alien", attributes={"genres": ("western",)})) == 0
    assert allowed(catalogue, "genres", "is", "horror") == ""
    assert allowed(catalogue, "genres", "is", "western") == "a"
    assert allowed(catalogue, "year", "max", 1980) == "c"
    assert catalogue.values("genres") == {"comedy": 1, "drama": 1, "western": 1}


def test_lookups(catalogue: Catalogue):
    assert catalogue.get("b") == ITEMS[1]
    assert catalogue.get("z") is None
    assert catalogue.rows(["b", "z", "a"]) == [1, 0]
    assert catalogue.rows_with("genres", "Horror") == {0}
    with pytest.raises(KeyError):
        catalogue.row("z")
    np.testing.assert_array_equal(catalogue.numbers("year"), [1979, 1988, 1962.5, np.nan])
    assert np.isnan(catalogue.numbers("unheard_of")).all()
    assert catalogue.values("plot") == {}  # searched, never filtered


def test_a_catalogue_of_nothing():
    empty = Catalogue([], DOMAIN)
    assert empty.mask([Constraint("year", "min", 3), Constraint("genres", "is_not", "x")]).shape == (0,)
    assert empty.numbers("year").shape == (0,)
