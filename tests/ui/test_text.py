import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchrec.retrieval.errors import RequestError
from vouchrec.ui.text import clean_message, printable, shorten


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x1b\x07"])
def test_nothing_left_is_an_error(text: str) -> None:
    with pytest.raises(RequestError, match="empty"):
        clean_message(text)


def test_too_long_says_the_limit() -> None:
    with pytest.raises(RequestError, match="20,000 characters; at most 2,000"):
        clean_message("a" * 20_000)


def test_emoji_and_other_scripts_stay() -> None:
    assert clean_message("👩‍👩‍👧 映画 فيلم\n é") == "👩‍👩‍👧 映画 فيلم\n é"


@given(st.text(max_size=300))
def test_terminal_output_never_carries_escapes(text: str) -> None:
    assert not set(printable(text)) & {"\x1b", "\x07", "\x9b", "\x08", "\r", "\u202e"}


def test_shorten_cuts_at_a_word() -> None:
    assert shorten("one two three", 9) == "one two…"
