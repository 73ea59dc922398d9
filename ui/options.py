"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
