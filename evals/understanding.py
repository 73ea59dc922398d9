"""Understanding of annotated messages: linker, act and roles, each apart, for the model and its baselines.

`python -m vouchrec.evals.understanding --cases FILE [--out FILE]` reads messages annotated in place
(`{Alien|title|like}`), links them with the serving linker and asks several readers for the act and the role of every
linked span: the built-in model alone, the second reader alone, the rules alone, and what is served (the model, corrected by the
second reader and by plain words, with a stand-in where its answer isn't used).

Protocol: a *slot* is an annotated part with a role other than `ignore`. A slot is found when a linked span of the same
sort (item, or value) shares at least 60% of the shorter of the two, and right when its role is also the annotated one
(`must` and `prefer` apart, `exclude` and `avoid` apart). Numbers that hold their negation are compared by meaning
(`role_of`), and a plainly said strict value counts as `must`. Predicted slots are linked spans with a role other than
`ignore`. Act accuracy and slot F1 have 95% bootstrap intervals over messages, seed 1.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from vouchrec.agent.annotations import AuthoredTurn, annotation_of, read_messages, role_of
from vouchrec.agent.assemble import BUILTIN_MODEL, Agent, open_model, open_second
from vouchrec.agent.link import Screen
from vouchrec.agent.opinion import SecondReader, likeliest
from vouchrec.agent.redial_annotations import read_redial
from vouchrec.agent.rules import read_by_rules
from vouchrec.agent.types import Reading, Role, Span
from vouchrec.agent.understand import read, read_by_model
from vouchrec.evals.intervals import Interval, Resample, bootstrap, bootstrap_statistic
from vouchrec.retrieval.build import open_builtin

Reader: TypeAlias = Callable[[AuthoredTurn, Sequence[Span]], Reading | None]
"""Reads a linked message; None when it has no valid reading."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An authored message as serving links it, with the roles that the annotation gives its spans."""

    turn: AuthoredTurn
    spans: tuple[Span, ...]
    gold: tuple[Role, ...]
    missed: int
    """Annotated slots that no linked span covers."""


@dataclass(slots=True)
class Scores:
    """What one reader makes of all messages; rows are messages."""

    acts: list[float] = field(default_factory=list[float])
    slots: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """(right, predicted, annotated) for each message."""
    roles: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """(gold, said) for every span."""
    sorts: Counter[tuple[str, bool]] = field(default_factory=Counter[tuple[str, bool]])
    """("item" or "value", right) for every span that the annotation gives a role."""
    conditions: list[float] = field(default_factory=list[float])
    """1 where every firm condition (must, exclude) of the linked values was read, and no other."""


def link_all(agent: Agent, turns: Sequence[AuthoredTurn]) -> list[Linked]:
    """Link every message against the agent's catalogue, with items of it on the screen where the author had some."""
    catalogue = agent.workspace.catalogue
    ids = [item.id for item in catalogue.items]
    found: list[Linked] = []
    for number, turn in enumerate(turns):
        shown = tuple(ids[(7 * number + k) % len(ids)] for k in range(turn.shown))
        spans = tuple(agent.linker.link(turn.text, Screen(shown, shown[0] if len(shown) == 1 else None)))
        gold: tuple[Role, ...] = tuple([role_of(span, turn, catalogue.domain) for span in spans])
        covered = {annotation_of(span, turn.annotations) for span in spans}
        missed = sum(a.role != "ignore" and a not in covered for a in turn.annotations)
        found.append(Linked(turn, spans, gold, missed))
    return found


def evaluate(linked: Sequence[Linked], reader: Reader, name: str) -> Scores:
    """Return the scores of one reader on all messages."""
    scores = Scores()
    for message in tqdm(linked, desc=name, unit="message", leave=False):
        score_message(scores, message, reader)
    return scores


def score_message(scores: Scores, message: Linked, reader: Reader) -> None:
    """Add what a reader makes of one message; a message without a valid reading counts as unclear."""
    reading = reader(message.turn, message.spans)
    _add(scores, message, reading or Reading("unclear", tuple("ignore" for _ in message.spans)))


