"""Exact numbers, from ClickHouse to JSON: a Decimal is written by its own digits and never becomes a float."""

from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.enums import MediaType

CENT: Final = Decimal("0.01")
QUANTUM: Final = Decimal("0.0001")
"""Money has four digits after the point."""

_CONTEXT: Final = Context(prec=76, rounding=ROUND_HALF_EVEN)
"""As wide as ClickHouse's widest decimal; the default of 28 digits would round sums."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ExactResponse(Response[Any]):
    """JSON whose decimals are numbers with all their digits."""

    def render(self, content: Any, media_type: str, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
        if media_type.startswith(MediaType.JSON):
            return _encode(content)
        return super().render(content, media_type, enc_hook) if enc_hook else super().render(content, media_type)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = Decimal(0)
    for amount in amounts:
        result = _CONTEXT.add(result, amount)
    return result


def converted(amount: Decimal, rate: Decimal) -> Decimal:
    """``amount`` at ``rate``, not rounded."""
    return _CONTEXT.multiply(amount, rate)


def rounded(amount: Decimal) -> Decimal:
    """Half-even to four digits."""
    return amount.quantize(QUANTUM, context=_CONTEXT)


def money(amount: Decimal) -> Decimal:
    """The same amount with at least two digits after the point, and no further zeros: 16758.00, 0.3050 is 0.305."""
    return _written(amount, CENT)


def count(number: Decimal) -> Decimal:
    """The same number without zeros after the point: conversions are whole unless a model splits them."""
    return _written(number, Decimal(1))


def ratio(numerator: Decimal, denominator: int) -> Decimal | None:
    """To six digits; None without a denominator."""
    if denominator == 0:
        return None
    quotient = _CONTEXT.divide(numerator, Decimal(denominator))
    return count(quotient.quantize(Decimal("0.000001"), context=_CONTEXT))


def _written(number: Decimal, least: Decimal) -> Decimal:
    short = number.quantize(least, context=_CONTEXT)
    if short == number:
        return abs(short) if short == 0 else short
    return number.normalize(_CONTEXT)
