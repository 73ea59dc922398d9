"""The whole ReDial benchmark on a small made-up data set, and its parts by hand."""

from __future__ import annotations

import csv
import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from vouchrec.evals.redial.__main__ import main
from vouchrec.evals.redial.blend import Choices, fit_blend
from vouchrec.evals.redial.data import Dialogue, Film, Message
from vouchrec.evals.redial.features import Catalogue
from vouchrec.evals.redial.linear import CoMention, ContextRidge, RidgeSettings
from vouchrec.evals.redial.protocol import make_cases
from vouchrec.evals.redial.report import read_blends, summary, write_outcome
from vouchrec.evals.redial.run import BLEND, Settings, open_benchmark, run, run_test
from vouchrec.evals.redial.split import make_blocks
from vouchrec.evals.redial.vectors import ContextVectors, nearest
from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ConfigError

N = 24
TOPICS = ("horror", "comedy", "western")


def film_id(topic: int, number: int) -> str:
    return str(100 + 8 * topic + number)


def talk(id: int, workers: tuple[int, int], rng: np.random.Generator) -> dict[str, object]:
    """A conversation in which the films of one topic follow each other."""
    topic = int(rng.integers(3))
    own = [film_id(topic, int(number)) for number in rng.permutation(8)[:4]]
    odd = [f"w{number}" for number in rng.integers(10**6, size=9)]  # no two dialogues share six words in a row
    texts = [
        (0, f"hello {odd[0]} I want a {odd[1]} {TOPICS[topic]} film {odd[2]} like @{own[0]} {odd[3]} please"),
        (1, f"have you seen {odd[4]} @{own[1]} then {odd[5]}"),
        (0, f"yes and I liked {odd[6]} that {odd[7]}"),
        (1, f"so try @{own[2]} or {odd[8]} @{own[3]} or @{own[1]} again"),
    ]
    return {
        "conversationId": str(id),
        "initiatorWorkerId": workers[0],
        "respondentWorkerId": workers[1],
        "movieMentions": {key: f"Film {key} (2000)" for key in own},
        "messages": [{"senderWorkerId": workers[who], "text": said} for who, said in texts],
    }


def shown(record: dict[str, object]) -> str:
    names = {"0": "User", "1": "Recommender"}
    workers = [record["initiatorWorkerId"], record["respondentWorkerId"]]
    parts = []
    for message in record["messages"]:
        said = message["text"]
        for key in record["movieMentions"]:
            said = said.replace(f"@{key}", f"Film {key} (2000)")
        parts.append(f"{names[str(workers.index(message['senderWorkerId']))]}: {said}")
    return " | ".join(parts)


