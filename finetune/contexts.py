"""Write `agent/data/contexts.tsv` anew from the authored reasons: `python -m vouchrec.finetune.contexts`."""

from __future__ import annotations

from vouchrec.agent.contexts import DATA, table
from vouchrec.finetune.examples import AUTHORED, read_reasons

LEFT_OUT = ("reasons_2",)
"""Authored files that the shipped model did not learn from."""


def contexts_file() -> str:
    """Return the file's content as the authored reasons stand now."""
    paths = [p for p in sorted(AUTHORED.glob("reasons_*.jsonl")) if p.stem not in LEFT_OUT]
    return table(reason.text for reason in read_reasons(paths))


if __name__ == "__main__":
    DATA.write_text(contexts_file(), encoding="utf-8")