def _add(scores: Scores, message: Linked, reading: Reading) -> None:
    scores.acts.append(float(reading.act == message.turn.act))
    right = predicted = 0
    firm = True
    for span, gold, said in zip(message.spans, message.gold, reading.roles, strict=True):
        scores.roles[gold, said] += 1
        predicted += said != "ignore"
        right += said != "ignore" and said == gold
        if gold != "ignore":
            scores.sorts["item" if span.is_item else "value", said == gold] += 1
        if not span.is_item:
            firm = firm and _firm(gold) == _firm(said)
    annotated = message.missed + sum(gold != "ignore" for gold in message.gold)
    scores.slots.append((right, predicted, annotated))
    scores.conditions.append(float(firm))


def _firm(role: Role) -> str:
    return role if role in ("must", "exclude") else ""


def slot_f1(scores: Scores) -> Interval:
    """Micro-averaged F1 of the slots, with its interval over messages."""
    table = np.array(scores.slots, dtype=np.float64)

    def f1(rows: Resample) -> float:
        right, predicted, annotated = table[rows].sum(axis=0)
        return float(2 * right / max(1.0, predicted + annotated))

    return bootstrap_statistic(f1, len(table), seed=1)


def readers(agent: Agent) -> Mapping[str, Reader]:
    """The readers to compare, by name."""
    second = agent.second
    found: dict[str, Reader] = {
        "rules": lambda turn, spans: read_by_rules(turn.text, spans, shown=turn.shown),
        "model alone": lambda turn, spans: read_by_model(agent.model, turn.text, spans, turn.shown, turn.before)[0],
        "served": lambda turn, spans: read(agent.model, turn.text, spans, turn.shown, turn.before, second)[0],
    }
    if second is not None:
        found["second reader alone"] = lambda turn, spans: _alone(second, turn, spans)
    return found


def _alone(second: SecondReader, turn: AuthoredTurn, spans: Sequence[Span]) -> Reading:
    return likeliest(second.read(turn.text, spans, turn.shown, turn.before))


def report(linked: Sequence[Linked], scores: Mapping[str, Scores]) -> dict[str, object]:
    """Return the figures as plain values."""
    slots = sum(m.missed + sum(g != "ignore" for g in m.gold) for m in linked)
    spans = sum(len(m.spans) for m in linked)
    meant = sum(g != "ignore" for m in linked for g in m.gold)
    return {
        "messages": len(linked),
        "linker": {
            "slots": slots,
            "recall": round(1 - sum(m.missed for m in linked) / max(1, slots), 3),
            "precision": round(meant / max(1, spans), 3),
        },
        "readers": {name: _figures(s) for name, s in scores.items()},
    }


def _figures(scores: Scores) -> dict[str, object]:
    sorts = {
        sort: round(scores.sorts[sort, True] / max(1, scores.sorts[sort, True] + scores.sorts[sort, False]), 3)
        for sort in ("item", "value")
    }
    confused = Counter({pair: n for pair, n in scores.roles.items() if pair[0] != pair[1]}).most_common(8)
    return {
        "act accuracy": _interval(bootstrap(scores.acts, seed=1)),
        "slot F1": _interval(slot_f1(scores)),
        "role accuracy of linked slots": sorts,
        "firm conditions all right": _interval(bootstrap(scores.conditions, seed=1)),
        "confused (annotated, said)": [[*pair, n] for pair, n in confused],
    }


def _interval(found: Interval) -> list[float]:
    return [round(found.value, 3), round(found.low, 3), round(found.high, 3)]


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="JSONL of annotated messages")
    parser.add_argument(
        "--data", type=Path, help="folder of the public data sets, where the cases are annotations of ReDial"
    )
    parser.add_argument("--demo", type=Path, help="folder of the demo workspace (default: a temporary one)")
    parser.add_argument("--model", default=BUILTIN_MODEL, help="builtin, a folder or a Hugging Face name")
    parser.add_argument("--adapter", type=Path, help="a LoRA adapter for it")
    parser.add_argument("--out", type=Path, help="also write the report there, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_builtin(options.demo or Path(folder) / "demo")
        agent = Agent(workspace, open_model(options.model, adapter=options.adapter), open_second(options.model))
        turns = read_redial(options.data, options.cases) if options.data else read_messages([options.cases])
        linked = link_all(agent, turns)
        scores = {name: evaluate(linked, reader, name) for name, reader in readers(agent).items()}
        workspace.close()
    text = json.dumps(report(linked, scores), indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