def write_lines(path: Path, records: list[dict[str, object]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "redial"
    folder.mkdir(parents=True)
    with (folder / "movies_with_mentions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["movieId", "movieName", "nbMentions"])
        writer.writerows([film_id(t, n), f"Film {film_id(t, n)} (2000)", 99] for t in range(3) for n in range(8))
    facts = {
        film_id(t, n): {"genre": [TOPICS[t]], "plot": f"A {TOPICS[t]} story", "star": [f"Star {t}"]}
        for t in range(3)
        for n in range(8)
    }
    with lzma.open(folder / "id2info.json.xz", "wt") as file:
        json.dump(facts, file)
    train = [talk(number, (1 + 2 * (number // 20), 2 + 2 * (number // 20)), rng) for number in range(120)]
    other = [talk(1000 + number, (50, 51), rng) for number in range(60)]
    test = [talk(2000 + number, (90, 91), rng) for number in range(40)]
    write_lines(folder / "train.jsonl.xz", train)
    write_lines(folder / "test.jsonl.xz", test)
    texts = [{"dialog": shown(own), "official_test": False, "conversationId": None} for own in [*train, *other]]
    texts += [{"dialog": shown(own), "official_test": True, "conversationId": own["conversationId"]} for own in test]
    write_lines(folder / "all_dialogs_text.jsonl.xz", texts)
    return tmp_path / "data"


def test_the_blend_finds_the_topic(data: Path, tmp_path: Path, embedder: Embedder):
    settings = Settings(learn_cases=60)
    bench = open_benchmark(data, settings)
    assert len(bench.recovered) == bench.source.read - 120 - 40 == 60
    outcomes = dict(run(bench, settings, embedder, tmp_path / "out", test=True))
    outcome = outcomes["test"]
    earlier = summary(bench, settings, outcomes["validation"], test=False, signals=embedder.name)
    write_outcome(earlier, outcomes["validation"].rows, tmp_path / "out", "validation")
    record = summary(bench, settings, outcome, test=True, signals=embedder.name)
    write_outcome(record, outcome.rows, tmp_path / "out", "test")
    dedup, standard = record["figures"]["dedup"], record["figures"]["standard"]
    assert dedup[BLEND]["targets"] == 40 * 3
    assert standard[BLEND]["targets"] == 40 * 4
    # Six or seven films of the topic are left; 24 are ranked.
    assert dedup[BLEND]["R@10"]["value"] > 0.95 > dedup["popularity"]["R@10"]["value"]
    # One of three films of the second turn was named before: repeating finds it, and the standard blend learns to.
    assert standard["repeat the context"]["R@1"]["value"] > 0
    table = pq.read_table(tmp_path / "out" / "test.parquet").to_pylist()
    own = [row for row in table if row["method"] == BLEND and row["protocol"] == "dedup"]
    assert np.mean([row["rank"] <= 10 for row in own]) == dedup[BLEND]["R@10"]["value"]
    page = (tmp_path / "out" / "test.md").read_text()
    assert str(record["protocol"]) in page
    assert "not the same evaluation code" in page
    assert record["training dialogues"] == {"labelled": 120, "recovered": 60}
    # The weights that the validation left on disk give the same ranks.
    weights = read_blends(tmp_path / "out" / "validation.json", settings, embedder.name)
    again = run_test(bench, weights, embedder, tmp_path / "out")
    found = [row.rank for row in again.rows if row.protocol == "dedup"]
    assert np.mean(np.array(found) == [row.rank for row in outcome.rows if row.protocol == "dedup"]) > 0.95
    for wrong in (("validation.json", Settings(learn_cases=61)), ("test.json", settings), ("none.json", settings)):
        with pytest.raises(ConfigError):
            read_blends(tmp_path / "out" / wrong[0], wrong[1], embedder.name)


def test_validation_is_the_same_twice_and_knows_no_test(data: Path, tmp_path: Path):
    settings = Settings(learn_cases=40, use_recovered=False)
    bench = open_benchmark(data, settings)
    ((what, first),) = run(bench, settings, None, tmp_path, test=False)
    ((_, again),) = run(bench, settings, None, tmp_path, test=False)
    assert what == "validation"
    assert first.rows == again.rows
    tests = {dialogue.id for dialogue in bench.test}
    assert not tests & {row.dialogue for row in first.rows}


def test_a_test_dialogue_among_the_training_ones_stops_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = data / "redial"
    with lzma.open(folder / "train.jsonl.xz", "rt") as file, lzma.open(folder / "test.jsonl.xz", "rt") as test:
        records = [*map(json.loads, file), json.loads(next(test))]
    write_lines(folder / "train.jsonl.xz", records)
    monkeypatch.setattr(sys, "argv", ["redial", "--data", str(data), "--out", str(tmp_path / "o"), "--no-meaning"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert not (tmp_path / "o").exists()


# ---- parts by hand ----------------------------------------------------------------------------------------------


def test_no_worker_is_on_both_sides_of_a_block():
    rng = np.random.default_rng(1)
    dialogues = [
        Dialogue(str(n), (Message(True, f"text {n}"),), frozenset((int(a), int(b))))
        for n, (a, b) in enumerate(rng.integers(1, 40, size=(200, 2)))
    ]
    for block in make_blocks(dialogues, [], 3):
        held = {worker for dialogue in block.validation for worker in dialogue.workers}
        assert held
        assert not held & {worker for dialogue in block.train for worker in dialogue.workers}


def test_recovered_dialogues_in_the_hand_of_a_block_are_left_out():
    def by(worker: int, id: str) -> Dialogue:
        said = {1: "howdy partner!!! gimme a flick", 5: "Good evening. I should like a film.", 9: "yo yo yo wassup"}
        return Dialogue(id, (Message(True, f"{said[worker]} {id}"),) * 3, frozenset((worker,)))

    labelled = [by(worker, f"{worker}-{n}") for worker in (1, 5, 9) for n in range(20)]
    unknown = [Dialogue(f"u{worker}", by(worker, "x").messages) for worker in (1, 5, 9)]
    for block, hidden in zip(make_blocks(labelled, unknown, 3), ("u1", "u5", "u9"), strict=True):
        assert {dialogue.id for dialogue in block.recovered} == {"u1", "u5", "u9"} - {hidden}


def test_co_mention_by_hand():
    dialogues = sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], np.float32))
    shares = np.array([0.5, 0.3, 0.2], np.float32)
    scores = CoMention(dialogues, shares, prior=1.0).score(sp.csr_matrix(np.array([[1, 0, 0], [0, 0, 0]], np.float32)))
    # Film 0 has three pairs: two with film 1, one with film 2.
    np.testing.assert_allclose(scores[0], [0.5 / 4, 2.3 / 4, 1.2 / 4], rtol=1e-6)
    np.testing.assert_allclose(scores[1], shares)


def test_the_ridge_by_hand():
    films = [Film(str(n), f"F{n} (2000)", f"F{n}", 2000) for n in range(3)]
    catalogue = Catalogue.of(films)
    talks = [Dialogue(str(n), (Message(True, "@0"), Message(False, "@1"))) for n in range(4)]
    cases = make_cases(talks, catalogue.column)
    ridge = ContextRidge(catalogue, RidgeSettings(l2=4.0, least_films=1))
    shares = np.array([0.25, 0.5, 0.25], np.float32)
    ridge.fit(cases, shares)
    # One input seen four times: weight = (4 y - 4 share) / (4 + 4).
    np.testing.assert_allclose(ridge.score(cases[:1])[0], (np.array([0, 1, 0]) - shares) / 2, rtol=1e-5)


def test_the_blend_reaches_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    n, films = 400, 12
    signals = rng.normal(size=(n, films, 2)).astype(np.float32)
    truth = np.array([1.5, -0.5])
    logits = signals @ truth
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = np.stack([np.arange(films) == rng.choice(films, p=own) for own in chances])
    block = Choices(signals, np.zeros((n, films), bool), wanted, np.zeros(n, np.int64))
    blend = fit_blend(["a", "b"], [block], l2=1e-6, group_l2=1e6, groups=1)
    np.testing.assert_allclose(blend.weights[0], truth, atol=0.2)

    def likelihood(weights: np.ndarray) -> float:
        own = signals @ weights
        return float((own[wanted] - np.log(np.exp(own).sum(1))).sum())

    best = likelihood(blend.weights[0])
    for step in ([0.05, 0], [-0.05, 0], [0, 0.05], [0, -0.05]):
        assert likelihood(blend.weights[0] + np.array(step)) < best


def test_a_banned_film_does_not_shape_the_blend():
    signals = np.zeros((50, 3, 1), np.float32)
    signals[:, 0], signals[:, 1] = 5.0, 1.0  # the first film is mentioned already, the second is wanted
    banned = np.zeros((50, 3), bool)
    banned[:, 0] = True
    wanted = np.zeros((50, 3), bool)
    wanted[:, 1] = True
    blend = fit_blend(["a"], [Choices(signals, banned, wanted, np.zeros(50, np.int64))], l2=1.0, group_l2=1.0, groups=1)
    assert blend.weights[0, 0] > 0.5


def test_nearest_keeps_the_closest_and_sums_to_one():
    known = np.eye(3, dtype=np.float32)
    weights = nearest(np.array([[0.8, 0.6, 0.0]], np.float32), known, 2).toarray()[0]
    assert weights[2] == 0
    assert weights[0] > weights[1] > 0
    assert weights.sum() == pytest.approx(1)


def test_vectors_are_embedded_once(tmp_path: Path, embedder: Embedder):
    catalogue = Catalogue.of([Film("1", "Alien (1979)", "Alien", 1979)])
    cases = make_cases([Dialogue("a", (Message(True, "like @1"), Message(False, "@1")))], ["1"])
    first = ContextVectors(catalogue, embedder, tmp_path)
    first.prepare(cases)

    class Refusing:
        name, dimension = embedder.name, embedder.dimension

        def encode(self, texts, *, bar=None):
            raise AssertionError("embedded again")

    second = ContextVectors(catalogue, Refusing(), tmp_path)
    second.prepare(cases)
    np.testing.assert_array_equal(first.contexts(cases), second.contexts(cases))
    np.testing.assert_allclose(first.contexts(cases)[0], embedder.encode(["like Alien"])[0], atol=1e-3)
