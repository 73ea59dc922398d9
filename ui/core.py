"""What the surfaces share: items by name, conversations started from outside, recommendations and explanations in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vouchrec.agent.assemble import Agent
from vouchrec.agent.explain import explain_all
from vouchrec.agent.profile import build_profile
from vouchrec.agent.turn import resolve, start
from vouchrec.agent.types import Conversation, Explained
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.pipeline import assess, recommend
from vouchrec.retrieval.types import Constraint, Item, ItemId, Query, Recommendation

DEFAULT_N = 5
MOST_N = 50


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A name that several items share, and which one was taken."""

    name: str
    taken: ItemId
    others: tuple[ItemId, ...]

    def record(self) -> dict[str, object]:
        """Return the ambiguity as JSON, with the same keys as `request.ambiguous`."""
        return {"name": self.name, "taken": self.taken, "others": list(self.others)}


@dataclass(frozen=True, slots=True)
class Started:
    """A conversation, and the names that were not clear when it was started."""

    conversation: Conversation
    ambiguous: tuple[Ambiguity, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request without conversation. Items are named by id or by title."""

    wish: str = ""
    likes: Sequence[str] = ()
    dislikes: Sequence[str] = ()
    seen: Sequence[str] = ()
    constraints: tuple[Constraint, ...] = ()
    n: int = DEFAULT_N


@dataclass(frozen=True, slots=True)
class Answer:
    """Recommendations for a request without conversation."""

    recommendations: tuple[Recommendation, ...]
    ambiguous: tuple[Ambiguity, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedAnswer:
    """Recommendations with reasons for a request without conversation."""

    explained: tuple[Explained, ...]
    ambiguous: tuple[Ambiguity, ...] = ()


def resolve_name(agent: Agent, name: str) -> tuple[ItemId, tuple[ItemId, ...]]:
    """Return the item that an id or a title means, and the others of that title.

    Raises:
        RequestError: It means no item; the message has the nearest titles.
    """
    return (name, ()) if name in agent.workspace.catalogue else resolve(agent, name)


def find_items(agent: Agent, names: Iterable[str]) -> tuple[tuple[ItemId, ...], tuple[Ambiguity, ...]]:
    """Return the items that ids or titles mean, in order and once each, and which names were not clear.

    Raises:
        RequestError: A name means no item; the message has the nearest titles.
    """
    found: dict[ItemId, None] = {}
    unclear: list[Ambiguity] = []
    for name in names:
        taken, others = resolve_name(agent, name)
        found[taken] = None
        if others:
            unclear.append(Ambiguity(name, taken, others))
    return tuple(found), tuple(unclear)


def begin(agent: Agent, user: str | None, likes: Iterable[str] = (), seen: Iterable[str] = ()) -> Started:
    """Start a conversation with likes and seen items named by id or title; no user means an anonymous one.

    Raises:
        RequestError: A name means no item.
    """
    liked, unclear_likes = find_items(agent, likes)
    watched, unclear_seen = find_items(agent, seen)
    conversation = start(agent, user, likes=liked, seen=watched)
    return Started(conversation, unclear_likes + unclear_seen)


def recommend_once(agent: Agent, wanted: Wanted) -> Answer:
    """Recommend without a conversation and without words.

    Raises:
        RequestError: n is out of range, or a name means no item.
    """
    started, query = _prepare(agent, wanted)
    found = recommend(agent.workspace, query, build_profile(agent, started.conversation))
    return Answer(tuple(found), started.ambiguous)


def recommend_explained(agent: Agent, wanted: Wanted) -> ExplainedAnswer:
    """Recommend without a conversation, with a verified reason per item.

    Raises:
        RequestError: n is out of range, or a name means no item.
    """
    started, query = _prepare(agent, wanted)
    profile = build_profile(agent, started.conversation)
    found = recommend(agent.workspace, query, profile)
    return ExplainedAnswer(tuple(explain_all(agent, found, query, profile)), started.ambiguous)


def explain_items(agent: Agent, names: Sequence[str], wanted: Wanted) -> ExplainedAnswer:
    """Say why (or how well) given items suit a person, in the given order, with a verified reason each.

    Raises:
        RequestError: A name means no item.
    """
    items, unclear = find_items(agent, names)
    started, query = _prepare(agent, wanted)
    profile = build_profile(agent, started.conversation)
    assessed = assess(agent.workspace, query, profile, items)
    return ExplainedAnswer(tuple(explain_all(agent, assessed, query, profile)), unclear + started.ambiguous)


def item_of(agent: Agent, item_id: ItemId) -> Item:
    """Return an item of the catalogue.

    Raises:
        RequestError: There is none with that id.
    """
    item = agent.workspace.catalogue.get(item_id)
    if item is None:
        raise RequestError(f"There is no item '{item_id}'.", hint="Ask for a list first.")
    return item


def _prepare(agent: Agent, wanted: Wanted) -> tuple[Started, Query]:
    if not 1 <= wanted.n <= MOST_N:
        raise RequestError(f"n is {wanted.n}.", hint=f"Ask for 1 to {MOST_N} items.")
    started = begin(agent, None, wanted.likes, wanted.seen)
    disliked, unclear = find_items(agent, wanted.dislikes)
    started.conversation.disliked = disliked
    query = Query(wish=wanted.wish, constraints=wanted.constraints, unlike=disliked, n=wanted.n)
    return Started(started.conversation, started.ambiguous + unclear), query
