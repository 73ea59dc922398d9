"""The reading of a message in another language, by rules: its act, and the role of each span with the scope of its negation.

A clause ends at a stop, a contrast ("pero", "aber") or a comma. A negator counts for what stands behind it in its clause and for
the list that goes on from there ("ni terror ni gore", "kein Horror, kein Krieg"); one at the end of a clause counts for what
stands before it ("de Almodóvar no, por favor", "Horror mag ich nicht").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vouchrec.agent.grammar import Grammar, grammar, plain, words_of
from vouchrec.agent.types import Act, Reading, Role, Span
from vouchrec.retrieval.domain import Domain

FAR = 6
"""Words between a negator and what it negates."""
_STOP = re.compile(r"[.;!?\n:](?!\d)|,(?!\d)")
_NUMERIC = ("min", "max")
_OF = frozenset({"de", "d", "di"})
_AND = frozenset({"y", "e", "et", "und"})


@dataclass(slots=True)
class _Clause:
    """A clause of a plain text: where it begins and ends, whether a comma opens it, and the spans in it."""

    start: int
    end: int
    goes_on: bool
    spans: list[int] = field(default_factory=list[int])


def read_foreign(text: str, spans: Sequence[Span], language: str, *, shown: int) -> Reading:
    """Return the act and the role of each span of a message in a language of `grammar.LANGUAGES`.

    Args:
        shown: How many items are on the screen.
    """
    reader = _Reader(plain(text), spans, grammar(language))
    roles = reader.roles()
    return Reading(_act(plain(text), spans, roles, grammar(language), shown), roles)


def english_wish(text: str, pairs: Sequence[tuple[Span, Role]], domain: Domain, language: str) -> str:
    """Return what is wanted as English search text: the catalogue's own names of kinds, moods and themes, and places."""
    words: list[str] = []
    for span, role in pairs:
        for constraint in span.constraints if role in ("must", "prefer") else ():
            attribute = domain.attribute(constraint.attribute)
            if attribute and attribute.kind == "list" and not (attribute.single or attribute.people):
                words.extend(constraint.values())
    words.extend(_settings(text, [span for span, _ in pairs], grammar(language)))
    return " ".join(dict.fromkeys(words))


def _settings(text: str, spans: Sequence[Span], known: Grammar) -> Iterator[str]:
    """Yield names of places, as written: "ambientato a Roma" searches for Roma."""
    for m in known.pattern("setting").finditer(plain(text)):
        name = re.match(r"\s+([^\W\d_]{3,})(?!['’])", text[m.end() :])
        start = m.end() + name.start(1) if name else 0
        if name and name[1][0].isupper() and not any(s.start <= start < s.end for s in spans):
            yield name[1]


def asks_for_others(text: str, language: str) -> bool:
    """Return whether a message asks for other items than those on the screen ("otra", "ein anderer")."""
    return bool(language) and grammar(language).pattern("more").search(plain(text)) is not None


# ---- the act ----------------------------------------------------------------------------------------------------


def _act(text: str, spans: Sequence[Span], roles: Sequence[Role], known: Grammar, shown: int) -> Act:
    wants = known.pattern("wants").search(text) is not None
    if not spans:
        rest = known.pattern("greeting").sub(" ", text)
        if rest != text and not wants and len(words_of(rest)) <= 3:
            return "smalltalk"
        if shown and known.pattern("more").search(text):
            return "critique"
        return "recommend" if wants or len(words_of(text)) >= 4 else "unclear"
    marks = all(s.is_item for s in spans) and all(r in ("like", "dislike", "seen") for r in roles)
    if marks and not wants:
        return "feedback" if shown or "seen" in roles else "recommend"
    return "critique" if shown else "recommend"


# ---- roles ------------------------------------------------------------------------------------------------------


