"""The one place that imports heavy parts late, so that `vouch --help` answers at once.

The command line imports this module and nothing else that is heavy; each function brings in what one command needs. What the
user named wrongly (a folder that is no workspace, a path that is no model) is found here first, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vouchrec.retrieval.errors import ConfigError
from vouchrec.ui.settings import BUILTIN_MODEL, Settings

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent
    from vouchrec.retrieval.workspace import Workspace
    from vouchrec.ui.doctor import Finding


def check_paths(settings: Settings) -> None:
    """Check the folders that the user named.

    Raises:
        ConfigError: The workspace, the model or the adapter is not one.
    """
    folder = settings.workspace
    if folder is not None and not (folder / "vouch.toml").is_file():
        hint = (
            "Make one with `vouch init --items FILE --workspace DIR`, or leave --workspace out for the built-in demo."
        )
        raise ConfigError(f"{folder} is not a workspace: it has no vouch.toml.", hint=hint)
    if settings.adapter is not None and not (settings.adapter / "adapter_config.json").is_file():
        hint = "Give the folder that `save_pretrained` or finetune wrote."
        raise ConfigError(f"{settings.adapter} is not an adapter: it has no adapter_config.json.", hint=hint)
    _check_model(settings)


def open_workspace(settings: Settings, *, progress: bool = True) -> Workspace:
    """Open the workspace of the settings, or the built-in demo (made on first use).

    Raises:
        VouchError: It is not there, damaged, or its embedder can't be loaded.
    """
    check_paths(settings)
    from vouchrec.retrieval.build import open_builtin
    from vouchrec.retrieval.workspace import Workspace

    if settings.workspace is None:
        return open_builtin(settings.demo_folder, progress=progress)
    return Workspace.open(settings.workspace, progress=progress)


def open_agent(settings: Settings, *, progress: bool = True) -> Agent:
    """Open the workspace and the language model.

    Raises:
        VouchError: One of them can't be opened.
    """
    workspace = open_workspace(settings, progress=progress)
    from vouchrec.agent.assemble import open_agent as assemble

    return assemble(
        workspace,
        model=settings.model,
        adapter=settings.adapter,
        base_url=settings.base_url,
        api_key=settings.api_key,
        reranks=settings.rerank,
    )


def ask(
    settings: Settings,
    message: str,
    *,
    user: str | None,
    likes: Sequence[str],
    seen: Sequence[str],
    n: int | None,
    as_json: bool,
) -> Iterator[str]:
    """Answer one message; yield the lines to print."""
    from vouchrec.ui.output import asked_lines

    yield from asked_lines(open_agent(settings), message, user=user, likes=likes, seen=seen, n=n, as_json=as_json)


def ask_file(settings: Settings, path: Path) -> Iterator[str]:
    """Answer a file of conversations; yield one line of JSON per line."""
    from vouchrec.ui.ask import read_lines
    from vouchrec.ui.output import file_lines

    read_lines(path)
    yield from file_lines(open_agent(settings), path)


def recommend(
    settings: Settings,
    *,
    wish: str,
    likes: Sequence[str],
    dislikes: Sequence[str],
    seen: Sequence[str],
    constraints: Sequence[str],
    n: int,
    as_json: bool,
) -> Iterator[str]:
    """Recommend without a conversation; yield the lines to print."""
    from vouchrec.ui import output

    agent = open_agent(settings)
    wanted = output.wanted(agent, wish, likes, dislikes, seen, constraints, n)
    yield from output.recommended_lines(agent, wanted, as_json=as_json)


def explain(
    settings: Settings,
    items: Sequence[str],
    *,
    wish: str,
    likes: Sequence[str],
    constraints: Sequence[str],
    as_json: bool,
) -> Iterator[str]:
    """Explain given items; yield the lines to print."""
    from vouchrec.ui import output

    agent = open_agent(settings)
    wanted = output.wanted(agent, wish, likes, (), (), constraints, len(items))
    yield from output.explanation_lines(agent, items, wanted, as_json=as_json)


def chat(settings: Settings, user: str | None) -> None:
    """Chat in the terminal."""
    agent = open_agent(settings)
    from vouchrec.ui.terminal import chat as run

    run(agent, user)


def serve(settings: Settings) -> None:
    """Serve the page and the API until interrupted."""
    check_paths(settings)
    from vouchrec.ui.listen import listen

    taken = listen(settings.host, settings.port)
    agent = open_agent(settings)
    from vouchrec.ui.server import run

    run(agent, taken)


def init(
    items: Path,
    interactions: Path | None,
    domain: Path | None,
    workspace: Path,
    embedder: str | None,
    scorer: str | None,
) -> Iterator[str]:
    """Make or update a workspace; yield the lines to print. What isn't given stays as an earlier run had it."""
    from dataclasses import replace

    from vouchrec.retrieval.build import init_workspace
    from vouchrec.retrieval.workspace import SETTINGS_FILE, WorkspaceSettings, read_settings
    from vouchrec.ui.output import init_lines

    settings = read_settings(workspace) if (workspace / SETTINGS_FILE).exists() else WorkspaceSettings()
    settings = replace(settings, embedder=embedder or settings.embedder, scorer=scorer or settings.scorer)
    report = init_workspace(
        workspace, items, interactions=interactions, domain=domain, settings=settings, progress=True
    )
    yield from init_lines(report, workspace)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield what `vouch doctor` finds."""
    from vouchrec.ui.doctor import examine as run

    yield from run(settings)


def _check_model(settings: Settings) -> None:
    if settings.base_url or settings.model == BUILTIN_MODEL:
        return
    path = Path(settings.model).expanduser()
    looks_like_path = path.exists() or settings.model.startswith((".", "/", "~")) or settings.model.count("/") > 1
    if looks_like_path and not (path / "config.json").is_file():
        problem = "there is no such folder" if not path.exists() else "it has no config.json"
        hint = "Give a folder in Hugging Face format, a hub name, or leave --model out for the built-in one."
        raise ConfigError(f"{settings.model} is not a model: {problem}.", hint=hint)
