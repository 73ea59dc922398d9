"""The other side of a simulated conversation: Vouch, or any OpenAI-compatible chat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from vouchrec.agent.assemble import Agent
from vouchrec.agent.link import Linker
from vouchrec.agent.llm.base import LanguageModel, Message
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Conversation, Done
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.types import ItemId

__all__ = ["Answer", "ChatSystem", "Session", "System", "VouchSystem", "named_items"]

_LISTED = re.compile(r"^\s*(?:\d+[.)]|[-*•–])\s+(.+)$")
_MARKED = re.compile(r"\*\*(.+?)\*\*|[“\"](.+?)[”\"]|\*(.+?)\*")
_AFTER_TITLE = tuple(re.compile(way, re.IGNORECASE) for way in (r"\s+[-–—]\s+", r":\s", r"\s+by\s", r"\s*\("))
_AROUND = ' .,;*"“”'


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered.

    Attributes:
        items: The items shown or named, best first.
        failed: The message could not be answered.
    """

    text: str
    items: tuple[ItemId, ...]
    failed: bool = False


class Session(Protocol):
    """One conversation."""

    def say(self, message: str) -> Answer:
        """Answer a message."""
        ...


class System(Protocol):
    """Something to talk to."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    def start(self) -> Session:
        """Begin a conversation of which nothing is known."""
        ...


class VouchSystem:
    """The agent, each conversation anonymous.

    Args:
        agent: A ready agent. Its scorer must not know what the people look for.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.name = f"vouch ({agent.model.name})"

    def start(self) -> Session:
        """Begin a conversation that leaves nothing behind."""
        return _VouchSession(self._agent, start(self._agent))


class _VouchSession:
    def __init__(self, agent: Agent, conversation: Conversation) -> None:
        self._agent, self._conversation = agent, conversation

    def say(self, message: str) -> Answer:
        try:
            done = next(e for e in reply(self._agent, self._conversation, message) if isinstance(e, Done))
        except RequestError as error:
            return Answer(str(error), (), failed=True)
        return Answer(done.reply.text, tuple(e.recommendation.item.id for e in done.reply.explained))


class ChatSystem:
    """A chat model that is asked to recommend; what it names is looked up in the catalogue.

    Args:
        model: A language model, for instance `agent.llm.remote.RemoteModel`.
        linker: Knows the titles of the catalogue.
        domain: What is recommended.
        n: How many it is asked for.
    """

    def __init__(self, model: LanguageModel, linker: Linker, domain: Domain, *, n: int = 5) -> None:
        self._model, self._linker, self._domain, self._n = model, linker, domain, n
        self.name = model.name

    def start(self) -> Session:
        """Begin a conversation with a neutral instruction."""
        task = (
            f"You recommend {self._domain.plural}. Answer every message with a numbered list of {self._n} "
            f"{self._domain.plural}, one a line: the title, a dash, and a short reason. Don't repeat what was refused."
        )
        return _ChatSession(self._model, self._linker, Message("system", task))


class _ChatSession:
    def __init__(self, model: LanguageModel, linker: Linker, task: Message) -> None:
        self._model, self._linker = model, linker
        self._messages = [task]

    def say(self, message: str) -> Answer:
        self._messages.append(Message("user", message))
        text = self._model.complete([self._messages], max_tokens=512)[0][0].text
        self._messages.append(Message("assistant", text))
        return Answer(text, named_items(text, self._linker))


def named_items(text: str, linker: Linker) -> tuple[ItemId, ...]:
    """Return the items that a free text recommends: by the titles of list items, and by names in bold or quotes.

    A title that several items share means all of them: whoever reads it can't tell either.
    """
    found: dict[ItemId, None] = {}
    for name in _names(text):
        meant = next((ids for part in _shorter(name) if (ids := linker.resolve(part))), ())
        found.update(dict.fromkeys(meant))
    return tuple(found)


def _names(text: str) -> Iterator[str]:
    for line in text.splitlines():
        listed = _LISTED.match(line)
        marked = [next(filter(None, groups)) for groups in _MARKED.findall(line)]
        yield from marked or ([listed[1]] if listed else [])


def _shorter(name: str) -> Iterator[str]:
    """Yield a text, then what stands before a dash, a colon, "by" or a bracket, which a title may also hold."""
    yield name.strip(_AROUND)
    for separator in _AFTER_TITLE:
        name = separator.split(name, maxsplit=1)[0].strip(_AROUND)
        if name:
            yield name
