"""Re-ranking measured on choices along time, with models that know and models that don't."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest

from vouchrec.agent.llm.base import Message
from vouchrec.evals.reranking import Asked, figures, joined, run
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.timeline import Choice, split_timeline
from vouchrec.retrieval.workspace import Workspace

from ..conftest import HashEmbedder, ScriptedModel  # noqa: TID252
from ..finetune.small import make_workspace  # noqa: TID252


class Knowing(ScriptedModel):
    """Puts the candidates in front that a set of titles holds; everything else keeps its order."""

    def __init__(self, titles: set[str]) -> None:
        super().__init__()
        self.titles = titles

    def score(self, messages: Sequence[Message], choices: Sequence[str]) -> list[float]:
        self.prompts.append(messages[-1].content)
        lines = messages[-1].content.splitlines()[2:]
        return [-float(n) + 100 * (line[3:].partition(" (")[0] in self.titles) for n, line in enumerate(lines)]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    embedder = HashEmbedder()
    opened = Workspace.open(make_workspace(tmp_path_factory.mktemp("books"), embedder), embedder=embedder)
    yield opened
    opened.close()


def test_a_model_that_keeps_the_order_gains_nothing(books: Workspace) -> None:
    report = run(books, Knowing(set()), progress=False)
    assert report["candidates"]["NDCG@10"] == report["model"]["NDCG@10"]  # type: ignore[index]
    assert report["model"]["difference to the candidate order"] == [0, 0, 0]  # type: ignore[index]
    assert report["model"]["wins"] is False  # type: ignore[index]


def test_a_model_that_prefers_other_books_loses(books: Workspace) -> None:
    timeline = split_timeline(books.store.interactions(), [i.id for i in books.catalogue.items])
    chosen = {c.target for c in timeline.test}
    others = Knowing({i.title for i in books.catalogue.items if i.id not in chosen})
    report = run(books, others, progress=False)
    gain = report["model"]["difference to the candidate order"]  # type: ignore[index]
    assert gain[0] < 0
    assert report["protocol"]["digest"] == timeline.digest()  # type: ignore[index]
    assert report["choices"] == len(timeline.test)
    reached = report["share of choices among the candidates"]
    assert 0 < len(others.prompts) == round(reached * len(timeline.test))  # type: ignore[operator]


def test_figures_by_hand() -> None:
    def asked(user: str, target: str, listed: str, model: str) -> Asked:
        choice = Choice(user, ("x",), (), target)
        return Asked(choice, {"candidates": tuple(listed), "model": tuple(model), "joined": tuple(listed)})

    found = figures([asked("u", "c", "abc", "cab"), asked("u", "z", "abc", "cab"), asked("v", "a", "abc", "cab")])
    third, second = 1 / math.log2(4), 1 / math.log2(3)
    assert found["people"] == 2
    assert found["share of choices among the candidates"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["candidates"]["NDCG@10"][0] == pytest.approx((third / 2 + 1) / 2, abs=1e-4)  # type: ignore[index]
    assert found["model"]["NDCG@10"][0] == pytest.approx((1 / 2 + second) / 2, abs=1e-4)  # type: ignore[index]
    assert found["model"]["first"] == pytest.approx(1 / 3, abs=1e-4)  # type: ignore[index]
    with pytest.raises(ConfigError, match="no choice"):
        figures([])


def test_joined_order() -> None:
    assert joined("abc", "abc") == ("a", "b", "c")
    assert joined("abc", "cab")[0] == "a"
    assert set(joined("abcd", "dcba")) == set("abcd")


def test_no_interactions(tmp_path_factory: pytest.TempPathFactory) -> None:
    embedder = HashEmbedder()
    folder = make_workspace(tmp_path_factory.mktemp("bare"), embedder, people=0)
    workspace = Workspace.open(folder, embedder=embedder)
    with pytest.raises(ConfigError, match="no interactions"):
        run(workspace, Knowing(set()), progress=False)
    workspace.close()
