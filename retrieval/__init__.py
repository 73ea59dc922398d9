"""Catalogue -> ranked, evidenced items. The public names; what is heavy is loaded when it is first used.

Start at `recommend`; `Query`, `Profile` and `Recommendation` are what it takes and gives, a `Workspace` is what it works on.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vouchrec.retrieval.errors import InputError, VouchError
from vouchrec.retrieval.types import Constraint, Evidence, Interaction, Item, Profile, Query, Recommendation

if TYPE_CHECKING:
    from vouchrec.retrieval.build import init_workspace, open_builtin
    from vouchrec.retrieval.pipeline import assess, recommend, relax
    from vouchrec.retrieval.workspace import Workspace

__all__ = [
    "Constraint",
    "Evidence",
    "InputError",
    "Interaction",
    "Item",
    "Profile",
    "Query",
    "Recommendation",
    "VouchError",
    "Workspace",
    "assess",
    "init_workspace",
    "open_builtin",
    "recommend",
    "relax",
]
_LATE = {
    "Workspace": "workspace",
    "assess": "pipeline",
    "init_workspace": "build",
    "open_builtin": "build",
    "recommend": "pipeline",
    "relax": "pipeline",
}


def __getattr__(name: str) -> object:
    """Load the module of a public name that is heavy."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
