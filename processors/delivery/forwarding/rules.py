"""What holds for every platform: whom it may be told of, and what of a conversion may be told at all."""

import re
from typing import Final

from processors.delivery.request import Notice
from schemas.control import Consent, Destination
from schemas.events import Conversion
from schemas.identifiers import VisitorConsent
from schemas.outcomes import NoticeEvent, SkipReason

VERSION: Final = re.compile(r"v[0-9]{1,3}(\.[0-9]{1,3})?")
DIGITS: Final = re.compile(r"[0-9]{1,32}")


def skip_of(destination: Destination, notice: Notice) -> SkipReason | None:
    """Why the platform is not to be told of this conversion, by the destination's own rules."""
    conversion = notice.conversion
    if notice.event is not NoticeEvent.TRACKED:
        # Sent again it would be a duplicate to the platform, or, later on, a second conversion.
        return SkipReason.EVENT_NOT_WANTED
    if destination.events and conversion.kind not in destination.events:
        return SkipReason.KIND_NOT_WANTED
    if not consents(destination.consent, conversion.consent):
        return SkipReason.NO_CONSENT
    return None


def consents(rule: Consent, stated: str) -> bool:
    """Whether a visitor who ``stated`` this (empty: nothing) may be told of under the rule."""
    match rule:
        case Consent.IF_GRANTED:
            return stated == VisitorConsent.GRANTED
        case Consent.UNLESS_DENIED:
            return stated != VisitorConsent.DENIED
        case Consent.NOT_REQUIRED:
            return True


def order_of(conversion: Conversion) -> str:
    """The order's id; empty if there is none, or it holds an ``@``: platforms refuse ids that name a person."""
    return "" if "@" in conversion.order_id else conversion.order_id


def currency_of(destination: Destination, conversion: Conversion) -> str:
    """The currency of the amount; the option ``currency`` stands for one that was not stated."""
    return conversion.currency or destination.options.get("currency", "")


def base_of(destination: Destination, own: str) -> str:
    """Where the platform is: its ``own`` address unless the destination says otherwise; without a final slash."""
    return (destination.url or own).rstrip("/")
