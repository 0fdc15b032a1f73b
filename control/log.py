"""The control log of one process: a view that is caught up on demand, and writes that are read back.

A record names the version it replaces, and the first in the log wins; so a writer learns whether it won from its own
view, once that has applied the record, and needs no lock, no transaction and no leader.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Final, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from control.end import LogEnd
from control.metrics import ControlMetrics, WriteOutcome
from control.tail import Tail
from control.writer import Writer
from schemas.control import Body, ControlRecord, ControlView, Entry, encode_record
from schemas.errors import Invariant, Reason, Refused, Unavailable
from schemas.settings import KafkaSettings
from schemas.topics import CONTROL

START_LIMIT_S: Final = 60.0
CATCH_UP_LIMIT_S: Final = 5.0
WRITE_LIMIT_S: Final = 10.0
CHANGE_ATTEMPTS: Final = 5
PROBE_INTERVAL_S: Final = 1.0
STALE_AFTER_S: Final = 7.0
"""The view counts as healthy for so long after it was last known to be at the end of the log."""

B = TypeVar("B", bound=Body)


class ControlLog:
    """Read with ``view``, after ``catch_up`` where others' writes must be seen; write with ``write``, ``change``,
    ``delete``. Belongs to one event loop."""

    def __init__(self, settings: KafkaSettings, *, client_id: str, metrics: ControlMetrics | None = None) -> None:
        bootstrap = settings.kafka_bootstrap
        partition = TopicPartition(settings.topic_prefix + CONTROL.name, 0)
        self._topic = partition.topic
        self._metrics = metrics or ControlMetrics(CollectorRegistry())
        self._tail = Tail(bootstrap, partition, client_id=client_id, metrics=self._metrics, applied=self._decide)
        self._end = LogEnd(bootstrap, partition, client_id=client_id, metrics=self._metrics)
        self._writer = Writer(bootstrap, partition, client_id=client_id)
        self._fates: dict[str, asyncio.Future[Entry | None]] = {}
        self._current_at: float | None = None
        self._probe: asyncio.Task[None] | None = None

    @property
    def view(self) -> ControlView:
        """What is configured, up to ``offset``. Always this object; never change it."""
        return self._tail.view

    @property
    def offset(self) -> int:
        """Offset up to which the log is applied (exclusive): what ingest stamps into its records."""
        return self._tail.view.offset

    @property
    def healthy(self) -> bool:
        """The view was at the end of the log a moment ago, and will be again."""
        if self._current_at is None or self._tail.halted:
            return False
        return time.monotonic() - self._current_at < STALE_AFTER_S

    async def start(self, *, limit_s: float = START_LIMIT_S) -> None:
        """Read the whole log, then follow it.

        Raises :class:`Unavailable` if Kafka or the topic is away for longer: it may then be started again.
        """
        self._end.start()
        self._tail.start()
        try:
            await self._catch_up(limit_s)
        except BaseException:
            await self.stop()
            raise
        self._probe = asyncio.create_task(self._keep_probing(), name="control-probe")

    async def stop(self) -> None:
        """Stop following. Calls in flight should have ended before; those that have not may fail."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe})
            self._probe = None
        await self._tail.stop()
        await self._end.stop()
        await self._writer.stop()
        self._current_at = None

    async def catch_up(self) -> None:
        """Apply everything that was in the log when this was called.

        Raises :class:`Unavailable` after 5 s, and :class:`schemas.errors.Invariant` if the log was made anew.
        """
        await self._catch_up(CATCH_UP_LIMIT_S)

    async def reach(self, offset: int) -> None:
        """Wait, without a limit, until everything below ``offset`` is applied: what a record's stamp asks for."""
        await self._tail.reach(offset)

    async def write(self, body: Body, *, replaces: int, deleted: bool = False) -> Entry:
        """Append a record and return its entry once this process's view has applied it.

        ``replaces``: the version this was made from, 0 to create. Raises :class:`Refused` (conflict) if another
        writer replaced that version first, and :class:`Unavailable` if Kafka did not acknowledge the record in 10 s;
        it may be in the log nevertheless.
        """
        self._tail.check()
        record = ControlRecord(
            record_id=str(uuid.uuid4()),
            replaces=replaces,
            written_at=time.time_ns() // 1_000_000,
            body=body,
            deleted=deleted,
        )
        fate = self._fates[record.record_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                offset = await self._writer.write(_record_key(body), encode_record(record))
                await self._tail.reach(offset + 1)
                entry: Entry | None = await fate
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            self._metrics.writes.labels(WriteOutcome.UNAVAILABLE).inc()
            raise Unavailable("the change was not acknowledged by Kafka; look before you send it again") from error
        finally:
            del self._fates[record.record_id]
        if entry is None:
            self._metrics.writes.labels(WriteOutcome.LOST).inc()
            raise Refused(Reason.CONFLICT, "changed by someone else at the same time")
        self._metrics.writes.labels(WriteOutcome.WON).inc()
        return entry

    async def change(self, kind: type[B], id: str, edit: Callable[[B], B]) -> Entry:
        """Replace an object by what ``edit`` makes of its current body; an edit that changes nothing writes nothing.

        ``edit`` may be called again on a newer body, and may raise :class:`Refused`. Raises :class:`Refused`:
        not_found, or conflict after losing several races in a row.
        """
        return await self._replace(kind, id, edit, deleted=False)

    async def delete(self, kind: type[Body], id: str) -> Entry:
        """Delete an object, for good: its id is never used again. Raises :class:`Refused` as ``change`` does."""
        return await self._replace(kind, id, lambda body: body, deleted=True)

    async def _replace(self, kind: type[B], id: str, edit: Callable[[B], B], *, deleted: bool) -> Entry:
        await self.catch_up()
        attempt = 0
        while True:
            attempt += 1
            entry = self.view.entry(kind, id)
            if entry is None or entry.deleted or not isinstance(entry.body, kind):
                raise Refused(Reason.NOT_FOUND, "not found")
            body = edit(entry.body)
            if body.id != id:
                raise ValueError("an edit must keep the id")
            if body == entry.body and not deleted:
                return entry
            try:
                return await self.write(body, replaces=entry.version, deleted=deleted)
            except Refused as refusal:
                if refusal.reason is not Reason.CONFLICT or attempt == CHANGE_ATTEMPTS:
                    raise

    async def _catch_up(self, limit_s: float) -> None:
        seen = self.offset
        try:
            async with asyncio.timeout(limit_s):
                end = await self._end.find()
                if end < seen:
                    self._tail.halt("the log ends before what we have read: it was made anew; restart this process")
                self._tail.check()
                await self._tail.reach(end)
        except TimeoutError as error:
            raise Unavailable(f"Kafka or its topic {self._topic} cannot be reached") from error
        self._current_at = time.monotonic()

    async def _keep_probing(self) -> None:
        """Know that we are current also when nobody asks."""
        while not self._tail.halted:
            await asyncio.sleep(PROBE_INTERVAL_S)
            with contextlib.suppress(Unavailable, Invariant):
                await self.catch_up()

    def _decide(self, record: ControlRecord, won: bool) -> None:
        fate = self._fates.get(record.record_id)
        if fate is not None and not fate.done():  # done: a retry wrote it twice, and the first decided
            fate.set_result(self.view.entry(type(record.body), record.body.id) if won else None)


def _record_key(body: Body) -> bytes:
    return f"{type(body).__name__.lower()}:{body.id}".encode()
