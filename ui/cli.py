"""The `vouch` command. Results go to standard output, everything else to standard error; a user's error ends with code 2."""

# ruff: noqa: D301  (the backslash-b in a docstring is click's mark for text that keeps its lines)
from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vouchrec.retrieval.errors import ConfigError, InputError, VouchError
from vouchrec.ui import loader, training
from vouchrec.ui.evaluate import evaluate
from vouchrec.ui.options import AdapterOption, ModelOption, ServerOption, WorkspaceOption
from vouchrec.ui.settings import Flags, Settings, read_settings
from vouchrec.ui.tune import tune

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

UserOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--user", "-u", help="Whose likes and history count and are remembered. Default: nobody's."),
]
LikeOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--like", "-l", metavar="TITLE", help="Something you like, by title or id; repeat for more."),
]
DislikeOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--dislike", metavar="TITLE", help="Something you don't; never recommended.")
]
SeenOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--seen", "-s", metavar="TITLE", help="Something you know already; never recommended."),
]
ConstraintOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--constraint",
        "-c",
        metavar="EXPR",
        help='"year>=1990", "genres=comedy|drama", "genres!=horror", "~moods=funny" (soft), or JSON.',
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One line of JSON on standard output, nothing else.")
]
Count: TypeAlias = Annotated[int | None, typer.Option("-n", min=1, max=50, help="How many items, 1 to 50.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"vouch {version('vouchrec')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Vouch: recommendations in conversation, each with a reason it can vouch for.

    \b
    Start here (a catalogue of films is built in; no key, no GPU, no download):
      vouch serve                          a page at http://127.0.0.1:7860, and an HTTP API
      vouch chat                           the same in this terminal
      vouch ask "something like Alien but funny" --like Alien

    \b
    Your own catalogue:
      vouch init --items books.csv --interactions ratings.csv --workspace books
      vouch chat --workspace books

    \b
    How good it is, on your own data:
      vouch eval ranking --workspace books

    \b
    A larger language model:
      vouch chat --model Qwen/Qwen3-4B
      vouch chat --base-url http://127.0.0.1:8000/v1 --model my-model

    \b
    Adapted to your catalogue:
      vouch finetune --base Qwen/Qwen3-1.7B --workspace books --out my-adapter
      vouch chat --model Qwen/Qwen3-1.7B --adapter my-adapter --workspace books

    Each command explains itself: vouch ask --help
    """


@app.command()
def chat(
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Talk in this terminal. /help lists the commands (/like 2, /why 2, ...).

    \b
    Examples:
      vouch chat
      vouch chat --user ann            remembers what ann likes
    """
    loader.chat(_settings(workspace, model, adapter, base_url), user)


@app.command()
def ask(
    message: Annotated[str | None, typer.Argument(help="What you are in the mood for.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="JSONL of conversations to answer instead of one message.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    like: LikeOption = None,
    seen: SeenOption = None,
    n: Count = None,
    as_json: JsonOption = False,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Answer one message, or every conversation of a file.

    \b
    Examples:
      vouch ask "a slow-burning science fiction film from the seventies, nothing with Tom Hanks"
      vouch ask "something like Alien but funny" --like Alien --json
      vouch ask --file conversations.jsonl --json > answers.jsonl

    \b
    A line of the file, and the line that it gives:
      {"turns": ["something funny", "shorter"], "like": ["Alien"], "seen": []}
      {"turns": [RECORD, RECORD], "ambiguous": []}     or {"error": {...}} for a bad line
    """
    settings = _settings(workspace, model, adapter, base_url)
    if file is None and message is None:
        raise ConfigError("There is nothing to answer.", hint='Give a message, vouch ask "something funny", or --file.')
    if file is not None:
        if message is not None or user or like or seen or n:
            raise ConfigError(
                "--file stands alone: its lines have their own turns, likes and seen.", hint="See vouch ask --help."
            )
        _print(loader.ask_file(settings, file))
        return
    _print(loader.ask(settings, message or "", user=user, likes=like or [], seen=seen or [], n=n, as_json=as_json))


@app.command()
def recommend(
    wish: Annotated[str, typer.Option("--wish", help="What you are in the mood for, as search words.")] = "",
    like: LikeOption = None,
    dislike: DislikeOption = None,
    seen: SeenOption = None,
    constraint: ConstraintOption = None,
    n: Count = 5,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Recommend without conversation and without words: the ranked list with its scores and evidence.

    \b
    Examples:
      vouch recommend --like Alien --like "The Thing" -c "year>=1990" -n 10
      vouch recommend --wish "rainy evening" -c "countries=Japan" -c "genres!=animation" --json
    """
    _print(
        loader.recommend(
            _settings(workspace),
            wish=wish,
            likes=like or [],
            dislikes=dislike or [],
            seen=seen or [],
            constraints=constraint or [],
            n=n or 5,
            as_json=as_json,
        )
    )


@app.command()
def explain(
    item: Annotated[
        list[str],
        typer.Option("--item", "-i", metavar="TITLE", help="What to explain, by title or id; repeat for more."),
    ],
    like: LikeOption = None,
    wish: Annotated[str, typer.Option("--wish", help="What you are in the mood for.")] = "",
    constraint: ConstraintOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Say why something would suit you, every claim checked.

    \b
    Examples:
      vouch explain --item Stalker --like Solaris --like Alien
      vouch explain --item Stalker --item Heat --wish "slow and strange" --json
    """
    settings = _settings(workspace, model, adapter, base_url)
    _print(loader.explain(settings, item, wish=wish, likes=like or [], constraints=constraint or [], as_json=as_json))


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on. Default: $VOUCH_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", "-p", help="Port. Default: $VOUCH_PORT, else 7860; 0 takes a free one.")
    ] = None,
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Serve the page and the HTTP API (POST /v1/recommendations, POST /v1/explanations, GET /healthz).

    There are no accounts yet: keep it on 127.0.0.1, or behind something that asks who is there.

    \b
    Examples:
      vouch serve
      vouch serve --port 8080 --workspace books
    """
    loader.serve(_settings(workspace, model, adapter, base_url, host=host, port=port))


@app.command()
def init(
    items: Annotated[
        Path, typer.Option("--items", help="Items: CSV, JSONL or Parquet with id and title, and any attributes.")
    ],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Folder to make or update.")],
    interactions: Annotated[
        Path | None, typer.Option("--interactions", help="Ratings or counts: user, item, value, time.")
    ] = None,
    domain: Annotated[
        Path | None, typer.Option("--domain", help="TOML that says what the attributes are. Default: guessed.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option("--embedder", help="sentence-transformers model, by name or folder.")
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            "--scorer",
            help="auto (compares what suits the size of the data), all (compares everything; slow), or a name:"
            " ease, itemknn, userknn, svd, ials, bpr, content, sasrec, gru, lightgcn, twotower, popularity. Default: auto.",
        ),
    ] = None,
) -> None:
    """Make a workspace from your own files. Run again after a change or an interruption: it continues where it can.

    \b
    Examples:
      vouch init --items books.csv --interactions ratings.csv --domain books.toml --workspace books
      vouch init --items books.csv --interactions ratings.csv --scorer itemknn --workspace books
    """
    _print(loader.init(items, interactions, domain, workspace, embedder, scorer))


@app.command()
def doctor(
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Check everything that a conversation needs; the exit code is 1 when something is broken."""
    broken = 0
    for finding in loader.examine(_settings(workspace, model, adapter, base_url)):
        broken += finding.state == "broken"
        typer.echo(f"{finding.state:<7} {finding.part:<15} {finding.detail}")
        if finding.advice:
            typer.echo(f"{'':<23} -> {finding.advice}")
    if broken:
        typer.echo(f"{broken} broken.")
        raise typer.Exit(1)
    typer.echo("All is well.")


training.register(app)
app.command("eval")(evaluate)
app.command()(tune)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    _prepare_streams()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    code = 0
    try:
        app(args=None if argv is None else list(argv), prog_name="vouch")
    except VouchError as error:
        typer.echo(f"vouch: {error}", err=True)
        code = 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _settings(
    workspace: Path | None,
    model: str | None = None,
    adapter: Path | None = None,
    base_url: str | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    return read_settings(Flags(workspace, model, adapter, base_url, host, port))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _prepare_streams() -> None:
    """Make both streams UTF-8 whatever the locale, so that no title can fail to print."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
