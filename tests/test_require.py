"""The conftest hook that turns skips into failures where CI must not skip: its rule, and one small suite of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
SUITE = """
import pytest

@pytest.mark.data
def test_marked():
    pytest.skip("the folder is not there")

def test_by_reason():
    pytest.skip("chromium is not installed")

def test_of_another_kind():
    pytest.skip("not on this system")

@pytest.mark.data
@pytest.mark.xfail(reason="known")
def test_expected_failure():
    assert False
"""
MODULE = 'import pytest\npytest.skip("no browser: chromium is missing", allow_module_level=True)\n'


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conftest_under_test", CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("required", "markers", "reason", "failed"),
    [
        ("", {"data"}, "VOUCH_DATA is not set", False),
        ("data", {"data"}, "anything", True),
        ("data", set(), "VOUCH_DATA does not name a folder", True),
        ("data", {"browser"}, "chromium is missing", False),
        ("browser, postgres", set(), "no PostgreSQL server program", True),
        ("browser,postgres,data", {"slow"}, "needs a GPU", False),
    ],
)
def test_which_skips_become_failures(
    hooks: ModuleType, monkeypatch: pytest.MonkeyPatch, required: str, markers: set[str], reason: str, failed: bool
) -> None:
    monkeypatch.setenv("VOUCH_REQUIRE", required)
    report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("test.py", 1, reason))
    hooks.refuse_skip(report, markers)
    assert report.outcome == ("failed" if failed else "skipped")
    assert reason in str(report.longrepr)
    assert str(report.longrepr).startswith("VOUCH_REQUIRE asks for") is failed


def test_an_unknown_name_is_refused(hooks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCH_REQUIRE", "browsers")
    with pytest.raises(pytest.UsageError, match="VOUCH_REQUIRE names 'browsers'; known: browser, postgres, data"):
        hooks.required()


def test_a_whole_suite(tmp_path: Path) -> None:
    shutil.copy(CONFTEST, tmp_path / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = data\n", encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test_module.py").write_text(MODULE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "--continue-on-collection-errors", "."],
        cwd=tmp_path,
        env={**os.environ, "VOUCH_REQUIRE": "browser,data"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 failed, 1 skipped, 1 xfailed, 1 error" in done.stdout
    assert done.returncode == 1
