"""The receipt of an event, as it is answered."""

from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType

from schemas.outcomes import Outcome


class Position(Struct, frozen=True):
    """Where the event is in the log."""

    topic: str
    partition: int
    offset: int
    index: int


class Session(Struct, frozen=True, kw_only=True):
    """The event's session and where it came from."""

    session_id: str
    started_at: datetime
    source: str
    medium: str
    campaign: str
    channel: str


class Conversion(Struct, frozen=True, kw_only=True):
    """The conversion that the event reports, or whose order it names, merged from all its reports."""

    conversion_id: str
    kind: str
    order_id: str | None
    converted_at: datetime
    revenue: Decimal | None
    currency: str | None
    trust: str
    arrivals: int


class Refund(Struct, frozen=True, kw_only=True):
    """What a refund takes back now. ``asked``: null for all that is left. ``conversion_id``: null while it applies to
    none: its sale is not there, it is in another currency, or another event had asked for the same refund."""

    refund_id: str
    order_id: str | None
    conversion_id: str | None
    asked: Decimal | None
    applied: Decimal
    currency: str | None


class GoalBooking(Struct, frozen=True, kw_only=True):
    """A goal that counts it. ``run``: the last run that changed this."""

    goal_id: str
    conversions: int
    revenue: Decimal
    currency: str | None
    run: int


class CreditBooking(Struct, frozen=True, kw_only=True):
    """A source that is credited for it. ``run``: the last run that changed this."""

    scope: str
    model: str
    touch_id: str
    touched_at: datetime
    matched_by: str
    source: str
    medium: str
    campaign: str
    channel: str
    share: Decimal
    amount: Decimal
    currency: str | None
    run: int


class Bookings(Struct, frozen=True):
    """What the books hold for it now, net of all corrections."""

    goals: list[GoalBooking]
    credits: list[CreditBooking]


class Receipt(Struct, frozen=True, kw_only=True):
    """``accepted``: Kafka has it. ``reason`` is there if it was quarantined."""

    event_id: str
    accepted: bool
    received_at: datetime
    occurred_at: datetime | UnsetType = UNSET
    event_type: str | UnsetType = UNSET
    event_name: str | UnsetType = UNSET
    marks: list[str]
    position: Position
    outcome: Outcome
    reason: str | UnsetType = UNSET
    session: Session | None = None
    conversion: Conversion | None = None
    refund: Refund | UnsetType = UNSET
    bookings: Bookings
