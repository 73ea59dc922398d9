"""The remote model against a real HTTP server in a thread: what is sent, what is tolerated, what is an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vouchrec.agent.assemble import Agent, open_model
from vouchrec.agent.link import Linker
from vouchrec.agent.llm import remote
from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.remote import RemoteModel
from vouchrec.agent.prompts import reading_schema
from vouchrec.agent.turn import reply, start
from vouchrec.retrieval.errors import ModelError

from .conftest import finished

ASK = [Message("system", "be brief"), Message("user", "hi")]
Answer = tuple[int, str]


def chat(text: object, finish: str = "stop") -> Answer:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}]})


class Server:
    """Answers each request with what `answer(body)` returns, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        self.answer: Callable[[dict[str, object]], Answer] = lambda body: chat("Hello.")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(body | {"path": self.path})
                outer.keys.append(self.headers.get("Authorization"))
                status, text = outer.answer(body)
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)


@pytest.fixture
def model(server: Server) -> RemoteModel:
    return RemoteModel("tiny", server.url, api_key=" secret-key\n")


def test_completion(server: Server, model: RemoteModel) -> None:
    (answers,) = model.complete([ASK], max_tokens=7, temperature=0.5, seed=3)
    assert [(a.text, a.finished, a.mass) for a in answers] == [("Hello.", True, 1.0)]
    (sent,) = server.requests
    assert sent == {
        "path": "/v1/chat/completions",
        "model": "tiny",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "seed": 3,
    }
    assert server.keys == ["Bearer secret-key"]


def test_answers_keep_the_order_of_the_batch(server: Server, model: RemoteModel) -> None:
    server.answer = lambda body: chat(f"{body['messages'][-1]['content']}/{body['seed']}")  # type: ignore[index]
    found = model.complete([[Message("user", str(n))] for n in range(6)], n=2, seed=10)
    assert [[a.text for a in row] for row in found] == [[f"{n}/10", f"{n}/11"] for n in range(6)]


