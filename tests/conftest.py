"""Shared fixtures: a tiny catalogue, a hashing embedder, a scripted language model, a real workspace in a temporary folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tqdm import tqdm

from vouchrec.agent.llm.base import Completion, JsonSchema, Message
from vouchrec.retrieval.types import Embeddings


class HashEmbedder:
    """A deterministic bag-of-words embedder: texts with words in common are close."""

    name = "hash-64"
    dimension = 64

    def encode(self, texts: Sequence[str], *, bar: tqdm[NoReturn] | None = None) -> Embeddings:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.casefold().split():
                digest = hashlib.blake2b(word.strip(".,;:!?()").encode(), digest_size=4).digest()
                vectors[row, int.from_bytes(digest, "big") % self.dimension] += 1.0
            vectors[row, 0] += 0.01
        if bar is not None:
            bar.update(len(texts))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class ScriptedModel:
    """A language model whose answers come from a function of the prompt; it records every prompt."""

    name = "scripted"
    specialist = True

    def __init__(self, answer=None) -> None:
        self.prompts: list[str] = []
        self._answer = answer or (lambda prompt: "")

    def _one(self, messages: Sequence[Message]) -> str:
        prompt = messages[-1].content
        self.prompts.append(prompt)
        return self._answer(prompt)

    def generate(self, messages, *, constraint=None, max_tokens=256, temperature=0.0, seed=0) -> Iterator[str]:
        yield self._one(messages)

    def complete(
        self, batch, *, n=1, constraint: JsonSchema | None = None, max_tokens=256, temperature=0.0, seed=0
    ) -> list[list[Completion]]:
        return [[Completion(self._one(messages), logprob=-0.1)] * n for messages in batch]

    def score(self, messages, choices) -> list[float]:
        return [0.0 for _ in choices]

    def tokens(self, messages) -> int:
        return sum(len(m.content.split()) for m in messages)


@pytest.fixture(scope="session")
def embedder() -> HashEmbedder:
    return HashEmbedder()


FILMS = Path(__file__).parent / "data" / "films.jsonl"
DOMAIN = Path(__file__).parent / "data" / "films.toml"
RATINGS = Path(__file__).parent / "data" / "ratings.csv"


@pytest.fixture
def workspace_folder(tmp_path: Path, embedder: HashEmbedder) -> Path:
    from vouchrec.retrieval.build import init_workspace

    folder = tmp_path / "workspace"
    init_workspace(folder, FILMS, interactions=RATINGS, domain=DOMAIN, embedder=embedder)
    return folder


@pytest.fixture
def workspace(workspace_folder: Path, embedder: HashEmbedder):
    from vouchrec.retrieval.workspace import Workspace

    opened = Workspace.open(workspace_folder, embedder=embedder)
    yield opened
    opened.close()


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
def agent(workspace, model):
    from vouchrec.agent.assemble import Agent

    return Agent(workspace, model)


def json_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


# ---- VOUCH_REQUIRE: what continuous integration must not skip ----------------------------------------------------

REQUIRABLE = {"browser": ("chromium", "playwright"), "postgres": ("postgres", "psycopg"), "data": ("vouch_data",)}
"""Marker by name, with words one of which the reason of a skip for want of it has."""


def required() -> frozenset[str]:
    """Return what VOUCH_REQUIRE names, for instance `browser,postgres,data`: a skip for want of it is a failure."""
    names = frozenset(name.strip() for name in os.environ.get("VOUCH_REQUIRE", "").split(",") if name.strip())
    if names - set(REQUIRABLE):
        known = ", ".join(REQUIRABLE)
        raise pytest.UsageError(f"VOUCH_REQUIRE names {min(names - set(REQUIRABLE))!r}; known: {known}.")
    return names


def lacking(markers: set[str], reason: str) -> list[str]:
    """Return which required things a skipped test is skipped for, by its markers or by the reason that it gives."""
    said = reason.casefold()
    return sorted(n for n in required() if n in markers or any(word in said for word in REQUIRABLE[n]))


def refuse_skip(report: pytest.TestReport | pytest.CollectReport, markers: set[str]) -> None:
    """Turn a skip for want of something required into a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    missing = lacking(markers, reason)
    if missing:
        report.outcome = "failed"
        report.longrepr = f"VOUCH_REQUIRE asks for {', '.join(missing)}, but this was skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report: pytest.TestReport = yield
    refuse_skip(report, {mark.name for mark in item.iter_markers()})
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report: pytest.CollectReport = yield
    refuse_skip(report, {mark.name for mark in collector.iter_markers()})
    return report
