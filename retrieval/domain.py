"""The domain file: what an item is called, which attributes exist, how each is phrased and filtered.

A TOML file (see docs/how-to/own-catalogue.md) keeps every word of a domain out of the code. Without one, a domain is
inferred from the items file: lists and repeated short texts become filters, numbers become ranges.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.types import Item

Kind: TypeAlias = Literal["text", "number", "list", "date"]
Quantity: TypeAlias = Literal["", "year", "duration", "price", "count"]
KINDS: tuple[Kind, ...] = ("text", "number", "list", "date")
QUANTITIES: tuple[Quantity, ...] = ("", "year", "duration", "price", "count")
RESERVED = frozenset({"id", "title", "description", "aliases"})
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


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


@dataclass(frozen=True, slots=True)
class Domain:
    """What the items are and which attributes they have.

    Attributes:
        noun, plural: What one item and several are called.
        consume, consumed: What a person does with one ("watch", "watched").
        nouns: Other words for an item ("movie", "flick").
        attributes: Declared attributes in order of importance.
        recency: Name of the number or date attribute that says how new an item is; empty for none.
        examples: Prompts shown to a new user.
        default_language: Value of a language attribute that needs no mention; unused when empty.
    """

    noun: str = "item"
    plural: str = "items"
    consume: str = "try"
    consumed: str = "tried"
    nouns: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    recency: str = ""
    examples: tuple[str, ...] = ()

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
    """Read a domain file.

    Raises:
        ConfigError: The file is absent, is not TOML, or declares something unknown.
    """
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such domain file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    return Domain.from_dict(data, where=str(path))


def infer_domain(items: Iterable[Item]) -> Domain:
    """Guess a domain from items: used when no domain file is given.

    Numbers named like a year become years; lists and short texts with repeated values become filters.
    """
    seen: dict[str, list[object]] = {}
    for item in items:
        for name, value in item.attributes.items():
            seen.setdefault(name, []).append(value)
    return Domain(attributes=tuple(_infer_attribute(name, values) for name, values in seen.items()))


def _infer_attribute(name: str, values: list[object]) -> Attribute:
    label = name.removesuffix("s").replace("_", " ")
    if all(isinstance(v, int | float) for v in values):
        quantity: Quantity = "year" if "year" in name.lower() else ""
        return Attribute(name=name, kind="number", label=label, quantity=quantity, phrase=f"{label} {{value}}")
    if any(isinstance(v, tuple) for v in values):
        return Attribute(name=name, kind="list", label=label)
    distinct = {str(v) for v in values}
    short = all(len(v) <= 60 for v in distinct)
    return Attribute(name=name, kind="text", label=label, filterable=short and len(distinct) * 2 <= len(values))


def _parse_domain(data: Mapping[str, object], where: str) -> Domain:
    item = _table(data.get("item", data), f"{where} [item]")
    raw = data.get("attributes", {})
    entries: list[Mapping[str, object]]
    if isinstance(raw, Mapping):
        table = cast("Mapping[str, object]", raw)
        entries = [{"name": name, **_table(value, f"{where} [attributes.{name}]")} for name, value in table.items()]
    else:
        entries = [_table(value, f"{where} attributes") for value in cast("Iterable[object]", raw)]
    attributes = tuple(_parse_attribute(entry, where) for entry in entries)
    known = {"noun", "plural", "consume", "consumed", "nouns", "recency", "examples"}
    unknown = set(item) - known - {"attributes", "item"}
    if unknown:
        raise ConfigError(f"{where}: unknown key '{min(unknown)}' in [item].", hint=f"Known: {', '.join(sorted(known))}.")
    recency = str(item.get("recency", ""))
    if recency and recency not in {a.name for a in attributes}:
        raise ConfigError(f"{where}: recency names '{recency}', which is not a declared attribute.")
    default = Domain()
    return Domain(
        noun=str(item.get("noun", default.noun)),
        plural=str(item.get("plural", f"{item.get('noun', default.noun)}s")),
        consume=str(item.get("consume", default.consume)),
        consumed=str(item.get("consumed", default.consumed)),
        nouns=_strings(item.get("nouns", ()), f"{where} nouns"),
        attributes=attributes,
        recency=recency,
        examples=_strings(item.get("examples", ()), f"{where} examples"),
    )


def _parse_attribute(entry: Mapping[str, object], where: str) -> Attribute:
    name = str(entry.get("name", ""))
    place = f"{where} [attributes.{name}]"
    if not _NAME.match(name) or name in RESERVED:
        raise ConfigError(f"{place}: '{name}' can't name an attribute.", hint="Use lower-case letters, digits and _.")
    known = {f for f in Attribute.__dataclass_fields__}
    unknown = set(entry) - known
    if unknown:
        raise ConfigError(f"{place}: unknown key '{min(unknown)}'.", hint=f"Known: {', '.join(sorted(known))}.")
    kind, quantity = str(entry.get("kind", "list")), str(entry.get("quantity", ""))
    if kind not in KINDS:
        raise ConfigError(f"{place}: kind '{kind}' is unknown.", hint=f"Use one of {', '.join(KINDS)}.")
    if quantity not in QUANTITIES:
        raise ConfigError(f"{place}: quantity '{quantity}' is unknown.", hint="Use year, duration, price or count.")
    phrase = str(entry.get("phrase", "{value}"))
    if "{value}" not in phrase:
        raise ConfigError(f"{place}: phrase must contain {{value}}.")
    synonyms = _table(entry.get("synonyms", {}), f"{place} synonyms")
    return Attribute(
        name=name,
        kind=kind,
        label=str(entry.get("label") or name.removesuffix("s").replace("_", " ")),
        phrase=phrase,
        people=bool(entry.get("people", False)),
        filterable=bool(entry.get("filterable", True)),
        strict=bool(entry.get("strict", True)),
        single=bool(entry.get("single", False)),
        quantity=quantity,
        unit=str(entry.get("unit", "")),
        synonyms={k.casefold(): str(v) for k, v in synonyms.items()},
        lower=_strings(entry.get("lower", ()), place),
        higher=_strings(entry.get("higher", ()), place),
        cues=_strings(entry.get("cues", ()), place),
    )


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a table.")
    return cast("Mapping[str, object]", value)


def _strings(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"{where} must be a list of strings.")
    return tuple(str(v) for v in cast("Iterable[object]", value))
