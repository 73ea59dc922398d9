"""Messages made by a small grammar over a domain: what authored lines about films can't say of another catalogue.

Productions are written once in the annotation that authored messages have; what stands in angle brackets is drawn from the
catalogue and its domain file: titles, people with the words that announce them ("written by"), values, comparatives ("shorter").
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vouchrec.agent.annotations import AuthoredTurn, parse_annotation
from vouchrec.agent.types import Act
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute

_SLOT = re.compile(r"<(\w+)(?::(\w+))?>")

PRODUCTIONS: Final[Sequence[tuple[Act, int, str]]] = (
    ("recommend", 0, "<open> <value:must> <plural> please"),
    ("recommend", 0, "<open> something <value:prefer>"),
    ("recommend", 0, "<value:must>, but no <value:exclude>"),
    ("recommend", 0, "<value:must> or <value:must>, i don't mind"),
    ("recommend", 0, "a <noun> to <consume> tonight, <value:prefer> if you have it, nothing <value:avoid>"),
    ("recommend", 0, "anything like <title:like>?"),
    ("recommend", 0, "loved <title:like> and <title:like>. what next?"),
    ("recommend", 0, "<title:like> but <value:prefer>"),
    ("recommend", 0, "more like <title:like>, less like <title:dislike>"),
    ("recommend", 0, "i've already <consumed> <title:seen>, so something close to it"),
    ("recommend", 0, "<open> a <noun> <cue> <person:must>"),
    ("recommend", 0, "<plural> <cue> <person:must>, not <title:seen>"),
    ("recommend", 0, "nothing <cue> <person:exclude>, <value:must> though"),
    ("recommend", 0, "<count:must> <plural> with <value:prefer> in them"),
    ("recommend", 0, "<open> <value:must> <plural> from <year:must>"),
    ("recommend", 0, "<value:must> <plural> after <year:must>, ideally <value:prefer>"),
    ("recommend", 0, "surprise me, just not <value:exclude>"),
    ("recommend", 0, "what should i <consume> if i couldn't stand <title:dislike>?"),
    ("feedback", 5, "<title:like> is my favourite"),
    ("feedback", 5, "didn't get on with <title:dislike> at all"),
    ("feedback", 5, "<consumed> <ref:seen> already, loved it"),
    ("feedback", 5, "<ref:dislike> is not for me"),
    ("critique", 5, "no <value:exclude> please"),
    ("critique", 5, "more <value:prefer>"),
    ("critique", 5, "something <lower:must>"),
    ("critique", 5, "<higher:must> ones"),
    ("critique", 5, "nothing by <person:exclude>, show me others"),
    ("critique", 5, "<ref:like> yes, but more <value:prefer>"),
    ("ask_item", 5, "tell me about <ref:about>"),
    ("ask_item", 5, "what is <title:about> like?"),
    ("ask_item", 0, "what do you know about <title:about>?"),
    ("explain", 5, "why <ref:about>?"),
    ("explain", 5, "what makes you think i'd like <title:about>?"),
    ("compare", 5, "<title:about> or <title:about>?"),
    ("compare", 5, "<ref:about> against <ref:about>, which one?"),
    ("profile", 0, "forget that i liked <title:about>"),
    ("smalltalk", 0, "thanks, those <plural> look good"),
    ("unclear", 0, "hmm, <plural>"),
)
OPENINGS: Final = ("any", "looking for", "got", "i want", "do you have", "recommend me", "in the mood for", "show me")
REFERENCES: Final = ("the first one", "the second one", "the third", "the last one", "number two", "the 4th")
COUNTS: Final = ("three", "two", "5", "a couple of", "four")


@dataclass(frozen=True, slots=True)
class _Palette:
    """What the slots are filled from."""

    titles: Sequence[str]
    people: Sequence[tuple[str, str]]
    """(name, words that announce it)."""
    values: Sequence[tuple[str, str]]
    """(surface, attribute)."""
    years: Sequence[str]
    lower: Sequence[str]
    higher: Sequence[str]


class Grammar:
    """Draws annotated messages about one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._domain = catalogue.domain
        self._palette = _palette(catalogue)

    def turns(self, count: int, rng: random.Random) -> Iterator[AuthoredTurn]:
        """Yield messages, every production in turn; productions that the catalogue can't fill are left out."""
        numbered = [(number, p) for number, p in enumerate(PRODUCTIONS) if self._can_fill(p[2])]
        for position in range(count if numbered else 0):
            number, (act, shown, template) = numbered[position % len(numbered)]
            text, annotations = parse_annotation(self._filled(template, rng))
            yield AuthoredTurn(f"grammar:{number}:{position}", text, annotations, act, shown)

    def _can_fill(self, template: str) -> bool:
        p = self._palette
        have: Mapping[str, Sequence[object]] = {
            "title": p.titles, "person": p.people, "value": p.values, "year": p.years, "lower": p.lower, "higher": p.higher,
        }  # fmt: skip
        return all(have.get(name, "x") for name, _ in _SLOT.findall(template))

    def _filled(self, template: str, rng: random.Random) -> str:
        name, announced = rng.choice(self._palette.people) if self._palette.people else ("", "by")
        draw: Mapping[str, Callable[[], tuple[str, str]]] = {
            "title": lambda: (rng.choice(self._palette.titles), "title"),
            "person": lambda: (name, "person"),
            "value": lambda: rng.choice(self._palette.values),
            "year": lambda: (rng.choice(self._palette.years), "year"),
            "lower": lambda: (rng.choice(self._palette.lower), "number"),
            "higher": lambda: (rng.choice(self._palette.higher), "number"),
            "ref": lambda: (rng.choice(REFERENCES), "ref"),
            "count": lambda: (rng.choice(COUNTS), "count"),
        }
        plain = {
            "open": rng.choice(OPENINGS), "noun": self._domain.noun, "plural": self._domain.plural, "cue": announced,
            "consume": self._domain.consume, "consumed": self._domain.consumed,
        }  # fmt: skip

        def fill(m: re.Match[str]) -> str:
            if m[1] in plain:
                return plain[m[1]]
            surface, kind = draw[m[1]]()
            clean = re.sub(r"[{}|]", " ", surface)
            return f"{{{clean}|{kind}|{m[2]}}}"

        text = _SLOT.sub(fill, template)
        return text[:1].upper() + text[1:] if rng.random() < 0.25 else text


def _palette(catalogue: Catalogue) -> _Palette:
    domain = catalogue.domain
    people = [
        (name, next((c for c in a.cues if " " in c), a.cues[0] if a.cues else "by"))
        for a in domain.people
        for name in catalogue.values(a.name)
    ]
    values = [
        (surface, a.name)
        for a in domain.attributes
        if a.filterable and not a.people and a.kind in ("list", "text")
        for surface in (*(v for v, n in catalogue.values(a.name).items() if n >= 2), *a.synonyms)
    ]
    ordered = [a for a in domain.attributes if a.kind in ("number", "date")]
    return _Palette(
        titles=[item.title for item in catalogue.items],
        people=people,
        values=values,
        years=_years(catalogue, next((a for a in ordered if a.quantity == "year"), None)),
        lower=[w for a in ordered for w in a.lower],
        higher=[w for a in ordered for w in a.higher],
    )


def _years(catalogue: Catalogue, attribute: Attribute | None) -> list[str]:
    if attribute is None:
        return []
    known = {item.number(attribute.name) for item in catalogue.items}
    return sorted({f"{year:g}" for year in known if year is not None})
