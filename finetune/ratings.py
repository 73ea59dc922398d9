"""Ratings and likes that the shipped collaborative scorer may learn from.

Only data whose licence lets weights trained on it be shipped: MovieTweetings (MIT) and the likes of ReDial's train-side
dialogues (CC BY 4.0). Reading and matching is `vouchrec.retrieval.datasets`; here is what may be used, and how much of
it a catalogue covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vouchrec.retrieval.datasets import MappedLikes, read_shippable
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.types import Item

__all__ = ["TrainingRatings", "read_ratings"]


@dataclass(frozen=True, slots=True)
class TrainingRatings:
    """Likes of a catalogue's items.

    Attributes:
        rated: From MovieTweetings: people with ratings and times; these are split for tuning.
        told: From ReDial: one pseudo-user per dialogue, no time; these only ever train.
        catalogue: Number of items of the catalogue.
    """

    rated: MappedLikes
    told: MappedLikes
    catalogue: int

    @property
    def covered(self) -> int:
        """Items of the catalogue that at least one like is about."""
        return len({event.item for part in (self.rated, self.told) for event in part.likes})

    def coverage_table(self) -> str:
        """Return a Markdown table of what was read and how much of it is about the catalogue."""
        head = "| data | licence | interactions | of these mapped | likes mapped | people | catalogue items |"
        lines = [head, "|---|---|---:|---:|---:|---:|---:|"]
        for part in (self.rated, self.told):
            mapped = f"{part.events_mapped:,} ({part.events_mapped / max(1, part.events):.1%})"
            items = f"{part.items_mapped:,} of {self.catalogue:,}"
            cells = [
                part.name,
                part.licence,
                f"{part.events:,}",
                mapped,
                f"{len(part.likes):,}",
                f"{part.users:,}",
                items,
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)


def read_ratings(data: Path, catalogue: Sequence[Item]) -> TrainingRatings:
    """Read and match everything that shipped weights may be trained on.

    Args:
        data: Folder with `movietweetings/` and `redial/`, public file names inside.
        catalogue: Items with attribute `year`.

    Raises:
        DataFileError: A file is absent or malformed.
        ConfigError: Nothing of the data is about the catalogue, or a data set's licence forbids shipped weights.
    """
    rated, told = read_shippable(data, catalogue)
    for part in (rated, told):
        if not part.shippable:
            raise ConfigError(f"{part.name} ({part.licence}) must not be in shipped weights.")
        if not part.likes:
            raise ConfigError(f"No interaction of {part.name} is about an item of the catalogue.")
    return TrainingRatings(rated, told, len(catalogue))
