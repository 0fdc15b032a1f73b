"""Where the control log ends now.

An answer may serve everyone who asked before its request was sent, and nobody who asked later: they may know of a write
that it does not. So one request is in flight at a time, and those who come meanwhile share the next. A flood of unknown
keys thus costs one request a round trip, however many they are.

The connection is its own: on the tail's, Kafka would answer only after the fetch that waits there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from control.metrics import ControlMetrics
from schemas.errors import Unavailable

REQUEST_TIMEOUT_MS: Final = 2_000
RETRY_S: Final = 0.1


class Shared:
    """One question for all who ask it at the same time: ``ask`` is not run twice at once."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._begun = 0
        self._answered = 0
        self._answer = 0

    async def get(self) -> int:
        """The answer to a question that was asked after this call began. Raises what ``ask`` raises."""
        arrived = self._begun
        async with self._lock:
            if self._answered <= arrived:
                self._begun += 1
                self._answer = await self._ask()
                self._answered = self._begun
            return self._answer


class LogEnd:
    """The end offset of one partition, looked up on demand."""

    def __init__(self, bootstrap: str, partition: TopicPartition, *, client_id: str, metrics: ControlMetrics) -> None:
        self._bootstrap = bootstrap
        self._partition = partition
        self._client_id = client_id
        self._metrics = metrics
        self._shared = Shared(self._look_up)
        self._stopped = True
        self._connection = asyncio.Lock()
        """Held while the connection is used, so that a stop closes one that nobody opens again."""
        self._consumer: AIOKafkaConsumer | None = None

    async def find(self) -> int:
        """The end offset at some moment after this call. Tries until it succeeds: the caller sets the limit."""
        return await self._shared.get()

    def start(self) -> None:
        """Take questions: at first, and again after a stop."""
        self._stopped = False

    async def stop(self) -> None:
        """Close the connection: who is in ``find``, or calls it before the next start, gets :class:`Unavailable`."""
        self._stopped = True
        async with self._connection:
            await self._drop()

    async def _look_up(self) -> int:
        self._metrics.lookups.inc()
        async with self._connection:
            while not self._stopped:
                try:
                    consumer = self._consumer or await self._connect()
                    ends: dict[TopicPartition, int] = await consumer.end_offsets([self._partition])
                    return ends[self._partition]
                except (KafkaError, OSError):
                    # A new client asks the bootstrap servers again: brokers may have other addresses now.
                    await self._drop()
                    await asyncio.sleep(RETRY_S)
        raise Unavailable("this process is stopping")

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        return consumer

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
