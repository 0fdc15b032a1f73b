"""Writes each attempt as a row of ``deliveries``.

It reads the log of deliveries in a consumer group of its own: ClickHouse may be away, and only this falls behind. What
it has not written yet waits in Kafka, as long as the topic keeps it (7 days), and no longer.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from msgspec import structs

from clickhouse.arrow import record_batch
from clickhouse.connection import Connection
from processors.delivery.metrics import DeliveryMetrics
from schemas.codec import encode
from schemas.deliveries import Attempt, decode_delivery
from schemas.errors import HeadwaterError
from schemas.events import Conversion
from schemas.identifiers import NO_IDENTIFIERS
from schemas.settings import DeliverySettings
from schemas.topics import DELIVERIES, DELIVERY_GROUP

logger = logging.getLogger(__name__)

TABLE: Final = "deliveries"
GROUP: Final = f"{DELIVERY_GROUP}-recorder"
RETRY_S: Final = 1.0
BATCH_RECORDS: Final = 5000
SESSION_TIMEOUT_MS: Final = 6_000


class Recorder:
    """One a process."""

    def __init__(self, settings: DeliverySettings, metrics: DeliveryMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._connection = Connection(settings.clickhouse)

    async def run(self) -> None:
        """Record until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except (HeadwaterError, KafkaError, OSError) as error:
                    self._metrics.record_failures.inc()
                    logger.warning("delivery: attempts cannot be recorded now: %s", type(error).__name__)
                    await asyncio.sleep(RETRY_S)
        finally:
            self._connection.close()

    async def _follow(self) -> None:
        kafka = self._settings.kafka
        consumer = AIOKafkaConsumer(
            kafka.topic_prefix + DELIVERIES.name,
            bootstrap_servers=kafka.kafka_bootstrap,
            client_id=GROUP,
            group_id=kafka.topic_prefix + GROUP,
            group_instance_id=f"{GROUP}-{self._settings.instance}" if self._settings.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        )
        try:
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=1000, max_records=BATCH_RECORDS)
                attempts = [
                    item
                    for records in found.values()
                    for record in records
                    if isinstance(item := _read(record.value or b""), Attempt)
                ]
                if attempts:
                    await asyncio.to_thread(self._insert, attempts)
                    self._metrics.recorded.inc(len(attempts))
                if found:
                    await consumer.commit()
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    def _insert(self, attempts: Sequence[Attempt]) -> None:
        self._connection.insert(TABLE, [rows(attempts)])


def rows(attempts: Sequence[Attempt]) -> pa.RecordBatch:
    """Rows of ``deliveries``: a function of the attempts, so that writing twice is writing once."""
    columns: dict[str, list[Any]] = {
        name: [getattr(one, name) for one in attempts]
        for name in ("destination_id", "number", "status", "detail", "attempted_at", "duration_ms")
    }
    columns |= {
        "project_id": [one.conversion.project_id for one in attempts],
        "delivery_id": [uuid.UUID(one.delivery_id).bytes for one in attempts],
        "attempt_id": [uuid.UUID(one.attempt_id).bytes for one in attempts],
        "conversion_id": [uuid.UUID(one.conversion.conversion_id).bytes for one in attempts],
        "revision": [one.conversion.revision for one in attempts],
        "kind": [one.kind.value for one in attempts],
        "event": [one.event.value for one in attempts],
        "outcome": [one.outcome.value for one in attempts],
        "next_attempt_at": [one.next_at or None for one in attempts],
        "notice": [encode(without_identifiers(one.conversion)) for one in attempts],
    }
    return record_batch(TABLE, columns)


def without_identifiers(conversion: Conversion) -> Conversion:
    """What may be kept of an announcement: identifiers, hashed as they are, live in Kafka only."""
    return structs.replace(conversion, identifiers=NO_IDENTIFIERS)


def _read(value: bytes) -> object:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return decode_delivery(value)
    return None
