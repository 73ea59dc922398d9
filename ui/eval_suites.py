"""The suites of `vouch eval`, opened with what the flags say, run, and summed up in lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from vouchrec.evals.protocols import PROTOCOLS, SplitSettings
from vouchrec.evals.rankers import METHODS
from vouchrec.evals.runs.engine import Suite, evaluate
from vouchrec.evals.runs.figures import figures
from vouchrec.evals.runs.records import RunFolder
from vouchrec.evals.runs.tables import Cell, Table, details, duration, summary, verdicts
from vouchrec.ui import loader
from vouchrec.ui.evaluate import EvalOptions

__all__ = ["run"]


def run(options: EvalOptions) -> Iterator[str]:
    """Run a suite and yield the lines to print.

    Raises:
        VouchError: It can't be run.
    """
    with _OPENERS[options.suite](options) as suite:
        done = evaluate(suite, options.out, seed=options.seed, restart=options.restart, progress=True)
    yield from _lines(done)


def _lines(done: RunFolder) -> Iterator[str]:
    manifest = done.manifest
    found = figures(manifest, list(done.rows.values()))
    yield f"{manifest.title}: protocol {manifest.hash}, seed {manifest.seed}, {duration(manifest.seconds)}."
    for group in dict.fromkeys(f.group for f in found):
        own = [f for f in found if f.group == group]
        yield ""
        if group:
            yield f"{group} ({max(f.cases for f in own)} cases)"
        many = len(manifest.methods) > 1
        yield from _aligned(summary(manifest, own) if many else details(manifest, own))
        yield from (f"  {line}" for line in verdicts(manifest, own) if many)
    yield ""
    yield f"Report: {done.folder / 'report.html'}"


def _aligned(table: Table) -> Iterator[str]:
    rows = [[table.corner, *table.columns], *([name, *map(_text, cells)] for name, cells in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(
            text.ljust(w) if n == 0 else text.rjust(w) for n, (text, w) in enumerate(zip(row, widths, strict=True))
        )


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    arrow = "+" if "up" in cell.mark else "-" if "down" in cell.mark else ""
    return f"{cell.value} {cell.interval}{arrow}"


@contextmanager
def _ranking(options: EvalOptions) -> Iterator[Suite]:
    from vouchrec.evals.suites.ranking import RankingSettings, RankingSuite

    workspace = loader.open_workspace(options.settings)
    try:
        split = SplitSettings(seed=options.seed, least=options.least, most=options.cases or 1_000)
        settings = RankingSettings(
            protocols=options.protocols or tuple(PROTOCOLS),
            methods=options.methods or tuple(METHODS),
            part="validation" if options.validation else "test",
            k=options.k,
            split=split,
        )
        yield RankingSuite(workspace, settings, chosen=bool(options.protocols))
    finally:
        workspace.close()


_OPENERS: Mapping[str, Callable[[EvalOptions], AbstractContextManager[Suite]]] = {"ranking": _ranking}
