"""Metrics as pure functions: of one ranked list (`ranking`), of what lists are like (`lists`), of values (`ratings`).

Every list is ordered best first and holds distinct items; `relevant` is the set to be found. A metric that is undefined
for a case returns NaN, never a made-up 0: `mean` leaves such cases out. `k` below 1 is an error everywhere. Each function
names its source, its range and what nothing gives.
"""

from vouchrec.evals.metrics.lists import (
    calibration,
    coverage,
    distribution,
    gini,
    intra_list_diversity,
    novelty,
    popularity_lift,
    serendipity,
    user_coverage,
)
from vouchrec.evals.metrics.ranking import (
    auc,
    average_precision,
    f1,
    hit,
    mean,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    roc,
)
from vouchrec.evals.metrics.ratings import accuracy, mae, mse, rmse

__all__ = [
    "accuracy",
    "auc",
    "average_precision",
    "calibration",
    "coverage",
    "distribution",
    "f1",
    "gini",
    "hit",
    "intra_list_diversity",
    "mae",
    "mean",
    "mse",
    "ndcg",
    "novelty",
    "popularity_lift",
    "precision",
    "recall",
    "reciprocal_rank",
    "rmse",
    "roc",
    "serendipity",
    "user_coverage",
]
