"""`vouch eval` from the command line: runs, comparisons, and what a wrong flag gets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vouchrec.evals.runs import plots
from vouchrec.retrieval import workspace as workspaces
from vouchrec.ui.cli import main

from .conftest import HashEmbedder


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "available", lambda: False)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace of these tests was made with the hashing embedder."""
    monkeypatch.setattr(workspaces, "SentenceEmbedder", lambda name: HashEmbedder())


def vouch(*words: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == code


def test_ranking_and_compare(films: Path, hashed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        flags = ["--protocol", "strong", "--method", "popularity", "--method", "ease", "--cases", 10, "--seed", seed]
        vouch("eval", "ranking", "-w", films, "--out", tmp_path / name, *flags)
    out = capsys.readouterr().out
    assert "Strong generalisation" in out
    assert "popularity" in out
    assert f"Report: {tmp_path / 'three' / 'report.html'}" in out
    manifest = json.loads((tmp_path / "one" / "run.json").read_text())
    assert manifest["methods"] == ["popularity", "ease"]
    assert (tmp_path / "one" / "cases.parquet").is_file()
    vouch("eval", "compare", tmp_path / "one", tmp_path / "two")
    assert "+0.000" in capsys.readouterr().out
    vouch("eval", "compare", tmp_path / "one", tmp_path / "three", code=2)
    assert "Only runs over the same cases" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("luck",), "no suite 'luck'"),
        (("ranking", "extra"), "takes no folders"),
        (("compare", "one"), "Two runs are compared"),
        (("compare", "/no/a", "/no/b"), "is no run"),
        (("histories",), "Name its folder with --data"),
        (("messages", "-w", "/nowhere"), "speak of the built-in films"),
        (("ranking", "-w", "/nowhere"), "is not a workspace"),
        (("simulate", "--user-model", "nobody"), "Nobody called 'nobody'"),
        (("simulate", "--chat-url", "http://127.0.0.1:9/v1"), "Give --chat-url and --chat-model"),
    ],
)
def test_wrong_flags(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    vouch("eval", *words, code=2)
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_wrong_method_leaves_nothing(films: Path, hashed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    vouch("eval", "ranking", "-w", films, "--out", tmp_path / "run", "--method", "luck", code=2)
    assert "no method 'luck'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_simulate(films: Path, hashed: None, fake, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    from vouchrec.agent import assemble

    monkeypatch.setattr(assemble, "open_model", lambda *_, **__: fake)
    vouch("eval", "simulate", "-w", films, "--out", tmp_path / "run", "--cases", 4, "--turns", 4)
    out = capsys.readouterr().out
    assert "People of the data" in out
    assert "Made-up people" in out
    text = (tmp_path / "run" / "report.md").read_text()
    for line in (line for line in text.splitlines() if line.startswith("| Leaks")):
        assert "0.000 [0.000, 0.000]" in line


def test_tune(films: Path, hashed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("optuna")
    own = tmp_path / "films"
    shutil.copytree(films, own)
    flags = ["--trials", 2, "--people", 10, "--out", tmp_path / "study"]
    vouch("tune", "-w", own, *flags)
    out = capsys.readouterr().out
    assert "2 trials over 10 validation people." in out
    assert "chosen on the same people" in out
    assert not (own / "tuned.toml").exists()
    vouch("tune", "-w", own, *flags, "--apply")
    assert (own / "tuned.toml").read_text().startswith("# Applied by `vouch tune`")
    vouch("recommend", "-w", own, "--like", "Alien", "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["recommendations"]
    vouch("tune", "-w", own, "--sampler", "luck", code=2)
    assert "no sampler 'luck'" in capsys.readouterr().err
