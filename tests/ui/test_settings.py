from pathlib import Path

import pytest

from vouchrec.retrieval.errors import ConfigError
from vouchrec.ui.settings import Flags, read_settings


def test_flags_win_over_environment_and_environment_over_defaults() -> None:
    environ = {
        "VOUCH_HOME": "/h",
        "VOUCH_WORKSPACE": "/w",
        "VOUCH_MODEL": "m",
        "VOUCH_PORT": "9000",
        "VOUCH_HOST": "10.0.0.1",
    }
    settings = read_settings(Flags(workspace=Path("/flag"), port=9001), environ)
    assert settings.workspace == Path("/flag")
    assert (settings.port, settings.host, settings.model) == (9001, "10.0.0.1", "m")
    assert settings.demo_folder == Path("/h/demo")


def test_defaults_are_local_and_built_in() -> None:
    settings = read_settings(environ={})
    assert (settings.host, settings.port, settings.model, settings.workspace) == ("127.0.0.1", 7860, "builtin", None)
    assert settings.folder == settings.demo_folder == Path.home() / ".local/share/vouch/demo"


@pytest.mark.parametrize("port", ["x", "-1", "70000", "７８６０"])
def test_a_wrong_port_names_the_next_step(port: str) -> None:
    with pytest.raises(ConfigError, match="--port 7860"):
        read_settings(environ={"VOUCH_PORT": port})


def test_a_server_needs_a_model_name() -> None:
    with pytest.raises(ConfigError, match="--model"):
        read_settings(environ={"VOUCH_BASE_URL": "http://127.0.0.1:1/v1"})


def test_the_key_is_never_shown() -> None:
    assert "secret" not in repr(read_settings(environ={"VOUCH_API_KEY": "secret"}))
