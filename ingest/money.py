"""Money: exact from the client's first digit on.

1. A JSON number or a string holding a plain decimal; the literal's own digits are read, never a float.
2. Digits beyond the fourth are rounded half-even, never refused.
3. The magnitude fits Decimal(18, 4): at most 14 digits before the point.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

from schemas.errors import Reason, Refused

QUANTUM: Final = Decimal("0.0001")
CENT: Final = Decimal("0.01")
LIMIT: Final = Decimal(10) ** 14

_CONTEXT: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


def amount(literal: bytes, *, field: str) -> Decimal:
    """The amount a JSON literal states, with exactly four digits after the point.

    Raises :class:`Refused` (``invalid_money``) naming ``field``: not a number or plain decimal string, or too large.
    """
    text = literal.decode()
    if text[:1] == '"':
        text = text[1:-1]
        plain = _PLAIN.fullmatch(text)
    else:
        plain = _NUMBER.fullmatch(text)
    if plain is None:
        raise Refused(Reason.INVALID_MONEY, "must be a number or a plain decimal string like 49.99", field=field)
    try:
        exact = Decimal(text)
        if exact.adjusted() >= 14 and exact:
            raise _too_large(field)
        rounded = exact.quantize(QUANTUM, context=_CONTEXT)
    except InvalidOperation:
        raise _too_large(field) from None
    if abs(rounded) >= LIMIT:
        raise _too_large(field)
    return rounded or QUANTUM - QUANTUM


def shown(exact: Decimal) -> Decimal:
    """The same amount as answers write it: at least two digits after the point, and no further zeros."""
    cents = exact.quantize(CENT, context=_CONTEXT)
    return cents if cents == exact else exact.normalize(_CONTEXT)


def _too_large(field: str) -> Refused:
    return Refused(Reason.INVALID_MONEY, "must have at most 14 digits before the point", field=field)
