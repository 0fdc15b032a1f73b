"""What a conversion is made of.

1. An event that is a conversion, or names an order, is an *arrival* of its conversion: one immutable row.
2. One order is one conversion for ever; an arrival is known by its conversion and its own event id.
3. The conversion is *announced* with its first arrival that is a conversion; one that merely names an order is not.
4. Each field of the conversion comes from the most trusted, then first, arrival that has it. Amount and currency travel
   together; a default amount counts as missing, and so does a default currency beside others of the same trust. A
   time that is only the time of receipt counts as missing while another arrival states one.
   (The view ``conversions`` says the same in SQL; a property test compares the two.)
5. It is announced again when a later arrival changes its money by rule 4, or is the first to name a link goal.
   Announcements are numbered from 1.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from processors.core.locations import page_of
from schemas.events import Arrival, Conversion, RawEvent
from schemas.mailing import Mailing
from schemas.outcomes import NoticeEvent, Trust

MONEY_QUANTUM: Final = Decimal("0.0001")
RANKS: Final = 2 * len(Trust)
"""Ranks of stated money; those of defaults come after them."""


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
        page=page_of(event.url) if event.is_conversion else "",
        visitor=event.visitor,
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        session_id=session_id,
        click_id=event.click_id,
        fingerprint=event.fingerprint,
        revenue=event.revenue,
        currency=event.currency,
        mailing=_without_claims(event.mailing) if event.is_interaction else event.mailing,
        defaulted=event.defaulted,
        goal_id=event.goal_id,
        window_days=event.window_days,
        identifiers=event.identifiers,
        consent=event.consent,
        properties=event.properties,
    )


def _without_claims(mailing: Mailing) -> Mailing:
    """Who it is remains; what somebody did with a campaign is no claim that the order is the campaign's."""
    return msgspec.structs.replace(mailing, campaign_id="", flow_id="")


class Money(msgspec.Struct, frozen=True, array_like=True):
    """An amount, and how it stands against others of its conversion: the lowest rank wins, of equal ones the first."""

    rank: int
    revenue: Decimal
    """With four digits after the point."""
    currency: str


class Announced(msgspec.Struct, frozen=True, array_like=True):
    """What the stored arrivals of a conversion have led to: all that decides whether another one is announced."""

    revision: int = 0
    """Announcements so far."""
    money: Money | None = None
    goal_id: str = ""


UNKNOWN: Final = Announced()


def money_of(
    trust: int, revenue: Decimal | None, currency: str, *, defaulted: bool, currency_defaulted: bool
) -> Money | None:
    """The money of an arrival; None if it states none (rule 4)."""
    if revenue is None:
        return None
    return Money(RANKS * defaulted + 2 * trust + currency_defaulted, revenue.quantize(MONEY_QUANTUM), currency)


def announced_after(before: Announced, *, is_conversion: bool, money: Money | None, goal_id: str) -> Announced:
    """What is known after one more arrival; with a higher ``revision`` if it announces (rules 3 and 5)."""
    best = before.money
    if money is not None and (best is None or money.rank < best.rank):
        best = money
    goal = before.goal_id or goal_id
    changed = goal != before.goal_id or _amount(best) != _amount(before.money)
    return Announced(before.revision + (changed if before.revision else is_conversion), best, goal)


def _amount(money: Money | None) -> tuple[Decimal, str] | None:
    return None if money is None else (money.revenue, money.currency)


def announcement_of(arrival: Arrival, announced: Announced) -> Conversion:
    """The line on ``conversions`` for an arrival that announces: of itself, with the money and goal known by then."""
    money = announced.money
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
        goal_id=announced.goal_id,
        revenue=money.revenue if money else None,
        currency=money.currency if money else "",
        event=NoticeEvent.TRACKED if announced.revision == 1 else NoticeEvent.UPDATED,
        revision=announced.revision,
        page=arrival.page,
        identifiers=arrival.identifiers,
        consent=arrival.consent,
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
    contact_id: str
    campaign_id: str
    flow_id: str
    fingerprint: str
    window_days: int
    attribution_window_days: int
    visitor: str


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

    def mailed(field: str) -> str:
        return next((value for arrival in ranked if (value := getattr(arrival.mailing, field))), "")

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
        contact_id=mailed("contact_id"),
        campaign_id=mailed("campaign_id"),
        flow_id=mailed("flow_id"),
        fingerprint=known("fingerprint"),
        window_days=next((arrival.window_days for arrival in ranked if arrival.window_days), 0),
        attribution_window_days=next(
            (days for arrival in ranked if (days := arrival.mailing.attribution_window_days)), 0
        ),
        visitor=first.visitor,
    )
