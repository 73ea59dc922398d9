"""Runs on disk: what is written can be read, what was stopped goes on, what is another run is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vouchrec.evals.runs import plots
from vouchrec.evals.runs.engine import Plan, evaluate
from vouchrec.evals.runs.measures import Curve, Key, Measure, Row
from vouchrec.evals.runs.records import RunFolder, protocol_hash, read_run
from vouchrec.retrieval.errors import ConfigError

MEASURES = (
    Measure("right", "Right", "right", percent=True, main=True),
    Measure("turns", "Turns", "turns", better="lower", main=True),
    Measure("share", "Right per turn", "right", over="turns", kind="ratio"),
    Measure("coverage", "Coverage", kind="coverage"),
    Measure("gini", "Gini", kind="gini", better="lower"),
)
PLAN = Plan(
    suite="coins",
    title="Coins <fall>",
    about="A suite of a test.",
    protocol={"cases": 6},
    settings={"bias": 1},
    measures=MEASURES,
    methods=("fair", "loaded"),
    size=12,
    baseline="fair",
    curves=(Curve("Right by turn", "turn", "right", ((1, "right"), (2, "turns"))),),
)


@dataclass
class Coins:
    """Twelve rows; stops with an error before row `stop`, and counts what it made."""

    plan: Plan = PLAN
    stop: int = 99
    made: list[Key] = field(default_factory=list)

    @property
    def facts(self) -> Mapping[str, object]:
        return {"items": 4, "fit_seconds": {"fair": 1.5}}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        for method in self.plan.methods:
            for n in range(6):
                if ("", method, f"c{n}") in done:
                    continue
                if len(self.made) == self.stop:
                    raise KeyboardInterrupt
                right = float(method == "loaded" or n == 0)
                turns = math.nan if n == 5 else float(1 + n % 2)
                row = Row(f"c{n}", method, values={"right": right, "turns": turns}, items=("a", "b" if n else "c"))
                self.made.append(row.key)
                yield replace(row, detail={"said": f'"{n}" | <b>'})


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about pictures, and they take their time."""
    monkeypatch.setattr(plots, "available", lambda: False)


def test_a_run_is_written_and_read(tmp_path: Path):
    run = evaluate(Coins(), tmp_path / "run", seed=3)
    manifest, rows = read_run(tmp_path / "run")
    assert manifest == run.manifest
    assert manifest.finished is not None
    assert (manifest.rows, manifest.seed, manifest.hash) == (12, 3, protocol_hash("coins", {"cases": 6}))
    assert manifest.versions["python"].startswith("3.")
    assert {row.key: row.items for row in rows} == {key: row.items for key, row in run.rows.items()}
    last = next(row for row in rows if row.case == "c5")
    assert math.isnan(last.values["turns"])
    assert last.detail == {"said": '"5" | <b>'}
    table = pq.read_table(tmp_path / "run" / "cases.parquet")
    assert table.num_rows == 12
    assert table.column("value.turns").null_count == 2
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"run.json", "cases.parquet", "report.md", "report.html"}


def test_a_stopped_run_goes_on(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        evaluate(Coins(stop=7), tmp_path, seed=0)
    manifest, rows = read_run(tmp_path)
    assert manifest.finished is None
    assert len(rows) == 7
    rest = Coins()
    evaluate(rest, tmp_path, seed=0)
    assert len(rest.made) == 5
    whole = Coins()
    evaluate(whole, tmp_path / "other", seed=0)
    assert read_run(tmp_path)[1] == read_run(tmp_path / "other")[1] or _same(tmp_path, tmp_path / "other")
    again = Coins()
    evaluate(again, tmp_path, seed=0)
    assert again.made == []


def _same(one: Path, other: Path) -> bool:
    """NaN is not equal to itself: compare as text."""
    return str(read_run(one)[1]) == str(read_run(other)[1])


def test_a_line_that_was_cut_is_made_again(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        evaluate(Coins(stop=4), tmp_path, seed=0)
    rows = tmp_path / "rows.jsonl"
    text = rows.read_bytes()
    rows.write_bytes(text[: -len(text.splitlines()[-1]) // 2])
    rest = Coins()
    evaluate(rest, tmp_path, seed=0)
    assert len(rest.made) == 9
    assert _same(tmp_path, _whole(tmp_path / "other"))


def _whole(folder: Path) -> Path:
    evaluate(Coins(), folder, seed=0)
    return folder


@pytest.mark.parametrize(
    ("change", "seed", "words"),
    [
        ({"protocol": {"cases": 7}}, 0, "another protocol"),
        ({"settings": {"bias": 2}}, 0, "another seed or settings"),
        ({"methods": ("loaded",)}, 0, "another seed or settings"),
        ({}, 1, "another seed or settings"),
    ],
)
def test_another_run_is_not_continued(tmp_path: Path, change: dict[str, object], seed: int, words: str):
    _whole(tmp_path)
    other = Coins(replace(PLAN, **change))
    with pytest.raises(ConfigError, match=words):
        evaluate(other, tmp_path, seed=seed)
    assert other.made == []
    evaluate(other, tmp_path, seed=seed, restart=True)
    assert read_run(tmp_path)[0].settings == other.plan.settings


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"has no run\.json"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match="can't be read: format None"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match="--restart"):
        RunFolder(tmp_path, _manifest(tmp_path))


def _manifest(folder: Path):
    return read_run(_whole(folder / "whole"))[0]


def test_manifest_is_plain_json(tmp_path: Path):
    data = json.loads((_whole(tmp_path) / "run.json").read_text())
    assert data["format"] == 1
    assert data["measures"][0]["name"] == "right"
    assert data["facts"] == {"items": 4, "fit_seconds": {"fair": 1.5}}
