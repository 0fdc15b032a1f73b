"""Markov model: a value earns in proportion to what is lost if everybody who gets to it leaves (removal effect).

1. States are the values (order 1), or pairs of the value before and the value (order 2), between a start and two ends:
   conversion and nothing. Probabilities are those of the counted transitions.
2. ``P`` is the probability to get from the start to a conversion. A value's removal effect is the part of ``P`` that
   goes through it: ``1 - P(without it) / P``, where whoever gets to it ends in nothing.
3. Weights are removal effects over their sum.

All effects come from one inverse of ``I - Q``, the expected visits ``N``, not from a new chain for each value. Of the
states X of a value, each is the first one met with the probability ``h = N[start, X] N[X, X]^-1``, and ``h p[X]``
converts from there.
"""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clickhouse.models.paths import Path, Paths

MAX_VALUES: Final = {1: 400, 2: 40}
"""By order. Pairs grow with the square: either is a matrix of at most some 1,600 rows."""

State = tuple[str | None, ...]
START: Final[State] = (None,)
CONVERSION: Final = "conversion"
"""Ends are no tuples, so no value can be taken for one."""
NOTHING: Final = "nothing"


def removal_effects(paths: Paths, order: int) -> dict[str, float]:
    """By value, between 0 and 1. Needs at least one conversion; ``order`` is 1 or 2."""
    moves = _moves(paths, order)
    states = {state: row for row, state in enumerate(dict.fromkeys(origin for origin, _ in moves))}
    visits, converting = _solved(moves, states)
    start = states[START]
    rows: dict[str, list[int]] = {}
    for state, row in states.items():
        if state[-1] is not None:
            rows.setdefault(state[-1], []).append(row)
    effects = {}
    for value, through in rows.items():
        first_met = np.linalg.solve(visits[np.ix_(through, through)].T, visits[start, through])
        effects[value] = min(max(float(first_met @ converting[through] / converting[start]), 0.0), 1.0)
    return effects


def weights(paths: Paths, order: int) -> dict[str, Fraction]:
    """By value; they sum to 1 exactly."""
    effects = {value: Fraction(effect) for value, effect in removal_effects(paths, order).items()}
    whole = sum(effects.values())
    return {value: effect / whole for value, effect in effects.items()}


def _moves(paths: Paths, order: int) -> Counter[tuple[State, State | str]]:
    """How often each state was followed by which."""
    moves: Counter[tuple[State, State | str]] = Counter()
    for path, (conversions, nothing) in paths.items():
        passed = [START, *_states(path, order)]
        for origin, target in pairwise(passed):
            moves[origin, target] += conversions + nothing
        moves[passed[-1], CONVERSION] += conversions
        moves[passed[-1], NOTHING] += nothing
    return Counter({move: count for move, count in moves.items() if count})


def _states(path: Path, order: int) -> list[State]:
    before: tuple[str | None, ...] = (None,) * (order - 1)
    known = (*before, *path)
    return [known[end - order : end] for end in range(order, len(known) + 1)]


def _solved(
    moves: Counter[tuple[State, State | str]], states: dict[State, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected visits from state to state, and the probability to convert from each.

    Every state lies on a path that ends, so the inverse exists.
    """
    leaving: Counter[State] = Counter()
    for (origin, _), count in moves.items():
        leaving[origin] += count
    staying = np.zeros((len(states), len(states)))
    ending = np.zeros(len(states))
    for (origin, target), count in moves.items():
        chance = count / leaving[origin]
        if isinstance(target, tuple):
            staying[states[origin], states[target]] = chance
        elif target == CONVERSION:
            ending[states[origin]] = chance
    visits = np.linalg.inv(np.eye(len(states)) - staying).astype(np.float64)
    return visits, visits @ ending
