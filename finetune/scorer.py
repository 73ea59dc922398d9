"""Training of the built-in collaborative scorer: choose its settings on held-out people, fit on everyone, write it.

``python -m vouchrec.finetune.scorer --data DATA`` writes into ``retrieval/builtin/collaborative``:

``scorer.safetensors``, ``scorer.json``
    The weights (`vouchrec.retrieval.collaborative.Ease.save`).
``tuning.json``
    The grid, the chosen settings and the digest of the split, which ``python -m vouchrec.evals.histories`` reads.
``CARD.md``
    Data, licences, settings, limits. The evaluation writes its test figures into the marked place.

Test people and test dialogues are set aside before anything is chosen and are not looked at here.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vouchrec.finetune.ratings import TrainingRatings, read_ratings
from vouchrec.retrieval.build import BUILTIN_DATA, builtin_items
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.errors import ConfigError, ModelError
from vouchrec.retrieval.ordered import OrderedEase, order_histories
from vouchrec.retrieval.ranking import HistorySplit, SplitRule, ndcg, rank_cases, split_histories, weighted_matrix
from vouchrec.retrieval.types import Item, ItemId

__all__ = [
    "L2_GRID",
    "MOST_BYTES",
    "ORDER_L2",
    "ORDER_WEIGHT",
    "RATED_RULE",
    "TOLD_RULE",
    "WEIGHT_GRID",
    "Choice",
    "TrainedScorer",
    "train_scorer",
    "tune",
]

_log = logging.getLogger(__name__)

L2_GRID: tuple[float, ...] = (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Ridge strengths tried."""
WEIGHT_GRID: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Weights of a dialogue's squared error tried, against 1 for a person of MovieTweetings."""
ORDER_L2 = 200.0
"""Ridge strength of the regression from older to newer likes; chosen with its weight in the blend (docs/log.md)."""
ORDER_WEIGHT = 2.0
"""Weight of that regression's matrix against 1 for EASE's."""
RATED_RULE = SplitRule()
"""Split of the people of MovieTweetings."""
TOLD_RULE = SplitRule(least=3)
"""Split of the dialogues of ReDial, which hold fewer likes each."""
MOST_BYTES = 10_000_000
"""Size that the weight file must stay under."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One point of the grid.

    Attributes:
        l2: Ridge strength of EASE.
        told_weight: Weight of a dialogue row.
        rated, told: Mean NDCG@k over the validation people of MovieTweetings and the validation dialogues of ReDial,
            in [0, 1].
    """

    l2: float
    told_weight: float
    rated: float
    told: float

    @property
    def score(self) -> float:
        """What the choice maximises: the mean of the two, so that neither kind of history is given up for the other."""
        return (self.rated + self.told) / 2


@dataclass(frozen=True, slots=True)
class TrainedScorer:
    """What `train_scorer` did.

    Attributes:
        folder: Where everything was written.
        ratings: What was read.
        chosen: The settings of the shipped weights, with their validation figures.
        grid: Every point tried.
        rated, told: The splits of people and of dialogues.
        columns: Items that the scorer knows.
        size: Bytes of the weight file.
    """

    folder: Path
    ratings: TrainingRatings
    chosen: Choice
    grid: tuple[Choice, ...]
    rated: HistorySplit
    told: HistorySplit
    columns: int
    size: int


def tune(
    rated: HistorySplit,
    told: HistorySplit,
    items: Sequence[ItemId],
    *,
    l2: Sequence[float] = L2_GRID,
    told_weight: Sequence[float] = WEIGHT_GRID,
    progress: bool = False,
) -> list[Choice]:
    """Score every combination of settings on the validation histories, learning from the train ones.

    Args:
        rated: Split of the people of MovieTweetings.
        told: Split of the dialogues of ReDial.
        items: The catalogue's ids: the ranking is over all of them.
        l2: Ridge strengths to try.
        told_weight: Weights of a dialogue to try.
        progress: Show a bar.

    Raises:
        ConfigError: There are too few people or dialogues to hold any out.
    """
    for split in (rated, told):
        if not split.validation:
            raise ConfigError(f"No one to hold out: too few have {split.rule.least} likes of catalogue items.")
    grid: list[Choice] = []
    with tqdm(total=len(l2) * len(told_weight), desc="tuning EASE", unit="fit", disable=not progress) as bar:
        for weight in told_weight:
            matrix = weighted_matrix([(rated.train, 1.0), (told.train, weight)], items)
            for strength in l2:
                scorer = Ease(strength)
                scorer.fit(matrix)
                grid.append(Choice(strength, weight, _mean_ndcg(scorer, rated, items), _mean_ndcg(scorer, told, items)))
                bar.update()
    return grid


