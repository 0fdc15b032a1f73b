"""Seed S3's conversions, ``POST /api/v1/conversions``: a request -> one event, and the answer to it. Pure.

1. The conversion is an event of type ``conversion`` named by its ``type``, so stages, goals and reports take it as any.
2. All that is answered is a function of the request and the time of receipt: nothing is looked up. A repeated order has
   the same conversion id, and the very same bytes under one order are the same event.
3. ``email`` or ``contact_id`` says whose conversion it is; a contact id that is given wins over the address's own.
4. ``null`` counts as missing, unknown fields are ignored. What has a default is stored only if it was stated, since a
   default gives way to another report's statement; the money's currency is stored with a mark.
5. The address is also hashed as the advertising platforms want it, for forwarding, like ``user_data`` of other events.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec
from msgspec import Raw

from ingest import fields
from ingest.body import single
from ingest.mailing import address_of, part_of_name
from ingest.money import amount, shown
from ingest.objects import read_metadata
from ingest.request import Limits, Sender
from ingest.user_data import CONSENT
from ingest.user_data import FIELD as USER_DATA
from ingest.user_data import read as user_data_of
from ingest.visitor import contact_key
from schemas.errors import Reason, Refused
from schemas.events import EMPTY_OBJECT, RawEvent
from schemas.ids import batch_event_id, client_event_id, conversion_id
from schemas.instants import written
from schemas.mailing import (
    CURRENCY,
    WINDOW_DAYS,
    WINDOW_MAX_DAYS,
    AttributionModel,
    ConversionType,
    Mailing,
    Named,
    id_of,
)

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

E = TypeVar("E", bound=StrEnum)


class Accepted(msgspec.Struct, frozen=True):
    """What a request comes to."""

    event: RawEvent
    body: bytes
    """Of the answer, once Kafka has the event."""


def read(body: bytes, sender: Sender, limits: Limits) -> Accepted:
    """The conversion that a request reports. Raises :class:`Refused` naming the first field that is wrong."""
    if len(sender.idempotency_key) > fields.IDEMPOTENCY_KEY_MAX:
        message = f"must have at most {fields.IDEMPOTENCY_KEY_MAX} characters"
        raise Refused(Reason.TOO_LONG, message, field="Idempotency-Key")
    found = single(body, "the body must be one conversion, an object")
    item = bytes(found.items[0])
    if len(item) > limits.event_bytes:
        raise Refused(Reason.TOO_LARGE, f"a conversion may have at most {limits.event_bytes} bytes")
    given = {name: raw for name, raw in fields.members(item).items() if bytes(raw) != b"null"}
    if found.lone_surrogate:
        field = next((name for name, raw in given.items() if found.lone_surrogate in bytes(raw)), None)
        raise Refused(Reason.INVALID_TEXT, "the text holds a lone surrogate", field=field)
    return _conversion(item, given, sender, limits)


def _conversion(item: bytes, given: dict[str, Raw], sender: Sender, limits: Limits) -> Accepted:
    project_id, contacts = sender.project_id, sender.contacts
    email = address_of(_text(given, "email", fields.EMAIL_MAX))
    contact_id = _named(given, Named.CONTACT, project_id)
    if not email and not contact_id:
        raise Refused(Reason.MISSING_FIELD, "email or contact_id is required", field="email")
    contact_id = contact_id or contacts.id_of(project_id, email)
    kind = _choice(given, "type", ConversionType) or ConversionType.CUSTOM
    revenue = _revenue(given)
    currency = _text(given, "currency", fields.CURRENCY_MAX)
    order_id = _id(given, "order_id", fields.ORDER_ID_MAX)
    campaign_id = _named(given, Named.CAMPAIGN, project_id)
    flow_id = _named(given, Named.FLOW, project_id)
    model = _choice(given, "attribution_model", AttributionModel)
    window = _window(given)
    metadata, user_data = EMPTY_OBJECT, fields.MISSING
    if "metadata" in given:
        metadata, user_data = read_metadata(given["metadata"], limits.depth)
    stated = user_data_of(
        given.get(USER_DATA, user_data),
        _consent(given),
        url="",
        user_agent="",
        at=sender.received_at,
        notices=[],  # this API's answer has no place for warnings
        email=email,
    )

    event_id = _event_id(item, order_id, sender)
    event = RawEvent(
        project_id=project_id,
        event_id=event_id,
        trust=sender.trust,
        received_at=sender.received_at,
        occurred_at=sender.received_at,
        checksum=crc32(item),
        event_type="conversion",
        event_name=kind.value,
        visitor=contact_key(contact_id),
        revenue=revenue,
        currency=fields.currency_code(currency) if currency else CURRENCY,
        order_id=order_id,
        conversion_id=conversion_id(project_id, kind.value, order_id, event_id),
        mailing=Mailing(
            contact_id=contact_id,
            sealed_email=contacts.seal(project_id, email) if email else "",
            campaign_id=campaign_id,
            flow_id=flow_id,
            attribution_model=model.value if model else "",
            attribution_window_days=window,
            currency_defaulted=not currency,
        ),
        identifiers=stated.identifiers,
        consent=stated.consent,
        properties=metadata,
    )
    return Accepted(event, _encode(_answer(event)))


def _answer(event: RawEvent) -> dict[str, Any]:
    mailing = event.mailing
    instant = written(event.received_at)
    return {
        "status": "accepted",
        "receipt": f"/v1/projects/{event.project_id}/events/{event.event_id}/receipt",
        "data": {
            "id": event.conversion_id,
            "type": event.event_name,
            "revenue": None if event.revenue is None else shown(event.revenue),
            "currency": event.currency,
            "order_id": event.order_id or None,
            "contact_id": mailing.contact_id,
            "campaign_id": mailing.campaign_id or None,
            "flow_id": mailing.flow_id or None,
            "attribution_model": mailing.attribution_model or AttributionModel.LAST_TOUCH.value,
            "attribution_window": mailing.attribution_window_days or WINDOW_DAYS,
            "metadata": event.properties,
            "converted_at": instant,
            "created_at": instant,
        },
    }


def _event_id(item: bytes, order_id: str, sender: Sender) -> str:
    if sender.idempotency_key:
        return client_event_id(sender.project_id, sender.trust, sender.idempotency_key)
    if order_id:
        return batch_event_id(sender.project_id, sender.trust, f"order\x1f{order_id}", item, 0)
    return sender.new_id()


def _named(given: dict[str, Raw], kind: Named, project_id: str) -> str:
    text = _id(given, f"{kind.value}_id", fields.ID_MAX)
    return id_of(kind, project_id, text) if text else ""


def _id(given: dict[str, Raw], name: str, limit: int) -> str:
    """An id as text: a number is taken for its digits, and what broken systems send for none counts as missing."""
    value = _value(given, name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise fields.wrong_type(name, "a string or an integer")
    return part_of_name(fields.bounded(value, limit, name), name) if value else ""


def _text(given: dict[str, Raw], name: str, limit: int) -> str:
    value = _value(given, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise fields.wrong_type(name, "a string")
    return fields.bounded(value, limit, name)


def _consent(given: dict[str, Raw]) -> str | bool | None:
    value = _value(given, CONSENT)
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise fields.wrong_type(CONSENT, "a string or a boolean")
    return fields.bounded(value, fields.CONSENT_MAX, CONSENT)


def _choice(given: dict[str, Raw], name: str, choices: type[E]) -> E | None:
    value = _value(given, name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise fields.wrong_type(name, "a string")
    try:
        return choices(value)
    except ValueError:
        raise Refused(Reason.INVALID_VALUE, f"must be one of {', '.join(choices)}", field=name) from None


def _revenue(given: dict[str, Raw]) -> Decimal | None:
    if "revenue" not in given:
        return None
    literal = bytes(given["revenue"])
    if literal[:1] not in b'"-0123456789':
        raise fields.wrong_type("revenue", "a number")
    revenue = amount(literal, field="revenue")
    if revenue < 0:
        raise Refused(Reason.INVALID_MONEY, "must be at least 0", field="revenue")
    return revenue


def _window(given: dict[str, Raw]) -> int:
    """Days; 0 if none is stated."""
    days = _value(given, "attribution_window")
    if days is None:
        return 0
    if isinstance(days, bool) or not isinstance(days, int):
        raise fields.wrong_type("attribution_window", "an integer")
    if not 1 <= days <= WINDOW_MAX_DAYS:
        message = f"must lie between 1 and {WINDOW_MAX_DAYS} days"
        raise Refused(Reason.INVALID_VALUE, message, field="attribution_window")
    return days


def _value(given: dict[str, Raw], name: str) -> Any:
    if name not in given:
        return None
    try:
        return _decode(given[name])
    except (msgspec.ValidationError, ValueError):
        raise Refused(Reason.INVALID_VALUE, "is out of range", field=name) from None
