"""A stage on real servers, for tests: its topics and tables made, its input produced, its output read."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from clickhouse.client import connect
from control.log import ControlLog
from control.topics import ensure_topics
from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.run import StageProcess
from processors.topology import conversions_stage, events_stage
from schemas.codec import VERSION_HEADER, encode, headers, pack
from schemas.control import Project
from schemas.events import RawEvent
from schemas.ids import conversion_id, partition_of
from schemas.outcomes import Stage, Trust
from schemas.settings import ClickHouseSettings, KafkaSettings, StageSettings, load
from schemas.topics import EVENTS_RAW, TOPICS

PROJECT = "11111111-1111-4111-8111-111111111111"
START = 1_760_000_000_000


def raw_event(number: int, *, visitor: str = "", at: int | None = None, **fields: Any) -> RawEvent:
    """The ``number``-th event: a pageview, unless told otherwise."""
    received = START + number * 1000
    defaults: dict[str, Any] = {
        "project_id": PROJECT,
        "event_id": str(uuid.UUID(int=number + 1)),
        "trust": Trust.PUBLIC,
        "received_at": received,
        "occurred_at": received if at is None else at,
        "event_type": "pageview",
        "visitor": visitor or f"v{number % 7}",
        "anonymous_id": visitor or f"v{number % 7}",
        "url": f"https://shop.example/p/{number % 5}",
    }
    return RawEvent(**{**defaults, **fields})


def purchase(number: int, order: str, revenue: str, **fields: Any) -> RawEvent:
    """The ``number``-th event, as the purchase of an order."""
    return raw_event(
        number,
        event_type="conversion",
        event_name="purchase",
        order_id=order,
        conversion_id=conversion_id(PROJECT, "purchase", order, ""),
        revenue=Decimal(revenue),
        currency="USD",
        **fields,
    )


class Installation:
    """Topics, tables and a project of one test."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        """Of the stages; the test itself keeps to the servers it began with."""
        self.kafka = load(KafkaSettings, environment)
        self.clickhouse = load(ClickHouseSettings, environment)
        self.control_offset = 0

    async def prepare(self) -> "Installation":
        await ensure_topics(self.kafka)
        control = ControlLog(self.kafka, client_id="test")
        await control.start()
        try:
            await control.write(Project(id=PROJECT, name="test", site_key="site"), replaces=0)
            self.control_offset = control.offset
        finally:
            await control.stop()
        return self

    def topic(self, name: str) -> str:
        return self.kafka.topic_prefix + name

    def elsewhere(self) -> "Installation":
        """The same, with stages that keep their state in another directory, as on another machine."""
        other = Installation({**self.environment, "HEADWATER_DATA_DIR": self.environment["HEADWATER_DATA_DIR"] + "/2"})
        other.control_offset = self.control_offset
        return other

    def state_directory(self, stage: Stage) -> Path:
        """Where a stage keeps its state."""
        return Path(self.environment["HEADWATER_DATA_DIR"]) / "state" / stage.value

    def stage(self, stage: Stage, *, failpoint: FailPoint = unharmed) -> StageProcess:
        """A stage's process, to be run here."""
        settings = load(StageSettings, self.environment)
        return StageProcess(
            settings,
            lambda settings, control: (
                events_stage(settings, control.view.had_project)
                if stage is Stage.EVENTS
                else conversions_stage(settings)
            ),
            failpoint=failpoint,
        )

    async def produce(self, events: Sequence[RawEvent], *, per_record: int = 5) -> None:
        """Put events on events-raw as ingest would, so many to a record."""
        by_partition: dict[int, list[bytes]] = {}
        for event in events:
            number = partition_of(event.visitor, self.kafka.partitions)
            by_partition.setdefault(number, []).append(encode(event))
        for number, lines in by_partition.items():
            for start in range(0, len(lines), per_record):
                for value in pack(lines[start : start + per_record]):
                    await self.produce_bytes(EVENTS_RAW.name, number, value)

    async def produce_bytes(
        self, topic: str, partition: int, value: bytes, *, stamp: int | None = None, version: bytes = b"1"
    ) -> None:
        """Put one record on a topic."""
        stamped = headers(self.control_offset if stamp is None else stamp)
        async with AIOKafkaProducer(bootstrap_servers=self.kafka.kafka_bootstrap, acks="all") as producer:
            await producer.send_and_wait(
                self.topic(topic),
                value,
                partition=partition,
                headers=[(VERSION_HEADER, version), *stamped[1:]],
            )

    async def consumed(self, topic: str) -> list[Any]:
        """All records of a topic, by partition and offset."""
        count = {declared.name: declared.partitions for declared in TOPICS}[topic] or self.kafka.partitions
        partitions = [TopicPartition(self.topic(topic), number) for number in range(count)]
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka.kafka_bootstrap) as consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, 0)
            found: list[Any] = []
            while sum(ends.values()) > len(found):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))

    async def lines(self, topic: str) -> list[Any]:
        """All lines of a topic, decoded as JSON."""
        return [json.loads(line) for record in await self.consumed(topic) for line in record.value.split(b"\n")]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.clickhouse) as client:
            return [tuple(row) for row in client.query(query).result_rows]


class Relay:
    """A door to a server that a test can close: connections through it end, and new ones are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> "Relay":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, there_writer}
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._open -= {writer, there_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
