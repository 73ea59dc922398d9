"""Write the generated pages and parts of pages: `make docs`. With `--check`, say which are out of date instead.

- docs/cli.md: the help of every command
- README.md: the source tree, one line per file from its module docstring, and the results block of docs/results.md
- docs/conventions.md: weights, named numbers and environment variables, as the code has them
- docs/how-to/own-catalogue.md: the keys of a domain file

A generated part stands between two HTML comments with its name, `begin` and `end`.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from vouchrec.retrieval.blend import Weights
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import SOURCES
from vouchrec.ui import settings
from vouchrec.ui.cli import app

ROOT = Path(__file__).resolve().parent.parent
README, CLI, RESULTS = ROOT / "README.md", ROOT / "docs" / "cli.md", ROOT / "docs" / "results.md"
CONVENTIONS, CATALOGUE = ROOT / "docs" / "conventions.md", ROOT / "docs" / "how-to" / "own-catalogue.md"
NUMBERS = (
    "retrieval/pipeline.py",
    "retrieval/narrow.py",
    "retrieval/diversify.py",
    "retrieval/evidence.py",
    "retrieval/likeness.py",
    "retrieval/index.py",
    "retrieval/collaborative.py",
    "retrieval/scorers/select.py",
    "retrieval/scorers/validation.py",
    "retrieval/interactions.py",
    "retrieval/catalogue.py",
    "agent/link.py",
    "agent/gazetteer.py",
    "agent/durations.py",
    "agent/years.py",
    "agent/understand.py",
    "agent/conditions.py",
    "agent/opinion.py",
    "agent/contexts.py",
    "agent/plan.py",
    "agent/explain.py",
    "agent/profile.py",
    "agent/rerank.py",
    "agent/turn.py",
    "agent/llm/local.py",
    "agent/llm/remote.py",
)
"""Modules whose public numbers docs/conventions.md lists."""
PACKAGES = {
    "retrieval": "catalogue -> ranked, evidenced items; knows nothing of language models",
    "agent": "one turn of conversation; knows nothing of HTTP or of Gradio",
    "finetune": "examples -> LoRA adapter, base model and collaborative weights of the built-in default",
    "evals": "any recommender or agent x cases -> numbers and tables",
    "ui": "command line, page, HTTP API; the only reader of the environment",
}
DATA_FOLDERS = {
    "agent/builtin": "built-in language model: base and adapter, with cards",
    "agent/data": "word lists",
    "evals/cases": "frozen messages and their gold, adjudicated facts",
    "finetune/data": "authored messages and reasons to learn from",
    "retrieval/builtin": "built-in catalogue, its domain file, embeddings and collaborative weights",
    "ui/static": "style sheet, scripts and icon of the page",
}
OTHERS = {
    "tests": "mirrors the folders; no network, no GPU",
    "bench": "measured, never asserted",
    "docs": "architecture, conventions, how-to, decisions, results, log; generate.py writes the generated parts",
    ".namespace/vouchrec": "five links that make the folders importable as vouchrec.* in an editable install",
    ".ci/run": "everything a change must pass, from a fresh clone",
    "Makefile": "every command of the project",
    "pyproject.toml": "build, dependencies, and the settings of every tool",
    "constraints.txt": "exact versions that are tested together",
}
WIDTH = 28
LONGEST = 96


def summary(path: Path) -> str:
    """Return the first sentence of a module's docstring, cut at a comma where it is long."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"\.\s", " ".join(text.split("\n\n")[0].split()), maxsplit=1)[0].rstrip(".:")
    while len(sentence) > LONGEST and (cut := max(sentence.rfind(mark) for mark in (", ", "; ", " ("))) > 0:
        sentence = sentence[:cut]
    return sentence[: sentence.rfind(" (")] if sentence.count("(") > sentence.count(")") else sentence


def tree() -> str:
    """Return the source tree as a fenced block."""
    return "\n".join(["```text", *_tree_lines(), "```"])


def _tree_lines() -> Iterator[str]:
    for package, meaning in PACKAGES.items():
        yield _line(f"{package}/", meaning)
        yield from _folder_lines(ROOT / package, 1)
        yield ""
    for name, meaning in OTHERS.items():
        yield _line(f"{name}/" if (ROOT / name).is_dir() else name, meaning)


def _folder_lines(folder: Path, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield _line(f"{indent}{path.name}", summary(path))
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != "__pycache__"):
        name = inner.relative_to(ROOT).as_posix()
        if name in DATA_FOLDERS:
            yield _line(f"{indent}{inner.name}/", DATA_FOLDERS[name])
        elif (inner / "__init__.py").is_file():
            yield _line(f"{indent}{inner.name}/", summary(inner / "__init__.py"))
            yield from _folder_lines(inner, depth + 1)


def _line(name: str, meaning: str) -> str:
    return f"{name:<{WIDTH}}{meaning}"


