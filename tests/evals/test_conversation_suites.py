"""The suites on written messages: their figures are those of the commands, and cases that can't be read are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.evals import falsehoods, messages, understanding
from vouchrec.evals.runs import plots
from vouchrec.evals.runs.engine import evaluate
from vouchrec.evals.runs.figures import figures
from vouchrec.evals.suites.conversations import FalsehoodsSuite, MessagesSuite, UnderstandingSuite
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.workspace import Workspace


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "available", lambda: False)


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def gold(**changes: object) -> dict[str, object]:
    return {"act": "recommend", "constraints": [], "liked": [], "disliked": [], "seen": [], **changes}


HORROR = {"attribute": "genres", "op": "is", "value": "horror", "strength": "hard"}
CASES = [
    {"id": "m1", "turns": [{"text": "a horror film", "gold": gold(constraints=[HORROR])}]},
    {"id": "m2", "turns": [{"text": "something like Alien", "gold": gold(liked=["Alien (1979)"])}]},
    {
        "id": "m3",
        "turns": [
            {"text": "hi", "gold": gold(act="smalltalk")},
            {"text": "a comedy", "gold": gold(constraints=[HORROR])},
        ],
    },
]


def values(done) -> dict[tuple[str, str], float]:
    found = figures(done.manifest, list(done.rows.values()))
    return {(f.method, f.measure.name): f.interval.value for f in found}


def test_messages_agree_with_the_command(agent: Agent, tmp_path: Path):
    path = lines(tmp_path / "cases.jsonl", *CASES)
    done = evaluate(MessagesSuite(agent, path), tmp_path / "run", seed=0)
    tally, _ = messages.evaluate_messages(agent, messages.read_cases(path))
    expected = messages.summary(tally)
    own = values(done)
    assert own["scripted", "act_accuracy"] == pytest.approx(expected["act_accuracy"]["value"], abs=1e-4)
    assert own["scripted", "lists_with_a_problem"] == pytest.approx(expected["lists_with_a_problem"]["value"], abs=1e-4)
    assert tally.lists_broken >= 1  # the comedies of m3 are no horror films
    assert {row.case for row in done.rows.values()} == {"m1", "m2", "m3"}
    broken = done.rows["", "scripted", "m3"]
    assert broken.values["lists_broken"] >= 1
    assert broken.detail["turns"][1]["problems"]


def test_understanding_agrees_with_the_command(agent: Agent, tmp_path: Path):
    path = lines(
        tmp_path / "cases.jsonl",
        {"turns": [{"shown": 0, "act": "recommend", "text": "a {comedy|genres|must} please"}]},
        {
            "turns": [
                {
                    "shown": 0,
                    "act": "recommend",
                    "text": "something like {Alien|title|like}, no {horror|genres|exclude}",
                }
            ]
        },
    )
    suite = UnderstandingSuite(agent, path)
    own = values(evaluate(suite, tmp_path / "run", seed=0))
    linked = understanding.link_all(agent, understanding.read_messages([path]))
    for name, reader in understanding.readers(agent).items():
        scores = understanding.evaluate(linked, reader, name)
        assert own[name, "slot_f1"] == pytest.approx(understanding.slot_f1(scores).value)
        assert own[name, "act_accuracy"] == pytest.approx(sum(scores.acts) / len(scores.acts))
    assert own["rules", "slot_f1"] == 1


def test_falsehoods_go_on_where_they_stood(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    base = {"set": "a", "id": "aliens-1986", "likes": ["alien-1979"], "wish": None, "similar_to": []}
    first = {
        **base,
        "true": "Aliens is like Alien.",
        "false": "Aliens is by Steven Spielberg.",
        "what": "by Steven Spielberg",
    }
    path = lines(tmp_path / "cases.jsonl", first, {**first, "set": "b", "false": "Aliens won nine Oscars."})
    whole = evaluate(FalsehoodsSuite(workspace, path), tmp_path / "whole", seed=0)
    outcomes = list(falsehoods.judge(workspace, [json.loads(line) for line in path.read_text().splitlines()]))
    assert [row.values["refused"] for row in whole.rows.values()] == [float(o.refused) for o in outcomes]
    assert {row.group for row in whole.rows.values()} == {"a", "b"}
    suite = FalsehoodsSuite(workspace, path)
    left = list(suite.rows(frozenset([("a", "verifier", "0000")])))
    assert [row.case for row in left] == ["0001"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no cases"),
        ("{\n", "row 1: not JSON"),
        ('{"id": 1}\n', "field 'turns': is missing"),
        ("[]\n", "is missing"),
    ],
)
def test_cases_that_cannot_be_read(agent: Agent, tmp_path: Path, text: str, said: str):
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    with pytest.raises(DataFileError, match=said):
        MessagesSuite(agent, path)
    with pytest.raises(DataFileError, match="no such file"):
        MessagesSuite(agent, tmp_path / "absent.jsonl")
