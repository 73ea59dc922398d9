"""decide(): what to do with a request, and the query that it leads to."""

from __future__ import annotations

from typing import Literal, TypeAlias

from vouchrec.agent.types import Conversation, Request
from vouchrec.retrieval.pipeline import MOST
from vouchrec.retrieval.types import Query

Decision: TypeAlias = Literal["recommend", "ask", "about", "explain", "compare", "profile", "restart", "talk"]


def decide(request: Request, conversation: Conversation) -> Decision:
    """Return what to do: show a list, ask one question, answer about items, or talk."""
    if request.act in ("recommend", "critique"):
        return "recommend"
    if request.act == "feedback":
        # Feedback on a list changes it at once; praise alone ("loved it") needs no new list but may have one.
        marked = request.liked or request.disliked or request.seen
        return "recommend" if marked and (conversation.state is not None or request.liked) else "talk"
    if request.act == "ask_item":
        return "about" if request.about else "ask"
    if request.act == "explain":
        return "explain" if request.about else "ask"
    if request.act == "compare":
        return "compare"
    if request.act == "profile":
        return "profile"
    if request.act == "restart":
        return "restart"
    return "ask" if request.act == "unclear" else "talk"


def make_query(request: Request, conversation: Conversation, n: int) -> Query:
    """Return the query of a request; "more" and "others" leave out what was shown before, also in the turns that follow."""
    past = conversation.state.query if conversation.state is not None else None
    excluded = past.exclude if past is not None and (request.more or request.act != "recommend") else ()
    if request.more:
        excluded = tuple(dict.fromkeys((*excluded, *conversation.shown)))
    return Query(
        wish=request.wish,
        words=request.words,
        constraints=request.constraints,
        similar_to=request.liked,
        unlike=request.disliked,
        exclude=excluded,
        n=min(request.n or n, MOST),
    )
