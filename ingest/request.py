"""A request -> events or refusals, one for each item. Pure: the time of receipt and new ids are handed in.

1. One bad item never costs its neighbours anything: its refusal names its index and its field.
2. The id of an event is, in this order: the client's own, the ``Idempotency-Key`` (in a batch with the item's bytes and
   its occurrence, so that re-sending a part dedupes), a new UUIDv7.
3. What a browser's key sends is marked if it comes from a program, and may not be older than the limit.
4. An e-mail address names the contact and is kept nowhere in the clear: see :mod:`ingest.mailing`.
5. A refund (rules in :mod:`ingest.refunds`) is an event, too: ``revenue`` is its amount, whatever its sign.
6. Where only conversions are taken the type goes without saying, another one is refused, and the name must be there:
   it is part of the conversion's identity.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Raw

from control.contacts import Contacts
from ingest import fields, refunds
from ingest.body import split, too_deep
from ingest.fields import MISSING, ClientEvent, Notice
from ingest.mailing import mailing_of
from ingest.money import amount
from ingest.objects import read_context, read_properties
from ingest.timestamps import FIELD as TIMESTAMP
from ingest.timestamps import instant
from ingest.user_data import NOTHING, given_in, ignored
from ingest.user_data import read as read_user_data
from ingest.visitor import visitor_key
from schemas.errors import Reason, Refused
from schemas.events import EMPTY_OBJECT, RawEvent, Refund
from schemas.ids import batch_event_id, client_event_id, conversion_id, refund_event_id
from schemas.mailing import INTERACTIONS, NO_MAILING
from schemas.outcomes import Mark, Trust
from schemas.settings import IngestSettings

CONVERSION: Final = "conversion"
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may hold. Bytes, events, levels, milliseconds."""

    event_bytes: int
    events: int
    depth: int
    public_age_ms: int
    skew_ms: int

    @classmethod
    def of(cls, settings: IngestSettings) -> "Limits":
        return cls(
            event_bytes=settings.event_max_bytes,
            events=settings.request_max_events,
            depth=settings.json_max_depth,
            public_age_ms=settings.public_key_max_age_days * DAY_MS,
            skew_ms=settings.clock_skew_max_hours * HOUR_MS,
        )


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a request but its body."""

    project_id: str
    trust: Trust
    received_at: int
    new_id: Callable[[], str]
    contacts: Contacts
    """Names those whose e-mail addresses the events hold."""
    idempotency_key: str = ""
    fingerprint: str = ""
    """Empty for a server's traffic."""
    user_agent: str = ""
    """Of the visitor's browser; empty where only a server speaks."""
    bot: bool = False
    conversions: bool = False
    """Sent to where only conversions are taken."""


class Parsed(msgspec.Struct, frozen=True):
    """A request's items, in order."""

    batch: bool
    items: list[RawEvent | Refused]
    notices: dict[int, list[Notice]]
    """What the sender of the item at this index is warned of."""
    conversions: bool = False
    """Every item accepted is a conversion, whose id the sender is told."""


def parse(body: bytes, sender: Sender, limits: Limits) -> Parsed:
    """Every item of the body, accepted or refused. Raises :class:`Refused` for what is wrong with all of it."""
    if len(sender.idempotency_key) > fields.IDEMPOTENCY_KEY_MAX:
        message = f"must have at most {fields.IDEMPOTENCY_KEY_MAX} characters"
        raise Refused(Reason.TOO_LONG, message, field="Idempotency-Key")
    found = split(body, max_events=limits.events)
    parsed = Parsed(found.batch, [], {}, sender.conversions)
    name = _Ids(sender, found.batch).name
    for index, raw in enumerate(found.items):
        item = bytes(raw)
        notices: list[Notice] = []
        try:
            if len(item) > limits.event_bytes:
                raise Refused(Reason.TOO_LARGE, f"an event may have at most {limits.event_bytes} bytes")
            if found.lone_surrogate:
                _check_surrogates(item, found.lone_surrogate)
            parsed.items.append(_event(item, sender, limits, name, notices))
        except Refused as refusal:
            parsed.items.append(refusal)
        except RecursionError:
            parsed.items.append(too_deep())
        else:
            if notices:
                parsed.notices[index] = notices
    return parsed


