"""Writes a run: every target's rank as Parquet, the figures as JSON and as a Markdown page."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vouchrec.evals.intervals import Interval
from vouchrec.evals.redial.blend import Blend
from vouchrec.evals.redial.evaluate import Row, figures, mean_reciprocal_rank
from vouchrec.evals.redial.protocol import CUTS, PROTOCOLS, Protocol, protocol_hash
from vouchrec.evals.redial.run import BLEND, REPEAT, Benchmark, Outcome, Settings
from vouchrec.retrieval.errors import ConfigError

__all__ = ["markdown", "read_blends", "summary", "write_outcome"]

Json: TypeAlias = dict[str, object]
LIBRARIES = ("numpy", "scipy", "scikit-learn", "sentence-transformers", "torch")
VALIDATION = "worker-disjoint validation"
TAIL = 20
"""Mentions in training dialogues up to which a target counts as seldom named."""

PUBLISHED: Mapping[Protocol, Mapping[str, str]] = {
    "standard": {
        "KBRD": ".033 / .177 / .332",
        "KGSF": ".032 / .177 / .369",
        "UniCRS": ".049 / .213 / .421",
        "ECR": ".049 / .220 / .428",
        "PECRS": ".044 / .189 / .383",
        "ReFICR (7B)": ".049 / .270 / .507",
        "repeat what was mentioned": ".043 / .090 / .090",
    },
    "dedup": {
        "KBRD": ".017 / .148 / .300",
        "KGSF": ".016 / .147 / .327",
        "UniCRS": ".024 / .180 / .335",
        "ECR": ".026 / .181 / .337",
        "PECRS": ".022 / .143 / .341",
        "ReFICR (7B)": ".018 / .213 / .465",
    },
}
"""R@1 / R@10 / R@50 as re-evaluated by Kostric & Balog, SIGIR 2026: not the same evaluation code."""


def summary(bench: Benchmark, settings: Settings, outcome: Outcome, *, test: bool, signals: str) -> Json:
    """Return everything that a reader needs to judge or repeat the run, as JSON values.

    Args:
        bench: The data.
        settings: Of the run.
        outcome: Its result.
        test: Whether the test was opened.
        signals: Name of the embedder, or "none".
    """
    ids = [film.id for film in bench.catalogue.films]
    found = bench.source
    tables: Json = {}
    for protocol in PROTOCOLS:
        rows = [row for row in outcome.rows if row.protocol == protocol]
        by_method = {
            name: [row for row in rows if row.method == name] for name in dict.fromkeys(r.method for r in rows)
        }
        base = by_method[REPEAT if protocol == "standard" else "popularity"]
        tables[protocol] = {name: _method(own, base, settings.seed) for name, own in by_method.items()}
    return {
        "what": "official test" if test else VALIDATION,
        "protocol": protocol_hash(ids, outcome.cases),
        "films": len(ids),
        "cases": len(outcome.cases),
        "dialogues": len({case.dialogue for case in outcome.cases}),
        "training dialogues": {"labelled": len(bench.labelled), "recovered": len(bench.recovered)},
        "recovery": {
            "texts read": found.read,
            "left out as test, by flag": found.flagged,
            "left out as test, by id": found.test_by_id,
            "left out as test, by shared text": found.test_by_text,
            "left out as labelled": found.labelled,
            "recovered": len(found.dialogues),
            "films found in them": found.mentions,
        },
        "settings": asdict(settings),
        "embedder": signals,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "processor seconds": asdict(outcome.timing) if outcome.timing else None,
        "figures": tables,
        "new films seldom named": _tail(outcome.rows, bench),
        "weights": {
            protocol: {name: blend.weights[:, number].round(4).tolist() for number, name in enumerate(blend.names)}
            for protocol, blend in outcome.blends.items()
        },
    }


def read_blends(path: Path, settings: Settings, embedder: str) -> dict[Protocol, Blend]:
    """Read the weights of a validation that `write_outcome` wrote.

    Raises:
        ConfigError: The file can't be read, or was written with other settings, another embedder, or for the test.
    """
    hint = "Run the validation first: the same command without --weights and --test."
    try:
        record = cast("dict[str, dict[str, object]]", json.loads(path.read_text(encoding="utf-8")))
        same = {"settings": asdict(settings), "embedder": embedder, "what": VALIDATION}
        differ = [key for key, value in same.items() if record[key] != value]
        if differ:
            raise ConfigError(f"{path} was written with another value of {', '.join(differ)}.", hint=hint)
        tables = cast("dict[Protocol, dict[str, list[float]]]", record["weights"])
        return {
            protocol: Blend(tuple(table), np.array(list(table.values()), np.float64).T)
            for protocol, table in tables.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} can't be read as a validation: {error!r}.", hint=hint) from error


def markdown(record: Mapping[str, object]) -> str:
    """Return the page of a run."""
    recovery, training = _table(record, "recovery"), _table(record, "training dialogues")
    part = "At most" if record["what"] == VALIDATION else "All of"
    lines = [
        f"# ReDial: what is named next ({record['what']})",
        "",
        "Written by `python -m vouchrec.evals.redial`; not edited by hand.",
        "",
        f"Protocol `{record['protocol']}`: {record['dialogues']} dialogues, {record['cases']} turns of the recommender that name a",
        f"film, all {record['films']} films ranked; seed {_table(record, 'settings')['seed']}, 95% intervals over dialogues.",
        f"{part} {training['labelled']} labelled dialogues and {training['recovered']} with film ids recovered from text",
        f"({recovery['films found in them']} mentions) were learnt from. Embedder: {record['embedder']}.",
        "",
    ]
    for protocol in PROTOCOLS:
        published = PUBLISHED.get(protocol, {}) if record["what"] != VALIDATION else {}
        lines += [*_page_table(protocol, _table(_table(record, "figures"), protocol), published), ""]
    lines += ["Seldom named: " + json.dumps(record["new films seldom named"]) + ".", ""]
    spent = record["processor seconds"]
    if spent:
        lines += [
            f"Processor seconds: {json.dumps(spent)} (`fit` all models, `per_case` one context for all films).",
            "",
        ]
    lines += [f"Versions: {json.dumps(record['versions'])}.", ""]
    return "\n".join(lines)


def write_outcome(record: Mapping[str, object], rows: Sequence[Row], folder: Path, name: str) -> None:
    """Write `name.parquet`, `name.json` and `name.md` into a folder; each is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    partial = folder / f"{name}.partial"
    pq.write_table(table, partial)
    partial.replace(folder / f"{name}.parquet")
    for suffix, text in (("json", json.dumps(record, indent=1) + "\n"), ("md", markdown(record))):
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / f"{name}.{suffix}")


