"""Our orders beside the payment provider's: what is missing, what is extra, where the money differs.

The question is ``clickhouse/queries/reconcile.sql``, asked of the facts, so that it does not wait for the booker. The
provider's orders travel with it as a table of their own, which nobody else sees.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from urllib.parse import quote

import msgspec

from clickhouse.provider_orders import EARLIEST_MS, LATEST_MS, ProviderOrder, instant
from clickhouse.read import Reader, Table
from schemas.errors import Refused

TOLERANCE_S: Final = 3600
"""Clocks of two systems, and the time between a payment and its report."""
PAGE: Final = 1000
DAY_MS: Final = 86_400_000

_COLUMNS: Final = (
    "line Int64",
    "order_id String",
    "amount Decimal(38, 4)",
    "currency String",
    "provider_ms Int64",
)


class Outcome(StrEnum):
    """What can be said of an order."""

    MATCHED = "matched"
    MISSING = "missing"
    """The provider has it, we do not."""
    EXTRA = "extra"
    """We have it, the provider does not."""
    AMOUNT_DIFFERS = "amount_differs"
    """Both have it; amount or currency differ."""
    UNNAMED = "unnamed"
    """Our money without an order: it cannot be compared."""


class Window(msgspec.Struct, frozen=True):
    """Our orders of this time, both ends included, are expected in the list. Unix milliseconds."""

    from_ms: int
    to_ms: int


class Found(msgspec.Struct, frozen=True, array_like=True):
    """An order of one outcome; an element of ``lines`` in the query. ``line`` 0: the provider does not list it."""

    order_id: str
    line: int
    provider_amount: Decimal | None
    provider_currency: str
    provider_ms: int
    our_amount: Decimal | None
    our_currency: str
    our_ms: int
    kind: str
    conversion_id: str
    event_id: str


class Group(msgspec.Struct, frozen=True):
    """The row of the query."""

    outcome: Outcome
    orders: int
    provider: dict[str, Decimal]
    ours: dict[str, Decimal]
    lines: list[Found]


class CurrencyTotals(msgspec.Struct, frozen=True, kw_only=True):
    """``difference`` = ours - provider; ``ours`` without what names no order, which is ``unnamed``."""

    currency: str
    provider: Decimal
    ours: Decimal
    difference: Decimal
    matched: Decimal
    unnamed: Decimal


class Reconciliation(msgspec.Struct, frozen=True):
    """The groups by outcome, each there."""

    groups: dict[Outcome, Group]

    @property
    def agrees(self) -> bool:
        """Every order of either side is on the other, with the same money."""
        differing = (Outcome.MISSING, Outcome.EXTRA, Outcome.AMOUNT_DIFFERS)
        return all(self.groups[outcome].orders == 0 for outcome in differing)

    def totals(self) -> list[CurrencyTotals]:
        """By currency, sorted; exact."""
        groups = self.groups.values()
        codes = {code for group in groups for side in (group.provider, group.ours) for code in side}
        return [self._total(code) for code in sorted(codes)]

    def _total(self, code: str) -> CurrencyTotals:
        zero = Decimal("0.0000")
        unnamed = self.groups[Outcome.UNNAMED].ours.get(code, zero)
        provider = sum((group.provider.get(code, zero) for group in self.groups.values()), zero)
        ours = sum((group.ours.get(code, zero) for group in self.groups.values()), zero) - unnamed
        return CurrencyTotals(
            currency=code,
            provider=provider,
            ours=ours,
            difference=ours - provider,
            matched=self.groups[Outcome.MATCHED].provider.get(code, zero),
            unnamed=unnamed,
        )


def window(orders: Iterable[ProviderOrder], since_ms: int | None, until_ms: int | None, tolerance_s: int) -> Window:
    """The given ends; one that is not given is the earliest or latest time in the list, wider by the tolerance."""
    times = [order.provider_ms for order in orders]
    return Window(
        max(min(times) - tolerance_s * 1000, EARLIEST_MS) if since_ms is None else since_ms,
        min(max(times) + tolerance_s * 1000, LATEST_MS) if until_ms is None else until_ms,
    )


def bound(text: str | None, field: str) -> int | None:
    """Unix milliseconds of a day (UTC; for ``to`` its last) or of a time; None without one. Raises :class:`Refused`."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        try:
            return instant(text)
        except Refused as refusal:
            raise Refused(refusal.reason, refusal.message, field=field) from None
    return int(day.timestamp()) * 1000 + (DAY_MS - 1 if field == "to" else 0)


async def reconcile(
    reader: Reader,
    project_id: str,
    orders: Sequence[ProviderOrder],
    time: Window,
    *,
    kinds: Sequence[str] = (),
    page: int = PAGE,
) -> Reconciliation:
    """Ask. Raises :class:`schemas.errors.Unavailable`."""
    groups = await reader.rows(
        "reconcile",
        Group,
        {"project_id": project_id, "from_ms": time.from_ms, "to_ms": time.to_ms, "kinds": list(kinds), "page": page},
        table=Table("provider_orders", _COLUMNS, orders),
    )
    found = {group.outcome: group for group in groups}
    return Reconciliation({outcome: found.get(outcome, Group(outcome, 0, {}, {}, [])) for outcome in Outcome})


def receipt_path(project_id: str, event_id: str) -> str | None:
    """Where the receipt of an event is; None without an event."""
    return f"/v1/projects/{quote(project_id)}/events/{event_id}/receipt" if event_id else None
