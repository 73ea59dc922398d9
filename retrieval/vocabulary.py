"""The words of other languages, and signs, that mean a domain's values: `films.es.toml` beside `films.toml`.

Such a file has `nouns` (what an item is called), `cues` (words before a person's name, by attribute) and `values`: by attribute
and value the words for it, separated by semicolons. `divertid(o|a|os|as)` stands for its four forms, and `(|s)` for an ending
that may be missing. The file `films.symbols.toml` does the same for flags and other signs.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from vouchrec.retrieval.errors import ConfigError

SYMBOLS = "symbols"
"""The name under which signs stand among the languages."""
_CODE = re.compile(r"[a-z]{2,3}|symbols")
_CHOICE = re.compile(r"\(([^()]*)\)")
_KEYS = frozenset({"nouns", "cues", "values"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a domain's values are called in one language, as written: forms are not yet spelt out.

    Attributes:
        nouns: Words for an item.
        cues: By attribute of people, the words that go before a name.
        values: By attribute and value, the words that mean it; a value may be several as in synonyms (`a|b`).
    """

    nouns: str = ""
    cues: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, dict[str, str]])


def forms(words: str) -> Iterator[str]:
    """Yield every form of words separated by semicolons: `comedia(|s); cómica` are "comedia", "comedias" and "cómica"."""
    for word in filter(None, (part.strip() for part in words.split(";"))):
        parts = _CHOICE.split(word)
        choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
        yield from ("".join(chosen) for chosen in itertools.product(*choices))


def read_vocabularies(domain_file: Path) -> dict[str, Vocabulary]:
    """Read the word files beside a domain file, by language: `films.es.toml` for `films.toml`.

    Raises:
        ConfigError: A file is no TOML, can't be read, or has something unknown in it.
    """
    found: dict[str, Vocabulary] = {}
    for path in sorted(domain_file.parent.glob(f"{domain_file.stem}.*.toml")):
        language = path.stem.removeprefix(f"{domain_file.stem}.")
        if not _CODE.fullmatch(language):
            continue  # a copy such as films.old.copy.toml
        try:
            with path.open("rb") as file:
                found[language] = parse_vocabulary(tomllib.load(file), str(path))
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror or error}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    return found


def parse_vocabularies(raw: object, where: str) -> dict[str, Vocabulary]:
    """Return the vocabularies of a parsed `words` table, by language.

    Raises:
        ConfigError: What is there is no table of languages.
    """
    table = _table(raw, where)
    wrong = next((code for code in table if not _CODE.fullmatch(code)), None)
    if wrong is not None:
        raise ConfigError(f"{where}: '{wrong}' is no language.", hint="Use a code such as es, or symbols.")
    return {code: parse_vocabulary(value, f"{where} [words.{code}]") for code, value in table.items()}


def parse_vocabulary(raw: object, where: str) -> Vocabulary:
    """Return the vocabulary of a parsed table.

    Raises:
        ConfigError: A key is unknown or a text is missing; the message names it.
    """
    table = _table(raw, where)
    unknown = set(table) - _KEYS
    if unknown:
        raise ConfigError(f"{where}: unknown key '{min(unknown)}'.", hint=f"Known: {', '.join(sorted(_KEYS))}.")
    values = _table(table.get("values", {}), f"{where} values")
    return Vocabulary(
        nouns=_text(table.get("nouns", ""), f"{where} nouns"),
        cues=_texts(table.get("cues", {}), f"{where} cues"),
        values={name: _texts(words, f"{where} [values.{name}]") for name, words in values.items()},
    )


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a table.")
    return cast("Mapping[str, object]", value)


def _texts(value: object, where: str) -> dict[str, str]:
    return {key: _text(text, f"{where}: {key}") for key, text in _table(value, where).items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where} must be a string, found {value!r:.60}.", hint="Separate words by semicolons.")
    return value