def _method(rows: Sequence[Row], base: Sequence[Row], seed: int) -> Json:
    values, gains = figures(rows, base, seed=seed)
    return {
        "targets": len(rows),
        **{name: asdict(interval) for name, interval in values.items()},
        "MRR": mean_reciprocal_rank(rows),
        "gain": {name: asdict(interval) for name, interval in gains.items()},
    }


def _tail(rows: Sequence[Row], bench: Benchmark) -> Json:
    """Return how the blend does on new films that training dialogues seldom name."""
    counts = _training_counts(bench)
    own = [row for row in rows if row.method == BLEND and row.protocol == "dedup"]
    seldom = [row for row in own if counts.get(row.target, 0) <= TAIL]
    found: Json = {"mentions at most": TAIL, "targets": len(seldom), "of": len(own)}
    for cut in CUTS:
        found[f"R@{cut}"] = round(sum(row.rank <= cut for row in seldom) / max(len(seldom), 1), 4)
    return found


def _training_counts(bench: Benchmark) -> dict[str, int]:
    from vouchrec.evals.redial.features import dialogue_matrix

    counts = dialogue_matrix([*bench.labelled, *bench.recovered], bench.catalogue).sum(axis=0)
    return {film.id: int(count) for film, count in zip(bench.catalogue.films, counts.tolist()[0], strict=True)}


def _page_table(protocol: Protocol, methods: Mapping[str, object], published: Mapping[str, str]) -> list[str]:
    titles = {
        "dedup": "Dedup: films mentioned before the turn are neither targets nor ranked",
        "standard": "Standard: every film of the turn, also one mentioned before",
        "unmasked": "Targets of dedup, with mentioned films left in the ranking",
    }
    columns = [f"R@{cut}" for cut in CUTS]
    lines = [
        f"## {titles[protocol]}",
        "",
        f"| method | {' | '.join(columns)} | MRR |",
        f"|---|{'---|' * (len(CUTS) + 1)}",
    ]
    for name in methods:
        own = _table(methods, name)
        cells = [_cell(_table(own, column)) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {float(str(own['MRR'])):.3f} |")
    for name, values in published.items():
        lines.append(f"| {name}, published; not the same evaluation code | {' | '.join(values.split(' / '))} | |")
    first = _table(methods, BLEND)
    return [*lines, "", f"{first['targets']} targets."]


def _cell(values: Mapping[str, object]) -> str:
    interval = Interval(*(float(str(values[key])) for key in ("value", "low", "high")))
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _table(record: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = record[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is not a table")
    return {str(name): own for name, own in value.items()}
