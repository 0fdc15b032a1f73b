"""What can become of an event. Each enum is also the metric label, the ledger column and the DLQ header."""

from enum import IntEnum, StrEnum
from typing import Final


class EdgeOutcome(StrEnum):
    """What the ingest endpoint did with one event."""

    ACCEPTED = "accepted"
    """Acknowledged by Kafka with acks=all."""
    REJECTED = "rejected"
    """Refused with a reason, never written."""
    UNAVAILABLE = "unavailable"
    """Kafka could not take it: the client is told to send it again."""


class Outcome(StrEnum):
    """What a stage did with one event it received. received = the sum of these, per stage and partition."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    """Sent to the dead-letter topic with its reason and bytes."""
    ERASED = "erased"


class Trust(IntEnum):
    """Who reported an arrival. The lowest value wins a field: the server is the source of truth."""

    SECRET = 0
    TOKEN = 1
    PUBLIC = 2

    @property
    def label(self) -> str:
        """The name that ids and the tables carry."""
        return self.name.lower()


class Stage(StrEnum):
    """The stages that keep checkpoints."""

    EVENTS = "events"
    CONVERSIONS = "conversions"


class NoticeEvent(StrEnum):
    """What a conversion is announced with; the ``event`` of an outgoing postback (seed S1)."""

    TRACKED = "conversion.tracked"
    """Its first announcement."""
    UPDATED = "conversion.updated"
    """A more trusted arrival, or a stated amount after a default one, changed its money."""


class SkipReason(StrEnum):
    """Why a destination is not told of a conversion."""

    NO_CONSENT = "no_consent"
    NO_IDENTIFIERS = "no_identifiers"
    """The platform could match it with nobody."""
    KIND_NOT_WANTED = "kind_not_wanted"
    NOT_CONFIGURED = "not_configured"
    """The destination lacks an option or a secret that its kind needs."""
    EVENT_NOT_WANTED = "event_not_wanted"
    """The platform has no use for an update."""
    NO_ORDER_ID = "no_order_id"
    """The platform finds its conversion by the order's id, and there is none that may be told."""
    NO_VALUE = "no_value"
    """The platform takes this kind with amount and currency only."""
    TOO_OLD = "too_old"
    """The platform takes no conversion of that age."""


class DeliveryOutcome(StrEnum):
    """What became of one attempt to tell a destination."""

    DELIVERED = "delivered"
    """Answered with 2xx."""
    HTTP_ERROR = "http_error"
    """Answered with another status."""
    REFUSED = "refused"
    """Answered with 2xx, and in it that the platform does not take this conversion, for good."""
    DEFERRED = "deferred"
    """Answered with 2xx, and in it that it is too early: tried again, and no fault of the destination."""
    REDIRECTED = "redirected"
    """Answered with 3xx: redirects are not followed."""
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    """No such name, nobody listens, or no TLS to be had."""
    FORBIDDEN = "forbidden"
    """The address is one that must not be asked: private, loopback, link-local, .."""
    SKIPPED = "skipped"
    """Nothing was sent, for a reason of :class:`SkipReason`."""
    EXPIRED = "expired"
    """Given up: the time for retries is over."""
    WITHDRAWN = "withdrawn"
    """The destination was deleted before it could be told."""

    @property
    def failed(self) -> bool:
        """The destination is to blame: it counts towards its run of failures, and is tried again."""
        return self in _FAILED

    @property
    def repeated(self) -> bool:
        """It is tried again while there is time."""
        return self.failed or self is DeliveryOutcome.DEFERRED


_FAILED: Final = frozenset(
    {
        DeliveryOutcome.HTTP_ERROR,
        DeliveryOutcome.REDIRECTED,
        DeliveryOutcome.TIMEOUT,
        DeliveryOutcome.UNREACHABLE,
        DeliveryOutcome.FORBIDDEN,
    }
)


class Quarantine(StrEnum):
    """Why a stage sent bytes to its dead-letter topic."""

    UNDECODABLE = "undecodable"
    """The line is not the JSON of our struct."""
    UNKNOWN_SCHEMA = "unknown_schema"
    """The record's schema-version header is missing or from the future."""
    UNKNOWN_PROJECT = "unknown_project"
    """No such project in the control log as of the record's control offset."""


class LetterState(StrEnum):
    """What was decided about a dead letter."""

    OPEN = "open"
    DISCARDED = "discarded"
    REPLAYED = "replayed"
    """Sent back to its topic, as a new record. Wins over ``discarded``, and is final."""


class Mark(StrEnum):
    """Facts that are kept but marked, never deleted."""

    CLAMPED = "clamped"
    """The client's time was more than 24 h ahead; the event carries the time of receipt."""
    BOT = "bot"
    TEST = "test"
    PREFETCH = "prefetch"
