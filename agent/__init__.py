"""One turn of conversation. The public names; what is heavy is loaded when it is first used.

Start at `reply`: it takes an `Agent` (made by `open_agent`), a `Conversation` (begun by `start`) and a message, and yields
events that end with a `Done`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vouchrec.agent.types import Conversation, Done, Reply, Request, Understood, reply_record

if TYPE_CHECKING:
    from vouchrec.agent.assemble import Agent, open_agent
    from vouchrec.agent.turn import reply, resolve, start

__all__ = [
    "Agent",
    "Conversation",
    "Done",
    "Reply",
    "Request",
    "Understood",
    "open_agent",
    "reply",
    "reply_record",
    "resolve",
    "start",
]
_LATE = {"Agent": "assemble", "open_agent": "assemble", "reply": "turn", "resolve": "turn", "start": "turn"}


def __getattr__(name: str) -> object:
    """Load the module of a public name that is heavy."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
