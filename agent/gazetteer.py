"""Names that a message can contain: titles, people, attribute values and their synonyms, by their folded words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from vouchrec.agent.words import common_words, name_key, without_article
from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.domain import Attribute
from vouchrec.retrieval.types import Constraint, ItemId, ItemVector, Row

LONGEST_NAME = 12
"""Words in the longest name that is looked up."""
MIN_SURNAME_ITEMS = 2
"""A surname alone means a person who has at least this many items; for the first people attribute (the maker) one is enough."""
MIN_FIRST_NAME_ITEMS = 5
"""A first name alone means a person who has at least this many items, and three times as many as anyone of that name."""
FUZZY_CUTOFF = 87.0
FUZZY_PERSON_CUTOFF = 85.0
LONGEST_PLAIN = 7
"""Letters from which a surname is unlike enough to other words that a misspelling of it is told alone."""
_FULL_NAMES = {"jimmy": "jam", "bill": "wil", "bob": "rob", "bobby": "rob", "dick": "ric", "johnny": "joh"}  # fmt: skip
_LONG_WORD = 9
"""Letters from which a misspelt value may have two typing errors."""
_PLURALS = ("s", "es")
_LOWER_WORD = re.compile(r"(?<![\w'’-])[a-z]{3,}(?![\w'’-])")


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
        for attribute in catalogue.domain.attributes:
            if attribute.implies:
                self._add_implied(attribute)
        self._value_names = {
            " ".join(key): key
            for key, entry in self._entries.items()
            if entry.values and not entry.items and not entry.people and len(key) <= 2 and len(" ".join(key)) > 4
        }
        for word in (catalogue.domain.noun, catalogue.domain.plural, *catalogue.domain.nouns):
            self._domain_words.update(name_key(word))
        # A word that descriptions write small is no name by itself: "judge", "hill", "park".
        self._ordinary = frozenset(w for item in catalogue.items for w in _LOWER_WORD.findall(item.description))
        self.initials: set[str] = set()
        self.first_names: set[str] = set()
        self._people: dict[str, str] = {}
        self._given: frozenset[str] = frozenset()
        self._surnamed: dict[str, list[str]] = defaultdict(list)
        self._known_as: dict[tuple[str, ...], dict[str, list[str]]] = {}
        self._add_short_names()
        surnames = {name_key(person)[-1] for person in self._items_by_person()}
        self._alone = sorted(
            s for s in surnames if len(s) >= LONGEST_PLAIN and ((s,) in self._known_as or self._entries_of_people(s))
        )

    def _entries_of_people(self, word: str) -> bool:
        entry = self._entries.get((word,))
        return entry is not None and bool(entry.people) and not entry.items and not entry.values

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: tuple[str, ...]) -> Entry | None:
        """Return what a folded name can mean, or None."""
        return self._entries.get(key)

    def known_as(self, key: tuple[str, ...]) -> Mapping[str, list[str]]:
        """Return the person whom a part of a name means when nobody else comes near ("Denzel"), with the attributes."""
        return self._known_as.get(key) or self._nicknamed(key)

    def _nicknamed(self, key: tuple[str, ...]) -> Mapping[str, list[str]]:
        """Return who is called by a short first name: "Nic Cage", "Jimmy Stewart"; a common word is none."""
        if len(key) != 2 or len(key[0]) < 3 or key[0] in common_words():
            return {}
        start = _FULL_NAMES.get(key[0], key[0])
        called = [p for p in self._surnamed.get(key[1], ()) if name_key(p)[0].startswith(start)]
        return {called[0]: self._entries[name_key(called[0])].people[called[0]]} if len(called) == 1 else {}

    def is_value(self, key: tuple[str, ...]) -> bool:
        """Return whether a name means a value of an attribute."""
        entry = self._entries.get(key)
        return entry is not None and bool(entry.values)

    def is_ordinary(self, word: str) -> bool:
        """Return whether a folded word is one of the language, so that it is a name only with a capital or a cue."""
        return word in common_words() or word in self._ordinary

    def begins_name(self, word: str) -> bool:
        """Return whether a folded word is somebody's first name."""
        return word in self._given

    def nearest_person(self, name: str) -> Mapping[str, list[str]]:
        """Return the person whose name is spelt most like the text, with the attributes; empty when none is near."""
        wanted = " ".join(name_key(name))
        found = process.extractOne(wanted, list(self._people), scorer=fuzz.ratio, score_cutoff=FUZZY_PERSON_CUTOFF)
        if found is None:
            return {}
        person = self._people[found[0]]
        return {person: self._entries[name_key(person)].people[person]}

    def nearest_surname(self, word: str) -> tuple[str, ...] | None:
        """Return the key under which a misspelt surname of one well-known person is found ("Tarrantino"), or None."""
        found = process.extractOne(word, self._alone, scorer=fuzz.ratio, score_cutoff=FUZZY_CUTOFF)
        return (found[0],) if found else None

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

    def nearest_value(self, words: str) -> tuple[str, ...] | None:
        """Return the key of the value that one or two misspelt words mean ("comdey", "spagetti western"), or None.

        One wrong, missing, additional or exchanged letter is allowed, two in long words.
        """
        cutoff = 1 if len(words) < _LONG_WORD else 2
        found = process.extractOne(words, self._value_names.keys(), scorer=OSA.distance, score_cutoff=cutoff)
        return self._value_names[found[0]] if found and found[0][0] == words[0] else None

    def _add_people(self, attribute: Attribute) -> None:
        surnames: dict[str, set[str]] = defaultdict(set)
        for item in self._catalogue.items:
            for person in item.values(attribute.name):
                key = name_key(person)
                if not key or (len(key) == 1 and (len(key[0]) < 3 or key[0] in common_words())):
                    continue  # a footnote mark such as "[a]", which would make a person of every article
                for form in {key, name_key(person.replace("-", " "))}:  # "Bong Joon Ho" is written both ways
                    people = self._entries[form].people
                    if attribute.name not in people.setdefault(person, []):
                        people[person].append(attribute.name)
                surnames[key[-1]].add(person)
        self._add_surnames(attribute, surnames)
        for surface, person in attribute.synonyms.items():
            if self._catalogue.rows_with(attribute.name, person):
                self._entries[name_key(surface)].people.setdefault(person, []).append(attribute.name)

    def _add_surnames(self, attribute: Attribute, surnames: Mapping[str, set[str]]) -> None:
        """Make a surname stand for the one who is well known by it."""
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

    def _add_short_names(self) -> None:
        """Make first names, leading parts, surnames and initials of the well-known stand for them."""
        people = self._items_by_person()
        self._people = {" ".join(name_key(person)): person for person in people}
        self._given = frozenset(name_key(person)[0] for person in people)
        for person, items in people.items():
            if len(items) >= MIN_SURNAME_ITEMS:
                self._surnamed[name_key(person)[-1]].append(person)
        bearers: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for person in people:
            for key in _short_names(name_key(person)):
                bearers[key].append(person)
        makers = self._catalogue.domain.people[:1]
        for key, persons in bearers.items():
            person = max(persons, key=lambda p: len(people[p]))
            first = name_key(person)[0] == key[0]
            if _leads(person, persons, people, first=first) and not (first and key[0] in common_words()):
                self._know(key, person)
                if first and len(key) == 1:
                    self.first_names.add(key[0])
        for person, items in people.items():
            words = name_key(person)
            initials = ("".join(w[0] for w in words),)
            made = any(len(self._catalogue.rows_with(a.name, person)) >= MIN_SURNAME_ITEMS for a in makers)
            if made and len(words) == 3 and len(items) >= MIN_SURNAME_ITEMS and initials not in self._entries:
                self.initials.add(initials[0])
                self._know(initials, person)

    def _know(self, key: tuple[str, ...], person: str) -> None:
        found = {person: self._entries[name_key(person)].people[person]}
        self._known_as.setdefault(key, found)
        possessive = (f"{key[0]}s",)  # "nolans shortest film"
        if len(key) == 1 and len(key[0]) > 4 and possessive not in self._entries and self._is_no_word(possessive[0]):
            self._known_as.setdefault(possessive, found)

    def _is_no_word(self, word: str) -> bool:
        return not self.is_ordinary(word) and not self.is_ordinary(word.removesuffix("s"))

    def _items_by_person(self) -> dict[str, set[ItemId]]:
        found: dict[str, set[ItemId]] = defaultdict(set)
        for item in self._catalogue.items:
            for attribute in self._catalogue.domain.people:
                for person in item.values(attribute.name):
                    if name_key(person):
                        found[person].add(item.id)
        return found

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

    def _add_implied(self, attribute: Attribute) -> None:
        """Let names of one attribute mean what they hold of another: "courtroom drama" is also a drama, "slasher" also horror."""
        for key, entry in self._entries.items():
            own = next((meant for name, meant in entry.values if name == attribute.name), None)
            if own is None or entry.values[0][0] not in (attribute.name, attribute.implies):
                continue
            whole = [meant for name, meant in entry.values if name == attribute.implies]
            words = [self._entries.get((word,)) for word in key] if len(key) > 1 and not whole else []
            implied = [c for word in words if word for c in _of_attribute(word, attribute.implies)]
            rest = [value for value in entry.values if value[0] not in (attribute.name, attribute.implies)]
            # What is ruled out is the first alone: "no slashers" leaves other horror.
            joined = tuple(dict.fromkeys((*own, *(c for meant in whole for c in meant), *implied)))
            entry.values[:] = [(attribute.name, joined), *rest]

    def _add_value(self, surface: str, attribute: str, meant: tuple[Constraint, ...]) -> None:
        key = name_key(surface)
        if key and not any(name == attribute for name, _ in self._entries[key].values):
            self._entries[key].values.append((attribute, meant))


def _of_attribute(entry: Entry, attribute: str) -> Iterator[Constraint]:
    """Yield what a name means of one attribute, when that is one value."""
    for name, constraints in entry.values:
        if name == attribute and len(constraints) == 1 and constraints[0].op == "is":
            yield constraints[0]


def _short_names(words: tuple[str, ...]) -> Sequence[tuple[str, ...]]:
    """Return the parts of a person's name that can stand for it: the first, the last, and the first two of more."""
    if len(words) < 2:
        return ()
    single = [(w,) for w in (words[0], words[-1]) if len(w) > 2]
    return [*single, words[:2]] if len(words) > 2 else single


def _leads(person: str, bearers: Sequence[str], items: Mapping[str, set[ItemId]], *, first: bool) -> bool:
    """Return whether a name shared by several means this one; who nearly always works with this one is no rival (the Coens)."""
    mine = items[person]
    if len(mine) < (MIN_FIRST_NAME_ITEMS if first else MIN_SURNAME_ITEMS):
        return False
    rivals = [p for p in bearers if p != person and len(items[p] & mine) < 0.8 * len(items[p])]
    return all(len(items[p]) * (3 if first else 2) <= len(mine) for p in rivals)


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
