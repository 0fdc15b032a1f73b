"""The data-driven models against published examples, and against other ways to compute the same."""

import itertools
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from depth import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from clickhouse.models import markov, shapley
from clickhouse.models.paths import OTHER, Ends, Path, Paths, collapsed, gathered, inputs_hash, limited
from clickhouse.models.shares import Money, apportioned, shares

TINY = Fraction(1, 10**9)


def journeys(**counted: tuple[int, int]) -> dict[Path, Ends]:
    """``A_B=(2, 1)``: two conversions and one path without, through A and then B."""
    return {tuple(name.split("_")): Ends(*ends) for name, ends in counted.items()}


@st.composite
def paths_of(draw: st.DrawFn, values: str = "ABCDE", most: int = 8) -> dict[Path, Ends]:
    found = draw(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from(values), min_size=1, max_size=6),
                st.builds(Ends, st.integers(0, 5), st.integers(0, 5)),
            ),
            min_size=1,
            max_size=most,
        )
    )
    paths = gathered((steps, ends) for steps, ends in found)
    first = next(iter(paths))
    return {**paths, first: Ends(paths[first].conversions + 1, paths[first].nothing)}


# Markov: the chain is built anew without the value, and solved by elimination in fractions.


def chain(paths: Paths, order: int) -> dict[str, Counter[str]]:
    """State -> where to, and how often. States are texts: the last ``order`` steps."""
    moves: dict[str, Counter[str]] = {}
    for path, ends in paths.items():
        steps = ["^" * (order - 1) + "".join(path[: n + 1]) for n in range(len(path))]
        names = ["^", *(step[-order:] for step in steps)]
        for origin, target in itertools.pairwise(names):
            moves.setdefault(origin, Counter())[target] += ends.conversions + ends.nothing
        moves.setdefault(names[-1], Counter()).update({"+": ends.conversions, "-": ends.nothing})
    return {origin: +targets for origin, targets in moves.items() if +targets}


def converting(moves: dict[str, Counter[str]], without: str) -> Fraction:
    """Probability to convert from the start if states that end with ``without`` lead nowhere; Gauss-Jordan."""
    states = [state for state in moves if not (without and state.endswith(without))]
    column = {state: n for n, state in enumerate(states)}
    rows = []
    for state in states:
        left = sum(moves[state].values())
        row = [Fraction(0)] * (len(states) + 1)
        row[column[state]] += 1
        for target, count in moves[state].items():
            if target in column:
                row[column[target]] -= Fraction(count, left)
            elif target == "+":
                row[-1] += Fraction(count, left)
        rows.append(row)
    for n in range(len(rows)):
        pivot = next(row for row in range(n, len(rows)) if rows[row][n])
        rows[n], rows[pivot] = rows[pivot], rows[n]
        rows[n] = [cell / rows[n][n] for cell in rows[n]]
        for other in range(len(rows)):
            if other != n and rows[other][n]:
                factor = rows[other][n]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[n], strict=True)]
    return rows[column["^"]][-1]


def walked(moves: dict[str, Counter[str]], without: str, steps: int) -> float:
    """The same by walking: where everybody is after one step, two, .., and who has converted."""
    at, converted = {"^": 1.0}, 0.0
    for _ in range(steps):
        after: dict[str, float] = {}
        for state, chance in at.items():
            left = sum(moves[state].values())
            for target, count in moves[state].items():
                if target == "+":
                    converted += chance * count / left
                elif target != "-" and not (without and target.endswith(without)):
                    after[target] = after.get(target, 0.0) + chance * count / left
        at = after
    return converted


@given(paths=paths_of(), order=st.sampled_from([1, 2]))
@settings(max_examples=examples(150), deadline=None)
def test_removal_effects_equal_those_of_chains_that_are_built_without_the_value(paths: Paths, order: int) -> None:
    moves = chain(paths, order)
    whole = converting(moves, "")
    effects = markov.removal_effects(paths, order)
    met = {value for path, ends in paths.items() if any(ends) for value in path}
    assert set(effects) == met
    for value, effect in effects.items():
        assert abs(Fraction(effect) - (1 - converting(moves, value) / whole)) < TINY
    assert sum(markov.weights(paths, order).values()) == 1


