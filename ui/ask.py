"""One question, or a file of conversations: `vouch ask`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vouchrec.agent.assemble import Agent
from vouchrec.agent.turn import reply
from vouchrec.agent.types import Conversation, Done, Reply, reply_record
from vouchrec.retrieval.errors import ConfigError, InputError, RequestError, VouchError
from vouchrec.ui.core import Ambiguity, begin
from vouchrec.ui.text import clean_message

log = logging.getLogger(__name__)
KNOWN_KEYS = frozenset({"turns", "like", "seen", "n"})
LINE_HINT = 'Each line is {"turns": ["..."], "like": [...], "seen": [...]}.'


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a file of conversations."""

    turns: tuple[str, ...]
    likes: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer, and the names on the command line that were not clear."""

    reply: Reply
    ambiguous: tuple[Ambiguity, ...] = ()

    def record(self) -> dict[str, object]:
        """Return the answer as JSON."""
        return {**reply_record(self.reply), "ambiguous": [a.record() for a in self.ambiguous]}


def ask_once(
    agent: Agent,
    message: str,
    *,
    user: str | None = None,
    likes: Sequence[str] = (),
    seen: Sequence[str] = (),
    n: int | None = None,
) -> Asked:
    """Answer one message of a known user, or of nobody in particular.

    Raises:
        RequestError: The message is empty or too long, or a name means no item.
    """
    cleaned = clean_message(message)
    started = begin(agent, user, likes, seen)
    return Asked(finish(agent, started.conversation, cleaned, n=n), started.ambiguous)


def finish(agent: Agent, conversation: Conversation, message: str, *, n: int | None = None) -> Reply:
    """Run one turn to its end and return the whole reply."""
    for event in reply(agent, conversation, message, n=n):
        if isinstance(event, Done):
            return event.reply
    raise RuntimeError("The turn ended without a reply.")


def ask_file(agent: Agent, path: Path) -> Iterator[dict[str, object]]:
    """Answer every line of a JSONL file, in order, each as its own anonymous user.

    A line that can't be answered gives `{"error": {...}}` in its place.

    Raises:
        ConfigError: The file can't be read at all.
    """
    for number, line in enumerate(read_lines(path), start=1):
        yield _answer_line(agent, line, number)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file; only a line feed ends a line.

    Raises:
        ConfigError: There is no such file, or it is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}).", hint="Save the file as UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}.", hint="Give a JSONL file with --file.") from error
    lines = text.split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def parse_line(line: str) -> Case:
    """Parse one line of a file of conversations.

    Raises:
        RequestError: It is blank, not JSON, or lacks something.
    """
    if not line.strip():
        raise RequestError("The line is blank.", hint=LINE_HINT)
    try:
        data = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RequestError(f"Not valid JSON: {error}.", hint=LINE_HINT) from error
    if not isinstance(data, Mapping):
        raise RequestError("The line is not a JSON object.", hint=LINE_HINT)
    record = cast("Mapping[str, object]", data)
    unknown = set(record) - KNOWN_KEYS
    if unknown:
        raise RequestError(f"Unknown key '{min(unknown)}'.", hint=LINE_HINT)
    turns = _strings(record, "turns")
    if not turns:
        raise RequestError("'turns' is missing or empty.", hint=LINE_HINT)
    return Case(turns, _strings(record, "like"), _strings(record, "seen"), _count(record))


def error_record(error: VouchError, line: int | None = None) -> dict[str, object]:
    """Return an error as JSON: its kind, one sentence, the next step, and the line it is about."""
    inner: dict[str, object] = {"type": type(error).__name__, "message": error.args[0], "hint": error.hint}
    if line is not None:
        inner["line"] = line
    return {"error": inner}


def _answer_line(agent: Agent, line: str, number: int) -> dict[str, object]:
    try:
        case = parse_line(line)
        turns = [clean_message(turn) for turn in case.turns]
        started = begin(agent, None, case.likes, case.seen)
        records = [reply_record(finish(agent, started.conversation, turn, n=case.n)) for turn in turns]
    except InputError as error:
        return error_record(error, number)
    except VouchError as error:
        log.warning("line %d: %s", number, error)
        return error_record(error, number)
    return {"turns": records, "ambiguous": [a.record() for a in started.ambiguous]}


def _strings(record: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = record.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in cast("list[object]", value)):
        raise RequestError(f"'{key}' is not a list of strings.", hint=LINE_HINT)
    return tuple(cast("list[str]", value))


def _count(record: Mapping[str, object]) -> int | None:
    value = record.get("n")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 50:
        raise RequestError(f"'n' is {value!r:.20}.", hint="Ask for 1 to 50 items.")
    return value
