"""What the data-driven models read: paths through sources, how often each ended in a conversion, and how often in none.

A path is a tuple of the values of one dimension (sources, channels, ..) in the order of their touches. Neighbours that
are equal are one step, so a path is where somebody came from next, not how often. At least one step.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from clickhouse.models.shares import Money

Path = tuple[str, ...]

MAX_STEPS: Final = 100
"""Of a longer path its last steps are read; a run says how many paths that were."""
OTHER: Final = "(other)"
"""Stands for the values with the fewest paths, where there are more than a model can tell apart."""
METHOD: Final = 1
"""Counts up when the same paths would give other weights: part of the hash."""


class Ends(NamedTuple):
    """How many paths ended so."""

    conversions: int = 0
    nothing: int = 0


Paths = Mapping[Path, Ends]


def collapsed(steps: Iterable[str]) -> Path:
    """``steps`` with equal neighbours as one."""
    path: list[str] = []
    for step in steps:
        if not path or path[-1] != step:
            path.append(step)
    return tuple(path)


def gathered(found: Iterable[tuple[Iterable[str], Ends]]) -> dict[Path, Ends]:
    """The counts of paths that are the same once collapsed, added up."""
    paths: dict[Path, Ends] = {}
    for steps, ends in found:
        path = collapsed(steps)
        known = paths.get(path, Ends())
        paths[path] = Ends(known.conversions + ends.conversions, known.nothing + ends.nothing)
    return paths


def values_of(paths: Paths) -> list[str]:
    """All values, those on the most paths first; ties by name."""
    on: dict[str, int] = {}
    for path, ends in paths.items():
        for value in set(path):
            on[value] = on.get(value, 0) + ends.conversions + ends.nothing
    return sorted(on, key=lambda value: (-on[value], value))


def limited(paths: Paths, most: int) -> tuple[dict[Path, Ends], int]:
    """The paths with at most ``most`` values, the rarest of them as ``(other)``, and how many became that."""
    values = values_of(paths)
    if len(values) <= most:
        return dict(paths), 0
    kept = set(values[: most - 1])
    named = ((tuple(step if step in kept else OTHER for step in path), ends) for path, ends in paths.items())
    return gathered(named), len(values) - len(kept)


def inputs_hash(paths: Paths, revenue: Mapping[str, Money]) -> str:
    """SHA-256, in hexadecimal, of the sorted path counts and of the revenue to share: the same inputs, the same run."""
    counts = sorted((path, *ends) for path, ends in paths.items() if any(ends))
    money = sorted(
        (currency, *(str(amount.normalize()) for amount in (sums.net, sums.refunded)))
        for currency, sums in revenue.items()
        if sums.net or sums.refunded
    )
    return hashlib.sha256(msgspec.json.encode([METHOD, counts, money])).hexdigest()
