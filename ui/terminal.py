"""The chat in a terminal: answers stream sentence by sentence, commands start with a slash."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from vouchrec.agent.assemble import Agent
from vouchrec.agent.profile import portrait, record_feedback
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Conversation, Done, Recommended, Sentence
from vouchrec.retrieval.errors import RequestError, VouchError
from vouchrec.retrieval.store import EventKind
from vouchrec.retrieval.types import Recommendation
from vouchrec.ui.lines import portrait_lines, recommendation_lines, why_lines
from vouchrec.ui.text import clean_message, printable

PROMPT = "you> "
HELP = """\
  /like 2      you like number 2      /why 2      what drove number 2
  /dislike 2   you do not             /profile    what is known of you
  /seen 2      you know it already    /restart    a new conversation
  /quit        leave"""
_ACKNOWLEDGED: dict[EventKind, str] = {
    "like": "You like {title}. The next list leans that way.",
    "dislike": "{title} won't come back, and what resembles it ranks lower.",
    "seen": "{title} is marked as seen and won't come back.",
}


@dataclass(slots=True)
class TerminalChat:
    """One conversation in a terminal.

    Attributes:
        shown: The last list on the screen.
    """

    agent: Agent
    user: str | None
    out: TextIO
    conversation: Conversation = field(init=False)
    shown: tuple[Recommendation, ...] = ()

    def __post_init__(self) -> None:
        """Start the conversation."""
        self.conversation = start(self.agent, self.user)

    def run(self, read: Callable[[str], str]) -> None:
        """Talk until the input ends or `/quit`. Errors are shown and the talk goes on."""
        self._greet()
        while True:
            try:
                line = read(PROMPT)
            except EOFError:
                self._say("")
                return
            if line.strip().casefold() in ("/quit", "/exit", "/q"):
                return
            if line.strip():
                try:
                    self.answer(line)
                except VouchError as error:
                    self._say(f"  {printable(str(error))}")

    def answer(self, line: str) -> None:
        """Answer one line: a command or a message.

        Raises:
            VouchError: It can't be answered; the conversation can go on.
        """
        if line.lstrip().startswith("/"):
            self._command(line.split())
        else:
            self._turn(clean_message(line))

    def _greet(self) -> None:
        domain = self.agent.workspace.domain
        self._say(f"Vouch · {len(self.agent.workspace.catalogue):,} {domain.plural} · model: {self.agent.model.name}")
        if domain.examples:
            self._say(f'Try: "{printable(domain.examples[0])}"   (/help for commands)')
        self._say("")

    def _turn(self, message: str) -> None:
        ranks: dict[str, int] = {}
        for event in reply(self.agent, self.conversation, message):
            match event:
                case Recommended(recommendations):
                    if recommendations:
                        self.shown = recommendations
                    ranks = {r.item.id: r.rank for r in recommendations}
                    for line in recommendation_lines(recommendations, self.agent.workspace.domain):
                        self._say(line)
                    self._say("")
                case Sentence(text, item):
                    label = f"{ranks[item]:>3}. " if item in ranks else "  "
                    self._say(label + printable(text))
                case Done():
                    self._say("")
                case _:
                    pass

    def _command(self, words: list[str]) -> None:
        name, rest = words[0].casefold(), words[1:]
        kinds: dict[str, EventKind] = {"/like": "like", "/dislike": "dislike", "/seen": "seen"}
        if name in kinds:
            self._feedback(kinds[name], self._numbered(name, rest))
        elif name == "/why":
            for line in why_lines(self._numbered(name, rest), self.agent.workspace.domain):
                self._say(line)
        elif name == "/profile":
            for line in portrait_lines(portrait(self.agent, self.conversation)):
                self._say(line)
        elif name == "/restart":
            self.conversation, self.shown = start(self.agent, self.user), ()
            self._say("A new conversation.")
        elif name == "/help":
            self._say(HELP)
        else:
            raise RequestError(f"There is no command {printable(name)}.", hint="/help lists them.")

    def _feedback(self, kind: EventKind, recommendation: Recommendation) -> None:
        record_feedback(self.agent, self.conversation, recommendation.item.id, kind)
        self._say(_ACKNOWLEDGED[kind].format(title=printable(recommendation.item.title)))

    def _numbered(self, command: str, rest: list[str]) -> Recommendation:
        if not self.shown:
            raise RequestError("There is no list yet.", hint="Ask for something first.")
        number = rest[0].lstrip("#") if len(rest) == 1 else ""
        if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= len(self.shown):
            raise RequestError(
                f"{command} needs a number of the list.", hint=f"Type {command} 1, up to {len(self.shown)}."
            )
        return self.shown[int(number) - 1]

    def _say(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()


def chat(agent: Agent, user: str | None = None) -> None:
    """Chat on standard input and output."""
    TerminalChat(agent, user, sys.stdout).run(input)
