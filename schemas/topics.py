"""Every topic, declared once: key, partitions, retention, cleanup, who writes and who reads.

Names are ``<dataset>-<stage>``, hyphens only; a deployment may put a prefix before them. A dead-letter topic is derived
from each topic a stage reads.
"""

from typing import Final

import msgspec

DAY_MS: Final = 86_400_000
FOR_EVER: Final = -1


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka topic. ``partitions`` None: the setting (at least 4)."""

    name: str
    key: str
    value: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int | None = None
    retention_ms: int = 7 * DAY_MS
    cleanup: str = "delete"

    @property
    def dead_letters(self) -> str:
        return f"{self.name}-dlq"


CONTROL: Final = Topic(
    name="control",
    key="kind:id",
    value="schemas.control.ControlRecord, one a record",
    writers=("api", "delivery"),
    readers=("ingest", "events", "conversions", "booker", "delivery", "api"),
    partitions=1,
    retention_ms=FOR_EVER,
)
EVENTS_RAW: Final = Topic(
    name="events-raw",
    key="visitor key",
    value="schemas.events.RawEvent, newline-delimited",
    writers=("ingest",),
    readers=("events",),
)
CONVERSIONS_RAW: Final = Topic(
    name="conversions-raw",
    key="conversion_id",
    value="schemas.events.Arrival, newline-delimited",
    writers=("events",),
    readers=("conversions",),
)
CONVERSIONS: Final = Topic(
    name="conversions",
    key="conversion_id",
    value="schemas.events.Conversion, newline-delimited",
    writers=("conversions",),
    readers=("delivery",),
)
DELIVERIES: Final = Topic(
    name="deliveries",
    key="destination id",
    value="schemas.deliveries.Task, Attempt or Mark, one a record",
    writers=("delivery",),
    readers=("delivery",),
)
DELIVERIES_REPLAY: Final = Topic(
    name="deliveries-replay",
    key="destination id",
    value="schemas.deliveries.Replay, one a record",
    writers=("api",),
    readers=("delivery",),
    partitions=1,
)
DELIVERY_GROUP: Final = "headwater-delivery"
"""Consumer group of the delivery agents; the changelogs of their tables are named after it."""


def changelog(table: str) -> Topic:
    """What a table of the delivery agents is restored from, a record for each key."""
    return Topic(
        name=f"{DELIVERY_GROUP}-{table}-changelog",
        key="key of the table",
        value="its value, empty once it is deleted",
        writers=("delivery",),
        readers=("delivery",),
        retention_ms=FOR_EVER,
        cleanup="compact",
    )


DELIVERIES_PENDING: Final = changelog("pending")
DELIVERIES_TOLD: Final = changelog("told")


def _dead_letter_topic(topic: Topic, stage: str) -> Topic:
    return Topic(
        name=topic.dead_letters,
        key="none",
        value=f"the bytes of {topic.name}, reason in the headers",
        writers=(stage,),
        readers=("api",),
        partitions=1,
        retention_ms=90 * DAY_MS,
    )


TOPICS: Final[tuple[Topic, ...]] = (
    CONTROL,
    EVENTS_RAW,
    CONVERSIONS_RAW,
    CONVERSIONS,
    DELIVERIES,
    DELIVERIES_REPLAY,
    DELIVERIES_PENDING,
    DELIVERIES_TOLD,
    _dead_letter_topic(EVENTS_RAW, "events"),
    _dead_letter_topic(CONVERSIONS_RAW, "conversions"),
)
