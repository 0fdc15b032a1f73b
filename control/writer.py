"""Produces control records with acks=all.

The producer is made by the first write: most processes only read. It is deliberately not an idempotent one. A record
that a retry writes twice loses its second race and changes nothing, while aiokafka's idempotent producer never gives a
record up, so that a write answered as failed could still appear an hour later, and a stop would wait for Kafka.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.codec import RECORD_MAX_BYTES
from schemas.errors import Reason, Refused

REQUEST_TIMEOUT_MS: Final = 5_000


class Writer:
    """A lazy producer for one partition."""

    def __init__(self, bootstrap: str, partition: TopicPartition, *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._partition = partition
        self._client_id = client_id
        self._lock = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def write(self, key: bytes, value: bytes) -> int:
        """Write one record and return its offset once all in-sync replicas have it.

        Raises :class:`Refused` for a record that is too large, and aiokafka's ``KafkaError`` or ``OSError`` if Kafka
        did not acknowledge it: it may be in the log nevertheless.
        """
        if len(key) + len(value) > RECORD_MAX_BYTES:
            raise Refused(Reason.TOO_LARGE, f"larger than {RECORD_MAX_BYTES} bytes")
        producer = await self._started()
        topic, partition = self._partition
        metadata = await producer.send_and_wait(topic, value, key=key, partition=partition)
        offset: int = metadata.offset
        return offset

    async def stop(self) -> None:
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    acks="all",
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer
