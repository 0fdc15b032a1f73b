"""The structs on the topics. One field is one line; defaults are left out of the JSON, so old payloads stay readable.

Times are Unix milliseconds, UTC. Money is an exact decimal with at most four digits, carried as a JSON string.
"""

from decimal import Decimal

import msgspec

from schemas.identifiers import NO_IDENTIFIERS, Identifiers
from schemas.mailing import INTERACTIONS, NO_MAILING, Mailing
from schemas.outcomes import NoticeEvent, Trust

EMPTY_OBJECT = msgspec.Raw(b"{}")


class Campaign(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """UTM parameters that a client states in ``context.campaign`` instead of in the URL."""

    source: str = ""
    medium: str = ""
    name: str = ""
    term: str = ""
    content: str = ""


class Refund(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What makes an event a refund. ``revenue`` of the event is the amount, negative; None: all that is left."""

    refund_id: str
    """The client's id of it: sent again for the same order, it is the same refund."""
    conversion_id: str = ""
    """What is refunded, where that is known; else the event's ``order_id`` names it."""


class RawEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """An accepted event, one line of a record on ``events-raw``: what ingest knows, and nothing it would look up."""

    project_id: str
    event_id: str
    trust: Trust
    """Kind of key that sent it."""
    received_at: int
    occurred_at: int
    """The client's time, or ``received_at``."""
    timed: bool = False
    """The client stated the time. A default counts as missing when a conversion's arrivals are merged."""
    checksum: int = 0
    """CRC-32 of the client's bytes for this event: same id with another checksum is a ``conflict``."""
    marks: tuple[str, ...] = ()
    """Values of :class:`schemas.outcomes.Mark`."""
    event_type: str
    event_name: str = ""
    visitor: str
    """The visitor key: what the record is partitioned by. See :mod:`ingest.visitor`."""
    user_id: str = ""
    anonymous_id: str = ""
    session_id: str = ""
    click_id: str = ""
    fingerprint: str = ""
    """Keyed hash of IP address and user agent; the address itself goes no further than ingest."""
    url: str = ""
    referrer: str = ""
    campaign: Campaign | None = None
    revenue: Decimal | None = None
    currency: str = ""
    """ISO 4217, upper case; empty where there is no revenue or the client gave none."""
    defaulted: bool = False
    """Revenue is the default of the link goal: it counts as missing while another arrival states an amount."""
    link_id: int = 0
    """Set on a click that a link's redirect recorded; no client can set it."""
    goal_id: str = ""
    """The link goal whose token reported this."""
    window_days: int = 0
    """Attribution window of that goal; 0: the project's lookback."""
    order_id: str = ""
    conversion_id: str = ""
    """Set where the event is a conversion or names an order: the identity of its goal hit."""
    refund: Refund | None = None
    """Set on refunds. They have no ``conversion_id`` of their own: a refund is no conversion and no goal hit."""
    mailing: Mailing = NO_MAILING
    """The contact, what it interacted with, and what seed S3's conversions add."""
    identifiers: Identifiers = NO_IDENTIFIERS
    """Of a conversion's visitor, hashed at the edge, for forwarding; never stored."""
    consent: str = ""
    """Value of :class:`schemas.identifiers.VisitorConsent`; empty: not stated."""
    properties: msgspec.Raw = EMPTY_OBJECT
    """JSON object, as the client sent it plus its unknown top-level fields."""
    context: msgspec.Raw = EMPTY_OBJECT

    @property
    def is_conversion(self) -> bool:
        return self.event_type == "conversion"

    @property
    def is_interaction(self) -> bool:
        """With an e-mail campaign or flow, by a known contact: others of that name are events like any."""
        return self.event_type in INTERACTIONS and self.mailing.contact_id != ""


class Arrival(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One report of one conversion (or of an event that names an order), a line on ``conversions-raw``."""

    project_id: str
    conversion_id: str
    event_id: str
    """The report's own identity: a second arrival with it is a duplicate."""
    is_conversion: bool
    """False for an event that only names the order: evidence for goals, not a conversion of its own."""
    kind: str
    """S0 ``event_name``, S1 ``goal_type``, S3 ``type``."""
    order_id: str = ""
    trust: Trust
    received_at: int
    converted_at: int
    timed: bool = False
    checksum: int = 0
    event_type: str
    event_name: str = ""
    path: str = ""
    page: str = ""
    """URL without what may name its visitor: see :func:`processors.core.locations.page_of`. Not stored."""
    visitor: str
    user_id: str = ""
    anonymous_id: str = ""
    session_id: str = ""
    click_id: str = ""
    fingerprint: str = ""
    revenue: Decimal | None = None
    currency: str = ""
    mailing: Mailing = NO_MAILING
    defaulted: bool = False
    goal_id: str = ""
    window_days: int = 0
    identifiers: Identifiers = NO_IDENTIFIERS
    consent: str = ""
    properties: msgspec.Raw = EMPTY_OBJECT


class Conversion(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Announcement of a conversion, a line on ``conversions``: of a new one, and of one whose money has changed.

    May be sent twice after a crash: consumers dedupe by ``conversion_id`` and ``revision``.
    """

    project_id: str
    conversion_id: str
    kind: str
    order_id: str = ""
    event_id: str
    trust: Trust
    received_at: int
    converted_at: int
    click_id: str = ""
    goal_id: str = ""
    """The link goal whose token reported it: where its postback URL is found."""
    revenue: Decimal | None = None
    currency: str = ""
    event: NoticeEvent = NoticeEvent.TRACKED
    revision: int = 1
    """Counts the announcements of this conversion; later ones replace earlier ones."""
    page: str = ""
    identifiers: Identifiers = NO_IDENTIFIERS
    """Those of the arrival that announces it, like the consent: no two reports' identifiers are ever mixed."""
    consent: str = ""