def _mean_ndcg(scorer: Ease, split: HistorySplit, items: Sequence[ItemId]) -> float:
    lists = rank_cases(scorer, split.validation, items, split.rule.k)
    pairs = zip(lists, split.validation, strict=True)
    return float(np.mean([ndcg(ranked, case.targets, split.rule.k) for ranked, case in pairs]))


def train_scorer(
    data: Path,
    *,
    folder: Path = BUILTIN_DATA / "collaborative",
    items: Sequence[Item] | None = None,
    rules: tuple[SplitRule, SplitRule] = (RATED_RULE, TOLD_RULE),
    date: dt.date | None = None,
    progress: bool = False,
) -> TrainedScorer:
    """Tune EASE on validation histories, fit it with the order of likes on everyone, write weights, record and card.

    Args:
        data: Folder with `movietweetings/` and `redial/`.
        folder: Where to write.
        items: Catalogue; the built-in one by default.
        rules: Splits of people and of dialogues.
        date: Date on the card; today by default.
        progress: Show bars.

    Raises:
        DataFileError: A data file is absent or malformed.
        ConfigError: The data does not fit the catalogue, or the weights exceed `MOST_BYTES`.
        ModelError: What was written does not read back as what was fitted.
    """
    catalogue = list(items) if items is not None else builtin_items()
    ids = [item.id for item in catalogue]
    ratings = read_ratings(data, catalogue)
    rated = split_histories(ratings.rated.likes, rules[0])
    told = split_histories(ratings.told.likes, rules[1])
    grid = tune(rated, told, ids, progress=progress)
    chosen = max(grid, key=lambda choice: choice.score)
    ordered = order_histories(ratings.rated.likes, ids, older=rules[0].fold_in)
    scorer = OrderedEase(ordered, l2=chosen.l2, order_l2=ORDER_L2, order_weight=ORDER_WEIGHT)
    scorer.fit(weighted_matrix([(ratings.rated.likes, 1.0), (ratings.told.likes, chosen.told_weight)], ids))
    scorer.save(folder)
    _check_saved(scorer, folder)
    size = (folder / "scorer.safetensors").stat().st_size
    if size >= MOST_BYTES:
        raise ConfigError(f"{folder / 'scorer.safetensors'} has {size:,} bytes; less than {MOST_BYTES:,} are allowed.")
    trained = TrainedScorer(folder, ratings, chosen, tuple(grid), rated, told, len(scorer.items), size)
    _write(folder / "tuning.json", json.dumps(_tuning(trained), indent=1) + "\n")
    _write(folder / "CARD.md", _card(trained, date or dt.datetime.now(tz=dt.UTC).date()))
    return trained


def _check_saved(scorer: Ease, folder: Path) -> None:
    """Compare scores before and after the file, within the rounding of float16."""
    history = dict.fromkeys(scorer.items[:20], 1.0)
    fitted, loaded = scorer.score(history), Ease.load(folder).score(history)
    if not np.allclose(fitted, loaded, rtol=1e-2, atol=1e-3):
        worst = float(np.abs(fitted - loaded).max())
        raise ModelError(f"The scorer in {folder} does not read back as it was fitted: a score is off by {worst:.3f}.")


def grid_table(grid: Sequence[Choice]) -> str:
    """Return a Markdown table of NDCG (people, dialogues) by l2 (rows) and dialogue weight (columns)."""
    weights = sorted({choice.told_weight for choice in grid})
    cells = {(c.l2, c.told_weight): f"{c.rated:.4f}, {c.told:.4f}" for c in grid}
    lines = [f"| l2 | {' | '.join(f'{weight:g}' for weight in weights)} |", f"|---:|{'---:|' * len(weights)}"]
    strengths = sorted({choice.l2 for choice in grid})
    lines += [f"| {s:g} | {' | '.join(cells[s, weight] for weight in weights)} |" for s in strengths]
    return "\n".join(lines)


def _tuning(trained: TrainedScorer) -> dict[str, object]:
    return {
        "l2": trained.chosen.l2,
        "told_weight": trained.chosen.told_weight,
        "order": {"l2": ORDER_L2, "weight": ORDER_WEIGHT, "older": trained.rated.rule.fold_in},
        "grid": [asdict(choice) for choice in trained.grid],
        "splits": {
            name: {"rule": asdict(split.rule), "digest": split.digest()}
            for name, split in (("rated", trained.rated), ("told", trained.told))
        },
    }


