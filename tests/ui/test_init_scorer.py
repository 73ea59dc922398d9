"""`vouch init --scorer`: the table on standard output, the choice in the workspace, a wrong name before anything is read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from vouchrec.retrieval import build
from vouchrec.ui.cli import main

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def init(tmp_path: Path, embedder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(build, "SentenceEmbedder", lambda name: embedder)

    def run(*argv: str, items: Path = DATA / "films.jsonl") -> tuple[int, str, str]:
        files = [
            "--items",
            str(items),
            "--interactions",
            str(DATA / "ratings.csv"),
            "--domain",
            str(DATA / "films.toml"),
        ]
        with pytest.raises(SystemExit) as caught:
            main(["init", *files, "--workspace", str(tmp_path / "w"), *argv])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_the_scorer_is_said_and_kept(init, tmp_path: Path):
    code, out, _ = init("--scorer", "itemknn")
    assert code == 0
    assert "Collaborative scorer: itemknn" in out
    assert tomllib.loads((tmp_path / "w" / "vouch.toml").read_text())["scorer"] == "itemknn"
    code, out, _ = init()
    assert "Collaborative scorer: itemknn" in out


def test_with_enough_people_the_table_is_printed(init, monkeypatch: pytest.MonkeyPatch):
    from vouchrec.retrieval.scorers import select

    monkeypatch.setattr(select, "LEAST_HELD_OUT", 20)
    code, out, _ = init()
    assert code == 0
    assert "NDCG@10" in out
    assert all(name in out for name in ("popularity", "ease", "itemknn", "userknn"))
    assert "Chosen:" in out


def test_a_wrong_name_is_code_2_before_the_files_are_read(init, tmp_path: Path):
    code, out, err = init("--scorer", "eas", items=tmp_path / "absent.jsonl")
    assert (code, out) == (2, "")
    assert "There is no scorer 'eas'" in err
    assert "itemknn" in err
    assert not (tmp_path / "w").exists()
