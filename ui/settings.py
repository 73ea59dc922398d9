"""Settings of one run: flags win over environment variables, those over defaults. The only reader of the environment.

========================  ==========================================================================
`VOUCH_HOME`              folder for what Vouch keeps (default `~/.local/share/vouch`)
`VOUCH_WORKSPACE`         workspace folder; without it the built-in demo in `$VOUCH_HOME/demo`
`VOUCH_MODEL`             `builtin`, a path, a Hugging Face name, or a server's model name
`VOUCH_ADAPTER`           folder of a LoRA adapter for that model
`VOUCH_BASE_URL`          OpenAI-compatible server (`http://127.0.0.1:8000/v1`)
`VOUCH_API_KEY`           key for that server
`VOUCH_RERANK`            1: the language model orders the best candidates (default 0; see how-to/finetune.md)
`VOUCH_HOST`              address that `vouch serve` listens on (default `127.0.0.1`)
`VOUCH_PORT`              its port (default 7860)
========================  ==========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vouchrec.retrieval.errors import ConfigError

BUILTIN_MODEL = "builtin"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7860
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

    workspace: Path | None = None
    model: str | None = None
    adapter: Path | None = None
    base_url: str | None = None
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is decided outside the code.

    Attributes:
        home: Folder for what Vouch keeps between runs.
        workspace: Folder of the workspace, or None for the built-in demo.
        model: `builtin`, a path, a Hugging Face name or, with `base_url`, a server's model name.
        api_key: Never shown, logged or written.
        rerank: The language model orders the best candidates.
    """

    home: Path
    workspace: Path | None = None
    model: str = BUILTIN_MODEL
    adapter: Path | None = None
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    rerank: bool = False
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT

    @property
    def demo_folder(self) -> Path:
        """Where the built-in demo workspace lives."""
        return self.home / "demo"

    @property
    def folder(self) -> Path:
        """The workspace folder in use, the demo's when none is named."""
        return self.workspace or self.demo_folder


def read_settings(flags: Flags | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Combine flags, environment and defaults.

    Raises:
        ConfigError: A port that is not a number within 0 and 65535, a switch that is neither 0 nor 1, or a server without
            the name of its model.
    """
    given = flags or Flags()
    environment = os.environ if environ is None else environ
    settings = Settings(
        home=_home(environment),
        workspace=given.workspace or _path(environment, "VOUCH_WORKSPACE"),
        model=given.model or environment.get("VOUCH_MODEL", "").strip() or BUILTIN_MODEL,
        adapter=given.adapter or _path(environment, "VOUCH_ADAPTER"),
        base_url=given.base_url or environment.get("VOUCH_BASE_URL", "").strip(),
        api_key=environment.get("VOUCH_API_KEY", "").strip(),
        rerank=_switch(environment, "VOUCH_RERANK"),
        host=given.host or environment.get("VOUCH_HOST", "").strip() or DEFAULT_HOST,
        port=_port(given, environment),
    )
    if settings.base_url and settings.model == BUILTIN_MODEL:
        raise ConfigError(
            "A server is set but no model name.", hint="Name the server's model with --model or VOUCH_MODEL."
        )
    return settings


def _home(environ: Mapping[str, str]) -> Path:
    return _path(environ, "VOUCH_HOME") or Path.home() / ".local" / "share" / "vouch"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "").strip()
    return Path(value).expanduser() if value else None


def _switch(environ: Mapping[str, str], name: str) -> bool:
    raw = environ.get(name, "").strip()
    if raw not in ("", "0", "1"):
        raise ConfigError(f"{name} is '{raw}'.", hint="Set it to 1 or 0.")
    return raw == "1"


def _port(flags: Flags, environ: Mapping[str, str]) -> int:
    raw = str(flags.port) if flags.port is not None else environ.get("VOUCH_PORT", "").strip() or str(DEFAULT_PORT)
    if not raw.isascii() or not raw.isdigit() or int(raw) > LAST_PORT:
        raise ConfigError(
            f"Port '{raw}' is not a number within 0 and {LAST_PORT}.", hint="Use --port 7860, for instance."
        )
    return int(raw)
