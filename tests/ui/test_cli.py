"""The command line: exit codes, clean standard output, the help."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.retrieval.errors import ModelError, WorkspaceError
from vouchrec.ui import loader
from vouchrec.ui.cli import main
from vouchrec.ui.settings import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vouch(agent: Agent, films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process on the agent of the fixtures; returns exit code, stdout, stderr."""

    def opened(settings: Settings, *, progress: bool = True) -> Agent:
        loader.check_paths(settings)
        return agent

    monkeypatch.setattr(loader, "open_agent", opened)
    monkeypatch.setenv("VOUCH_WORKSPACE", str(films))

    def run(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(argv)
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def process(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vouchrec.ui.cli", *argv]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environ}, check=False
    )


def test_help_is_quick_and_teaches() -> None:
    started = time.perf_counter()
    done = process("--help")
    assert time.perf_counter() - started < 2.0
    assert done.returncode == 0
    assert "vouch ask" in done.stdout


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vouchrec.ui.cli import main\n"
        "try:\n main(['ask', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch','gradio','chromadb','transformers','sqlalchemy','fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("command", ["chat", "ask", "recommend", "explain", "serve", "init", "doctor"])
def test_every_command_explains_itself(vouch: Run, command: str) -> None:
    code, out, _ = vouch(command, "--help")
    assert code == 0
    assert "vouch " in out or command == "doctor"


def test_version(vouch: Run) -> None:
    code, out, _ = vouch("--version")
    assert code == 0
    assert out.startswith("vouch ")


def test_ask_json_is_one_clean_line(vouch: Run) -> None:
    code, out, _ = vouch("ask", "something like Alien but funny", "--like", "Alien", "-n", "3", "--json")
    assert code == 0
    assert out.count("\n") == 1
    assert len(json.loads(out)["recommendations"]) == 3


def test_ask_for_people(vouch: Run) -> None:
    code, out, _ = vouch("ask", "a comedy")
    assert code == 0
    assert "  1  " in out
    assert "\x1b" not in out


def test_ask_file(vouch: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"turns": ["funny"]}\n\nnonsense\n', encoding="utf-8")
    code, out, _ = vouch("ask", "--file", str(path), "--json")
    assert code == 0
    assert ["turns" in json.loads(line) for line in out.splitlines()] == [True, False, False]
    assert "2 lines" in caplog.text


def test_ambiguous_like_is_reported(vouch: Run, agent: Agent) -> None:
    titles = [item.title for item in agent.workspace.catalogue.items]
    twice = next((t for t in titles if titles.count(t) > 1), None)
    if twice is None:
        pytest.skip("no two items of one title here")
    _, out, _ = vouch("ask", "a drama", "--like", twice, "--json")
    assert json.loads(out)["ambiguous"][0]["name"] == twice


def test_recommend_json(vouch: Run) -> None:
    code, out, _ = vouch(
        "recommend", "--like", "Alien", "-c", "year>=1990", "-c", "genres!=horror", "-n", "4", "--json"
    )
    records = json.loads(out)["recommendations"]
    assert code == 0
    assert len(records) == 4
    for record in records:
        assert record["attributes"]["year"] >= 1990
        assert "horror" not in record["attributes"]["genres"]
        assert "reason" not in record


def test_recommend_for_people_and_nothing_found(vouch: Run) -> None:
    assert "  1  " in vouch("recommend", "--wish", "space")[1]
    assert "Give up a constraint" in vouch("recommend", "-c", "year>=2999")[1]


def test_explain_json(vouch: Run) -> None:
    code, out, _ = vouch("explain", "--item", "Stalker", "--item", "Heat", "--like", "Solaris", "--json")
    records = json.loads(out)["explanations"]
    assert code == 0
    assert [r["title"] for r in records] == ["Stalker", "Heat"]
    assert all(r["reason"] and r["claims"] is not None for r in records)
    assert "verified" in vouch("explain", "--item", "Stalker")[1]


@pytest.mark.parametrize(
    "argv",
    [
        ("ask",),
        ("ask", "x", "--file", "y"),
        ("ask", ""),
        ("ask", "a" * 20_000),
        ("ask", "hello", "--like", "No Such Film At All 123"),
        ("ask", "hello", "-n", "51"),
        ("ask", "--file", "/no/such/file.jsonl"),
        ("ask", "hello", "--workspace", "/no/such/workspace"),
        ("ask", "hello", "--model", "/no/such/model"),
        ("ask", "hello", "--adapter", "/no/such/adapter"),
        ("recommend", "--constraint", "year>1990"),
        ("recommend", "--wish", "a" * 20_000),
        ("explain", "--item", "No Such Film At All 123"),
        ("explain",),
        ("serve", "--port", "99999"),
        ("serve", "--host", "no such host"),
        ("nonsense",),
        ("init", "--items", "/no/such/items.csv", "--workspace", "never-made"),
    ],
)
def test_a_users_error_is_one_sentence_and_code_2(vouch: Run, argv: tuple[str, ...]) -> None:
    code, out, err = vouch(*argv)
    assert code == 2
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err


@pytest.mark.parametrize("error", [WorkspaceError("The store is damaged."), ModelError("The server is gone.")])
def test_other_errors_are_code_1(vouch: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_args: object, **_kwargs: object) -> Agent:
        raise error

    monkeypatch.setattr(loader, "open_agent", fail)
    code, out, err = vouch("ask", "hello")
    assert (code, out) == (1, "")
    assert str(error) in err


def test_a_port_in_use_is_known_before_anything_loads() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = process("serve", "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use. Stop what uses it, or take another: --port {port + 1}." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_model_is_not_a_model(vouch: Run, tmp_path: Path) -> None:
    code, _, err = vouch("ask", "hello", "--model", str(tmp_path))
    assert code == 2
    assert "no config.json" in err
