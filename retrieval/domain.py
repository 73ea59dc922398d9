"""The domain file: what an item is called, which attributes exist, how each is phrased and filtered.

A TOML file (see docs/how-to/own-catalogue.md) keeps every word of a domain out of the code. Without one, a domain is
inferred from the items file: lists and repeated short texts become filters, numbers and dates become ranges.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, cast

from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.types import AttributeValue, Item
from vouchrec.retrieval.vocabulary import Vocabulary, parse_vocabularies, read_vocabularies

T = TypeVar("T", bound=str)
Kind: TypeAlias = Literal["text", "number", "list", "date"]
Quantity: TypeAlias = Literal["", "year", "duration", "price", "count"]
KINDS: tuple[Kind, ...] = ("text", "number", "list", "date")
QUANTITIES: tuple[Quantity, ...] = ("", "year", "duration", "price", "count")
RESERVED = frozenset({"id", "title", "description", "aliases"})
_NAME = re.compile(r"[^\W\d_]\w*")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d+)?")
_YEARS = range(1000, 2200)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One declared attribute.

    Attributes:
        name: Key in the items file.
        kind: text, number, list or date.
        label: Singular word for it ("genre").
        phrase: What follows "It is": `{value}` stands for the values, `{noun}` for the item's noun ("directed by {value}").
        people: True when the values are names of people.
        filterable: False for long texts that are searched but never filtered.
        strict: True when a wish for a value is a hard condition; False when it only raises the score (moods).
        single: True when an item seldom has two values, so that several wanted values are alternatives (countries).
        quantity: What a number measures, which decides how it is spoken of.
        unit: Unit word for numbers ("minutes").
        synonyms: Surface form to value ("sci-fi" to "science fiction").
        lower, higher: Comparative words ("shorter", "longer").
        cues: Words that go before or after a person's name to mean this attribute ("directed by").
        words: Words that speak of this attribute without naming a value ("director", "directing").
        nouns: How a value stands as a noun where it is more than itself ("heist" to "a heist").
        implies: Attribute whose values are meant as well where the words of this one's values hold them: "psychological
            thriller" (a subgenre) asks for a thriller (a genre). Empty for none.
    """

    name: str
    kind: Kind = "list"
    label: str = ""
    phrase: str = "{value}"
    people: bool = False
    filterable: bool = True
    strict: bool = True
    single: bool = False
    quantity: Quantity = ""
    unit: str = ""
    synonyms: Mapping[str, str] = field(default_factory=dict[str, str])
    lower: tuple[str, ...] = ()
    higher: tuple[str, ...] = ()
    cues: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    nouns: Mapping[str, str] = field(default_factory=dict[str, str])
    implies: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """What the items are and which attributes they have.

    Attributes:
        noun, plural: What one item and several are called.
        consume, consumed: What a person does with one ("watch", "watched").
        nouns: Other words for an item ("movie", "flick").
        attributes: Declared attributes in order of importance.
        recency: Name of the number or date attribute that says how new an item is; empty for none.
        esteem: Values that say that an item is well thought of, by attribute; they stand beside popularity where nothing else
            tells items apart.
        examples: Prompts shown to a new user.
        words: What the values are called in other languages, by language, and as signs (`symbols`).
    """

    noun: str = "item"
    plural: str = "items"
    consume: str = "try"
    consumed: str = "tried"
    nouns: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    recency: str = ""
    esteem: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    examples: tuple[str, ...] = ()
    words: Mapping[str, Vocabulary] = field(default_factory=dict[str, Vocabulary])

    def attribute(self, name: str) -> Attribute | None:
        """Return the declared attribute of that name, or None."""
        return next((a for a in self.attributes if a.name == name), None)

    @property
    def people(self) -> tuple[Attribute, ...]:
        """Attributes whose values are names of people."""
        return tuple(a for a in self.attributes if a.people)

    def to_dict(self) -> dict[str, object]:
        """Return a JSON-ready form that `from_dict` reads back."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, object], *, where: str = "domain") -> Domain:
        """Build a domain from the parsed TOML or JSON form.

        Raises:
            ConfigError: An unknown key, a wrong kind, or an attribute declared twice; the message names it.
        """
        return _parse_domain(data, where)


def load_domain(path: Path) -> Domain:
    """Read a domain file, and the word files beside it (see `retrieval/vocabulary.py`).

    Raises:
        ConfigError: The file is absent, is not TOML, or declares something unknown.
    """
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such domain file.") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    domain = Domain.from_dict(data, where=str(path))
    return replace(domain, words={**domain.words, **read_vocabularies(path)})


@lru_cache(maxsize=1_024)
def attribute_name(column: str) -> str:
    """Return the attribute that a column of an items file stands for: "Release Year" is `release_year`.

    Returns an empty string for a column without a letter in front, which can't name an attribute.
    """
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", column).casefold())
    name = "_".join(words).strip("_")
    return name if _NAME.fullmatch(name) else ""


def infer_domain(items: Iterable[Item]) -> Domain:
    """Guess a domain from items: used when no domain file declares the attributes.

    Numbers named like a year become years; lists and short texts with repeated values become filters. Texts that all look
    like numbers or dates count as such, since a CSV file has only texts.
    """
    seen: dict[str, list[AttributeValue]] = {}
    for item in items:
        for name, value in item.attributes.items():
            seen.setdefault(name, []).append(value)
    attributes = tuple(_infer_attribute(name, values) for name, values in seen.items())
    age = next((a.name for a in attributes if a.quantity == "year" or a.kind == "date"), "")
    return Domain(attributes=attributes, recency=age)


def _infer_attribute(name: str, values: list[AttributeValue]) -> Attribute:
    label = name.removesuffix("s").replace("_", " ")
    if all(_looks_numeric(v) for v in values):
        year = "year" in name and all(int(float(cast("str", v))) in _YEARS for v in values)
        quantity: Quantity = "year" if year else ""
        return Attribute(name=name, kind="number", label=label, quantity=quantity, phrase=f"{label} {{value}}")
    if any(isinstance(v, tuple) for v in values):
        return Attribute(name=name, kind="list", label=label)
    distinct = {str(v) for v in values}
    if all(_looks_like_date(v) for v in distinct):
        return Attribute(name=name, kind="date", label=label, phrase=f"{label} {{value}}")
    short = all(len(v) <= 60 for v in distinct)
    return Attribute(name=name, kind="text", label=label, filterable=short and len(distinct) * 2 <= len(values))


def _looks_numeric(value: AttributeValue) -> bool:
    """Numbers, and texts of them without leading zeros (those are codes)."""
    return isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)


def _looks_like_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text[:10])
    except ValueError:
        return False
    return len(text) >= 10 and text[4] == "-"


_ITEM_KEYS = frozenset({"noun", "plural", "consume", "consumed", "nouns", "recency", "esteem", "examples"})


def _parse_domain(data: Mapping[str, object], where: str) -> Domain:
    nested = "item" in data
    item = (
        _table(data["item"], f"{where} [item]")
        if nested
        else {k: v for k, v in data.items() if k not in ("attributes", "words")}
    )
    _reject_unknown(item, _ITEM_KEYS, f"{where} [item]" if nested else where)
    if nested:
        _reject_unknown(data, frozenset({"item", "attributes", "words"}), where)
    attributes = _parse_attributes(data.get("attributes", {}), where)
    recency = _string(item, "recency", "", where)
    if recency and recency not in {a.name for a in attributes}:
        raise ConfigError(f"{where}: recency names '{recency}', which is not a declared attribute.")
    esteem = {
        name: _strings(values, f"{where} esteem")
        for name, values in _table(item.get("esteem", {}), f"{where} esteem").items()
    }
    if not esteem.keys() <= {a.name for a in attributes}:
        raise ConfigError(f"{where}: esteem names an attribute that is not declared.")
    default = Domain()
    noun = _string(item, "noun", default.noun, where)
    return Domain(
        noun=noun,
        plural=_string(item, "plural", f"{noun}s", where),
        consume=_string(item, "consume", default.consume, where),
        consumed=_string(item, "consumed", default.consumed, where),
        nouns=_strings(item.get("nouns", ()), f"{where} nouns"),
        attributes=attributes,
        recency=recency,
        esteem=esteem,
        examples=_strings(item.get("examples", ()), f"{where} examples"),
        words=parse_vocabularies(data.get("words", {}), where),
    )


def _parse_attributes(raw: object, where: str) -> tuple[Attribute, ...]:
    entries: list[Mapping[str, object]]
    if isinstance(raw, Mapping):
        table = cast("Mapping[str, object]", raw)
        entries = [{"name": name, **_table(value, f"{where} [attributes.{name}]")} for name, value in table.items()]
    elif isinstance(raw, list | tuple):
        entries = [_table(value, f"{where} attributes") for value in cast("Iterable[object]", raw)]
    else:
        raise ConfigError(f"{where}: attributes must be a table.")
    attributes = tuple(_parse_attribute(entry, where) for entry in entries)
    names = [a.name for a in attributes]
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: attribute '{next(n for n in names if names.count(n) > 1)}' is declared twice.")
    for attribute in attributes:
        if attribute.implies and attribute.implies not in names:
            problem = f"{where} [attributes.{attribute.name}]: implies names '{attribute.implies}'"
            raise ConfigError(f"{problem}, which is not a declared attribute.")
    return attributes


def _parse_attribute(entry: Mapping[str, object], where: str) -> Attribute:
    name = str(entry.get("name", ""))
    place = f"{where} [attributes.{name}]"
    if not name or attribute_name(name) != name or name in RESERVED:
        raise ConfigError(f"{place}: '{name}' can't name an attribute.", hint="Use lower-case letters, digits and _.")
    _reject_unknown(entry, frozenset(Attribute.__dataclass_fields__), place)
    phrase = _string(entry, "phrase", "{value}", place)
    if "{value}" not in phrase:
        raise ConfigError(f"{place}: phrase must contain {{value}}.")
    synonyms = _table(entry.get("synonyms", {}), f"{place} synonyms")
    nouns = _table(entry.get("nouns", {}), f"{place} nouns")
    return Attribute(
        name=name,
        kind=_choice(entry, "kind", KINDS, "list", place),
        label=_string(entry, "label", "", place) or name.removesuffix("s").replace("_", " "),
        phrase=phrase,
        people=_flag(entry, "people", False, place),
        filterable=_flag(entry, "filterable", True, place),
        strict=_flag(entry, "strict", True, place),
        single=_flag(entry, "single", False, place),
        quantity=_choice(entry, "quantity", QUANTITIES, "", place),
        unit=_string(entry, "unit", "", place),
        synonyms={k.casefold(): _string(synonyms, k, "", f"{place} synonyms") for k in synonyms},
        lower=_strings(entry.get("lower", ()), f"{place} lower"),
        higher=_strings(entry.get("higher", ()), f"{place} higher"),
        cues=_strings(entry.get("cues", ()), f"{place} cues"),
        words=_strings(entry.get("words", ()), f"{place} words"),
        nouns={k: _string(nouns, k, "", f"{place} nouns") for k in nouns},
        implies=_string(entry, "implies", "", place),
    )


def _reject_unknown(table: Mapping[str, object], known: frozenset[str], where: str) -> None:
    unknown = set(table) - known
    if unknown:
        raise ConfigError(f"{where}: unknown key '{min(unknown)}'.", hint=f"Known: {', '.join(sorted(known))}.")


def _choice(entry: Mapping[str, object], key: str, choices: tuple[T, ...], default: T, where: str) -> T:
    value = entry.get(key, default)
    if value not in choices:
        known = ", ".join(str(c) for c in choices if c)
        raise ConfigError(f"{where}: {key} {value!r} is unknown.", hint=f"Use one of {known}.")
    return cast("T", value)


def _string(entry: Mapping[str, object], key: str, default: str, where: str) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} must be a string, found {value!r:.60}.")
    return value


def _flag(entry: Mapping[str, object], key: str, default: bool, where: str) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {key} must be true or false, found {value!r:.60}.")
    return value


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a table.")
    return cast("Mapping[str, object]", value)


def _strings(value: object, where: str) -> tuple[str, ...]:
    found = cast("list[object]", list(value)) if isinstance(value, list | tuple) else None
    if found is None or not all(isinstance(v, str) for v in found):
        raise ConfigError(f"{where} must be a list of strings.")
    return tuple(cast("list[str]", found))
