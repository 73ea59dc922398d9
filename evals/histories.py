"""Recommendations and collaborative scorers on held-out histories, with full ranking, intervals and a fair baseline.

``python -m vouchrec.evals.histories --data DATA`` measures `recommend` for histories without a wish, prints a table, writes
``docs/results-histories.json`` and ``docs/results-histories.md``, and puts the table into the scorer's card.

Protocol 2: everyone with enough likes is in one of five folds, except the people and dialogues on whom settings were
chosen; everything is fitted on all who are not in a fold. The oldest part of a history is folded in and the rest is to be
found among all items of the catalogue that are not folded in. The baseline is the form of popularity that does best on the
tuning histories. The parts are in `evals/heldout`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from vouchrec.evals.baselines import ItemKnn, Popularity
from vouchrec.evals.heldout.figures import Figures, Method, evaluate_histories, evaluate_lists, product_lists
from vouchrec.evals.heldout.measure import measure
from vouchrec.evals.heldout.report import HistoriesReport, body, write_report
from vouchrec.retrieval.build import BUILTIN_DATA, open_builtin

__all__ = [
    "Figures",
    "HistoriesReport",
    "ItemKnn",
    "Method",
    "Popularity",
    "evaluate_histories",
    "evaluate_lists",
    "measure",
    "product_lists",
    "write_report",
]

_log = logging.getLogger(__name__)


def main() -> None:
    """Measure the product and the built-in scorer's settings on held-out histories."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.evals.histories", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with movietweetings/ and redial/")
    parser.add_argument("--scorer", type=Path, default=BUILTIN_DATA / "collaborative", help="folder with tuning.json")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for the results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_builtin(Path(folder))
        report = measure(arguments.data, scorer=arguments.scorer, workspace=workspace, progress=True)
        workspace.close()
    write_report(report, arguments.out, arguments.scorer / "CARD.md")
    _log.info("%s", body(report))


if __name__ == "__main__":
    main()
