"""Writes to the log of deliveries, with acks=all and in the order of calls."""

from collections.abc import Awaitable
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.codec import RECORD_MAX_BYTES
from schemas.deliveries import Attempt, Mark, Task, encode_delivery
from schemas.ids import partition_of
from schemas.settings import KafkaSettings
from schemas.topics import DELIVERIES, DELIVERY_GROUP


class DeliveryLog:
    """A producer. While Kafka is away it waits; it never gives a record up."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.topic = settings.topic_prefix + DELIVERIES.name
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            client_id=DELIVERY_GROUP,
            acks="all",
            enable_idempotence=True,
            max_request_size=2 * RECORD_MAX_BYTES,
        )

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def send(self, item: Task | Attempt) -> Awaitable[Any]:
        """Returns Kafka's acknowledgement, to be awaited. The partition is the destination's."""
        partitions = await self._producer.partitions_for(self.topic)
        sent: Awaitable[Any] = await self._producer.send(
            self.topic,
            encode_delivery(item),
            key=item.destination_id.encode(),
            partition=partition_of(item.destination_id, len(partitions)),
        )
        return sent

    async def emit(self, item: Task | Attempt) -> None:
        """Returns once Kafka has it."""
        await (await self.send(item))

    async def mark(self, mark: Mark, partition: int) -> None:
        """A mark at the end of a partition, as it is now."""
        await self._producer.send_and_wait(self.topic, encode_delivery(mark), partition=partition)
