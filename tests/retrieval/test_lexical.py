"""Word search, with queries of every kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.retrieval.lexical import LexicalIndex
from vouchrec.retrieval.types import Item

ITEMS = (
    Item("a", "Alien", "A crew meets a hungry creature.", {"genres": ("horror",), "cast": ("Sigourney Weaver",)}),
    Item("b", "Amélie", "A shy waitress.", {"genres": ("romance",)}, ("Le Fabuleux Destin",)),
    Item("c", "Paddington", "A polite bear; no alien at all."),
    Item("d", "Das Schloß", "Der Weg zur großen Straße.", {"themes": ("snow_storm",)}),
    Item("e", "Сталкер", "千と千尋の神隠し"),
)


@pytest.fixture(scope="module")
def index() -> Iterator[LexicalIndex]:
    built = LexicalIndex()
    built.build(ITEMS)
    yield built
    built.close()


def found(index: LexicalIndex, text: str, n: int = 10) -> str:
    return "".join(ITEMS[row].id for row, _ in index.search(text, n))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("alien", "ac"),  # the title counts for more than the description
        ("ALIENS", "ac"),  # stems
        ("amelie", "b"),
        ("Ame\u0301lie", "b"),
        ("destin", "b"),
        ("weaver", "a"),
        ("horror or romance", "ba"),
        ("creatures that are hungry", "a"),
        ("straße", "d"),
        ("schloß", "d"),
        ("snow_storm", "d"),
        ("storm", "d"),
        ("сталкер", "e"),
        ("千と千尋の神隠し", "e"),
        ("zebra", ""),
    ],
)
def test_words_are_found(index: LexicalIndex, text: str, ids: str):
    assert sorted(found(index, text)) == sorted(ids)
    assert found(index, text)[:1] == ids[:1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "the of and",
        "a",
        "!!! ??? ...",
        '"',
        "'; DROP TABLE texts; --",
        "NEAR(",
        "AND OR NOT",
        "*",
        "_ __ ___",
        "\0",
        "🎬🎬",
        "\ud800",
        "title:alien AND",
        "-alien",
        "^",
        "(((",
        "{}",
        "\\",
        "%%",
        "\u0301\u0301",
        "x" * 20_000,
        "word " * 5_000,
    ],
)
def test_no_query_breaks_it(index: LexicalIndex, text: str):
    for row, score in index.search(text, 3):
        assert 0 <= row < len(ITEMS)
        assert score > 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.integers(0, 6))
def test_any_text_gives_at_most_n_in_order(text: str, n: int):
    index = LexicalIndex()
    index.build(ITEMS)
    scores = [score for _, score in index.search(text + " alien bear", n)]
    assert len(scores) <= n
    assert scores == sorted(scores, reverse=True)
    index.close()


def test_only_the_first_words_of_a_long_query_are_searched(index: LexicalIndex):
    filler = " ".join(f"word{n}" for n in range(100))
    assert found(index, f"alien {filler}") == "ac"
    assert found(index, f"{filler} alien") == ""


def test_query_words_are_never_syntax(index: LexicalIndex):
    assert sorted(found(index, "alien NOT bear")) == ["a", "c"]
    assert found(index, "title : zebra") == ""


def test_put_adds_and_replaces():
    index = LexicalIndex()
    index.build(ITEMS)
    index.put([5, 0], [Item("f", "Gattaca"), Item("a", "Renamed")])
    assert [row for row, _ in index.search("gattaca", 5)] == [5]
    assert [row for row, _ in index.search("renamed", 5)] == [0]
    assert [row for row, _ in index.search("sigourney", 5)] == []
    index.build(ITEMS[:1])
    assert [row for row, _ in index.search("gattaca paddington alien", 5)] == [0]
    index.close()


def test_threads_search_and_add_at_once():
    index = LexicalIndex()
    index.build(ITEMS)
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for turn in range(30):
                index.put([10 + n], [Item("x", f"gattaca {turn}")])
                assert index.search("gattaca", 50)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(index.search("gattaca", 50)) == 4
    index.close()
