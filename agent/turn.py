"""reply(): one turn of conversation, as a stream of typed events. The upper half of the main path.

link -> understand -> profile -> decide -> recommend -> explain -> verify -> Done
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vouchrec.agent import answers
from vouchrec.agent.compose import nothing_found, opening, starting_question
from vouchrec.agent.decide import decide, make_query
from vouchrec.agent.explain import explain_each
from vouchrec.agent.link import LONGEST_MESSAGE
from vouchrec.agent.profile import build_profile, remember_request
from vouchrec.agent.rerank import CANDIDATES, rerank
from vouchrec.agent.types import (
    Act,
    Conversation,
    Done,
    Event,
    Explained,
    Recommended,
    Reply,
    Sentence,
    Turn,
    Understanding,
    Understood,
    reply_record,
)
from vouchrec.agent.understand import understand
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.pipeline import recommend, relax
from vouchrec.retrieval.types import ItemId, Profile, Query, Recommendation

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent

DEFAULT_N = 5
_NO_FEEDBACK: frozenset[Act] = frozenset(("profile", "compare", "off_topic", "unclear"))
"""Acts in which a like is none: "forget that I liked X", "X or Y?"."""


@dataclass(slots=True)
class _Course:
    """What accumulates while a turn runs."""

    started: float = field(default_factory=time.perf_counter)
    sentences: list[str] = field(default_factory=list[str])
    explained: list[Explained] = field(default_factory=list[Explained])
    timings: dict[str, float] = field(default_factory=dict[str, float])
    query: Query | None = None
    shown: tuple[ItemId, ...] = ()
    rerank_fallback: str = ""

    def mark(self, stage: str) -> None:
        """Note the time of a stage, the first time it ends."""
        self.timings.setdefault(stage, (time.perf_counter() - self.started) * 1000)

    def say(self, text: str, item: ItemId | None = None) -> Sentence:
        """Keep a sentence and return its event."""
        self.sentences.append(text)
        self.mark("first_sentence")
        return Sentence(text, item)


def start(
    agent: Agent, user: str | None = None, *, likes: Sequence[ItemId] = (), seen: Sequence[ItemId] = ()
) -> Conversation:
    """Begin a conversation; without a user it is anonymous and leaves nothing behind."""
    identifier = uuid.uuid4().hex
    conversation = Conversation(identifier, user or f"anonymous-{identifier}", anonymous=user is None)
    conversation.likes = tuple(dict.fromkeys(i for i in likes if i in agent.workspace.catalogue))
    conversation.seen = tuple(dict.fromkeys(i for i in seen if i in agent.workspace.catalogue))
    return conversation


def resolve(agent: Agent, title: str) -> tuple[ItemId, tuple[ItemId, ...]]:
    """Return the item that a typed title means, and the others of that name.

    Raises:
        RequestError: No item has such a name; the message names near ones.
    """
    found = agent.linker.resolve(title)
    if found:
        return found[0], found[1:]
    near = [agent.workspace.catalogue.get(i) for i, _ in agent.linker.gazetteer.nearest_titles(title, cutoff=60.0)]
    names = ", ".join(item.title for item in near if item is not None)
    hint = f"Did you mean {names}?" if names else f"Check the spelling, or add the {agent.workspace.domain.noun}."
    raise RequestError(f"No {agent.workspace.domain.noun} is called '{title}'.", hint=hint)


def reply(agent: Agent, conversation: Conversation, message: str, *, n: int | None = None) -> Iterator[Event]:
    """Answer a message: yields Understood, perhaps Recommended, Sentences, then Done, after which the turn is recorded.

    Args:
        n: How many recommendations when the message does not say; 5 by default.

    Raises:
        RequestError: The message is empty or longer than 2,000 characters; nothing was recorded.
    """
    text = check_message(message)
    course = _Course()
    understanding = understand(agent.model, agent.linker, conversation, text, agent.second)
    course.mark("understood")
    yield Understood(understanding)
    if understanding.request.act not in _NO_FEEDBACK:
        remember_request(agent, conversation, understanding.request)
    decision = decide(understanding.request, conversation)
    if decision == "recommend":
        yield from _recommend(agent, conversation, understanding, course, n or DEFAULT_N)
    else:
        for sentence in answers.answer(agent, conversation, text, understanding, decision):
            yield course.say(sentence)
    yield Done(_finish(agent, conversation, text, understanding, course))


def check_message(message: str) -> str:
    """Return a message without control characters and surrounding space.

    Raises:
        RequestError: Nothing is left of it, or it is too long.
    """
    if len(message) > LONGEST_MESSAGE:
        problem = f"The message has {len(message)} characters; at most {LONGEST_MESSAGE} are read."
        raise RequestError(problem, hint="Say it shorter, or in several messages.")
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in message).strip()
    if not text:
        raise RequestError("The message is empty.", hint="Say what you are in the mood for.")
    return text


def _recommend(
    agent: Agent, conversation: Conversation, understanding: Understanding, course: _Course, n: int
) -> Iterator[Event]:
    request = understanding.request
    profile = build_profile(agent, conversation, request)
    query = make_query(request, conversation, n)
    course.query = query
    found = _found(agent, query, profile, course)
    course.mark("recommended")
    course.shown = tuple(r.item.id for r in found)
    yield Recommended(tuple(found))
    if not found:
        yield course.say(nothing_found(request, relax(agent.workspace, query, profile), agent.workspace.domain))
        return
    notes = answers.notes(agent, understanding, found, query)
    yield course.say(opening(request, found, agent.workspace.domain, notes))
    yield from _explain(agent, course, found, query, profile)
    if _knows_nothing(query, profile):
        yield course.say(starting_question(agent.workspace.domain))


def _found(agent: Agent, query: Query, profile: Profile, course: _Course) -> list[Recommendation]:
    """Return the list: as scored, or in the language model's order where that is switched on."""
    if not agent.reranks:
        return recommend(agent.workspace, query, profile)
    wide = recommend(agent.workspace, replace(query, n=max(query.n, CANDIDATES)), profile)
    found, course.rerank_fallback = rerank(agent.model, agent.workspace.catalogue, wide, profile, query.n)
    return found


def _explain(
    agent: Agent, course: _Course, found: Sequence[Recommendation], query: Query, profile: Profile
) -> Iterator[Event]:
    for explained in explain_each(agent, found, query, profile):
        course.explained.append(explained)
        yield course.say(
            f"{explained.recommendation.item.title}: {explained.reason.text}", explained.recommendation.item.id
        )
        course.mark("first_reason")


def _knows_nothing(query: Query, profile: Profile) -> bool:
    return not (query.wish or query.constraints or query.similar_to or profile.history)


def _finish(
    agent: Agent, conversation: Conversation, message: str, understanding: Understanding, course: _Course
) -> Reply:
    fallbacks = Counter(e.reason.fallback for e in course.explained if e.reason.fallback)
    if understanding.fallback:
        fallbacks[understanding.fallback] += 1
    if course.rerank_fallback:
        fallbacks[course.rerank_fallback] += 1
    course.mark("done")
    answer = Reply(
        text="\n".join(course.sentences),
        understanding=understanding,
        explained=tuple(course.explained),
        fallbacks=dict(fallbacks),
        model=agent.model.name,
        timings_ms=course.timings,
    )
    conversation.turns.append(Turn(message, understanding.request, course.query, course.shown, answer))
    if not conversation.anonymous:
        agent.workspace.store.add_turn(conversation.user, conversation.id, message, reply_record(answer))
    return answer


__all__ = ["DEFAULT_N", "check_message", "reply", "resolve", "start"]
