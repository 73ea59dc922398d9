"""Which words may stand beside a reference: those that people put there in the authored reasons.

The small model sometimes joins halves of two sentences ("came out in [[rec1.directors]] as director"). Such a join shows at the
reference, where a word stands that nobody wrote there. Counted over all authored reasons by `finetune.contexts`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

Context: TypeAlias = tuple[str, str, str]
"""The word before a reference, what the reference names ("rec", "liked", or an attribute), the word after it."""
START, END = "^", "$"
USUAL = 4
"""Times that a word was written on one side of a kind of reference from which it is usual there, whatever is on the other."""
DATA = Path(__file__).parent / "data" / "contexts.tsv"
_TOKEN = re.compile(r"\[\[[^\[\]]*\]\]|[\w'’-]+|[^\w\s]")


def contexts(text: str) -> Iterator[Context]:
    """Yield the context of every reference of a text in reference form."""
    tokens = _TOKEN.findall(text)
    kinds = [_kind(token) for token in tokens]
    for i, kind in enumerate(kinds):
        if kind:
            before = (kinds[i - 1] or tokens[i - 1].lower()) if i else START
            after = (kinds[i + 1] or tokens[i + 1].lower()) if i + 1 < len(tokens) else END
            yield before, kind, after


def _kind(token: str) -> str:
    if not token.startswith("[["):
        return ""
    subject, _, attribute = token.strip("[]").partition(".")
    return f"[{attribute or subject.rstrip('0123456789')}]"


def is_usual(text: str) -> bool:
    """Return whether every reference of a wording stands between words that people have put around one."""
    known = _known()
    return all(
        (before, kind, after) in known
        or (known[before, kind, ""] >= USUAL and known["", kind, after] >= USUAL)
        or (kind.strip("[]") not in ("rec", "liked") and known["", kind, ""] == 0)
        for before, kind, after in contexts(text)
    )


@lru_cache(maxsize=1)
def _known() -> Counter[Context]:
    """Return how often each context was written, and each side of it (the other side empty)."""
    found: Counter[Context] = Counter()
    for line in DATA.read_text(encoding="utf-8").splitlines():
        before, kind, after, count = line.split("\t")
        for key in {(before, kind, after), (before, kind, ""), ("", kind, after), ("", kind, "")}:
            found[key] += int(count)
    return found


def table(texts: Iterable[str]) -> str:
    """Return the contexts of authored reasons as the file that `is_usual` reads."""
    counts = Counter(context for text in texts for context in contexts(text))
    return "".join(f"{b}\t{k}\t{a}\t{n}\n" for (b, k, a), n in sorted(counts.items()))
