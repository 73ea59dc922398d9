"""Words that point at the list on the screen: places ("the second one"), extremes, the others, pronouns, and descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from vouchrec.agent.gazetteer import Gazetteer
from vouchrec.agent.types import Span
from vouchrec.agent.words import CARDINALS, ORDINALS, name_key
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import ItemId

Shown: TypeAlias = tuple[ItemId, ...]

_KIND = r"(?:one|pick|choice|option|suggestion|film|movie|book|game|item|title)"
_ORDINAL = "|".join((*ORDINALS, "last"))
_K = r"two|three|four|five|[2-5]"
_PLACES = re.compile(
    rf"\b(?:(?P<all>(?:all|these|those)\s+(?:{_K}|of\s+(?:them|these|those))|(?<!make )them\s+all|"
    r"the\s+(?:whole|entire)\s+(?:list|lot))\b"
    r"|(?:the\s+)?(?P<firstn>first|last|bottom|(?<=the )top|top(?=\s+\w+\s*(?:$|[.,;!?])))"
    rf"\s+(?P<k>{_K})\b(?!\s+(?:years?|yrs?|decades?|films?\s+of))"
    rf"|the\s+(?P<k2>{_K})\s+at\s+the\s+(?P<end>top|bottom)\b"
    rf"|(?:the\s+)?(?P<place>top|middle|bottom|left|right)\s+{_KIND}\b"
    r"|the\s+one\s+(?:at|in|on)\s+(?:the\s+)?(?P<at>top|middle|bottom|left|right)\b"
    rf"|the\s+one\s+(?:you\s+)?(?:put|listed|named)\s+(?P<put>{_ORDINAL})\b"
    rf"|(?:the\s+)?(?P<ord>{_ORDINAL})(?:\s+{_KIND})?(?:\s+of\s+(?:these|those|them))?\b"
    r"(?!\s+(?:time|hours?|minutes?|half(?!\s+watched)|act|part|date|night|season|world|love|person|thing|things|thoughts?|day|two|three|hour|week|weekend|month|"
    r"years?|year|man|word|place|version|few|couple|decades?|name|names|amigo|of\s+(?:all|that|the)\b|\d(?!\s*/)))"
    r"|(?:number|no\.?|nr\.?|option|pick)\s*(?P<num>\d{1,2}|(?<!no )(?:one|two|three|four|five))\b)"
    r"|#\s?(?P<hash>\d{1,2})\b"
    r"|(?<![\w.:/<+=*-])(?P<bare>[1-9])(?![\w%'’/+*=]|[.:]\d|\s*(?:hours?|hrs?|h\b|min|m\b|years?|yrs?|stars?|decades?|films?|movies?|books?|(?<=1)\s*more\b|times|"
    r"teen\w*|kids|people|languages|x\b|[+*/=]))",
    re.IGNORECASE,
)
# Numbers in words point where two stand together or where something is said of them; alone they count.
_SPOKEN = r"one|two|three|four|five"
_PAIR = re.compile(
    rf"\b(?P<a>{_SPOKEN})(?=\s*(?:,|and|or|vs\.?|versus|&)\s*(?P<b>{_SPOKEN})\b)(?!\s+or\s+(?:two|three)\s+(?:\w+\s+)?\w+s\b)",
    re.IGNORECASE,
)
_SPOKEN_OF = re.compile(
    rf"(?:(?:^|[.,;!?]\s*|\band\s+)(?P<n>{_SPOKEN})(?=\s+(?:is(?!\s+(?:enough|too|plenty|fine|ok))|was|looks?|sounds?|seems?|good|bad|great|seen|already|yes|no)\b)"
    r"|\b(?:like|seen|watched|hated|loved|liked|about|swap|drop|remove|vetoed|(?:no|yes|maybe)\s+to|not|than)\s+(?P<n2>two|three|four|five)(?=\s*(?:$|[.;!?]|,|then\b|but\b|and\b|please\b)))",
    re.IGNORECASE,
)
_COUNT_VERB = re.compile(
    r"\b(?:give|show|send|get|find|recommend|suggest|want|need|just|only|cut\s+it|down)\s+(?:me\s+|us\s+|it\s+)?(?:to\s+)?$",
    re.IGNORECASE,
)
# A digit after these is a count, a time, an age or a mark: "at 5", "top 3", "show 5", "that's 5".
_NO_PLACE = re.compile(
    r"(?:\b(?:at|top|show|shows|gave|thats|that['’]s|my|all\s+time\s+top|is|are|just|only|for|under|over|until)\s+|[:<])$",
    re.IGNORECASE,
)
_AFTER_IS = re.compile(r"\b(?:is|are)\s+$", re.IGNORECASE)
_PLURAL = re.compile(
    r"\b(?:which\s+of\s+(?P<of>these|those)"
    r"|(?P<plural>these)(?=\s*(?:[?.!,]|$)|\s+(?:because|instead|or)\b|\s+are\s+(?:all\s+)?(?:great|good|perfect|lovely|rubbish|awful|bad|terrible)\b))",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:(?:that|this)\s+(?:one|film|movie|book|game|pick|title)|it['’]?s|its|it"
    r"|that(?=\s*[?.!,]|\s*$|\s+(?:or|over|but|and|actually|already|instead|is\s+(?:rubbish|great|good|bad|awful|terrible|perfect|brilliant|boring))\b)"
    r"|this(?=\s*[?.!,]|\s*$|\s+(?:or|over|but|and\s+not)\b)"
    r"|(?<=is )(?:that|this)(?=\s+(?:ok|okay|any|better|suitable|like|scary|too|good|funny|long|sad)\b)"
    r"|(?<=picked )that)\b",
    re.IGNORECASE,
)
# "make it shorter", "that's it", "mix it up", "why that one" after a name: the word stands for no item.
_EMPTY_BEFORE = re.compile(
    r"\b(?:make|makes|making|keep|mix|that['’]?s|thats|believe|bump|wait|cut|cool|doing|stop|sort|blow|damn|beat|hit|name[d]?|said|using|wipe|scrap)\s+$",
    re.IGNORECASE,
)
_EMPTY_AFTER = re.compile(r"\s+(?:rains?|raining|snows?|would\s+be\s+nice|up\s+a\s+bit|depends)\b", re.IGNORECASE)
_RELATIVE = re.compile(
    r"\bthe\s+one\s+(?P<side>above|below|before|after|under)(?:\s+(?:it|that))?\b(?!\s+\w)", re.IGNORECASE
)
_OTHERS = re.compile(
    rf"\bthe\s+(?:other\s+(?P<one>one)|other\s+(?P<k>{_K})|others|other\s+ones|rest)\b(?!\s+of\s+(?:the|my))",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"\bthe\s+two\b(?=\s*(?:$|[.,;!?]|of\s+them|of\s+these|are\b|were\b|seem\b|look\b))|\bboth(?:\s+of\s+(?:them|these|those))?(?=\s*(?:$|[.,;!?]))",
    re.IGNORECASE,
)
_SIDES = {
    "short": ("duration", -1), "long": ("duration", 1), "old": ("year", -1), "new": ("year", 1), "recent": ("year", 1),
}  # fmt: skip
_EXTREME = re.compile(
    r"\bthe\s+(?:(?P<most>short|long|old|new|most\s+recent)(?:est)?(?<=est|ent)(?:\s+(?:one|of\s+(?:these|those|them|the\s+(?:lot|list|bunch))))?(?=\s*(?:$|[.,;!?]|or\b|and\b|one\b|of\b|is\b|was\b|then\b))"
    r"|(?P<plain>short|long|old|new)(?:er)?\s+one\b)",
    re.IGNORECASE,
)
_SEQUEL = re.compile(r"\bthe\s+sequel\b(?!\s+(?:to|of)\b)", re.IGNORECASE)
_SEQUEL_TITLE = re.compile(r"\b(?:2|II|Part Two|Chapter Two|Returns|Again)\b", re.IGNORECASE)
_DESCRIBED = re.compile(
    r"\bthe\s+(?P<what>[\w’'-]+(?:\s+[\w’'-]+){0,2}?)\s+(?P<ones>ones?)\b"
    r"|\b(?:the|that)\s+one\s+(?:with|by|from|about|in)\s+(?:the\s+)?(?P<with>[\w’'-]+(?:\s+[\w’'-]+)?)",
    re.IGNORECASE,
)
_BY = re.compile(r"\bthe\s+(?P<name>(?-i:[A-Z])[\w’'-]+)(?=\s*(?:[,.?!;]|$)|\s+(?:or|and)\b)", re.IGNORECASE)
_NO_DESCRIPTION = frozenset(
    [
        *ORDINALS,
        "last",
        "top",
        "middle",
        "bottom",
        "left",
        "right",
        "other",
        "only",
        "old",
        "new",
        "short",
        "long",
        "same",
    ]
)


class References:
    """Finds references in messages; needs the catalogue for extremes and descriptions of what is on the screen."""

    def __init__(self, catalogue: Catalogue, gazetteer: Gazetteer) -> None:
        self._catalogue = catalogue
        self._gazetteer = gazetteer

    def described(self, text: str, shown: Shown) -> Iterator[Span]:
        """Yield references by what an item is: "the Danish one", "the Ozu". Only where something on the screen is that."""
        for m in _DESCRIBED.finditer(text) if shown else ():
            group = "what" if m["what"] else "with"
            what = m[group]
            while what:
                items = () if what.lower() in _NO_DESCRIPTION else self._fitting(what, shown)
                if items and (
                    len(items) == 1 or m["ones"] is None or m["ones"].lower() == "ones" or len(items) < len(shown)
                ):
                    end = m.end() if group == "what" else m.start("with") + len(what)
                    yield _ref(text, m.start(), end, items if (m["ones"] or "").lower() == "ones" else items[:1])
                    break
                what = what.rpartition(" ")[0] if group == "with" else ""
        for m in _BY.finditer(text) if shown else ():
            items = self._by(m["name"], shown)
            if len(items) == 1:
                yield _ref(text, m.start(), m.end(), items)

    def found(
        self, text: str, shown: Shown, focus: ItemId | None, numbers: Sequence[Span], named: Sequence[Span]
    ) -> Iterator[Span]:
        """Yield references by place, extreme and pronoun; `named` are the items already found by name."""
        if not shown:
            return
        places = [s for s in self._pointed(text, shown, numbers) if not _inside_longer(s, numbers)]
        places.sort(key=lambda s: s.start)
        yield from places
        known = sorted([*places, *(s for s in named if s.is_item)], key=lambda s: s.start)
        yield from _others(text, shown, focus, known)
        for m in _RELATIVE.finditer(text):
            base = _before(m.start(), known) or focus or shown[0]
            step = -1 if m["side"].lower() in ("above", "before") else 1
            place = shown.index(base) + step if base in shown else -1
            if 0 <= place < len(shown):
                yield _ref(text, m.start(), m.end(), (shown[place],))
        for m in _PLURAL.finditer(text):
            group = "of" if m["of"] else "plural"
            yield _ref(text, m.start(group), m.end(group), shown)
        for m in _PRONOUN.finditer(text):
            if not _EMPTY_BEFORE.search(text[: m.start()]) and not _EMPTY_AFTER.match(text, m.end()):
                # "the third one, is it scary": "it" means what was pointed at before.
                before = _before(m.start(), places) if m.group()[0] in "iI" else None
                yield _ref(text, m.start(), m.end(), (before or focus or shown[0],))

    def at(self, text: str, shown: Shown) -> Shown:
        """Return the items that a text begins by pointing at ("the second one ..."); empty when it does not."""
        m = _PLACES.match(text)
        return _placed(m, shown) if m and shown else ()

    def _pointed(self, text: str, shown: Shown, numbers: Sequence[Span]) -> Iterator[Span]:
        for m in _PLACES.finditer(text):
            items = _placed(m, shown)
            # "give me 3" is a count; "3 and 5" points.
            counted = m["bare"] and (_overlapped(m, numbers) or _is_amount(text, m))
            if items and not counted:
                yield _ref(text, m.start(), m.end(), items)
        for m in _EXTREME.finditer(text):
            items = self._extreme(m, shown)
            if items:
                yield _ref(text, m.start(), m.end(), items)
        for m in _SEQUEL.finditer(text):
            items = tuple(i for i in shown if (item := self._catalogue.get(i)) and _SEQUEL_TITLE.search(item.title))
            if len(items) == 1:
                yield _ref(text, m.start(), m.end(), items)
        if len(shown) == 2:
            for m in _BOTH.finditer(text):
                yield _ref(text, m.start(), m.end(), shown)
        yield from _spoken(text, shown)

    def _extreme(self, match: re.Match[str], shown: Shown) -> Shown:
        word = (match["most"] or match["plain"]).lower().split()[-1]
        quantity, side = _SIDES[word]
        attribute = next((a.name for a in self._catalogue.domain.attributes if a.quantity == quantity), None)
        values = [
            (side * value, i)
            for i in shown
            if attribute and (item := self._catalogue.get(i)) and (value := item.number(attribute)) is not None
        ]
        # max() keeps the first of equals: the list's own order decides between two films of one length.
        return (max(values, key=lambda v: v[0])[1],) if values else ()

    def _fitting(self, what: str, shown: Shown) -> Shown:
        """Return the shown items of which a name, a value, a person or a year holds."""
        key = name_key(what)
        if re.fullmatch(r"(?:19|20)\d\d", what):
            years = [a.name for a in self._catalogue.domain.attributes if a.quantity == "year"]
            return tuple(
                i for i in shown if (item := self._catalogue.get(i)) and years and item.number(years[0]) == int(what)
            )
        entry = self._gazetteer.get(key)
        by_value: Shown = ()
        if entry:
            meant = [c for _, constraints in entry.values for c in constraints]
            rows = {i: self._catalogue.row(i) for i in shown}
            by_value = tuple(
                i for i in shown if i in entry.items or any(self._catalogue.satisfied(c, rows[i]) for c in meant)
            )
        return by_value or self._by(what, shown) or self._titled(key, shown)

    def _by(self, name: str, shown: Shown) -> Shown:
        """Return the shown items with a person of that name or surname."""
        key = name_key(name)
        people = [a.name for a in self._catalogue.domain.attributes if a.people]
        return tuple(
            i
            for i in shown
            if (item := self._catalogue.get(i))
            and any(name_key(p)[-len(key) :] == key for attribute in people for p in item.values(attribute))
        )

    def _titled(self, key: tuple[str, ...], shown: Shown) -> Shown:
        """Return the shown items whose title has the words, when these are not only small ones."""
        if not key or sum(map(len, key)) < 4:
            return ()
        return tuple(i for i in shown if (item := self._catalogue.get(i)) and set(key) <= set(name_key(item.title)))


def _placed(match: re.Match[str], shown: Shown) -> Shown:
    """Return the items that words like "the second one" point at; empty when there is no such place."""
    said = {name: value.lower() for name, value in match.groupdict().items() if value}
    if "all" in said:
        return shown
    if "k" in said or "k2" in said:
        word = said.get("k") or said["k2"]
        k = int(word) if word.isdigit() else CARDINALS[word]
        return shown[-k:] if (said.get("firstn") or said["end"]) in ("last", "bottom") else shown[:k]
    place = said.get("place") or said.get("at")
    if place:
        index = {"top": 1, "left": 1, "middle": (len(shown) + 1) // 2}.get(place, len(shown))
    elif "ord" in said or "put" in said:
        word = said.get("ord") or said["put"]
        index = len(shown) if word == "last" else ORDINALS[word]
    else:
        word = said.get("num") or said.get("hash") or said["bare"]
        index = int(word) if word.isdigit() else CARDINALS[word]
    return (shown[index - 1],) if 1 <= index <= len(shown) else ()


def _spoken(text: str, shown: Shown) -> Iterator[Span]:
    """Numbers in words that point: "two and four", "two good, four bad"."""
    for m in _PAIR.finditer(text):
        if not _COUNT_VERB.search(text[: m.start()]):
            for group in ("a", "b"):
                yield from _numbered(text, m.start(group), m.end(group), shown)
    for m in _SPOKEN_OF.finditer(text):
        group = "n" if m["n"] else "n2"
        yield from _numbered(text, m.start(group), m.end(group), shown)


def _numbered(text: str, start: int, end: int, shown: Shown) -> Iterator[Span]:
    index = CARDINALS[text[start:end].lower()]
    if index <= len(shown):
        yield _ref(text, start, end, (shown[index - 1],))


def _is_amount(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()]
    if _AFTER_IS.search(before) and text[match.end() :].strip(" .?!"):
        return False  # "is 5 any good?"
    return _NO_PLACE.search(before) is not None


def _others(text: str, shown: Shown, focus: ItemId | None, known: Sequence[Span]) -> Iterator[Span]:
    """What is left of the list beside the items that the message names: "keep the first two, drop the rest"."""
    for m in _OTHERS.finditer(text):
        named = {i for s in known for i in s.items} & set(shown) or ({focus} if focus else set[ItemId]())
        left = tuple(i for i in shown if i not in named)
        wanted = (
            1 if m["one"] else int(m["k"]) if (m["k"] or "").isdigit() else CARDINALS[m["k"].lower()] if m["k"] else 0
        )
        if named and left and wanted in (0, len(left)):
            yield _ref(text, m.start(), m.end(), left)


def _before(start: int, known: Sequence[Span]) -> ItemId | None:
    """Return the single item last pointed at before a place."""
    earlier = [s for s in known if s.end <= start and len(s.items) == 1]
    return earlier[-1].items[0] if earlier else None


def _overlapped(match: re.Match[str], spans: Sequence[Span]) -> bool:
    return any(s.start < match.end() and match.start() < s.end for s in spans)


def _inside_longer(span: Span, numbers: Sequence[Span]) -> bool:
    """Return whether a longer number expression covers a reference: "the last" in "the last ten years"."""
    return any(
        n.constraints and n.start < span.end and span.start < n.end and n.end - n.start > span.end - span.start
        for n in numbers
    )


def _ref(text: str, start: int, end: int, items: Shown) -> Span:
    return Span(start, end, text[start:end], "ref", items=items)
