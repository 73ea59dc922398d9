"""Answers that are no list: about an item, why, compare, what is remembered, small talk. All read off records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vouchrec.agent.compose import answer_about, comparison, describe, starting_question
from vouchrec.agent.decide import Decision
from vouchrec.agent.grammar import grammar, plain
from vouchrec.agent.language import spoken
from vouchrec.agent.plan import CAUSE_SHARE, join
from vouchrec.agent.profile import build_profile, portrait, record_feedback
from vouchrec.agent.types import Conversation, Explained, Understanding
from vouchrec.agent.words import common_words
from vouchrec.retrieval.catalogue import fold
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.pipeline import assess
from vouchrec.retrieval.types import Constraint, Item, ItemId, Query, Recommendation

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent

LONGEST_PLAIN_WISH = 4
"""Words of search text up to which each of them was surely meant as a part of the wish."""
SHORTEST_TELLING = 5
STEM = 6
"""Letters by which two forms of a word are taken for one ("detective", "detectives")."""
_FORGET = re.compile(r"\b(?:forget|remove|delete|unlike|take back)\b", re.IGNORECASE)
_THANKS = re.compile(r"\b(?:thanks?|thank you|thx|ty|cheers|ta)\b", re.IGNORECASE)
_BYE = re.compile(r"\b(?:bye|goodbye|good night|see you|later)\b", re.IGNORECASE)
_QUESTION_WORDS = {
    "people": re.compile(r"\b(?:who(?:'s| is| are|se)?)\b", re.IGNORECASE),
    "year": re.compile(r"\b(?:when|what year|how old|how recent|which year)\b", re.IGNORECASE),
    "duration": re.compile(
        r"\b(?:how long|length|long is|running time|runtime|too long|minutes|short)\b", re.IGNORECASE
    ),
    "place": re.compile(r"\b(?:where|which country|what country)\b", re.IGNORECASE),
}


def notes(agent: Agent, understanding: Understanding, found: Sequence[Recommendation], query: Query) -> list[str]:
    """Return what the person should know about how the message was taken.

    Ambiguous names, fewer items than wanted, and words of the wish that no record of the list speaks of.
    """
    said: list[str] = []
    if understanding.fallback == "understanding:language":
        language = next((grammar(s.language).name for s in understanding.spans if s.language), "that language")
        said.append(f"I read {language} only roughly: tell me if I got something wrong.")
    for name, ids in understanding.request.ambiguous:
        items = [item for i in ids if (item := agent.workspace.catalogue.get(i)) is not None]
        if len(items) > 1:
            others = join([_dated(item, agent.workspace.domain) for item in items[1:3]])
            said.append(f"I took “{name}” to be {_dated(items[0], agent.workspace.domain)}, not {others}.")
    for span in understanding.spans:
        item = agent.workspace.catalogue.get(span.items[0]) if span.guess and span.items else None
        if item is not None:
            said.append(f"I read “{span.text}” as {item.title}.")
    unseen = _unrecorded(agent.workspace.domain, understanding.request.words, [r.item for r in found])
    if unseen:
        said.append(f"My records of these say nothing about {join([f'“{word}”' for word in unseen])}.")
    if len(found) < query.n:
        said.append(f"Only {len(found)} {'fits' if len(found) == 1 else 'fit'} all of that.")
    return said


def _unrecorded(domain: Domain, wish: str, items: Sequence[Item]) -> list[str]:
    """Return the telling words of a short wish that no record of the given items has; in a long story there are too many."""
    words = wish.split()
    if len(words) > LONGEST_PLAIN_WISH:
        return []
    known = {word for a in domain.attributes for surface in a.synonyms for word in fold(surface).split()}
    texts = " ".join(
        fold(f"{item.title} {item.description} {' '.join(v for a in domain.attributes for v in item.values(a.name))}")
        for item in items
    )
    # A word that is none, a typing error perhaps, is better passed over than held against the records.
    telling = [w for w in words if len(w) >= SHORTEST_TELLING and fold(w) in common_words() and fold(w) not in known]
    return [w for w in telling if fold(w)[:STEM] not in texts]


def answer(
    agent: Agent, conversation: Conversation, message: str, understanding: Understanding, decision: Decision
) -> Iterator[str]:
    """Yield the sentences of an answer that is not a list."""
    request = understanding.request
    domain = agent.workspace.domain
    items = [item for i in request.about if (item := agent.workspace.catalogue.get(i)) is not None]
    if decision == "about":
        for item in items[:3]:
            yield answer_about(item, asked_attributes(message, domain), domain)
    elif decision == "explain":
        for item in items[:3]:
            yield from why(agent, conversation, item)
    elif decision == "compare":
        chosen = (items + _on_screen(agent, conversation, items))[:2]
        yield comparison(chosen, domain) if len(chosen) == 2 else f"Which two {domain.plural} shall I compare?"
    elif decision == "profile":
        yield from _profile(agent, conversation, message, understanding)
    elif decision == "restart":
        yield f"A clean slate. {starting_question(domain)}"
    elif decision == "ask":
        yield f"I am not sure what you mean. {starting_question(domain)}"
    else:
        yield _talk(message, understanding, domain)


def asked_attributes(message: str, domain: Domain) -> list[Attribute]:
    """Return the attributes that a question is about, by their labels, cues and question words."""
    lowered = fold(message)
    named = [a for a in domain.attributes if re.search(rf"\b{re.escape(fold(a.label))}s?\b", lowered)]
    if named:
        return named
    people = [a for a in domain.people if any(re.search(rf"\b{re.escape(stem(c))}", lowered) for c in a.cues)]
    if people:
        return people[:1]
    found: list[Attribute] = []
    if _QUESTION_WORDS["people"].search(message):
        found += domain.people
    for quantity in ("year", "duration"):
        if _QUESTION_WORDS[quantity].search(message):
            found += [a for a in domain.attributes if a.quantity == quantity]
    if _QUESTION_WORDS["place"].search(message):
        found += [a for a in domain.attributes if a.single][:1]
    return found


def stem(cue: str) -> str:
    """Return the distinctive beginning of a cue word: "directed by" -> "direct", "starring" -> "starr"."""
    first = cue.split()[0]
    return first[: max(4, len(first) - 2)] if len(first) > 4 else f"{first}\\b"


def why(agent: Agent, conversation: Conversation, item: Item) -> Iterator[str]:
    """Yield why an item was recommended, or why not, with the real shares."""
    shown = _shown(conversation, item.id)
    if shown is not None:
        yield f"{item.title}: {shown.reason.text}"
        yield from _shares(shown.recommendation)
        return
    state = conversation.state
    profile = build_profile(agent, conversation)
    query = state.query if state is not None and state.query is not None else Query()
    broken = [c for c in query.constraints if c.strength == "hard" and not _holds(agent, c, item.id)]
    if item.id in profile.disliked:
        yield f"{item.title} was left out because you said you dislike it."
    elif item.id in profile.seen:
        yield f"{item.title} was left out because you have seen it."
    elif item.id in profile.history:
        yield f"{item.title} is among what you like, so I did not suggest it again."
    elif broken:
        yield f"{item.title} was left out because it is {join([_broken(c, agent.workspace.domain) for c in broken])}."
    else:
        assessed = assess(agent.workspace, query, profile, [item.id])[0]
        yield f"{item.title} was possible, but others scored higher than its {assessed.score:.2f}."
        yield from _shares(assessed)


def _shares(recommendation: Recommendation) -> Iterator[str]:
    evidence = recommendation.evidence
    top = [c for c in evidence.contributions[:3] if c.value > 0]
    percent = round(100 * evidence.collaborative_share)
    if top and evidence.collaborative_share >= CAUSE_SHARE:
        parts = join([f"{c.item.title} ({round(100 * c.share)}%)" for c in top])
        yield f"What people with your likes also liked made up {percent}% of its score; of that part: {parts}."
    else:
        yield f"Your own history made up {percent}% of its score; the rest is how well it fits your words and what it is."


def _broken(constraint: Constraint, domain: Domain) -> str:
    """Return what an item is that breaks a condition: "horror" where horror was excluded, "not French" where France was wanted."""
    text = describe(constraint, domain)
    if constraint.op in ("is_not", "none_of"):
        return text.replace("without ", "with ", 1) if text.startswith("without ") else text.removeprefix("not ")
    return f"not {text}"


def _holds(agent: Agent, constraint: Constraint, item: ItemId) -> bool:
    return agent.workspace.catalogue.satisfied(constraint, agent.workspace.catalogue.row(item))


def _shown(conversation: Conversation, item: ItemId) -> Explained | None:
    for turn in reversed(conversation.turns):
        for explained in turn.reply.explained if turn.reply else ():
            if explained.recommendation.item.id == item:
                return explained
    return None


def _on_screen(agent: Agent, conversation: Conversation, besides: list[Item]) -> list[Item]:
    known = {item.id for item in besides}
    return [
        item for i in conversation.shown if i not in known and (item := agent.workspace.catalogue.get(i)) is not None
    ]


def _profile(agent: Agent, conversation: Conversation, message: str, understanding: Understanding) -> Iterator[str]:
    request = understanding.request
    named = (*request.about, *request.liked, *request.disliked, *request.seen)
    if _FORGET.search(message) and named:
        for item in dict.fromkeys(named):
            record_feedback(agent, conversation, item, "forget")
        titles = join([i.title for n in dict.fromkeys(named) if (i := agent.workspace.catalogue.get(n)) is not None])
        yield f"Forgotten: {titles}."
        return
    known = portrait(agent, conversation)
    if not (known.liked or known.disliked or known.seen):
        yield f"So far I know nothing about you. {starting_question(agent.workspace.domain)}"
        return
    for label, items in (("You like", known.liked), ("You dislike", known.disliked), ("You have seen", known.seen)):
        if items:
            more = f" and {len(items) - 8} more" if len(items) > 8 else ""
            yield f"{label} {join([i.title for i in items[:8]])}{more}."
    if known.tastes:
        yield f"What your likes have in common: {join([value for _, value, _ in known.tastes[:5]])}."


def _talk(message: str, understanding: Understanding, domain: Domain) -> str:
    act = understanding.request.act
    if act == "off_topic":
        return f"That is outside what I can help with: I recommend {domain.plural}. What would you like to {domain.consume}?"
    if act == "feedback":
        return f"Noted. Shall I find you a {domain.noun}?"
    known = grammar(spoken(message, understanding.spans) or "en")
    if _THANKS.search(message) or known.pattern("thanks").search(plain(message)):
        return "You are welcome. Tell me afterwards what you thought of it, and the next list will be better."
    if _BYE.search(message) or known.pattern("bye").search(plain(message)):
        return f"Enjoy whatever you {domain.consume}."
    return f"Hello. Tell me what you are in the mood for, or one {domain.noun} you love."


def _dated(item: Item, domain: Domain) -> str:
    year = next((item.number(a.name) for a in domain.attributes if a.quantity == "year"), None)
    return f"{item.title} ({year:g})" if year else item.title
