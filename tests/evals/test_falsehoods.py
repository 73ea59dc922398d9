"""The verifier against planted falsehoods, over the built-in catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vouchrec.evals.falsehoods import CASES, judge
from vouchrec.retrieval.build import open_builtin
from vouchrec.retrieval.workspace import Workspace


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = open_builtin(tmp_path_factory.mktemp("films") / "workspace")
    yield workspace
    workspace.close()


def test_false_reasons_are_refused_and_true_ones_pass(films: Workspace) -> None:
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    outcomes = list(judge(films, cases))
    assert sum(o.refused for o in outcomes) >= 0.9 * len(cases), [o.case["false"] for o in outcomes if not o.refused]
    assert sum(o.passed for o in outcomes) >= 0.9 * len(cases), [o.case["true"] for o in outcomes if not o.passed]
