"""Walks over ``person_keys``, for a run over little.

They take the same hops as ``hop.sql``. That fills a scratch table in ClickHouse hop by hop, which suits many facts; of
a few, reading a statement and writing its rows takes far longer than the look-up. So here each identity is looked up
once, its edges are kept, and a hop that leads nowhere new asks nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from processors.core.persons import Key

FEW_FACTS: Final = 5_000
"""A walk that would begin at more is left to ClickHouse: a position may hold hundreds of events."""
FEW_EDGES: Final = 50_000
"""Of one hop. A walk that meets more is left to ClickHouse."""

Hop = tuple[Collection[str], Collection[str]]
"""Kinds that it leads from and to."""

EdgesOf = Callable[[Sequence[Key]], Mapping[Key, Collection[Key]] | None]
"""What these keys lead to; None if it is too much. Keys that lead nowhere may be missing."""


class Graph:
    """What was looked up."""

    def __init__(self, edges_of: EdgesOf) -> None:
        self._edges_of = edges_of
        self.edges: dict[Key, Collection[Key]] = {}

    @property
    def most(self) -> int:
        """The most edges that any key has."""
        return max(map(len, self.edges.values()), default=0)

    def look_up(self, keys: Iterable[Key]) -> bool:
        """False if it is too much."""
        asked = [key for key in keys if key not in self.edges]
        found = self._edges_of(asked) if asked else {}
        if found is None:
            return False
        self.edges.update((key, found.get(key, ())) for key in asked)
        return True

    def walk(self, start: Iterable[Key], hops: Iterable[Hop]) -> set[Key] | None:
        """All that can be reached by these hops, in their order; None if that is too much."""
        reached = set(start)
        for from_kinds, to_kinds in hops:
            leaving = [key for key in reached if key.kind in from_kinds]
            if not self.look_up(leaving):
                return None
            reached.update(end for key in leaving for end in self.edges[key] if end.kind in to_kinds)
        return reached
