"""How many events a second the events stage drains from a full topic into the store. Prints JSON.

``PYTHONPATH=.:tests python tests/bench/drain_bench.py [EVENTS]`` starts a broker and an engine of its own, or takes
those named by HEADWATER_TEST_KAFKA_BOOTSTRAP and HEADWATER_TEST_CLICKHOUSE_URL; fills events-raw with records of 100
events over four partitions; then runs the stage as a process until it has committed all of them. The clock runs from
the first commit to the last, so starting and restoring do not count. CPU is user and system of each process.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
import urllib.request
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from aiokafka import AIOKafkaProducer
from harness import Process, base_environment, free_ports, run_sql
from installation import PROJECT, Installation

from deploy.readiness import kafka_answers
from schemas.codec import encode, headers
from schemas.events import RawEvent
from schemas.ids import partition_of
from schemas.outcomes import Trust

EVENTS: Final = 400_000
PER_RECORD: Final = 100
VISITORS: Final = 20_000
PROPERTIES: Final = msgspec.Raw(b'{"plan":"pro","price":49.99,"sku":"abc-123","list":"best sellers"}')


def event(number: int, now: int) -> RawEvent:
    """A page view of about 500 bytes; every tenth carries a campaign, every second a referrer."""
    visitor = f"visitor-{number * 7919 % VISITORS:08d}"
    page = f"https://shop.example/p/{number % 97}"
    at = now + number // 50
    return RawEvent(
        project_id=PROJECT,
        event_id=str(uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
        trust=Trust.PUBLIC,
        received_at=at,
        occurred_at=at,
        timed=True,
        checksum=number,
        event_type="pageview",
        visitor=visitor,
        anonymous_id=visitor,
        session_id=f"s-{visitor}" if number % 2 else "",
        fingerprint=f"{number % VISITORS:032x}",
        url=f"{page}?utm_source=google&utm_medium=cpc&utm_campaign=spring" if number % 10 == 0 else page,
        referrer="https://www.google.com/" if number % 2 else f"https://shop.example/p/{number % 89}",
        properties=PROPERTIES,
    )


async def fill(installation: Installation, count: int) -> int:
    """Fill the topic; bytes written."""
    now = int(time.time() * 1000)
    pending: dict[int, list[bytes]] = {number: [] for number in range(installation.kafka.partitions)}
    size = 0
    stamp = headers(installation.control_offset)
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.kafka.kafka_bootstrap, acks="all", max_batch_size=1 << 20, linger_ms=5
    )
    async with producer:
        for number in range(count):
            one = event(number, now)
            partition = partition_of(one.visitor, installation.kafka.partitions)
            lines = pending[partition]
            lines.append(encode(one))
            if len(lines) == PER_RECORD:
                value = b"\n".join(lines)
                size += len(value)
                await producer.send(installation.topic("events-raw"), value, partition=partition, headers=stamp)
                lines.clear()
        for partition, lines in pending.items():
            if lines:
                await producer.send(
                    installation.topic("events-raw"), b"\n".join(lines), partition=partition, headers=stamp
                )
        await producer.flush()
    return size


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children."""
    root = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (root, *root.children(recursive=True)))


def committed(port: int) -> int:
    """Events that the stage has committed, by its own metrics: asking the engine would cost what is measured."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    return sum(
        int(float(line.split()[-1]))
        for line in text.splitlines()
        if line.startswith("headwater_processor_records_total{")
    )


async def drain(environment: dict[str, str], directory: Path, count: int, engine: Process | None) -> dict[str, Any]:
    installation = await Installation(environment).prepare()
    size = await fill(installation, count)
    (port,) = free_ports(1)
    stage = Process(
        "processors",
        "events",
        environment={**environment, "HEADWATER_METRICS_PORT": str(port)},
        directory=directory,
        ready_url=f"http://127.0.0.1:{port}/readyz",
    )
    stage.start(wait=False)
    try:
        first: tuple[float, int, float, float] | None = None
        received = 0
        while received < count:
            await asyncio.sleep(0.05)
            assert stage.running, stage.output
            received = committed(port)
            now = (
                time.monotonic(),
                received,
                cpu_seconds(stage.pid),
                cpu_seconds(engine.pid) if engine is not None else 0.0,
            )
            if first is None and received:
                first = now
        assert first is not None
        events, seconds = now[1] - first[1], now[0] - first[0]
        root = psutil.Process(stage.pid)
        memory = max(process.memory_info().rss for process in (root, *root.children(recursive=True)))
    finally:
        stage.end()
    return {
        "events": count,
        "bytes_an_event": round(size / count),
        "events_a_second": round(events / seconds),
        "stage_cpu_us_an_event": round((now[2] - first[2]) / events * 1e6, 2),
        "engine_cpu_us_an_event": round((now[3] - first[3]) / events * 1e6, 2) if engine is not None else None,
        "stage_memory_mb": round(memory / 2**20),
    }


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else EVENTS
    with tempfile.TemporaryDirectory() as text, ExitStack() as ends:
        directory = Path(text)
        environment = base_environment() | {
            "HEADWATER_DATA_DIR": text,
            "HEADWATER_TOPIC_PREFIX": f"bench-{secrets.token_hex(4)}-",
        }
        bootstrap = os.environ.get("HEADWATER_TEST_KAFKA_BOOTSTRAP", "")
        if not bootstrap:
            (port,) = free_ports(1)
            broker_environment = environment | {"HEADWATER_KAFKA_PORT": str(port)}
            broker = Process("deploy.kafka", environment=broker_environment, directory=directory)
            ends.callback(broker.end)
            broker.start()
            bootstrap = f"127.0.0.1:{port}"
            asyncio.run(kafka_answers(bootstrap))
        engine: Process | None = None
        url = os.environ.get("HEADWATER_TEST_CLICKHOUSE_URL", "")
        if not url:
            (port,) = free_ports(1)
            engine = Process(
                "clickhouse",
                "serve",
                environment=environment | {"HEADWATER_CLICKHOUSE_PORT": str(port)},
                directory=directory,
                ready_url=f"http://127.0.0.1:{port}/ping",
            )
            ends.callback(engine.end)
            engine.start()
            url = f"http://127.0.0.1:{port}/"
        database = f"bench_{secrets.token_hex(4)}"
        run_sql(url, f"CREATE DATABASE {database}")
        ends.callback(run_sql, url, f"DROP DATABASE {database} SYNC")
        environment |= {
            "HEADWATER_KAFKA_BOOTSTRAP": bootstrap,
            "HEADWATER_CLICKHOUSE_URL": f"{url.rstrip('/')}/?database={database}",
        }
        print(json.dumps(asyncio.run(drain(environment, directory, count, engine))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
