"""What was tuned for one workspace: `tuned.toml` in its folder overrides the scorer's strength and the blend's weights.

::

    [scorer]
    l2 = 180.0                 # ridge strength of EASE

    [weights.history]          # also weights.request, weights.reference; a source that is not named keeps its weight
    neighbours = 0.2
    popularity = 0.3

`vouch tune --apply` writes it; removing the file brings the defaults back (the scorer's with the next `vouch init`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import cast

from vouchrec.retrieval.blend import Weights, WeightTables
from vouchrec.retrieval.errors import ConfigError

__all__ = ["TUNED_FILE", "Tuned", "read_tuned", "tuned_text", "write_tuned"]

TUNED_FILE = "tuned.toml"
_TABLES = tuple(f.name for f in fields(WeightTables))
_SOURCES = tuple(f.name for f in fields(Weights))


@dataclass(frozen=True, slots=True)
class Tuned:
    """Settings of one workspace.

    Attributes:
        l2: Ridge strength of EASE, above 0; None for the one that the size of the data suggests.
        weights: Tables of the blend.
    """

    l2: float | None = None
    weights: WeightTables = field(default_factory=WeightTables)


def read_tuned(folder: Path) -> Tuned:
    """Return what `tuned.toml` of a workspace folder says; the defaults without one.

    Raises:
        ConfigError: It is no TOML, or has an unknown key or a value that can't be one.
    """
    path = folder / TUNED_FILE
    if not path.is_file():
        return Tuned()
    try:
        data = cast("dict[str, object]", tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.", hint="Mend it, or remove it.") from error
    _known(path, "", data, ("scorer", "weights"))
    scorer = _table(path, "scorer", data.get("scorer", {}), ("l2",))
    l2 = _number(path, "scorer.l2", scorer["l2"]) if "l2" in scorer else None
    if l2 is not None and l2 <= 0:
        raise ConfigError(f"{path}: 'scorer.l2' must be above 0, found {l2:g}.")
    own = _table(path, "weights", data.get("weights", {}), _TABLES)
    defaults = WeightTables()
    tables = {name: _weights(path, name, own[name], cast("Weights", getattr(defaults, name))) for name in own}
    return Tuned(l2, replace(defaults, **tables))


def tuned_text(tuned: Tuned, note: str = "") -> str:
    """Return the settings as TOML: what differs from the defaults.

    Args:
        note: One line that says where they come from.
    """
    lines = [f"# {' '.join(note.split())}"] if note else []
    if tuned.l2 is not None:
        lines += ["[scorer]", f"l2 = {tuned.l2!r}", ""]
    defaults = asdict(WeightTables())
    for table, own in asdict(tuned.weights).items():
        changed = {name: value for name, value in own.items() if value != defaults[table][name]}
        if changed:
            lines += [f"[weights.{table}]", *(f"{name} = {float(value)!r}" for name, value in changed.items()), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def write_tuned(folder: Path, tuned: Tuned, note: str = "") -> Path:
    """Write `tuned.toml` into a folder, whole or not at all, and return its path."""
    path = folder / TUNED_FILE
    temporary = folder / f"{TUNED_FILE}.tmp"
    temporary.write_text(tuned_text(tuned, note), encoding="utf-8")
    temporary.replace(path)
    return path


def _weights(path: Path, name: str, raw: object, default: Weights) -> Weights:
    own = _table(path, f"weights.{name}", raw, _SOURCES)
    return replace(default, **{source: _number(path, f"weights.{name}.{source}", v) for source, v in own.items()})


def _table(path: Path, name: str, raw: object, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: '{name}' must be a table, found {raw!r:.60}.")
    table = cast("dict[str, object]", raw)
    _known(path, f"{name}.", table, known)
    return table


def _known(path: Path, where: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    unknown = next((key for key in table if key not in known), None)
    if unknown is not None:
        raise ConfigError(f"{path}: unknown key '{where}{unknown}'.", hint=f"Known: {', '.join(known)}.")


def _number(path: Path, name: str, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ConfigError(f"{path}: '{name}' must be a finite number, found {raw!r:.60}.")
    return float(raw)
