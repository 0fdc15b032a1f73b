"""Shapley model: a value earns the mean of what it adds, over all orders in which the values could have come together.

What a set of values is worth: the conversions of paths that need no other value. For this game the mean over all orders
has a closed form (Zhao, Mahboobi, Bagheri 2018, arXiv:1804.05327): each conversion is shared equally by the distinct
values of its path. So it is exact for any number of values, and a source that is met five times on a path gets no more
than one that is met once. Paths without a conversion do not count.
"""

from fractions import Fraction

from clickhouse.models.paths import Paths


def weights(paths: Paths) -> dict[str, Fraction]:
    """By value, also of those that earn nothing; they sum to 1 exactly. Needs at least one conversion."""
    sets: dict[frozenset[str], int] = {}
    for path, ends in paths.items():
        met = frozenset(path)
        sets[met] = sets.get(met, 0) + ends.conversions
    earned: dict[str, Fraction] = {}
    for met, conversions in sets.items():
        for value in met:
            earned[value] = earned.get(value, Fraction(0)) + Fraction(conversions, len(met))
    whole = sum(sets.values())
    return {value: part / whole for value, part in earned.items()}
