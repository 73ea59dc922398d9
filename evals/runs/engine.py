"""evaluate(): a suite -> a folder with rows, figures and reports; goes on where an earlier run was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from vouchrec.evals.runs.figures import Figure
from vouchrec.evals.runs.measures import Curve, Key, Measure, Row
from vouchrec.evals.runs.records import Manifest, RunFolder
from vouchrec.evals.runs.report import write_reports

__all__ = ["Done", "Plan", "Suite", "evaluate"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite will do; see `records.Manifest` for the fields."""

    suite: str
    title: str
    about: str
    protocol: Mapping[str, object]
    settings: Mapping[str, object]
    measures: tuple[Measure, ...]
    methods: tuple[str, ...]
    size: int
    """Number of rows of the whole run."""
    baseline: str = ""
    curves: tuple[Curve, ...] = field(default=())


class Suite(Protocol):
    """Cases and what is done with each."""

    @property
    def plan(self) -> Plan:
        """What will be measured."""
        ...

    @property
    def facts(self) -> Mapping[str, object]:
        """What came up so far (sizes, times of fits); `items` is the size of the catalogue, where lists are measured."""
        ...

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield the rows whose keys are not done yet, in an order that does not depend on what is done."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """A whole run.

    Attributes:
        rows: By group, method and case.
        figures: What the reports show.
    """

    folder: Path
    manifest: Manifest
    rows: Mapping[Key, Row]
    figures: Sequence[Figure]


def evaluate(suite: Suite, folder: Path, *, seed: int, restart: bool = False, progress: bool = False) -> Done:
    """Run what is left of a suite and write `run.json`, `cases.parquet`, `report.md` and `report.html`.

    Args:
        suite: What to run.
        folder: Where the run lives; one that was stopped there goes on.
        seed: Seed of the intervals; the suite has its own for splits, in its protocol.
        restart: Throw an earlier run away.
        progress: Show a bar.

    Raises:
        ConfigError: The folder holds another run.
        VouchError: The suite can't be run.
    """
    plan = suite.plan
    run = RunFolder(folder, _manifest(plan, seed), restart=restart)
    if run.manifest.finished is None:
        began = time.monotonic()
        try:
            with tqdm(
                total=plan.size, initial=len(run.rows), desc=plan.suite, unit="case", disable=not progress
            ) as bar:
                for row in suite.rows(run.done):
                    run.add(row)
                    bar.update()
        finally:
            run.pause(time.monotonic() - began, suite.facts)
        run.finish(time.time())
    shown = write_reports(folder, run.manifest, list(run.rows.values()))
    return Done(folder, run.manifest, run.rows, shown)


def _manifest(plan: Plan, seed: int) -> Manifest:
    return Manifest(
        suite=plan.suite,
        title=plan.title,
        about=plan.about,
        protocol=plan.protocol,
        settings=plan.settings,
        seed=seed,
        measures=plan.measures,
        curves=plan.curves,
        methods=plan.methods,
        baseline=plan.baseline,
        started=time.time(),
    )
