"""`vouch ask` and its file form, on the agent of the fixtures."""

import json
from pathlib import Path

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.retrieval.errors import ConfigError, RequestError
from vouchrec.ui.ask import ask_file, ask_once, read_lines

RECORD = {"text", "act", "request", "recommendations", "fallbacks", "model", "timings_ms", "understanding_source"}
ITEM = {"rank", "id", "title", "score", "scores", "reason", "verified", "claims", "contributions", "attributes"}


def test_record_has_the_documented_shape(agent: Agent) -> None:
    record = json.loads(json.dumps(ask_once(agent, "something like Alien but funny", likes=["Alien"]).record()))
    assert set(record) >= RECORD
    assert [r["rank"] for r in record["recommendations"]] == [1, 2, 3, 4, 5]
    for item in record["recommendations"]:
        assert set(item) >= ITEM
        assert item["id"] in agent.workspace.catalogue
        assert abs(sum(c["value"] for c in item["contributions"]) - item["scores"]["collaborative"]) < 1e-5
        assert item["title"] != "Alien"


def test_n_and_seen_are_obeyed(agent: Agent) -> None:
    first = ask_once(agent, "a comedy", n=3).reply.explained
    assert len(first) == 3
    again = ask_once(agent, "a comedy", n=3, seen=[first[0].recommendation.item.title])
    assert first[0].recommendation.item.id not in {e.recommendation.item.id for e in again.reply.explained}


def test_an_unknown_title_names_near_ones(agent: Agent) -> None:
    with pytest.raises(RequestError, match="Alien"):
        ask_once(agent, "a comedy", likes=["Alienn Resurgence Part 9"])


def test_a_known_user_is_remembered_and_an_anonymous_one_is_not(agent: Agent) -> None:
    before = agent.workspace.store.count_events()
    ask_once(agent, "I loved Alien")
    assert agent.workspace.store.count_events() == before
    ask_once(agent, "I loved Alien", user="ask-ann")
    assert [e.kind for e in agent.workspace.store.events("ask-ann")] == ["like"]
    assert len(agent.workspace.store.turns("ask-ann")) == 1


def test_file_keeps_order_and_gives_errors_in_place(agent: Agent, tmp_path: Path) -> None:
    lines = [
        json.dumps({"turns": ["something funny", "something shorter"], "like": ["Alien"], "seen": []}),
        "",
        "{not json",
        json.dumps({"turns": []}),
        json.dumps({"turns": ["x" * 20_000]}),
        json.dumps({"turns": ["funny"], "like": ["No Such Film At All 123"]}),
        json.dumps({"turns": ["funny"], "likes": ["Alien"]}),
        json.dumps({"turns": ["ok\u2028funny"]}, ensure_ascii=False),
        json.dumps({"turns": "funny"}),
        "[1]",
        json.dumps({"turns": ["a drama"], "n": 2}),
    ]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    records = list(ask_file(agent, path))
    assert len(records) == len(lines)
    good = [i for i, record in enumerate(records) if "turns" in record]
    assert good == [0, 7, 10]
    assert len(records[0]["turns"]) == 2  # pyright: ignore
    for number, record in enumerate(records, start=1):
        if "error" in record:
            error = record["error"]
            assert isinstance(error, dict)
            assert error["line"] == number
            assert error["message"]
            assert error["hint"]


def test_lines_of_a_file_do_not_know_each_other(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    liked = json.dumps({"turns": ["what next?"], "like": ["Alien"]})
    blank = json.dumps({"turns": ["what next?"]})
    path.write_text(f"{blank}\n{liked}\n{blank}\n", encoding="utf-8")
    first, _, third = (r["turns"][0] for r in ask_file(agent, path))  # pyright: ignore
    assert [r["id"] for r in first["recommendations"]] == [r["id"] for r in third["recommendations"]]


def test_a_file_that_is_not_there_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--file"):
        read_lines(tmp_path / "no.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"turns": ["caf\xe9"]}\n')
    with pytest.raises(ConfigError, match="UTF-8"):
        read_lines(tmp_path / "latin.jsonl")
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf{}\r\n")
    assert read_lines(tmp_path / "bom.jsonl") == ["{}"]
