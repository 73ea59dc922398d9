"""Authored data -> examples: annotations, roles by overlap, the split, and variation that keeps offsets."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchrec.agent.annotations import Annotation, AuthoredTurn, parse_annotation, read_messages, role_of
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.prompts import parse_reading
from vouchrec.agent.types import ACTS, Span
from vouchrec.finetune.examples import (
    AUTHORED,
    Names,
    read_reasons,
    reason_examples,
    split_groups,
    understanding_example,
    understanding_examples,
    vary,
)
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import DataFileError


@pytest.fixture(scope="module")
def linker() -> Linker:
    catalogue = Catalogue(builtin_items()[::4], builtin_domain())
    return Linker(catalogue, np.zeros(len(catalogue), np.float32))


@pytest.fixture(scope="module")
def names(linker: Linker) -> Names:
    return Names(linker.catalogue)


def turn(marked: str, act: str = "recommend", shown: int = 0) -> AuthoredTurn:
    text, annotations = parse_annotation(marked)
    return AuthoredTurn("f:1", text, annotations, act, shown)  # type: ignore[arg-type]


def test_annotations() -> None:
    text, found = parse_annotation("like {Alien|title|like}, no {horror | genres | exclude}!")
    assert text == "like Alien, no horror !"
    assert [(text[a.start : a.end], a.kind, a.role) for a in found] == [
        ("Alien", "title", "like"),
        ("horror ", "genres", "exclude"),
    ]
    assert parse_annotation("plain {a|b} text") == ("plain {a|b} text", ())


@given(
    st.lists(
        st.tuples(st.text(alphabet="abé ", max_size=6), st.text(alphabet="xyz", min_size=1, max_size=6)), max_size=5
    )
)
def test_offsets_of_annotations(parts: list[tuple[str, str]]) -> None:
    marked = "".join(f"{before}{{{surface}|title|like}}" for before, surface in parts)
    text, found = parse_annotation(marked)
    assert text == "".join(before + surface for before, surface in parts)
    assert [text[a.start : a.end] for a in found] == [surface for _, surface in parts]


def span(start: int, end: int, kind: str = "genres") -> Span:
    return Span(start, end, "x" * (end - start), kind)


@pytest.mark.parametrize(
    ("start", "end", "kind", "role"),
    [
        (10, 20, "genres", "exclude"),
        (12, 20, "genres", "exclude"),
        (8, 22, "genres", "exclude"),
        (16, 28, "genres", "ignore"),  # overlaps too little
        (12, 15, "genres", "exclude"),  # a part of what was marked
        (0, 8, "genres", "ignore"),  # covers nothing annotated
        (10, 20, "title", "ignore"),  # a title is no genre
        (30, 36, "title", "like"),
        (29, 42, "title", "like"),  # the annotation it overlaps most
    ],
)
def test_roles_by_overlap(start: int, end: int, kind: str, role: str, linker: Linker) -> None:
    annotations = (
        Annotation(10, 20, "genres", "exclude"),
        Annotation(30, 36, "title", "like"),
        Annotation(38, 60, "title", "seen"),
    )
    marked = AuthoredTurn("f:1", "x" * 60, annotations, "recommend", 0)
    assert role_of(span(start, end, kind), marked, linker.catalogue.domain) == role


@pytest.mark.parametrize(
    ("marked", "role"),
    [
        ("{nothing over 150 minutes|runtime|must}", "must"),
        ("{nothing over 150 minutes|runtime|exclude}", "must"),  # the limit, marked as unwanted
        ("nothing {over 150 minutes|runtime|exclude}", "must"),  # the linked span holds the negation
        ("definitely not anything {over 150 minutes|runtime|exclude}", "exclude"),
        ("not from {the 80s|year|exclude}", "exclude"),
        ("{not too long|runtime|prefer}", "must"),  # plainly said
        ("ideally {not too long|runtime|prefer}", "prefer"),
        ("{horror|genres|prefer}", "must"),
        ("maybe {horror|genres|prefer}", "prefer"),
        ("{funny|moods|prefer}", "prefer"),  # a mood is a matter of degree
    ],
)
def test_roles_by_meaning(marked: str, role: str, linker: Linker) -> None:
    authored = turn(marked)
    (linked,) = linker.link(authored.text, Screen())
    assert role_of(linked, authored, linker.catalogue.domain) == role


def test_example_is_what_serving_would_ask(linker: Linker) -> None:
    authored = turn(
        "a {japanese|countries|must} film, no {horror|genres|exclude}, {the second one|ref|seen}", "critique", 3
    )
    shown = tuple(item.id for item in linker.catalogue.items[:3])
    example = understanding_example(authored, linker, Screen(shown))
    (message,) = example.messages
    assert message.content == (
        "task: understand\nshown: 3\nbefore: -\n"
        "message: a [s1|countries|japanese] film, no [s2|genres|horror], [s3|ref|the second one]"
    )
    assert json.loads(example.answer) == {"act": "critique", "roles": {"s1": "must", "s2": "exclude", "s3": "seen"}}


def test_variation_keeps_offsets(linker: Linker, names: Names) -> None:
    authored = turn(
        "like {Alien|title|like} by {Ridley Scott|person|must}, {japanese|countries|must}, {under two hours|runtime|must}"
    )
    rng = random.Random(0)
    seen: set[str] = set()
    for _ in range(50):
        varied = vary(authored, names, rng, rate=1.0)
        seen.add(varied.text)
        assert [a.role for a in varied.annotations] == [a.role for a in authored.annotations]
        surfaces = [varied.text[a.start : a.end] for a in varied.annotations]
        assert varied.text == "like {} by {}, {}, {}".format(*surfaces)
        assert surfaces[-1] == "under two hours"
        assert surfaces[2] in names._known["countries"]
    assert len(seen) > 40
    assert vary(authored, names, rng, rate=0.0) == authored


def test_ignored_names_are_not_exchanged(names: Names) -> None:
    authored = turn("my friend {Alien|title|ignore} says hi")
    assert vary(authored, names, random.Random(1), rate=1.0) == authored


def test_split_never_parts_a_line() -> None:
    groups = [f"m:{n // 3}" for n in range(300)]
    kept = split_groups(groups, held_out=0.1, seed=3)
    assert len(kept) == 10
    assert kept == split_groups(groups[::-1], held_out=0.1, seed=3)
    assert kept != split_groups(groups, held_out=0.1, seed=4)
    assert split_groups(groups, held_out=0.0, seed=3) == set()


# ---- the authored files -----------------------------------------------------------------------------------------


def test_authored_messages_are_valid_and_make_valid_examples(linker: Linker) -> None:
    turns = read_messages(sorted(AUTHORED.glob("messages_*.jsonl")))
    assert len(turns) > 2_000
    assert {t.act for t in turns} == set(ACTS)
    for example in understanding_examples(turns[::15], linker, copies=2, seed=1):
        (message,) = example.messages
        answer = json.loads(example.answer)
        assert list(answer["roles"]) == [f"s{n}" for n in range(1, len(answer["roles"]) + 1)]
        assert message.content.count("[s") == len(answer["roles"])


def test_examples_can_be_read_back(linker: Linker) -> None:
    authored = turn("{Alien|title|like} no {horror|genres|exclude}")
    example = understanding_example(authored, linker, Screen())
    assert parse_reading(example.answer, linker.link(authored.text)) is not None


def test_authored_reasons_are_valid(linker: Linker) -> None:
    reasons = read_reasons(sorted(AUTHORED.glob("reasons_*.jsonl")))
    assert len(reasons) > 1_000
    for reason, example in zip(reasons, reason_examples(reasons, linker.catalogue, copies=1, seed=1), strict=True):
        assert example.answer == reason.text
        lines = example.messages[0].content.splitlines()
        assert lines[0] == "task: reason"
        assert len(lines) == 1 + len(reason.plan)
        assert all(reference in reason.text for _, reference in reason.plan), reason


def test_examples_are_the_same_for_the_same_seed(linker: Linker) -> None:
    turns = [turn("like {Alien|title|like}"), turn("a {japanese|countries|must} film")]
    first, second = (list(understanding_examples(turns, linker, copies=3, seed=5)) for _ in range(2))
    assert first == second
    assert len(first) == 6


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "{}",
        '{"turns": [{"text": "x", "act": "recommend"}]}',
        '{"turns": [{"text": "x", "act": "buy", "shown": 0}]}',
        '{"turns": [{"text": "{x|title|adore}", "act": "recommend", "shown": 0}]}',
    ],
)
def test_bad_message_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text('{"turns": [{"text": "x", "act": "recommend", "shown": 0}]}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataFileError) as caught:
        read_messages([path])
    assert (caught.value.path, caught.value.row) == (path, 3)


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"plan": [["cause", "liked1"]], "reason": "x"}',
        '{"plan": []}',
        '{"plan": [["cause"]], "reason": ""}',
    ],
)
def test_bad_reason_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "reasons.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataFileError) as caught:
        read_reasons([path])
    assert caught.value.row == 1


def test_message_before_is_kept_within_a_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows = [
        {"text": "a {horror|genres|must}", "act": "recommend", "shown": 0},
        {"text": "b", "act": "critique", "shown": 5},
    ]
    path.write_text(json.dumps({"turns": rows}) + "\n" + json.dumps({"turns": rows[:1]}) + "\n", encoding="utf-8")
    assert [(t.group, t.before) for t in read_messages([path])] == [("m:1", ""), ("m:1", "a horror"), ("m:2", "")]
