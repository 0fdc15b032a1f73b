"""What can become of an event. Each enum is also the metric label, the ledger column and the DLQ header."""

from enum import IntEnum, StrEnum


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


class Quarantine(StrEnum):
    """Why a stage sent bytes to its dead-letter topic."""

    UNDECODABLE = "undecodable"
    """The line is not the JSON of our struct."""
    UNKNOWN_SCHEMA = "unknown_schema"
    """The record's schema-version header is missing or from the future."""
    UNKNOWN_PROJECT = "unknown_project"
    """No such project in the control log as of the record's control offset."""


class Mark(StrEnum):
    """Facts that are kept but marked, never deleted."""

    CLAMPED = "clamped"
    """The client's time was more than 24 h ahead; the event carries the time of receipt."""
    BOT = "bot"
    TEST = "test"
    PREFETCH = "prefetch"
