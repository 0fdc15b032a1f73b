"""The faust application: an agent that folds the log of deliveries into two tables, and tells the lanes.

1. ``deliveries`` is keyed by destination: one process has all of it, and makes one attempt at a time.
2. The tables say which offset of each partition comes next, as the stages' states do, and the fold takes no other. What
   faust passes over while its group rebalances is seen by that, and fetched again.
3. A record counts as done when the tables' changelogs of it are acknowledged by Kafka. faust by itself would commit as
   soon as they are on their way.
4. What cannot be done ends the process, without a commit; whoever runs it starts it again. faust by itself would go on
   with the next record.
5. Who takes over a partition first reads the log to its end, as a mark that it writes tells: an attempt that was made
   and is not folded yet is not made again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import faust
import msgspec
from aiokafka.errors import KafkaError
from faust.types import TP, EventT, FutureMessage

from processors.delivery.courier import new_id
from processors.delivery.folding import Known, Pending, Told, settle, take
from processors.delivery.lanes import Key, Lanes
from processors.delivery.log import DeliveryLog
from processors.delivery.metrics import DeliveryMetrics
from schemas.deliveries import Attempt, Mark, Task, decode_delivery
from schemas.settings import DeliverySettings
from schemas.topics import DELIVERIES, DELIVERIES_PENDING, DELIVERIES_TOLD, Topic
from schemas.topics import DELIVERY_GROUP as GROUP

logger = logging.getLogger(__name__)

SESSION_TIMEOUT_S: Final = 6.0
REBALANCE_TIMEOUT_S: Final = 30.0
COMMIT_INTERVAL_S: Final = 0.5
UNACKNOWLEDGED_MAX: Final = 1000
"""Records that may wait for acknowledgements at a time."""
WATCH_S: Final = 2.0
"""A partition that has records and makes no progress is read again from where it is, so often."""
STORE_OPTIONS: Final = {
    "driver": "rocksdict",
    "max_open_files": 64,
    "write_buffer_size": 4 * 1024 * 1024,
    "block_cache_size": 8 * 1024 * 1024,
}

Acknowledgements = list[Awaitable[Any]]

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode_pending = msgspec.json.Decoder(tuple[Pending, ...]).decode
_decode_told = msgspec.json.Decoder(Told).decode
_decode_number = msgspec.json.Decoder(int).decode


class _Table(faust.Table[bytes, bytes]):
    """A table of bytes that hands out the acknowledgements of its changes, for rule 3."""

    def send_changelog(self, *arguments: Any, **options: Any) -> FutureMessage:
        future = super().send_changelog(*arguments, **options)
        self.__dict__.setdefault("changes", []).append(future)
        return future

    def acknowledgements(self) -> Acknowledgements:
        """Of the changes since the last call."""
        changes: Acknowledgements = self.__dict__.pop("changes", [])
        return changes


class Agents:
    """One a process. Belongs to one event loop."""

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        log: DeliveryLog,
        metrics: DeliveryMetrics,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.ready = False
        self._settings = settings
        self._log = log
        self._metrics = metrics
        self._failed = failed
        self._lanes: Lanes | None = None
        self._next: dict[int, int] = {}
        """Offset that comes next, by partition: of those that are ours."""
        self._marks: dict[int, Mark] = {}
        self._slots = asyncio.Semaphore(UNACKNOWLEDGED_MAX)
        self._finishing: set[asyncio.Task[None]] = set()
        self._directory = Path(settings.data_dir) / "delivery"
        self.app = _app(settings, self._directory)
        self._pending = self._table("pending", DELIVERIES_PENDING)
        self._told = self._table("told", DELIVERIES_TOLD)
        self.app.agent(self._topic(DELIVERIES), name="fold")(self._work)
        self.app.on_rebalance_complete.connect(self._assigned, weak=False)
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)

    async def run(self, lanes: Lanes, stopping: asyncio.Event) -> None:
        """Work until ``stopping`` is set."""
        self._lanes = lanes
        tasks: list[asyncio.Task[Any]] = []
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            await self.app.start()
            tasks = [asyncio.create_task(self.app.wait_until_stopped()), asyncio.create_task(self._watch())]
            tasks.append(asyncio.create_task(stopping.wait()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done():
                tasks[1].result()
            if self.app.crashed:
                raise self.app.crash_reason or RuntimeError("faust ended by itself")
        finally:
            self.ready = False
            for task in tasks:
                task.cancel()
            await lanes.clear()
            await self.app.stop()

    def known(self, key: Key) -> Known:
        """What the tables hold of a conversion at a destination."""
        name = _name(*key)
        pending, told = self._pending.get(name), self._told.get(name)
        return Known(
            _decode_told(told) if told is not None else None,
            _decode_pending(pending) if pending is not None else (),
        )

    def failures(self, destination_id: str) -> int:
        """Attempts on the destination that failed in a row."""
        value = self._told.get(destination_id.encode())
        return _decode_number(value) if value is not None else 0

    async def _work(self, stream: Any) -> None:
        async for event in stream.noack().events():
            partition, offset = event.message.partition, event.message.offset
            wanted = self._next.get(partition)
            if wanted is None or offset > wanted:
                continue  # not ours any more, or out of turn: the watch fetches what comes before it (rule 2)
            if offset < wanted:
                event.ack()
                continue
            await self._slots.acquire()
            try:
                acknowledgements = await self._fold(event)
            except Exception as error:
                self._failed(error)
                await asyncio.Event().wait()  # rule 4: whoever was told ends the process
            finishing = asyncio.create_task(self._finish(event, acknowledgements))
            self._finishing.add(finishing)
            finishing.add_done_callback(self._finishing.discard)

    async def _fold(self, event: EventT[Any]) -> Acknowledgements:
        """Take one record into the tables."""
        item = self._decoded(event.value)
        known: Known | None = None
        if isinstance(item, Task | Attempt):
            key = (item.destination_id, item.conversion.conversion_id)
            before = self.known(key)
            known = take(before, item) if isinstance(item, Task) else settle(before, item)
            self._keep(key, before, known)
            if isinstance(item, Attempt) and item.failures != self.failures(item.destination_id):
                self._told[item.destination_id.encode()] = _encode(item.failures)
        partition = event.message.partition
        self._next[partition] = event.message.offset + 1
        self._told[_position(partition)] = _encode(event.message.offset + 1)
        assert self._lanes is not None
        if known is not None:
            self._lanes.update(key, known)
        if isinstance(item, Attempt):
            self._metrics.count(item.kind, item.outcome)
            await self._lanes.folded(item)
        if isinstance(item, Mark) and self._marks.get(partition) == item:
            del self._marks[partition]
            self._begin_if_marked()
        self._metrics.pending.set(len(self._lanes))
        return [*self._pending.acknowledgements(), *self._told.acknowledgements()]

    def _keep(self, key: Key, before: Known, after: Known) -> None:
        name = _name(*key)
        if after.told != before.told and after.told is not None:
            self._told[name] = _encode(after.told)
        if after.pending:
            if after.pending != before.pending:
                self._pending[name] = _encode(after.pending)
        elif before.pending:
            del self._pending[name]

    def _decoded(self, value: bytes) -> Task | Attempt | Mark | None:
        """None, and counted: written by a newer version, or by someone else."""
        try:
            item: Task | Attempt | Mark = decode_delivery(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._metrics.undecodable.inc()
            logger.warning("delivery: a record could not be read and is passed over")
            return None
        return item

    async def _finish(self, event: EventT[Any], acknowledgements: Acknowledgements) -> None:
        """Rule 3."""
        try:
            await asyncio.gather(*acknowledgements)
        except Exception as error:
            self._failed(error)
        else:
            event.ack()
        finally:
            self._slots.release()

    async def _assigned(self, *arguments: Any, **options: Any) -> None:
        """Recovery is over: the tables hold what is pending in our partitions."""
        assert self._lanes is not None
        await self._lanes.clear()
        ours = [tp.partition for tp in self.app.consumer.assignment() if tp.topic == self._log.topic]
        for partition in ours:
            stored = self._told.get(_position(partition))
            self._next[partition] = _decode_number(stored) if stored is not None else 0
        for name, value in self._pending.items():
            destination_id, _, conversion_id = name.decode().partition("/")
            self._lanes.update((destination_id, conversion_id), Known(None, _decode_pending(value)))
        self._metrics.pending.set(len(self._lanes))
        self._marks = {partition: Mark(new_id()) for partition in ours}
        for partition, mark in self._marks.items():
            await self._log.mark(mark, partition)
        self._begin_if_marked()

    async def _revoked(self, *arguments: Any, **options: Any) -> None:
        self.ready = False
        self._next.clear()
        self._marks.clear()
        if self._lanes is not None:
            await self._lanes.clear()

    def _begin_if_marked(self) -> None:
        """Rule 5."""
        if not self._marks and self._lanes is not None:
            self._lanes.begin()
            self.ready = True

    async def _watch(self) -> None:
        """Rule 2: read again what a partition has and the fold did not get."""
        before: dict[int, int] = {}
        while True:
            await asyncio.sleep(WATCH_S)
            stuck = {number: offset for number, offset in self._next.items() if before.get(number) == offset}
            before = dict(self._next)
            if stuck and not self.app.rebalancing:
                try:
                    await self._unstick(stuck)
                except (KafkaError, OSError) as error:  # Kafka is away, or a partition is not ours any more
                    logger.warning("delivery: the log cannot be looked at now: %s", type(error).__name__)

    async def _unstick(self, stuck: dict[int, int]) -> None:
        partitions = {number: TP(self._log.topic, number) for number in stuck}
        ends = await self.app.consumer.highwaters(*partitions.values())
        starts = await self.app.consumer.earliest_offsets(*partitions.values())
        for number, tp in partitions.items():
            if self._next.get(number) != stuck[number] or (ends.get(tp) or 0) <= stuck[number]:
                continue
            if (first := starts.get(tp) or 0) > stuck[number]:
                logger.error("delivery: the log of deliveries was cut before it was read: from offset %d", first)
                self._next[number] = first
            await self.app.consumer.seek(tp, self._next[number])

    def _topic(self, topic: Topic) -> Any:
        return self.app.topic(
            self._settings.kafka.topic_prefix + topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

    def _table(self, name: str, changelog: Topic) -> Any:
        table = _Table(
            self.app,
            name=name,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=self._topic(changelog),
            options=dict(STORE_OPTIONS),
        )
        return self.app.tables.add(table)


def _name(destination_id: str, conversion_id: str) -> bytes:
    return f"{destination_id}/{conversion_id}".encode()


def _position(partition: int) -> bytes:
    return f"@{partition}".encode()


def _app(settings: DeliverySettings, directory: Path) -> faust.App:
    kafka = settings.kafka
    return faust.App(
        kafka.topic_prefix + GROUP,
        broker=f"aiokafka://{kafka.kafka_bootstrap.replace(',', ';')}",
        broker_client_id=GROUP,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 4,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_commit_interval=COMMIT_INTERVAL_S,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{GROUP}-{settings.instance}" if settings.instance else None,
        producer_acks=-1,
        processing_guarantee="at_least_once",
        store="rocksdb://",
        datadir=str(directory),
        table_standby_replicas=0,
        topic_allow_declare=False,  # topics are made as declared, by whoever starts the installation
        topic_disable_leader=True,
        topic_replication_factor=kafka.replication,
        reply_create_topic=False,
        web_enabled=False,
        autodiscover=False,
        worker_redirect_stdouts=False,
    )
