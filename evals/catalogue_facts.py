"""Check the facts of a film catalogue against public film data, and its texts against the same data.

    python -m vouchrec.evals.catalogue_facts --data DATA [--items FILE] [--exceptions FILE] [--disagreements FILE]

Every record is looked up by title or alias in each source found under DATA; year, genres, directors, cast, running
time, countries and languages are compared wherever the source has them. Beside that the catalogue itself is checked:
ids, records of the same film, names spelt in two ways, and descriptions that share eight words in a row with a text of
DATA, that name a person, or that praise. A disagreement in which the catalogue is right stands with its reason in the
exceptions file. The parts are in `evals/facts`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vouchrec.evals.facts.names import same_person, title_key, words
from vouchrec.evals.facts.own import check_catalogue
from vouchrec.evals.facts.report import ATTRIBUTES, Report, check_facts, markdown, read_exceptions, write_disagreements
from vouchrec.evals.facts.vocabulary import GENRES, MOODS
from vouchrec.retrieval.build import BUILTIN_DATA
from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.errors import VouchError

__all__ = [
    "ATTRIBUTES",
    "BUILTIN_ITEMS",
    "EXCEPTIONS",
    "GENRES",
    "MOODS",
    "Report",
    "check_catalogue",
    "check_facts",
    "main",
    "markdown",
    "read_exceptions",
    "same_person",
    "title_key",
    "words",
]

BUILTIN_ITEMS = BUILTIN_DATA / "films.jsonl"
EXCEPTIONS = Path(__file__).parent / "cases" / "catalogue_exceptions.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 when no disagreement is left open, 1 when one is, 2 when the input can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m vouchrec.evals.catalogue_facts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument(
        "--items", type=Path, default=BUILTIN_ITEMS, help="catalogue to check (default: the built-in one)"
    )
    parser.add_argument("--exceptions", type=Path, default=EXCEPTIONS, help="adjudicated disagreements (JSONL)")
    parser.add_argument("--disagreements", type=Path, help="write the list of disagreements here (JSONL)")
    options = parser.parse_args(arguments)
    try:
        report = check_facts(list(read_items(options.items)), options.data, read_exceptions(options.exceptions))
    except VouchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.disagreements:
        write_disagreements(report, options.disagreements)
    sys.stdout.write(markdown(report))
    for check in report.open:
        sys.stdout.write(
            f"- {check.item}: {check.attribute} {check.ours!r}, {check.source} has {check.theirs!r:.160}\n"
        )
    return 1 if report.open else 0


if __name__ == "__main__":
    raise SystemExit(main())
