"""A batch on its way, from records to commit: the steps and their order are those of the package's docstring."""

import asyncio
import logging
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from control.log import ControlLog
from processors.runtime.assignment import Assignment
from processors.runtime.downstream import Downstream
from processors.runtime.failpoint import FailPoint, Seam
from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.patience import BACKOFF_MAX_S, Patience
from processors.runtime.polling import Polled
from processors.runtime.thread import Thread
from processors.runtime.worker import Work, Worker
from processors.stages.lines import Unreadable, stamped
from processors.stages.result import Processor
from schemas.errors import Invariant

logger = logging.getLogger(__name__)


class Batches:
    """Sees one batch through at a time. ``topic``: the stage's, with its prefix."""

    def __init__(
        self,
        processor: Processor,
        topic: str,
        *,
        control: ControlLog,
        consumer: AIOKafkaConsumer,
        downstream: Downstream,
        worker: Worker,
        thread: Thread,
        assignment: Assignment,
        patience: Patience,
        metrics: ProcessorMetrics,
        failpoint: FailPoint,
    ) -> None:
        self._processor = processor
        self._topic = topic
        self._control = control
        self._consumer = consumer
        self._downstream = downstream
        self._worker = worker
        self._thread = thread
        self._assignment = assignment
        self._patience = patience
        self._metrics = metrics
        self._failpoint = failpoint

    async def see_through(self, polled: Polled) -> None:
        """Process, store and commit. Raises :class:`processors.runtime.patience.GivenUp`: it will be replayed."""
        stamps = [_stamp(record) for records in polled.values() for record in records]
        until_done, run = self._patience.until_done, self._thread.run
        await until_done("control", lambda: self._reach(max(stamps)))
        batches = [(self._assignment.owned[tp], records) for tp, records in polled.items()]
        processed = await run(lambda: self._worker.process(batches))
        for number, error in processed.halted.items():
            self._assignment.halt(TopicPartition(self._topic, number), error)
        work = await self._insert(processed.work)
        if not work:
            return
        self._failpoint(Seam.AFTER_INSERT)
        await until_done("checkpoint", lambda: run(lambda: self._worker.checkpoint(work)))
        self._failpoint(Seam.AFTER_CHECKPOINT)
        await until_done("produce", lambda: self._downstream.send(work))
        self._failpoint(Seam.AFTER_PRODUCE)
        before = [item.partition.position.totals for item in work]
        await run(lambda: self._worker.keep(work))
        self._failpoint(Seam.AFTER_STATE)
        await until_done("commit", lambda: self._commit(work))
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
            await self._insert_at_once(work)
        except Invariant:
            pass
        else:
            return work
        accepted = []
        for item in work:
            try:
                await self._insert_at_once([item])
            except Invariant as error:
                self._assignment.halt(TopicPartition(self._topic, item.partition.number), error)
            else:
                accepted.append(item)
        return accepted

    async def _insert_at_once(self, work: list[Work]) -> None:
        await self._patience.until_done("insert", lambda: self._thread.run(lambda: self._worker.insert(work)))

    async def _commit(self, work: list[Work]) -> None:
        offsets = {TopicPartition(self._topic, item.partition.number): item.position.next_offset for item in work}
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            # No longer ours. State and facts are ahead of the commit, which is where a restart goes on anyway.
            logger.warning("commit: %s", error)

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


def _stamp(record: Any) -> int:
    try:
        return stamped(record)
    except Unreadable:
        return 0
