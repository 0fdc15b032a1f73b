"""How many events a CPU-second of ingest takes, beside a raw ASGI floor in the same run. Prints JSON.

``PYTHONPATH=.:tests python tests/bench/ingest_bench.py [SECONDS]`` starts a broker of its own, one ingest process and
one process that only reads the body and answers 202, and lets 64 keep-alive connections post to each in turn, A B B A,
single events and batches of 100. CPU is that of the server process alone (user and system, all threads), so the load
generator and the broker do not count. ``efficiency`` is floor CPU / ingest CPU per event. ``pure`` is parsing and
encoding without HTTP and Kafka.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil
from harness import Process, base_environment, free_ports

from control.contacts import Contacts
from control.log import ControlLog
from control.projects import create_project
from control.topics import ensure_topics
from deploy.readiness import kafka_answers
from ingest.request import Limits, Sender, parse
from schemas.codec import encode
from schemas.events import RawEvent
from schemas.outcomes import Trust
from schemas.settings import IngestSettings, KafkaSettings

CONNECTIONS: Final = 64
VISITORS: Final = 500
FLOOR: Final = """
import sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"].rpartition(".")[2]
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
            log_level="warning")
"""


def event(number: int) -> dict[str, Any]:
    """A page view of about 350 bytes."""
    return {
        "event_type": "pageview",
        "anonymous_id": f"visitor-{number % VISITORS:08d}",
        "session_id": f"session-{number % VISITORS:08d}",
        "url": f"https://shop.example/p/{number % 97}?utm_source=google&utm_medium=cpc&utm_campaign=spring",
        "referrer": "https://www.google.com/",
        "timestamp": "2026-01-21T12:00:00.123Z",
        "properties": {"plan": "pro", "price": 49.99, "sku": "abc-123"},
    }


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def load(port: int, request: bytes, seconds: float) -> int:
    """Answered requests of all connections. Raises on any answer but 202."""
    end = time.monotonic() + seconds
    done = 0

    async def connection() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return done


def served(process: Process) -> psutil.Process:
    """The process that serves: the one under the tether with the most CPU."""
    tether = psutil.Process(process.pid)
    return max((tether, *tether.children(recursive=True)), key=cpu)


async def measure(process: psutil.Process, port: int, request: bytes, events: int, seconds: float) -> float:
    """CPU microseconds an event."""
    before = cpu(process)
    requests = await load(port, request, seconds)
    return (cpu(process) - before) / (requests * events) * 1e6


def pure(batch: bytes) -> float:
    """CPU microseconds an event of parsing and encoding alone."""
    sender = Sender(
        project_id="p",
        trust=Trust.SECRET,
        received_at=int(time.time() * 1000),
        new_id=lambda: "x" * 36,
        contacts=Contacts(b""),
    )
    limits = Limits.of(IngestSettings())
    began, events = time.process_time(), 0
    while time.process_time() - began < 0.5:
        for item in parse(batch, sender, limits).items:
            assert isinstance(item, RawEvent)
            encode(item)
            events += 1
    return (time.process_time() - began) / events * 1e6


async def bench(seconds: float, directory: Path) -> dict[str, Any]:
    kafka_port, http_port, metrics_port, floor_port = free_ports(4)
    kafka = KafkaSettings(kafka_bootstrap=f"127.0.0.1:{kafka_port}")
    environment = base_environment() | {
        "HEADWATER_KAFKA_PORT": str(kafka_port),
        "HEADWATER_KAFKA_BOOTSTRAP": kafka.kafka_bootstrap,
        "HEADWATER_DATA_DIR": str(directory),
        "HEADWATER_HTTP_PORT": str(http_port),
        "HEADWATER_METRICS_PORT": str(metrics_port),
    }
    (directory / "bench_floor.py").write_text(FLOOR)
    with_floor = environment | {"PYTHONPATH": f"{environment['PYTHONPATH']}:{directory}"}
    broker = Process("deploy.kafka", environment=environment, directory=directory)
    ready_url = f"http://127.0.0.1:{http_port}/readyz"
    ingest = Process("ingest", environment=environment, directory=directory, ready_url=ready_url)
    floor = Process("bench_floor", str(floor_port), environment=with_floor, directory=directory)
    try:
        broker.start()
        await kafka_answers(kafka.kafka_bootstrap)
        await ensure_topics(kafka)
        log = ControlLog(kafka, client_id="bench")
        await log.start()
        made = await create_project(log, name="bench", now_ms=1)
        await log.stop()
        ingest.start()
        floor.start()
        await _listening(floor_port)

        def request(body: bytes) -> bytes:
            head = (
                f"POST /v1/projects/{made.project.id}/events HTTP/1.1\r\nHost: bench\r\n"
                f"Authorization: Bearer {made.secret_text}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            return head.encode() + body

        single = json.dumps(event(1)).encode()
        batch = json.dumps([event(number) for number in range(100)]).encode()
        results: dict[str, Any] = {"event_bytes": len(single), "pure_us_per_event": round(pure(batch), 2)}
        servers = {"ingest": (served(ingest), http_port), "floor": (served(floor), floor_port)}
        for name, body, events in (("single", single, 1), ("batch_of_100", batch, 100)):
            spent: dict[str, list[float]] = {"ingest": [], "floor": []}
            for server in ("ingest", "floor", "floor", "ingest"):
                process, port = servers[server]
                spent[server].append(await measure(process, port, request(body), events, seconds))
            ingest_us, floor_us = (sum(spent[server]) / 2 for server in ("ingest", "floor"))
            results[name] = {
                "events_per_cpu_second": round(1e6 / ingest_us),
                "us_per_event": round(ingest_us, 2),
                "floor_us_per_event": round(floor_us, 2),
                "efficiency": round(floor_us / ingest_us, 3),
            }
        return results
    finally:
        for process_of_ours in (floor, ingest, broker):
            process_of_ours.end()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return await writer.wait_closed()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = asyncio.run(bench(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, Path(scratch)))
    print(json.dumps(found, indent=2))
