"""The walk over ``person_keys`` from what is new to the conversions that may depend on it, for a run over little.

It takes the same hops as ``hop.sql``. That fills a scratch table in ClickHouse hop by hop, which suits many facts; of a
few, reading a statement and writing its rows takes far longer than the look-up. So here each identity is looked up
once, its edges are kept, and a hop that leads nowhere new asks nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

FEW_FACTS: Final = 5_000
"""A walk that would begin at more is left to ClickHouse: a position may hold hundreds of events."""
FEW_EDGES: Final = 50_000
"""Of one hop. A walk that meets more is left to ClickHouse."""

Hop = tuple[Collection[str], Collection[str]]
"""Kinds that it leads from and to."""


class Key(NamedTuple):
    """An identity, session or conversion of a project."""

    project_id: str
    kind: str
    key: str


EdgesOf = Callable[[Sequence[Key]], Mapping[Key, Collection[Key]] | None]
"""What these keys lead to; None if it is too much. Keys that lead nowhere may be missing."""


class Reached(NamedTuple):
    """What a walk found."""

    keys: set[Key]
    edges: int
    """The most edges that any key had."""


def walk(start: Iterable[Key], asides: Iterable[Key], hops: Iterable[Hop], edges_of: EdgesOf) -> Reached | None:
    """All that can be reached by these hops, in their order; None if that is too much for a walk.

    ``asides`` are no part of it: only their edges are counted.
    """
    reached = set(start)
    known: dict[Key, Collection[Key]] = {}

    def look_up(keys: Iterable[Key]) -> bool:
        asked = [key for key in keys if key not in known]
        found = edges_of(asked) if asked else {}
        if found is None:
            return False
        known.update((key, found.get(key, ())) for key in asked)
        return True

    for from_kinds, to_kinds in hops:
        leaving = [key for key in reached if key.kind in from_kinds]
        if not look_up(leaving):
            return None
        reached.update(end for key in leaving for end in known[key] if end.kind in to_kinds)
    if not look_up(asides):
        return None
    return Reached(reached, max(map(len, known.values()), default=0))
