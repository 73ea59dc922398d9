"""Latency of a turn, stage by stage, from receipt of the message: `python bench/turn.py [--n 60] [--out bench/results.md]`.

Measured on the built-in workspace and model with messages of evals/cases; the first ten turns warm up and do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from vouchrec.agent.assemble import open_agent
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Done
from vouchrec.evals.messages import CASES, read_cases
from vouchrec.retrieval.build import open_builtin

WARM_UP = 10
STAGES = {
    "understood": "message understood",
    "recommended": "cards (list known)",
    "first_sentence": "first sentence",
    "first_reason": "first verified reason",
    "done": "whole turn",
}
GOALS = {"recommended": 300, "first_reason": 800, "done": 2000}


def measure(n: int, folder: Path) -> tuple[dict[str, list[float]], float]:
    """Return milliseconds by stage over n turns that show a list, and the seconds to open the agent."""
    started = time.perf_counter()
    agent = open_agent(open_builtin(folder))
    opened = time.perf_counter() - started
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    counted = -WARM_UP
    for case in read_cases(CASES):
        conversation = start(agent)
        for turn in case["turns"]:
            for event in reply(agent, conversation, turn["text"]):
                if isinstance(event, Done) and event.reply.explained:
                    counted += 1
                    if counted > 0:
                        for stage, values in times.items():
                            values.append(event.reply.timings_ms[stage])
        if counted >= n:
            break
    return times, opened


def table(times: dict[str, list[float]], opened: float) -> str:
    """Return the figures as Markdown."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        "# Latency of a turn",
        "",
        f"Written by `make bench`: {len(times['done'])} turns with a list of five on {cores} cores "
        f"({platform.machine()}, Python {platform.python_version()}); opening workspace and model took {opened:.1f} s; "
        f"peak memory {peak:.0f} MB. Milliseconds from receipt of the message to the end of the stage.",
        "",
        "| stage | p50 | p95 | goal (p50) |",
        "|---|---|---|---|",
    ]
    for stage, values in times.items():
        p50, p95 = np.percentile(values, [50, 95])
        lines.append(f"| {STAGES[stage]} | {p50:.0f} | {p95:.0f} | {GOALS.get(stage, '')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=60, help="turns that count")
    parser.add_argument("--out", type=Path, default=None, help="also write the table here, and the raw times beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times, opened = measure(options.n, Path(folder) / "demo")
    text = table(times, opened)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
        options.out.with_suffix(".json").write_text(json.dumps(times) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
