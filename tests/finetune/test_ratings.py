"""What the shipped scorer learns from, and its training from end to end on a small data folder."""

from __future__ import annotations

import datetime as dt
import json
import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vouchrec.finetune import ratings as ratings_module
from vouchrec.finetune import scorer as scorer_module
from vouchrec.finetune.ratings import read_ratings
from vouchrec.finetune.scorer import TOLD_RULE, grid_table, train_scorer, tune
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.errors import ConfigError, DataFileError, ModelError
from vouchrec.retrieval.ranking import SplitRule, split_histories
from vouchrec.retrieval.types import Item

CATALOGUE = [Item(f"film-{n}", f"Film {n}", attributes={"year": 2000}) for n in range(20)]
DATE = dt.date(2026, 11, 22)


def _dialogue(key: str, text: str, films: list[int]) -> dict[str, object]:
    return {
        "conversationId": key,
        "movieMentions": {str(n): f"Film {n} (2000)" for n in films},
        "initiatorQuestions": {str(n): {"suggested": 0, "seen": 1, "liked": 1} for n in films},
        "respondentQuestions": {"0": {"suggested": 0, "seen": 1, "liked": 1}},
        "messages": [{"text": text + "".join(f" @{n}" for n in films), "senderWorkerId": 1}],
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People and dialogues like either the even or the odd films; one film is in neither data set."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    tweets, redial = folder / "movietweetings", folder / "redial"
    tweets.mkdir()
    redial.mkdir()
    lines = [f"{n:07}::Film {n} (2000)::Drama" for n in range(19)] + ["0000099::Elsewhere (1990)::"]
    (tweets / "movies.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows: list[str] = []
    for user in range(60):
        films = rng.choice(np.arange(user % 2, 19, 2), size=6, replace=False)
        rows += [f"{user}::{n:07}::{8 if at else 3}::{1000 + at}" for at, n in enumerate(films)]
        rows.append(f"{user}::0000099::9::1")
    (tweets / "ratings.dat").write_text("\n".join(rows) + "\n", encoding="utf-8")
    own = [[int(n) for n in rng.choice(np.arange(k % 2, 19, 2), size=4, replace=False)] for k in range(40)]
    train = [_dialogue(str(k), f"dialogue number {k} of the seekers", films) for k, films in enumerate(own)]
    test = [_dialogue("t1", "An evening with penguins and submarines, please", [1]), _dialogue("5", "by id", [2])]
    train.append(_dialogue("900", "an evening with PENGUINS and submarines please", [1]))
    for name, dialogues in (("train", train), ("test", test)):
        with lzma.open(redial / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in dialogues)
    return folder


def test_likes_are_read_and_mapped(data: Path):
    found = read_ratings(data, CATALOGUE)
    assert (found.rated.events, found.rated.events_mapped, len(found.rated.likes)) == (60 * 7, 60 * 6, 60 * 5)
    assert found.rated.users == 60
    assert found.covered == 19
    assert all(event.value == 1.0 for event in found.rated.likes)


def test_test_dialogues_are_excluded(data: Path):
    users = {event.user for event in read_ratings(data, CATALOGUE).told.likes}
    assert users == {f"redial:{k}" for k in range(40) if k != 5}


def test_the_coverage_table_can_be_recomputed(data: Path):
    lines = read_ratings(data, CATALOGUE).coverage_table().splitlines()
    assert lines[2] == "| movietweetings | MIT | 420 | 360 (85.7%) | 300 | 60 | 19 of 20 |"
    assert lines[3] == "| redial | CC BY 4.0 | 156 | 156 (100.0%) | 156 | 39 | 19 of 20 |"


def test_a_catalogue_that_nothing_is_about_is_an_error(data: Path):
    with pytest.raises(ConfigError, match="No interaction of movietweetings"):
        read_ratings(data, [Item("x", "Something else", attributes={"year": 2000})])


def test_data_that_may_not_ship_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch):
    found = read_ratings(data, CATALOGUE)
    locked = (replace(found.rated, shippable=False), found.told)
    monkeypatch.setattr(ratings_module, "read_shippable", lambda data, catalogue: locked)
    with pytest.raises(ConfigError, match="must not be in shipped weights"):
        read_ratings(data, CATALOGUE)


def test_an_absent_folder_is_a_clear_error(tmp_path: Path):
    with pytest.raises(DataFileError, match=r"movies\.dat: no such file"):
        read_ratings(tmp_path, CATALOGUE)


def test_tuning_prefers_what_ranks_the_validation_histories_best(data: Path):
    found = read_ratings(data, CATALOGUE)
    rated, told = split_histories(found.rated.likes, SplitRule()), split_histories(found.told.likes, TOLD_RULE)
    grid = tune(rated, told, [item.id for item in CATALOGUE], l2=(1.0, 1e6), told_weight=(0.0, 1.0))
    assert [(choice.l2, choice.told_weight) for choice in grid] == [(1, 0), (1e6, 0), (1, 1), (1e6, 1)]
    assert all(0 <= choice.score <= 1 for choice in grid)
    # Liking one parity predicts the other films of it, of which there are at most ten; chance is lower.
    assert grid[0].rated > 0.25


def test_too_few_people_to_hold_out_is_an_error(data: Path):
    found = read_ratings(data, CATALOGUE)
    none = split_histories(found.rated.likes, SplitRule(least=100))
    with pytest.raises(ConfigError, match="No one to hold out"):
        tune(none, none, [item.id for item in CATALOGUE])


def test_train_scorer_writes_weights_record_and_card(data: Path, tmp_path: Path):
    trained = train_scorer(data, folder=tmp_path, items=CATALOGUE, date=DATE)
    loaded = Ease.load(tmp_path)
    assert loaded.items == tuple(f"film-{n}" for n in range(19))
    assert loaded.l2 == trained.chosen.l2
    even, odd = loaded.score({"film-0": 1.0})[2::2], loaded.score({"film-0": 1.0})[1::2]
    assert even.mean() > odd.mean()
    record = json.loads((tmp_path / "tuning.json").read_text())
    assert record["l2"] == trained.chosen.l2
    assert record["order"] == {"l2": scorer_module.ORDER_L2, "weight": scorer_module.ORDER_WEIGHT, "older": 0.8}
    assert record["splits"]["rated"] == {
        "rule": {"least": 5, "validation": 0.2, "test": 0.2, "fold_in": 0.8, "k": 10, "seed": 0},
        "digest": trained.rated.digest(),
    }
    assert trained.chosen.score == max(choice["rated"] + choice["told"] for choice in record["grid"]) / 2
    card = (tmp_path / "CARD.md").read_text()
    for part in ("2026-11-22", "MIT", "CC BY 4.0", "python -m vouchrec.finetune.scorer", grid_table(trained.grid)):
        assert part in card
    assert not list(tmp_path.glob("*.tmp"))


def test_training_twice_gives_the_same_files(data: Path, tmp_path: Path):
    for name in ("one", "two"):
        train_scorer(data, folder=tmp_path / name, items=CATALOGUE, date=DATE)
    for name in ("scorer.safetensors", "scorer.json", "tuning.json", "CARD.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_weights_that_are_too_large_or_do_not_read_back_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scorer_module, "MOST_BYTES", 10)
    with pytest.raises(ConfigError, match="less than 10 are allowed"):
        train_scorer(data, folder=tmp_path, items=CATALOGUE)
    other = Ease(1.0)
    monkeypatch.setattr(Ease, "load", staticmethod(lambda folder: other))
    monkeypatch.setattr(Ease, "score", lambda self, history: np.full(3, float(self is other), np.float32))
    with pytest.raises(ModelError, match="does not read back"):
        scorer_module._check_saved(Ease(), tmp_path)
