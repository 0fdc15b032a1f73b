"""A producer that is made by the first use: most processes only read.

It is deliberately not an idempotent one. aiokafka's idempotent producer never gives a record up, so that a write
answered as failed could still appear an hour later, and a stop would wait for Kafka. Whoever writes through this one
must bear a record that a retry writes twice.
"""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaProducer

REQUEST_TIMEOUT_MS: Final = 5_000


class LazyProducer:
    """acks=all. Belongs to one event loop. ``options``: what else aiokafka's producer is made with."""

    def __init__(self, bootstrap: str, *, client_id: str, **options: Any) -> None:
        self._options = {"bootstrap_servers": bootstrap, "client_id": client_id, **options}
        self._lock = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def started(self) -> AIOKafkaProducer:
        """The producer. Raises aiokafka's ``KafkaError`` or ``OSError`` while Kafka is away."""
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(acks="all", request_timeout_ms=REQUEST_TIMEOUT_MS, **self._options)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def stop(self) -> None:
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                await producer.stop()
