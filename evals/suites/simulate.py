"""The simulate suite: whole conversations with simulated people, success and what it took."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict

from vouchrec.evals.runs.engine import Plan
from vouchrec.evals.runs.measures import Curve, Key, Measure, Row
from vouchrec.evals.simulator import phrases
from vouchrec.evals.simulator.dialogue import Dialogue, converse
from vouchrec.evals.simulator.goals import Goal, GoalSettings, draw_goals, goal_record
from vouchrec.evals.simulator.speakers import Speaker, TemplateSpeaker
from vouchrec.evals.simulator.systems import System
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.workspace import Workspace

__all__ = ["SimulateSuite"]

_DISCOUNT = 0.9
"""What a success loses in worth with each further turn."""
_GROUPS = {"history": "People of the data: they look for what they really liked", "catalogue": "Made-up people"}


class SimulateSuite:
    """Every person with one system.

    Args:
        system: The other side.
        workspace: Whose catalogue is searched. What the system has learnt must not hold what the cases ask for.
        cases: Held-out people of the data; may be empty, then all people are made up.
        settings: How people are drawn.
        speaker: Who words messages; templates by default.
    """

    def __init__(
        self,
        system: System,
        workspace: Workspace,
        cases: Sequence[Case] = (),
        settings: GoalSettings | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        self._system, self._workspace = system, workspace
        self._settings = settings or GoalSettings()
        self._speaker = speaker or TemplateSpeaker(workspace.catalogue)
        self._goals = draw_goals(workspace, cases, self._settings)

    @property
    def plan(self) -> Plan:
        """Every person."""
        goals = [_digestible(goal) for goal in self._goals]
        ways = {register: dict(kinds) for register, kinds in phrases.PHRASES.items()}
        turns = range(1, self._settings.patience + 1)
        curve = Curve("Success over turns", "turn", "part of people", tuple((t, f"success@{t}") for t in turns))
        return Plan(
            suite="simulate",
            title=f"Simulated conversations about {self._workspace.domain.plural}",
            about=(
                "Each person looks for something that is never said, states wishes bit by bit, may change their mind, reacts "
                "to what is shown and gives up. Success is a list with one of the items that they look for. No message names "
                "an item that is looked for, nor describes it so that fewer than "
                f"{self._settings.crowd} items are left: leaks are counted on the finished transcripts."
            ),
            protocol={
                "version": 1,
                "people": asdict(self._settings),
                "goals": _digest(goals),
                "phrases": _digest(ways),
                "speaker": self._speaker.name,
            },
            settings={"system": self._system.name},
            measures=_measures(self._settings.patience),
            curves=(curve,),
            methods=(self._system.name,),
            size=len(self._goals),
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """Sizes."""
        return {"items": len(self._workspace.catalogue), "ways_to_say": phrases.count()}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per person.

        Raises:
            ModelError: A language model or its server failed; the run can go on later.
        """
        for goal in self._goals:
            group = _GROUPS[goal.origin]
            if (group, self._system.name, goal.id) in done:
                continue
            own = self._settings
            dialogue = converse(
                self._system, goal, self._speaker, self._workspace.catalogue, seed=own.seed, crowd=own.crowd
            )
            shown = tuple(dict.fromkeys(item for e in dialogue.exchanges for item in e.answer.items))
            yield Row(goal.id, self._system.name, group, self._values(dialogue), shown, self._detail(dialogue))

    def _values(self, dialogue: Dialogue) -> dict[str, float]:
        found, turns, exchanges = dialogue.found is not None, dialogue.turns, dialogue.exchanges
        values: dict[str, float] = {
            "success": float(found),
            "turns": turns,
            "turns_to_success": turns if found else float("nan"),
            "reward": _DISCOUNT ** (turns - 1) if found else 0.0,
            "leaks": len(dialogue.leaks),
            "prevented": dialogue.prevented,
            "items": sum(len(e.answer.items) for e in exchanges),
            "broken": sum(e.broken for e in exchanges),
            "repeated": sum(e.repeated for e in exchanges),
            "failed": sum(e.answer.failed for e in exchanges),
            "by_model": sum(e.by_model for e in exchanges),
            "ms": sum(e.milliseconds for e in exchanges),
        }
        turn_limit = range(1, self._settings.patience + 1)
        return values | {f"success@{t}": float(found and turns <= t) for t in turn_limit}

    def _detail(self, dialogue: Dialogue) -> dict[str, object]:
        titles = {item.id: item.title for item in self._workspace.catalogue.items}
        return {
            "goal": goal_record(dialogue.goal, titles),
            "found": titles.get(dialogue.found or ""),
            "leaks": list(dialogue.leaks),
            "transcript": [
                {
                    "said": e.message,
                    "answered": e.answer.text,
                    "shown": [titles[i] for i in e.answer.items if i in titles],
                }
                for e in dialogue.exchanges
            ],
        }


def _measures(patience: int) -> tuple[Measure, ...]:
    points = [
        Measure(f"success@{t}", f"Success by turn {t}", f"success@{t}", kind="share", shown=False)
        for t in range(1, patience + 1)
    ]
    return (
        Measure("success", "People who found something", "success", kind="share", percent=True, main=True),
        Measure("turns_to_success", "Turns to success", "turns_to_success", better="lower", main=True),
        Measure("reward", "Reward, discounted by .9 a turn", "reward", main=True),
        Measure("reward_per_turn", "Reward per turn", "success", "turns", "ratio"),
        Measure("leaks", "Leaks per conversation (must be 0)", "leaks", better="lower", main=True),
        Measure("broken", "Shown items that are not what was said", "broken", "items", "ratio", "lower", percent=True),
        Measure(
            "repeated",
            "Shown items already refused, seen or named",
            "repeated",
            "items",
            "ratio",
            "lower",
            percent=True,
        ),
        Measure("failed", "Messages that could not be answered", "failed", "turns", "ratio", "lower", percent=True),
        Measure("prevented", "Wordings not said because they leak, per turn", "prevented", "turns", "ratio", ""),
        Measure("by_model", "Messages worded by a model", "by_model", "turns", "ratio", "", percent=True),
        Measure("ms", "Time per turn (ms, this machine)", "ms", "turns", "ratio", ""),
        *points,
    )


def _digestible(goal: Goal) -> dict[str, object]:
    return {**asdict(goal), "targets": sorted(goal.targets)}


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False, default=list).encode()).hexdigest()[:16]
