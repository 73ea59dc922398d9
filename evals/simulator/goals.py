"""What simulated people look for: targets that nobody tells, what may be said of them, and who the person is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vouchrec.evals.simulator.leaks import LeakCheck
from vouchrec.evals.simulator.phrases import REGISTERS, vocabulary
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.types import Constraint, Item, ItemId
from vouchrec.retrieval.workspace import Workspace

__all__ = ["Fact", "Goal", "GoalSettings", "draw_goals"]

_TRIES = 40
_FACTS = 3
_COMMON = 0.5
"""Part of the catalogue from which a feature says nothing worth saying ("in English")."""
_PERSONA = 4


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a person wants, in conditions and in words.

    Attributes:
        words: A noun phrase: "a horror film", "a film from the 1990s".
    """

    constraints: tuple[Constraint, ...]
    words: str

    @property
    def bare(self) -> str:
        """The words without their article: "horror film"."""
        return self.words.partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Goal:
    """One simulated person.

    Attributes:
        persona: What they like and may speak of, newest last.
        targets: What they look for; never said. One of them in a list is success.
        facts: What they may say they want; true of `anchor`, and together of at least `crowd` items.
        detour: What they ask for first and take back, for one who changes their mind; false of every target.
        patience: Turns after which they give up.
        register: How they speak.
        origin: `history` for a person of the data, `catalogue` for one who is made up.
    """

    id: str
    persona: tuple[ItemId, ...]
    targets: frozenset[ItemId]
    anchor: ItemId
    facts: tuple[Fact, ...]
    detour: Fact | None
    patience: int
    register: str
    origin: str


@dataclass(frozen=True, slots=True)
class GoalSettings:
    """How people are drawn.

    Attributes:
        seed: Of every random choice.
        n: How many.
        patience: Turns after which they give up; half of them give up a quarter earlier.
        crowd: Items that all that is said must still allow, so that no target is named by its features.
        changes: Part of the people who change their mind, in [0, 1].
        targets: Targets of a person at most.
    """

    seed: int = 0
    n: int = 100
    patience: int = 8
    crowd: int = 10
    changes: float = 0.3
    targets: int = 5


def draw_goals(workspace: Workspace, cases: Sequence[Case], settings: GoalSettings) -> list[Goal]:
    """Draw people: those of the data first (their older likes known, a few newer ones looked for), then made-up ones.

    An item whose name is made of words that any message may hold ("It", "Her") is never looked for: every message would
    name it.

    Args:
        workspace: Whose catalogue is searched.
        cases: Held-out people of the data; may be empty. At most half of those drawn are made up when there are any.
        settings: How many, and how.

    Raises:
        ConfigError: Nothing in the catalogue can be looked for.
    """
    rng = np.random.default_rng(settings.seed)
    common = vocabulary(workspace.domain)
    sayable = {i.id for i in workspace.catalogue.items if not LeakCheck.names_item(i, common)}
    if not sayable:
        raise ConfigError("Nothing in this catalogue can be looked for: all titles are everyday words.")
    order = [cases[i] for i in rng.permutation(len(cases))]
    drawn: list[Goal] = []
    for case in order[: settings.n if not cases else math.ceil(settings.n / 2)]:
        targets = [item for item in sorted(case.targets) if item in sayable]
        persona = tuple(item for item in case.history if item in workspace.catalogue)[-_PERSONA:]
        if targets and persona:
            drawn.append(_goal(workspace, f"history-{case.user}", persona, targets, rng, settings, "history"))
    pool = sorted(sayable)
    number = 0
    while len(drawn) < settings.n:
        number += 1
        anchor = pool[int(rng.integers(len(pool)))]
        near = [item for item in _nearest(workspace, anchor) if item != anchor]
        persona = tuple(near[1 : 1 + int(rng.integers(1, 3))])
        targets = [anchor, *(item for item in near[3:5] if item in sayable)]
        drawn.append(_goal(workspace, f"made-up-{number}", persona, targets, rng, settings, "catalogue"))
    return drawn


