"""Options that several commands share, and those of `vouch eval` as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vouchrec.ui.settings import Settings

WorkspaceOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Workspace folder. Default: $VOUCH_WORKSPACE, else the built-in demo."),
]
ModelOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--model", help="builtin, a folder, a Hugging Face name, or a server's model name. [$VOUCH_MODEL]"),
]
AdapterOption: TypeAlias = Annotated[
    Path | None, typer.Option("--adapter", help="Folder of a LoRA adapter for the model. [$VOUCH_ADAPTER]")
]
ServerOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url", help="OpenAI-compatible server, http://HOST:PORT/v1. [$VOUCH_BASE_URL, key: $VOUCH_API_KEY]"
    ),
]


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What the flags of `vouch eval` say; None or empty where they say nothing."""

    suite: str
    settings: Settings
    out: Path
    seed: int
    restart: bool
    methods: tuple[str, ...]
    protocols: tuple[str, ...]
    validation: bool
    k: int
    cases: int | None
    least: int
    data: Path | None
    cases_file: Path | None
    turns: int
    simulated_by: str
    chat_url: str
    chat_model: str
