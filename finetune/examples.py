"""Authored messages and reasons -> training examples, through the very linker and prompts that serving uses.

A message is written with its annotation in place: `something like {Alien|title|like} but {funny|moods|prefer}`. Names are
exchanged for others of the catalogue, the plain text is linked again, and each linked span takes the role of the annotation that
it overlaps; a span that no annotation covers is `ignore`. So the model learns on the linker's real output, its mistakes included.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vouchrec.agent.annotations import Annotation, AuthoredTurn, role_of
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.base import Message
from vouchrec.agent.plan import join
from vouchrec.agent.prompts import Planned, reason_prompt, understand_prompt, write_reading
from vouchrec.agent.types import Reading, Role
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.types import Item

AUTHORED = Path(__file__).parent / "data"
REDIAL_ANNOTATIONS = AUTHORED / "redial_annotations.jsonl"
"""Annotations of messages whose words stay in the data set (`vouchrec.agent.redial_annotations`)."""
_REFERENCE = re.compile(r"^\[\[(rec1|liked[123])(?:\.([a-z_]+))?\]\]$")


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with the answer to learn.

    Attributes:
        skill: `understand` or `reason`.
        group: Authored line it was made from; a split never parts one.
    """

    skill: str
    group: str
    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class AuthoredReason:
    """One authored reason with its plan of (kind, reference)."""

    group: str
    plan: tuple[tuple[str, str], ...]
    text: str


# ---- reading ----------------------------------------------------------------------------------------------------