def cli_page() -> str:
    """Return the help of every command as one page."""
    lines = ["# Command line", "", "Written by `make docs` from the commands' own help; not edited by hand.", ""]
    names = [info.name or (info.callback.__name__ if info.callback else "") for info in app.registered_commands]
    for name in ("", *names):
        title = f"vouch {name}".strip()
        shown = CliRunner().invoke(
            app,
            [*name.split(), "--help"],
            prog_name="vouch",
            env={"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"},
        )
        help_text = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
        lines += [f"## {title}", "", "```text", help_text, "```", ""]
    return "\n".join(lines)


def weights_table() -> str:
    """Return every table of weights side by side, by source."""
    names = ["Weights()", *(f"Weights.{name}()" for name in sorted(vars(Weights)) if name.startswith("for_"))]
    tables = [Weights(), *(getattr(Weights, name)() for name in sorted(vars(Weights)) if name.startswith("for_"))]
    head = ["| source | " + " | ".join(f"`{name}`" for name in names) + " |", "|---|" + "---:|" * len(names)]
    rows = [f"| `{source}` | " + " | ".join(f"{table.of(source):g}" for table in tables) + " |" for source in SOURCES]
    return "\n".join([*head, *rows])


def numbers_table() -> str:
    """Return every public number of the listed modules with its value and what its docstring says."""
    rows = ["| name | value | meaning |", "|---|---:|---|"]
    for name in NUMBERS:
        rows += [f"| `{name}` `{key}` | {value:g} | {text} |" for key, value, text in _numbers(ROOT / name)]
    return "\n".join(rows)


def _numbers(path: Path) -> Iterator[tuple[str, float, str]]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        key = node.targets[0].id
        if key.startswith("_") or not isinstance(node.value, ast.Constant | ast.UnaryOp):
            continue
        value = ast.literal_eval(node.value)
        if isinstance(value, int | float):
            yield key, value, _doc(after)


def _doc(node: ast.stmt | None) -> str:
    """Return the string that stands alone under an assignment, in one line."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split()).rstrip(".")
    return ""


def environment_table() -> str:
    """Return the environment variables, read off the docstring of ui/settings.py."""
    found = re.findall(r"^`(VOUCH_\w+)`\s+(.+)$", settings.__doc__ or "", re.MULTILINE)
    return "\n".join(
        ["| variable | meaning |", "|---|---|", *(f"| `{name}` | {text.strip()} |" for name, text in found)]
    )


def fields_table(kind: type[Attribute | Domain], *, leave_out: frozenset[str] = frozenset()) -> str:
    """Return the fields of a domain class with their defaults and meanings."""
    meanings: dict[str, str] = {}
    for names, text in re.findall(r"^ {8}([a-z_, ]+): (.+)$", kind.__doc__ or "", re.MULTILINE):
        meanings.update({name.strip(): text for name in names.split(",")})
    rows = [
        f"| `{field.name}` | {_default(field)} | {meanings.get(field.name, '')} |"
        for field in dataclasses.fields(kind)
        if field.name not in leave_out
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is dataclasses.MISSING:
        return "none" if field.default_factory is not dataclasses.MISSING else "required"
    shown = {True: "true", False: "false", "": "none", (): "none"}
    return shown.get(field.default) or f"`{field.default}`"  # type: ignore[arg-type]


def replaced(text: str, name: str, body: str) -> str:
    """Return a page with what stands between `<!-- name:begin -->` and `<!-- name:end -->` replaced.

    Raises:
        ValueError: The page has no such marks.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if begin not in text or end not in text:
        raise ValueError(f"The marks {begin} and {end} are missing.")
    return f"{text.split(begin)[0]}{begin}\n{body}\n{end}{text.split(end, maxsplit=1)[1]}"


def block(text: str, name: str) -> str:
    """Return what stands between the marks of a name."""
    return text.split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0].strip()


def pages() -> dict[Path, str]:
    """Return the content that each generated or partly generated page should have."""
    readme = replaced(README.read_text(encoding="utf-8"), "tree", tree())
    results = block(RESULTS.read_text(encoding="utf-8"), "results")
    readme = replaced(readme, "results", re.sub(r"\]\((?![a-z]+:|#)", "](docs/", results))
    conventions = replaced(CONVENTIONS.read_text(encoding="utf-8"), "weights", weights_table())
    conventions = replaced(conventions, "numbers", numbers_table())
    conventions = replaced(conventions, "environment", environment_table())
    catalogue = replaced(
        CATALOGUE.read_text(encoding="utf-8"),
        "item",
        fields_table(Domain, leave_out=frozenset({"attributes", "words"})),
    )
    catalogue = replaced(catalogue, "attribute", fields_table(Attribute, leave_out=frozenset({"name"})))
    return {README: readme, CLI: cli_page(), CONVENTIONS: conventions, CATALOGUE: catalogue}


def main() -> int:
    """Write the pages, or with `--check` compare them; return 1 when one is out of date."""
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `make docs`.\n")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}{'' if path in stale else ' (unchanged)'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