def test_schema_is_sent(server: Server, model: RemoteModel, linker: Linker) -> None:
    schema = reading_schema(linker.link("no horror"))
    model.complete([ASK], constraint=schema)
    sent = server.requests[0]["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_fences_and_cut_answers(server: Server, model: RemoteModel) -> None:
    server.answer = lambda body: chat('```json\n{"a": 1}\n```', "length")
    answer = model.complete([ASK])[0][0]
    assert (answer.text, answer.finished) == ('{"a": 1}', False)


def test_streaming(server: Server, model: RemoteModel) -> None:
    deltas: list[dict[str, object]] = [{"role": "assistant"}, {"content": "Hel"}, {"content": None}, {"content": "lo."}]
    lines = [f"data: {json.dumps({'choices': [{'delta': d}]})}\n\n" for d in deltas]
    usage = 'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n'
    server.answer = lambda body: (200, ": comment\n\n" + "".join(lines) + usage + "data: [DONE]\n\n")
    assert "".join(model.generate(ASK)) == "Hello."
    assert server.requests[0]["stream"] is True


@pytest.mark.parametrize(
    "text", ["data: nonsense\n\n", 'data: {"error": "x"}\n\n', 'data: {"choices": [{"delta": []}]}\n\n']
)
def test_broken_streams(server: Server, model: RemoteModel, text: str) -> None:
    server.answer = lambda body: (200, text)
    with pytest.raises(ModelError, match="not a chat completion"):
        list(model.generate(ASK))


@pytest.mark.parametrize(("status", "hint"), [(401, "API key"), (403, "API key"), (404, "ends in /v1"), (400, "log")])
def test_refusals_are_not_tried_again(server: Server, model: RemoteModel, status: int, hint: str) -> None:
    server.answer = lambda body: (status, "no")
    for call in (lambda: model.complete([ASK]), lambda: list(model.generate(ASK))):
        with pytest.raises(ModelError, match=str(status)) as caught:
            call()
        assert hint in str(caught.value)
        assert "secret" not in str(caught.value)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_tried_again(server: Server, model: RemoteModel, status: int) -> None:
    server.answer = lambda body: (status, "busy") if len(server.requests) < 3 else chat("Hello.")
    assert model.complete([ASK])[0][0].text == "Hello."
    assert len(server.requests) == 1 + remote.RETRIES


def test_lasting_failure(server: Server, model: RemoteModel) -> None:
    server.answer = lambda body: (500, "broken")
    with pytest.raises(ModelError, match="500"):
        model.complete([ASK])
    assert len(server.requests) == 1 + remote.RETRIES


@pytest.mark.parametrize(
    "text", ["<html>", "[]", "null", "{}", '{"choices": []}', '{"choices": [{"message": null}]}', '{"choices": ["x"]}']
)
def test_other_formats(server: Server, model: RemoteModel, text: str) -> None:
    server.answer = lambda body: (200, text)
    with pytest.raises(ModelError):
        model.complete([ASK])


@pytest.mark.parametrize("content", [None, 5, ["x"]])
def test_answers_that_are_no_text_are_empty(server: Server, model: RemoteModel, content: object) -> None:
    server.answer = lambda body: chat(content)
    assert model.complete([ASK])[0][0].text == ""


def test_nobody_listens() -> None:
    dead = Server()
    dead.stop()
    model = RemoteModel("tiny", dead.url)
    with pytest.raises(ModelError, match=r"can't be reached.*Is it running\?"):
        model.complete([ASK])
    with pytest.raises(ModelError, match="can't be reached"):
        list(model.generate(ASK))


@pytest.mark.parametrize(
    ("url", "key"), [("http://host:port/v1", ""), ("http://x/v1", "a\nb"), ("http://x/v1", "schlüssel")]
)
def test_impossible_addresses_and_keys(url: str, key: str) -> None:
    with pytest.raises(ModelError) as caught:
        RemoteModel("tiny", url, api_key=key)
    assert not key or key not in str(caught.value)


def test_tokens_and_score(model: RemoteModel) -> None:
    assert model.tokens(ASK) == 2
    with pytest.raises(ModelError, match="can't score"):
        model.score(ASK, ["a"])


# ---- a whole turn through a server -------------------------------------------------------------------------------


@pytest.fixture
def served(server: Server, workspace) -> Agent:  # type: ignore[no-untyped-def]
    return Agent(workspace, open_model("tiny", base_url=server.url))


def test_turn_with_a_server_that_obeys_the_schema(server: Server, served: Agent) -> None:
    def answer(body: dict[str, object]) -> Answer:
        if "response_format" in body:
            return chat('{"act":"recommend","roles":{"s1":"exclude"}}')
        return chat("Nothing useful")

    server.answer = answer
    result = finished(list(reply(served, start(served), "no horror tonight please")))
    assert result.understanding.source == "model"
    assert [c.op for c in result.understanding.request.constraints] == ["is_not"]
    assert result.fallbacks == {"reason:unfinished": 5}
    assert server.requests[0]["messages"][0]["role"] == "system"  # type: ignore[index]


def test_turn_with_a_server_that_ignores_the_schema(server: Server, served: Agent) -> None:
    server.answer = lambda body: chat("Sure! Here is what I understood: you want a film.")
    result = finished(list(reply(served, start(served), "no horror")))
    assert (result.understanding.source, result.understanding.fallback) == ("rules", "understanding:invalid_json")
    assert result.fallbacks["understanding:invalid_json"] == 1
    assert all("horror" not in e.recommendation.item.values("genres") for e in result.explained)


def test_turn_with_a_server_that_is_gone(server: Server, served: Agent) -> None:
    server.answer = lambda body: (500, "broken")
    result = finished(list(reply(served, start(served), "no horror", n=2)))
    assert result.fallbacks == {"understanding:model_error": 1, "reason:model_error": 2}
    assert len(result.explained) == 2
