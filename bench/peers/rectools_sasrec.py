"""RecTools' SASRec on the split of `evals/benchmarks/sequential.py`: `python bench/peers/rectools_sasrec.py FOLDER`.

FOLDER is what `python -m vouchrec.evals.benchmarks.sequential --export FOLDER` wrote. Prints NDCG@10 and Recall@10 with a
bootstrap interval over people, all items but the history ranked. Needs an environment of its own:
`pip install -r bench/peers/requirements-rectools.txt`.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

K = 10


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args()
    pl.seed_everything(0)
    train = pd.read_csv(options.folder / "train.csv", dtype={"user": str, "item": str})
    test = pd.read_csv(options.folder / "test.csv", dtype={"user": str, "item": str}).set_index("user")["item"]
    events = pd.DataFrame(
        {
            Columns.User: train["user"],
            Columns.Item: train["item"],
            Columns.Weight: 1.0,
            # Only the order counts: a place in the history becomes a day.
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(train["place"], unit="D"),
        }
    )
    started = time.perf_counter()
    model = SASRecModel(
        n_blocks=options.blocks,
        n_heads=options.heads,
        n_factors=options.factors,
        dropout_rate=options.dropout,
        session_max_len=100,
        lr=options.lr,
        batch_size=options.batch,
        epochs=options.epochs,
        deterministic=True,
        recommend_torch_device="cpu",
    )
    dataset = Dataset.construct(events)
    model.fit(dataset)
    fitted = time.perf_counter()
    found = model.recommend(users=test.index.to_numpy(), dataset=dataset, k=K, filter_viewed=True)
    done = time.perf_counter()
    hits = found[found[Columns.Item] == found[Columns.User].map(test)].set_index(Columns.User)[Columns.Rank]
    ranks = hits.reindex(test.index)
    gains = np.asarray([0.0 if math.isnan(rank) else 1 / math.log2(rank + 1) for rank in ranks])
    for name, values in (("NDCG@10", gains), ("Recall@10", (gains > 0).astype(float))):
        rng = np.random.default_rng(1)
        means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(10_000)]
        low, high = np.quantile(means, [0.025, 0.975])
        print(f"{name} {values.mean():.4f} [{low:.4f}, {high:.4f}]")
    print(f"fit {fitted - started:.1f} s, per person {(done - fitted) * 1e3 / len(test):.2f} ms, {len(test)} people")


if __name__ == "__main__":
    main()
