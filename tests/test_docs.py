"""Documentation: links resolve, commands and names exist, generated parts are current, nothing private slips in."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import pytest

from vouchrec.agent.types import ACTS, ITEM_ROLES, VALUE_ROLES, ClaimKind, Verdict
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import SOURCES, Op
from vouchrec.ui.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("agent", "evals", "finetune", "retrieval", "ui")
OURS = [
    path
    for folder in (*FOLDERS, "tests", "bench", "docs", ".ci", ".github")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md", ".toml", ".yml", "", ".css", ".js")
    and path.is_file()
    and "__pycache__" not in path.parts
]
TOP = [
    "README.md",
    "CHANGELOG.md",
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
    ".pre-commit-config.yaml",
    ".gitignore",
]
FORBIDDEN = re.compile(
    r"/(?:work|root|home)/[a-z]|/opt/(?:pypi|wheels)|find-links|\b(?:co-authored-by|as an ai|language assistant)\b|"
    r"https?://(?:[a-z0-9-]+\.)*(?:pypi\.org|pythonhosted\.org|npmjs\.org|debian\.org)",
    re.IGNORECASE,
)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
readable = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="not a checkout")


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_internal_links_resolve(page: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page
        known = path.exists() and (not anchor or path.suffix != ".md" or anchor in anchors(path))
        if not known:
            broken.append(target)
    assert not broken


def commands(page: Path) -> list[str]:
    """Lines of the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.split("#")[0].strip()]


def vouch_options(name: str) -> set[str]:
    """Options of a `vouch` command."""
    import typer.main

    group = typer.main.get_command(app)
    found: set[str] = set()
    for parameter in group.commands[name].params:  # type: ignore[attr-defined]
        found.update(parameter.opts)
    return found | {"--help", "-h"}


@pages
def test_commands_shown_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z_]+)\)", makefile))
    names = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    for line in commands(page):
        words = line.split()
        if words[0] == "make":
            assert words[1] in targets, line
            assert {w.split("=")[0] for w in words[2:] if re.match(r"[A-Z_]+=", w)} <= variables, line
        elif words[0] == "vouch":
            assert words[1] in names, line
            plain = re.sub(r'"[^"]*"', "", line)
            assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", plain)) <= vouch_options(words[1]), line
        elif words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]) is not None, line


@pages
def test_names_in_backticks_exist(page: Path) -> None:
    """`folder/file.py` exists; `folder.module.name` can be imported."""
    text = page.read_text(encoding="utf-8")
    if page.name in ("log.md", "results-histories.md"):
        pytest.skip("a record of its day")
    for path in re.findall(r"`((?:agent|evals|finetune|retrieval|ui|tests|docs|bench)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    dotted = r"(?<![\w.])((?:agent|evals|finetune|retrieval|ui)(?:\.[A-Za-z_]\w*){2,})(?!\w)"
    for name in re.findall(dotted, text):
        assert resolves(f"vouchrec.{name}"), name


def resolves(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 1, -1):
        if importlib.util.find_spec(".".join(parts[:2])) is None:
            return False
        try:
            value: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def test_generated_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_changelog_and_project_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == project["version"]


def test_the_example_domain_file_is_valid() -> None:
    page = (ROOT / "docs" / "how-to" / "own-catalogue.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    domain = Domain.from_dict(tomllib.loads(example[1]))
    assert (domain.noun, [a.name for a in domain.attributes]) == ("book", ["authors", "subjects", "year"])


def test_conventions_name_every_source_act_role_and_op() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    for name in (*SOURCES, *ACTS, *ITEM_ROLES, *VALUE_ROLES, *get_args(Op), *get_args(ClaimKind), *get_args(Verdict)):
        assert f"`{name}`" in page, name


def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    for target in ("chat", "test", "check", "bench", "docs", "clean", "movielens-small"):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize("target", ["movielens-small", "movielens-2023", "wikipedia"])
def test_make_says_which_data_it_needs(target: str) -> None:
    """The recipe is run without its prerequisites, so nothing is installed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DATA", "VOUCH_DATA", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-s", target, "-o", ".venv/.vouch-runtime", "-o", ".venv/.vouch-dev"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"make {target} DATA=/path/to/data" in done.stderr


def test_nothing_private_slips_in() -> None:
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in [*OURS, *(ROOT / name for name in TOP)]
        if path.is_file() and path != here
        if (match := FORBIDDEN.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert not found
