"""The words that a reason may use beyond its references: those of the authored reasons, which state nothing by themselves.

`python -m vouchrec.finetune.plain_words` writes `agent/data/plain_words.txt` from the authored reasons. The verifier refuses
other words: "a captain who steals back his ship" holds no name or number that could be checked, and so can't be let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from vouchrec.agent import words
from vouchrec.finetune.examples import AUTHORED, read_reasons

OUT = Path(words.__file__).parent / "data" / "plain_words.txt"
LEFT_OUT = ("reasons_1", "reasons_2")
"""Authored files that play with words: theirs are seldom plain."""
_GRAMMAR = """
a about above after again all also am an and another any anyone anything are as at back be because been before being
below beside besides between both but by can could did do does done down each either else enough ever every few first
for from get gets give given gives go goes going good got had has have having he hence her here hers him his how i if in
into is it its just keep kept kind last least less let like likes made make makes many may maybe me might mine more most
much my name named near nearly neither next no none nor not nothing of off often on once one ones only onto or other
others our ours out over own part perhaps piece quite rather really right same say see seem seems shall she should show
shows side since so some someone something still subject subjects such than that the their theirs them theme themes then
there these they thing things this those though through thus to together too topic topics toward towards two under until
up upon us very was way we well were what when which while who whom whose why will with within without would yes yet you
your yours
"""
"""Words of grammar, whether or not an author happened to use them."""
_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*")
_REFERENCE = re.compile(r"\[\[[^\]]*\]\]")


def plain_words(reasons: Iterable[str]) -> list[str]:
    """Return the words that reasons use outside their references, and those of grammar, sorted."""
    found = set(_GRAMMAR.split())
    for reason in reasons:
        found.update(_WORD.findall(_REFERENCE.sub(" ", reason).lower().replace("’", "'")))
    return sorted(found)


def main() -> None:
    """Write the list anew."""
    paths = [p for p in sorted(AUTHORED.glob("reasons_*.jsonl")) if p.stem not in LEFT_OUT]
    found = plain_words(reason.text for reason in read_reasons(paths))
    OUT.write_text("\n".join(found) + "\n", encoding="utf-8")
    print(f"{len(found)} words written to {OUT}")  # noqa: T201


if __name__ == "__main__":
    main()
