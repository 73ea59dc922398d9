"""`tuned.toml`: what it overrides, what comes back when it is read, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vouchrec.retrieval.blend import Weights, WeightTables
from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.pipeline import rank, recommend
from vouchrec.retrieval.tuned import Tuned, read_tuned, tuned_text, write_tuned
from vouchrec.retrieval.types import Profile, Query
from vouchrec.retrieval.workspace import Workspace

OWN = Tuned(123.5, WeightTables(history=replace(Weights.for_history(), neighbours=0.25, popularity=0.0)))
HISTORY = Profile(history={"alien-1979": 1.0})


def test_written_and_read(tmp_path: Path):
    write_tuned(tmp_path, OWN, "From a\nstudy.")
    assert read_tuned(tmp_path) == OWN
    text = (tmp_path / "tuned.toml").read_text()
    assert text.startswith("# From a study.\n[scorer]\nl2 = 123.5\n")
    assert "[weights.history]\nneighbours = 0.25\npopularity = 0.0\n" in text
    assert "semantic" not in text  # what isn't changed isn't written
    assert not list(tmp_path.glob("*.tmp"))


def test_nothing_tuned_is_the_defaults(tmp_path: Path):
    assert read_tuned(tmp_path) == Tuned()
    write_tuned(tmp_path, Tuned())
    assert read_tuned(tmp_path) == Tuned()
    assert tuned_text(Tuned()) == "\n"


def test_tables_are_chosen_as_without_tuning():
    tables = WeightTables()
    for query, profile in ((Query("a western"), HISTORY), (Query(), HISTORY), (Query(similar_to=("x",)), HISTORY)):
        assert tables.of_request(query, profile) == Weights.of_request(query, profile)
    own = OWN.weights
    assert own.of_request(Query(), HISTORY).neighbours == 0.25
    assert own.of_request(Query("a western"), HISTORY) == Weights()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[scorer", "not valid TOML"),
        ("[scores]", "unknown key 'scores'"),
        ("scorer = 3", "'scorer' must be a table"),
        ("[scorer]\nl3 = 1", r"unknown key 'scorer\.l3'"),
        ("[scorer]\nl2 = 0", r"'scorer\.l2' must be above 0"),
        ("[scorer]\nl2 = 'x'", "must be a finite number"),
        ("[weights.today]\nlexical = 1", r"unknown key 'weights\.today'"),
        ("[weights.history]\nluck = 1", r"unknown key 'weights\.history\.luck'"),
        ("[weights.history]\nlexical = nan", "must be a finite number"),
        ("[weights.history]\nlexical = true", "must be a finite number"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str):
    (tmp_path / "tuned.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_tuned(tmp_path)


def test_a_workspace_uses_it(workspace_folder: Path, embedder: Embedder):
    plain = Workspace.open(workspace_folder, embedder=embedder)
    before = recommend(plain, Query(n=5), HISTORY)
    plain.close()
    only_popular = Weights(*[0.0] * 7)
    tables = WeightTables(history=replace(only_popular, popularity=1.0))
    write_tuned(workspace_folder, Tuned(weights=tables))
    tuned = Workspace.open(workspace_folder, embedder=embedder)
    after = recommend(tuned, Query(n=5), HISTORY)
    assert all(r.score == pytest.approx(r.scores["popularity"]) for r in after)
    assert [r.item.id for r in after] != [r.item.id for r in before]
    given = rank(tuned, Query(n=5), HISTORY, weights=Weights.for_history())
    assert given != rank(tuned, Query(n=5), HISTORY)  # weights that are given win
    tuned.close()


def test_using_it_fits_the_scorer_anew(workspace: Workspace, embedder: Embedder):
    workspace.use(Tuned(l2=77.0), "By hand.")
    assert workspace.scorer is not None
    assert workspace.scorer.l2 == 77.0  # type: ignore[attr-defined]
    again = Workspace.open(workspace.folder, embedder=embedder)
    assert again.tuned.l2 == 77.0
    assert again.fit()
    assert again.scorer.l2 == 77.0  # type: ignore[union-attr]
    again.close()
