"""The suites on messages that people wrote: what is broken, what is understood, which falsehoods pass. On the built-in films."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import cast

from vouchrec.agent.annotations import read_messages
from vouchrec.agent.assemble import Agent
from vouchrec.evals import falsehoods, messages, understanding
from vouchrec.evals.runs.engine import Plan
from vouchrec.evals.runs.measures import Key, Measure, Row
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.workspace import Workspace

__all__ = ["FalsehoodsSuite", "MessagesSuite", "UnderstandingSuite"]

UNDERSTANDING_CASES = Path(understanding.__file__).parent / "cases" / "understanding_test.jsonl"


class MessagesSuite:
    """Messages with gold understanding: does the agent keep what people said?

    Args:
        agent: On the built-in films, which the gold speaks of.
        path: Cases, one conversation per line.
        most: Cases that are run, the first ones; None for all.

    Raises:
        DataFileError: The cases can't be read.
    """

    def __init__(self, agent: Agent, path: Path = messages.CASES, *, most: int | None = None) -> None:
        self._agent, self._path = agent, path
        self._cases = _json_lines(path, ("id", "turns"))[:most]

    @property
    def plan(self) -> Plan:
        """Every conversation with the agent's model."""
        return Plan(
            suite="messages",
            title="Messages with gold understanding",
            about=(
                "A hard condition of the gold is broken when a recommended item does not satisfy it; an item is repeated when "
                "the gold says that it was liked, disliked or seen. Conversations are drawn whole for the intervals."
            ),
            protocol={"version": 1, "cases": _digest(self._path), "n": len(self._cases)},
            settings={"model": self._agent.model.name},
            measures=_MESSAGES,
            methods=(self._agent.model.name,),
            size=len(self._cases),
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """Nothing beyond the rows."""
        return {}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per conversation."""
        method = self._agent.model.name
        for case in self._cases:
            if ("", method, str(case["id"])) in done:
                continue
            tally, turns = messages.evaluate_case(self._agent, case)
            yield Row(
                str(case["id"]), method, values=_counts(tally), detail={"turns": [_short(turn) for turn in turns]}
            )


def _counts(tally: messages.Tally) -> dict[str, float]:
    right, wrong, missed = (tally.titles[name] for name in ("right", "wrong", "missed"))
    reasons = sum(tally.reasons.values())
    by_model = tally.reasons["model:verified"] + tally.reasons["model:unverified"]
    return {
        "turns": tally.turns,
        "lists": tally.lists,
        "items": tally.items,
        "empty": tally.empty,
        "acts_right": tally.acts_right,
        "broken": tally.broken,
        "lists_broken": tally.lists_broken,
        "repeated": tally.repeated,
        "invalid": tally.invalid,
        "errors": tally.errors,
        "roles_right": right,
        "roles_said": right + wrong,
        "roles_meant": right + missed,
        "read_by_model": tally.sources["model"],
        "reasons": reasons,
        "reasons_by_model": by_model,
    }


def _short(turn: Mapping[str, object]) -> dict[str, object]:
    reply = cast("Mapping[str, object]", turn.get("reply", {}))
    listed = cast("Sequence[Mapping[str, object]]", reply.get("recommendations", ()))
    return {
        "text": turn["text"],
        "act": reply.get("act"),
        "shown": [item["id"] for item in listed],
        "problems": turn.get("problems", []),
        "error": turn.get("error"),
    }


def _ratio(name: str, label: str, column: str, over: str, *, better: str = "higher", main: bool = False) -> Measure:
    return Measure(
        name, label, column, over, "ratio", "lower" if better == "lower" else "higher", percent=True, main=main
    )


_MESSAGES = (
    _ratio("lists_with_a_problem", "Lists with a problem", "lists_broken", "lists", better="lower", main=True),
    _ratio("act_accuracy", "Acts understood", "acts_right", "turns", main=True),
    Measure("broken_per_list", "Hard conditions broken per list", "broken", "lists", "ratio", "lower", main=True),
    _ratio("repeated", "Items already liked, disliked or seen", "repeated", "items", better="lower"),
    _ratio("invalid", "Items outside the catalogue", "invalid", "items", better="lower"),
    _ratio("role_precision", "Item roles: precision", "roles_right", "roles_said"),
    _ratio("role_recall", "Item roles: recall", "roles_right", "roles_meant"),
    _ratio("read_by_model", "Turns read by the model", "read_by_model", "turns"),
    _ratio("reasons_by_model", "Reasons worded by the model", "reasons_by_model", "reasons"),
    _ratio("empty", "Turns without a list", "empty", "turns", better="lower"),
    _ratio("errors", "Turns that ended in an error", "errors", "turns", better="lower"),
)


class UnderstandingSuite:
    """Annotated messages: the linker, and act and roles by several readers.

    Args:
        agent: On the built-in films, which the annotations speak of.
        path: Annotated messages.
        most: Messages that are read, the first ones; None for all.
    """

    def __init__(self, agent: Agent, path: Path = UNDERSTANDING_CASES, *, most: int | None = None) -> None:
        self._agent, self._path = agent, path
        self._linked = understanding.link_all(agent, read_messages([path])[:most])
        self._readers = understanding.readers(agent)

    @property
    def plan(self) -> Plan:
        """Every message by every reader."""
        return Plan(
            suite="understanding",
            title="Understanding of annotated messages",
            about=(
                "A slot is an annotated part with a role; it is found when a linked span of the same sort covers it, and right "
                "when the role is right too. What is served is the model's reading, with the rules where it isn't used."
            ),
            protocol={"version": 1, "cases": _digest(self._path), "n": len(self._linked)},
            settings={"model": self._agent.model.name},
            measures=_UNDERSTANDING,
            methods=tuple(self._readers),
            size=len(self._linked) * len(self._readers),
            baseline="rules",
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """How the linker did, which all readers share."""
        slots = sum(m.missed + sum(gold != "ignore" for gold in m.gold) for m in self._linked)
        return {"slots": slots, "slots_not_linked": sum(m.missed for m in self._linked)}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per message and reader."""
        for name, reader in self._readers.items():
            for number, message in enumerate(self._linked):
                case = f"{number:04d}"
                if ("", name, case) in done:
                    continue
                scores = understanding.Scores()
                understanding.score_message(scores, message, reader)
                wrong = [list(pair) for pair in scores.roles if pair[0] != pair[1]]
                detail = {"text": message.turn.text, "act": message.turn.act, "wrong": wrong}
                yield Row(case, name, values=_scored(scores), detail=detail)


def _scored(scores: understanding.Scores) -> dict[str, float]:
    right, predicted, annotated = scores.slots[0]
    return {
        "act": scores.acts[0],
        "twice_right": 2 * right,
        "said_and_meant": predicted + annotated,
        "conditions": scores.conditions[0],
        "items_right": scores.sorts["item", True],
        "items": scores.sorts["item", True] + scores.sorts["item", False],
        "values_right": scores.sorts["value", True],
        "values": scores.sorts["value", True] + scores.sorts["value", False],
    }


_UNDERSTANDING = (
    Measure("act_accuracy", "Acts understood", "act", kind="share", percent=True, main=True),
    Measure("slot_f1", "Slot F1", "twice_right", "said_and_meant", "ratio", main=True),
    Measure("conditions", "All firm conditions right", "conditions", kind="share", percent=True, main=True),
    _ratio("items", "Roles of linked items", "items_right", "items"),
    _ratio("values", "Roles of linked values", "values_right", "values"),
)


class FalsehoodsSuite:
    """False and true reasons that people wrote: which does the verifier refuse?

    Args:
        workspace: The built-in films, which the reasons speak of.
        path: Cases.
        most: Cases that are judged, the first ones; None for all.

    Raises:
        DataFileError: The cases can't be read.
    """

    def __init__(self, workspace: Workspace, path: Path = falsehoods.CASES, *, most: int | None = None) -> None:
        self._workspace, self._path = workspace, path
        needed = ("set", "false", "true", "id", "likes")
        self._cases = {f"{n:04d}": case for n, case in enumerate(_json_lines(path, needed)[:most])}

    @property
    def plan(self) -> Plan:
        """Every case; each hand that wrote some is a group."""
        return Plan(
            suite="falsehoods",
            title="Planted falsehoods",
            about="Each case is a recommendation with a true and a false reason that people wrote from its evidence.",
            protocol={"version": 1, "cases": _digest(self._path), "n": len(self._cases)},
            settings={},
            measures=(
                Measure("refused", "False reasons refused", "refused", kind="share", percent=True, main=True),
                Measure("passed", "True reasons that pass", "passed", kind="share", percent=True, main=True),
            ),
            methods=("verifier",),
            size=len(self._cases),
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """Nothing beyond the rows."""
        return {}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per case."""
        left = {n: case for n, case in self._cases.items() if (str(case["set"]), "verifier", n) not in done}
        judged = falsehoods.judge(self._workspace, list(left.values()))
        for number, outcome in zip(left, judged, strict=True):
            values = {"refused": float(outcome.refused), "passed": float(outcome.passed)}
            detail = {name: str(outcome.case[name]) for name in ("id", "false", "true")}
            yield Row(number, "verifier", outcome.group, values, detail=detail)


def _json_lines(path: Path, needed: Sequence[str]) -> list[dict[str, object]]:
    """Read cases, one JSON object per line.

    Raises:
        DataFileError: The file is absent, a line is no JSON object, or lacks a field.
    """
    if not path.is_file():
        raise DataFileError(path, "no such file", hint="Name a file of cases with --file.")
    found: list[dict[str, object]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
        except ValueError as error:
            raise DataFileError(path, f"not JSON: {error}", row=number) from error
        missing = next((n for n in needed if not isinstance(case, dict) or n not in case), None)
        if missing is not None:
            raise DataFileError(path, "is missing", row=number, field=missing)
        found.append(cast("dict[str, object]", case))
    if not found:
        raise DataFileError(path, "has no cases")
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