def _goal(
    workspace: Workspace,
    name: str,
    persona: tuple[ItemId, ...],
    targets: Sequence[ItemId],
    rng: np.random.Generator,
    settings: GoalSettings,
    origin: str,
) -> Goal:
    anchor = targets[0] if origin == "catalogue" else targets[int(rng.integers(len(targets)))]
    others = [item for item in targets if item != anchor][: settings.targets - 1]
    wanted = frozenset((anchor, *others)) - set(persona)
    check = LeakCheck(workspace.catalogue, wanted, settings.crowd)
    facts = tuple(f for f in _facts(workspace, anchor, rng, settings.crowd) if not check.leaks(f.words, f.constraints))
    changes = bool(rng.random() < settings.changes)
    return Goal(
        id=name,
        persona=tuple(item for item in persona if not check.leaks(_title(workspace, item))),
        targets=wanted,
        anchor=anchor,
        facts=facts,
        detour=_detour(workspace, wanted, rng, settings.crowd) if changes else None,
        patience=settings.patience - (settings.patience // 4 if rng.random() < 0.5 else 0),
        register=REGISTERS[int(rng.integers(len(REGISTERS)))],
        origin=origin,
    )


def _title(workspace: Workspace, item: ItemId) -> str:
    return workspace.catalogue.items[workspace.catalogue.row(item)].title


def _nearest(workspace: Workspace, anchor: ItemId) -> list[ItemId]:
    """Return a dozen items whose content is closest, the item itself among them."""
    vectors = workspace.index.vectors
    likeness = vectors @ vectors[workspace.catalogue.row(anchor)]
    return [workspace.catalogue.items[row].id for row in np.argsort(-likeness, kind="stable")[:12]]


def _facts(workspace: Workspace, anchor: ItemId, rng: np.random.Generator, crowd: int) -> tuple[Fact, ...]:
    """Choose what may be said of an item: at random, as long as enough items have all of it."""
    catalogue = workspace.catalogue
    possible = _possible(catalogue.items[catalogue.row(anchor)], workspace.domain)
    chosen: list[Fact] = []
    said: set[str] = set()
    for index in rng.permutation(len(possible)):
        fact = possible[index]
        attribute = fact.constraints[0].attribute
        together = [c for f in (*chosen, fact) for c in f.constraints]
        telling = int(catalogue.mask(fact.constraints).sum()) <= _COMMON * len(catalogue)
        if attribute not in said and telling and int(catalogue.mask(together).sum()) >= crowd:
            chosen.append(fact)
            said.add(attribute)
        if len(chosen) == _FACTS:
            break
    return tuple(chosen)


def _possible(item: Item, domain: Domain) -> list[Fact]:
    found: list[Fact] = []
    for attribute in domain.attributes:
        number = item.number(attribute.name)
        if attribute.kind == "list" and attribute.filterable:
            found += [
                Fact((Constraint(attribute.name, "is", value),), _words(attribute, value, domain))
                for value in item.values(attribute.name)
            ]
        elif attribute.kind == "number" and number is not None:
            found += _about_number(attribute, number, domain)
    return found


def _about_number(attribute: Attribute, number: float, domain: Domain) -> list[Fact]:
    """Years by their decade, durations by a bound above; other numbers are not spoken of."""
    if attribute.quantity == "year":
        decade = int(number // 10 * 10)
        bounds = (Constraint(attribute.name, "min", decade), Constraint(attribute.name, "max", decade + 9))
        return [Fact(bounds, f"{_article(domain.noun)} from the {decade}s")]
    if attribute.quantity == "duration":
        bound = math.ceil(number / 30) * 30
        limit = f"{bound} minutes" if bound % 60 else f"{bound // 60} hours" if bound > 60 else "an hour"
        return [Fact((Constraint(attribute.name, "max", bound),), f"{_article(domain.noun)} of {limit} at most")]
    return []


def _words(attribute: Attribute, value: str, domain: Domain) -> str:
    if attribute.phrase == "{value}":
        return _article(f"{value} {domain.noun}")
    words = attribute.phrase.format(value=value, noun=domain.noun)
    return _article(words[2:]) if words.startswith("a ") else f"{_article(domain.noun)} {words}"


def _article(words: str) -> str:
    return f"{'an' if words[:1].casefold() in 'aeio' else 'a'} {words}"


def _detour(workspace: Workspace, targets: frozenset[ItemId], rng: np.random.Generator, crowd: int) -> Fact | None:
    """Return something that enough items are and no target is; None where the catalogue has no such thing."""
    catalogue, domain = workspace.catalogue, workspace.domain
    rows = catalogue.rows(targets)
    for _ in range(_TRIES):
        other = catalogue.items[int(rng.integers(len(catalogue)))]
        possible = [f for f in _possible(other, domain) if len(f.constraints) == 1 and f.constraints[0].op == "is"]
        for fact in possible:
            mask = catalogue.mask(fact.constraints)
            if not mask[rows].any() and int(mask.sum()) >= crowd:
                return fact
    return None


def goal_record(goal: Goal, titles: Mapping[ItemId, str]) -> dict[str, object]:
    """Return a goal as JSON, for a reader of the rows."""
    return {
        "origin": goal.origin,
        "register": goal.register,
        "persona": [titles.get(item, item) for item in goal.persona],
        "targets": [titles.get(item, item) for item in sorted(goal.targets)],
        "facts": [fact.words for fact in goal.facts],
        "detour": goal.detour.words if goal.detour else None,
        "patience": goal.patience,
    }
