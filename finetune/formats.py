"""Documents that teach the base model the shape of our text format: plans with references, and linked spans.

They are made from the same films and dialogues as the other documents. Nothing here is the fine-tuning task itself;
its purpose is that the reserved tokens have good embeddings and that `plan -> text with references` is a known shape.
"""

import json
import lzma
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

from vouchrec.finetune.sources import Document, Film, RedialDialogue, dialogue_document
from vouchrec.finetune.tokenizer import SPAN_OPENERS, render_chat, span

__all__ = ["plan_documents", "read_people", "span_documents"]

_JOINED: Final = (
    "Since you liked [[liked1]], you may enjoy [[rec1]]: both have [[liked1.cast]].",
    "You liked [[liked1]]. [[rec1]] has [[liked1.cast]] too.",
    "Like [[liked1]], [[rec1]] stars [[liked1.cast]].",
    "[[rec1]] brings back [[liked1.cast]], whom you know from [[liked1]].",
    "If [[liked1.cast]] was what you enjoyed in [[liked1]], try [[rec1]].",
    "[[liked1.cast]] from [[liked1]] is also in [[rec1]].",
)
_YEAR_END: Final = re.compile(r"\s*\((?:19|20)\d\d\)\s*$")
_MENTION: Final = re.compile(r"@(\d+)")
_NAME: Final = r"[A-Z][\w'’-]+(?: (?:[A-Z]\.|[A-Z][\w'’-]+|de|von|van|del|(?:Jr|Sr)\.))+"
"""A capitalised full name; a full stop belongs to it only after an initial."""
_DIRECTOR: Final = rf"(?<=directed by )(?:{_NAME})(?:(?:, and |, | and ){_NAME})*"
_GENRE_WORDS: Final = (
    "science fiction|sci-fi|romantic comed(?:y|ies)|romcoms?|action|adventure|animat(?:ed|ion)|comed(?:y|ies)|crime|"
    "documentar(?:y|ies)|dramas?|family|fantasy|historical|horror|musicals?|myster(?:y|ies)|romance|romantic|"
    "superhero|thrillers?|war|westerns?|scary|funny"
)
_SPAN_WORDS: Final = re.compile(
    rf"(?P<genres>\b(?:{_GENRE_WORDS})\b)|(?P<year>\b(?:19[2-9]\d|20[0-2]\d)\b|\b[5-9]0'?s\b)", re.IGNORECASE
)
_WORD: Final = re.compile(r"[^\W\d_][\w.'-]*\w|\w")


def plan_documents(films: Sequence[Film], rng: random.Random) -> Iterator[Document]:
    """Leads with references in place of facts, each after the plan that lists the references used.

    About a third have a second film as ``[[liked1]]`` that shares a cast member.
    """
    by_person: defaultdict[str, list[int]] = defaultdict(list)
    for index, film in enumerate(films):
        for name in film.cast:
            by_person[name].append(index)
    for index, film in enumerate(films):
        plan, text = _lead_with_references(film, sentences=rng.choice((1, 1, 2, 3)))
        if "[[rec1]]" not in plan:
            continue
        shared = [(name, at) for name in film.cast for at in by_person[name] if at != index]
        if shared and rng.random() < 0.5:
            name, other = rng.choice(shared)
            plan |= {"[[liked1]]": films[other].title, "[[liked1.cast]]": name}
            joined = rng.choice(_JOINED)
            text = joined if rng.random() < 0.3 else f"{joined} {text}"
        yield _plan_document(plan, text, film, rng)


def _plan_document(plan: Mapping[str, str], text: str, film: Film, rng: random.Random) -> Document:
    """Plan and text as messages; the plan lists what the text uses, in any order."""
    used = [(reference, value) for reference, value in plan.items() if reference in text]
    rng.shuffle(used)
    line = "plan: " + "; ".join(f'{reference} "{value}"' for reference, value in used)
    messages = [{"role": "system", "content": line}, {"role": "assistant", "content": text}]
    return Document(render_chat(messages), film.title)


