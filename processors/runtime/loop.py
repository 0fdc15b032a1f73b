"""The micro-batch loop of one stage: assign, restore, poll, see a batch through; drain on revoke.

1. One batch is in hand at a time. The lock ``_turn`` is held from before the poll until the batch is committed or given
   up, and a rebalance waits for it: nobody else gets a partition in the middle of a batch.
2. Trouble (Kafka or the store away, busy, full) is waited out with the batch in hand (``patience``). Partitions are
   paused and polling goes on, so the assignment is kept. A revocation or SIGTERM gives the batch up: it has not been
   committed, and whoever comes next replays it.
3. A broken rule halts its partition (``assignment``), with one line that says why; the others go on.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from control.log import ControlLog
from processors.runtime.assignment import Assignment
from processors.runtime.batch import Batches
from processors.runtime.downstream import Downstream
from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.patience import BACKOFF_S, GivenUp, Patience
from processors.runtime.polling import Polled, getmany
from processors.runtime.thread import Thread
from processors.runtime.worker import Worker
from processors.stages.result import Processor
from schemas.settings import StageSettings

logger = logging.getLogger(__name__)

FULL: Final = 0.25
"""A batch of this part of the byte limit says that there is more: the next one does not wait."""


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
        self._control = control
        self._consumer = consumer
        self._worker = worker
        self._metrics = metrics
        self._topic = settings.kafka.topic_prefix + processor.topic.name
        self._turn = asyncio.Lock()
        self._thread = Thread()
        states = settings.data_dir / "state" / processor.stage.value
        self._assignment = Assignment(consumer, worker, self._thread, metrics, states)
        self._patience = Patience(consumer, metrics, self._assignment.owned)
        self._batches = Batches(
            processor,
            self._topic,
            control=control,
            consumer=consumer,
            downstream=downstream,
            worker=worker,
            thread=self._thread,
            assignment=self._assignment,
            patience=self._patience,
            metrics=metrics,
            failpoint=failpoint,
        )

    def ready(self) -> str | None:
        """None if every partition of this process is being processed, else why not."""
        assignment, patience = self._assignment, self._patience
        if assignment.halted:
            return f"{len(assignment.halted)} partitions are halted"
        if patience.trouble is not None or assignment.unrestored is not None:
            return patience.trouble or assignment.unrestored
        if not self._control.healthy:
            return "the control log cannot be read"
        if assignment.pending or not (assignment.owned or patience.stopping):
            return "partitions are not restored yet"
        return None

    @property
    def generation(self) -> int:
        """Of this member in its group: it changes with every rebalance."""
        found: int = self._consumer._coordinator.generation
        return found

    def stop(self) -> None:
        """Finish the batch in hand, in a bounded time, and return from ``run``."""
        self._patience.stop()

    async def run(self) -> None:
        """Run until ``stop``. The caller starts and stops consumer, producer and control log."""
        self._consumer.subscribe([self._topic], listener=self)
        try:
            while not self._patience.stopping:
                began = time.monotonic()
                async with self._turn:
                    size = await self._round()
                if size < self._settings.batch_max_bytes * FULL:
                    # Small batches mean small parts in the store: so many a second are enough.
                    await self._patience.pause(self._settings.batch_max_wait_ms / 1000 - (time.monotonic() - began))
        finally:
            async with self._turn:
                await self._assignment.release(list(self._assignment.owned))
            await self._thread.run(self._worker.close)
            self._thread.close()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the consumer in a rebalance."""
        self._assignment.assign(assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the consumer in a rebalance. Let the batch in hand end, or give it up after a while."""
        with self._patience.hurrying():
            async with self._turn:
                await self._assignment.revoke(revoked)

    async def _round(self) -> int:
        """Restore, poll, and see a batch through; its size in bytes."""
        await self._assignment.restore_pending()
        polled = await self._poll()
        if not polled:
            return 0
        began = time.perf_counter()
        try:
            await self._batches.see_through(polled)
        except GivenUp:
            # Restored anew, they go on from the state as it was before this batch.
            self._assignment.rewind(polled)
            return 0
        self._metrics.batch.observe(time.perf_counter() - began)
        return sum(len(record.value or b"") for records in polled.values() for record in records)

    async def _poll(self) -> Polled:
        try:
            return self._assignment.usable(await getmany(self._consumer))
        except KafkaError as error:
            logger.warning("poll: %s", error)
            self._metrics.retries.labels("poll").inc()
            await self._patience.pause(BACKOFF_S)
            return {}
