"""A stage on real servers, for tests: its topics and tables made, its input produced, its output read."""

import json
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from clickhouse.client import connect
from clickhouse.migrate import apply
from control.log import ControlLog
from control.topics import ensure_topics
from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.run import StageProcess
from processors.topology import conversions_stage, events_stage
from schemas.codec import encode, headers, pack
from schemas.control import Project
from schemas.events import RawEvent
from schemas.ids import conversion_id, partition_of
from schemas.outcomes import Stage, Trust
from schemas.settings import ClickHouseSettings, KafkaSettings, StageSettings, load
from schemas.topics import EVENTS_RAW

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

    def __init__(self, environment: dict[str, str], **settings: Any) -> None:
        self.environment = environment
        self.kafka = load(KafkaSettings, environment)
        self.clickhouse = load(ClickHouseSettings, environment)
        self._settings = settings
        self.control_offset = 0

    async def prepare(self) -> "Installation":
        await ensure_topics(self.kafka)
        with connect(self.clickhouse) as client:
            apply(client)
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

    async def produce_bytes(self, topic: str, partition: int, value: bytes, *, stamp: int | None = None) -> None:
        """Put one record on a topic."""
        async with AIOKafkaProducer(bootstrap_servers=self.kafka.kafka_bootstrap, acks="all") as producer:
            await producer.send_and_wait(
                self.topic(topic),
                value,
                partition=partition,
                headers=headers(self.control_offset if stamp is None else stamp),
            )

    async def consumed(self, topic: str) -> list[Any]:
        """All records of a topic, by partition and offset."""
        async with AIOKafkaConsumer(self.topic(topic), bootstrap_servers=self.kafka.kafka_bootstrap) as consumer:
            partitions = list(consumer.assignment())
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
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
