"""The folder of one run: `run.json` says what was measured and how, `cases.parquet` holds one row per case and method.

While a run lasts its rows are appended to `rows.jsonl`, one flushed line each, so that a run which was stopped goes on
where it stood; the last line of a run that was killed may be cut and is then dropped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from vouchrec.evals.runs.measures import Curve, Key, Measure, Row, read_curves, read_measures
from vouchrec.retrieval.errors import ConfigError

__all__ = ["Manifest", "RunFolder", "protocol_hash", "read_run", "versions"]

MANIFEST, ROWS, CASES = "run.json", "rows.jsonl", "cases.parquet"
FORMAT = 1
_LIBRARIES = ("vouchrec", "numpy", "scipy", "implicit", "torch", "transformers", "chromadb", "pyarrow")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run is: enough to read its rows, to repeat it, and to know with what it may be compared.

    Attributes:
        suite: Name of the suite.
        title, about: What it measures, for people.
        protocol: Everything that decides which cases there are and how they are judged, JSON-ready.
        settings: What was measured (models, workspace, strengths), JSON-ready; runs of one protocol may differ in it.
        seed: Seed of splits, samples and resamples.
        measures, curves: What is made of the rows.
        methods: What was measured, in the order of the report.
        baseline: The method that others are compared with; empty for none.
        versions: Python and libraries.
        machine: Platform and processors.
        started, finished: Seconds since 1970; finished is None while rows are missing.
        seconds: Time spent, interruptions left out.
        facts: What came up while running (time of a fit, sizes), JSON-ready.
        rows: Number of rows.
    """

    suite: str
    title: str
    about: str
    protocol: Mapping[str, object]
    settings: Mapping[str, object]
    seed: int
    measures: tuple[Measure, ...]
    curves: tuple[Curve, ...] = ()
    methods: tuple[str, ...] = ()
    baseline: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    machine: Mapping[str, object] = field(default_factory=dict[str, object])
    started: float = 0.0
    finished: float | None = None
    seconds: float = 0.0
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    rows: int = 0

    @property
    def hash(self) -> str:
        """16 hex digits of suite and protocol: figures of runs with the same hash can be compared."""
        return protocol_hash(self.suite, self.protocol)

    def record(self) -> dict[str, object]:
        """Return the manifest as JSON."""
        return {"format": FORMAT, "protocol_hash": self.hash, **asdict(self)}

    def same_run(self, other: Manifest) -> bool:
        """Tell whether the rows of the other run are rows of this one."""
        mine, theirs = (json.dumps([m.hash, m.seed, m.settings, m.methods], sort_keys=True) for m in (self, other))
        return mine == theirs