def _lead_with_references(film: Film, *, sentences: int) -> tuple[dict[str, str], str]:
    """The first sentences of a lead with references, and what each reference stands for.

    A reference is used once, except the title, so that one plan entry has one meaning.
    """
    text = " ".join(re.split(r"(?<=[a-z0-9)]\.) (?=[A-Z])", film.lead)[:sentences])
    plan: dict[str, str] = {}
    if film.title in text:
        plan["[[rec1]]"] = film.title
        text = text.replace(film.title, "[[rec1]]")
    for reference, pattern in (
        ("[[rec1.year]]", rf"\b{film.year}\b"),
        ("[[rec1.genres]]", "(?i)" + _run(film.genres, r"[ -]")),
        ("[[rec1.directors]]", _DIRECTOR),
        ("[[rec1.cast]]", _run(film.cast, "(?:, and |, | and )", more=_NAME)),
    ):
        found = re.search(pattern, text)
        if found and "[[" not in found[0]:
            plan[reference] = found[0]
            text = text[: found.start()] + reference + text[found.end() :]
    return plan, text


def _run(names: Iterable[str], between: str, more: str = "(?!)") -> str:
    """A pattern for one of the names and whatever follows in the same list: other names, or what ``more`` matches."""
    names = [re.escape(name) for name in sorted(names, key=len, reverse=True) if len(name) > 2]
    one = "|".join(names) or "(?!)"
    return rf"\b(?:{one})(?:{between}(?:{one}|{more}))*\b"


def read_people(data: Path) -> frozenset[str]:
    """Lower-case full names of directors and leading actors, from ReDial's film facts."""
    with lzma.open(data / "redial" / "id2info.json.xz", "rt", encoding="utf-8") as stream:
        films = cast(Mapping[str, Mapping[str, list[str] | None]], json.load(stream))
    names = (name for film in films.values() for role in ("director", "star") for name in film.get(role) or [])
    return frozenset(name.lower() for name in names if " " in name)


def span_documents(
    dialogues: Iterable[RedialDialogue], people: frozenset[str], rng: random.Random
) -> Iterator[Document]:
    """Dialogues whose titles, genres, people and years are wrapped as numbered spans.

    Numbers count up through the dialogue, as they do when a whole conversation is linked. In half of the dialogues
    only the user's turns carry spans, because the assistant's own words need no linking.
    """
    for dialogue in dialogues:
        wrapper = _Spans(dialogue.titles, people)
        only_user = rng.random() < 0.5
        turns = [
            (role, wrapper.wrap(text) if role == "user" or not only_user else wrapper.titles_only(text))
            for role, text in dialogue.turns
        ]
        yield dialogue_document(turns, dialogue.key)


class _Spans:
    """Wraps the linkable parts of the messages of one dialogue."""

    def __init__(self, titles: Mapping[str, str], people: frozenset[str]) -> None:
        self._titles = {key: _YEAR_END.sub("", unquote(title)).strip() for key, title in titles.items()}
        self._people = people
        self._number = 0

    def wrap(self, text: str) -> str:
        """Text with every title, genre, person and year as a span."""
        parts = re.split(r"(@\d+)", text)
        return "".join(self._mention(part) if _MENTION.fullmatch(part) else self._words(part) for part in parts)

    def titles_only(self, text: str) -> str:
        """Text with titles in place and no spans."""
        return _MENTION.sub(lambda found: self._titles.get(found[1]) or found[0], text)

    def _mention(self, mention: str) -> str:
        """A span for ``@id``; an unknown id stays as it is."""
        title = self._titles.get(mention[1:], "")
        return self._span("title", title) if title else mention

    def _words(self, text: str) -> str:
        """Text with its genres, years and people as spans; where two overlap, the first counts."""
        found = [(*match.span(), match.lastgroup or "") for match in _SPAN_WORDS.finditer(text)]
        found += self._names(text)
        done, parts = 0, list[str]()
        for start, end, kind in sorted(found):
            if start >= done:
                parts += [text[done:start], self._span(kind, text[start:end])]
                done = end
        return "".join(parts) + text[done:]

    def _names(self, text: str) -> list[tuple[int, int, str]]:
        """Where two or three words in a row are a known person."""
        words = [match.span() for match in _WORD.finditer(text)]
        return [
            (words[at][0], words[at + more][1], "person")
            for at in range(len(words))
            for more in (2, 1)
            if at + more < len(words) and text[words[at][0] : words[at + more][1]].lower() in self._people
        ]

    def _span(self, kind: str, text: str) -> str:
        """The next span, or the bare text when the openers are used up."""
        if self._number >= len(SPAN_OPENERS):
            return text
        self._number += 1
        return span(self._number, kind, text)
