"""Linking: titles in all spellings, common words as words and as titles, numbers in all forms, references, comparatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vouchrec.agent.link import MAX_SPANS, Linker, Screen
from vouchrec.agent.types import Span
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import Item

SHOWN = ("heat-1995", "alien-1979", "up-2009", "ran-1985", "jaws-1975")
SCREEN = Screen(SHOWN)


def titles(spans: list[Span]) -> list[str]:
    return [s.items[0] for s in spans if s.kind == "title"]


def bounds(spans: list[Span], attribute: str) -> list[tuple[str, float]]:
    found = [c for s in spans if s.kind == attribute for c in s.constraints]
    return [(c.op, float(str(c.value))) for c in found]


# ---- titles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I loved Blade Runner", ["blade-runner-1982"]),
        ("i loved blade runner", ["blade-runner-1982"]),
        ("I LOVED BLADE RUNNER", ["blade-runner-1982"]),
        ("something like Amelie please", ["amelie-2001"]),
        ("something like Amélie please", ["amelie-2001"]),
        ("the godfather was great", ["the-godfather-1972"]),
        ("Godfather was great", ["the-godfather-1972"]),
        ("“Alien” and “Aliens”", ["alien-1979", "aliens-1986"]),
        ("seven samurai, tokyo story", ["seven-samurai-1954", "tokyo-story-1953"]),
        ("loved Airplane!", ["airplane-1980"]),
        ("2001: a space odyssey", ["2001-a-space-odyssey-1968"]),
        ("I liked Alien's mood", ["alien-1979"]),
    ],
)
def test_exact_titles(linker: Linker, text: str, expected: list[str]) -> None:
    assert titles(linker.link(text)) == expected


def test_alias(linker: Linker, films: list[Item]) -> None:
    for item in films:
        for alias in item.aliases:
            if len(alias.split()) > 2:
                assert item.id in {i for s in linker.link(f"I loved {alias}") for i in s.items}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Forest Gump", "forrest-gump-1994"),
        ("Tokio Story", "tokyo-story-1953"),
        ("oldbuoy", "oldboy-2003"),
        ("Sprited Away", "spirited-away-2001"),
        ("padington", "paddington-2014"),
    ],
)
def test_typing_errors_are_marked_as_guesses(linker: Linker, typed: str, expected: str) -> None:
    spans = [s for s in linker.link(f"something like {typed}") if s.kind == "title"]
    assert [(s.items[0], s.guess) for s in spans] == [(expected, True)]


def test_typo_does_not_change_a_number(linker: Linker) -> None:
    assert titles(linker.link("something like 1918")) == []


def test_year_decides_between_films_of_one_name(linker: Linker) -> None:
    for year in (1933, 2005):
        for text in (f"King Kong ({year})", f"King Kong {year}", f"King Kong, the {year} one"):
            (span,) = [s for s in linker.link(text) if s.kind == "title"]
            assert span.items == (f"king-kong-{year}",)
            assert str(year) in span.text


def test_ambiguous_name_gives_all_most_popular_first(linker: Linker) -> None:
    (span,) = linker.link("I liked King Kong")
    assert span.items == ("king-kong-2005", "king-kong-1933")
    assert linker.resolve("king kong") == span.items
    assert linker.resolve("King Kong (1933)") == ("king-kong-1933",)
    assert linker.resolve("Kng Kong")[0].startswith("king-kong")
    assert linker.resolve("no such film at all") == ()


@pytest.mark.parametrize(
    "text",
    [
        "the heat is on, something cool please",
        "a big budget film",
        "tell her about it",
        "is it any good",
        "what's up with us",
        "I want a drive through the hills, not a big one",
        "a big 1980s comedy",
        "something up 2009s alley, big 1940s glamour",
    ],
)
def test_common_words_are_words(linker: Linker, text: str) -> None:
    assert titles(linker.link(text)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I loved Heat and Big", ["heat-1995", "big-1988"]),
        ("something like Her", ["her-2013"]),
        ("I saw It last week", ["it-2017"]),
        ("have you got Up?", ["up-2009"]),
        ("it (2017) scared me", ["it-2017"]),
        ("big (1988)", ["big-1988"]),
        ('my favourite is "us"', ["us-2019"]),
        ("Heat", ["heat-1995"]),
    ],
)
def test_common_words_as_titles(linker: Linker, text: str, expected: list[str]) -> None:
    assert titles(linker.link(text)) == expected


def test_year_after_a_common_word_is_evidence_only_when_it_fits(linker: Linker) -> None:
    assert titles(linker.link("something big 1995")) == []
    assert bounds(linker.link("something big 1995"), "year") == [("min", 1995), ("max", 1995)]


# ---- people and values ------------------------------------------------------------------------------------------


def test_person_by_role_words(full_linker: Linker) -> None:
    (directed,) = [s for s in full_linker.link("directed by Clint Eastwood") if s.kind == "person"]
    (starring,) = [s for s in full_linker.link("starring Clint Eastwood") if s.kind == "person"]
    assert directed.constraints[0].attribute == "directors"
    assert starring.constraints[0].attribute == "cast"


def test_surname_and_values(full_linker: Linker) -> None:
    spans = full_linker.link("a japanese comedy by kurosawa, not horror, slow burning")
    assert [s.kind for s in spans] == ["countries", "genres", "person", "genres", "moods"]


def test_country_without_items_is_understood(linker: Linker) -> None:
    (span,) = [s for s in linker.link("a film from Iceland") if s.kind == "countries"]
    assert span.constraints[0].value == "Iceland"


def test_values_that_fold_into_several_words() -> None:
    item = Item("a", "A Place", attributes={"genres": ("LEGO™", "½ hour", "d’été"), "directors": ("Ann™ Lee",)})
    linker = Linker(Catalogue([item], builtin_domain()), np.zeros(1, np.float32))
    assert [s.kind for s in linker.link("some lego please")] in ([], ["genres"])


# ---- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from the seventies", [("min", 1970), ("max", 1979)]),
        ("a 70s film", [("min", 1970), ("max", 1979)]),
        ("in the '80s", [("min", 1980), ("max", 1989)]),
        ("the 1930s", [("min", 1930), ("max", 1939)]),
        ("the 2010s", [("min", 2010), ("max", 2019)]),
        ("early nineties", [("min", 1990), ("max", 1999)]),
        ("80s or 90s", [("min", 1980), ("max", 1999)]),
        ("between 1970 and 1985", [("min", 1970), ("max", 1985)]),
        ("1970-1985", [("min", 1970), ("max", 1985)]),
        ("from 1985 to 1970", [("min", 1970), ("max", 1985)]),
        ("after 2000", [("min", 2001)]),
        ("since 2000", [("min", 2000)]),
        ("post-2000", [("min", 2001)]),
        ("not before 1980", [("min", 1980)]),
        ("before 1960", [("max", 1959)]),
        ("pre-1960", [("max", 1959)]),
        ("before the 60s", [("max", 1959)]),
        ("until 1999", [("max", 1999)]),
        ("no later than 1999", [("max", 1999)]),
        ("1990 or later", [("min", 1990)]),
        ("1990s onwards", [("min", 1990)]),
        ("from 1990 on", [("min", 1990)]),
        ("1980 or earlier", [("max", 1980)]),
        ("the 60s and before", [("max", 1969)]),
        ("from 1999", [("min", 1999), ("max", 1999)]),
        ("the last ten years", [("min", 2014)]),
        ("last 5 yrs", [("min", 2019)]),
        ("between 87 and 95", [("min", 1987), ("max", 1995)]),
        ("88 to 94", [("min", 1988), ("max", 1994)]),
        ("1930 to 34", [("min", 1930), ("max", 1934)]),
        ("2018 to now", [("min", 2018)]),
        ("2010 upwards", [("min", 2010)]),
        ("before 1990 or after 2015", [("max", 1989), ("min", 2016)]),
        ("from '68", [("min", 1968), ("max", 1968)]),
        ("before '60", [("max", 1959)]),
        ("after ’08", [("min", 2009)]),
        ("younger than 2005", [("min", 2006)]),
        ("at least 1985", [("min", 1985)]),
        ("nothing more recent than 2015", [("max", 2015)]),
        ("no older than 1990", [("min", 1990)]),
        ("nineteen seventy-five", [("min", 1975), ("max", 1975)]),
        ("exactly 2000", [("min", 2000), ("max", 2000)]),
        ("2003 ish", [("min", 2001), ("max", 2005)]),
        ("not older than 15 years", [("min", 2009)]),
        ("no older than a decade", [("min", 2014)]),
        ("older than 30 years", [("max", 1993)]),
        ("this decade", [("min", 2020)]),
        ("twentieth century", [("min", 1900), ("max", 1999)]),
        ("21st century only", [("min", 2000)]),
        ("pre-war", [("max", 1939)]),
        ("post war", [("min", 1945), ("max", 1960)]),
        ("before the war", [("max", 1939)]),
        ("old school", [("max", 1979)]),
        ("not that old", [("min", 1980)]),
        ("not too new", [("max", 2016)]),
        ("new movies", [("min", 2017)]),
        ("a couple in our sixties", []),
        ("an old man and a boy", []),
        ("we saw it last year", []),
        ("a film in 90 to 100 minutes", []),
        ("something new to me", []),
        ("for an 80s party", []),
        ("for my 8 year old", []),
        ("how old is that", []),
    ],
)
def test_years(linker: Linker, text: str, expected: list[tuple[str, float]]) -> None:
    assert linker.clock.newest == 2024
    assert bounds(linker.link(text), "year") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("under two hours", [("max", 120)]),
        ("under 2 hours", [("max", 120)]),
        ("less than 90 minutes", [("max", 90)]),
        ("<90 min", [("max", 90)]),
        ("less than ninety", [("max", 90)]),
        ("90 minutes or less", [("max", 90)]),
        ("2h max", [("max", 120)]),
        ("1h45", [("min", 90), ("max", 120)]),
        ("under 1h45", [("max", 105)]),
        ("under 1h45m", [("max", 105)]),
        ("at most 1 hour 45", [("max", 105)]),
        ("at most 1 hour and 45 minutes", [("max", 105)]),
        ("under an hour and a half", [("max", 90)]),
        ("under two and a half hours", [("max", 150)]),
        ("under 2.5 hours", [("max", 150)]),
        ("under two hours and a happy ending", [("max", 120)]),
        ("over three hours", [("min", 180)]),
        ("at least 2 hours", [("min", 120)]),
        ("two hours or more", [("min", 120)]),
        ("about 90 minutes", [("min", 75), ("max", 105)]),
        ("half an hour", [("min", 15), ("max", 45)]),
        ("not too long", [("max", 120)]),
        ("something short", [("max", 95)]),
        ("1hr50", [("min", 95), ("max", 125)]),
        ("2 h 15 at the very most", [("max", 135)]),
        ("between 1h20 and 1h40", [("min", 80), ("max", 100)]),
        ("1h30 - 1h45", [("min", 90), ("max", 105)]),
        ("between an hour and an hour twenty", [("min", 60), ("max", 80)]),
        ("between ninety and a hundred and ten minutes", [("min", 90), ("max", 110)]),
        ("80-90 min", [("min", 80), ("max", 90)]),
        ("an hour twenty", [("min", 65), ("max", 95)]),
        ("an hour and three quarters at most", [("max", 105)]),
        ("under two and a quarter hours", [("max", 135)]),
        ("no longer than eighty-five minutes", [("max", 85)]),
        ("nothing over 150 minutes", [("max", 150)]),
        ("no film longer than 1h45", [("max", 105)]),
        ("not over 1:50", [("max", 110)]),
        ("not a minute over 100", [("max", 100)]),
        ("under 100m", [("max", 100)]),
        ("sub-90", [("max", 90)]),
        ("UNDER TWO", [("max", 120)]),
        ("around 90", [("min", 75), ("max", 105)]),
        ("2 hours is too much", [("max", 119)]),
        ("not super long", [("max", 120)]),
        ("not too short", [("min", 95)]),
        ("that is too long", [("min", 121)]),
        ("mid-length", [("min", 85), ("max", 125)]),
        ("something quick", [("max", 95)]),
        ("quick question", []),
        ("ah right", []),
        ("asleep in ten minutes", []),
        ("in two hours I have to leave", []),
        ("three hours of potatoes", []),
        ("my flight is 11 hours", []),
        ("it starts at 1:50", []),
        ("they are over forty", []),
        ("a long story, a short list", []),
        ("Short Cuts", []),
        ("a long film", [("min", 150)]),
        ("how long is it", []),
        ("as long as it is funny", []),
        ("a long time ago", []),
    ],
)
def test_durations(linker: Linker, text: str, expected: list[tuple[str, float]]) -> None:
    assert bounds(linker.link(text), "runtime") == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("give me 3", 3),
        ("give me three films", 3),
        ("recommend a couple of films", 2),
        ("top 10 horror", 10),
        ("just one", 1),
        ("7 movies please", 7),
        ("12 good films", 12),
        ("get me 3 comedies", 3),
        ("4 good westerns", 4),
        ("no more than 3 results", 3),
        ("a pair of thrillers", 2),
        ("one more please", 1),
        ("cut that list down to two", 2),
    ],
)
@pytest.mark.parametrize("screen", [None, SCREEN])
def test_counts(linker: Linker, text: str, count: int, screen: Screen | None) -> None:
    assert [s.count for s in linker.link(text, screen) if s.kind == "count"] == [count]
    assert not [s for s in linker.link(text, screen) if s.kind == "ref"]


@pytest.mark.parametrize(
    "text",
    [
        "we are four women",
        "I have 3 kids",
        "nine to five misery",
        "a film for two",
        "two old ladies here",
        "nineteen seventy-five",
    ],
)
def test_numbers_that_count_no_films(linker: Linker, text: str) -> None:
    assert [s.text for s in linker.link(text) if s.kind == "count"] == []


@pytest.mark.parametrize(
    "text", ["not too long", "no longer than 90 minutes", "nothing over 2h", "not so old", "no older than 1990"]
)
def test_a_negation_inside_a_number_is_part_of_it(linker: Linker, text: str) -> None:
    """Whoever reads the span must not have to negate it again."""
    assert [s.text for s in linker.link(text) if s.constraints] == [text]


def test_numbers_need_an_attribute() -> None:
    linker = Linker(Catalogue([Item("a", "Some Book")], Domain()), np.zeros(1, np.float32))
    assert linker.link("from the seventies, under two hours") == [] or all(
        s.kind == "count" for s in linker.link("from the seventies, under two hours")
    )


# ---- the screen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the second one", ("alien-1979",)),
        ("the 2nd", ("alien-1979",)),
        ("#3", ("up-2009",)),
        ("number two", ("alien-1979",)),
        ("seen 4", ("ran-1985",)),
        ("the first two", SHOWN[:2]),
        ("the last two", SHOWN[-2:]),
        ("the last one", ("jaws-1975",)),
        ("the top one", ("heat-1995",)),
        ("the middle one", ("up-2009",)),
        ("all of them", SHOWN),
        ("that one", ("heat-1995",)),
        ("the first 2", SHOWN[:2]),
        ("the two at the bottom", SHOWN[-2:]),
        ("the one in the middle", ("up-2009",)),
        ("left one", ("heat-1995",)),
        ("the one you put first", ("heat-1995",)),
        ("the whole list", SHOWN),
        ("which of these", SHOWN),
        ("more like two then", ("alien-1979",)),
        ("one was not scary", ("heat-1995",)),
        ("no to 2.", ("alien-1979",)),
        ("the 1979 one", ("alien-1979",)),
        ("the Scott one", ("alien-1979",)),
        ("the one with Pacino", ("heat-1995",)),
        ("the animated one", ("up-2009",)),
        ("the Kurosawa", ("ran-1985",)),
        ("the oldest", ("jaws-1975",)),
        ("the shorter one", ("up-2009",)),
        ("the longest of these", ("heat-1995",)),
    ],
)
def test_references(linker: Linker, text: str, expected: tuple[str, ...]) -> None:
    assert [s.items for s in linker.link(text, SCREEN) if s.kind == "ref"] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two and four", [("alien-1979",), ("ran-1985",)]),
        ("two good, four bad", [("alien-1979",), ("ran-1985",)]),
        ("keep the first two, drop the rest", [SHOWN[:2], SHOWN[2:]]),
        ("not the first three, the other two", [SHOWN[:3], SHOWN[3:]]),
        ("the third one, who is in it", [("up-2009",), ("up-2009",)]),
        ("the second or the one below it", [("alien-1979",), ("up-2009",)]),
        ("is it like 3", [("heat-1995",), ("up-2009",)]),
    ],
)
def test_references_to_each_other(linker: Linker, text: str, expected: list[tuple[str, ...]]) -> None:
    assert [s.items for s in linker.link(text, SCREEN) if s.kind == "ref"] == expected


def test_others_need_something_to_be_other_than(linker: Linker) -> None:
    assert linker.link("keep the rest", SCREEN) == []
    assert [s.items for s in linker.link("the other one", Screen(SHOWN[:2], SHOWN[0]))] == [SHOWN[1:2]]
    assert [s.items for s in linker.link("the two of them", Screen(SHOWN[:2]))] == [SHOWN[:2]]


def test_a_description_of_nothing_on_the_screen_stays_a_value(linker: Linker) -> None:
    assert [s.kind for s in linker.link("the danish one", SCREEN)] == ["countries"]


@pytest.mark.parametrize(
    "text",
    [
        "the ninth one",
        "#9",
        "the second half",
        "3 hours",
        "the last ten years",
        "last 5 yrs",
        "we saw that 5 times",
        "I have to be up at 5",
        "2/10",
        "on second thoughts",
        "make it funnier",
        "she saw Psycho last night",
        "cut the list down to two",
    ],
)
def test_references_to_nothing(linker: Linker, text: str) -> None:
    assert [s for s in linker.link(text, SCREEN) if s.kind == "ref"] == []


def test_no_references_without_a_screen(linker: Linker) -> None:
    assert linker.link("the second one, #3, it") == []


def test_pronoun_means_the_focus(linker: Linker) -> None:
    (span,) = linker.link("who directed it?", Screen(SHOWN, "ran-1985"))
    assert (span.kind, span.items) == ("ref", ("ran-1985",))


def test_comparatives_against_the_list_and_an_item(linker: Linker) -> None:
    runtimes = [linker.catalogue.get(i).number("runtime") for i in SHOWN]  # type: ignore[union-attr]
    assert bounds(linker.link("something shorter", SCREEN), "runtime") == [
        ("max", float(np.ceil(np.mean(runtimes)) - 1))
    ]
    assert bounds(linker.link("shorter than the second one", SCREEN), "runtime") == [("max", 116)]
    assert bounds(linker.link("longer than Psycho", SCREEN), "runtime") == [("min", 110)]
    assert bounds(linker.link("older", Screen(SHOWN, "alien-1979")), "year") == [("max", 1978)]
    assert bounds(linker.link("not as long", Screen(SHOWN, "alien-1979")), "runtime") == [("max", 116)]
    assert bounds(linker.link("shorter than 90 minutes", SCREEN), "runtime") == [("max", 90)]


@pytest.mark.parametrize(
    ("text", "attribute", "expected"),
    [
        ("something shorter", "runtime", [("max", 95)]),
        ("something longer", "runtime", [("min", 150)]),
        ("older, please", "year", [("max", 1979)]),
        ("Burning but newer", "year", [("min", 2017)]),
        ("shorter than that", "runtime", [("max", 95)]),
        ("no longer interested", "runtime", []),
        ("see you later", "year", []),
        ("my older brother", "year", []),
    ],
)
def test_comparatives_without_a_list_mean_short_or_old(
    linker: Linker, text: str, attribute: str, expected: list[tuple[str, float]]
) -> None:
    assert bounds(linker.link(text), attribute) == expected


# ---- any text ---------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "Alien", "heat", "Big 1988", "KING KONG (2005)", "the second one", "#3", "1h45", "under two hours", "70s", "'80s",
        "japanese", "Tom Hanks", "it", "it's", "“Her”", "shorter than", "older", "İstanbul", "ﬁlm", "ß", "é", "e\u0301",
        "½ hour", "3", ",", "not", "\n", "🎬", "ホラー", "a\u200db", "<|end|>", "[s1|title|x]", "]]", "under an hour and a",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=14).map(" ".join), st.lists(PIECES).map("".join))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, shown=st.lists(st.sampled_from(SHOWN), max_size=4, unique=True))
@example(text="İ " * 30 + "Alien (1979) 1h45", shown=["heat-1995"])
def test_spans_lie_in_the_text_and_do_not_overlap(linker: Linker, text: str, shown: list[str]) -> None:
    spans = linker.link(text, Screen(tuple(shown)))
    assert len(spans) <= MAX_SPANS
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        assert span.text == text[span.start : span.end]
        assert span.items or span.constraints or span.kind == "count"
        end = span.end


def test_long_message_has_at_most_24_spans(linker: Linker) -> None:
    assert len(linker.link("Alien, " * 100)) == MAX_SPANS


def test_added_item_can_be_named(films: list[Item]) -> None:
    catalogue = Catalogue(films, builtin_domain())
    linker = Linker(catalogue, np.zeros(len(catalogue), np.float32))
    assert titles(linker.link("I loved Moonlit Ferry Home")) == []
    linker.gazetteer.add_item(catalogue.put(Item("moonlit", "Moonlit Ferry Home")))
    assert titles(linker.link("I loved Moonlit Ferry Home")) == ["moonlit"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heat, Alien: more of that", "heat-1995"),
        ("Drive was ace", "drive-2011"),
        ("Up made me cry", "up-2009"),
        ("Drive seen", "drive-2011"),
        ("no more of that. her, seen", "her-2013"),
        ("not true grit", "true-grit-1969"),
        ("something Alien-like", "alien-1979"),
    ],
)
def test_common_words_with_a_verdict_or_in_a_list(linker: Linker, text: str, expected: str) -> None:
    assert expected in titles(linker.link(text))


@pytest.mark.parametrize(
    "text", ["it made me cry", "the drive was long", "for a heater", "It was seen by all", "a big yes from me"]
)
def test_common_words_beside_a_verdict(linker: Linker, text: str) -> None:
    assert titles(linker.link(text)) == []


# ---- values misspelt, places spoken of, and answers that are no titles -------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a horror comdey", "comedy"), ("a good wetsern", "western"), ("animaton for my kids", "animation")],
)
def test_a_misspelt_value_is_found(full_linker: Linker, text: str, expected: str) -> None:
    assert expected in [
        c.value for s in full_linker.link(text) for c in s.constraints if s.guess or c.value == expected
    ]


@pytest.mark.parametrize("text", ["comedic timing in a comment", "a beer with Wendy", "the comet was coming"])
def test_a_word_of_the_language_is_no_misspelling(full_linker: Linker, text: str) -> None:
    assert not [s for s in full_linker.link(text) if s.guess and s.kind == "genres"]


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("something about Vietnam", "settings"),
        ("set in Japan", "settings"),
        ("a film from Japan", "countries"),
        ("Japanese films", "countries"),
    ],
)
def test_a_place_is_where_a_film_is_set_or_made(full_linker: Linker, text: str, attribute: str) -> None:
    assert [s.kind for s in full_linker.link(text)] == [attribute]


def test_a_subgenre_asks_for_its_genre_too(full_linker: Linker) -> None:
    (span,) = full_linker.link("a courtroom drama")
    assert [(c.attribute, c.value) for c in span.constraints] == [("subgenres", "courtroom drama"), ("genres", "drama")]


@pytest.mark.parametrize("text", ["No.", "no", "More please", "ok"])
def test_an_answer_is_no_title(full_linker: Linker, text: str) -> None:
    assert titles(full_linker.link(text)) == []


def test_a_possessive_without_apostrophe_names_the_person(full_linker: Linker) -> None:
    assert [s.constraints[0].value for s in full_linker.link("nolans best film") if s.kind == "person"] == [
        "Christopher Nolan"
    ]
