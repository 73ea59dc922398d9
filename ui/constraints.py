r"""Constraints as people type them: `year>=1990`, `genres=comedy|drama`, `genres!=horror`, `~moods=funny`, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import cast, get_args

from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.types import AttributeValue, Constraint, Op, Strength

_SHORT = re.compile(
    r"^(?P<soft>~?)\s*(?P<attribute>[A-Za-z][A-Za-z0-9_]*)\s*(?P<sign>>=|<=|!=|=)\s*(?P<value>.+)$", re.DOTALL
)
HINT = 'Write "year>=1990", "genres=comedy|drama", "genres!=horror", "~moods=funny" (soft), or JSON.'
OPS: tuple[Op, ...] = get_args(Op)
STRENGTHS: tuple[Strength, ...] = get_args(Strength)


def parse_constraints(texts: Iterable[str], domain: Domain) -> tuple[Constraint, ...]:
    """Parse constraints from the command line.

    Raises:
        RequestError: One can't be read, or names an attribute or a value that the domain does not allow.
    """
    return tuple(constraint for text in texts for constraint in _parse(text, domain))


def make_constraint(attribute: str, op: str, value: object, *, domain: Domain, strength: str = "hard") -> Constraint:
    """Check the parts of one constraint against the domain and return it.

    Raises:
        RequestError: An unknown attribute, operator or strength, or a value that does not fit them.
    """
    declared = domain.attribute(attribute)
    if declared is None:
        known = ", ".join(a.name for a in domain.attributes) or "none"
        raise RequestError(f"There is no attribute '{attribute}'.", hint=f"Attributes: {known}.")
    if op not in OPS:
        raise RequestError(f"There is no operator '{op}'.", hint=f"Use one of {', '.join(OPS)}.")
    if strength not in STRENGTHS:
        raise RequestError(f"There is no strength '{strength}'.", hint="Use hard or soft.")
    return Constraint(attribute, op, _value(declared, op, value), strength)


def _parse(text: str, domain: Domain) -> list[Constraint]:
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return _parse_json(stripped, domain)
    match = _SHORT.match(stripped)
    if match is None:
        raise RequestError(f"'{text}' is not a constraint.", hint=HINT)
    values = tuple(v.strip() for v in match["value"].split("|") if v.strip())
    sign, many = match["sign"], len(values) > 1
    if not values or (many and sign in (">=", "<=")):
        raise RequestError(f"'{text}' is not a constraint.", hint=HINT)
    ops: dict[str, Op] = {
        ">=": "min",
        "<=": "max",
        "=": "any_of" if many else "is",
        "!=": "none_of" if many else "is_not",
    }
    value: object = list(values) if many else values[0]
    strength = "soft" if match["soft"] else "hard"
    return [make_constraint(match["attribute"], ops[sign], value, domain=domain, strength=strength)]


def _parse_json(text: str, domain: Domain) -> list[Constraint]:
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise RequestError(f"'{text}' is not valid JSON.", hint=HINT) from None
    entries = cast("list[object]", data) if isinstance(data, list) else [data]
    return [_from_record(entry, domain) for entry in entries]


def _from_record(entry: object, domain: Domain) -> Constraint:
    if not isinstance(entry, Mapping):
        raise RequestError(f"'{entry}' is not a constraint.", hint=HINT)
    record = cast("Mapping[str, object]", entry)
    missing = {"attribute", "op", "value"} - set(record)
    if missing:
        raise RequestError(f"A constraint lacks '{min(missing)}'.", hint=HINT)
    return make_constraint(
        str(record["attribute"]),
        str(record["op"]),
        record["value"],
        domain=domain,
        strength=str(record.get("strength", "hard")),
    )


def _value(declared: Attribute, op: str, value: object) -> AttributeValue:
    if op in ("any_of", "none_of"):
        if not isinstance(value, list | tuple) or not value:
            raise RequestError(f"'{declared.name}' with {op} needs a list of values.", hint=HINT)
        return tuple(str(_single(declared, op, v)) for v in cast("list[object]", value))
    return _single(declared, op, value)


def _single(declared: Attribute, op: str, value: object) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise RequestError(f"'{declared.name}' can't be compared with {json.dumps(value, default=str):.60}.", hint=HINT)
    if op in ("min", "max") and declared.kind not in ("number", "date"):
        raise RequestError(f"'{declared.name}' is not a number, so it has no {op}.", hint=HINT)
    if declared.kind != "number":
        return value if isinstance(value, str) else str(value)
    try:
        number = float(value)
    except ValueError:
        raise RequestError(f"'{declared.name}' is a number; '{value}' is not.", hint=HINT) from None
    return int(number) if number.is_integer() else number
