"""Validation by people: no worker of a validation dialogue may have written a dialogue that is learnt from.

ReDial's test workers wrote no training dialogue, and a worker's dialogues resemble each other, so that a random split flatters.
Workers are cut into blocks by their id, which follows time: most wrote with others of their block. The recovered dialogues name no
workers; who wrote them is guessed from the way of writing, and what may come from a block is left out with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from vouchrec.evals.redial.data import Dialogue

__all__ = ["Block", "block_edges", "make_blocks"]

MOST_LIKELY = 0.2
"""Chance of being written by a block's worker from which a dialogue of unknown workers is left out."""
_MENTION = re.compile(r"@\d+")


@dataclass(frozen=True, slots=True)
class Block:
    """One validation part.

    Attributes:
        train: Labelled dialogues without any worker of the block.
        recovered: Dialogues of unknown workers that are probably not by one of the block.
        validation: Labelled dialogues that two workers of the block wrote.
    """

    train: tuple[Dialogue, ...]
    recovered: tuple[Dialogue, ...]
    validation: tuple[Dialogue, ...]


def block_edges(labelled: Sequence[Dialogue], blocks: int) -> list[int]:
    """Return the least worker id of each block after the first, so that each has about as many appearances."""
    workers = sorted(worker for dialogue in labelled for worker in dialogue.workers)
    return [workers[len(workers) * number // blocks] for number in range(1, blocks)]


def make_blocks(labelled: Sequence[Dialogue], recovered: Sequence[Dialogue], blocks: int) -> list[Block]:
    """Return the blocks, oldest workers first.

    Args:
        labelled: With workers.
        recovered: Without.
        blocks: How many.
    """
    edges = block_edges(labelled, blocks)
    places = [frozenset(_place(worker, edges) for worker in dialogue.workers) for dialogue in labelled]
    member = np.array([[number in place for number in range(blocks)] for place in places])
    chances = _chances(labelled, recovered, member)
    return [
        Block(
            train=tuple(d for d, own in zip(labelled, places, strict=True) if number not in own),
            recovered=tuple(d for d, own in zip(recovered, chances, strict=True) if own[number] < MOST_LIKELY),
            validation=tuple(d for d, own in zip(labelled, places, strict=True) if own == frozenset((number,))),
        )
        for number in range(blocks)
    ]


def _chances(
    labelled: Sequence[Dialogue], recovered: Sequence[Dialogue], member: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return (n recovered, n blocks): the chance that a worker of the block wrote a dialogue, by runs of 2 to 5 letters."""
    if not recovered:
        return np.zeros((0, member.shape[1]))
    letters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True, lowercase=False, max_features=200_000
    )
    known = letters.fit_transform([_style(dialogue) for dialogue in labelled])
    unknown = letters.transform([_style(dialogue) for dialogue in recovered])
    columns = [
        LogisticRegression(C=30.0, max_iter=300).fit(known, own).predict_proba(unknown)[:, 1] for own in member.T
    ]
    return np.stack(columns, axis=1)


def _style(dialogue: Dialogue) -> str:
    """Return what shows who wrote: the text as typed, without its films."""
    return "\n".join(
        ("S:" if message.seeker else "R:") + _MENTION.sub("@", message.text) for message in dialogue.messages
    )


def _place(worker: int, edges: Sequence[int]) -> int:
    return sum(worker >= edge for edge in edges)
