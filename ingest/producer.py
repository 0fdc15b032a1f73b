"""Events -> Kafka, acknowledged by all in-sync replicas. The only module of ingest that imports aiokafka.

1. The events that concurrent requests send within ``linger_ms`` are packed together, a partition at a time, so that
   single events cost records and acknowledgements as batches do.
2. A request waits for its own partitions. Each is answered within ``produce_timeout_ms``, and only an acknowledgement
   is a yes: an event whose fate is unknown counts as not written, and sending it again is safe by its id.
3. While Kafka is known to be away, ``submit`` refuses at once. A probe finds out that it left, and that it is back.
4. aiokafka's idempotent producer never gives a batch up and has errors it does not recover from, so after any failed
   delivery it is replaced: a new one, with a new producer id, starts while the old one's last deliveries end.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from ingest.metrics import IngestMetrics
from schemas import codec
from schemas.errors import Unavailable
from schemas.settings import IngestSettings
from schemas.topics import EVENTS_RAW

logger = logging.getLogger(__name__)

PENDING_MAX_BYTES: Final = 64 * 1024 * 1024
"""More than this waiting for acknowledgements is refused: memory stays bounded however slow Kafka is."""
FLUSH_BYTES: Final = codec.RECORD_MAX_BYTES // 2
"""A partition with this much is sent before its linger has ended."""
MESSAGE_MAX_BYTES: Final = 1024 * 1024
"""Kafka's own default limit: a record of ours and its frame fit."""
PROBE_S: Final = 1.0
PROBE_AWAY_S: Final = 0.2
START_LIMIT_S: Final = 10.0
CLOSE_LIMIT_S: Final = 1.0

Failed = frozenset[int]


class _Ticket:
    """One request's claim: resolved with its failed partitions once all of them are settled."""

    __slots__ = ("_failed", "_open", "outcome")

    def __init__(self, partitions: int, outcome: "asyncio.Future[Failed]") -> None:
        self._open = partitions
        self._failed: set[int] = set()
        self.outcome = outcome

    def settle(self, partition: int, ok: bool) -> None:
        self._open -= 1
        if not ok:
            self._failed.add(partition)
        if self._open == 0 and not self.outcome.done():  # done: the request was cancelled
            self.outcome.set_result(frozenset(self._failed))


class _Lane:
    """What waits to be sent to one partition."""

    __slots__ = ("bytes", "lines", "tickets")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.tickets: list[_Ticket] = []
        self.bytes = 0


class EventProducer:
    """Belongs to one event loop. ``control_offset`` says how far this process has applied the control log."""

    def __init__(self, settings: IngestSettings, *, control_offset: Callable[[], int], metrics: IngestMetrics) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic_prefix + EVENTS_RAW.name
        self._control_offset = control_offset
        self._metrics = metrics
        self._timeout = settings.produce_timeout_ms / 1000
        self._producer: AIOKafkaProducer | None = None
        self._partitions = 0
        self._available = False
        self._lanes: dict[int, _Lane] = {}
        self._flush_handle: asyncio.TimerHandle | None = None
        self._pending_bytes = 0
        metrics.pending_bytes.set_function(lambda: self._pending_bytes)
        self._deliveries: set[asyncio.Task[None]] = set()
        self._discards: set[asyncio.Task[None]] = set()
        self._replace = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False
        self._told = False

    @property
    def available(self) -> bool:
        """Kafka took part in the last exchange, and a producer is ready."""
        return self._available

    @property
    def partitions(self) -> int:
        """Partitions of the topic, as of the last connection. Raises :class:`Unavailable` before the first."""
        if self._partitions == 0:
            raise Unavailable("Kafka cannot be reached")
        return self._partitions

    async def start(self) -> None:
        """Begin to connect. Returns at once: Kafka may come later."""
        self._supervisor = asyncio.create_task(self._supervise(), name="ingest-producer")

    async def stop(self) -> None:
        """Send what waits, await its acknowledgements within the time limit, and close."""
        self._stopping = True
        self._flush()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        if self._discards:
            await asyncio.wait(self._discards)

    def submit(self, lines: Mapping[int, Sequence[bytes]]) -> "asyncio.Future[Failed]":
        """Queue one request's encoded events, by partition; the future yields the partitions that were not
        acknowledged, and never an error. Raises :class:`Unavailable` if Kafka is away or too much waits already."""
        if not self._available:
            raise Unavailable("Kafka cannot be reached")
        if self._pending_bytes > PENDING_MAX_BYTES:
            raise Unavailable("too many events wait for Kafka")
        loop = asyncio.get_running_loop()
        ticket = _Ticket(len(lines), loop.create_future())
        full = False
        for partition, encoded in lines.items():
            lane = self._lanes.get(partition)
            if lane is None:
                lane = self._lanes[partition] = _Lane()
            lane.lines.extend(encoded)
            lane.tickets.append(ticket)
            size = sum(map(len, encoded))
            lane.bytes += size
            self._pending_bytes += size
            full = full or lane.bytes >= FLUSH_BYTES
        if full:
            self._flush()
        elif self._flush_handle is None:
            self._flush_handle = loop.call_later(self._settings.linger_ms / 1000, self._flush)
        return ticket.outcome

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        lanes, self._lanes = self._lanes, {}
        for partition, lane in lanes.items():
            delivery = asyncio.create_task(self._deliver(self._producer, partition, lane))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, producer: AIOKafkaProducer | None, partition: int, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        headers = codec.headers(self._control_offset())
        sent: list[asyncio.Future[object]] = []
        try:
            if producer is None:
                raise KafkaConnectionError("no producer")
            async with asyncio.timeout(self._timeout):
                for value in codec.pack(lane.lines):
                    acknowledgement = await producer.send(self._topic, value, partition=partition, headers=headers)
                    sent.append(acknowledgement)
                for acknowledgement in sent:
                    await acknowledgement
        except (KafkaError, OSError, AssertionError) as error:  # OSError: time out; AssertionError: no such partition
            logger.warning("events were not acknowledged: %s", type(error).__name__)
            for acknowledgement in sent:
                acknowledgement.cancel()
            ok = False
            if producer is self._producer:
                self._replace.set()
        else:
            ok = True
            self._metrics.produce_seconds.observe(loop.time() - began)
        self._pending_bytes -= lane.bytes
        for ticket in lane.tickets:
            ticket.settle(partition, ok)

    async def _supervise(self) -> None:
        """Keep a working producer, for ever."""
        while True:
            producer = self._make()
            try:
                async with asyncio.timeout(START_LIMIT_S):
                    await producer.start()
                    self._partitions = len(await producer.partitions_for(self._topic))
                self._producer = producer
                self._replace.clear()
                self._set_available(True)
                await self._watch(producer)
            except (KafkaError, OSError) as error:
                if not self._told:
                    logger.warning("Kafka cannot be reached: %s; trying again until it can", type(error).__name__)
                    self._told = True
            else:
                self._set_available(False)
            finally:
                self._available, self._producer = False, None
                self._metrics.kafka_up.set(0)
                self._discard(producer)
            await asyncio.sleep(PROBE_AWAY_S)

    async def _watch(self, producer: AIOKafkaProducer) -> None:
        """Return when this producer has to be replaced. Meanwhile know whether Kafka is there."""
        while not self._replace.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S if self._available else PROBE_AWAY_S):
                    await self._replace.wait()
                return
            try:
                async with asyncio.timeout(self._timeout):
                    there = await producer.client.force_metadata_update()
            except TimeoutError:
                there = False
            self._set_available(bool(there))

    def _make(self) -> AIOKafkaProducer:
        self._metrics.producers.inc()
        return AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka.kafka_bootstrap,
            client_id="headwater-ingest",
            acks="all",
            enable_idempotence=True,
            # Lingering is done here, before packing: what arrives is ready to go.
            linger_ms=0,
            max_batch_size=MESSAGE_MAX_BYTES,
            max_request_size=MESSAGE_MAX_BYTES,
            request_timeout_ms=self._settings.produce_timeout_ms,
        )

    def _discard(self, producer: AIOKafkaProducer) -> None:
        discard = asyncio.create_task(self._close(producer, set(self._deliveries)))
        self._discards.add(discard)
        discard.add_done_callback(self._discards.discard)

    async def _close(self, producer: AIOKafkaProducer, last: set[asyncio.Task[None]]) -> None:
        if last:
            await asyncio.wait(last)
        # Not its stop(): that waits until every batch is done, and without Kafka none ever is. Nobody waits for them
        # any more; to fail them instead breaks aiokafka's own bookkeeping of those it was about to retry.
        sender = producer._sender.sender_task
        if sender is not None:
            sender.cancel()
            await asyncio.wait({sender}, timeout=CLOSE_LIMIT_S if self._stopping else self._timeout)
        await producer.client.close()
        producer._closed = True

    def _set_available(self, available: bool) -> None:
        if available != self._available:
            logger.warning("Kafka is %s", "there" if available else "away")
            self._told = not available
        self._available = available
        self._metrics.kafka_up.set(available)
