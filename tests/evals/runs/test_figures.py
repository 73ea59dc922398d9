"""Figures of runs by hand, comparisons, and what the reports show."""

from __future__ import annotations

import base64
import html
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from vouchrec.evals.runs import plots
from vouchrec.evals.runs.compare import compare, compared_lines
from vouchrec.evals.runs.engine import evaluate
from vouchrec.evals.runs.figures import Figure, differences, figures
from vouchrec.evals.runs.measures import Measure, Row
from vouchrec.evals.runs.records import Manifest, read_run
from vouchrec.evals.runs.report import markdown, page
from vouchrec.retrieval.errors import ConfigError

from .test_records import PLAN, Coins


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    evaluate(Coins(), folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def found(run: Path) -> dict[tuple[str, str], Figure]:
    return {(f.method, f.measure.name): f for f in figures(*read_run(run))}


def test_figures_by_hand(found: dict[tuple[str, str], Figure]):
    # Six cases; the last has no number of turns.
    assert found["fair", "right"].interval.value == pytest.approx(1 / 6)
    assert found["loaded", "right"].interval.value == 1
    assert found["fair", "turns"].interval.value == pytest.approx((1 + 2 + 1 + 2 + 1) / 5)
    assert found["fair", "turns"].cases == 5
    assert found["fair", "share"].interval.value == pytest.approx(1 / 7)  # of the five with turns
    assert found["loaded", "share"].interval.value == pytest.approx(5 / 7)
    # a stands in all six lists, b in five, c in one; the catalogue has a fourth.
    assert found["fair", "coverage"].interval.value == 3 / 4
    assert found["fair", "gini"].interval.value == pytest.approx((-3 * 0 - 1 * 1 + 1 * 5 + 3 * 6) / (4 * 12))


def test_intervals_hold_their_figure(found: dict[tuple[str, str], Figure]):
    for figure in found.values():
        assert figure.interval.low <= figure.interval.value <= figure.interval.high


def test_differences_by_hand(found: dict[tuple[str, str], Figure]):
    gain = found["loaded", "right"].gain
    assert gain is not None
    assert gain.interval.value == pytest.approx(5 / 6)
    assert gain.cases == 6
    # Five cases differ, all in one direction: 2 of 2^5 ways of swapping are as large.
    assert gain.p == pytest.approx(2 / 32, abs=0.01)
    assert gain.adjusted == pytest.approx(min(1, 3 * gain.p), abs=0.02)  # right, share and turns are tested
    turns = found["loaded", "turns"].gain
    assert turns is not None
    assert turns.interval.value == 0
    assert turns.p == 1
    assert not turns.established
    assert found["fair", "right"].gain is None


def test_only_common_cases_are_compared():
    measure = Measure("x", "X", "x")
    own = [Row(f"c{n}", "new", values={"x": float(n)}) for n in range(6)]
    base = [Row(f"c{n}", "old", values={"x": math.nan if n == 2 else 0.0}) for n in range(4)]
    difference = differences([measure], own, base, seed=0)["x"]
    assert difference.cases == 3
    assert difference.interval.value == pytest.approx((0 + 1 + 3) / 3)
    assert differences([measure], own, [], seed=0) == {}


def test_a_difference_that_is_there_is_found_and_noise_is_not():
    measure = Measure("x", "X", "x")
    base = [Row(f"c{n}", "old", values={"x": float(n % 5)}) for n in range(200)]
    shifted = [
        replace(r, method="new", values={"x": r.values["x"] + (0.5 if i % 2 else 0.3)}) for i, r in enumerate(base)
    ]
    noise = [
        replace(r, method="new", values={"x": r.values["x"] + (0.5 if i % 2 else -0.5)}) for i, r in enumerate(base)
    ]
    assert differences([measure], shifted, base, seed=0)["x"].established
    assert not differences([measure], noise, base, seed=0)["x"].established


# ---- reports ------------------------------------------------------------------------------------------------------


def test_markdown_has_every_figure(run: Path):
    manifest, rows = read_run(run)
    text = markdown(manifest, figures(manifest, rows))
    assert text == (run / "report.md").read_text()
    assert f"protocol `{manifest.hash}`" in text
    assert "seed `0`" in text
    right = next(line for line in text.splitlines() if line.startswith("| Right ↑"))
    assert "16.7% [0.0%, 50.0%]" in right
    assert "**100.0%** [100.0%, 100.0%]" in right
    assert "loaded: no difference to fair is established." in text


def test_page_stands_alone_and_escapes(run: Path):
    manifest, rows = read_run(run)
    text = page(manifest, figures(manifest, rows))
    assert html.escape("Coins <fall>") in text
    assert "Coins <fall>" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert "<script" not in text
    pictures = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert len(pictures) == 3  # main measures, differences, the curve
    for picture in pictures:
        assert base64.b64decode(picture).startswith(b"<?xml")


def test_without_matplotlib_the_page_says_so(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    manifest, rows = read_run(run)
    text = page(manifest, figures(manifest, rows))
    assert "pip install &#x27;vouchrec[train]&#x27;" in text
    assert "data:image" not in text


def test_pictures_are_the_same_every_time(run: Path):
    manifest, rows = read_run(run)
    own = figures(manifest, rows)
    draw = [plots.interval_plot(own, manifest.methods, manifest.measures[:2], "fair") for _ in range(2)]
    assert draw[0] == draw[1]


# ---- compare ------------------------------------------------------------------------------------------------------


def test_compare_by_hand(run: Path, tmp_path: Path):
    evaluate(Coins(replace(PLAN, settings={"bias": 2})), tmp_path / "other", seed=0)
    one, two, found = compare(run, tmp_path / "other")
    assert {c.method for c in found} == {"fair", "loaded"}
    assert all(c.difference.interval.value == 0 for c in found)
    text = "\n".join(compared_lines(one, two, found))
    assert "Setting bias: 1 then 2." in text
    assert "▲" not in text
    assert "▼" not in text


def test_the_only_methods_are_compared_whatever_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    for name in ("fair", "loaded"):
        evaluate(Coins(replace(PLAN, methods=(name,), size=6)), tmp_path / name, seed=0)
    one, two, found = compare(tmp_path / "fair", tmp_path / "loaded")
    right = next(c for c in found if c.measure.name == "right")
    assert right.method == "loaded against fair"
    assert (right.before, right.after) == (pytest.approx(1 / 6), 1)
    assert right.difference.interval.value == pytest.approx(5 / 6)
    assert any("| Right | 16.7% | 100.0% | +83.3%" in line for line in compared_lines(one, two, found))


def test_what_cannot_be_compared_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    evaluate(Coins(replace(PLAN, protocol={"cases": 7})), tmp_path / "other", seed=0)
    with pytest.raises(ConfigError, match="has protocol"):
        compare(run, tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        evaluate(Coins(stop=2), tmp_path / "half", seed=0)
    with pytest.raises(ConfigError, match="is not whole"):
        compare(run, tmp_path / "half")
    for name in ("x", "y"):
        evaluate(Coins(replace(PLAN, methods=(name, name * 2), baseline=name)), tmp_path / name, seed=0)
    with pytest.raises(ConfigError, match="no method in common"):
        compare(tmp_path / "x", tmp_path / "y")


def test_a_share_of_all_is_not_certain():
    manifest = Manifest("s", "S", "", {}, {}, 0, (Measure("x", "X", "x", kind="share"),), methods=("m",))
    rows = [Row(f"c{n}", "m", values={"x": math.nan if n == 9 else 1.0}) for n in range(10)]
    (figure,) = figures(manifest, rows)
    assert figure.cases == 9
    assert (figure.interval.value, figure.interval.high) == (1, 1)
    assert figure.interval.low == pytest.approx(9 / (9 + 1.959964**2))  # Wilson's lower end where all are hits
