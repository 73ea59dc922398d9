"""Who is asked for what, and what may be known: ways to split interactions, each checked for leaks before it is used."""

from vouchrec.evals.protocols.leaks import check_split, leaks
from vouchrec.evals.protocols.splits import (
    PROTOCOLS,
    Part,
    Split,
    SplitSettings,
    likes_of,
    make_split,
)

__all__ = ["PROTOCOLS", "Part", "Split", "SplitSettings", "check_split", "leaks", "likes_of", "make_split"]
