"""Run the conversational benchmark: by default validation; ``--test`` opens the official test."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from vouchrec.evals.redial.report import markdown, read_blends, summary, write_outcome
from vouchrec.evals.redial.run import Settings, open_benchmark, run, run_test
from vouchrec.retrieval.embed import SentenceEmbedder
from vouchrec.retrieval.errors import InputError

_log = logging.getLogger(__name__)


def main() -> None:
    """Rank what a recommender names next in ReDial, and write ranks, figures and a page."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.evals.redial", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with redial/")
    parser.add_argument("--out", type=Path, required=True, help="folder for results and sentence vectors")
    parser.add_argument("--test", action="store_true", help="measure on the official test too")
    parser.add_argument(
        "--weights", type=Path, help="validation.json of an earlier run: measure on the test with its weights"
    )
    parser.add_argument("--no-recovered", action="store_true", help="learn from the labelled dialogues only")
    parser.add_argument("--no-meaning", action="store_true", help="leave out the signals of the sentence embedder")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings(use_recovered=not arguments.no_recovered)
    embedder = None if arguments.no_meaning else SentenceEmbedder()
    name = "none" if embedder is None else embedder.name
    try:
        blends = None if arguments.weights is None else read_blends(arguments.weights, settings, name)
        bench = open_benchmark(arguments.data, settings)
    except InputError as error:
        _log.error("%s", error)
        sys.exit(2)
    if blends is None:
        outcomes = run(bench, settings, embedder, arguments.out, test=arguments.test, progress=True)
    else:
        outcomes = iter([("test", run_test(bench, blends, embedder, arguments.out, progress=True))])
    for what, outcome in outcomes:
        record = summary(bench, settings, outcome, test=what == "test", signals=name)
        write_outcome(record, outcome.rows, arguments.out, what)
        _log.info("%s", markdown(record))


if __name__ == "__main__":
    main()
