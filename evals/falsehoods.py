"""Planted falsehoods: what share of false reasons does the verifier refuse, and what share of true ones does it let pass?

`python -m vouchrec.evals.falsehoods` reads `cases/falsehoods.jsonl`. Each case is a recommendation of the built-in catalogue (liked
items, a wish), with a true and a false reason for it that people wrote from its plan and record; `what` names the false words.
The verifier was written with the first hand's cases in view; the second hand's showed that forbidden words are not enough, and the
third hand's were written when it was finished. Intervals are Wilson's 95%.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vouchrec.agent.link import Linker
from vouchrec.agent.plan import plan_reason
from vouchrec.agent.verify import Verifier
from vouchrec.evals.intervals import wilson
from vouchrec.retrieval.build import open_builtin
from vouchrec.retrieval.pipeline import assess, recommend
from vouchrec.retrieval.types import Constraint, Profile, Query, Recommendation
from vouchrec.retrieval.workspace import Workspace

CASES = Path(__file__).parent / "cases" / "falsehoods.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the verifier says of one case.

    Attributes:
        group: Who wrote the case.
        refused: The false reason is refused.
        passed: The true reason passes.
    """

    group: str
    refused: bool
    passed: bool
    case: Mapping[str, Any]


def judge(workspace: Workspace, cases: Sequence[Mapping[str, Any]]) -> Iterator[Outcome]:
    """Yield the verdicts on every case."""
    linker = Linker(workspace.catalogue, workspace.standing)
    verifier = Verifier(workspace.catalogue, linker.gazetteer)
    for case in cases:
        recommendation, query = _recommendation(workspace, case)
        plan = plan_reason(recommendation, query, workspace.domain)
        yield Outcome(
            str(case["set"]),
            refused=not verifier.verify(str(case["false"]), plan, recommendation).verified,
            passed=verifier.verify(str(case["true"]), plan, recommendation).verified,
            case=case,
        )


def _recommendation(workspace: Workspace, case: Mapping[str, Any]) -> tuple[Recommendation, Query]:
    """Return the recommendation that a case is about, with the query that led to it."""
    wish = case["wish"]
    constraints = (Constraint(wish[0], "is", wish[1], "soft"),) if wish else ()
    query = Query("", constraints, similar_to=tuple(case["similar_to"]), n=5)
    profile = Profile(history=dict.fromkeys(case["likes"], 1.0))
    listed = recommend(workspace, query, profile) if case["likes"] and not wish else []
    found = next((r for r in listed if r.item.id == case["id"]), None)
    return found or assess(workspace, query, profile, [case["id"]])[0], query


def summary(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return the shares by set, with intervals."""
    figures: dict[str, object] = {}
    for group in sorted({o.group for o in outcomes}):
        own = [o for o in outcomes if o.group == group]
        for name, hits in (
            ("false refused", sum(o.refused for o in own)),
            ("true passed", sum(o.passed for o in own)),
        ):
            low, high = wilson(hits, len(own))
            figures[f"{group}: {name}"] = [hits, len(own), round(low, 3), round(high, 3)]
    return figures


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--demo", type=Path, help="folder of the demo workspace (default: a temporary one)")
    parser.add_argument("--show", action="store_true", help="also print the false reasons that passed")
    options = parser.parse_args()
    cases = [json.loads(line) for line in options.cases.read_text(encoding="utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_builtin(options.demo or Path(folder) / "demo")
        outcomes = list(judge(workspace, cases))
        workspace.close()
    print(json.dumps(summary(outcomes), indent=1))  # noqa: T201
    for outcome in outcomes if options.show else ():
        if not outcome.refused:
            print(f"passed: {outcome.case['false']} [{outcome.case['what']}]")  # noqa: T201


if __name__ == "__main__":
    main()
