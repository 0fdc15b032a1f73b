"""``properties`` and ``context``: kept as the client wrote them, after a look inside.

1. They are decoded once, to check what a scan of the text does not: depth, and numbers that nobody after us can read.
2. A line break between their members becomes a space: on the topic, a line break ends an event.
3. ``properties.order_id`` names an order as ``order_id`` does. ``context.campaign`` stands for UTM parameters.
4. The client's address is taken out of ``context``: it is never stored.
5. ``user_data`` is taken out of both and handed over: it is hashed before anything is stored (:mod:`ingest.user_data`).
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from ingest import fields
from ingest.body import depth, too_deep
from schemas.errors import Reason, Refused
from schemas.events import EMPTY_OBJECT, Campaign

ADDRESS_FIELDS: Final = ("ip", "ip_address")
"""Members of ``context`` that trackers fill with the client's address."""
USER_DATA: Final = "user_data"

_encode = msgspec.json.Encoder().encode


def _object(raw: Raw, max_depth: int, field: str) -> tuple[Raw, dict[str, Any]]:
    """The object on one line, and decoded, which checks what a scan does not."""
    text = bytes(raw)
    # 1 for the event around it. Few brackets cannot be deep, and few bytes cannot be many brackets.
    if len(text) > max_depth and text.count(b"{") + text.count(b"[") >= max_depth and depth(text) >= max_depth:
        raise too_deep()
    try:
        decoded = fields.decode_any(text)
    except (msgspec.ValidationError, ValueError):
        raise Refused(Reason.INVALID_VALUE, "holds a number that is out of range", field=field) from None
    if isinstance(decoded, dict):
        # In JSON, a raw line break stands between tokens only: within a string it is refused.
        return Raw(text.replace(b"\n", b" ")) if b"\n" in text else raw, decoded
    if decoded is None or decoded == []:  # PHP writes an empty object as an empty list
        return EMPTY_OBJECT, {}
    raise fields.wrong_type(field, "an object")


def read_properties(raw: Raw, max_depth: int) -> tuple[Raw, str, Raw]:
    """The properties, the order they name (empty if none), and their ``user_data``."""
    raw, decoded = _object(raw, max_depth, "properties")
    if not decoded:
        return EMPTY_OBJECT, "", fields.MISSING
    raw, user_data = _without_user_data(raw, decoded)
    order_id = decoded.get("order_id")
    if order_id is None or isinstance(order_id, bool) or not isinstance(order_id, str | int | float):
        return raw, "", user_data
    return raw, fields.bounded(fields.named(str(order_id)), fields.ORDER_ID_MAX, "properties.order_id"), user_data


def read_metadata(raw: Raw, max_depth: int) -> tuple[Raw, Raw]:
    """The metadata of a conversion, in which nothing names anything, and its ``user_data``."""
    raw, decoded = _object(raw, max_depth, "metadata")
    return _without_user_data(raw, decoded) if decoded else (EMPTY_OBJECT, fields.MISSING)


def read_context(raw: Raw, max_depth: int) -> tuple[Raw, Campaign | None, Raw]:
    """The context without the client's address, the campaign it states, and its ``user_data``."""
    raw, decoded = _object(raw, max_depth, "context")
    if not decoded:
        return EMPTY_OBJECT, None, fields.MISSING
    raw, user_data = _without_user_data(raw, decoded)
    if any(name in decoded for name in ADDRESS_FIELDS):
        kept = {name: value for name, value in fields.members(raw).items() if name not in ADDRESS_FIELDS}
        raw = Raw(_encode(kept)) if kept else EMPTY_OBJECT
    stated = decoded.get("campaign")
    if not isinstance(stated, dict):
        return raw, None, user_data
    parts = {name: _campaign_part(stated, name) for name in ("source", "medium", "name", "term", "content")}
    parts["name"] = parts["name"] or _campaign_part(stated, "campaign")
    return raw, Campaign(**parts) if any(parts.values()) else None, user_data


def _without_user_data(raw: Raw, decoded: dict[str, Any]) -> tuple[Raw, Raw]:
    if USER_DATA not in decoded:
        return raw, fields.MISSING
    kept = fields.members(raw)
    user_data = kept.pop(USER_DATA)
    return Raw(_encode(kept)) if kept else EMPTY_OBJECT, user_data


def _campaign_part(stated: dict[str, Any], name: str) -> str:
    value = stated.get(name)
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return fields.bounded(str(value), fields.CAMPAIGN_MAX, f"context.campaign.{name}")
