"""The suites of `vouch eval`, opened with what the flags say, run, and summed up in lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from vouchrec.evals.protocols import PROTOCOLS, SplitSettings
from vouchrec.evals.rankers import METHODS
from vouchrec.evals.runs.engine import Done, Suite, evaluate
from vouchrec.evals.runs.tables import Cell, Table, details, duration, summary, verdicts
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.workspace import Workspace
from vouchrec.ui import loader
from vouchrec.ui.options import EvalOptions

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent
    from vouchrec.agent.llm.base import LanguageModel
    from vouchrec.evals.simulator.systems import System

__all__ = ["run"]


def run(options: EvalOptions) -> Iterator[str]:
    """Run a suite and yield the lines to print.

    Raises:
        VouchError: It can't be run.
    """
    with _OPENERS[options.suite](options) as suite:
        done = evaluate(suite, options.out, seed=options.seed, restart=options.restart, progress=True)
    yield from _lines(done)


def _lines(done: Done) -> Iterator[str]:
    manifest, found = done.manifest, done.figures
    yield f"{manifest.title}: protocol {manifest.hash}, seed {manifest.seed}, {duration(manifest.seconds)}."
    for group in dict.fromkeys(f.group for f in found):
        own = [f for f in found if f.group == group]
        yield ""
        if group:
            yield f"{group} ({max(f.cases for f in own)} cases)"
        many = len(manifest.methods) > 1
        yield from _aligned(summary(manifest, own) if many else details(manifest, own))
        yield from (f"  {line}" for line in verdicts(manifest, own) if many)
    yield ""
    yield f"Report: {done.folder / 'report.html'}"


def _aligned(table: Table) -> Iterator[str]:
    rows = [[table.corner, *table.columns], *([name, *map(_text, cells)] for name, cells in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(
            text.ljust(w) if n == 0 else text.rjust(w) for n, (text, w) in enumerate(zip(row, widths, strict=True))
        )


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    arrow = " ▲" if "up" in cell.mark else " ▼" if "down" in cell.mark else ""
    return f"{cell.value} {cell.interval}{arrow}"


@contextmanager
def _ranking(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals.suites.ranking import RankingSettings, RankingSuite

    workspace = loader.open_workspace(options.settings)
    try:
        split = SplitSettings(seed=options.seed, least=options.least, most=options.cases or 1_000)
        settings = RankingSettings(
            protocols=options.protocols or tuple(PROTOCOLS),
            methods=options.methods or tuple(METHODS),
            part="validation" if options.validation else "test",
            k=options.k,
            split=split,
        )
        yield RankingSuite(workspace, settings, chosen=bool(options.protocols))
    finally:
        workspace.close()


@contextmanager
def _messages(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals import messages
    from vouchrec.evals.suites.conversations import MessagesSuite

    with _builtin_agent(options) as agent:
        yield MessagesSuite(agent, options.cases_file or messages.CASES, most=options.cases)


@contextmanager
def _understanding(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals.suites.conversations import UNDERSTANDING_CASES, UnderstandingSuite

    with _builtin_agent(options) as agent:
        yield UnderstandingSuite(agent, options.cases_file or UNDERSTANDING_CASES, most=options.cases)


@contextmanager
def _falsehoods(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals import falsehoods
    from vouchrec.evals.suites.conversations import FalsehoodsSuite

    with _builtin_workspace(options) as workspace:
        yield FalsehoodsSuite(workspace, options.cases_file or falsehoods.CASES, most=options.cases)


@contextmanager
def _histories(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals.suites.histories import HistoriesSuite

    if options.data is None:
        raise ConfigError("The suite histories needs the public rating data.", hint="Name its folder with --data.")
    with _builtin_workspace(options) as workspace:
        yield HistoriesSuite(options.data, workspace)


@contextmanager
def _simulate(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals.simulator.goals import GoalSettings
    from vouchrec.evals.simulator.speakers import ModelSpeaker, TemplateSpeaker
    from vouchrec.evals.suites.simulate import SimulateSuite

    if options.simulated_by not in ("templates", "model"):
        raise ConfigError(f"Nobody called '{options.simulated_by}' words messages.", hint="Use templates or model.")
    if bool(options.chat_url) != bool(options.chat_model):
        raise ConfigError(
            "A chat server needs its address and its model's name.", hint="Give --chat-url and --chat-model."
        )
    workspace = loader.open_workspace(options.settings)
    try:
        known, cases = _without_the_answers(workspace, options)
        catalogue = known.catalogue
        model = _model(options) if options.simulated_by == "model" or not options.chat_url else None
        worded = options.simulated_by == "model" and model is not None
        speaker = ModelSpeaker(model, catalogue) if worded and model is not None else TemplateSpeaker(catalogue)
        settings = GoalSettings(seed=options.seed, n=options.cases or 100, patience=options.turns)
        yield SimulateSuite(_system(options, known, model), known, cases, settings, speaker)
    finally:
        workspace.close()


def _without_the_answers(workspace: Workspace, options: EvalOptions) -> tuple[Workspace, Sequence[Case]]:
    """Return the workspace with a scorer that knows nothing of the people who will be simulated, and these people.

    Without enough interactions there are none: the workspace then stays as it is, and all people are made up.
    """
    from vouchrec.evals.protocols import check_split, likes_of, make_split
    from vouchrec.evals.rankers import Fitted
    from vouchrec.retrieval.workspace import LEAST_INTERACTIONS

    likes = likes_of(workspace.store.interactions(), [item.id for item in workspace.catalogue.items])
    if len(likes) < LEAST_INTERACTIONS:
        return workspace, ()
    settings = SplitSettings(seed=options.seed, least=options.least)
    split = check_split(make_split(likes, "strong", settings=settings))
    return Fitted(workspace, options.seed).product(split, collaborative=True), split.cases


def _model(options: EvalOptions) -> LanguageModel:
    from vouchrec.agent.assemble import open_model

    own = options.settings
    return open_model(own.model, adapter=own.adapter, base_url=own.base_url, api_key=own.api_key)


def _system(options: EvalOptions, workspace: Workspace, model: LanguageModel | None) -> System:
    from vouchrec.agent.assemble import Agent
    from vouchrec.agent.link import Linker
    from vouchrec.agent.llm.remote import RemoteModel
    from vouchrec.evals.simulator.systems import ChatSystem, VouchSystem

    if options.chat_url or model is None:
        chat = RemoteModel(options.chat_model, options.chat_url, api_key=options.settings.api_key)
        return ChatSystem(chat, Linker(workspace.catalogue, workspace.standing), workspace.domain)
    return VouchSystem(Agent(workspace, model))


@contextmanager
def _builtin_workspace(options: EvalOptions) -> Iterator[Workspace]:
    if options.settings.workspace is not None:
        problem = f"The cases of {options.suite} speak of the built-in films, not of {options.settings.workspace}."
        raise ConfigError(problem, hint="Leave --workspace out and VOUCH_WORKSPACE unset.")
    workspace = loader.open_workspace(options.settings)
    try:
        yield workspace
    finally:
        workspace.close()


@contextmanager
def _builtin_agent(options: EvalOptions) -> Iterator[Agent]:
    from vouchrec.agent.assemble import Agent

    with _builtin_workspace(options) as workspace:
        yield Agent(workspace, _model(options))


_OPENERS: Mapping[str, Callable[[EvalOptions], AbstractContextManager[Suite]]] = {
    "ranking": _ranking,
    "messages": _messages,
    "understanding": _understanding,
    "falsehoods": _falsehoods,
    "histories": _histories,
    "simulate": _simulate,
}
