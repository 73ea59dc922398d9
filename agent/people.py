"""People in a message: full names, surnames, first names of the well-known, and names that the catalogue lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rapidfuzz import fuzz

from vouchrec.agent.gazetteer import Gazetteer
from vouchrec.agent.titles import capitalised, sentence_start
from vouchrec.agent.types import Span
from vouchrec.agent.words import Token, common_words, name_key
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint

SAME_FIRST_NAME = 75.0
"""Likeness from which two spellings are one first name."""
LONGEST_UNKNOWN = 3
"""Words in the longest name of a person that the catalogue lacks."""
_NEGATION = r"no|not|without|never|nor|neither|no more|anyone but|anybody but"
_LEANING = r"fan of|into|films? of|movies? of|work of|anything by|more"
_CUE = re.compile(rf"\b(?:{_NEGATION}|{_LEANING}|w/)\s*$", re.IGNORECASE)
_GOES_ON = re.compile(r"(?:,|/|&|,?\s*(?:and|or|nor))\s*(?:with\s+|by\s+|not\s+)?")
_BROTHERS = re.compile(r"\s+(?:brothers|bros|sisters)\b", re.IGNORECASE)
_NO_FIRST_NAMES = frozenset(["the", "la", "le", "les", "el", "los", "il", "das", "der", "san", "mr", "mrs", "dr"])
_ADDRESSES = frozenset(["mr", "mrs", "ms", "dr", "sir", "dame", "director"])
_SEEN = re.compile(r"\s*[,:]?\s*(?:(?:is|was|already|i|ive|i['’]ve)\s+){0,2}(?:seen|watched)\b", re.IGNORECASE)


class People:
    """Decides which person words mean, if any.

    Args:
        catalogue: Items and domain.
        gazetteer: Their names.
    """

    def __init__(self, catalogue: Catalogue, gazetteer: Gazetteer) -> None:
        self._catalogue = catalogue
        self._gazetteer = gazetteer
        self._texts = [f"{item.title}\n{item.description}" for item in catalogue.items]

    def span(self, text: str, tokens: Sequence[Token], position: int, length: int) -> Span | None:
        """Return the person that words name, by full name or by a part of it that one person is known by."""
        words = tokens[position : position + length]
        key = tuple(w.folded for w in words)
        entry = self._gazetteer.get(key)
        people = entry.people if entry else {}
        if not people or length == 1:
            people = self._short(text, tokens, position, length, people or self._gazetteer.known_as(key))
        if not people:
            return None
        end = words[-1].end
        brothers = _BROTHERS.match(text, end) if length == 1 else None
        return self._meant(text, words[0].start, brothers.end() if brothers else end, people)

    def known(self, text: str, start: int, end: int, key: tuple[str, ...]) -> Span | None:
        """Return the person known under a folded name, for the words of a message that are taken to mean it."""
        entry = self._gazetteer.get(key)
        people = (entry.people if entry else None) or self._gazetteer.known_as(key)
        return self._meant(text, start, end, people) if people else None

    def announced(self, text: str, start: int) -> bool:
        """Return whether words like "with" or "directed by" stand directly before a place."""
        before = text[:start].rstrip()
        cues = [re.escape(cue) for a in self._catalogue.domain.people for cue in a.cues]
        return bool(cues) and re.search(rf"\b(?:{'|'.join(cues)})$", before, re.IGNORECASE) is not None

    def unknown(self, text: str, tokens: Sequence[Token], spans: Sequence[Span]) -> Iterator[Span]:
        """Yield names of people whom the catalogue lacks, told by their capitals and by what stands before them."""
        people = [s for s in spans if s.kind == "person"]
        position = 0
        while position < len(tokens):
            length = self._run(text, tokens, position, spans)
            start, end = tokens[position].start, tokens[position + max(length, 1) - 1].end
            cue = self._cue(text, start, people) if length > 1 else ""
            if (
                cue
                and not _SEEN.match(text, end)
                and self._is_name(text[start:end], tokens[position : position + length])
            ):
                near = self._gazetteer.nearest_person(text[start:end])  # a typing error rather than somebody else
                lacking = Span(
                    start, end, text[start:end], "person", constraints=(Constraint(cue, "is", text[start:end]),)
                )
                people.append(replace(self._meant(text, start, end, near), guess=True) if near else lacking)
                yield people[-1]
            position += max(length, 1)

    # ---- known people -----------------------------------------------------------------------------------------

    def _short(
        self, text: str, tokens: Sequence[Token], position: int, length: int, people: Mapping[str, list[str]]
    ) -> Mapping[str, list[str]]:
        """Return the people that a short name can mean here: fewer, when it is a word or when another name stands beside it."""
        if not people:
            return people
        key = tuple(t.folded for t in tokens[position : position + length])
        whole = {p: names for p, names in people.items() if name_key(p) == key}
        word = tokens[position]
        after = _neighbour(text, tokens, position, 1)
        followed = length == 1 and after is not None and not self._known(after)
        if whole or length > 1:
            return {} if followed else whole or people  # "Stan Brakhage" is not one who is called Stan
        initials = word.folded in self._gazetteer.initials
        if word.text.isupper() and len(word.text) > 1 and not text.isupper():
            return people if initials else {}
        if initials:
            return {}
        beside = _neighbour(text, tokens, position, -1)
        if beside is not None and beside.folded not in common_words():
            return {p: names for p, names in people.items() if _may_be_called(beside.folded, p)}
        if not self._written_as_name(text, tokens, position):
            return {}
        if word.folded in self._gazetteer.first_names and _named_as_work(text, tokens, position):
            return {}
        begins = self._gazetteer.begins_name(word.folded) or self._gazetteer.is_ordinary(word.folded)
        return {} if begins and followed else people

    def _written_as_name(self, text: str, tokens: Sequence[Token], position: int) -> bool:
        """Return whether a single word is meant as a name: always when it is no other word, else with a capital or a cue."""
        word = tokens[position]
        if not self._gazetteer.is_ordinary(word.folded):
            return True
        before = text[: word.start].rstrip().lower()
        if capitalised(text, tokens, position, 1) and not sentence_start(text, word.start):
            cued = any(before.endswith(c) for a in self._catalogue.domain.people for c in a.cues) or _CUE.search(before)
            return word.folded not in common_words() or bool(cued)
        # "with" and "by" stand before any word: a word in small letters needs more than these.
        cues = [c for a in self._catalogue.domain.people for c in a.cues if len(c) > len("with")]
        return word.folded not in common_words() and any(before.endswith(cue) for cue in cues)

    def _known(self, word: Token) -> bool:
        """Return whether a word begins no surname: it is an ordinary word or means something by itself."""
        return word.folded in common_words() or (word.folded,) in self._gazetteer

    def _meant(self, text: str, start: int, end: int, people: Mapping[str, list[str]]) -> Span:
        before = text[:start].rstrip().lower()
        options: list[tuple[int, int, str, str]] = []
        for person, attributes in people.items():
            for name in attributes:
                attribute = self._catalogue.domain.attribute(name)
                cued = attribute is not None and any(before.endswith(cue) for cue in attribute.cues)
                options.append((int(cued), len(self._catalogue.rows_with(name, person)), name, person))
        options.sort(reverse=True)
        _, _, name, person = options[0]
        others = tuple(Constraint(n, "is", p) for _, _, n, p in options[1:] if p == person)
        return Span(start, end, text[start:end], "person", constraints=(Constraint(name, "is", person), *others))

    # ---- people whom the catalogue lacks ----------------------------------------------------------------------

    def _run(self, text: str, tokens: Sequence[Token], position: int, spans: Sequence[Span]) -> int:
        """Return how many words from here on are written as one name and mean nothing else."""
        length = 0
        while position + length < len(tokens) and length <= LONGEST_UNKNOWN:
            token = tokens[position + length]
            gap = text[tokens[position + length - 1].end : token.start] if length else " "
            taken = any(s.start < token.end and token.start < s.end for s in spans)
            if gap != " " or taken or not token.text[:1].isupper() or text.isupper():
                break
            length += 1
        return length

    def _cue(self, text: str, start: int, people: Sequence[Span]) -> str:
        """Return the attribute that the words before a name ask for, empty when they don't announce a person."""
        domain = self._catalogue.domain
        before = text[:start].rstrip()
        for attribute in domain.people:
            if any(re.search(rf"\b{re.escape(cue)}$", before, re.IGNORECASE) for cue in attribute.cues):
                return attribute.name
        if not domain.people or sentence_start(text, start):
            return ""
        last = max((s for s in people if s.end <= start), key=lambda s: s.end, default=None)
        if last is not None and _GOES_ON.fullmatch(text[last.end : start].strip()):
            return last.constraints[0].attribute
        return domain.people[-1].name if _CUE.search(before) else ""

    def _is_name(self, name: str, words: Sequence[Token]) -> bool:
        """Return whether a run of words is a name of its own: no common words, nor spoken of otherwise ("Sherlock Holmes")."""
        if len(words) > LONGEST_UNKNOWN or any(w.text.isupper() for w in words) or words[0].folded in _NO_FIRST_NAMES:
            return False
        if words[-1].folded in common_words() or self._gazetteer.is_ordinary(words[0].folded):
            return False
        known = any(self._gazetteer.is_value((w.folded,)) for w in words)
        return not known and not any(name in told for told in self._texts)


def _neighbour(text: str, tokens: Sequence[Token], position: int, step: int) -> Token | None:
    """Return the capitalised word directly before or after one, which makes both one name."""
    other = position + step
    if not 0 <= other < len(tokens) or not capitalised(text, tokens, position, 1):
        return None
    gap = text[min(tokens[position].end, tokens[other].end) : max(tokens[position].start, tokens[other].start)]
    token = tokens[other]
    return token if gap == " " and token.text[:1].isupper() and len(token.text) > 1 else None


def _may_be_called(first: str, person: str) -> bool:
    """Return whether a word before a surname leaves it that person's: "Mr Nolan", "Pawel"; else it is somebody else's."""
    return first in _ADDRESSES or fuzz.ratio(first, name_key(person)[0]) >= SAME_FIRST_NAME


def _named_as_work(text: str, tokens: Sequence[Token], position: int) -> bool:
    """Return whether a first name stands where a title does: "the Meg", "seen Annette", "Emily in Paris"."""
    before = tokens[position - 1].folded if position else ""
    after = tokens[position + 1].folded if position + 1 < len(tokens) else ""
    return (
        before in ("the", "seen", "saw", "watched", "liked")
        or after == "of"
        or bool(_SEEN.match(text, tokens[position].end))
    )
