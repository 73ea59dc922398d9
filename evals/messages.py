"""Messages with gold understanding: does the agent keep what people said? Violations are counted against the gold.

`python -m vouchrec.evals.messages --out DIR` runs every case of `cases/messages.jsonl` through the built-in agent, one anonymous
conversation per case, and writes `report.json`, `report.md` and `turns.jsonl` (one line per turn, for a second reader).

Protocol: a gold hard constraint is *broken* when a recommended item does not satisfy it; a missing value breaks a positive or
numeric one. Positive themes and moods are not counted, since their vocabulary is open; excluded ones are. Relative bounds
("<list") hold against the mean of the list on the screen, "<ref2" against that item. An item is *repeated* when it is one that the
gold says was liked, disliked or seen. Intervals are Wilson's 95% for proportions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tqdm import tqdm

from vouchrec.agent.assemble import Agent, open_agent
from vouchrec.agent.turn import reply, resolve, start
from vouchrec.agent.types import Conversation, Done, Reply, reply_record
from vouchrec.evals.intervals import wilson
from vouchrec.retrieval.build import open_builtin
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.types import Constraint, Item, ItemId, Op

log = logging.getLogger(__name__)
CASES = Path(__file__).parent / "cases" / "messages.jsonl"
OPEN_VOCABULARY = frozenset({"themes", "moods"})
_RELATIVE = re.compile(r"^([<>])(list|ref(\d))$")


@dataclass(slots=True)
class Tally:
    """Counts over all turns of a run."""

    turns: int = 0
    lists: int = 0
    items: int = 0
    empty: int = 0
    acts_right: int = 0
    broken: int = 0
    lists_broken: int = 0
    repeated: int = 0
    invalid: int = 0
    errors: int = 0
    by_attribute: Counter[str] = field(default_factory=Counter[str])
    sources: Counter[str] = field(default_factory=Counter[str])
    fallbacks: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    titles: Counter[str] = field(default_factory=Counter[str])


def evaluate_messages(agent: Agent, cases: Sequence[Mapping[str, object]]) -> tuple[Tally, list[dict[str, object]]]:
    """Run every case and return the tally and one row per turn."""
    tally = Tally()
    rows: list[dict[str, object]] = []
    for case in tqdm(cases, desc="messages", unit="case"):
        rows.extend(_case(agent, case, tally))
    return tally, rows


def evaluate_case(agent: Agent, case: Mapping[str, object]) -> tuple[Tally, list[dict[str, object]]]:
    """Run one case and return its own tally and one row per turn."""
    tally = Tally()
    return tally, list(_case(agent, case, tally))


def _case(agent: Agent, case: Mapping[str, object], tally: Tally) -> Iterator[dict[str, object]]:
    conversation = start(agent)
    marked: set[ItemId] = set()
    for number, turn in enumerate(cast("list[dict[str, object]]", case["turns"]), start=1):
        gold = cast("dict[str, object]", turn["gold"])
        text = str(turn["text"])
        screen = conversation.shown
        marked |= _gold_items(agent, gold, screen, ("liked", "disliked", "seen"))
        row: dict[str, object] = {"case": case["id"], "turn": number, "text": text, "gold": gold}
        tally.turns += 1
        try:
            answer = _answer(agent, conversation, text)
        except RequestError as error:
            tally.errors += 1
            yield row | {"error": str(error)}
            continue
        problems = _judge(agent, answer, gold, screen, marked, tally)
        yield row | {"problems": problems, "reply": reply_record(answer)}


def _answer(agent: Agent, conversation: Conversation, text: str) -> Reply:
    for event in reply(agent, conversation, text):
        if isinstance(event, Done):
            return event.reply
    raise AssertionError("a turn ends with Done")


def _judge(
    agent: Agent,
    answer: Reply,
    gold: Mapping[str, object],
    screen: Sequence[ItemId],
    marked: set[ItemId],
    tally: Tally,
) -> list[str]:
    tally.sources[answer.understanding.source] += 1
    tally.fallbacks.update(answer.fallbacks)
    acts = gold["act"] if isinstance(gold["act"], list) else [gold["act"]]
    tally.acts_right += answer.understanding.request.act in acts
    _titles(agent, answer, gold, screen, tally)
    items = [e.recommendation.item for e in answer.explained]
    problems: list[str] = []
    for explained in answer.explained:
        tally.reasons[f"{explained.reason.source}:{'verified' if explained.reason.verified else 'unverified'}"] += 1
    if not items:
        tally.empty += 1
        return problems
    tally.lists += 1
    tally.items += len(items)
    for raw in cast("list[dict[str, object]]", gold["constraints"]):
        for item in items:
            if _breaks(agent, raw, item, screen):
                problems.append(f"{item.title} breaks {raw['attribute']} {raw['op']} {raw['value']}")
                tally.by_attribute[str(raw["attribute"])] += 1
    tally.broken += len(problems)
    again = [item for item in items if item.id in marked]
    tally.repeated += len(again)
    problems += [f"{item.title} was already liked, disliked or seen" for item in again]
    invalid = [item for item in items if item.id not in agent.workspace.catalogue]
    tally.invalid += len(invalid)
    tally.lists_broken += bool(problems)
    return problems


def _breaks(agent: Agent, raw: Mapping[str, object], item: Item, screen: Sequence[ItemId]) -> bool:
    attribute, op = str(raw["attribute"]), cast("Op", raw["op"])
    negative = op in ("is_not", "none_of")
    if raw.get("strength") != "hard" or (attribute in OPEN_VOCABULARY and not negative):
        return False
    value = raw["value"]
    relative = _RELATIVE.match(value) if isinstance(value, str) else None
    if relative:
        bound = _relative_bound(agent, relative, attribute, screen)
        number = item.number(attribute)
        if bound is None or number is None:
            return False
        return number >= bound if relative[1] == "<" else number <= bound
    wanted = tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else value
    constraint = Constraint(attribute, op, cast("str | float | tuple[str, ...]", wanted))
    return not agent.workspace.catalogue.satisfied(constraint, agent.workspace.catalogue.row(item.id))


def _relative_bound(agent: Agent, match: re.Match[str], attribute: str, screen: Sequence[ItemId]) -> float | None:
    chosen = screen if match[2] == "list" else screen[int(match[3]) - 1 : int(match[3])]
    items = [agent.workspace.catalogue.get(i) for i in chosen]
    values = [v for item in items if item is not None and (v := item.number(attribute)) is not None]
    return sum(values) / len(values) if values else None


def _gold_items(
    agent: Agent, gold: Mapping[str, object], screen: Sequence[ItemId], fields: Sequence[str]
) -> set[ItemId]:
    found: set[ItemId] = set()
    for name in fields:
        for title in cast("list[str]", gold.get(name) or []):
            if title.startswith("#"):
                index = int(title[1:]) - 1
                found.update(screen[index : index + 1])
                continue
            item = _by_exact_title(agent, title)
            if item is not None:
                found.add(item)
    return found


def _by_exact_title(agent: Agent, title: str) -> ItemId | None:
    """Return the catalogue's item for "Title (year)", or None when it has no such film of that year (within one)."""
    match = re.match(r"^(.*?)\s*\((\d{4})\)$", title)
    try:
        item_id, _ = resolve(agent, title)
    except RequestError:
        return None
    item = agent.workspace.catalogue.get(item_id)
    year = item.number("year") if item else None
    return item_id if match is None or (year is not None and abs(year - int(match[2])) <= 1) else None


