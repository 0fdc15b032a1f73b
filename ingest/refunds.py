"""What a refund is, wherever it is posted. Pure: nothing is looked up.

1. It names its conversion, or the order of one; with the order's kind, that is the conversion. Whether there is one is
   found out later, so a refund may come before its sale.
2. Its amount is above zero; without one, it is all that is left. What is beyond the sale is never taken back.
3. One refund id refunds a conversion once, however often it is sent. Only a secret key may refund.
"""

import re
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw

from ingest import fields
from ingest.money import amount
from schemas.errors import Reason, Refused
from schemas.events import Refund
from schemas.ids import conversion_id

REFUND: Final = "refund"
"""The event type."""
REFUND_ID: Final = "refund_id"

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_decode_id: Final = msgspec.json.Decoder(str | int).decode


class Target(msgspec.Struct, frozen=True):
    """What is refunded."""

    order_id: str
    conversion_id: str = ""
    """Where it is known."""

    @property
    def key(self) -> str:
        """What names it: refunds of it go to one partition, and their ids are made of it."""
        return self.conversion_id or self.order_id

    def refund(self, refund_id: str) -> Refund:
        return Refund(refund_id=refund_id, conversion_id=self.conversion_id)


def target_of_order(project_id: str, kind: str, order_id: str) -> Target:
    """An order, or one kind of its conversions."""
    return Target(order_id, conversion_id(project_id, kind, order_id, "") if kind else "")


def target_of_path(project_id: str, kind: str, text: str) -> Target:
    """What the path names: an id as the API prints conversions', else an order. Raises :class:`Refused`."""
    if _UUID.fullmatch(text) and not kind:
        return Target(text, text)
    order_id = fields.named(fields.bounded(text, fields.ORDER_ID_MAX, "order_id"))
    if not order_id:
        raise Refused(Reason.MISSING_FIELD, "name the conversion or its order in the path", field="order_id")
    check_parts(order_id=order_id)
    return target_of_order(project_id, kind, order_id)


def check_parts(**parts: str) -> None:
    """Raises :class:`Refused` for a part of a derived name that could not be one; parts are named by their fields."""
    for name, value in parts.items():
        fields.part_of_name(value, name)


def taken_back(asked: Decimal | None, *, field: str) -> Decimal | None:
    """The revenue of the event: the amount asked for, negative. Raises :class:`Refused` (``invalid_money``)."""
    if asked == 0:
        raise Refused(Reason.INVALID_MONEY, "must be above 0; leave it out to refund all that is left", field=field)
    return None if asked is None else -abs(asked)


def asked_in(given: dict[str, Raw]) -> Decimal | None:
    """The ``amount`` of a refund. Raises :class:`Refused` (``wrong_type``, ``invalid_money``)."""
    if "amount" not in given:
        return None
    literal = bytes(given["amount"])
    if literal[:1] not in b'"-0123456789':
        raise fields.wrong_type("amount", "a number or a decimal string")
    asked = amount(literal, field="amount")
    if asked < 0:
        raise Refused(Reason.INVALID_MONEY, "must be above 0", field="amount")
    return asked


def refund_id_in(members: dict[str, Raw]) -> str:
    """The client's id of the refund; empty if there is none. Raises :class:`Refused`."""
    literal = bytes(members.get(REFUND_ID, Raw(b"null")))
    if literal == b"null":
        return ""
    try:
        text = str(_decode_id(literal))
    except (msgspec.DecodeError, ValueError):
        raise fields.wrong_type(REFUND_ID, "a string or an integer") from None
    text = fields.named(fields.bounded(text, fields.ID_MAX, REFUND_ID))
    check_parts(refund_id=text)
    return text
