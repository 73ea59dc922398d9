"""`vouch chat`, with typed lines in and text out."""

import io
from collections.abc import Iterator

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.ui.terminal import TerminalChat


def talk(agent: Agent, *lines: str, user: str | None = None) -> str:
    out = io.StringIO()
    waiting: Iterator[str] = iter(lines)

    def read(_prompt: str) -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    TerminalChat(agent, user, out).run(read)
    return out.getvalue()


def test_a_conversation(agent: Agent) -> None:
    text = talk(agent, "a comedy", "/like 1", "/dislike 2", "/seen 3", "/why 1", "/profile", "/help")
    for part in ("  1  ", "  1. ", "You like", "won't come back", "What drove it", "Liked", "Disliked", "/restart"):
        assert part in text


def test_the_next_list_obeys(agent: Agent) -> None:
    out = io.StringIO()
    chat = TerminalChat(agent, None, out)
    chat.answer("a comedy")
    gone = [chat.shown[0].item.id, chat.shown[1].item.id]
    chat.answer("/dislike 1")
    chat.answer("/seen 2")
    chat.answer("/restart")
    chat.answer("a comedy")
    first = {r.item.id for r in chat.shown}
    assert first  # a new conversation of an anonymous person knows nothing
    chat.answer("/dislike 1")
    gone = [chat.shown[0].item.id]
    chat.answer("show me others")
    assert not {r.item.id for r in chat.shown} & set(gone)


@pytest.mark.parametrize("line", ["/like", "/like 0", "/like 99", "/like one", "/why 1 2", "/nonsense", "a" * 20_000])
def test_errors_do_not_end_the_conversation(agent: Agent, line: str) -> None:
    text = talk(agent, "a comedy", line, "/profile")
    assert "Nothing yet" in text


def test_commands_before_a_list_say_so(agent: Agent) -> None:
    assert "no list yet" in talk(agent, "/why 1")


def test_quit_and_hostile_titles(agent: Agent) -> None:
    assert talk(agent, "/quit").count("\n") == 3
    assert "\x1b" not in talk(agent, "a horror \x1b[2J film")
