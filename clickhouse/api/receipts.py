"""What became of one event: where it is in the log, what the stages did with it, what was booked for it."""

import asyncio
import uuid
from decimal import Decimal
from typing import Final

from litestar import Controller, get
from litestar.params import FromPath
from msgspec import UNSET, Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.exact import count, money
from clickhouse.api.given import GivenKafka, GivenProject, GivenReader
from clickhouse.api.receipt_answers import (
    Bookings,
    Conversion,
    CreditBooking,
    GoalBooking,
    Position,
    Receipt,
    Refund,
    Session,
)
from clickhouse.read import Reader
from schemas.control import Project, Scope
from schemas.errors import Reason, Refused
from schemas.ids import client_event_id
from schemas.outcomes import Outcome, Stage, Trust
from schemas.topics import EVENTS_RAW

EVENT_ID_MAX_CHARS: Final = 256


class _Event(Struct, frozen=True, kw_only=True):
    event_id: str
    event_type: str
    event_name: str
    occurred_ms: int
    received_ms: int
    marks: list[str]
    kafka_partition: int
    kafka_offset: int
    kafka_index: int
    session_id: str
    started_ms: int
    source: str
    medium: str
    campaign: str
    channel: str
    routed: bool
    conversion_id: str
    refund_id: str
    order_id: str
    asked: Decimal | None
    currency: str


class _Refund(Struct, frozen=True, kw_only=True):
    conversion_id: str
    currency: str
    amount: Decimal


class _Conversion(Struct, frozen=True, kw_only=True):
    conversion_id: str
    counts: bool
    kind: str
    order_id: str
    converted_ms: int
    revenue: Decimal | None
    currency: str
    trust: str
    arrivals: int


class _Hit(Struct, frozen=True, kw_only=True):
    goal_id: str
    currency: str
    conversions: int
    revenue: Decimal
    run: int


class _Credit(Struct, frozen=True, kw_only=True):
    scope: str
    model: str
    touch_id: str
    touched_ms: int
    matched_by: str
    source: str
    medium: str
    campaign: str
    channel: str
    currency: str
    share: Decimal
    amount: Decimal
    run: int


class _DeadLetter(Struct, frozen=True, kw_only=True):
    event_id: str
    received_ms: int
    reason: str
    kafka_partition: int
    kafka_offset: int
    kafka_index: int


class _Progress(Struct, frozen=True):
    received: int
    clock_ms: int


class Receipts(Controller):
    """Receipts of events."""

    path = "/v1/projects/{project_id:str}/events"
    guards = (guard,)
    tags = ("Receipts",)

    @get(
        "/{event_id:str}/receipt",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="What became of an event, by our id or by the client's own",
    )
    async def receipt(
        self, project: GivenProject, kafka: GivenKafka, reader: GivenReader, event_id: FromPath[str]
    ) -> Receipt:
        topic = kafka.topic_prefix + EVENTS_RAW.name
        ids = candidates(project.id, event_id)
        events = await reader.rows("receipt_event", _Event, {"project_id": project.id, "event_ids": ids})
        if events:
            return await _stored(reader, project, topic, events[0])
        letters = await reader.rows("receipt_dead_letter", _DeadLetter, {"project_id": project.id, "event_ids": ids})
        if letters:
            return _quarantined(topic, letters[0])
        progress = await reader.row("stage_progress", _Progress, {"stage": Stage.EVENTS.value})
        reached = f"up to {instant(progress.clock_ms).isoformat()}" if progress.received else "none so far"
        raise Refused(
            Reason.NOT_FOUND,
            f"no such event is stored; the events stage has processed {progress.received} events received, {reached}",
            field="event_id",
        )


