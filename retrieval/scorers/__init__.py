"""Scorers behind one protocol, a registry of them by name, and the choice among them by validation.

`registry.make_scorer` makes an unfitted one by name, `registry.load_scorer` reads a saved one, `select.choose` tries several
on the data at hand. The neural ones (`neural_*`) are imported when one of them is made, and torch with them.
"""

from __future__ import annotations
