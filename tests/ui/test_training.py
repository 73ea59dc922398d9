"""The training commands, from files to a chat: one workspace made by `vouch init`, one base made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vouchrec.retrieval.embed import SentenceEmbedder
from vouchrec.ui.cli import main

from ..finetune.small import make_base, make_workspace  # noqa: TID252

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),  # peft asks transformers
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
]
QUICK = ("--examples", "24", "--max-steps", "2", "--batch", "4", "--rate", "0.01", "--rank", "4")


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("books"), SentenceEmbedder())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "gpt2", "gpt2")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vouch(capsys: pytest.CaptureFixture[str]):
    def run(*argv: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_from_files_to_a_chat(vouch, books: Path, base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    code, out, err = vouch("finetune", "--base", base, "--workspace", books, "--out", adapter, *QUICK)
    assert code == 0, err
    assert "is finished: 2 steps" in out
    assert f"vouch chat --model {base} --adapter {adapter} --workspace {books}" in out
    assert "exchanged for books" in err
    code, _, err = vouch("finetune", "--base", base, "--workspace", books, "--out", adapter, *QUICK)
    assert (code, "already holds an adapter" in err) == (2, True)
    code, out, err = vouch(
        "ask", "something by Ada Stone", "--json", "--model", base, "--adapter", adapter, "--workspace", books
    )
    assert code == 0, err
    assert json.loads(out)["model"].endswith("+adapter")
    code, out, err = vouch("export", "--base", base, "--adapter", adapter, "--merge", "--out", tmp_path / "merged")
    assert code == 0, err
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    code, out, err = vouch("export", "--base", base, "--adapter", adapter, "--out", tmp_path / "lora")
    assert code == 0, err
    assert "--enable-lora --lora-modules vouch=" in out


def test_dry_run_writes_nothing(vouch, books: Path, base: Path, tmp_path: Path) -> None:
    code, out, err = vouch(
        "finetune", "--base", base, "--workspace", books, "--out", tmp_path / "a", "--examples", "24", "--dry-run"
    )
    assert code == 0, err
    for part in ("--- understand", "--- rerank", "task: prefer", "tokens  ", "memory  ", "time  ", "steps  "):
        assert part in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--base", "{tmp}/none"), "no such folder"),
        (("--base", "{base}", "--skills", "sing"), "no skill 'sing'"),
        (("--base", "{base}", "--rate", "0"), "nothing to do"),
        (("--base", "{base}", "--dialogues", "{tmp}/none.jsonl"), "can't be read"),
        (("--base", "{base}", "--four-bit", "on"), "4-bit training is not possible"),
        (("--base", "{base}", "--workspace", "{tmp}"), "not a workspace"),
    ],
)
def test_errors_end_with_code_2(vouch, flags, problem: str, books: Path, base: Path, tmp_path: Path) -> None:
    given = [flag.format(tmp=tmp_path, base=base) for flag in flags]
    code, out, err = vouch("finetune", "--workspace", books, "--out", tmp_path / "a", *QUICK, *given)
    assert code == 2, err
    assert out == ""
    assert problem in err


def test_pretrain_says_which_data_is_missing(vouch, tmp_path: Path) -> None:
    code, _, err = vouch("pretrain", "--data", tmp_path, "--out", tmp_path / "run", "--minutes", "1")
    assert code == 2
    assert "lacks: redial" in err
    code, _, err = vouch("pretrain", "--data", tmp_path, "--out", tmp_path / "run", "--minutes", "0")
    assert code == 2
    assert "must be positive" in err
