"""Names that a message can contain: titles, people, attribute values and their synonyms, by their folded words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz, process

from vouchrec.agent.words import common_words, name_key, without_article
from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.domain import Attribute
from vouchrec.retrieval.types import Constraint, ItemId, ItemVector, Row

LONGEST_NAME = 12
"""Words in the longest name that is looked up."""
MIN_SURNAME_ITEMS = 2
"""A surname alone means a person who has at least this many items; for the first people attribute (the maker) one is enough."""
FUZZY_CUTOFF = 87.0
_PLURALS = ("s", "es")


@dataclass(slots=True)
class Entry:
    """All that one name can mean."""

    items: list[ItemId] = field(default_factory=list[ItemId])
    people: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    values: list[tuple[str, tuple[Constraint, ...]]] = field(default_factory=list[tuple[str, tuple[Constraint, ...]]])


class Gazetteer:
    """Names of an open catalogue.

    Args:
        catalogue: Its items and domain.
        popularity: (n_items,) prior by row, for names that several items share.
    """

    def __init__(self, catalogue: Catalogue, popularity: ItemVector) -> None:
        self._catalogue = catalogue
        self._popularity = popularity
        self._entries: dict[tuple[str, ...], Entry] = defaultdict(Entry)
        self._title_strings: dict[str, tuple[str, ...]] = {}
        self._domain_words: set[str] = set()
        for row in range(len(catalogue)):
            self.add_item(row)
        for attribute in catalogue.domain.attributes:
            if attribute.kind in ("list", "text") and attribute.filterable:
                self._add_people(attribute) if attribute.people else self._add_values(attribute)
        for word in (catalogue.domain.noun, catalogue.domain.plural, *catalogue.domain.nouns):
            self._domain_words.update(name_key(word))

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: tuple[str, ...]) -> Entry | None:
        """Return what a folded name can mean, or None."""
        return self._entries.get(key)

    def add_item(self, row: Row) -> None:
        """Make an item's title and aliases known."""
        item = self._catalogue.items[row]
        for name in (item.title, *item.aliases):
            for variant in _variants(name):
                key = name_key(variant)
                if key and len(key) <= LONGEST_NAME:
                    entry = self._entries[key]
                    if item.id not in entry.items:
                        entry.items.append(item.id)
                    self._title_strings[" ".join(key)] = key

    def by_popularity(self, items: Iterable[ItemId]) -> tuple[ItemId, ...]:
        """Return items most popular first; of equally popular ones the earlier in the catalogue first."""

        def prior(item: ItemId) -> float:
            row = self._catalogue.row(item)
            return float(self._popularity[row]) if row < len(self._popularity) else 0.0

        return tuple(sorted(items, key=lambda i: (-prior(i), self._catalogue.row(i))))

    def is_common(self, key: tuple[str, ...]) -> bool:
        """Return whether a name consists of ordinary words only, so that it needs evidence to be taken as a title."""
        return all(w in common_words() or w in self._domain_words or w.isdigit() or len(w) == 1 for w in key)

    def nearest_titles(self, text: str, n: int = 3, *, cutoff: float = FUZZY_CUTOFF) -> list[tuple[ItemId, float]]:
        """Return items whose names are spelt most like the text, with likeness 0 to 100."""
        wanted = " ".join(name_key(text))
        if len(wanted) < 4:
            return []
        choices = list(self._title_strings)  # a copy: another thread may add an item
        found = process.extract(wanted, choices, scorer=fuzz.ratio, limit=3 * n, score_cutoff=cutoff)
        # "85 minutes" is spelt like "15 minutes" and means something else: numbers must agree.
        same = [(name, score) for name, score, _ in found if _numbers(name) == _numbers(wanted)]
        return [
            (self.by_popularity(self._entries[self._title_strings[name]].items)[0], score) for name, score in same[:n]
        ]

    def _add_people(self, attribute: Attribute) -> None:
        surnames: dict[str, set[str]] = defaultdict(set)
        for item in self._catalogue.items:
            for person in item.values(attribute.name):
                people = self._entries[name_key(person)].people
                if attribute.name not in people.setdefault(person, []):
                    people[person].append(attribute.name)
                surnames[name_key(person)[-1] if name_key(person) else ""].add(person)
        for surname, people_of in surnames.items():
            person = max(people_of, key=lambda p: len(self._catalogue.rows_with(attribute.name, p)))
            count = len(self._catalogue.rows_with(attribute.name, person))
            rivals = [
                p for p in people_of if p != person and len(self._catalogue.rows_with(attribute.name, p)) * 3 > count
            ]
            enough = 1 if attribute == self._catalogue.domain.people[0] else MIN_SURNAME_ITEMS
            if count >= enough and not rivals and len(surname) > 2 and surname not in common_words():
                names = self._entries[(surname,)].people
                if not names or person in names:
                    names.setdefault(person, []).append(attribute.name)

    def _add_values(self, attribute: Attribute) -> None:
        originals = {fold(v): v for item in reversed(self._catalogue.items) for v in item.values(attribute.name)}
        for value in self._catalogue.values(attribute.name):
            meant = (Constraint(attribute.name, "is", originals[value]),)
            variants = _plural_variants(value) if attribute.kind == "list" else (value,)
            for variant in (*variants, *(() if attribute.strict else _comparatives(value))):
                self._add_value(variant, attribute.name, meant)
        for surface, value in attribute.synonyms.items():
            known = tuple(v for v in value.split("|") if self._catalogue.rows_with(attribute.name, v))
            if "+" in value:
                meant = tuple(Constraint(attribute.name, "is", part) for part in value.split("+"))
            elif len(known) > 1:
                meant = (Constraint(attribute.name, "any_of", known),)
            elif known:
                meant = (Constraint(attribute.name, "is", known[0]),)
            else:
                # A value that the catalogue lacks is still a wish: the answer must say that nothing satisfies it.
                meant = (Constraint(attribute.name, "is", value.split("|")[0]),)
            for variant in (surface, *(() if attribute.strict else _comparatives(surface))):
                self._add_value(variant, attribute.name, meant)
            for part in value.split("|"):  # so that a country without items is understood, and then honestly not found
                self._add_value(part, attribute.name, (Constraint(attribute.name, "is", part),))

    def _add_value(self, surface: str, attribute: str, meant: tuple[Constraint, ...]) -> None:
        key = name_key(surface)
        if key and not any(name == attribute for name, _ in self._entries[key].values):
            self._entries[key].values.append((attribute, meant))


def _variants(name: str) -> Sequence[str]:
    """Return a name with and without its article, and with `&` and `and` exchanged."""
    found = [name, without_article(name)]
    if "&" in name:
        found.append(name.replace("&", "and"))
    return list(dict.fromkeys(found))


def _plural_variants(value: str) -> Sequence[str]:
    if not value or not value[-1].isalpha():
        return (value,)
    singular = (value.removesuffix("es"), value.removesuffix("s")) if value.endswith("s") and len(value) > 4 else ()
    ies = (value[:-1] + "ies",) if value.endswith("y") else ()
    return (value, *(value + ending for ending in _PLURALS), *singular, *ies)


def _comparatives(value: str) -> Sequence[str]:
    """Return the comparative forms of an adjective: "dark" -> "darker", "funny" -> "funnier"."""
    if " " in value or "-" in value or len(value) > 8:
        return ()
    if value.endswith("y"):
        return (value[:-1] + "ier", value[:-1] + "iest")
    return (value + "r",) if value.endswith("e") else (value + "er", value + "est", value + value[-1] + "er")


def _numbers(text: str) -> list[str]:
    return [word for word in text.split() if word.isdigit()]