def _titles(agent: Agent, answer: Reply, gold: Mapping[str, object], screen: Sequence[ItemId], tally: Tally) -> None:
    """Count right, wrong and missed item roles of this turn (only items that the catalogue has)."""
    request = answer.understanding.request
    said = {name: set(getattr(request, name)) & set(_linked(answer)) for name in ("liked", "disliked", "seen")}
    for name, ours in said.items():
        theirs = _gold_items(agent, gold, screen, (name,))
        tally.titles["right"] += len(ours & theirs)
        tally.titles["wrong"] += len(ours - theirs)
        tally.titles["missed"] += len(theirs - ours)


def _linked(answer: Reply) -> list[ItemId]:
    return [i for span in answer.understanding.spans for i in span.items]


# ---- report -----------------------------------------------------------------------------------------------------


def protocol_hash(cases: Path) -> str:
    """Return a hash of the cases and of this module: figures with the same hash can be compared."""
    return hashlib.sha256(cases.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]


def summary(tally: Tally) -> dict[str, object]:
    """Return the figures of a run as JSON."""

    def share(hits: int, total: int) -> dict[str, object]:
        low, high = wilson(hits, total)
        return {
            "value": round(hits / total, 4) if total else None,
            "n": total,
            "interval": [round(low, 4), round(high, 4)],
        }

    reasons = sum(tally.reasons.values())
    by_model = tally.reasons["model:verified"] + tally.reasons["model:unverified"]
    composed = tally.reasons["composed:verified"] + tally.reasons["composed:unverified"]
    right, wrong, missed = (tally.titles[k] for k in ("right", "wrong", "missed"))
    return {
        "turns": tally.turns,
        "lists": tally.lists,
        "items": tally.items,
        "errors": tally.errors,
        "hard_constraints_broken": tally.broken,
        "broken_by_attribute": dict(tally.by_attribute),
        "items_repeated": tally.repeated,
        "items_invalid": tally.invalid,
        "lists_with_a_problem": share(tally.lists_broken, tally.lists),
        "act_accuracy": share(tally.acts_right, tally.turns),
        "item_role_precision": share(right, right + wrong),
        "item_role_recall": share(right, right + missed),
        "understanding_by_model": share(tally.sources["model"], tally.turns),
        "reasons_by_model": share(by_model, reasons),
        "verified_of_model": share(tally.reasons["model:verified"], by_model),
        "verified_of_composed": share(tally.reasons["composed:verified"], composed),
        "fallbacks": dict(tally.fallbacks),
    }


def markdown(figures: Mapping[str, object], model: str, protocol: str) -> str:
    """Return the figures as a table."""
    lines = [
        f"Model `{model}`, protocol `{protocol}`.",
        "",
        "| figure | value | 95% interval | n |",
        "|---|---|---|---|",
    ]
    for name, value in figures.items():
        label = name.replace("_", " ")
        if isinstance(value, dict) and "interval" in value:
            share = cast("dict[str, object]", value)
            low, high = cast("list[float]", share["interval"])
            lines.append(f"| {label} | {share['value']} | {low:.3f}-{high:.3f} | {share['n']} |")
        else:
            lines.append(f"| {label} | {json.dumps(value)} | | |")
    return "\n".join(lines) + "\n"


def read_cases(path: Path) -> list[dict[str, object]]:
    """Read the cases."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--demo", type=Path, default=None, help="folder of the demo workspace (default: inside --out)")
    parser.add_argument("--adapter", type=Path, default=None, help="another adapter for the built-in base")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    workspace = open_builtin(options.demo or options.out / "demo", progress=True)
    agent = open_agent(workspace, adapter=options.adapter)
    tally, rows = evaluate_messages(agent, read_cases(options.cases))
    figures = summary(tally)
    table = markdown(figures, agent.model.name, protocol_hash(options.cases))
    (options.out / "report.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (options.out / "report.md").write_text(table, encoding="utf-8")
    with (options.out / "turns.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(table)  # noqa: T201


if __name__ == "__main__":
    main()
