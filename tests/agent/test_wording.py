"""How values stand in sentences, and which words may stand beside a reference."""

from __future__ import annotations

import re

import pytest

from vouchrec.agent.compose import fix_articles
from vouchrec.agent.contexts import DATA, contexts, is_usual
from vouchrec.agent.prompts import Planned
from vouchrec.agent.wording import in_place
from vouchrec.finetune.contexts import contexts_file
from vouchrec.retrieval.build import builtin_domain, builtin_items

DOMAIN = builtin_domain()
VALUES = {
    "themes": "heist and time loop",
    "genres": "comedy and horror",
    "directors": "Ridley Scott",
    "countries": "Japan",
    "year": "1979",
    "moods": "tense",
}


def rendered(text: str) -> str:
    def put(m: re.Match[str]) -> str:
        entry = Planned("fact", m.group(), VALUES[m.group().strip("[]").partition(".")[2]])
        return in_place(entry, text[: m.start()], text[m.end() :], DOMAIN)

    return fix_articles(re.sub(r"\[\[[^\]]*\]\]", put, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A film about [[rec1.themes]].", "A film about a heist and a time loop."),
        ("a [[rec1.themes]] film", "a heist and time loop film"),
        ("the [[rec1.themes]] you named", "the heist and time loop you named"),
        ("It's also [[rec1.genres]], as you said", "It's also a comedy and horror film, as you said"),
        ("It is [[rec1.moods]] and [[rec1.genres]].", "It is tense and a comedy and horror film."),
        ("a [[rec1.genres]] film", "a comedy and horror film"),
        ("This is [[rec1.directors]], from [[rec1.countries]].", "This is directed by Ridley Scott, from Japan."),
        ("It is [[rec1.countries]] and was [[rec1.year]].", "It is from Japan and was from 1979."),
        ("It is [[rec1.moods]].", "It is tense."),
    ],
)
def test_a_value_stands_as_its_place_asks(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_nouns_name_values_of_the_catalogue_and_hold_them() -> None:
    for attribute in DOMAIN.attributes:
        values = {v for item in builtin_items() for v in item.values(attribute.name)}
        for value, noun in attribute.nouns.items():
            assert value in values, f"{attribute.name}: no item has '{value}'"
            assert value.casefold() in noun.casefold(), "the verifier looks for the value inside it"


def test_contexts() -> None:
    assert list(contexts("[[rec1]] is by [[rec1.directors]], a [[rec1.moods]] [[rec1.genres]] film.")) == [
        ("^", "[rec]", "is"),
        ("by", "[directors]", ","),
        ("a", "[moods]", "[genres]"),
        ("[moods]", "[genres]", "film"),
    ]


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("You wanted [[rec1.genres]], and it is directed by [[rec1.directors]].", True),
        ("It came out in [[rec1.directors]] as director.", False),
        ("The film goes [[rec1.genres]] the evening.", False),
        ("A book by [[rec1.authors]] whatever.", True),  # an attribute that nobody wrote of is not judged
    ],
)
def test_usual_wordings(text: str, usual: bool) -> None:
    assert is_usual(text) is usual


def test_the_file_is_that_of_the_authored_reasons() -> None:
    assert DATA.read_text(encoding="utf-8") == contexts_file(), "run python -m vouchrec.finetune.contexts"
