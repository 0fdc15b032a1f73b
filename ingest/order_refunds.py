"""``POST /v1/projects/{id}/conversions/{id or order_id}/refunds``: a request -> one event, and the answer. Pure.

1. ``refund_id``, else the ``Idempotency-Key``, names the refund: sent again, it is the same one. One of them must be
   there, since a retry without it would refund twice.
2. ``kind`` tells conversions of one order apart. ``currency``, if stated, must be the sale's for anything to apply.
3. Other fields are kept as properties.
"""

from typing import Final
from zlib import crc32

import msgspec
from msgspec import Raw

from ingest import fields, refunds
from ingest.body import single
from ingest.fields import Notice
from ingest.objects import read_properties
from ingest.request import Limits, Sender
from ingest.timestamps import FIELD as TIMESTAMP
from ingest.timestamps import instant
from schemas.errors import Reason, Refused
from schemas.events import RawEvent
from schemas.ids import refund_event_id
from schemas.outcomes import Mark

OWN: Final = frozenset({"amount", "currency", "kind", refunds.REFUND_ID, TIMESTAMP})

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_time: Final = msgspec.json.Decoder(str | int | float).decode
_encode: Final = msgspec.json.Encoder().encode


class Accepted(msgspec.Struct, frozen=True):
    """What a request comes to."""

    event: RawEvent
    body: bytes
    """Of the answer, once Kafka has the event."""


def read(body: bytes, refunded: str, sender: Sender, limits: Limits) -> Accepted:
    """The refund that a request asks for. Raises :class:`Refused` naming the first field that is wrong."""
    fields.bounded(sender.idempotency_key, fields.IDEMPOTENCY_KEY_MAX, "Idempotency-Key")
    given = _members(body, limits)
    refund_id = refunds.refund_id_in(given) or sender.idempotency_key
    if not refund_id:
        raise Refused(Reason.MISSING_FIELD, "refund_id or an Idempotency-Key is required", field=refunds.REFUND_ID)
    asked = refunds.asked_in(given)
    kind = _text(given, "kind", fields.NAME_MAX)
    refunds.check_parts(kind=kind)
    currency = _text(given, "currency", fields.CURRENCY_MAX)
    target = refunds.target_of_path(sender.project_id, kind, refunded)
    occurred_at, timed, notices = _time(given, sender, limits)
    rest = {name: raw for name, raw in given.items() if name not in OWN}
    event = RawEvent(
        project_id=sender.project_id,
        event_id=refund_event_id(sender.project_id, target.key, refund_id),
        trust=sender.trust,
        received_at=sender.received_at,
        occurred_at=occurred_at,
        timed=timed,
        checksum=crc32(body),
        marks=(Mark.CLAMPED.value,) if notices else (),
        event_type=refunds.REFUND,
        event_name=kind,
        visitor=f"o:{target.key}",
        order_id=target.order_id,
        revenue=refunds.taken_back(asked, field="amount"),
        currency=fields.currency_code(currency) if currency else "",
        refund=target.refund(refund_id),
        properties=read_properties(Raw(_encode(rest)), limits.depth)[0],
    )
    answer: dict[str, object] = {"status": "accepted", "event_id": event.event_id, "refund_id": refund_id}
    if target.conversion_id:
        answer["conversion_id"] = target.conversion_id
    if notices:
        answer["warnings"] = notices
    return Accepted(event, _encode(answer))


def _members(body: bytes, limits: Limits) -> dict[str, Raw]:
    """The members that are there; an empty body has none."""
    found = single(body if body.strip() else b"{}", "the body must be one refund, an object")
    item = bytes(found.items[0])
    if len(item) > limits.event_bytes:
        raise Refused(Reason.TOO_LARGE, f"a refund may have at most {limits.event_bytes} bytes")
    given = {name: raw for name, raw in fields.members(item).items() if bytes(raw) != b"null"}
    if found.lone_surrogate:
        field = next((name for name, raw in given.items() if found.lone_surrogate in bytes(raw)), None)
        raise Refused(Reason.INVALID_TEXT, "the text holds a lone surrogate", field=field)
    return given


def _text(given: dict[str, Raw], name: str, limit: int) -> str:
    if name not in given:
        return ""
    literal = bytes(given[name])
    if literal[:1] != b'"':
        raise fields.wrong_type(name, "a string")
    return fields.bounded(_decode_text(literal), limit, name)


def _time(given: dict[str, Raw], sender: Sender, limits: Limits) -> tuple[int, bool, list[Notice]]:
    """When it was refunded, whether the client said so, and what to warn of. A time in the future is not believed."""
    if TIMESTAMP not in given:
        return sender.received_at, False, []
    try:
        stated = _decode_time(given[TIMESTAMP])
    except (msgspec.DecodeError, ValueError):
        raise fields.wrong_type(TIMESTAMP, "an ISO 8601 string or a Unix time") from None
    at = instant(stated)
    if at > sender.received_at + limits.skew_ms:
        notice = Notice("timestamp_clamped", "too far in the future; the time of receipt is used", TIMESTAMP)
        return sender.received_at, False, [notice]
    return at, True, []
