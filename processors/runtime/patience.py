"""Trouble is waited out with the batch in hand, as long as it takes, unless the batch is to be given up."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.polling import POLL_MS, getmany
from schemas.errors import Unavailable

logger = logging.getLogger(__name__)

BACKOFF_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
DRAIN_S: Final = 8.0
"""How long the batch in hand may still take when the process is told to stop or a partition is revoked."""

T = TypeVar("T")


class GivenUp(Exception):
    """The batch in hand was given up; it will be replayed."""


class Patience:
    """Waits, for one loop. ``trouble``: what it waits for now, else None. ``owned``: the partitions to pause then."""

    def __init__(
        self, consumer: AIOKafkaConsumer, metrics: ProcessorMetrics, owned: Collection[TopicPartition]
    ) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._owned = owned
        self._stopping = asyncio.Event()
        self._give_up = asyncio.Event()
        self.trouble: str | None = None

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every wait; the batch in hand has ``DRAIN_S`` left, or no time if it is in trouble."""
        self._stopping.set()
        if self.trouble is not None:
            self._give_up.set()
        else:
            asyncio.get_running_loop().call_later(DRAIN_S, self._give_up.set)

    @contextlib.contextmanager
    def hurrying(self) -> Iterator[None]:
        """The batch in hand has ``DRAIN_S`` left while this lasts, or no time if it is in trouble."""
        timer = asyncio.get_running_loop().call_later(0 if self.trouble else DRAIN_S, self._give_up.set)
        try:
            yield
        finally:
            timer.cancel()
            if not self.stopping:
                self._give_up.clear()

    async def until_done(self, step: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds. Raises :class:`GivenUp` if told to, and :class:`Invariant` at once."""
        delay = BACKOFF_S
        while True:
            try:
                done = await attempt()
            except (Unavailable, KafkaError, OSError) as error:
                self._metrics.retries.labels(step).inc()
                if self.trouble is None:
                    logger.warning("%s: %s; waiting", step, error)
                self.trouble = f"{step}: {error}"
                await self._wait_out(delay)
                delay = min(2 * delay, BACKOFF_MAX_S)
            else:
                if self.trouble is not None:
                    logger.warning("%s: goes on", step)
                    self.trouble = None
                return done

    async def pause(self, seconds: float) -> None:
        """Sleep, unless told to stop."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _wait_out(self, delay: float) -> None:
        """Wait, polling with everything paused, so that Kafka sees this member alive."""
        paused = [tp for tp in self._owned if tp not in self._consumer.paused()]
        self._consumer.pause(*paused)
        try:
            until = time.monotonic() + delay
            while (left := until - time.monotonic()) > 0:
                if self._give_up.is_set() or self.stopping:
                    raise GivenUp
                with contextlib.suppress(KafkaError):
                    await getmany(self._consumer, timeout_ms=int(min(left * 1000, POLL_MS)))
        finally:
            for tp in paused:
                with contextlib.suppress(IllegalStateError):
                    self._consumer.resume(tp)
