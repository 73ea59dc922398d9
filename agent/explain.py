"""explain(): recommendations -> reasons. Planned in code, realised by the model with references, rendered, verified.

Candidates that use a wrong or missing reference, or whose words say something that nothing supports, are rejected; when none is
left, a sentence composed from the evidence stands in, marked and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vouchrec.agent.compose import composed_reason, fix_articles
from vouchrec.agent.contexts import is_usual
from vouchrec.agent.llm.base import Completion
from vouchrec.agent.plan import Plan, plan_reason
from vouchrec.agent.prompts import reason_prompt
from vouchrec.agent.types import Explained, Reason
from vouchrec.agent.verify import relates_wrongly, wishes_wrongly
from vouchrec.agent.wording import in_place
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Profile, Query, Recommendation

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent

CANDIDATES = 4
"""Wordings sampled per reason in one batch."""
TEMPERATURE = 0.6
MAX_TOKENS = 80
SHORTEST, LONGEST = 6, 60
"""Words in an acceptable reason, after rendering."""
MIN_LOGPROB = -3.0
"""Mean log-probability below which a wording counts as babble."""
_REFERENCE = re.compile(r"\[\[[^\[\]]*\]\]")
_CUT_SHORT = re.compile(
    r"(?:(?<!\bit )(?<!\bthat )(?<!\bwhat )(?<!\bthere )(?<!\bone )(?<!\bthis )\b(?:is|was|are|has)"
    r"|\b(?:an?|the|of|and|or|with|from|your))[.!?]$",
    re.IGNORECASE,
)
"""An ending that leaves a sentence open: "all you need to know is.", but not "that it is."."""
_REPEATED = re.compile(r"\b(\w+(?: \w+){0,4})[\s,]+\1\b", re.IGNORECASE)


def explain_all(
    agent: Agent, recommendations: Sequence[Recommendation], query: Query, profile: Profile
) -> list[Explained]:
    """Return each recommendation with its reason; the wordings of all are sampled in one batch."""
    return list(explain_each(agent, recommendations, query, profile))


def explain_each(
    agent: Agent, recommendations: Sequence[Recommendation], query: Query, _profile: Profile, *, seed: int = 0
) -> Iterator[Explained]:
    """Yield each recommendation with its reason; the first comes from a batch of its own, so that it comes early."""
    plans = [plan_reason(r, query, agent.workspace.domain) for r in recommendations]
    for part in (slice(0, 1), slice(1, None)):
        wordings = _word(agent, plans[part], seed)
        for recommendation, plan, candidates in zip(recommendations[part], plans[part], wordings, strict=True):
            yield Explained(recommendation, choose(agent, recommendation, plan, candidates))


def _word(agent: Agent, plans: Sequence[Plan], seed: int) -> list[list[Completion] | str]:
    """Return wordings per plan, or the cause for which there are none."""
    if not plans:
        return []
    prompts = [reason_prompt(plan.entries, specialist=agent.model.specialist) for plan in plans]
    try:
        return list(
            agent.model.complete(prompts, n=CANDIDATES, max_tokens=MAX_TOKENS, temperature=TEMPERATURE, seed=seed)
        )
    except ModelError:
        return ["reason:model_error"] * len(plans)


def choose(agent: Agent, recommendation: Recommendation, plan: Plan, candidates: list[Completion] | str) -> Reason:
    """Return the likeliest wording that passes every check, or the composed one with the cause of the failure."""
    failure = candidates if isinstance(candidates, str) else "reason:empty"
    if not isinstance(candidates, str):
        for candidate in sorted(candidates, key=lambda c: -c.logprob):
            problem = form_problem(candidate, plan, agent.workspace.domain) or (
                "wrong_relation" if relates_wrongly(candidate.text, agent.workspace.domain) else ""
            )
            problem = problem or ("wrong_wish" if wishes_wrongly(candidate.text, plan) else "")
            if problem:
                failure = f"reason:{problem}"
                continue
            text = render(candidate.text, plan, agent.workspace.domain)
            said = replace(plan, entries=tuple(e for e in plan.entries if e.reference in candidate.text))
            verdicts = agent.verifier.verify(text, said, recommendation)
            if verdicts.verified:
                return Reason(text, verdicts.claims, True, "model")
            failure = "reason:unsupported"
    return _composed(agent, recommendation, plan, failure)


def _composed(agent: Agent, recommendation: Recommendation, plan: Plan, failure: str) -> Reason:
    """Return the reason made of the plan's facts; of none of them when a value of the record can't stand in a text."""
    text = composed_reason(plan, agent.workspace.domain)
    verdicts = agent.verifier.verify(text, plan, recommendation)
    if not verdicts.verified:
        bare = replace(plan, entries=())
        text = composed_reason(bare, agent.workspace.domain)
        verdicts = agent.verifier.verify(text, bare, recommendation)
    return Reason(text, verdicts.claims, verdicts.verified, "composed", failure)


def _required(plan: Plan) -> set[str]:
    """Return the references that a wording may not leave out: the first cause or likeness, and what was asked for.

    A wording that leaves out a second cause or one more fact says less, and nothing false.
    """
    first = next((e.reference for e in plan.entries if e.kind in ("cause", "similar")), None)
    asked = {e.reference for e in plan.entries if e.kind == "match"}
    return asked | ({first} if first else set()) or {e.reference for e in plan.entries[:1]}


def form_problem(candidate: Completion, plan: Plan, domain: Domain) -> str:
    """Return what is wrong with the form of a wording, or an empty string."""
    text = candidate.text.strip()
    found = _REFERENCE.findall(text)
    used = set(found)
    twice = [r for r in used if "." in r and found.count(r) > 1]
    legal = {*plan.values()}
    required = _required(plan)
    words = len(render(text, plan, domain).split())
    checks = (
        ("unfinished", not candidate.finished or not text.endswith((".", "!", "?")) or bool(_CUT_SHORT.search(text))),
        (
            "illegal_reference",
            bool(used - legal) or "[[" in _REFERENCE.sub("", text) or "]]" in _REFERENCE.sub("", text),
        ),
        ("missing_reference", bool(required - used)),
        ("length", not SHORTEST <= words <= LONGEST),
        ("repetition", bool(twice) or bool(_REPEATED.search(_REFERENCE.sub(" \u25a1 ", text)))),
        ("unusual", not is_usual(text)),
        ("babble", candidate.logprob < MIN_LOGPROB),
    )
    return next((name for name, wrong in checks if wrong), "")


def render(text: str, plan: Plan, domain: Domain) -> str:
    """Replace references by what they stand for at their place, repair articles, and start sentences with a capital."""
    text = text.strip()
    values = plan.values()
    entries = {entry.reference: entry for entry in plan.entries}

    def put(m: re.Match[str]) -> str:
        entry = entries.get(m.group())
        if entry is None:
            return values.get(m.group(), m.group())
        return in_place(entry, text[: m.start()], text[m.end() :], domain)

    filled = _REFERENCE.sub(put, text)
    filled = fix_articles(" ".join(filled.split()))
    return re.sub(r"(^|[.!?]\s+)([a-z])", lambda m: m[1] + m[2].upper(), filled)
