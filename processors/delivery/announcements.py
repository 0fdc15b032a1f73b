"""Makes tasks of announced conversions, and of replays that clients ask for: for each destination that wants it, one.

The consumer is a plain one, of a group of its own, and commits what Kafka has acknowledged as tasks. faust is not used
here: while its group rebalances it reads records into queues that it then clears, and goes back to the committed offset
only where there is one, so that the first conversions of a partition were lost (tried).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from msgspec import structs

from control.log import ControlLog
from processors.delivery.clicks import Clicks
from processors.delivery.courier import now_ms
from processors.delivery.log import DeliveryLog
from processors.delivery.metrics import DeliveryMetrics
from schemas.codec import decode_conversion, lines
from schemas.control import ControlView, Destination
from schemas.deliveries import Task, decode_replay
from schemas.errors import Unavailable
from schemas.events import Conversion
from schemas.settings import DeliverySettings
from schemas.topics import CONVERSIONS, DELIVERIES_REPLAY, DELIVERY_GROUP

logger = logging.getLogger(__name__)

GROUP: Final = f"{DELIVERY_GROUP}-announcements"
RETRY_S: Final = 1.0
BATCH_RECORDS: Final = 500
GATHER_S: Final = 0.5
"""After tasks were made, so long others gather: a look-up costs the store the same for one and for hundreds."""
SESSION_TIMEOUT_MS: Final = 6_000


class Announcements:
    """One a process."""

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        control: ControlLog,
        log: DeliveryLog,
        clicks: Clicks,
        metrics: DeliveryMetrics,
    ) -> None:
        self._settings = settings
        self._control = control
        self._log = log
        self._clicks = clicks
        self._metrics = metrics
        self._replays = settings.kafka.topic_prefix + DELIVERIES_REPLAY.name
        self._seen_at = 0

    async def run(self) -> None:
        """Make tasks until cancelled."""
        while True:
            try:
                await self._follow()
            except (Unavailable, KafkaError, OSError) as error:
                logger.warning("delivery: announcements cannot be read now: %s", type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        kafka = self._settings.kafka
        consumer = AIOKafkaConsumer(
            kafka.topic_prefix + CONVERSIONS.name,
            self._replays,
            bootstrap_servers=kafka.kafka_bootstrap,
            client_id=GROUP,
            group_id=kafka.topic_prefix + GROUP,
            group_instance_id=f"{GROUP}-{self._settings.instance}" if self._settings.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=1000, max_records=BATCH_RECORDS)
                records = [record for of_partition in found.values() for record in of_partition]
                if records:
                    sent = await self._sent(records)
                    await asyncio.gather(*sent)
                    await consumer.commit()
                    if sent:
                        await asyncio.sleep(GATHER_S)
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    async def _sent(self, records: Sequence[ConsumerRecord[Any, Any]]) -> list[Awaitable[Any]]:
        if max(record.timestamp for record in records) >= self._seen_at:
            # Who was told that a destination exists may rely on it for what is tracked after that.
            seen_at = now_ms()
            await self._control.catch_up()
            self._seen_at = seen_at
        tasks = [task for record in records for task in self._tasks(record)]
        clicks = await self._clicks.known([task.conversion for task in tasks])
        return [
            await self._log.send(structs.replace(task, click=clicks.get(task.conversion.conversion_id)))
            for task in tasks
        ]

    def _tasks(self, record: ConsumerRecord[Any, Any]) -> list[Task]:
        value = record.value or b""
        return self._repeated(value) if record.topic == self._replays else self._announced(value)

    def _announced(self, value: bytes) -> list[Task]:
        conversions = [self._decoded(decode_conversion, line) for line in lines(value)]
        return [
            Task(destination_id=one.id, conversion=conversion, made_at=now_ms())
            for conversion in conversions
            if conversion is not None
            for one in wanting(self._control.view, conversion)
        ]

    def _repeated(self, value: bytes) -> list[Task]:
        asked = self._decoded(decode_replay, value)
        if asked is None:
            return []
        return [
            Task(
                destination_id=asked.destination_id,
                conversion=asked.conversion,
                made_at=now_ms(),
                replay=True,
                event=asked.event,
            )
        ]

    def _decoded(self, decode: Callable[[bytes], Any], value: bytes) -> Any:
        """None, and counted: written by a newer version, or by someone else."""
        try:
            return decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._metrics.undecodable.inc()
            logger.warning("delivery: a record could not be read and is passed over")
            return None


def wanting(view: ControlView, conversion: Conversion) -> list[Destination]:
    """Who is to be told of a conversion; a disabled destination is, later."""
    return [
        one
        for one in view.destinations(conversion.project_id)
        if (not one.goal_id or one.goal_id == conversion.goal_id) and (not one.events or conversion.kind in one.events)
    ]
