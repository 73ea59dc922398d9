"""Tuning: goes on where it stood, never sees the test people, and is at least as good as the defaults where it looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vouchrec.evals import tuning
from vouchrec.evals.protocols import SplitSettings, likes_of, make_split
from vouchrec.evals.tuning import TuneSettings, tune
from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.tuned import Tuned, read_tuned
from vouchrec.retrieval.types import Interaction, Item
from vouchrec.retrieval.workspace import Workspace, WorkspaceSettings, write_settings

optuna = pytest.importorskip("optuna")
SMALL = TuneSettings(trials=4, people=10, k=5)
EVENTS = [Interaction(f"u{u}", f"i{(4 * k + u) % 24}", 1.0, float(36 * k + u)) for u in range(36) for k in range(6)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder):
    folder = tmp_path_factory.mktemp("small")
    store = Store(folder / "store.db")
    store.replace_items([Item(f"i{n}", f"Item {n}", f"Number {n % 3}") for n in range(24)])
    store.set_meta("domain", json.dumps({"noun": "item", "plural": "items"}))
    store.replace_interactions(EVENTS)
    store.close()
    write_settings(folder, WorkspaceSettings(embedder="hash-64"))
    workspace = Workspace.open(folder, embedder=embedder)
    yield workspace
    workspace.close()


@pytest.mark.parametrize("sampler", tuning.SAMPLERS)
def test_it_finds_and_writes_settings(small: Workspace, tmp_path: Path, sampler):
    report = tune(small, tmp_path, TuneSettings(trials=4, people=10, k=5, sampler=sampler))
    assert report.trials == 4
    assert report.people == 7
    assert report.best >= report.default - 1e-9
    assert report.gain.value == pytest.approx(report.best - report.default)
    assert read_tuned(tmp_path) == report.tuned
    assert small.tuned == Tuned()  # nothing is applied by itself


def test_it_goes_on_where_it_stood(small: Workspace, tmp_path: Path):
    tune(small, tmp_path, SMALL)
    first = [t.params for t in optuna.load_study(study_name="vouch", storage=f"sqlite:///{tmp_path}/study.db").trials]
    report = tune(small, tmp_path, TuneSettings(trials=6, people=10, k=5))
    study = optuna.load_study(study_name="vouch", storage=f"sqlite:///{tmp_path}/study.db")
    assert report.trials == 6
    assert [t.params for t in study.trials[:4]] == first
    assert len({json.dumps(t.params, sort_keys=True) for t in study.trials}) == 6  # no trial is repeated
    again = tune(small, tmp_path, TuneSettings(trials=6, people=10, k=5))
    assert again.trials == 6


def test_the_first_trial_is_the_defaults(small: Workspace, tmp_path: Path):
    report = tune(small, tmp_path, TuneSettings(trials=1, people=10, k=5))
    study = optuna.load_study(study_name="vouch", storage=f"sqlite:///{tmp_path}/study.db")
    assert study.trials[0].value == pytest.approx(report.default, abs=1e-6)
    assert study.trials[0].params["neighbours"] == 0.36
    assert report.tuned == Tuned() or report.gain.value > 0


def test_the_test_people_are_never_seen(small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: set[str] = set()
    original = tuning.to_matrix

    def watched(events, items, *, explicit):
        seen.update(event.user for event in events)
        return original(events, items, explicit=explicit)

    monkeypatch.setattr(tuning, "to_matrix", watched)
    tune(small, tmp_path, TuneSettings(trials=1, people=0, k=5))
    likes = likes_of(EVENTS, [f"i{n}" for n in range(24)])
    for part in ("test", "validation"):
        asked = {case.user for case in make_split(likes, "strong", part, SplitSettings(most=0)).cases}
        assert asked
        assert asked.isdisjoint(seen)


def test_what_is_refused(small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="no sampler 'luck'"):
        tune(small, tmp_path, TuneSettings(sampler="luck"))  # type: ignore[arg-type]
    tune(small, tmp_path, TuneSettings(trials=1, people=10, k=5))
    with pytest.raises(ConfigError, match="study of other data"):
        tune(small, tmp_path, TuneSettings(trials=1, people=10, k=3))
    monkeypatch.setattr(small.store, "interactions", lambda: EVENTS[:20])
    with pytest.raises(ConfigError, match="has 20 likes"):
        tune(small, tmp_path / "other", SMALL)