def _card(trained: TrainedScorer, date: dt.date) -> str:
    ratings, rated, told = trained.ratings, trained.rated, trained.told
    return _CARD.format(
        date=date.isoformat(),
        columns=trained.columns,
        catalogue=ratings.catalogue,
        covered=ratings.covered,
        size=trained.size,
        chosen=trained.chosen,
        order_l2=ORDER_L2,
        order_weight=ORDER_WEIGHT,
        coverage=ratings.coverage_table(),
        rule=rated.rule,
        told_least=told.rule.least,
        people=f"{len(rated.validation)} and {len(rated.test)}",
        dialogues=f"{len(told.validation)} and {len(told.test)}",
        digests=f"{rated.digest()} and {told.digest()}",
        grid=grid_table(trained.grid),
    )


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


_CARD = """# Built-in collaborative scorer

EASE (Steck, WWW 2019) over the built-in film catalogue, plus a ridge regression from the older to the newer likes of each
history. Both are matrices from film to film and the file holds their sum, so every score is an exact sum of the parts that
the liked films bring.

- Written: {date}, by `python -m vouchrec.finetune.scorer --data DATA`
- Columns: {columns} films that at least one person liked, of {catalogue}; the others score 0 here
- File: `scorer.safetensors`, {size:,} bytes, float16
- Settings: l2 = {chosen.l2:g}; weight of a dialogue = {chosen.told_weight:g}, against 1 for a person of MovieTweetings;
  regression l2 = {order_l2:g}, weight {order_weight:g}, cut at {rule.fold_in:.0%} of each history of MovieTweetings

## Data

{coverage}

- MovieTweetings, MIT, copyright (c) 2013 Simon Dooms. Dooms, De Pessemier, Martens, "MovieTweetings: a Movie Rating
  Dataset Collected From Twitter", CrowdRec 2013. The 100K snapshot. A rating of 7 or more of 10 is a like.
- ReDial, CC BY 4.0. Li, Kahou, Schulz, Michalski, Charlin, Pal, "Towards Deep Conversational Recommendations", NeurIPS
  2018; https://redialdata.github.io/website. Changes: only the seeker's likes were used, of train-side dialogues; each
  dialogue counts as one person. Test dialogues were left out by id, by text and by shared messages.
- MovieLens was not used: its terms do not allow it in shipped weights.

Titles were matched to the catalogue by folded title or alias and year, with the help of IMDb ids where both sets have
them. {covered} of {catalogue} films have at least one like.

## How the settings were chosen

People of MovieTweetings with at least {rule.least} mapped likes, and dialogues of ReDial with at least {told_least},
were split by seed {rule.seed} into validation and a set-aside part ({people} people, {dialogues} dialogues) and train;
the others always train. Of a held-out history the oldest {rule.fold_in:.0%} of likes (in a dialogue, the first mentioned) are
folded in and the rest are to be found in a full ranking of the catalogue. The settings with the largest mean of the two
validation NDCG@{rule.k} were taken: people {chosen.rated:.4f}, dialogues {chosen.told:.4f}. All that was tried, as
people, dialogues by l2 (rows) and weight of a dialogue (columns); splits {digests}:

{grid}

These figures are EASE's alone. The regression's strength and weight were chosen on the same validation histories, in the
blend that the product ranks by; the experiments are in `docs/log.md`. It is learnt from MovieTweetings only, as dialogues
have no times: people gain by it and dialogues lose (0.21 to 0.19 on validation). The shipped weights were then fitted with
these settings on everyone.

## Test figures

<!-- test figures: begin -->
Not measured for these weights yet: run `python -m vouchrec.evals.histories --data DATA`.
<!-- test figures: end -->

## Limits

- The ratings were posted on Twitter between February and September 2013: films of those months are over-represented,
  films after 2013 are known only through ReDial (2017-2018), and films after 2018 not at all. Those are recommended by
  content.
- The order that was learnt is that of 2013: films that were new then are favoured as what comes next.
- A person's few, positive, public ratings are not a sample of what people watch. No dislikes were used.
- People are split, not time: a held-out person's targets may be older than what others taught the scorer.
- English-language and American films dominate both sources.
"""


def main() -> None:
    """Train the scorer from the command line."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.finetune.scorer", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with movietweetings/ and redial/")
    parser.add_argument("--out", type=Path, default=BUILTIN_DATA / "collaborative", help="folder to write into")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    trained = train_scorer(arguments.data, folder=arguments.out, progress=True)
    _log.info("%s\n\n%s", trained.ratings.coverage_table(), grid_table(trained.grid))
    _log.info("\nl2 %g, dialogue weight %g: wrote %s", trained.chosen.l2, trained.chosen.told_weight, trained.folder)


if __name__ == "__main__":
    main()
