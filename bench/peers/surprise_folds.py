"""Surprise's SVD on the folds of `evals/benchmarks/explicit.py`: `python bench/peers/surprise_folds.py FOLDER`.

FOLDER is what `python -m vouchrec.evals.benchmarks.explicit --export FOLDER` wrote. Needs an environment of its own:
`pip install -r bench/peers/requirements-surprise.txt`.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from pathlib import Path

import pandas
from surprise import SVD, Dataset, Reader


def read(path: Path) -> list[tuple[str, str, float]]:
    """Return (user, item, rating) rows."""
    with path.open(encoding="utf-8") as file:
        return [(row["user"], row["item"], float(row["rating"])) for row in csv.DictReader(file)]


def main(folder: Path) -> None:
    """Print one line per setting: RMSE and MAE over all folds, seconds per fit."""
    for settings in ({}, {"n_factors": 20, "n_epochs": 30, "reg_all": 0.1}):
        squared, absolute, count, seconds = 0.0, 0.0, 0, 0.0
        paths = sorted(folder.glob("fold*_train.csv"))
        for path in paths:
            frame = pandas.DataFrame(read(path), columns=["user", "item", "rating"])
            train = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
            started = time.perf_counter()
            model = SVD(random_state=0, **settings).fit(train)
            seconds += time.perf_counter() - started
            for user, item, rating in read(path.with_name(path.name.replace("train", "test"))):
                error = model.predict(user, item).est - rating
                squared, absolute, count = squared + error * error, absolute + abs(error), count + 1
        name = f"Surprise SVD {settings or '(defaults)'}"
        rmse, mae = math.sqrt(squared / count), absolute / count
        print(f"{name}: RMSE {rmse:.4f}, MAE {mae:.4f}, fit {seconds / len(paths):.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
