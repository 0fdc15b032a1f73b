"""The micro-batch loop of one stage: assign, restore, poll, process, store, commit; pause on trouble, drain on revoke.

1. One batch is in hand at a time. The lock ``_turn`` is held from before the poll until the batch is committed or given
   up, and a rebalance waits for it: nobody else gets a partition in the middle of a batch.
2. Trouble (Kafka or the store away, busy, full) is waited out with the batch in hand, as long as it takes. Partitions
   are paused and polling goes on, so the assignment is kept. A revocation or SIGTERM gives the batch up: it has not
   been committed, and whoever comes next replays it.
3. A broken rule halts its partition, with one line that says why; the others go on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from control.log import ControlLog
from processors.runtime.downstream import Downstream
from processors.runtime.failpoint import FailPoint, Seam, unharmed
from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.restore import Log
from processors.runtime.store import Store
from processors.runtime.topic_id import topic_id
from processors.runtime.worker import Partition, Work, Worker, record_hash
from processors.stages.lines import Unreadable, stamped
from processors.stages.result import Processor
from schemas.errors import Invariant, Unavailable
from schemas.settings import StageSettings

logger = logging.getLogger(__name__)

POLL_MS: Final = 100
"""How long an empty poll waits, and so a rebalance for it."""
BACKOFF_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
DRAIN_S: Final = 8.0
"""How long the batch in hand may still take when the process is told to stop or a partition is revoked."""
FULL: Final = 0.25
"""A batch of this part of the byte limit says that there is more: the next one does not wait."""

T = TypeVar("T")


class GivenUp(Exception):
    """The batch in hand was given up; it will be replayed."""


class Loop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Runs one stage until ``stop`` is called."""

    def __init__(
        self,
        settings: StageSettings,
        processor: Processor,
        *,
        control: ControlLog,
        consumer: AIOKafkaConsumer,
        downstream: Downstream,
        worker: Worker,
        metrics: ProcessorMetrics,
        failpoint: FailPoint = unharmed,
    ) -> None:
        self._settings = settings
        self._processor = processor
        self._control = control
        self._consumer = consumer
        self._downstream = downstream
        self._worker = worker
        self._metrics = metrics
        self._failpoint = failpoint
        self._topic = settings.kafka.topic_prefix + processor.topic.name
        self._states = settings.data_dir / "state" / processor.stage.value
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._give_up = asyncio.Event()
        self._pending: set[TopicPartition] = set()
        self._partitions: dict[TopicPartition, Partition] = {}
        self._halted: dict[TopicPartition, str] = {}
        self._trouble: str | None = None
        self._unrestored: str | None = None
        self._restore_at = 0.0
        self._restore_delay = BACKOFF_S

    def ready(self) -> str | None:
        """None if every partition of this process is being processed, else why not."""
        if self._halted:
            return f"{len(self._halted)} partitions are halted"
        if self._trouble is not None or self._unrestored is not None:
            return self._trouble or self._unrestored
        if not self._control.healthy:
            return "the control log cannot be read"
        if self._pending or not (self._partitions or self._stopping.is_set()):
            return "partitions are not restored yet"
        return None

    @property
    def generation(self) -> int:
        """Of this member in its group: it changes with every rebalance."""
        found: int = self._consumer._coordinator.generation
        return found

    def stop(self) -> None:
        """Finish the batch in hand, in a bounded time, and return from ``run``."""
        self._stopping.set()
        if self._trouble is not None:
            self._give_up.set()
        else:
            asyncio.get_running_loop().call_later(DRAIN_S, self._give_up.set)

    async def run(self) -> None:
        """Run until ``stop``. The caller starts and stops consumer, producer and control log."""
        self._consumer.subscribe([self._topic], listener=self)
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                async with self._turn:
                    size = await self._round()
                if size < self._settings.batch_max_bytes * FULL:
                    # Small batches mean small parts in the store: so many a second are enough.
                    await self._pause(self._settings.batch_max_wait_ms / 1000 - (time.monotonic() - began))
        finally:
            async with self._turn:
                await self._release(list(self._partitions))
            await self._in_thread(self._worker.close)
            self._thread.shutdown()

    # --- rebalances: called by the consumer ---

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note; the loop restores them, since that may take longer than a rebalance should."""
        found = set(assigned)
        self._consumer.pause(*found)
        self._pending |= found

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch in hand end, or give it up after a while; then let go of the state."""
        timer = asyncio.get_running_loop().call_later(0 if self._trouble else DRAIN_S, self._give_up.set)
        try:
            async with self._turn:
                gone = set(revoked)
                await self._release(gone)
                self._pending -= gone
                for partition in gone:
                    self._halted.pop(partition, None)
                self._metrics.halted.set(len(self._halted))
        finally:
            timer.cancel()
            if not self._stopping.is_set():
                self._give_up.clear()

    async def _release(self, partitions: Iterable[TopicPartition]) -> None:
        for tp in list(partitions):
            partition = self._partitions.pop(tp, None)
            if partition is not None:
                await self._in_thread(partition.store.close)

    # --- restoring ---

    async def _restore_pending(self) -> None:
        """Restore what was assigned; if a server is away, later, while the other partitions go on."""
        if not self._pending or time.monotonic() < self._restore_at:
            return
        for tp in sorted(self._pending):
            try:
                await self._restore(tp)
            except (Unavailable, KafkaError, OSError) as error:
                self._metrics.retries.labels("restore").inc()
                if self._unrestored is None:
                    logger.warning("%s-%d cannot be restored: %s; waiting", tp.topic, tp.partition, error)
                self._unrestored = f"a partition cannot be restored: {error}"
                self._restore_at = time.monotonic() + self._restore_delay
                self._restore_delay = min(2 * self._restore_delay, BACKOFF_MAX_S)
                return
            except IllegalStateError:  # revoked in the meantime
                pass
            except Invariant as error:
                self._halt(tp, error)
            self._pending.discard(tp)
        self._unrestored = None
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
        store = await self._in_thread(lambda: Store(self._directory(tp)))
        try:
            partition = await self._in_thread(lambda: self._worker.restore(store, log))
            await self._check_last_record(tp, log, partition)
            self._consumer.seek(tp, partition.position.next_offset)
            self._consumer.resume(tp)
        except BaseException:
            await self._in_thread(store.close)
            raise
        self._partitions[tp] = partition
        logger.info("%s-%d: from offset %d", tp.topic, tp.partition, partition.position.next_offset)

    def _directory(self, tp: TopicPartition) -> Path:
        return self._states / f"{tp.topic}-{tp.partition}"

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
                while not (records := (await self._getmany(tp, max_records=1)).get(tp)):
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

    def _halt(self, tp: TopicPartition, error: Invariant) -> None:
        logger.error("%s-%d halted: %s", tp.topic, tp.partition, error.message)
        with contextlib.suppress(IllegalStateError):
            self._consumer.pause(tp)
        self._halted[tp] = error.message
        self._metrics.halted.set(len(self._halted))

    # --- a batch ---

    async def _round(self) -> int:
        """Restore, poll, and see a batch through; its size in bytes."""
        await self._restore_pending()
        polled = await self._poll()
        if not polled:
            return 0
        began = time.perf_counter()
        try:
            await self._see_through(polled)
        except GivenUp:
            # Restored anew, they go on from the state as it was before this batch.
            await self._rewind(polled)
            return 0
        self._metrics.batch.observe(time.perf_counter() - began)
        return sum(len(record.value or b"") for records in polled.values() for record in records)

    async def _poll(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        try:
            polled = await self._getmany()
        except KafkaError as error:
            logger.warning("poll: %s", error)
            self._metrics.retries.labels("poll").inc()
            await self._pause(BACKOFF_S)
            return {}
        usable = {}
        for tp, records in polled.items():
            partition = self._partitions.get(tp)
            if partition is None or tp in self._halted:
                continue
            expected = partition.position.next_offset
            if records[0].offset != expected:
                self._halt(
                    tp,
                    Invariant(
                        f"the next record should have offset {expected} and has {records[0].offset}:"
                        " records were deleted before they were processed, or the topic was made anew"
                    ),
                )
                continue
            usable[tp] = records
        return usable

    async def _getmany(
        self, *partitions: TopicPartition, timeout_ms: int = POLL_MS, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Poll, for a bounded time: in a rebalance the consumer would wait for its end, and the rebalance for us."""
        try:
            async with asyncio.timeout(2 * timeout_ms / 1000):
                records: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                    *partitions, timeout_ms=timeout_ms, max_records=max_records
                )
        except TimeoutError:
            return {}
        return records

    async def _see_through(self, polled: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        stamps = [_stamp(record) for records in polled.values() for record in records]
        await self._until_done("control", lambda: self._reach(max(stamps)))
        batches = [(self._partitions[tp], records) for tp, records in polled.items()]
        processed = await self._in_thread(lambda: self._worker.process(batches))
        for number, error in processed.halted.items():
            self._halt(TopicPartition(self._topic, number), error)
        work = await self._insert(processed.work)
        if not work:
            return
        self._failpoint(Seam.AFTER_INSERT)
        await self._until_done("checkpoint", lambda: self._in_thread(lambda: self._worker.checkpoint(work)))
        self._failpoint(Seam.AFTER_CHECKPOINT)
        await self._until_done("produce", lambda: self._downstream.send(work))
        self._failpoint(Seam.AFTER_PRODUCE)
        before = [item.partition.position.totals for item in work]
        await self._in_thread(lambda: self._worker.keep(work))
        self._failpoint(Seam.AFTER_STATE)
        await self._until_done("commit", lambda: self._commit(work))
        self._failpoint(Seam.AFTER_COMMIT)
        for item, totals in zip(work, before, strict=True):
            self._observe(item)
            self._metrics.count(item.position.totals.since(totals))
        self._metrics.last_success.set_to_current_time()

    async def _reach(self, offset: int) -> None:
        if self._control.offset < offset:
            async with asyncio.timeout(BACKOFF_MAX_S):
                await self._control.reach(offset)

    async def _insert(self, work: list[Work]) -> list[Work]:
        """Insert it all at once; if the store refuses that, by partition, so that only the culprit halts."""
        try:
            await self._until_done("insert", lambda: self._in_thread(lambda: self._worker.insert(work)))
        except Invariant:
            pass
        else:
            return work
        accepted = []
        for item in work:
            try:
                await self._until_done("insert", lambda: self._in_thread(lambda: self._worker.insert([item])))  # noqa: B023
            except Invariant as error:
                self._halt(TopicPartition(self._topic, item.partition.number), error)
            else:
                accepted.append(item)
        return accepted

    async def _commit(self, work: list[Work]) -> None:
        offsets = {TopicPartition(self._topic, item.partition.number): item.position.next_offset for item in work}
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            # No longer ours. State and facts are ahead of the commit, which is where a restart goes on anyway.
            logger.warning("commit: %s", error)

    async def _rewind(self, polled: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        for tp in polled:
            if tp in self._partitions and tp not in self._halted:
                with contextlib.suppress(IllegalStateError):
                    self._consumer.seek(tp, self._partitions[tp].position.next_offset)

    def _observe(self, item: Work) -> None:
        topic, number = self._processor.topic.name, item.partition.number
        received = item.result.columns["received_at"]
        if received:
            self._metrics.age.observe(max(time.time() - received[-1] / 1000, 0))
        for letter in item.result.letters:
            self._metrics.dead_letter(letter.reason)
        end = self._consumer.highwater(TopicPartition(self._topic, number))
        if end is not None:
            self._metrics.lag.labels(topic, number).set(max(end - item.position.next_offset, 0))
        self._metrics.state_bytes.labels(topic, number).set(item.partition.store.size_bytes())

    # --- trouble ---

    async def _until_done(self, step: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds. Raises :class:`GivenUp` if told to, and :class:`Invariant` at once."""
        delay = BACKOFF_S
        while True:
            try:
                done = await attempt()
            except (Unavailable, KafkaError, OSError) as error:
                self._metrics.retries.labels(step).inc()
                if self._trouble is None:
                    logger.warning("%s: %s; waiting", step, error)
                self._trouble = f"{step}: {error}"
                await self._wait_out(delay)
                delay = min(2 * delay, BACKOFF_MAX_S)
            else:
                if self._trouble is not None:
                    logger.warning("%s: goes on", step)
                    self._trouble = None
                return done

    async def _wait_out(self, delay: float) -> None:
        """Wait, polling with everything paused, so that Kafka sees this member alive."""
        paused = [tp for tp in self._partitions if tp not in self._consumer.paused()]
        self._consumer.pause(*paused)
        try:
            until = time.monotonic() + delay
            while (left := until - time.monotonic()) > 0:
                if self._give_up.is_set() or self._stopping.is_set():
                    raise GivenUp
                with contextlib.suppress(KafkaError):
                    await self._getmany(timeout_ms=int(min(left * 1000, POLL_MS)))
        finally:
            for tp in paused:
                with contextlib.suppress(IllegalStateError):
                    self._consumer.resume(tp)

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless told to stop."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _stamp(record: Any) -> int:
    try:
        return stamped(record)
    except Unreadable:
        return 0
