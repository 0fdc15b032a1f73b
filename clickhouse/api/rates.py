"""Money into a goal's currency, by dated rates of the control log: what has none of its day is left out by name."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from clickhouse.api.exact import converted, rounded, total
from schemas.control import ControlView, Rate


class DayMoney(msgspec.Struct, frozen=True):
    """What came in one currency on one UTC day."""

    currency: str
    day: str
    amount: Decimal


def rates_into(view: ControlView, project_id: str, currency: str) -> dict[tuple[str, str], Decimal]:
    """The project's rates into ``currency``, by currency and day."""
    bodies = (entry.body for entry in view.entries.values() if not entry.deleted)
    return {
        (body.currency, body.day): Decimal(body.rate)
        for body in bodies
        if isinstance(body, Rate) and body.project_id == project_id and body.into == currency
    }


def sum_in(
    currency: str, money: Iterable[DayMoney], rates: dict[tuple[str, str], Decimal]
) -> tuple[Decimal, dict[str, Decimal]]:
    """The sum in ``currency``, half-even to four digits, and what is left out, by currency.

    Money without a currency of its own is in the goal's: seed S2 states one a goal, not one an event.
    """
    counted: list[Decimal] = []
    left_out: dict[str, Decimal] = {}
    for part in money:
        if part.currency in (currency, ""):
            counted.append(part.amount)
        elif (rate := rates.get((part.currency, part.day))) is not None:
            counted.append(converted(part.amount, rate))
        else:
            left_out[part.currency] = total((left_out.get(part.currency, Decimal(0)), part.amount))
    return rounded(total(counted)), left_out
