"""Does the language model order candidates better than they were proposed? NDCG@10 on each person's later choices.

`python -m vouchrec.evals.reranking --workspace DIR [--model M] [--adapter A] [--part test] [--out FILE]`

Protocol: interactions are cut along time (`vouchrec.retrieval.timeline`). The collaborative scorer is fitted on what comes before
the first cut and proposes 20 candidates for each later like of a person, from what that person had liked by then. The model reads
history and candidates in one prefill, and the log-probabilities of their letters give its order. A choice that is not among the
candidates counts 0 for both orders. Reported: NDCG@10 and first places of the candidate order, of the model, and of both joined
by reciprocal ranks (Cormack et al., SIGIR 2009, k = 60), with the paired difference to the candidate order and its 95% bootstrap
interval over people, seed 1. `vouch finetune` trains on the choices between the first and the second cut, stops by those up to
the third, and leaves the rest, the test, alone.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tqdm import tqdm

from vouchrec.agent.assemble import BUILTIN_MODEL, open_model
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.rerank import CANDIDATES, letter_scores, named
from vouchrec.evals.intervals import bootstrap, paired_bootstrap
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.ranking import ndcg
from vouchrec.retrieval.scorers.registry import default_l2
from vouchrec.retrieval.timeline import Choice, Proposer, split_timeline
from vouchrec.retrieval.types import ItemId
from vouchrec.retrieval.workspace import Workspace

Part: TypeAlias = Literal["validation", "test"]
K = 10
JOIN = 60
"""Constant of reciprocal rank fusion."""
ORDERS = ("candidates", "model", "joined")


@dataclass(frozen=True, slots=True)
class Asked:
    """One choice with the orders that were made for it."""

    choice: Choice
    orders: Mapping[str, tuple[ItemId, ...]]

    @property
    def reached(self) -> bool:
        """Whether the choice is among the candidates."""
        return self.choice.target in self.orders["candidates"]


def ask(
    model: LanguageModel, catalogue: Catalogue, proposer: Proposer, choices: Sequence[Choice], *, progress: bool = True
) -> list[Asked]:
    """Order the candidates of every choice. A choice without its target among them is not put to the model: both get 0."""
    found: list[Asked] = []
    for choice in tqdm(choices, desc="choices", disable=None if progress else True, leave=False):
        listed = tuple(proposer.propose(choice, CANDIDATES))
        model_order = listed
        if choice.target in listed:
            scores = letter_scores(model, named(choice.liked, catalogue), named(listed, catalogue))
            model_order = tuple(listed[i] for i in sorted(range(len(listed)), key=lambda i: -scores[i]))
        found.append(Asked(choice, dict(zip(ORDERS, (listed, model_order, joined(listed, model_order)), strict=True))))
    return found


def joined(first: Sequence[ItemId], second: Sequence[ItemId]) -> tuple[ItemId, ...]:
    """Return the items of two orders by the sum of 1 / (60 + rank); ties keep the first order."""
    place = {item: rank for rank, item in enumerate(second, start=1)}
    total = {item: 1 / (JOIN + rank) + 1 / (JOIN + place[item]) for rank, item in enumerate(first, start=1)}
    return tuple(sorted(first, key=lambda item: -total[item]))


def figures(asked: Sequence[Asked]) -> dict[str, object]:
    """Return the figures of every order as plain values; intervals are over people.

    Raises:
        ConfigError: Nothing was asked.
    """
    if not asked:
        raise ConfigError(
            "There is no choice to measure with.", hint="The workspace needs more, and later, interactions."
        )
    base = _by_person(asked, "candidates")
    found: dict[str, object] = {
        "people": len(base),
        "choices": len(asked),
        "share of choices among the candidates": round(sum(a.reached for a in asked) / len(asked), 4),
    }
    for name in ORDERS:
        own = _by_person(asked, name)
        mean = bootstrap(own, seed=1)
        first = sum(a.orders[name][:1] == (a.choice.target,) for a in asked) / len(asked)
        row: dict[str, object] = {
            f"NDCG@{K}": [round(v, 4) for v in (mean.value, mean.low, mean.high)],
            "first": round(first, 4),
        }
        if name != "candidates":
            gain = paired_bootstrap(own, base, seed=1)
            row["difference to the candidate order"] = [round(v, 4) for v in (gain.value, gain.low, gain.high)]
            row["wins"] = gain.low > 0
        found[name] = row
    return found


def _by_person(asked: Sequence[Asked], order: str) -> list[float]:
    """Return each person's mean NDCG@10, people in a fixed order."""
    own: defaultdict[str, list[float]] = defaultdict(list)
    for a in asked:
        own[a.choice.user].append(ndcg(a.orders[order], {a.choice.target}, K))
    return [math.fsum(values) / len(values) for _, values in sorted(own.items())]


def run(
    workspace: Workspace, model: LanguageModel, *, part: Part = "test", most: int = 0, progress: bool = True
) -> dict[str, object]:
    """Evaluate a model on a workspace.

    Args:
        part: `validation` for choosing settings, `test` for the figures.
        most: Choices at most; 0 for all.

    Raises:
        ConfigError: The workspace has no interactions, or none late enough.
    """
    interactions = workspace.store.interactions()
    if not interactions:
        hint = "Add them with `vouch init --interactions FILE`."
        raise ConfigError(f"{workspace.folder} has no interactions.", hint=hint)
    timeline = split_timeline(interactions, [item.id for item in workspace.catalogue.items])
    choices = timeline.test if part == "test" else timeline.validation
    if not choices or not timeline.fit:
        raise ConfigError(
            "There is no choice to measure with.", hint="The workspace needs more, and later, interactions."
        )
    proposer = Proposer(timeline.fit, l2=default_l2(len(timeline.fit), len({e.item for e in timeline.fit})))
    asked = ask(model, workspace.catalogue, proposer, choices[:most] if most else choices, progress=progress)
    protocol = {"part": part, "order": timeline.order, "candidates": CANDIDATES, "digest": timeline.digest()}
    return {"protocol": protocol, "model": model.name} | figures(asked)


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True, help="folder of a workspace with interactions")
    parser.add_argument("--model", default=BUILTIN_MODEL, help="builtin, a folder or a Hugging Face name")
    parser.add_argument("--adapter", type=Path, help="a LoRA adapter for it")
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--most", type=int, default=0, help="choices at most; 0 for all")
    parser.add_argument("--out", type=Path, help="also write the report there, as JSON")
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace)
    try:
        report = run(
            workspace, open_model(options.model, adapter=options.adapter), part=options.part, most=options.most
        )
    finally:
        workspace.close()
    text = json.dumps(report, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