class _Ids:
    """Names the events of one request."""

    def __init__(self, sender: Sender, batch: bool) -> None:
        self._sender = sender
        self._batch = batch
        self._seen: dict[bytes, int] = {}

    def name(self, client_id: str, item: bytes) -> str:
        sender = self._sender
        if client_id:
            return client_event_id(sender.project_id, sender.trust, client_id)
        if not sender.idempotency_key:
            return sender.new_id()
        if not self._batch:
            return client_event_id(sender.project_id, sender.trust, sender.idempotency_key)
        occurrence = self._seen.get(item, 0)
        self._seen[item] = occurrence + 1
        return batch_event_id(sender.project_id, sender.trust, sender.idempotency_key, item, occurrence)


def _check_surrogates(item: bytes, stand_in: bytes) -> None:
    if stand_in in item:
        names = [name for name, raw in fields.members(item).items() if stand_in in bytes(raw)]
        raise Refused(Reason.INVALID_TEXT, "the text holds a lone surrogate", field=names[0] if names else None)


def _event(
    item: bytes, sender: Sender, limits: Limits, name: Callable[[str, bytes], str], notices: list[Notice]
) -> RawEvent:
    try:
        client = fields.decode(item)
    except msgspec.MsgspecError:
        client, moved = fields.read(item)
        notices += moved
    else:
        if fields.out_of_place(client):
            client, moved = fields.read(item)
            notices += moved

    event_type = _conversion_type(client) if sender.conversions else client.event_type
    if not event_type:
        raise Refused(Reason.MISSING_FIELD, "is required", field="event_type")
    event_name = client.event_name or ""
    user_data = client.user_data
    properties, order_id = EMPTY_OBJECT, ""
    if client.properties is not EMPTY_OBJECT:
        properties, order_id, inner = read_properties(client.properties, limits.depth)
        user_data = user_data if inner is MISSING or given_in(user_data) else inner
    if client.order_id is not None:
        order_id = fields.named(client.order_id) or order_id
    context, campaign = EMPTY_OBJECT, None
    if client.context is not EMPTY_OBJECT:
        context, campaign, inner = read_context(client.context, limits.depth)
        user_data = user_data if inner is MISSING or given_in(user_data) else inner
    revenue = None if client.revenue is MISSING else _revenue(client.revenue, event_type)
    currency = fields.currency_code(client.currency) if client.currency else ""
    marks: tuple[str, ...] = (Mark.BOT.value,) if sender.bot else ()

    occurred_at, timed = sender.received_at, False
    if client.timestamp is not None and client.timestamp != "":
        occurred_at, timed = instant(client.timestamp), True
        if occurred_at > sender.received_at + limits.skew_ms:
            occurred_at, timed = sender.received_at, False
            marks = (*marks, Mark.CLAMPED.value)
            notices.append(Notice("timestamp_clamped", "too far in the future; the time of receipt is used", TIMESTAMP))
        elif sender.trust is not Trust.SECRET and occurred_at < sender.received_at - limits.public_age_ms:
            days = limits.public_age_ms // DAY_MS
            message = f"a public key may send events of the last {days} days only"
            raise Refused(Reason.TIMESTAMP_TOO_OLD, message, field=TIMESTAMP)

    visitor_stated = NOTHING
    if event_type == CONVERSION:
        visitor_stated = read_user_data(
            user_data,
            client.consent,
            url=client.url or "",
            user_agent=sender.user_agent,
            at=occurred_at,
            notices=notices,
            email=client.email or "",
        )
    elif user_data is not MISSING or client.consent is not None:
        ignored(user_data, client.consent, notices)
    conversion, refund = "", None
    if order_id or event_type == CONVERSION or event_type == refunds.REFUND:
        refunds.check_parts(event_name=event_name, order_id=order_id)
    if event_type == refunds.REFUND:
        event_id, target, refund = _refund(client, item, sender, name, event_name, order_id, properties)
        revenue = refunds.taken_back(revenue, field="revenue")
    else:
        event_id = name(_client_id(client), item)
        if order_id or event_type == CONVERSION:
            conversion = conversion_id(sender.project_id, event_name, order_id, event_id)
    # Most events have few of these: a call is spared for each that is missing.
    user_id = "" if client.user_id is None else fields.named(client.user_id)
    anonymous_id = "" if client.anonymous_id is None else fields.named(client.anonymous_id)
    session_id = "" if client.session_id is None else fields.named(client.session_id)
    click_id = "" if client.click_id is None else fields.named(client.click_id)
    mailing, interaction = NO_MAILING, event_type in INTERACTIONS
    if interaction or client.email or client.contact_id is not None:
        mailing = mailing_of(
            client, event_type, sender.project_id, sender.trust, sender.contacts, seals=bool(conversion)
        )
    return RawEvent(
        project_id=sender.project_id,
        event_id=event_id,
        trust=sender.trust,
        received_at=sender.received_at,
        occurred_at=occurred_at,
        timed=timed,
        checksum=crc32(item),
        marks=marks,
        event_type=event_type,
        event_name=event_name,
        visitor=f"o:{target.key}"
        if refund is not None
        else visitor_key(
            anonymous_id=anonymous_id,
            user_id=user_id,
            click_id="" if interaction else click_id,
            fingerprint="" if interaction else sender.fingerprint,
            contact_id=mailing.contact_id,
            event_id=event_id,
        ),
        user_id=user_id,
        anonymous_id=anonymous_id,
        session_id=session_id,
        click_id=click_id,
        fingerprint=sender.fingerprint,
        url=client.url or "",
        referrer=client.referrer or "",
        campaign=campaign,
        revenue=revenue,
        currency=currency,
        order_id=order_id,
        conversion_id=conversion,
        mailing=mailing,
        refund=refund,
        identifiers=visitor_stated.identifiers,
        consent=visitor_stated.consent,
        properties=properties,
        context=context,
    )


