"""Whole conversations with hand-made systems, a scripted model, the agent itself, and a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.agent.link import Linker
from vouchrec.agent.llm.remote import RemoteModel
from vouchrec.evals.runs import plots
from vouchrec.evals.runs.engine import evaluate
from vouchrec.evals.simulator.agenda import Move
from vouchrec.evals.simulator.dialogue import Dialogue, Exchange, audit, converse
from vouchrec.evals.simulator.goals import GoalSettings, draw_goals
from vouchrec.evals.simulator.speakers import ModelSpeaker, TemplateSpeaker
from vouchrec.evals.simulator.systems import Answer, ChatSystem, VouchSystem, named_items
from vouchrec.evals.suites.simulate import SimulateSuite
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.workspace import Workspace

from ...conftest import ScriptedModel  # noqa: TID252

SETTINGS = GoalSettings(n=12, crowd=4, patience=6)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "available", lambda: False)


class Fixed:
    """Shows what a test wrote down, turn by turn; the last list again and again."""

    name = "fixed"

    def __init__(self, *lists: tuple[str, ...]) -> None:
        self.lists, self.heard = lists, []

    def start(self) -> Fixed:
        self.turn = 0
        return self

    def say(self, message: str) -> Answer:
        self.heard.append(message)
        self.turn += 1
        return Answer("Here.", self.lists[min(self.turn, len(self.lists)) - 1])


def talk(system, workspace: Workspace, goal, speaker=None) -> Dialogue:
    own = speaker or TemplateSpeaker(workspace.catalogue)
    return converse(system, goal, own, workspace.catalogue, seed=0, crowd=SETTINGS.crowd)


def test_success_ends_a_conversation(workspace: Workspace):
    for goal in draw_goals(workspace, (), SETTINGS):
        target = sorted(goal.targets)[0]
        done = talk(Fixed((), ("big-1988", target)), workspace, goal)
        early = "big-1988" in goal.targets
        assert (done.turns, done.found) == (2, "big-1988" if early else target)


def test_patience_ends_too(workspace: Workspace):
    for goal in draw_goals(workspace, (), SETTINGS):
        done = talk(Fixed(()), workspace, goal)
        assert done.found is None
        assert done.turns == goal.patience


def test_no_message_leaks(workspace: Workspace):
    for goal in draw_goals(workspace, (), GoalSettings(n=60, crowd=4)):
        shown = tuple(i.id for i in workspace.catalogue.items if i.id not in goal.targets)[:5]
        done = talk(Fixed(shown), workspace, goal)
        assert done.leaks == ()
        for exchange in done.exchanges:
            for target in goal.targets:
                title = workspace.catalogue.items[workspace.catalogue.row(target)].title
                assert f" {title.casefold()} " not in f" {exchange.message.casefold()} "


class Blabber(TemplateSpeaker):
    """Names the target first."""

    name = "blabber"

    def __init__(self, catalogue, title: str) -> None:
        super().__init__(catalogue)
        self.title = title

    def candidates(self, move: Move, register: str, seed: int) -> Iterator[tuple[str, bool]]:
        yield f"I want {self.title}", True
        yield from super().candidates(move, register, seed)


def test_a_leaking_wording_is_not_said(workspace: Workspace):
    goal = draw_goals(workspace, (), SETTINGS)[0]
    title = workspace.catalogue.items[workspace.catalogue.row(goal.anchor)].title
    system = Fixed(())
    done = talk(system, workspace, goal, Blabber(workspace.catalogue, title))
    assert done.prevented >= goal.patience
    assert done.leaks == ()
    assert not any(title in message for message in system.heard)


def test_the_audit_finds_a_planted_leak(workspace: Workspace):
    goal = draw_goals(workspace, (), SETTINGS)[0]
    item = workspace.catalogue.items[workspace.catalogue.row(goal.anchor)]
    said = ("something good", f"was it {item.title.upper()}?")
    exchanges = [Exchange(text, (), Answer("", ()), 0, 0, False, 1.0) for text in said]
    found = audit(Dialogue(goal, exchanges), workspace.catalogue, SETTINGS.crowd)
    assert found == (f"turn 2 names {item.title}",)


def test_a_model_words_what_templates_would(workspace: Workspace):
    goal = next(g for g in draw_goals(workspace, (), SETTINGS) if g.facts)
    model = ScriptedModel(lambda prompt: '"surprise me  please"' if "Ask for" in prompt else "x" * 999)
    speaker = ModelSpeaker(model, workspace.catalogue)
    system = Fixed(())
    talk(system, workspace, goal, speaker)
    assert model.prompts
    worded = [message for message in system.heard if message == "surprise me please"]
    assert worded
    assert all(len(message) < 300 for message in system.heard)
    for target in goal.targets:  # what it isn't told it can't tell
        title = workspace.catalogue.items[workspace.catalogue.row(target)].title
        assert not any(f" {title} " in prompt for prompt in model.prompts)


def test_a_model_that_leaves_the_title_out_is_not_heard(workspace: Workspace):
    speaker = ModelSpeaker(ScriptedModel(lambda prompt: "I liked that one"), workspace.catalogue)
    words = [text for text, by_model in speaker.candidates(Move("like", item="alien-1979"), "plain", 0) if by_model]
    assert words == []


# ---- systems ------------------------------------------------------------------------------------------------------


@pytest.fixture
def linker(workspace: Workspace) -> Linker:
    return Linker(workspace.catalogue, workspace.popularity)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Alien (1979) - tense\n2. **Heat** - long", ("alien-1979", "heat-1995", "heat-1986")),
        ("1. Heat (1995) - long\n2. Heat (1986): short", ("heat-1995", "heat-1986")),
        ("- Aliens: marines\n* Alien by Ridley Scott", ("aliens-1986", "alien-1979")),
        ('You might enjoy "Heat" tonight.', ("heat-1995", "heat-1986")),
        ("Alien is what you said; tell me more about it.", ()),
        ("1. A Film That Nobody Made", ()),
        ("", ()),
    ],
)
def test_items_that_a_text_recommends(linker: Linker, text: str, expected: tuple[str, ...]):
    assert named_items(text, linker) == expected


def test_the_agent_itself(workspace: Workspace, agent: Agent):
    system = VouchSystem(agent)
    session = system.start()
    answer = session.say("something like Alien, please")
    assert not answer.failed
    assert answer.items
    assert "alien-1979" not in answer.items
    assert set(answer.items) <= {item.id for item in workspace.catalogue.items}
    assert session.say("   ").failed
    assert workspace.store.count_events() == 400  # nothing of it is remembered


class _Server(BaseHTTPRequestHandler):
    """Recommends the same three films; refuses after so many requests."""

    requests: ClassVar[list[dict[str, object]]] = []
    limit = 999

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests.append(body)
        if len(self.requests) > self.limit:
            self.send_error(400, "enough")
            return
        text = "Sure!\n1. Alien (1979) - tense\n2. **Heat** - long\n3. Nothing Real"
        answer = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server():
    handler = type("Handler", (_Server,), {"requests": []})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{httpd.server_port}/v1"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def chat_suite(url: str, workspace: Workspace, linker: Linker) -> SimulateSuite:
    system = ChatSystem(RemoteModel("other", url), linker, workspace.domain)
    return SimulateSuite(system, workspace, (), SETTINGS)


def test_a_chat_server_is_driven_and_measured(server, workspace: Workspace, linker: Linker, tmp_path: Path):
    handler, url = server
    done = evaluate(chat_suite(url, workspace, linker), tmp_path, seed=0)
    rows = list(done.rows.values())
    assert len(rows) == 12
    assert {row.method for row in rows} == {"other"}
    goals = {goal.id: goal for goal in draw_goals(workspace, (), SETTINGS)}
    for row in rows:
        wanted = bool(goals[row.case].targets & {"alien-1979", "heat-1995", "heat-1986"})
        assert row.values["success"] == float(wanted)
        assert row.values["turns"] == (1 if wanted else goals[row.case].patience)
        assert row.values["success@6"] == float(wanted)
        assert row.values["reward"] == float(wanted)
        assert row.values["leaks"] == 0
        assert row.items == ("alien-1979", "heat-1995", "heat-1986")
        assert len(row.detail["transcript"]) == row.values["turns"]
    first = handler.requests[0]["messages"]
    assert [m["role"] for m in first] == ["system", "user"]
    second = next(r["messages"] for r in handler.requests if len(r["messages"]) == 4)
    assert second[2]["content"].startswith("Sure!")
    assert "simulate" in (tmp_path / "run.json").read_text()
    assert "Leaks per conversation" in (tmp_path / "report.md").read_text()


def test_a_server_that_fails_can_be_gone_on_with(server, workspace: Workspace, linker: Linker, tmp_path: Path):
    handler, url = server
    handler.limit = 20
    with pytest.raises(ModelError, match="refused 'other'"):
        evaluate(chat_suite(url, workspace, linker), tmp_path, seed=0)
    handler.limit = 999
    before = len(handler.requests)
    done = evaluate(chat_suite(url, workspace, linker), tmp_path, seed=0)
    assert len(done.rows) == 12
    turns = sum(int(row.values["turns"]) for row in done.rows.values())
    assert len(handler.requests) - before < turns
