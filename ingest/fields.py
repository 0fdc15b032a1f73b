"""The fields of an event as clients send them: names, JSON types, lengths, and the values that mean nothing.

1. The normal path decodes an event once, straight into :class:`ClientEvent`: types and lengths are checked in C.
2. An event that does not fit (an unknown field, a number with a point as an id, a real mistake) is read again,
   member by member, by :func:`read`, which either makes it fit or names the field that is wrong.
3. ``null`` counts as missing. An unknown top-level field moves into ``properties``, unless it is named there already.
   ``email`` is known, so that no address ends up there.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Final

import msgspec
from babel.numbers import list_currencies
from msgspec import Meta, Raw, field

from schemas.errors import Reason, Refused
from schemas.events import EMPTY_OBJECT
from schemas.mailing import INTERACTIONS

TYPE_MAX: Final = 64
NAME_MAX: Final = 256
ID_MAX: Final = 256
CLICK_ID_MAX: Final = 512
ORDER_ID_MAX: Final = 100
EMAIL_MAX: Final = 254
URL_MAX: Final = 8192
CAMPAIGN_MAX: Final = 512
CURRENCY_MAX: Final = 16
CONSENT_MAX: Final = 16
IDEMPOTENCY_KEY_MAX: Final = 256

CURRENCIES: Final = frozenset(list_currencies())
"""ISO 4217, withdrawn codes included: history may be imported."""

_NOTHING: Final = ("null", "undefined", "none", "nan", "guest", "anonymous", "0", " ")
ABSENT: Final = frozenset(
    {"", "00000000-0000-0000-0000-000000000000"}
    | {word for nothing in _NOTHING for word in (nothing, nothing.upper(), nothing.capitalize())}
    | {"NaN"}
)
"""What broken trackers send as an id. Taken for one, it would merge all their visitors, orders or events into one."""

MISSING: Final = Raw(b"")

_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Id = Annotated[str, Meta(max_length=ID_MAX)] | _Integer | None
_Url = Annotated[str, Meta(max_length=URL_MAX)] | None


class ClientEvent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """An event as a client sends it."""

    event_type: Annotated[str, Meta(max_length=TYPE_MAX)] | None = None
    event_name: Annotated[str, Meta(max_length=NAME_MAX)] | None = None
    event_id: _Id = None
    message_id_camel: _Id = field(default=None, name="messageId")
    message_id: _Id = None
    user_id: _Id = None
    anonymous_id: _Id = None
    session_id: _Id = None
    click_id: Annotated[str, Meta(max_length=CLICK_ID_MAX)] | _Integer | None = None
    order_id: Annotated[str, Meta(max_length=ORDER_ID_MAX)] | _Integer | None = None
    email: Annotated[str, Meta(max_length=EMAIL_MAX)] | None = None
    contact_id: _Id = None
    campaign_id: _Id = None
    flow_id: _Id = None
    url: _Url = None
    referrer: _Url = None
    timestamp: str | int | float | None = None
    revenue: Raw = MISSING
    """The literal: money is never read as a float."""
    currency: Annotated[str, Meta(max_length=CURRENCY_MAX)] | None = None
    properties: Raw = EMPTY_OBJECT
    context: Raw = EMPTY_OBJECT
    user_data: Raw = MISSING
    """Who the visitor is: see :mod:`ingest.user_data`."""
    consent: Annotated[str, Meta(max_length=CONSENT_MAX)] | bool | None = None


class _Kind(Enum):
    """JSON types a member may have, as a refusal describes them."""

    TEXT = "a string"
    ID = "a string or a number"
    TIME = "an ISO 8601 string or a Unix time"
    CONSENT = "a string or a boolean"
    ANY = "anything"
    """Kept as written: what it must be is decided where it is read."""


_RULES: Final[dict[str, tuple[_Kind, int]]] = {
    "event_type": (_Kind.TEXT, TYPE_MAX),
    "event_name": (_Kind.TEXT, NAME_MAX),
    "event_id": (_Kind.ID, ID_MAX),
    "messageId": (_Kind.ID, ID_MAX),
    "message_id": (_Kind.ID, ID_MAX),
    "user_id": (_Kind.ID, ID_MAX),
    "anonymous_id": (_Kind.ID, ID_MAX),
    "session_id": (_Kind.ID, ID_MAX),
    "click_id": (_Kind.ID, CLICK_ID_MAX),
    "order_id": (_Kind.ID, ORDER_ID_MAX),
    "email": (_Kind.TEXT, EMAIL_MAX),
    "contact_id": (_Kind.ID, ID_MAX),
    "campaign_id": (_Kind.ID, ID_MAX),
    "flow_id": (_Kind.ID, ID_MAX),
    "url": (_Kind.TEXT, URL_MAX),
    "referrer": (_Kind.TEXT, URL_MAX),
    "timestamp": (_Kind.TIME, 0),
    "revenue": (_Kind.ANY, 0),
    "currency": (_Kind.TEXT, CURRENCY_MAX),
    "properties": (_Kind.ANY, 0),
    "context": (_Kind.ANY, 0),
    "user_data": (_Kind.ANY, 0),
    "consent": (_Kind.CONSENT, CONSENT_MAX),
}
_OF_INTERACTIONS: Final = ("campaign_id", "flow_id")
"""Fields of e-mail interactions; in any other event a client's own words, as unknown as the rest of them."""
_ATTRIBUTES: Final = {"messageId": "message_id_camel"}


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A warning in the answer: the event was accepted, but not word for word."""

    code: str
    message: str
    field: str = ""


decode = msgspec.json.Decoder(ClientEvent).decode
"""The normal path. Raises msgspec's DecodeError or ValidationError: then :func:`read` finds out why."""

decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
decode_any = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int | float).decode
_encode = msgspec.json.Encoder().encode


def read(item: bytes | Raw) -> tuple[ClientEvent, list[Notice]]:
    """The event in ``item``, read member by member, with a notice for each member that moved.

    Raises :class:`Refused` naming the first field that is wrong.
    """
    values: dict[str, object] = {}
    unknown: dict[str, Raw] = {}
    given = members(item)
    interaction = _is_interaction(given)
    for name, raw in given.items():
        literal = bytes(raw)
        if name not in _RULES or (name in _OF_INTERACTIONS and not interaction and literal != b"null"):
            unknown[name] = raw
        elif literal != b"null":
            values[_ATTRIBUTES.get(name, name)] = _read_member(name, literal)
    notices: list[Notice] = []
    if unknown:
        properties = values.get("properties", EMPTY_OBJECT)
        assert isinstance(properties, Raw)
        values["properties"] = _adopt(properties, unknown, notices)
    return ClientEvent(**values), notices  # type: ignore[arg-type]


def members(item: bytes | Raw) -> dict[str, Raw]:
    """The members of a JSON object. Raises :class:`Refused`."""
    try:
        return decode_members(item)
    except msgspec.ValidationError:
        raise Refused(Reason.WRONG_TYPE, "an event must be a JSON object") from None
    except msgspec.DecodeError:
        raise Refused(Reason.MALFORMED_JSON, "the body is not valid JSON") from None
    except RecursionError:
        raise Refused(Reason.TOO_DEEP, "the JSON is nested too deep") from None


def out_of_place(client: ClientEvent) -> bool:
    """Whether the event has fields that are none in an event of its type: then :func:`read` moves them."""
    return (client.campaign_id is not None or client.flow_id is not None) and client.event_type not in INTERACTIONS


def _is_interaction(given: Mapping[str, Raw]) -> bool:
    literal = bytes(given.get("event_type", MISSING))
    return literal[:1] == b'"' and _decode_text(literal) in INTERACTIONS


def _read_member(name: str, literal: bytes) -> object:
    kind, limit = _RULES[name]
    first = literal[:1]
    is_text = first == b'"'
    is_number = first in b"-0123456789"
    match kind:
        case _Kind.TEXT | _Kind.CONSENT if is_text:
            return bounded(_decode_text(literal), limit, name)
        case _Kind.ID if is_text or is_number:
            return bounded(_decode_text(literal) if is_text else literal.decode(), limit, name)
        case _Kind.TIME if is_text:
            return _decode_text(literal)
        case _Kind.TIME if is_number:
            try:
                return _decode_number(literal)
            except msgspec.ValidationError:
                raise Refused(Reason.INVALID_TIMESTAMP, "is out of range", field=name) from None
        case _Kind.CONSENT if literal in (b"true", b"false"):
            return literal == b"true"
        case _Kind.ANY:
            return Raw(literal)
    raise wrong_type(name, kind.value)


def _adopt(properties: Raw, unknown: Mapping[str, Raw], notices: list[Notice]) -> Raw:
    """``properties`` with the unknown members added, each as the client wrote it."""
    try:
        adopted = {} if bytes(properties) == b"[]" else decode_members(properties)
    except msgspec.ValidationError:
        raise wrong_type("properties", "an object") from None
    for name, raw in unknown.items():
        if name in adopted:
            notices.append(Notice("field_ignored", "not a field, and properties already names it", name))
        else:
            adopted[name] = raw
            notices.append(Notice("unknown_field", "not a field of an event; moved into properties", name))
    return Raw(_encode(adopted))


def bounded(text: str, limit: int, name: str) -> str:
    """``text``, if it has at most ``limit`` characters. Raises :class:`Refused` (``too_long``)."""
    if len(text) > limit:
        raise Refused(Reason.TOO_LONG, f"must have at most {limit} characters", field=name)
    return text


def wrong_type(name: str, expected: str) -> Refused:
    """The refusal of a member with another JSON type."""
    return Refused(Reason.WRONG_TYPE, f"must be {expected}", field=name)


def currency_code(text: str) -> str:
    """The code in upper case. Raises :class:`Refused` (``invalid_currency``) unless ISO 4217 knows it."""
    code = text.upper()
    if code not in CURRENCIES:
        raise Refused(Reason.INVALID_CURRENCY, "must be an ISO 4217 code like USD", field="currency")
    return code


def named(value: str | int | None) -> str:
    """An id as text; empty if it is missing or a placeholder for nothing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return "" if text in ABSENT else text


def part_of_name(text: str, field: str) -> str:
    """A text that an id is derived from, as it is. Raises :class:`Refused` (invalid_text).

    Parts of a derived name are joined by the unit separator: within a part it could forge another's name.
    """
    if "\x1f" in text:
        raise Refused(Reason.INVALID_TEXT, "must not hold the unit separator", field=field)
    return text


def shapes() -> dict[str, dict[str, object]]:
    """JSON Schema of each member of an event, from the same rules."""
    return {
        name: {"description": "Of an e-mail interaction"} if name in _OF_INTERACTIONS else _shape(kind, limit)
        for name, (kind, limit) in _RULES.items()
    }


def _shape(kind: _Kind, limit: int) -> dict[str, object]:
    match kind:
        case _Kind.TEXT:
            return {"type": ["string", "null"], "maxLength": limit}
        case _Kind.ID:
            return {"type": ["string", "integer", "null"], "maxLength": limit}
        case _Kind.TIME:
            return {"type": ["string", "number", "null"], "description": f"{kind.value}; default: the time of receipt"}
        case _Kind.CONSENT:
            return {"type": ["string", "boolean", "null"], "maxLength": limit}
        case _Kind.ANY:
            return {}
