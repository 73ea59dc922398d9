"""What the one-shot commands print: JSON with `--json`, else lines for people."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vouchrec.agent.assemble import Agent
from vouchrec.agent.types import recommendation_record
from vouchrec.retrieval.build import InitReport
from vouchrec.ui.ask import ask_file, ask_once
from vouchrec.ui.constraints import parse_constraints
from vouchrec.ui.core import Ambiguity, Wanted, explain_items, item_of, recommend_once
from vouchrec.ui.lines import explained_lines, item_line, recommendation_lines, reply_lines
from vouchrec.ui.text import clean_message, plural, printable

log = logging.getLogger(__name__)


def to_json(record: Mapping[str, object]) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)


def wanted(
    agent: Agent,
    wish: str,
    likes: Sequence[str],
    dislikes: Sequence[str],
    seen: Sequence[str],
    constraints: Sequence[str],
    n: int,
) -> Wanted:
    """Check what the command line asks for.

    Raises:
        RequestError: The wish is too long, or a constraint is wrong.
    """
    return Wanted(
        wish=clean_message(wish, what="wish") if wish else "",
        likes=tuple(likes),
        dislikes=tuple(dislikes),
        seen=tuple(seen),
        constraints=parse_constraints(constraints, agent.workspace.domain),
        n=n,
    )


def asked_lines(
    agent: Agent,
    message: str,
    *,
    user: str | None,
    likes: Sequence[str],
    seen: Sequence[str],
    n: int | None,
    as_json: bool,
) -> Iterator[str]:
    """Answer one message and yield what to print."""
    asked = ask_once(agent, message, user=user, likes=likes, seen=seen, n=n)
    if as_json:
        yield to_json(asked.record())
        return
    yield from _ambiguity_lines(agent, asked.ambiguous)
    yield from reply_lines(asked.reply, agent.workspace.domain)


def file_lines(agent: Agent, path: Path) -> Iterator[str]:
    """Answer a file of conversations and yield one line of JSON per line."""
    bad = 0
    for record in ask_file(agent, path):
        bad += "error" in record
        yield to_json(record)
    if bad:
        log.warning("%s: %s could not be answered; see the error records.", path, plural(bad, "line"))


def recommended_lines(agent: Agent, asked: Wanted, *, as_json: bool) -> Iterator[str]:
    """Recommend and yield what to print."""
    answer = recommend_once(agent, asked)
    if as_json:
        records = [recommendation_record(r) for r in answer.recommendations]
        yield to_json({"recommendations": records, "ambiguous": [a.record() for a in answer.ambiguous]})
        return
    yield from _ambiguity_lines(agent, answer.ambiguous)
    domain = agent.workspace.domain
    lines = recommendation_lines(answer.recommendations, domain)
    yield from lines or [f"No {domain.noun} satisfies all of that. Give up a constraint."]


def explanation_lines(agent: Agent, items: Sequence[str], asked: Wanted, *, as_json: bool) -> Iterator[str]:
    """Explain items and yield what to print."""
    answer = explain_items(agent, items, asked)
    if as_json:
        records = [recommendation_record(e.recommendation, e.reason) for e in answer.explained]
        yield to_json({"explanations": records, "ambiguous": [a.record() for a in answer.ambiguous]})
        return
    yield from _ambiguity_lines(agent, answer.ambiguous)
    yield from explained_lines(answer.explained, agent.workspace.domain)


def init_lines(report: InitReport, folder: Path) -> Iterator[str]:
    """Yield what `vouch init` did and the next step."""
    yield f"{folder}: {plural(report.items, 'item')}, {plural(report.interactions, 'interaction')}."
    if report.unknown_items:
        yield f"Left out: {plural(report.unknown_items, 'interaction')} about items that are not in the catalogue."
    yield "Recommendations use " + (
        "ratings and content." if report.fitted else "content alone (no or too few ratings)."
    )
    if report.choice is not None:
        yield from report.choice.lines()
    yield f"Next: vouch chat --workspace {folder}"


def _ambiguity_lines(agent: Agent, ambiguous: Sequence[Ambiguity]) -> Iterator[str]:
    domain = agent.workspace.domain
    for one in ambiguous:
        others = "; ".join(item_line(item_of(agent, other), domain) for other in one.others)
        yield f"'{printable(one.name)}' is taken as {item_line(item_of(agent, one.taken), domain)}. Others: {others}."
