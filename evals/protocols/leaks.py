"""Leaks: ways in which a split lets a method know what it is asked for. Checked on every split before anything is fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vouchrec.evals.protocols.splits import Split
from vouchrec.retrieval.errors import LeakError
from vouchrec.retrieval.types import ItemId, UserId

__all__ = ["check_split", "leaks"]


def check_split(split: Split) -> Split:
    """Return the split if nothing leaks.

    Raises:
        LeakError: Something does; the message says how many and shows the first.
    """
    found = list(leaks(split))
    if found:
        problem = f"The split '{split.protocol}' leaks in {len(found)} places: {found[0]}"
        raise LeakError(problem, hint="Nothing was measured. Mend the split.")
    return split


def leaks(split: Split) -> Iterator[str]:
    """Yield every way in which what is to be found could be known, in words.

    Looked for: a target that is known of the person or learnt from; a stranger who is learnt from; for others, something
    known of them that is not learnt from (it came from elsewhere); a like that is newer than the moment up to which likes
    may be known; an item learnt from or folded in that nobody may know; one person asked twice; nothing to be found.
    """
    learnt: dict[UserId, set[ItemId]] = {}
    for event in split.train:
        learnt.setdefault(event.user, set()).add(event.item)
    for user, times in Counter(case.user for case in split.cases).items():
        if times > 1:
            yield f"{user} is asked {times} times."
    for case in split.cases:
        yield from _of_case(split, case.user, set(case.history), case.targets, learnt.get(case.user, set()))
    yield from _of_training(split)


def _of_case(
    split: Split, user: UserId, history: set[ItemId], targets: frozenset[ItemId], learnt: set[ItemId]
) -> Iterator[str]:
    if not targets or not history:
        yield f"{user} has nothing {'to be found' if not targets else 'that is known'}."
    for item in sorted(targets & history):
        yield f"{user} is asked for {item}, which is known of them."
    for item in sorted(targets & learnt):
        yield f"{user} is asked for {item}, which is learnt from."
    if split.strangers and learnt:
        yield f"{user} is a stranger, and {len(learnt)} likes of theirs are learnt from."
    if not split.strangers:
        for item in sorted(history - learnt):
            yield f"{item} is known of {user} but not learnt from: it is from after the cut."
    for item in sorted(history & split.unknown):
        yield f"{item} is known of {user}, and nobody may know it."


def _of_training(split: Split) -> Iterator[str]:
    for event in split.train:
        if event.item in split.unknown:
            yield f"{event.item} is learnt from, and nobody may know it."
        if split.moment is not None and (event.time is None or event.time >= split.moment):
            yield f"{event.user}'s like of {event.item} is learnt from, and it is from after the moment."
        until = split.until.get(event.user)
        if until is not None and event.time is not None and event.time > until:
            yield f"{event.user}'s like of {event.item} is learnt from, and it is newer than what is to be found."
