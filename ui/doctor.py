"""`vouch doctor`: does everything that a conversation needs work here? One line per part."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal, TypeAlias

from vouchrec.retrieval.errors import VouchError
from vouchrec.ui.settings import Settings

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent
    from vouchrec.retrieval.workspace import Workspace

State: TypeAlias = Literal["ok", "note", "broken"]
LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers", "chromadb", "gradio")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part.

    Attributes:
        state: `broken` when a conversation can't work, `note` when something is only worth knowing.
        advice: The next step; empty when there is none.
    """

    part: str
    state: State
    detail: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield findings, each as soon as it is known; a part that needs a broken one is left out."""
    yield Finding(
        "Vouch", "ok", f"{metadata.version('vouchrec')} on Python {platform.python_version()}, {sys.platform}"
    )
    yield Finding("libraries", "ok", ", ".join(f"{name} {_version(name)}" for name in LIBRARIES))
    yield _guarded("device", _device)
    yield _guarded("write access", lambda: _writable(settings))
    yield from _workspace_findings(settings)


def _workspace_findings(settings: Settings) -> Iterator[Finding]:
    from vouchrec.ui.loader import open_workspace

    opened: list[Workspace] = []

    def workspace() -> Finding:
        started = time.perf_counter()
        opened.append(open_workspace(settings))
        found = opened[0]
        detail = f"{found.folder}: {len(found.catalogue):,} {found.domain.plural}, opened in {_seconds(started)}"
        return Finding("workspace", "ok", detail)

    yield _guarded("workspace", workspace)
    if not opened:
        return
    yield Finding("index", "ok", _index(opened[0]))
    yield _guarded("search", lambda: _search(opened[0]))
    yield _scorer(opened[0])
    yield from _model_findings(settings, opened[0])
    opened[0].close()


def _model_findings(settings: Settings, workspace: Workspace) -> Iterator[Finding]:
    from vouchrec.agent.assemble import open_agent

    opened: list[Agent] = []

    def model() -> Finding:
        started = time.perf_counter()
        agent = open_agent(
            workspace,
            model=settings.model,
            adapter=settings.adapter,
            base_url=settings.base_url,
            api_key=settings.api_key,
        )
        opened.append(agent)
        adapter = f", adapter {settings.adapter}" if settings.adapter else ""
        return Finding("language model", "ok", f"{agent.model.name}{adapter}, loaded in {_seconds(started)}")

    yield _guarded("language model", model)
    if opened:
        yield _guarded("a turn", lambda: _turn(opened[0]))


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", "ok", torch.cuda.get_device_name(0))
    return Finding("device", "ok", f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads")


def _writable(settings: Settings) -> Finding:
    folder = settings.folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder):
        pass
    return Finding("write access", "ok", f"{settings.folder}")


def _index(workspace: Workspace) -> str:
    state = workspace.index_state
    how = f"rebuilt ({state.reason})" if state.rebuilt else "up to date"
    embedded = f", {state.embedded:,} embedded now" if state.embedded else ""
    return f"Chroma, {how}{embedded}, embedder {workspace.embedder.name}"


def _search(workspace: Workspace) -> Finding:
    from vouchrec.retrieval.pipeline import recommend
    from vouchrec.retrieval.types import Profile, Query

    started = time.perf_counter()
    wish = workspace.domain.examples[0] if workspace.domain.examples else workspace.domain.noun
    found = recommend(workspace, Query(wish=wish), Profile())
    if not found:
        return Finding("search", "broken", "a search finds nothing", "Make the workspace again with `vouch init`.")
    return Finding("search", "ok", f"{len(found)} found in {_seconds(started)}")


def _scorer(workspace: Workspace) -> Finding:
    if workspace.scorer is None:
        detail = "none: recommendations come from content alone"
        return Finding("collaborative", "note", detail, "Give ratings with `vouch init --interactions FILE`.")
    return Finding("collaborative", "ok", f"{type(workspace.scorer).__name__}, {len(workspace.scorer.items):,} items")


def _turn(agent: Agent) -> Finding:
    from vouchrec.ui.ask import ask_once

    examples = agent.workspace.domain.examples
    started = time.perf_counter()
    answer = ask_once(agent, examples[0] if examples else f"recommend me a {agent.workspace.domain.noun}").reply
    verified = sum(e.reason.verified for e in answer.explained)
    detail = (
        f"{len(answer.explained)} recommended, {verified} reasons verified, understood by {answer.understanding.source}, "
        f"{_seconds(started)}"
    )
    state: State = "ok" if answer.explained and verified == len(answer.explained) else "note"
    return Finding("a turn", state, detail)


def _guarded(part: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; whatever it raises becomes a finding, because finding out is what this command is for."""
    try:
        return check()
    except VouchError as error:
        return Finding(part, "broken", str(error.args[0]), error.hint)
    except Exception as error:
        return Finding(part, "broken", f"{type(error).__name__}: {error}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _seconds(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"