def protocol_hash(suite: str, protocol: Mapping[str, object]) -> str:
    """Return 16 hex digits that change with the suite or anything in its protocol."""
    text = json.dumps([suite, protocol], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that figures depend on; those absent are left out."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """Return the platform and the number of processors."""
    return {"platform": platform.platform(terse=True), "processors": os.cpu_count() or 0}


class RunFolder:
    """A run that is being made.

    Args:
        folder: Where it lives; made when it is not there.
        manifest: What is to be run.
        restart: Throw away what an earlier run left there.

    Raises:
        ConfigError: The folder holds another run, or what it holds can't be read.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, restart: bool = False) -> None:
        self.folder, self.manifest = folder, manifest
        self.rows: dict[Key, Row] = {}
        self.resumed = False
        folder.mkdir(parents=True, exist_ok=True)
        if restart:
            for name in (MANIFEST, ROWS, CASES):
                (folder / name).unlink(missing_ok=True)
        if (folder / MANIFEST).is_file():
            self._resume()
        else:
            (folder / ROWS).unlink(missing_ok=True)
            self.manifest = replace(manifest, versions=versions(), machine=machine())
            _write_json(folder / MANIFEST, self.manifest.record())

    def _resume(self) -> None:
        before, rows = read_run(self.folder)
        if not before.same_run(self.manifest):
            what = "protocol" if before.hash != self.manifest.hash else "seed or settings"
            raise ConfigError(
                f"{self.folder} holds a run with another {what}.",
                hint="Name another folder with --out, or throw that run away with --restart.",
            )
        self.rows = {row.key: row for row in rows}
        self.resumed = True
        self.manifest = replace(
            self.manifest,
            versions=before.versions,
            machine=before.machine,
            started=before.started,
            seconds=before.seconds,
            facts=before.facts,
            finished=before.finished,
        )
        if before.finished is None:
            self._rewrite_rows(rows)

    def _rewrite_rows(self, rows: Iterable[Row]) -> None:
        """Leave whole lines only, so that what is appended starts a line."""
        _write_text(self.folder / ROWS, "".join(_line(row) for row in rows))

    @property
    def done(self) -> frozenset[Key]:
        """Keys of the rows that need not be made again."""
        return frozenset(self.rows)

    def add(self, row: Row) -> None:
        """Keep a row, on disk before this returns."""
        self.rows[row.key] = row
        with (self.folder / ROWS).open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def pause(self, seconds: float, facts: Mapping[str, object]) -> None:
        """Note the time spent so far and what came up."""
        self.manifest = replace(
            self.manifest, seconds=self.manifest.seconds + seconds, facts={**self.manifest.facts, **facts}
        )
        _write_json(self.folder / MANIFEST, self.manifest.record())

    def finish(self, moment: float) -> None:
        """Write the rows as Parquet and say that the run is whole."""
        _write_parquet(self.folder / CASES, list(self.rows.values()))
        self.manifest = replace(self.manifest, finished=moment, rows=len(self.rows))
        _write_json(self.folder / MANIFEST, self.manifest.record())
        (self.folder / ROWS).unlink(missing_ok=True)


def read_run(folder: Path) -> tuple[Manifest, list[Row]]:
    """Return a run, whole or not, with the rows that it has.

    Raises:
        ConfigError: There is no run, or it can't be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ConfigError(
            f"{folder} is no run: it has no {MANIFEST}.", hint="Make one with `vouch eval SUITE --out DIR`."
        )
    try:
        manifest = _manifest(cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8"))))
        rows = _read_parquet(folder / CASES) if manifest.finished is not None else _read_lines(folder / ROWS)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise ConfigError(
            f"The run in {folder} can't be read: {error}.", hint="Make it again with --restart."
        ) from error
    return manifest, rows


def _manifest(data: dict[str, object]) -> Manifest:
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r:.20}, this version reads {FORMAT}")
    known = {name: data[name] for name in Manifest.__dataclass_fields__}
    known["measures"] = read_measures(data["measures"])
    known["curves"] = read_curves(data["curves"])
    known["methods"] = tuple(map(str, cast("Sequence[object]", data["methods"])))
    return Manifest(**known)  # type: ignore[arg-type]


# ---- rows ---------------------------------------------------------------------------------------------------------


def _line(row: Row) -> str:
    values = {name: None if math.isnan(value) else value for name, value in row.values.items()}
    record = [row.group, row.method, row.case, values, list(row.items), dict(row.detail)]
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _read_lines(path: Path) -> list[Row]:
    """Return the whole lines; the cut line of a run that was killed is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    rows: list[Row] = []
    for line in whole.splitlines():
        group, method, case, values, items, detail = json.loads(line)
        numbers = {name: math.nan if value is None else float(value) for name, value in values.items()}
        rows.append(Row(case, method, group, numbers, tuple(items), detail))
    return rows


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    """One column per value (float64, null where undefined), the list as strings, the detail as JSON text."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    columns: dict[str, pa.Array] = {
        "case": pa.array([row.case for row in rows], pa.string()),
        "method": pa.array([row.method for row in rows], pa.string()),
        "group": pa.array([row.group for row in rows], pa.string()),
        "items": pa.array([list(row.items) for row in rows], pa.list_(pa.string())),
        "detail": pa.array([json.dumps(row.detail, ensure_ascii=False) for row in rows], pa.string()),
    }
    for name in names:
        values = [row.values.get(name, math.nan) for row in rows]
        columns[f"value.{name}"] = pa.array([None if math.isnan(v) else v for v in values], pa.float64())
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(pa.table(columns), temporary, compression="zstd")
    temporary.replace(path)


def _read_parquet(path: Path) -> list[Row]:
    rows: list[Row] = []
    for record in pq.read_table(path).to_pylist():
        values = {
            n.removeprefix("value."): math.nan if v is None else v for n, v in record.items() if n[:6] == "value."
        }
        items, detail = tuple(record["items"]), json.loads(record["detail"])
        rows.append(Row(record["case"], record["method"], record["group"], values, items, detail))
    return rows


def _write_json(path: Path, data: object) -> None:
    _write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