def candidates(project_id: str, event_id: str) -> list[str]:
    """The ids that a text may stand for: itself, and what each kind of key makes of a client's own id.

    Raises :class:`Refused` (not_found) for a text longer than any id.
    """
    if len(event_id) > EVENT_ID_MAX_CHARS:
        raise Refused(Reason.NOT_FOUND, "no event has such an id", field="event_id")
    derived = [client_event_id(project_id, trust, event_id) for trust in Trust]
    try:
        return [str(uuid.UUID(event_id)), *derived]
    except ValueError:
        return derived


async def _stored(reader: Reader, project: Project, topic: str, event: _Event) -> Receipt:
    hit_id = event.conversion_id if event.routed else event.event_id
    refunds: list[_Refund] = []
    if event.refund_id:
        refunds = await reader.rows("receipt_refund", _Refund, {"project_id": project.id, "event_id": event.event_id})
    conversions, hits, credits = await asyncio.gather(
        reader.rows(
            "receipt_conversion", _Conversion, {"project_id": project.id, "conversion_id": event.conversion_id}
        ),
        reader.rows("receipt_hits", _Hit, {"project_id": project.id, "hit_id": hit_id}),
        reader.rows("receipt_credits", _Credit, {"project_id": project.id, "conversion_id": event.conversion_id}),
    )
    return Receipt(
        event_id=event.event_id,
        accepted=True,
        received_at=instant(event.received_ms),
        occurred_at=instant(event.occurred_ms),
        event_type=event.event_type,
        event_name=event.event_name,
        marks=event.marks,
        position=Position(topic, event.kafka_partition, event.kafka_offset, event.kafka_index),
        outcome=Outcome.STORED,
        session=None
        if not event.session_id
        else Session(
            session_id=event.session_id,
            started_at=instant(event.started_ms),
            source=event.source,
            medium=event.medium,
            campaign=event.campaign,
            channel=event.channel,
        ),
        conversion=_conversion(conversions[0]) if conversions and conversions[0].counts else None,
        refund=_refund(event, refunds) if event.refund_id else UNSET,
        bookings=Bookings([_goal_booking(hit) for hit in hits], [_credit_booking(credit) for credit in credits]),
    )


def _quarantined(topic: str, letter: _DeadLetter) -> Receipt:
    return Receipt(
        event_id=letter.event_id,
        accepted=True,
        received_at=instant(letter.received_ms),
        marks=[],
        position=Position(topic, letter.kafka_partition, letter.kafka_offset, letter.kafka_index),
        outcome=Outcome.QUARANTINED,
        reason=letter.reason,
        bookings=Bookings([], []),
    )


def _refund(event: _Event, applied: list[_Refund]) -> Refund:
    found = applied[0] if applied else None
    return Refund(
        refund_id=event.refund_id,
        order_id=event.order_id or None,
        conversion_id=found.conversion_id if found else None,
        asked=None if event.asked is None else money(event.asked),
        applied=money(found.amount if found else Decimal(0)),
        currency=(found.currency if found else event.currency) or None,
    )


def _conversion(found: _Conversion) -> Conversion:
    return Conversion(
        conversion_id=found.conversion_id,
        kind=found.kind,
        order_id=found.order_id or None,
        converted_at=instant(found.converted_ms),
        revenue=None if found.revenue is None else money(found.revenue),
        currency=found.currency or None,
        trust=found.trust,
        arrivals=found.arrivals,
    )


def _goal_booking(hit: _Hit) -> GoalBooking:
    return GoalBooking(
        goal_id=hit.goal_id,
        conversions=hit.conversions,
        revenue=money(hit.revenue),
        currency=hit.currency or None,
        run=hit.run,
    )


def _credit_booking(credit: _Credit) -> CreditBooking:
    return CreditBooking(
        scope=credit.scope,
        model=credit.model,
        touch_id=credit.touch_id,
        touched_at=instant(credit.touched_ms),
        matched_by=credit.matched_by,
        source=credit.source,
        medium=credit.medium,
        campaign=credit.campaign,
        channel=credit.channel,
        share=count(credit.share),
        amount=money(credit.amount),
        currency=credit.currency or None,
        run=credit.run,
    )
