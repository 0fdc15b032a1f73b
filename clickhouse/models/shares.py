"""From weights to shares that add up to the last digit: round the running sum, take differences."""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from msgspec import Struct

WEIGHT_DIGITS: Final = 9
MONEY_DIGITS: Final = 4

_CONTEXT: Final = Context(prec=76)


class Share(Struct, frozen=True, kw_only=True):
    """What one value earned: part of all conversions, and in each currency of what remains and of what was refunded."""

    value: str
    weight: Decimal
    conversions: Decimal
    revenue: dict[str, Decimal]
    refunded: dict[str, Decimal]


class Money(Struct, frozen=True, kw_only=True):
    """All there is to share in one currency. ``refunded`` is 0 or more, and already taken off ``net``."""

    net: Decimal
    refunded: Decimal = Decimal(0)


def apportioned(weights: Iterable[Fraction], total: Fraction, digits: int) -> list[Decimal]:
    """Parts of ``total`` with so many digits, rounded half-even.

    They sum to it exactly if it has no more digits itself and the weights sum to 1.
    """
    parts, passed, given = [], Fraction(0), 0
    for weight in weights:
        passed += weight
        upto = round(passed * total * 10**digits)
        parts.append(Decimal(upto - given).scaleb(-digits, _CONTEXT))
        given = upto
    return parts


def shares(weights: Mapping[str, Fraction], conversions: int, revenue: Mapping[str, Money]) -> list[Share]:
    """One for each value, most first. ``weights`` sum to 1, and so do those given; all else sums to the totals."""
    ranked = sorted(weights, key=lambda value: (-weights[value], value))
    rounded = apportioned([weights[value] for value in ranked], Fraction(1), WEIGHT_DIGITS)
    exact = [Fraction(weight) for weight in rounded]
    counted = apportioned(exact, Fraction(conversions), WEIGHT_DIGITS)
    net = {code: apportioned(exact, Fraction(money.net), MONEY_DIGITS) for code, money in sorted(revenue.items())}
    refunded = {
        code: apportioned(exact, Fraction(money.refunded), MONEY_DIGITS)
        for code, money in sorted(revenue.items())
        if money.refunded
    }
    return [
        Share(
            value=value,
            weight=rounded[place],
            conversions=counted[place],
            revenue={currency: parts[place] for currency, parts in net.items()},
            refunded={currency: parts[place] for currency, parts in refunded.items()},
        )
        for place, value in enumerate(ranked)
    ]
