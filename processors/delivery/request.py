"""What a destination is sent for a conversion: a pure function of destination, secret and notice.

Each kind of destination has a builder (:mod:`processors.delivery.builders`). A builder knows no clock and no network:
the same notice gives the same bytes at every attempt, so that a receiver can dedupe what is sent again.
"""

from collections.abc import Callable, Mapping

import msgspec

from schemas.control import Destination
from schemas.events import Conversion
from schemas.outcomes import DeliveryOutcome, NoticeEvent, SkipReason


class Notice(msgspec.Struct, frozen=True):
    """What there is to tell."""

    conversion: Conversion
    event: NoticeEvent
    link_id: int | None
    """Link whose click it is attributed to, if the click is known."""
    click_id: int | None = None
    """That click; else the one the conversion names, if it can be one of ours."""


class Outgoing(msgspec.Struct, frozen=True):
    """A POST to be made. Signatures and the headers of HTTP itself are added by whoever sends it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    signed: bool = False
    """To be signed with the destination's secret, as Standard Webhooks say."""
    noes: tuple[tuple[str, DeliveryOutcome], ...] = ()
    """Texts in a 2xx answer that mean another outcome than ``delivered``; the first that is found counts."""


class Skipped(msgspec.Struct, frozen=True):
    """The destination is not to be told of this conversion."""

    reason: SkipReason


Builder = Callable[[Destination, str, Notice], Outgoing | Skipped]
"""From a destination, its secret in the clear, and a notice."""
