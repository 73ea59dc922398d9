"""The domain file, what is wrong in one, and the domain that is guessed without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vouchrec.retrieval.domain import Attribute, Domain, attribute_name, infer_domain, load_domain
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.types import AttributeValue, Item

DATA = Path(__file__).parents[1] / "data"
GENRES = '[attributes.genres]\nlabel = "genre"\n'


def refusal(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "domain.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_domain(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_a_whole_domain_file():
    domain = load_domain(DATA / "films.toml")
    assert (domain.noun, domain.plural, domain.consume, domain.recency) == ("film", "films", "watch", "year")
    assert [a.name for a in domain.people] == ["directors", "cast"]
    year = domain.attribute("year")
    assert year == Attribute(
        "year",
        "number",
        "year",
        "from {value}",
        quantity="year",
        lower=("older", "earlier"),
        higher=("newer", "more recent", "later"),
    )
    moods = domain.attribute("moods")
    assert moods is not None
    assert (moods.kind, moods.strict, moods.synonyms["slow"]) == ("list", False, "slow-burning")
    assert domain.attribute("unheard of") is None


def test_it_survives_json():
    domain = load_domain(DATA / "films.toml")
    assert Domain.from_dict(json.loads(json.dumps(domain.to_dict()))) == domain


def test_defaults(tmp_path: Path):
    path = tmp_path / "domain.toml"
    path.write_text('[item]\nnoun = "book"\n[attributes.main_topics]\n')
    domain = load_domain(path)
    assert (domain.plural, domain.consume, domain.attributes) == (
        "books",
        "try",
        (Attribute("main_topics", label="main topic"),),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[item\n", "not valid TOML"),
        (b'noun = "f\xe9e"', "not valid TOML"),
        ('[itme]\nnoun = "film"\n[item]\n', "unknown key 'itme'. Known: attributes, item, words."),
        ('[item]\nnuon = "film"\n', "[item]: unknown key 'nuon'. Known: consume"),
        ('nuon = "film"\n', "unknown key 'nuon'"),
        ("[item]\nnoun = 3\n", "noun must be a string, found 3"),
        ('[item]\nnouns = "movie"\n', "nouns must be a list of strings"),
        ("[item]\nexamples = [1]\n", "examples must be a list of strings"),
        ('[item]\nrecency = "year"\n' + GENRES, "recency names 'year', which is not a declared attribute"),
        ("[item]\nesteem = { praise = ['loved'] }\n" + GENRES, "esteem names an attribute that is not declared"),
        ("[attributes.kinds]\nimplies = 'genres'\n", "implies names 'genres', which is not a declared attribute"),
        ("item = 3\n", "[item] must be a table"),
        ("attributes = 3\n[item]\n", "attributes must be a table"),
        ("[attributes]\ngenres = 3\n", "[attributes.genres] must be a table"),
        ("[attributes.Genres]\n", "'Genres' can't name an attribute"),
        ("[attributes.title]\n", "'title' can't name an attribute"),
        ('[attributes."two words"]\n', "'two words' can't name an attribute"),
        ('[attributes.""]\n', "'' can't name an attribute"),
        ("[attributes.genres]\nlable = 'x'\n", "[attributes.genres]: unknown key 'lable'"),
        ("[attributes.genres]\nkind = 'words'\n", "kind 'words' is unknown. Use one of text, number, list, date."),
        ("[attributes.genres]\nkind = ['text']\n", "kind ['text'] is unknown"),
        (
            "[attributes.genres]\nquantity = 'age'\n",
            "quantity 'age' is unknown. Use one of year, duration, price, count.",
        ),
        ("[attributes.genres]\nphrase = 'a film'\n", "phrase must contain {value}"),
        ("[attributes.genres]\nphrase = 3\n", "phrase must be a string"),
        ("[attributes.genres]\npeople = 'no'\n", "people must be true or false, found 'no'"),
        ("[attributes.genres]\nsynonyms = ['x']\n", "synonyms must be a table"),
        ("[attributes.genres]\nsynonyms = { a = 1 }\n", "a must be a string, found 1"),
        ("[attributes.genres]\nlower = 'older'\n", "lower must be a list of strings"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, said: str):
    assert said in refusal(tmp_path, text)


def test_a_domain_file_that_is_absent_or_a_folder(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"absent\.toml: no such domain file"):
        load_domain(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_domain(tmp_path)


def test_an_attribute_declared_twice():
    with pytest.raises(ConfigError, match="attribute 'a' is declared twice"):
        Domain.from_dict({"attributes": [{"name": "a"}, {"name": "b"}, {"name": "a"}]})


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("genres", "genres"),
        ("Release Year", "release_year"),
        (" n° of pages ", "n_of_pages"),
        ("Год", "год"),
        ("_x", "x"),
        ("2nd", ""),
        ("", ""),
        ("--", ""),
        ("1979", ""),
    ],
)
def test_attribute_name(column: str, name: str):
    assert attribute_name(column) == name
    assert attribute_name(name) == name


def inferred(*values: AttributeValue, name: str = "thing") -> Attribute:
    (attribute,) = infer_domain([Item(str(n), "t", attributes={name: v}) for n, v in enumerate(values)]).attributes
    return attribute


@pytest.mark.parametrize(
    ("values", "kind", "filterable"),
    [
        ((1, 2.5), "number", True),
        (("1", "2.5", "-3"), "number", True),
        (("007", "12"), "text", False),
        (("1", "one"), "text", False),
        ((("a",), "b"), "list", True),
        (("a", "a", "b", "b"), "text", True),
        (("a", "b", "c", "c"), "text", False),
        (("x" * 61,) * 4, "text", False),
        (("2020-01-02", "1999-12-31"), "date", True),
        (("2020-01-02", "soon"), "text", False),
    ],
)
def test_kinds_are_guessed(values: tuple[AttributeValue, ...], kind: str, filterable: bool):
    assert (inferred(*values).kind, inferred(*values).filterable) == (kind, filterable)


def test_years_are_guessed_by_name_and_size():
    assert inferred("1979", 1988, name="release_year").quantity == "year"
    assert inferred(5, 12, name="years_in_print").quantity == ""
    assert inferred(1979, 1988, name="pages").quantity == ""


def test_the_age_of_items_is_what_looks_like_a_year_or_date():
    items = [Item("a", "t", attributes={"pages": 3, "published_year": 1950, "tags": ("x",)})]
    assert infer_domain(items).recency == "published_year"
    assert infer_domain([Item("a", "t", attributes={"pages": 3})]).recency == ""


def test_a_guessed_domain_can_be_stored():
    items = [Item("a", "t", attributes={"release_year": 1950, "tags": ("x",), "мир": "y"})]
    domain = infer_domain(items)
    assert Domain.from_dict(json.loads(json.dumps(domain.to_dict()))) == domain
