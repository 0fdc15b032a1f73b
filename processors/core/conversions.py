"""What a conversion is made of.

1. An event that is a conversion, or names an order, is an *arrival* of its conversion: one immutable row.
2. One order is one conversion for ever; an arrival is known by its conversion and its own event id.
3. The conversion is *announced* with its first arrival that is a conversion; one that merely names an order is not.
4. Each field of the conversion comes from the most trusted, then first, arrival that has it. Amount and currency travel
   together; a default amount counts as missing, and so does a default currency beside others of the same trust. A
   time that is only the time of receipt counts as missing while another arrival states one.
   (The view ``conversions`` says the same in SQL; a property test compares the two.)
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from schemas.events import Arrival, Conversion, RawEvent


def arrival_of(event: RawEvent, *, session_id: str, path: str) -> Arrival:
    """The arrival that an event with a ``conversion_id`` makes."""
    return Arrival(
        project_id=event.project_id,
        conversion_id=event.conversion_id,
        event_id=event.event_id,
        is_conversion=event.is_conversion,
        kind=event.event_name,
        order_id=event.order_id,
        trust=event.trust,
        received_at=event.received_at,
        converted_at=event.occurred_at,
        timed=event.timed,
        checksum=event.checksum,
        event_type=event.event_type,
        event_name=event.event_name,
        path=path,
        visitor=event.visitor,
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        session_id=session_id,
        click_id=event.click_id,
        fingerprint=event.fingerprint,
        revenue=event.revenue,
        currency=event.currency,
        mailing=event.mailing,
        defaulted=event.defaulted,
        goal_id=event.goal_id,
        window_days=event.window_days,
        properties=event.properties,
    )


def announcement_of(arrival: Arrival) -> Conversion:
    """The record on ``conversions`` that an announcing arrival makes."""
    return Conversion(
        project_id=arrival.project_id,
        conversion_id=arrival.conversion_id,
        kind=arrival.kind,
        order_id=arrival.order_id,
        event_id=arrival.event_id,
        trust=arrival.trust,
        received_at=arrival.received_at,
        converted_at=arrival.converted_at,
        click_id=arrival.click_id,
        goal_id=arrival.goal_id,
        revenue=arrival.revenue,
        currency=arrival.currency,
    )


class Merged(msgspec.Struct, frozen=True):
    """A conversion as all its arrivals tell it."""

    is_conversion: bool
    kind: str
    order_id: str
    trust: int
    converted_at: int
    received_at: int
    user_id: str
    anonymous_id: str
    session_id: str
    click_id: str
    revenue: Decimal | None
    currency: str


def merge(arrivals: Sequence[Arrival]) -> Merged:
    """Merge the arrivals of one conversion, given in log order, at least one (rule 4)."""
    ranked = sorted(arrivals, key=lambda arrival: arrival.trust)  # stable: log order within a trust
    first = ranked[0]
    timed = next((arrival for arrival in ranked if arrival.timed), first)
    money = [arrival for arrival in ranked if arrival.revenue is not None]
    # Stable, too: within a trust, money with a stated currency goes before money in the default one.
    paid = min(money, key=lambda one: (one.defaulted, one.trust, one.mailing.currency_defaulted), default=None)

    def known(field: str) -> str:
        return next((value for arrival in ranked if (value := getattr(arrival, field))), "")

    return Merged(
        is_conversion=any(arrival.is_conversion for arrival in ranked),
        kind=first.kind,
        order_id=first.order_id,
        trust=first.trust,
        converted_at=timed.converted_at,
        received_at=min(arrival.received_at for arrival in ranked),
        user_id=known("user_id"),
        anonymous_id=known("anonymous_id"),
        session_id=known("session_id"),
        click_id=known("click_id"),
        revenue=paid.revenue if paid else None,
        currency=paid.currency if paid else "",
    )