def read_reasons(paths: Sequence[Path], *, only: str = "") -> list[AuthoredReason]:
    """Read authored reason files.

    Args:
        only: Text that a line must hold to be read, where a file also holds other things.

    Raises:
        DataFileError: A line is not valid or a reference malformed; with file and row.
    """
    found: list[AuthoredReason] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or only not in line:
                continue
            try:
                record = json.loads(line)
                plan = tuple((str(kind), str(reference)) for kind, reference in record["plan"])
                text = str(record["reason"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataFileError(path, f"not a plan with its reason: {error!r:.120}", row=number) from error
            if any(not _REFERENCE.match(reference) for _, reference in plan):
                raise DataFileError(path, "malformed reference", row=number, field="plan")
            found.append(AuthoredReason(f"{path.stem}:{number}", plan, text))
    return found


# ---- variation --------------------------------------------------------------------------------------------------


class Names:
    """Names of a catalogue to put in place of authored ones, alike in form."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._titles = [name for item in catalogue.items for name in (item.title, item.title, *item.aliases[:1])]
        self._people = sorted(
            {p for a in catalogue.domain.people for item in catalogue.items for p in item.values(a.name)}
        )
        self._surfaces: dict[tuple[str, str], list[str]] = {}
        self._known: dict[str, set[str]] = {}
        for attribute in catalogue.domain.attributes:
            if attribute.kind == "list" and not attribute.people:
                self._collect(attribute, catalogue)

    def _collect(self, attribute: Attribute, catalogue: Catalogue) -> None:
        values = [v for v, count in catalogue.values(attribute.name).items() if count >= 2]
        self._known[attribute.name] = {*values, *attribute.synonyms}
        for surface in (*values, *attribute.synonyms):
            origin = "value" if surface in values else "synonym"
            self._surfaces.setdefault((attribute.name, _form(surface, origin, attribute)), []).append(surface)

    def alike(self, kind: str, surface: str, rng: random.Random) -> str | None:
        """Return another name of the same kind and form, or None when the kind is not exchanged (numbers, references)."""
        if kind == "title":
            chosen = rng.choice(self._titles)
        elif kind == "person":
            chosen = rng.choice(self._people)
        elif kind in self._known:
            folded = surface.casefold()
            if folded not in self._known[kind]:
                return None
            pools = [pool for (name, _), pool in self._surfaces.items() if name == kind and folded in pool]
            chosen = rng.choice(pools[0]) if pools else surface
            if kind in ("countries", "languages") and surface[:1].isupper():
                chosen = chosen.title()
        else:
            return None
        return chosen.lower() if surface.islower() else chosen


def _form(surface: str, origin: str, attribute: Attribute) -> str:
    """A coarse grammatical form, so that an exchange reads right: plural or not, one word or several, value or synonym."""
    kind = origin if attribute.single else "any"
    return f"{kind}/{'plural' if surface.endswith('s') else 'plain'}/{'in' if surface.startswith('in ') else ''}/{' ' in surface}"


def vary(turn: AuthoredTurn, names: Names, rng: random.Random, *, rate: float) -> AuthoredTurn:
    """Return the message with each name exchanged with probability `rate`."""
    text, position = "", 0
    found: list[Annotation] = []
    for a in turn.annotations:
        surface = turn.text[a.start : a.end]
        if a.role != "ignore" and rng.random() < rate:
            surface = names.alike(a.kind, surface, rng) or surface
        text += turn.text[position : a.start]
        found.append(Annotation(len(text), len(text) + len(surface), a.kind, a.role))
        text += surface
        position = a.end
    text += turn.text[position:]
    return AuthoredTurn(turn.group, text, tuple(found), turn.act, turn.shown, turn.before)


# ---- examples ---------------------------------------------------------------------------------------------------


def understanding_examples(
    turns: Sequence[AuthoredTurn], linker: Linker, *, copies: int, seed: int, rate: float = 0.75
) -> Iterator[Example]:
    """Yield examples of reading messages: each authored turn as written, then copies with other names."""
    rng = random.Random(seed)
    names = Names(linker.catalogue)
    ids = [item.id for item in linker.catalogue.items]
    for copy in range(copies):
        for turn in turns:
            varied = turn if copy == 0 else vary(turn, names, rng, rate=rate)
            shown = tuple(rng.sample(ids, min(turn.shown, len(ids))))
            focus = shown[0] if len(shown) == 1 else None
            yield understanding_example(varied, linker, Screen(shown, focus))


def understanding_example(turn: AuthoredTurn, linker: Linker, screen: Screen) -> Example:
    """Return one example: the message linked as in serving, with roles by overlap with the annotation."""
    spans = linker.link(turn.text, screen)
    roles: tuple[Role, ...] = tuple([role_of(span, turn, linker.catalogue.domain) for span in spans])
    prompt = understand_prompt(turn.text, spans, shown=turn.shown, before=turn.before)
    return Example("understand", turn.group, tuple(prompt), write_reading(Reading(turn.act, roles)))


def reason_examples(
    reasons: Sequence[AuthoredReason], catalogue: Catalogue, *, copies: int, seed: int
) -> Iterator[Example]:
    """Yield examples of wording reasons: each authored reason with the values of different items in its plan."""
    rng = random.Random(seed)
    for _ in range(copies):
        for reason in reasons:
            plan = tuple(
                Planned(kind, reference, _example_value(reference, rng.choice(catalogue.items), catalogue, rng))
                for kind, reference in reason.plan
            )
            yield Example("reason", reason.group, tuple(reason_prompt(plan)), reason.text)


def _example_value(reference: str, item: Item, catalogue: Catalogue, rng: random.Random) -> str:
    match = _REFERENCE.match(reference)
    name = match[2] if match else None
    if not name:
        return item.title
    values = item.values(name) or (name,)
    attribute = catalogue.domain.attribute(name)
    unit = f" {attribute.unit}" if attribute and attribute.unit else ""
    return join(rng.sample(values, min(len(values), rng.choice((1, 1, 2))))) + unit


def split_groups(groups: Sequence[str], *, held_out: float, seed: int) -> set[str]:
    """Return the authored lines that are kept for validation."""
    unique = sorted(set(groups))
    random.Random(seed).shuffle(unique)
    return set(unique[: round(len(unique) * held_out)])