@given(paths=paths_of("ABC", 5), order=st.sampled_from([1, 2]))
@settings(max_examples=examples(40), deadline=None)
def test_removal_effects_equal_those_of_walking_the_chain(paths: Paths, order: int) -> None:
    moves = chain(paths, order)
    whole = walked(moves, "", 5000)
    for value, effect in markov.removal_effects(paths, order).items():
        assert effect == pytest.approx(1 - walked(moves, value, 5000) / whole, abs=1e-6)


def test_the_published_example_of_three_channels() -> None:
    """S. Bryl, "Marketing multi-channel attribution model with R, part 1": C1 0.2, C2 and C3 0.4 each."""
    paths = journeys(C1_C2_C3=(1, 0), C1=(0, 1), C2_C3=(0, 1))
    effects = markov.removal_effects(paths, 1)
    assert effects == pytest.approx({"C1": 0.5, "C2": 1.0, "C3": 1.0})
    assert [(share.value, share.weight) for share in shares(markov.weights(paths, 1), 1, {})] == [
        ("C2", Decimal("0.400000000")),
        ("C3", Decimal("0.400000000")),
        ("C1", Decimal("0.200000000")),
    ]


def test_the_published_example_of_two_channels() -> None:
    """S. Puzyrov, "Markov chain attribution": without the ads 0.2 of 0.8 convert, without the mailing 0.4."""
    paths = journeys(ads=(2, 1), mailing=(1, 0), ads_mailing=(1, 0))
    assert markov.removal_effects(paths, 1) == pytest.approx({"ads": 0.75, "mailing": 0.5})


def test_order_two_sees_what_order_one_cannot() -> None:
    """C converts after A and never after B: B only leads to nothing, which only pairs can tell."""
    paths = journeys(A_C=(4, 0), B_C=(0, 4))
    assert markov.removal_effects(paths, 1) == pytest.approx({"A": 0.5, "B": 0.5, "C": 1.0})
    assert markov.removal_effects(paths, 2) == pytest.approx({"A": 1.0, "B": 0.0, "C": 1.0})


def test_a_value_that_nobody_converts_through_earns_nothing() -> None:
    paths = journeys(A=(3, 2), B=(0, 7))
    for order in (1, 2):
        assert markov.weights(paths, order) == {"A": 1, "B": 0}
    assert shapley.weights(paths) == {"A": 1, "B": 0}


def test_as_many_values_as_a_model_takes_are_solved() -> None:
    values = [f"v{n:03}" for n in range(markov.MAX_VALUES[2])]
    paths = {(a, b): Ends(1, 1) for a in values for b in values if a != b}
    assert shares(markov.weights(paths, 2), 10, {})[0].weight == Decimal("0.025000000")


# Shapley: every order in which the values could have come.


def by_orders(paths: Paths) -> dict[str, Fraction]:
    values = sorted({value for path in paths for value in path})
    worth = {
        frozenset(some): sum(ends.conversions for path, ends in paths.items() if set(path) <= set(some))
        for n in range(len(values) + 1)
        for some in itertools.combinations(values, n)
    }
    earned = dict.fromkeys(values, Fraction(0))
    orders = list(itertools.permutations(values))
    for order in orders:
        for n, value in enumerate(order):
            earned[value] += worth[frozenset(order[: n + 1])] - worth[frozenset(order[:n])]
    return {value: part / len(orders) / worth[frozenset(values)] for value, part in earned.items()}


@given(paths=paths_of())
@settings(max_examples=examples(100), deadline=None)
def test_shapley_equals_the_mean_over_all_orders(paths: Paths) -> None:
    assert shapley.weights(paths) == by_orders(paths)


