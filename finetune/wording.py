"""Reasons to learn from: plans of a workspace's own recommendations, with authored wordings that pass every check of serving.

Plans are sampled by asking the workspace as people do: from a history, with a wish for a value, for something like a title. A
wording of the same statements is looked up among the authored ones, brought to the catalogue's attributes, rendered, and taken
only when the verifier finds nothing unsupported in it. Where no authored wording fits, the composed sentence stands in, in
reference form, so that every kind of plan is learned.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from vouchrec.agent.compose import composed_reason
from vouchrec.agent.explain import form_problem, render
from vouchrec.agent.link import Linker
from vouchrec.agent.llm.base import Completion
from vouchrec.agent.plan import Plan, plan_reason
from vouchrec.agent.prompts import Planned, reason_prompt
from vouchrec.agent.verify import Verifier, relates_wrongly, wishes_wrongly
from vouchrec.finetune.examples import AuthoredReason, Example
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.pipeline import recommend
from vouchrec.retrieval.timeline import Timeline
from vouchrec.retrieval.types import Constraint, Item, ItemId, Profile, Query, Recommendation
from vouchrec.retrieval.workspace import Workspace

PER_LIST = 5
"""Recommendations of one sampled question."""
TRIED = 6
"""Authored wordings tried for one plan."""
TAKEN = 2
"""Wordings taken for one plan."""
COMPOSED = 0.3
"""Most that composed wordings may be of all: they are plain and alike."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One recommendation with its plan."""

    plan: Plan
    recommendation: Recommendation


class Wordings:
    """Finds wordings for plans; each is checked as serving checks the model's.

    Args:
        reasons: Authored reasons, already in the attributes of the workspace's domain.
    """

    def __init__(self, reasons: Sequence[AuthoredReason], linker: Linker) -> None:
        self._domain = linker.catalogue.domain
        self._verifier = Verifier(linker.catalogue, linker.gazetteer)
        self._by_plan: dict[tuple[tuple[str, str], ...], list[AuthoredReason]] = defaultdict(list)
        for reason in reasons:
            self._by_plan[_key(reason.plan)].append(reason)

    def authored(self, sampled: Sampled, rng: random.Random) -> list[tuple[str, str]]:
        """Return up to `TAKEN` authored wordings of a plan that pass, each as (group, text)."""
        found: list[tuple[str, str]] = []
        for reason in self._tried(sampled.plan, rng):
            if len(found) < TAKEN and self.passes(reason.text, sampled):
                found.append((reason.group, reason.text))
        return found

    def composed(self, sampled: Sampled) -> str | None:
        """Return the composed sentence in reference form, or None when it does not pass."""
        text = composed_reason(_in_references(sampled.plan), self._domain)
        return text if self.passes(text, sampled, composed=True) else None

    def passes(self, text: str, sampled: Sampled, *, composed: bool = False) -> bool:
        """Return whether serving would show this wording.

        Args:
            composed: Made by rules, which put words beside a reference that no author did, and no wrong ones.
        """
        problem = form_problem(Completion(text), sampled.plan, self._domain)
        if (problem and not (composed and problem == "unusual")) or relates_wrongly(text, self._domain):
            return False
        if not composed and wishes_wrongly(text, sampled.plan):
            return False
        said = replace(sampled.plan, entries=tuple(e for e in sampled.plan.entries if e.reference in text))
        return self._verifier.verify(render(text, sampled.plan, self._domain), said, sampled.recommendation).verified

    def _tried(self, plan: Plan, rng: random.Random) -> Iterator[AuthoredReason]:
        """Yield wordings of the whole plan, then of the plan without its last statement."""
        entries = [(e.kind, e.reference) for e in plan.entries]
        for part in (entries, entries[:-1]):
            pool = self._by_plan.get(_key(part), []) if part else []
            yield from rng.sample(pool, min(TRIED, len(pool)))


def _key(plan: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(plan))


def _in_references(plan: Plan) -> Plan:
    """Return a plan whose names and values are its references, so that what is composed of it can be rendered later."""
    liked = tuple(replace(item, title=f"[[liked{i}]]") for i, item in enumerate(plan.liked, start=1))
    entries = tuple(Planned(e.kind, e.reference, e.reference) for e in plan.entries)
    return Plan(replace(plan.item, title="[[rec1]]"), liked, entries)


def reason_examples_of(
    workspace: Workspace, wordings: Wordings, timeline: Timeline | None, *, count: int, seed: int
) -> list[Example]:
    """Return up to `count` examples of wording reasons over plans sampled from the workspace."""
    rng = random.Random(seed)
    made: list[Example] = []
    composed: list[Example] = []
    seen: set[tuple[str, str]] = set()
    with tqdm(total=count, desc="reasons", leave=False, disable=None) as bar:
        for sampled in _plans(workspace, timeline, rng, lists=max(4, count // 2)):
            prompt = tuple(reason_prompt(sampled.plan.entries))
            fitting = wordings.authored(sampled, rng)
            for group, text in fitting:
                if (prompt[0].content, text) not in seen:
                    seen.add((prompt[0].content, text))
                    made.append(Example("reason", group, prompt, text))
                    bar.update()
            if not fitting and (text := wordings.composed(sampled)):
                composed.append(Example("reason", f"composed:{sampled.plan.item.id}", prompt, text))
            if len(made) >= count:
                break
    room = max(10, round(len(made) * COMPOSED / (1 - COMPOSED)))
    kept = [*made, *rng.sample(composed, min(room, len(composed)))]
    rng.shuffle(kept)
    return kept[:count]


def _plans(workspace: Workspace, timeline: Timeline | None, rng: random.Random, *, lists: int) -> Iterator[Sampled]:
    """Yield plans of recommendations for sampled questions."""
    for _ in range(lists):
        query, profile = _question(workspace, timeline, rng)
        for recommendation in recommend(workspace, query, profile):
            plan = plan_reason(recommendation, query, workspace.domain)
            if plan.entries:
                yield Sampled(plan, recommendation)


def _question(workspace: Workspace, timeline: Timeline | None, rng: random.Random) -> tuple[Query, Profile]:
    """Draw what a person might ask: with a history or a title to be like, half of the time with a wish for a value."""
    items = workspace.catalogue.items
    constraints = _wish(rng.choice(items), workspace.domain, rng) if rng.random() < 0.5 else ()
    choices = timeline.train if timeline else ()
    kind = rng.random()
    if choices and kind < 0.6:
        history = _newest(rng.choice(choices).liked, rng.choice((1, 2, 4, 8)))
        return Query("", constraints, n=PER_LIST), Profile(history)
    if kind < 0.9 or not constraints:
        return Query("", constraints, similar_to=(rng.choice(items).id,), n=PER_LIST), Profile()
    return Query("", constraints, n=PER_LIST), Profile()


def _newest(liked: Sequence[ItemId], count: int) -> dict[ItemId, float]:
    return dict.fromkeys(liked[-count:], 1.0)


def _wish(item: Item, domain: Domain, rng: random.Random) -> tuple[Constraint, ...]:
    """Return a wish for a value that an item has, so that something fits."""
    having = [a for a in domain.attributes if a.filterable and a.kind in ("list", "text") and item.values(a.name)]
    if not having:
        return ()
    attribute = rng.choice(having)
    strength = "hard" if attribute.strict else "soft"
    return (Constraint(attribute.name, "is", rng.choice(item.values(attribute.name)), strength),)