def _refund(
    client: ClientEvent,
    item: bytes,
    sender: Sender,
    name: Callable[[str, bytes], str],
    kind: str,
    order_id: str,
    properties: Raw,
) -> tuple[str, refunds.Target, Refund]:
    """A refund's event id, what it refunds, and its own name: ``refund_id``, else the event's id."""
    if sender.trust is not Trust.SECRET:
        raise Refused(Reason.INSUFFICIENT_SCOPE, "only a secret key may refund", field="event_type")
    if not order_id:
        raise Refused(Reason.MISSING_FIELD, "a refund names its order", field="order_id")
    target = refunds.target_of_order(sender.project_id, kind, order_id)
    client_id = _client_id(client)
    refund_id = refunds.refund_id_in(fields.decode_members(properties))
    if refund_id and not client_id:
        event_id = refund_event_id(sender.project_id, target.key, refund_id)
    else:
        event_id = name(client_id, item)
    return event_id, target, target.refund(refund_id or client_id or event_id)


def _conversion_type(client: ClientEvent) -> str:
    if client.event_type and client.event_type != CONVERSION:
        message = "must be conversion here; post other events to /events"
        raise Refused(Reason.INVALID_VALUE, message, field="event_type")
    if not client.event_name:
        raise Refused(Reason.MISSING_FIELD, "is required", field="event_name")
    return CONVERSION


def _client_id(client: ClientEvent) -> str:
    """The client's own id for the event, under any of its names; empty if it has none."""
    for value in (client.event_id, client.message_id_camel, client.message_id):
        if value is not None and (named := fields.named(value)):
            return named
    return ""


def _revenue(raw: Raw, event_type: str) -> Decimal | None:
    literal = bytes(raw)
    if literal in (b"null", b'""'):
        return None
    revenue = amount(literal, field="revenue")
    if revenue < 0 and event_type != refunds.REFUND:
        raise Refused(Reason.INVALID_MONEY, "may be negative only for event_type refund", field="revenue")
    return revenue
