import pytest

from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.types import Constraint
from vouchrec.ui.constraints import parse_constraints


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>=1990", Constraint("year", "min", 1990)),
        (" runtime <= 119.5 ", Constraint("runtime", "max", 119.5)),
        ("genres=comedy", Constraint("genres", "is", "comedy")),
        ("genres=comedy|drama", Constraint("genres", "any_of", ("comedy", "drama"))),
        ("genres!=horror", Constraint("genres", "is_not", "horror")),
        ("genres!=horror|war", Constraint("genres", "none_of", ("horror", "war"))),
        ("~moods=funny", Constraint("moods", "is", "funny", "soft")),
        ('{"attribute": "year", "op": "max", "value": 1980}', Constraint("year", "max", 1980)),
        (
            '[{"attribute": "moods", "op": "any_of", "value": ["a"], "strength": "soft"}]',
            Constraint("moods", "any_of", ("a",), "soft"),
        ),
    ],
)
def test_reads(text: str, expected: Constraint) -> None:
    assert parse_constraints([text], builtin_domain()) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "year", "year>1990", "year>=", "year>=old", "year>=1|2", "colour=red", "genres>=3", "{", "[1]"),
        '{"attribute": "year"}',
        '{"attribute": "year", "op": "between", "value": 1}',
        '{"attribute": "year", "op": "is", "value": null}',
        '{"attribute": "genres", "op": "any_of", "value": "x"}',
        '{"attribute": "year", "op": "is", "value": 1, "strength": "x"}',
    ],
)
def test_a_wrong_one_says_how_to_write_it(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_constraints([text], builtin_domain())
    assert caught.value.hint
