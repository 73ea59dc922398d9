"""Text that crosses the border of the program: messages in, terminal output out."""

from __future__ import annotations

import unicodedata

from vouchrec.retrieval.errors import RequestError

LONGEST_MESSAGE = 2_000
"""Characters of one chat message or wish."""


def clean_message(text: str, *, what: str = "message") -> str:
    """Return a message without control characters, in NFC, trimmed.

    Raises:
        RequestError: Nothing is left, or more than `LONGEST_MESSAGE` characters.
    """
    if len(text) > LONGEST_MESSAGE:
        problem = f"That {what} has {len(text):,} characters; at most {LONGEST_MESSAGE:,} are read."
        raise RequestError(problem, hint="Say it in fewer words.")
    cleaned = unicodedata.normalize("NFC", "".join(_visible(c) for c in text)).strip()
    if not cleaned:
        raise RequestError(f"The {what} is empty.", hint="Say what you are in the mood for.")
    return cleaned


def printable(text: str) -> str:
    """Return text that is safe to show in a terminal: escape and control characters become spaces."""
    return "".join(_visible(c) for c in text)


def shorten(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, cut at a word with an ellipsis."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,.;:") + "…"


def plural(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun: `1 item`, `2 items`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    # Cc control, Cs lone surrogates, Co private; Cf stays for emoji joiners, except the ones that reorder text.
    if (
        unicodedata.category(character) in ("Cc", "Cs", "Co")
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ):
        return " "
    return character
