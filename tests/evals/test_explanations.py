"""The measures of reasons by hand, and a run on a small workspace with a scripted model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.evals.explanations import distinct, read_training, repeated, run, sample_plans, self_bleu, words
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.workspace import Workspace

from ..conftest import HashEmbedder, ScriptedModel  # noqa: TID252
from ..finetune.small import make_workspace  # noqa: TID252


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    embedder = HashEmbedder()
    opened = Workspace.open(make_workspace(tmp_path_factory.mktemp("books"), embedder), embedder=embedder)
    yield opened
    opened.close()


def naming_all(prompt: str) -> str:
    references = re.findall(r"^\w+: (\[\[[^\]]+\]\])", prompt, re.MULTILINE)
    return f"What speaks for [[rec1]] is {' and then '.join(references)} in one evening."


def test_words_take_references_as_words() -> None:
    assert words("You'd like [[rec1]], by [[rec1.authors]]!") == ["you'd", "like", "[[rec1]]", "by", "[[rec1.value]]"]


def test_distinct() -> None:
    assert distinct(["a b c", "a b d"]) == pytest.approx(3 / 4)
    assert math.isnan(distinct(["one"]))


def test_self_bleu() -> None:
    assert self_bleu(["a b c d e"] * 4) == pytest.approx(1.0)
    assert self_bleu(["a b c d e", "f g h i j"]) == 0.0
    assert 0 < self_bleu(["a b c d e", "a b c x y"]) < 1
    assert math.isnan(self_bleu(["a b"]))


def test_repeated_runs_of_words() -> None:
    training = ["one two three four five six seven [[rec1.genres]] nine"]
    assert repeated(["one two three four five six seven [[rec1.subjects]]"], training) == [1.0]
    assert repeated(["one two three four five six seven eight", "short"], training) == [0.0, 0.0]


def test_training_reasons_are_the_authored_ones() -> None:
    reasons = read_training()
    assert len(reasons) > 1000
    assert all("[[" in text for text in reasons)


def test_run_counts_what_passes(books: Workspace) -> None:
    report = run(Agent(books, ScriptedModel(naming_all)), reasons=30, progress=False)
    assert report["recommendations"] == 30
    assert report["verified"][0] > 0.9  # type: ignore[index]
    assert report["repeated from training"][0] == 0  # type: ignore[index]
    lying = run(
        Agent(books, ScriptedModel(lambda _: "Stephen King wrote [[rec1]] in 1977.")), reasons=10, progress=False
    )
    assert lying["verified"] == [0, 0, 0]
    assert sum(lying["fallbacks"].values()) == 10  # type: ignore[attr-defined]
    assert lying["distinct-2"]["model"] is None  # type: ignore[index]
    assert lying["repeated from training"] is None


def test_plans_are_the_same_for_a_seed(books: Workspace) -> None:
    one, two = (sample_plans(books, 12, seed=1) for _ in range(2))
    assert [(r.item.id, p.entries) for r, p in one] == [(r.item.id, p.entries) for r, p in two]


def test_nothing_to_word(books: Workspace) -> None:
    with pytest.raises(ConfigError, match="no reason to word"):
        run(Agent(books, ScriptedModel()), reasons=0, progress=False)
