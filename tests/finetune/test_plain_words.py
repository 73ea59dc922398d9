"""The list of plain words is the one that the authored reasons give."""

from __future__ import annotations

from vouchrec.finetune.examples import AUTHORED, read_reasons
from vouchrec.finetune.plain_words import LEFT_OUT, OUT, plain_words


def test_words_outside_references_and_words_of_grammar() -> None:
    found = plain_words(["You’ll see [[rec1]], a [[rec1.genres]] film."])
    assert {"you'll", "see", "film", "his"} <= set(found)
    assert "genres" not in found
    assert found == sorted(set(found))


def test_the_packaged_list_is_current() -> None:
    paths = [p for p in sorted(AUTHORED.glob("reasons_*.jsonl")) if p.stem not in LEFT_OUT]
    assert OUT.read_text(encoding="utf-8").split() == plain_words(r.text for r in read_reasons(paths))
