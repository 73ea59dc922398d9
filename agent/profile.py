"""What is known of a person: events and the request of the moment -> Profile; and the portrait that they can see and change."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vouchrec.agent.types import Conversation, Request
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.store import Event, EventKind
from vouchrec.retrieval.types import Item, ItemId, Profile

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent

HISTORY_LENGTH = 100
"""Newest liked items that count."""
OLDEST_WEIGHT = 0.3
"""Weight of the oldest liked item that counts; the newest has 1."""
_TASTES = 12


@dataclass(frozen=True, slots=True)
class Portrait:
    """What Vouch knows of a person, as shown to them.

    Attributes:
        tastes: (attribute label, value, weight in [0, 1]) that liked items have in common more than the catalogue does.
    """

    liked: tuple[Item, ...]
    disliked: tuple[Item, ...]
    seen: tuple[Item, ...]
    tastes: tuple[tuple[str, str, float], ...]


def record_feedback(agent: Agent, conversation: Conversation, item: ItemId, kind: EventKind) -> None:
    """Remember what a person thinks of an item; the next list obeys.

    Raises:
        RequestError: The catalogue has no such item.
    """
    if item not in agent.workspace.catalogue:
        raise RequestError(f"There is no item '{item}'.", hint="Use an id of this catalogue.")
    _apply(conversation, item, kind)
    if not conversation.anonymous:
        agent.workspace.store.add_events([Event(conversation.user, item, kind, time=time.time())])


def remember_request(agent: Agent, conversation: Conversation, request: Request) -> None:
    """Record what a message said of items; a like given only as an example of this evening's wish counts as a like too."""
    marks: tuple[tuple[EventKind, tuple[ItemId, ...]], ...] = (
        ("seen", request.seen),
        ("like", request.liked),
        ("dislike", request.disliked),
    )
    events: list[Event] = []
    for kind, items in marks:
        for item in items:
            if item not in _known(conversation, kind):
                _apply(conversation, item, kind)
                events.append(Event(conversation.user, item, kind, time=time.time()))
    if events and not conversation.anonymous:
        agent.workspace.store.add_events(events)


def build_profile(agent: Agent, conversation: Conversation, request: Request | None = None) -> Profile:
    """Return the profile that the next list must obey: stored events, this conversation, and this request."""
    liked, disliked, seen = _stored(agent, conversation)
    for kind, items in (("like", conversation.likes), ("dislike", conversation.disliked), ("seen", conversation.seen)):
        for item in items:
            _move(item, kind, liked, disliked, seen)
    if request is not None:
        for kind, items in (("seen", request.seen), ("like", request.liked), ("dislike", request.disliked)):
            for item in items:
                _move(item, kind, liked, disliked, seen)
    newest = list(liked)[-HISTORY_LENGTH:]
    step = (1 - OLDEST_WEIGHT) / max(1, len(newest) - 1)
    history = {item: liked[item] * (1 - step * (len(newest) - 1 - i)) for i, item in enumerate(newest)}
    return Profile(history, frozenset(disliked), frozenset(seen))


def portrait(agent: Agent, conversation: Conversation) -> Portrait:
    """Return what is known of the person of a conversation."""
    catalogue = agent.workspace.catalogue
    profile = build_profile(agent, conversation)
    liked = _items(catalogue, reversed(list(profile.history)))
    return Portrait(
        liked=liked,
        disliked=_items(catalogue, sorted(profile.disliked)),
        seen=_items(catalogue, sorted(profile.seen - profile.disliked)),
        tastes=_tastes(catalogue, liked),
    )


def _apply(conversation: Conversation, item: ItemId, kind: EventKind) -> None:
    """Keep the conversation's own marks in line with the event: the last opinion of an item counts, seen is none."""
    if kind == "seen":
        conversation.seen = (*(i for i in conversation.seen if i != item), item)
        return
    conversation.likes = tuple(i for i in conversation.likes if i != item)
    conversation.disliked = tuple(i for i in conversation.disliked if i != item)
    if kind == "like":
        conversation.likes += (item,)
    elif kind == "dislike":
        conversation.disliked += (item,)
    elif kind == "forget":
        conversation.seen = tuple(i for i in conversation.seen if i != item)


def _known(conversation: Conversation, kind: EventKind) -> tuple[ItemId, ...]:
    return {"like": conversation.likes, "dislike": conversation.disliked, "seen": conversation.seen}.get(kind, ())


def _stored(agent: Agent, conversation: Conversation) -> tuple[dict[ItemId, float], set[ItemId], set[ItemId]]:
    liked: dict[ItemId, float] = {}
    disliked: set[ItemId] = set()
    seen: set[ItemId] = set()
    if conversation.anonymous:
        return liked, disliked, seen
    events = agent.workspace.store.events(conversation.user)
    ratings = [e.value for e in events if e.kind == "rating"]
    top, mean = max(ratings, default=1.0), sum(ratings) / max(1, len(ratings))
    for event in events:
        if event.kind == "rating":
            _move(event.item, "rating", liked, disliked, seen)  # the last word on an item counts
            _rate(event, top, mean, agent.explicit_ratings, liked, seen)
        else:
            _move(event.item, event.kind, liked, disliked, seen)
    return liked, disliked, seen


def _rate(event: Event, top: float, mean: float, explicit: bool, liked: dict[ItemId, float], seen: set[ItemId]) -> None:
    """A rating marks as seen; a good one, for this person, as liked. A count is a like by its logarithm."""
    if explicit:
        seen.add(event.item)
        if event.value > 0 and event.value >= min(top * 2 / 3, mean - top / 20):
            liked[event.item] = event.value / top
    elif event.value > 0:
        liked[event.item] = math.log1p(event.value) / math.log1p(max(top, 1.0))


def _move(item: ItemId, kind: str, liked: dict[ItemId, float], disliked: set[ItemId], seen: set[ItemId]) -> None:
    if kind == "seen":
        seen.add(item)
        return
    liked.pop(item, None)
    disliked.discard(item)
    if kind == "like":
        liked[item] = 1.0
    elif kind == "dislike":
        disliked.add(item)
    elif kind == "forget":
        seen.discard(item)


def _items(catalogue: Catalogue, ids: Iterable[ItemId]) -> tuple[Item, ...]:
    return tuple(item for i in ids if (item := catalogue.get(i)) is not None)


def _tastes(catalogue: Catalogue, liked: tuple[Item, ...]) -> tuple[tuple[str, str, float], ...]:
    """Values that liked items have more often than the catalogue, by smoothed lift times how many liked items have them."""
    scored: list[tuple[float, str, str]] = []
    for attribute in catalogue.domain.attributes:
        if attribute.kind != "list":
            continue
        counts = Counter(v for item in liked for v in item.values(attribute.name))
        for value, count in counts.items():
            expected = len(liked) * len(catalogue.rows_with(attribute.name, value)) / max(1, len(catalogue))
            lift = count / (expected + 0.5)
            if count >= 2 and lift > 1.2:
                scored.append((count * math.log(lift), attribute.label, value))
    scored.sort(reverse=True)
    top = scored[0][0] if scored else 1.0
    return tuple((label, value, score / top) for score, label, value in scored[:_TASTES])