def test_the_published_example_of_shapley() -> None:
    """ "Data-driven marketing attribution" (Towards Data Science): worth of all coalitions of three channels."""
    paths = journeys(F=(20, 0), O=(10, 0), L=(17, 0), F_O=(17, 0), L_F=(30, 0), F_O_L=(6, 0))
    assert shapley.weights(paths) == {"F": Fraction(91, 200), "O": Fraction(41, 200), "L": Fraction(34, 100)}


# Paths and shares.


@given(
    weighing=st.dictionaries(st.text(max_size=3), st.integers(0, 10**6), min_size=1, max_size=30),
    conversions=st.integers(1, 10**7),
    cents=st.dictionaries(
        st.sampled_from(["", "EUR", "USD"]), st.tuples(st.integers(-(10**15), 10**20), st.integers(0, 10**15))
    ),
)
def test_shares_sum_to_the_totals_to_the_last_digit(
    weighing: dict[str, int], conversions: int, cents: dict[str, tuple[int, int]]
) -> None:
    whole = sum(weighing.values())
    weights = {v: Fraction(n, whole) if whole else Fraction(1, len(weighing)) for v, n in weighing.items()}
    revenue = {
        currency: Money(net=Decimal(net).scaleb(-4), refunded=Decimal(back).scaleb(-4))
        for currency, (net, back) in cents.items()
    }
    found = shares(weights, conversions, revenue)
    assert {share.value for share in found} == set(weighing)
    assert sum(share.weight for share in found) == 1
    assert sum(share.conversions for share in found) == conversions
    for currency, money in revenue.items():
        assert sum(share.revenue[currency] for share in found) == money.net
        assert sum(share.refunded.get(currency, Decimal(0)) for share in found) == money.refunded
    for share in found:
        assert abs(Fraction(share.weight) - weights[share.value]) <= TINY
        assert 0 <= share.conversions <= conversions


def test_a_third_is_rounded_where_the_running_sum_is() -> None:
    assert apportioned([Fraction(1, 3)] * 3, Fraction(1), 2) == [Decimal("0.33"), Decimal("0.34"), Decimal("0.33")]


def test_equal_neighbours_are_one_step_and_counts_add_up() -> None:
    assert collapsed("AABBA") == ("A", "B", "A")
    assert gathered([("AAB", Ends(1, 0)), ("AB", Ends(2, 3))]) == {("A", "B"): Ends(3, 3)}


def test_the_rarest_values_become_other() -> None:
    paths = journeys(A=(9, 0), A_B=(3, 0), A_C_D=(1, 1), D=(0, 1))
    assert limited(paths, 4) == (paths, 0)
    found, grouped = limited(paths, 3)
    assert grouped == 2
    assert found == {("A",): Ends(9, 0), ("A", "B"): Ends(3, 0), ("A", OTHER): Ends(1, 1), (OTHER,): Ends(0, 1)}
    assert limited(paths, 2)[0] == {("A",): Ends(9, 0), ("A", OTHER): Ends(4, 1), (OTHER,): Ends(0, 1)}


def test_the_hash_is_of_what_is_counted_and_of_nothing_else() -> None:
    paths = journeys(A=(1, 0), A_B=(2, 3))
    same = {**dict(reversed(paths.items())), ("C",): Ends(0, 0)}
    money = {"USD": Money(net=Decimal("10.50")), "EUR": Money(net=Decimal(0))}
    known = inputs_hash(paths, money)
    assert inputs_hash(same, {"USD": Money(net=Decimal("10.5000"))}) == known
    assert len(known) == 64
    assert inputs_hash(paths, {"USD": Money(net=Decimal("10.51"))}) != known
    assert inputs_hash(paths, {"USD": Money(net=Decimal("10.50"), refunded=Decimal(1))}) != known
    assert inputs_hash({**paths, ("A",): Ends(1, 1)}, money) != known
    assert inputs_hash(journeys(B=(1, 0), A_B=(2, 3)), money) != known
