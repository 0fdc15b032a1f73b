"""A postback -> the conversion that it reports. Pure.

1. It is read as the event of a conversion whose name is the goal's type, so its fields obey the rules of events:
   ``value`` is the revenue; ``currency``, ``order_id`` and ``click_id`` are themselves; what is unknown moves into
   ``properties``.
2. Without a value it has the goal's default value and currency, marked as a default: a report of the same order that
   states an amount wins, whenever it arrives. A value without a currency is in the goal's.
3. ``ip`` and ``user_agent`` are the visitor's, told by a server; they go into the fingerprint and no further.
4. One order of one goal type is one conversion, however often it is reported.
"""

import ipaddress
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from ingest import fields
from ingest.body import single
from ingest.request import Limits, Parsed, Sender, parse
from schemas.control import LinkGoal
from schemas.errors import Reason, Refused
from schemas.events import RawEvent

TOKEN: Final = "postback_token"
OWN: Final = ("value", "revenue", "ip", "user_agent", TOKEN, "event_type", "event_name")
"""Members that are not passed on as they are."""
USER_AGENT_MAX: Final = 1024
_NULL: Final = b"null"

_encode = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode

Members = dict[str, Raw]


def members_of_body(body: bytes, limits: Limits) -> Members:
    """The members of a postback's JSON object. Raises :class:`Refused`."""
    found = single(body, "a postback reports one conversion: send a JSON object")
    item = bytes(found.items[0])
    if len(item) > limits.event_bytes:
        raise Refused(Reason.TOO_LARGE, f"a postback may have at most {limits.event_bytes} bytes")
    members = fields.members(item)
    if found.lone_surrogate:
        for name, raw in members.items():
            if found.lone_surrogate in bytes(raw):
                raise Refused(Reason.INVALID_TEXT, "the text holds a lone surrogate", field=name)
    return members


def members_of_query(query: bytes) -> Members:
    """The parameters of a pixel, as text; of two with one name the first counts."""
    pairs = parse_qsl(query.decode("latin-1"), errors="replace")
    return {name: Raw(_encode(value)) for name, value in reversed(pairs)}


def text_of(members: Members, name: str, limit: int) -> str:
    """A member that must be text; empty if it is missing. Raises :class:`Refused`."""
    literal = bytes(members.get(name, _NULL))
    if literal == _NULL:
        return ""
    if literal[:1] != b'"':
        raise fields.wrong_type(name, "a string")
    return fields.bounded(_decode_text(literal), limit, name)


def visitor_of(members: Members) -> tuple[str, str] | None:
    """Address and user agent of the visitor, if a server tells both. Raises :class:`Refused`."""
    address, agent = text_of(members, "ip", 64).strip(), text_of(members, "user_agent", USER_AGENT_MAX)
    if not address:
        return None
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise Refused(Reason.INVALID_VALUE, "must be an IPv4 or IPv6 address", field="ip") from None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (str(mapped or found), agent) if agent else None


def tells_visitor(members: Members) -> bool:
    """Whether a server speaks of a visitor: then the request's own address is not the visitor's."""
    return any(bytes(members.get(name, _NULL)) != _NULL for name in ("ip", "user_agent"))


def conversion(members: Members, goal: LinkGoal, sender: Sender, limits: Limits) -> Parsed:
    """The one event that a postback is, or its refusal, which names the postback's own fields."""
    value = members.get("value", members.get("revenue"))
    stated = value is not None and bytes(value) not in (_NULL, b'""')
    event: dict[str, object] = {name: raw for name, raw in members.items() if name not in OWN}
    event |= {"event_type": "conversion", "event_name": goal.goal_type.value}
    if stated:
        event["revenue"] = value
        if bytes(members.get("currency", _NULL)) in (_NULL, b'""') and goal.currency:
            event["currency"] = goal.currency
    elif goal.value is not None:
        event |= {"revenue": goal.value, "currency": goal.currency}
    parsed = parse(_encode(event), sender, limits)
    (item,) = parsed.items
    own: RawEvent | Refused
    if isinstance(item, Refused):
        own = Refused(item.reason, item.message, field="value" if item.field == "revenue" else item.field)
    else:
        own = msgspec.structs.replace(
            item,
            goal_id=goal.id,
            window_days=goal.window_days,
            defaulted=not stated and goal.value is not None,
        )
    return Parsed(False, [own], parsed.notices)