class _Reader:
    """Gives the spans of one plain text their roles."""

    def __init__(self, text: str, spans: Sequence[Span], known: Grammar) -> None:
        self._spans = spans
        self._known = known
        # What sounds like a negation and is none ("no sé") must not negate: it is blanked.
        self._text = known.pattern("void").sub(lambda m: " " * len(m.group()), text)
        self._whole = text
        self._negators = [m for m in known.pattern("negators").finditer(self._text) if not self._inside(m.start())]
        self._clauses = self._split()
        self._negated: set[int] = set()

    def roles(self) -> tuple[Role, ...]:
        """Return one role per span."""
        for clause in self._clauses:
            for place in range(len(clause.spans)):
                if self._is_negated(clause, place):
                    self._negated.add(clause.spans[place])
            self._negated.update(self._denied_behind(clause))
        found: dict[int, Role] = {}
        for number, clause in enumerate(self._clauses):
            after = self._clauses[number + 1] if number + 1 < len(self._clauses) else None
            found.update((index, self._role(index, clause, after)) for index in clause.spans)
        return tuple(found[i] for i in range(len(self._spans)))

    def _inside(self, position: int) -> bool:
        return any(s.start <= position < s.end for s in self._spans)

    def _split(self) -> list[_Clause]:
        cuts: list[tuple[int, int, bool]] = [(m.start(), m.end(), m.group() == ",") for m in _STOP.finditer(self._text)]
        contrasts = self._known.pattern("contrast").finditer(self._text)
        cuts += [(m.start(), m.start(), False) for m in contrasts]
        clauses = [_Clause(0, len(self._text), goes_on=False)]
        for start, end, comma in sorted(cuts):
            if not self._inside(start) and end >= clauses[-1].start:
                clauses[-1].end = start
                clauses.append(_Clause(end, len(self._text), goes_on=comma))
        for index, span in enumerate(self._spans):
            home = max((c for c in clauses if c.start <= span.start), key=lambda c: c.start)
            home.spans.append(index)
        return clauses

    def _is_negated(self, clause: _Clause, place: int) -> bool:
        index = clause.spans[place]
        span = self._spans[index]
        before = self._spans[clause.spans[place - 1]] if place else None
        start = max(clause.start, before.end) if before else clause.start
        own = [m for m in self._negators if start <= m.start() and m.end() <= span.start]
        if own:
            gap = words_of(self._text[own[-1].end() : span.start])
            return len(gap) <= FAR and not (set(gap) & _AND)
        return self._goes_on(index, clause, place)

    def _goes_on(self, index: int, clause: _Clause, place: int) -> bool:
        """Return whether a span continues a negated list: "sin terror ni gore", "kein Horror, Krieg oder Drama"."""
        if index - 1 not in self._negated or (place == 0 and not clause.goes_on):
            return False
        before, span = self._spans[index - 1], self._spans[index]
        if _is_number(span):
            return False
        between = self._text[before.end : span.start]
        words = words_of(between)
        joins = [w for w in words if self._known.pattern("join").fullmatch(w)]
        idle = all(w in self._known.common for w in words) and len(words) <= 3
        if not idle or self._known.pattern("limited").search(between):
            return False
        if any(w not in _AND for w in joins):
            return True
        return before.kind == span.kind or (place > 0 and not joins)

    def _denied_behind(self, clause: _Clause) -> set[int]:
        """Return the spans that a negator at the end of their clause denies."""
        if not clause.spans:
            return set()
        last = self._spans[clause.spans[-1]]
        tail = self._text[last.end : clause.end]
        for m in self._known.pattern("closing").finditer(tail):
            rest = words_of(self._known.pattern("light").sub(" ", tail[m.end() :]))
            lead = words_of(self._known.pattern("light").sub(" ", tail[: m.start()]))
            if not rest and len(lead) <= 3:
                return self._listed(clause)
        return set()

    def _listed(self, clause: _Clause) -> set[int]:
        """Return the last span of a clause and those that a conjunction joins to it."""
        found = {clause.spans[-1]}
        for index in reversed(clause.spans[:-1]):
            words = words_of(self._text[self._spans[index].end : self._spans[index + 1].start])
            if not any(self._known.pattern("join").fullmatch(w) for w in words) or len(words) > 3:
                break
            found.add(index)
        return found

    def _role(self, index: int, clause: _Clause, after: _Clause | None) -> Role:
        span = self._spans[index]
        own = self._text[clause.start : clause.end]
        if span.is_item:
            # "Heat, ya la vi": a clause that names nothing speaks of what was named before it.
            said = own + " " + self._text[after.start : after.end] if after and not after.spans else own
            return self._item_role(index, own, said)
        if span.kind == "count":
            return "must"
        before = self._text[clause.start : span.start]
        if index in self._negated or self._has("disliked", own):
            limited = self._last_word(before, "limited")
            return "avoid" if limited and not _is_number(span) else "exclude"
        return self._wanted(span, before)

    def _wanted(self, span: Span, before: str) -> Role:
        if self._last_word(before, "less"):
            return "avoid"
        if _is_number(span) and self._permitted(span):
            return "ignore"
        if self._has("seen", before) and not self._has("wants", before):
            return "ignore"
        soft = self._has("soft", before) or self._permitted(span) or span.kind in ("moods", "themes")
        return "prefer" if soft else "must"

    def _permitted(self, span: Span) -> bool:
        """Return whether words such as "puede ser" stand directly before a span: allowed, not asked for."""
        before = self._whole[: span.start]
        return any(len(words_of(before[m.end() :])) <= 2 for m in self._known.pattern("allowed").finditer(before))

    def _item_role(self, index: int, own: str, said: str) -> Role:
        if self._has("disliked", own):
            return "dislike"
        if index in self._negated and not self._has("seen", own):
            return "dislike"
        if self._has("disliked", said):
            return "dislike"
        if self._has("seen", said):
            return "seen"
        return "like"

    def _has(self, entry: str, text: str) -> bool:
        return self._known.pattern(entry).search(text) is not None

    def _last_word(self, before: str, entry: str) -> bool:
        words = words_of(before)
        if len(words) > 1 and words[-1] in _OF:  # "trop de violence"
            words.pop()
        return bool(words) and self._known.pattern(entry).fullmatch(words[-1]) is not None


def _is_number(span: Span) -> bool:
    return any(c.op in _NUMERIC for c in span.constraints)
