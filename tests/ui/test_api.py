"""The HTTP API over the agent of the fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from vouchrec.agent.assemble import Agent
from vouchrec.ui.api import make_api
from vouchrec.ui.server import LARGEST_BODY, Guard


@pytest.fixture(scope="module")
def client(agent: Agent) -> Iterator[TestClient]:
    app = make_api(agent)
    app.add_middleware(Guard)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def test_health(client: TestClient, agent: Agent) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": "0.1.0",
        "items": len(agent.workspace.catalogue),
        "model": "fake",
    }


def test_recommendations(client: TestClient) -> None:
    body = {
        "wish": "slow",
        "likes": ["Alien"],
        "constraints": [{"attribute": "year", "op": "max", "value": 1990}],
        "n": 3,
    }
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == 200
    records = answer.json()["recommendations"]
    assert [r["rank"] for r in records] == [1, 2, 3]
    assert all(r["attributes"]["year"] <= 1990 and r["title"] != "Alien" and "reason" not in r for r in records)


def test_recommendations_with_reasons(client: TestClient) -> None:
    records = client.post("/v1/recommendations", json={"likes": ["Alien"], "n": 2, "explain": True}).json()[
        "recommendations"
    ]
    assert all(r["reason"] and isinstance(r["verified"], bool) and r["reason_source"] for r in records)


def test_dislikes_and_seen_are_never_recommended(client: TestClient) -> None:
    first = client.post("/v1/recommendations", json={"wish": "funny", "n": 4}).json()["recommendations"]
    known = [r["id"] for r in first]
    again = client.post("/v1/recommendations", json={"wish": "funny", "n": 4, "dislikes": known[:2], "seen": known[2:]})
    assert not {r["id"] for r in again.json()["recommendations"]} & set(known)


def test_explanations_keep_the_order_asked(client: TestClient) -> None:
    answer = client.post("/v1/explanations", json={"items": ["Stalker", "Heat"], "likes": ["Solaris"]})
    records = answer.json()["explanations"]
    assert [r["title"] for r in records] == ["Stalker", "Heat"]
    for record in records:
        assert record["reason"]
        assert abs(sum(c["value"] for c in record["contributions"]) - record["scores"]["collaborative"]) < 1e-5


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"n": 0}, 422, "n"),
        ({"n": 51}, 422, "n"),
        ({"wish": "a" * 2001}, 422, "wish"),
        ({"wish": 3}, 422, "wish"),
        ({"hope": "x"}, 422, "hope"),
        ({"likes": "Alien"}, 422, "likes"),
        ({"likes": ["No Such Film At All 123"]}, 404, "No Such Film At All 123"),
        ({"constraints": [{"attribute": "colour", "op": "is", "value": "red"}]}, 422, "colour"),
        ({"constraints": [{"attribute": "year", "op": "min", "value": "old"}]}, 422, "year"),
        ({"constraints": [{"attribute": "year", "op": "near", "value": 1}]}, 422, "op"),
    ],
)
def test_a_wrong_request_is_a_problem_with_a_next_step(
    client: TestClient, body: dict[str, object], status: int, part: str
) -> None:
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert part in problem["detail"]
    assert problem["next"]


def test_other_problems(client: TestClient) -> None:
    broken = client.post("/v1/recommendations", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.headers["content-type"]) == (400, "application/problem+json")
    large = client.post(
        "/v1/recommendations", content=b" " * (LARGEST_BODY + 1), headers={"content-type": "application/json"}
    )
    assert large.status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(12):
            yield b" " * 100_000

    chunked = client.post("/v1/recommendations", content=pieces(), headers={"content-type": "application/json"})
    assert chunked.status_code == 413
    for answer in (client.get("/v1/nothing"), client.get("/v1/recommendations")):
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_failure_inside_says_nothing_of_the_inside(
    client: TestClient, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("vouchrec.ui.api.recommend_once", fail)
    answer = client.post("/v1/recommendations", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_description_has_examples_and_the_docs_page_loads_nothing(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert description["components"]["schemas"]["RecommendationsIn"]["examples"]
    page = client.get("/docs").text
    assert "/v1/explanations" in page
    assert "<script" not in page
    assert "src=" not in page
