"""Seed S1's postback: what a project's own server is told of a conversion."""

from decimal import Decimal
from typing import Final

import msgspec

from processors.delivery.forwarding.rules import consents
from processors.delivery.request import Notice, Outgoing, Skipped
from schemas.control import Destination
from schemas.instants import written
from schemas.outcomes import NoticeEvent, SkipReason

ID_LIMIT: Final = 2**53
"""Ids of links and clicks are JSON integers below this; a click id of another kind is not told."""
CENTS: Final = Decimal("0.01")

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Body(msgspec.Struct, frozen=True):
    """The fields of the seed, in its order."""

    event: NoticeEvent
    conversion_id: str
    link_id: int | None
    click_id: int | None
    value: Decimal | None
    """Exact; at least two digits after the point."""
    currency: str | None
    timestamp: str
    """Time of the conversion, ISO 8601 in UTC."""


def postback(destination: Destination, secret: str, notice: Notice) -> Outgoing | Skipped:
    """The signed POST of a postback (see :data:`processors.delivery.request.Builder`)."""
    conversion = notice.conversion
    if not consents(destination.consent, conversion.consent):
        return Skipped(SkipReason.NO_CONSENT)
    body = Body(
        event=notice.event,
        conversion_id=conversion.conversion_id,
        link_id=notice.link_id,
        click_id=notice.click_id,
        value=None if conversion.revenue is None else shown(conversion.revenue),
        currency=conversion.currency or None,
        timestamp=written(conversion.converted_at).replace(".000Z", "Z"),
    )
    return Outgoing(url=destination.url, headers={"Content-Type": "application/json"}, body=_encode(body), signed=True)


def number_of(text: str) -> int | None:
    """The id as an integer; None unless it is one of ours."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(ID_LIMIT)):
        return None
    number = int(text)
    return number if 0 < number < ID_LIMIT else None


def shown(amount: Decimal) -> Decimal:
    """The amount without zeros beyond the second digit."""
    short = amount.normalize()
    return short.quantize(CENTS) if short.as_tuple().exponent > CENTS.as_tuple().exponent else short  # type: ignore[operator]
