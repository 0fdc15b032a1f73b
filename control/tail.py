"""Follows the control topic from its first record on and applies each to the view.

1. The position is the view's own offset: a new connection goes on there, and no record is applied twice.
2. Kafka may go away for as long as it likes: the view stays as it is, and following resumes by itself.
3. A record that this version cannot decode was written by a newer one. It is passed over and counted; its object stays
   as it was here. So readers are upgraded before writers.
4. An offset that is gone from the topic means that the log was cut or made anew. What was applied can then no longer
   be trusted, nor can the rest: the tail halts.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from control.metrics import ControlMetrics
from schemas.control import ControlRecord, ControlView, decode_record
from schemas.errors import Invariant

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS: Final = 10_000
FETCH_WAIT_MS: Final = 100
"""Long poll: data is answered at once, and an idle fetch returns after this."""
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0

Applied = Callable[[ControlRecord, bool], None]
"""Called with each record after the view has taken it, and with whether it won."""


class Tail:
    """The view of one process, kept up to date by a task."""

    def __init__(
        self, bootstrap: str, partition: TopicPartition, *, client_id: str, metrics: ControlMetrics, applied: Applied
    ) -> None:
        self.view = ControlView()
        self._bootstrap = bootstrap
        self._partition = partition
        self._client_id = client_id
        self._metrics = metrics
        self._applied = applied
        self._failure: str | None = None
        self._advanced = asyncio.Event()
        self._skip_logged = False
        self._task: asyncio.Task[None] | None = None

    @property
    def halted(self) -> bool:
        return self._failure is not None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="control-tail")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            # Not its result: a cancellation of ours would be taken for the task's.
            await asyncio.wait({self._task})
            self._task = None

    async def reach(self, offset: int) -> None:
        """Wait until everything below ``offset`` is applied. Raises :class:`Invariant` once the tail has halted."""
        while self.view.offset < offset:
            self.check()
            await self._advanced.wait()

    def check(self) -> None:
        """Raise :class:`Invariant` if the tail has halted."""
        if self._failure is not None:
            raise Invariant(f"control log: {self._failure}")

    def halt(self, message: str) -> None:
        """Go no further, for good; whoever waits for more is told."""
        if self._failure is None:
            logger.error("control log: %s", message)
            self._failure = message
            self._wake()

    async def _run(self) -> None:
        delay = BACKOFF_S
        while not self.halted:
            before = self.view.offset
            try:
                await self._follow()
            except OffsetOutOfRangeError:
                self.halt("the log was cut or made anew below us; restart this process")
            except (KafkaError, OSError) as error:
                delay = BACKOFF_S if self.view.offset > before else min(2 * delay, BACKOFF_MAX_S)
                logger.warning("control log: %s; following again in %.1f s", type(error).__name__, delay)
                await asyncio.sleep(delay)
            except Exception:
                # A bug of ours: a process that waits for ever would hide it.
                logger.exception("control log: a record could not be applied")
                self.halt("a record could not be applied")

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
            consumer.assign([self._partition])
            consumer.seek(self._partition, self.view.offset)
            while not self.halted:
                records = (await consumer.getmany(self._partition, timeout_ms=1000)).get(self._partition, [])
                for record in records:
                    self._apply(record)
                if records:
                    self._metrics.offset.set(self.view.offset)
                    self._wake()
        finally:
            await consumer.stop()

    def _apply(self, record: ConsumerRecord) -> None:
        try:
            decoded = decode_record(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._skip(record.offset)
            return
        won = self.view.apply(record.offset, decoded)
        self._applied(decoded, won)

    def _skip(self, offset: int) -> None:
        self.view.skip(offset)
        self._metrics.skipped.inc()
        if not self._skip_logged:
            self._skip_logged = True
            logger.warning(
                "control log: the record at offset %d is of a newer version, skipped; so may be more", offset
            )

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()
