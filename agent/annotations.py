"""Messages annotated in place, as people write them for training and for measuring: `something like {Alien|title|like}`.

The annotation marks a part of the text with what sort of thing it names and the role that the person gives it. Spans that the
linker finds take the role of the annotation they overlap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vouchrec.agent.rules import is_softened
from vouchrec.agent.types import ACTS, ITEM_ROLES, VALUE_ROLES, Act, Role, Span
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import DataFileError

_MARK = re.compile(r"\{([^|{}]*)\|([^|{}]*)\|([^|{}]*)\}")
_MIN_OVERLAP = 0.6
"""Share of the shorter of the two that a linked span and an annotation have in common, from which the span takes its role."""
_NEGATED = re.compile(r"\b(?:no|not|nothing|never|nor|without|none|\w+n['’]t)\b", re.IGNORECASE)
_OPPOSITE: Mapping[str, Role] = {"must": "exclude", "prefer": "avoid", "exclude": "must", "avoid": "prefer"}


@dataclass(frozen=True, slots=True)
class Annotation:
    """A marked part of an authored message."""

    start: int
    end: int
    kind: str
    role: str


@dataclass(frozen=True, slots=True)
class AuthoredTurn:
    """One authored message: plain text, annotations, act, items on the screen, and the message before."""

    group: str
    text: str
    annotations: tuple[Annotation, ...]
    act: Act
    shown: int
    before: str = ""


def read_messages(paths: Sequence[Path], *, only: str = "") -> list[AuthoredTurn]:
    """Read authored message files.

    Args:
        only: Text that a line must hold to be read, where a file also holds other things.

    Raises:
        DataFileError: A line is not valid; with file and row.
    """
    turns: list[AuthoredTurn] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip() and only in line:
                try:
                    turns.extend(_turns(f"{path.stem}:{number}", json.loads(line)["turns"]))
                except (ValueError, KeyError, TypeError) as error:
                    raise DataFileError(path, f"not a line of turns: {error!r:.120}", row=number) from error
    return turns


def _turns(group: str, raws: Sequence[Mapping[str, Any]]) -> Iterator[AuthoredTurn]:
    """Yield the messages of one line.

    Raises:
        ValueError: An act or a role is unknown.
    """
    before = ""
    for raw in raws:
        text, annotations = parse_annotation(raw["text"])
        bad = [a for a in annotations if a.role not in (*ITEM_ROLES, *VALUE_ROLES)]
        if raw["act"] not in ACTS or bad:
            raise ValueError(f"unknown act or role in {raw!r:.80}")
        yield AuthoredTurn(group, text, annotations, raw["act"], int(raw["shown"]), before)
        before = text


def parse_annotation(marked: str) -> tuple[str, tuple[Annotation, ...]]:
    """Return the plain text of a marked message and its annotations."""
    text, position = "", 0
    found: list[Annotation] = []
    for m in _MARK.finditer(marked):
        text += marked[position : m.start()]
        found.append(Annotation(len(text), len(text) + len(m[1]), m[2].strip(), m[3].strip()))
        text += m[1]
        position = m.end()
    return text + marked[position:], tuple(found)


def role_of(span: Span, turn: AuthoredTurn, domain: Domain) -> Role:
    """Return the role of a linked span: that of the annotation it overlaps most, or `ignore`.

    What a number span says includes its negation: "nothing over 150 minutes" is a limit that is wanted. Where the annotation
    and the span differ in holding the negation, the role is turned round. A plainly said condition is `must`.
    """
    annotation = annotation_of(span, turn.annotations)
    if annotation is None or annotation.role not in span.roles:
        return "ignore"
    role: Role = next(r for r in span.roles if r == annotation.role)
    if any(c.op in ("min", "max") for c in span.constraints) and role in _OPPOSITE:
        inside = _NEGATED.search(span.text) is not None
        marked = _NEGATED.search(turn.text[annotation.start : annotation.end]) is not None
        # Marked as unwanted together with its negation, the annotation counts the negation twice: it means the limit.
        says_limit = marked and role in ("exclude", "avoid")
        if (inside != marked) != says_limit:
            role = _OPPOSITE[role]
    attribute = domain.attribute(span.constraints[0].attribute) if span.constraints else None
    if role == "prefer" and attribute is not None and attribute.strict and not is_softened(turn.text):
        return "must"
    return role


def annotation_of(span: Span, annotations: Sequence[Annotation]) -> Annotation | None:
    """Return the annotation of the same sort (item, number or value) that a span overlaps most, if it does enough."""
    best, found = 0.0, None
    for a in annotations:
        if (a.kind in ("title", "ref")) != span.is_item and a.role != "ignore":
            continue
        shared = min(span.end, a.end) - max(span.start, a.start)
        shorter = min(span.end - span.start, a.end - a.start)
        if shared > 0 and shared / shorter >= _MIN_OVERLAP and shared > best:
            best, found = shared, a
    return found
