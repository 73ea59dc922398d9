"""The words of a conversation: spans, requests, claims, and the events and record of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from vouchrec.retrieval.types import AttributeValue, Constraint, Item, ItemId, Query, Recommendation, UserId

Act: TypeAlias = Literal[
    "recommend",
    "critique",
    "feedback",
    "ask_item",
    "explain",
    "compare",
    "profile",
    "restart",
    "smalltalk",
    "off_topic",
    "unclear",
]
ACTS: tuple[Act, ...] = get_args(Act)
ItemRole: TypeAlias = Literal["like", "dislike", "seen", "about", "ignore"]
ValueRole: TypeAlias = Literal["must", "prefer", "exclude", "avoid", "about", "ignore"]
Role: TypeAlias = ItemRole | ValueRole
ITEM_ROLES: tuple[ItemRole, ...] = get_args(ItemRole)
VALUE_ROLES: tuple[ValueRole, ...] = get_args(ValueRole)
Verdict: TypeAlias = Literal["supported", "refuted", "unknown"]
ClaimKind: TypeAlias = Literal["cause", "attribute", "relation", "match", "popularity"]
UnderstandingSource: TypeAlias = Literal["model", "rules"]
ReasonSource: TypeAlias = Literal["model", "composed"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a message that code has linked to something it knows.

    Attributes:
        start, end: Character offsets in the message.
        kind: `title` (an item by name), `ref` (an item on the screen), `count`, `person`, or an attribute's name.
        items: What a title or reference means, most likely first.
        constraints: What an attribute span means when wanted; all of them together.
        others: What else its words can mean ("war", a kind and a theme): ruled out as well where the span is unwanted.
        count: Number for kind `count`.
        guess: True for a title found by likeness only.
        language: Language of the message that it stands in; empty for English.
    """

    start: int
    end: int
    text: str
    kind: str
    items: tuple[ItemId, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    others: tuple[Constraint, ...] = ()
    count: int = 0
    guess: bool = False
    language: str = ""

    @property
    def is_item(self) -> bool:
        """True when the span stands for items."""
        return self.kind in ("title", "ref")

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles that this span can have."""
        return ITEM_ROLES if self.is_item else VALUE_ROLES


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model or the rules make of one message: its act and the role of each span, in span order."""

    act: Act
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a second reader makes of a message.

    Attributes:
        acts: Probability by act.
        roles: For each span its probability by role; empty for a span that was not read.
    """

    acts: Mapping[Act, float]
    roles: tuple[Mapping[Role, float], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What the person wants, in the vocabulary of docs/conventions.md.

    Attributes:
        wish: Free text to search with by meaning; names and what is not wanted are left out.
        liked, disliked, seen: Items the message says this of.
        about: Items the message asks about or points at.
        constraints: All that hold for the list of this turn, those of earlier turns included.
        n: How many are wanted, or None when not said.
        more: True when others than those on the screen are wanted.
        ambiguous: For a name that several items share: the name as typed, and the ids, the one taken first.
        context: Free facts such as device or time of day.
        words: The telling words of the wish, to search with by word.
    """

    act: Act
    wish: str = ""
    liked: tuple[ItemId, ...] = ()
    disliked: tuple[ItemId, ...] = ()
    seen: tuple[ItemId, ...] = ()
    about: tuple[ItemId, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    n: int | None = None
    more: bool = False
    ambiguous: tuple[tuple[str, tuple[ItemId, ...]], ...] = ()
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    words: str = ""


@dataclass(frozen=True, slots=True)
class Understanding:
    """A request and where it came from.

    Attributes:
        fallback: Why the model's own reading was not used; empty when it was.
    """

    request: Request
    spans: tuple[Span, ...]
    source: UnderstandingSource
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of a reason with what it refers to.

    Attributes:
        reference: What proves it, for instance `liked1.directors` or `rec1.moods`.
    """

    text: str
    kind: ClaimKind
    reference: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is recommended, in words, every claim checked.

    Attributes:
        verified: True when every claim and every name, number and category in the text is supported.
        fallback: Why the model's own wording was not used; empty when it was.
    """

    text: str
    claims: tuple[Claim, ...]
    verified: bool
    source: ReasonSource
    fallback: str = ""


# ---- events of one turn, in order -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Understood:
    """The message was read."""

    understanding: Understanding


@dataclass(frozen=True, slots=True)
class Recommended:
    """The list is known; a page shows its cards now."""

    recommendations: tuple[Recommendation, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A verified piece of the answer; `item` when it is the reason of one recommendation."""

    text: str
    item: ItemId | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One recommendation with its reason."""

    recommendation: Recommendation
    reason: Reason


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer of a turn.

    Attributes:
        fallbacks: Number of fallbacks by cause, for instance `{"reason:illegal_reference": 1}`.
        timings_ms: Milliseconds from receipt of the message to the end of each stage.
    """

    text: str
    understanding: Understanding
    explained: tuple[Explained, ...]
    fallbacks: Mapping[str, int]
    model: str
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Done:
    """The turn is over and stored."""

    reply: Reply


Event: TypeAlias = Understood | Recommended | Sentence | Done


# ---- state of one conversation ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Turn:
    """One past turn: what was said, what it meant, the query it led to and what was shown."""

    message: str
    request: Request
    query: Query | None
    shown: tuple[ItemId, ...]
    reply: Reply | None = None


@dataclass(slots=True)
class Conversation:
    """One conversation with one person; not shared between threads.

    Attributes:
        user: Whose history and feedback count; an anonymous user has an empty history and nothing stored.
        likes: Starting likes and seen marks given from outside (command line, API), as item ids.
    """

    id: str
    user: UserId
    anonymous: bool = False
    likes: tuple[ItemId, ...] = ()
    seen: tuple[ItemId, ...] = ()
    disliked: tuple[ItemId, ...] = ()
    turns: list[Turn] = field(default_factory=list[Turn])

    @property
    def shown(self) -> tuple[ItemId, ...]:
        """Items on the screen: the last list that was shown since the last restart."""
        for turn in reversed(self.turns):
            if turn.request.act == "restart":
                return ()
            if turn.shown:
                return turn.shown
        return ()

    @property
    def focus(self) -> ItemId | None:
        """The item last talked about: asked about, explained, or pointed at; None when there is none."""
        for turn in reversed(self.turns):
            if turn.request.act == "restart":
                return None
            if turn.request.act in ("ask_item", "explain") and turn.request.about:
                return turn.request.about[0]
            if turn.shown:
                return turn.shown[0] if len(turn.shown) == 1 else None
        return None

    @property
    def state(self) -> Turn | None:
        """The last turn with a query since the last restart."""
        for turn in reversed(self.turns):
            if turn.request.act == "restart":
                return None
            if turn.query is not None:
                return turn
        return None


# ---- JSON -------------------------------------------------------------------------------------------------------


def constraint_record(constraint: Constraint) -> dict[str, object]:
    """Return a constraint as JSON."""
    value: object = list(constraint.value) if isinstance(constraint.value, tuple) else constraint.value
    return {"attribute": constraint.attribute, "op": constraint.op, "value": value, "strength": constraint.strength}


def request_record(request: Request) -> dict[str, object]:
    """Return a request as JSON."""
    return {
        "wish": request.wish,
        "liked": list(request.liked),
        "disliked": list(request.disliked),
        "seen": list(request.seen),
        "about": list(request.about),
        "constraints": [constraint_record(c) for c in request.constraints],
        "n": request.n,
        "ambiguous": [{"name": name, "taken": ids[0], "others": list(ids[1:])} for name, ids in request.ambiguous],
        "context": dict(request.context),
    }


def recommendation_record(recommendation: Recommendation, reason: Reason | None = None) -> dict[str, object]:
    """Return a recommendation as JSON; with a reason when there is one."""
    item = recommendation.item
    record: dict[str, object] = {
        "rank": recommendation.rank,
        "id": item.id,
        "title": item.title,
        "score": round(recommendation.score, 6),
        "scores": {source: round(value, 6) for source, value in recommendation.scores.items()},
    }
    if reason is not None:
        record |= {
            "reason": reason.text,
            "reason_source": reason.source,
            "verified": reason.verified,
            "claims": [
                {"text": c.text, "kind": c.kind, "reference": c.reference, "verdict": c.verdict} for c in reason.claims
            ],
        }
    record["contributions"] = [
        {"id": c.item.id, "title": c.item.title, "value": c.value, "share": c.share}
        for c in recommendation.evidence.contributions
    ]
    record["shares"] = {source: round(value, 6) for source, value in recommendation.evidence.shares.items()}
    record["contributions_exact"] = recommendation.evidence.exact
    record["collaborative_share"] = round(recommendation.evidence.collaborative_share, 6)
    record["attributes"] = attributes_record(item)
    return record


def attributes_record(item: Item) -> dict[str, object]:
    """Return an item's attributes as JSON."""

    def plain(value: AttributeValue) -> object:
        return list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in item.attributes.items()}


def reply_record(reply: Reply) -> dict[str, object]:
    """Return a whole reply as JSON: the record of `vouch ask --json` and of the API."""
    understanding = reply.understanding
    return {
        "text": reply.text,
        "act": understanding.request.act,
        "request": request_record(understanding.request),
        "recommendations": [recommendation_record(e.recommendation, e.reason) for e in reply.explained],
        "understanding_source": understanding.source,
        "fallbacks": dict(reply.fallbacks),
        "model": reply.model,
        "timings_ms": {stage: round(value, 1) for stage, value in reply.timings_ms.items()},
    }
