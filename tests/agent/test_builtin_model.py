"""The built-in model really drives the turn; with a random adapter of the same shape everything falls back, counted."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vouchrec.agent.assemble import Agent, open_agent
from vouchrec.agent.llm.local import BUILTIN_DIR
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Reply
from vouchrec.retrieval.build import open_builtin
from vouchrec.retrieval.workspace import Workspace

from .conftest import finished

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BUILTIN_DIR / "adapter" / "adapter_config.json").is_file(), reason="the built-in model is not in this tree"
    ),
]
MESSAGES = (
    "a funny film please",
    "no horror, under two hours",
    "something like Blade Runner",
    "a Japanese film from the fifties",
    "I want a comedy with Tom Hanks",
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = open_builtin(tmp_path_factory.mktemp("builtin") / "workspace")
    yield workspace
    workspace.close()


def answers(agent: Agent) -> list[Reply]:
    return [finished(list(reply(agent, start(agent), text, n=3))) for text in MESSAGES]


def test_model_understands_and_words_plain_requests(films: Workspace) -> None:
    replies = answers(open_agent(films))
    assert {r.understanding.source for r in replies} == {"model"}, [r.understanding.fallback for r in replies]
    assert {r.understanding.request.act for r in replies} == {"recommend"}
    assert "model" in {e.reason.source for r in replies for e in r.explained}, "the model words nothing"
    assert all(e.reason.verified for r in replies for e in r.explained)
    assert {c.op for c in replies[1].understanding.request.constraints} == {"is_not", "max"}
    assert replies[2].understanding.request.liked


def test_half_of_the_reasons_are_the_models_own(films: Workspace) -> None:
    sources = Counter(e.reason.source for r in answers(open_agent(films)) for e in r.explained)
    assert sources["model"] >= sum(sources.values()) / 2, sources


def test_random_adapter_collapses_to_the_fallback(films: Workspace, tmp_path: Path) -> None:
    shutil.copytree(BUILTIN_DIR / "adapter", tmp_path / "random")
    weights = tmp_path / "random" / "adapter_model.safetensors"
    torch.manual_seed(0)
    noise = {name: torch.randn(tensor.shape).to(tensor.dtype) for name, tensor in load_file(weights).items()}
    save_file(noise, weights, metadata={"format": "pt"})
    replies = answers(open_agent(films, adapter=tmp_path / "random"))
    assert {r.understanding.source for r in replies} == {"rules"}
    for one in replies:
        assert {e.reason.source for e in one.explained} == {"composed"}
        assert all(e.reason.verified for e in one.explained)
        assert sum(one.fallbacks.values()) == 1 + len(one.explained)
        assert one.understanding.fallback in one.fallbacks
