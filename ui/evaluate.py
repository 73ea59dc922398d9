"""`vouch eval`: run a suite, or compare two runs."""

# ruff: noqa: D301  (the backslash-b in a docstring is click's mark for text that keeps its lines)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vouchrec.retrieval.errors import ConfigError
from vouchrec.ui.options import AdapterOption, EvalOptions, ModelOption, ServerOption, WorkspaceOption
from vouchrec.ui.settings import Flags, read_settings

__all__ = ["evaluate"]

SUITES = {
    "ranking": "held-out likes of the workspace, five protocols, full ranking",
    "messages": "200 messages with gold: broken conditions, repeated items, acts, reasons (built-in films)",
    "understanding": "462 held-out messages: linker, act and roles (built-in films)",
    "falsehoods": "planted falsehoods that the verifier must refuse (built-in films)",
    "histories": "the built-in scorer and recommend() on held-out people (needs --data)",
    "simulate": "whole conversations with simulated people who look for something",
}
COMPARE = "compare"


def evaluate(
    suite: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="ranking, messages, understanding, falsehoods, histories, simulate; or compare."
        ),
    ],
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[A B]", help="For compare: the folders of two runs.")
    ] = None,
    workspace: WorkspaceOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run. Default: runs/SUITE.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of splits, samples and intervals.")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what an earlier run left in --out.")] = False,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="ranking: a method; repeat for more. Default: all.")
    ] = None,
    protocol: Annotated[
        list[str] | None, typer.Option("--protocol", help="ranking: a protocol; repeat for more. Default: all.")
    ] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="ranking: the validation part, while you still choose.")
    ] = False,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="ranking: length of the lists.")] = 10,
    cases: Annotated[
        int | None,
        typer.Option(
            "--cases", min=1, help="Cases at most. Default: 1000 people per protocol, 100 simulated people, else all."
        ),
    ] = None,
    least: Annotated[
        int, typer.Option("--least", min=2, help="ranking, simulate: likes that a person needs to be asked.")
    ] = 5,
    data: Annotated[Path | None, typer.Option("--data", help="histories: folder of the public data sets.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="messages, understanding, falsehoods: other cases (JSONL).")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=1, max=30, help="simulate: patience, in turns.")] = 8,
    user_model: Annotated[
        str,
        typer.Option(
            "--user-model", help="simulate: who words what people say: templates, or model (the language model)."
        ),
    ] = "templates",
    chat_url: Annotated[
        str, typer.Option("--chat-url", help="simulate: talk to this OpenAI-compatible server instead of Vouch.")
    ] = "",
    chat_model: Annotated[str, typer.Option("--chat-model", help="simulate: that server's model name.")] = "",
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: ServerOption = None,
) -> None:
    """Measure how good the recommendations, the understanding or the conversations are; compare two such runs.

    A run is a folder with report.html, report.md, cases.parquet (one row per case) and run.json (seed, versions, protocol).
    A run that was stopped goes on where it stood.

    \b
    Suites:
      ranking        held-out likes of the workspace: five protocols, full ranking
      messages       200 messages with gold, on the built-in films
      understanding  462 held-out messages: linker, act and roles, on the built-in films
      falsehoods     false reasons that must be refused, on the built-in films
      histories      the built-in scorer and recommend() on held-out people (needs --data)
      simulate       whole conversations with simulated people who look for something

    \b
    Examples:
      vouch eval ranking --workspace books
      vouch eval ranking --workspace books --protocol strong --method vouch --method popularity --cases 200
      vouch eval simulate --workspace books --cases 50
      vouch eval compare runs/before runs/after
    """
    if suite == COMPARE:
        _compare(runs or [], seed)
        return
    if suite not in SUITES:
        raise ConfigError(f"There is no suite '{suite}'.", hint=f"Suites: {', '.join(SUITES)}; or compare A B.")
    if runs:
        raise ConfigError(f"{suite} takes no folders; found {runs[0]}.", hint="Name the folder of the run with --out.")
    settings = read_settings(Flags(workspace, model, adapter, base_url))
    options = EvalOptions(
        suite=suite,
        settings=settings,
        out=out or Path("runs") / suite,
        seed=seed,
        restart=restart,
        methods=tuple(method or ()),
        protocols=tuple(protocol or ()),
        validation=validation,
        k=k,
        cases=cases,
        least=least,
        data=data,
        cases_file=file,
        turns=turns,
        simulated_by=user_model,
        chat_url=chat_url,
        chat_model=chat_model,
    )
    from vouchrec.ui.eval_suites import run

    for line in run(options):
        typer.echo(line)


def _compare(runs: list[Path], seed: int) -> None:
    if len(runs) != 2:
        raise ConfigError("Two runs are compared.", hint="vouch eval compare runs/before runs/after")
    from vouchrec.evals.runs.compare import compare, compared_lines

    for line in compared_lines(*compare(runs[0], runs[1], seed=seed)):
        typer.echo(line)
