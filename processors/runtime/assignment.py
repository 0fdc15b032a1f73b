"""The partitions of this process: assigned, restored, halted, released.

A broken rule halts its partition, with one line that says why; the others go on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.patience import BACKOFF_MAX_S, BACKOFF_S
from processors.runtime.polling import Polled, getmany
from processors.runtime.restore import Log
from processors.runtime.store import Store
from processors.runtime.thread import Thread
from processors.runtime.topic_id import topic_id
from processors.runtime.worker import Partition, Worker, record_hash
from schemas.errors import Invariant, Unavailable

logger = logging.getLogger(__name__)


class Assignment:
    """``owned``: restored and being processed, unless they are ``halted``. ``unrestored``: why others wait."""

    def __init__(
        self, consumer: AIOKafkaConsumer, worker: Worker, thread: Thread, metrics: ProcessorMetrics, states: Path
    ) -> None:
        """``states``: directory of the stage's state, one below it a partition."""
        self._consumer = consumer
        self._worker = worker
        self._thread = thread
        self._metrics = metrics
        self._states = states
        self._pending: set[TopicPartition] = set()
        self._restore_at = 0.0
        self._restore_delay = BACKOFF_S
        self.owned: dict[TopicPartition, Partition] = {}
        self.halted: dict[TopicPartition, str] = {}
        self.unrestored: str | None = None

    @property
    def pending(self) -> bool:
        """Some are still to be restored."""
        return bool(self._pending)

    def assign(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note; they are restored later, since that may take longer than a rebalance should."""
        found = set(assigned)
        self._consumer.pause(*found)
        self._pending |= found

    async def revoke(self, revoked: Iterable[TopicPartition]) -> None:
        """Forget them, and let go of their state."""
        gone = set(revoked)
        await self.release(gone)
        self._pending -= gone
        for tp in gone:
            self.halted.pop(tp, None)
        self._metrics.halted.set(len(self.halted))

    async def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Close their state."""
        for tp in list(partitions):
            partition = self.owned.pop(tp, None)
            if partition is not None:
                await self._thread.run(partition.store.close)

    def halt(self, tp: TopicPartition, error: Invariant) -> None:
        """Process no more of this one."""
        logger.error("%s-%d halted: %s", tp.topic, tp.partition, error.message)
        with contextlib.suppress(IllegalStateError):
            self._consumer.pause(tp)
        self.halted[tp] = error.message
        self._metrics.halted.set(len(self.halted))

    def usable(self, polled: Polled) -> Polled:
        """Of what was polled, that which can be processed: what does not begin where it should halts its partition."""
        found = {}
        for tp, records in polled.items():
            partition = self.owned.get(tp)
            if partition is None or tp in self.halted:
                continue
            expected = partition.position.next_offset
            if records[0].offset != expected:
                self.halt(
                    tp,
                    Invariant(
                        f"the next record should have offset {expected} and has {records[0].offset}:"
                        " records were deleted before they were processed, or the topic was made anew"
                    ),
                )
                continue
            found[tp] = records
        return found

    def rewind(self, partitions: Iterable[TopicPartition]) -> None:
        """Poll these again from where their state is."""
        for tp in partitions:
            if tp in self.owned and tp not in self.halted:
                with contextlib.suppress(IllegalStateError):
                    self._consumer.seek(tp, self.owned[tp].position.next_offset)

    async def restore_pending(self) -> None:
        """Restore what was assigned; if a server is away, later, while the other partitions go on."""
        if not self._pending or time.monotonic() < self._restore_at:
            return
        for tp in sorted(self._pending):
            try:
                await self._restore(tp)
            except (Unavailable, KafkaError, OSError) as error:
                self._metrics.retries.labels("restore").inc()
                if self.unrestored is None:
                    logger.warning("%s-%d cannot be restored: %s; waiting", tp.topic, tp.partition, error)
                self.unrestored = f"a partition cannot be restored: {error}"
                self._restore_at = time.monotonic() + self._restore_delay
                self._restore_delay = min(2 * self._restore_delay, BACKOFF_MAX_S)
                return
            except IllegalStateError:  # revoked in the meantime
                pass
            except Invariant as error:
                self.halt(tp, error)
            self._pending.discard(tp)
        self.unrestored = None
        self._restore_delay = BACKOFF_S

    async def _restore(self, tp: TopicPartition) -> None:
        log = Log(
            topic=tp.topic,
            topic_id=await topic_id(self._consumer._client, tp.topic),
            partition=tp.partition,
            start=(await self._consumer.beginning_offsets([tp]))[tp],
            end=(await self._consumer.end_offsets([tp]))[tp],
            committed=await self._consumer.committed(tp),
        )
        store = await self._thread.run(lambda: Store(self._states / f"{tp.topic}-{tp.partition}"))
        try:
            partition = await self._thread.run(lambda: self._worker.restore(store, log))
            await self._check_last_record(tp, log, partition)
            self._consumer.seek(tp, partition.position.next_offset)
            self._consumer.resume(tp)
        except BaseException:
            await self._thread.run(store.close)
            raise
        self.owned[tp] = partition
        logger.info("%s-%d: from offset %d", tp.topic, tp.partition, partition.position.next_offset)

    async def _check_last_record(self, tp: TopicPartition, log: Log, partition: Partition) -> None:
        """The record before the position must be the one that was processed last, if it is still in the log."""
        position = partition.position
        last = position.next_offset - 1
        if not position.last_record or last < log.start:
            return
        self._consumer.seek(tp, last)
        self._consumer.resume(tp)
        try:
            async with asyncio.timeout(10):
                while not (records := (await getmany(self._consumer, tp, max_records=1)).get(tp)):
                    pass
        except TimeoutError as error:
            raise Unavailable("the last processed record cannot be read") from error
        finally:
            self._consumer.pause(tp)
        if records[0].offset == last and record_hash(records[0].value) != position.last_record:
            raise Invariant(
                f"{tp.topic}-{tp.partition} has another record at offset {last} than the one that was processed:"
                " the topic was made anew or written to by hand"
            )
