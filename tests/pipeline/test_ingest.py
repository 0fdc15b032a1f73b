"""Ingest as a process, in front of a real broker: what is answered, and what is then in Kafka."""

import asyncio
import gzip
import json
import re
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import zstandard
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from harness import Process, base_environment, eventually, free_port, free_ports

from control.log import ControlLog
from control.projects import NewProject, create_project
from control.topics import ensure_topics
from schemas import codec
from schemas.control import Scope
from schemas.events import RawEvent
from schemas.identifiers import hashed
from schemas.ids import client_event_id, partition_of
from schemas.outcomes import Trust
from schemas.settings import KafkaSettings
from schemas.topics import EVENTS_RAW

StartProcess = Callable[..., Process]
PURCHASE = {"event_type": "conversion", "event_name": "purchase", "revenue": 49.99, "currency": "USD"}
MIB = 1024 * 1024


class Edge:
    """One ingest process with two projects, seen from both of its sides."""

    def __init__(self, kafka: KafkaSettings, process: Process, shop: NewProject, other: NewProject) -> None:
        self.kafka = kafka
        self.process = process
        self.shop = shop
        self.other = other
        self.url = f"http://127.0.0.1:{process.environment['HEADWATER_HTTP_PORT']}"
        self.own_url = f"http://127.0.0.1:{process.environment['HEADWATER_METRICS_PORT']}"
        self.path = f"/v1/projects/{shop.project.id}/events"
        self.http = httpx.AsyncClient(base_url=self.url, timeout=30)

    async def post(self, body: Any = None, *, key: str | None = None, path: str = "", **more: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | more.pop("headers", {})
        if key != "":
            headers["Authorization"] = f"Bearer {key or self.shop.secret_text}"
        content = more.pop("content", None) or json.dumps(body).encode()
        return await self.http.post(path or self.path, content=content, headers=headers, **more)

    def metric(self, name: str) -> float:
        page = httpx.get(self.own_url + "/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        assert found is not None, page
        return float(found[1])

    async def stored(self) -> list[tuple[int, dict[str, bytes], RawEvent]]:
        """Partition, headers and event of everything in the topic."""
        return [
            (partition, headers, codec.decode_event(line))
            for partition, headers, value in await self.records()
            for line in codec.lines(value)
        ]

    async def records(self) -> list[tuple[int, dict[str, bytes], bytes]]:
        """Partition, headers and value of every record in the topic."""
        topic = self.kafka.topic_prefix + EVENTS_RAW.name
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.kafka_bootstrap, group_id=None, enable_auto_commit=False
        )
        await consumer.start()
        try:
            homes = [TopicPartition(topic, number) for number in range(self.kafka.partitions)]
            consumer.assign(homes)
            await consumer.seek_to_beginning(*homes)
            ends = await consumer.end_offsets(homes)
            found = []
            while [home for home in homes if await consumer.position(home) < ends[home]]:
                for home, records in (await consumer.getmany(timeout_ms=100)).items():
                    found += [(home.partition, dict(record.headers), record.value) for record in records]
            return found
        finally:
            await consumer.stop()

    async def events(self) -> list[RawEvent]:
        return [event for _, _, event in await self.stored()]


async def make_projects(kafka: KafkaSettings) -> tuple[NewProject, NewProject]:
    """Two projects; the other one's secret key may only read."""
    await ensure_topics(kafka)
    log = ControlLog(kafka, client_id="test")
    await log.start()
    try:
        shop = await create_project(log, name="shop", now_ms=1)
        return shop, await create_project(log, name="other", scopes=(Scope.ANALYTICS_READ,), now_ms=1)
    finally:
        await log.stop()


def environment(kafka: KafkaSettings, directory: Path, **more: str) -> dict[str, str]:
    return base_environment() | {
        "HEADWATER_KAFKA_BOOTSTRAP": kafka.kafka_bootstrap,
        "HEADWATER_TOPIC_PREFIX": kafka.topic_prefix,
        "HEADWATER_SECRET_FILE": str(directory / "fingerprints"),
        **more,
    }


@pytest.fixture
def kafka(kafka_bootstrap: str, topic_prefix: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix)


@pytest.fixture
async def edge(kafka: KafkaSettings, start_process: StartProcess, tmp_path: Path) -> AsyncIterator[Edge]:
    projects = await make_projects(kafka)
    edge = Edge(kafka, start_process("ingest", environment=environment(kafka, tmp_path)), *projects)
    yield edge
    await edge.http.aclose()


async def test_the_seeds_first_request_is_stored_in_its_visitors_partition(edge: Edge) -> None:
    sent = PURCHASE | {"user_id": "sha256_user_hash", "properties": {"plan": "pro", "order_id": "ord_123"}}
    answer = await edge.post(sent)
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    ((partition, headers, event),) = await edge.stored()
    project = edge.shop.project.id
    assert answer.json()["event_id"] == event.event_id
    assert partition == partition_of(f"{project}:u:sha256_user_hash", edge.kafka.partitions)
    assert headers[codec.VERSION_HEADER] == codec.SCHEMA_VERSION
    assert int(headers[codec.CONTROL_HEADER]) == 6  # two projects, two keys each
    assert (event.project_id, event.trust, str(event.revenue), event.order_id) == (
        project,
        Trust.SECRET,
        "49.9900",
        "ord_123",
    )


async def test_every_form_of_body_is_stored(edge: Edge) -> None:
    one, text = PURCHASE | {"event_id": "same"}, {"Content-Type": "text/plain;charset=UTF-8"}
    body = json.dumps(one).encode()
    forms: list[dict[str, Any]] = [
        {"body": one},
        {"body": [one]},
        {"body": {"events": [one]}},
        {"content": json.dumps(one, indent=2).encode()},
        {"content": gzip.compress(body), "headers": {"Content-Encoding": "gzip"}},
        {"content": zlib.compress(body), "headers": {"Content-Encoding": "deflate"}},
        {"content": zstandard.compress(body), "headers": {"Content-Encoding": "zstd"}},
        {"content": body, "headers": text},
        {"content": body, "headers": {"Content-Type": ""}},
    ]
    for form in forms:
        answer = await edge.post(**form)
        assert answer.status_code == 202, answer.text
    events = await edge.events()
    assert len(events) == len(forms)
    assert {event.event_id for event in events} == {client_event_id(edge.shop.project.id, Trust.SECRET, "same")}


async def test_a_beacon_carries_the_public_key_in_its_url(edge: Edge) -> None:
    text = {"Content-Type": "text/plain;charset=UTF-8", "User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}
    beacon = {"event_type": "pageview", "url": "https://shop.example/"}
    answer = await edge.post(beacon, key="", params={"key": edge.shop.public_text}, headers=text)
    assert answer.status_code == 202
    (event,) = await edge.events()
    assert (event.trust, event.marks) == (Trust.PUBLIC, ("bot",))
    assert event.visitor == f"f:{event.fingerprint}"
    assert len(event.fingerprint) == 32
    assert b"127.0.0.1" not in msgspec.json.encode(event)


async def test_no_user_data_reaches_kafka_in_the_clear(edge: Edge) -> None:
    ann = {
        "email": "Ann.Person@Example.com",
        "phone": "+1 (650) 555-1212",
        "first_name": "Annabella",
        "last_name": "Person-Doe",
        "city": "Springfield",
        "external_id": "membership-xyz",
        "nickname": "Annabella",
    }
    conversion = PURCHASE | {"consent": "granted"}
    batch: list[dict[str, Any]] = [
        conversion | {"user_data": ann},
        conversion | {"properties": {"user_data": ann}},
        conversion | {"context": {"user_data": ann}, "unknown": 1},
        {"event_type": "identify", "user_data": ann},
        {"event_type": "conversion", "user_data": {"email": "ann.person", "phone": "6505551212 ext"}},
    ]
    answer = await edge.post(batch)
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(batch))
    by_mail = {"email": ann["email"], "user_data": ann, "metadata": {"user_data": ann}}
    mailed = await edge.post(by_mail, path="/api/v1/conversions")
    assert mailed.status_code == 201, mailed.text

    records = b"\n".join(value for _, _, value in await edge.records()).decode().lower()
    for text in ("ann.person", "example.com", "5551212", "annabella", "doe", "springfield", "membership"):
        assert text not in records
        assert text not in edge.process.output.lower()
    events = await edge.events()
    assert len(events) == len(batch) + 1
    hashes = [event.identifiers.email for event in events]
    assert hashes.count(hashed("ann.person@example.com")) == 4
    assert [event.consent for event in events].count("granted") == 3


async def test_bad_requests_have_their_status_code_and_field_and_write_nothing(edge: Edge) -> None:
    shop, other = edge.shop, edge.other
    event = {"event_type": "event"}
    gzipped = {"Content-Encoding": "gzip"}
    large = json.dumps([{"event_type": "event", "properties": {"a": "x" * 60_000}}] * 100).encode()
    stream = zlib.compressobj(9, wbits=31)
    bomb = b"".join(stream.compress(bytes(MIB)) for _ in range(256)) + stream.flush()
    nested = b'{"event_type":"x","properties":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * MIB

    table: list[tuple[dict[str, Any], int, str, str | None]] = [
        ({"content": b"{"}, 400, "malformed_json", None),
        ({"content": b'{"event_type":"x","revenue":NaN}'}, 400, "malformed_json", None),
        ({"content": nested}, 400, "too_deep", None),
        ({"body": {}}, 400, "missing_field", "event_type"),
        ({"body": []}, 400, "empty_batch", None),
        ({"content": b"no gzip", "headers": gzipped}, 400, "bad_encoding", "Content-Encoding"),
        ({"body": event, "key": "sk_live_unknown"}, 401, "unauthorized", None),
        ({"body": event, "key": ""}, 401, "unauthorized", None),
        ({"body": event, "key": "", "params": {"key": shop.secret_text}}, 401, "unauthorized", None),
        ({"body": event, "key": other.secret_text}, 404, "not_found", None),
        ({"body": event, "path": "/v1/projects/nobody/events"}, 404, "not_found", None),
        (
            {"body": event, "key": other.secret_text, "path": f"/v1/projects/{other.project.id}/events"},
            403,
            "insufficient_scope",
            None,
        ),
        ({"content": large}, 413, "too_large", None),
        ({"content": in_chunks()}, 413, "too_large", None),
        ({"content": bomb, "headers": gzipped}, 413, "too_large", None),
        ({"body": event | {"url": "x" * 70_000}}, 413, "too_large", None),
        ({"body": [event] * 1001}, 413, "too_many_events", None),
        (
            {"body": event, "headers": {"Content-Type": "application/xml"}},
            415,
            "unsupported_media_type",
            "Content-Type",
        ),
        (
            {"body": event, "headers": {"Content-Encoding": "br"}},
            415,
            "unsupported_media_type",
            "Content-Encoding",
        ),
        ({"body": PURCHASE | {"revenue": "a dozen euros"}}, 422, "invalid_money", "revenue"),
        ({"content": b'{"event_type":"x","revenue":1e400}'}, 422, "invalid_money", "revenue"),
        ({"body": PURCHASE | {"revenue": -1}}, 422, "invalid_money", "revenue"),
        ({"body": PURCHASE | {"currency": "ZZZ"}}, 422, "invalid_currency", "currency"),
        ({"content": b'{"event_type":"x","url":"\\ud800"}'}, 422, "invalid_text", "url"),
        (
            {"body": event | {"timestamp": "2020-01-01"}, "key": shop.public_text},
            422,
            "timestamp_too_old",
            "timestamp",
        ),
        (
            {"body": event, "headers": {"Idempotency-Key": "k" * 300}},
            422,
            "too_long",
            "Idempotency-Key",
        ),
    ]
    for request, status, code, field in table:
        answer = await edge.post(**request)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error.get("field")) == (status, code, field), answer.text
        assert error["message"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (await edge.http.get(edge.path)).status_code == 405
    assert await edge.stored() == []
    started, *logged = edge.process.output.splitlines()
    assert started.startswith("ingest: http://")
    for secret in (shop.secret_text, shop.public_text, "dozen", "127.0.0.1", "Traceback"):
        assert secret not in "\n".join(logged)


async def test_one_bad_event_in_a_thousand_leaves_the_others(edge: Edge) -> None:
    batch: list[dict[str, Any]] = [{"event_type": "event", "user_id": number} for number in range(1000)]
    batch[613] = {"event_type": "event", "currency": "doubloons"}
    answer = await edge.post(batch)
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["rejected"]) == (202, 999, 1)
    assert body["results"][613]["error"]["field"] == "currency"
    stored = await edge.stored()
    accepted = [result["event_id"] for result in body["results"] if result["status"] == "accepted"]
    assert sorted(accepted) == sorted(event.event_id for _, _, event in stored)
    assert {partition for partition, _, _ in stored} == set(range(edge.kafka.partitions))


async def test_a_retry_under_one_key_is_the_same_events(edge: Edge) -> None:
    headers = {"Idempotency-Key": "order-1"}
    batch = [PURCHASE, {"event_type": "click"}, {"event_type": "click"}]
    first, again = await edge.post(batch, headers=headers), await edge.post(batch[1:], headers=headers)
    ids = [result["event_id"] for result in first.json()["results"]]
    assert [result["event_id"] for result in again.json()["results"]] == ids[1:]
    assert len(set(ids)) == 3


async def test_a_page_may_ask_from_anywhere(edge: Edge) -> None:
    answer = await edge.http.options(edge.path, headers={"Origin": "https://shop.example"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed == {"authorization", "content-type", "idempotency-key", "content-encoding"}


async def test_what_is_counted_is_what_was_done(edge: Edge) -> None:
    await edge.post([PURCHASE, {}, PURCHASE])
    await edge.post({})
    assert edge.metric('headwater_ingest_events_total{outcome="accepted"}') == 2
    assert edge.metric('headwater_ingest_events_total{outcome="rejected"}') == 2
    assert edge.metric('headwater_ingest_rejected_events_total{reason="missing_field"}') == 2
    assert edge.metric('headwater_ingest_requests_total{code="202"}') == 1
    assert edge.metric('headwater_ingest_requests_total{code="400"}') == 1
    assert edge.metric("headwater_ingest_pending_bytes") == 0


async def test_two_processes_share_a_port_and_agree_on_fingerprints(
    edge: Edge, start_process: StartProcess, tmp_path: Path
) -> None:
    port = edge.process.environment["HEADWATER_HTTP_PORT"]
    second = start_process("ingest", environment=environment(edge.kafka, tmp_path, HEADWATER_HTTP_PORT=port))
    own_urls = [edge.own_url, f"http://127.0.0.1:{second.environment['HEADWATER_METRICS_PORT']}"]
    for url in (*own_urls, edge.url, edge.url):
        async with httpx.AsyncClient(base_url=url, headers={"User-Agent": "agent"}) as http:
            answer = await http.post(edge.path, json=PURCHASE, params={"key": edge.shop.public_text})
            assert answer.status_code == 202
    events = await edge.events()
    assert len(events) == 4
    assert len({event.fingerprint for event in events}) == 1


async def test_a_port_that_is_taken_is_one_line_and_not_zero(
    kafka: KafkaSettings, start_process: StartProcess, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        own = environment(kafka, tmp_path, HEADWATER_HTTP_PORT=port)
        process = start_process("ingest", environment=own, ready=None)
        assert process.wait() == 1
    assert process.output == f"ingest: cannot listen on 127.0.0.1:{port}: Address already in use\n"


async def test_sigterm_answers_what_is_in_flight_and_exits_with_zero(
    kafka: KafkaSettings, start_process: StartProcess, tmp_path: Path
) -> None:
    projects = await make_projects(kafka)
    slow = environment(kafka, tmp_path, HEADWATER_LINGER_MS="1500")
    edge = Edge(kafka, start_process("ingest", environment=slow), *projects)
    request = asyncio.create_task(edge.post(PURCHASE))
    await asyncio.to_thread(eventually, lambda: edge.metric("headwater_ingest_pending_bytes") > 0)
    assert not request.done()
    assert await asyncio.to_thread(edge.process.terminate) == 0
    answer = await request
    assert answer.status_code == 202
    assert [event.event_id for event in await edge.events()] == [answer.json()["event_id"]]
    await edge.http.aclose()


async def limit_messages(kafka: KafkaSettings, size: int) -> None:
    """What the broker takes on the topic from now on."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap)
    await admin.start()
    try:
        topic = kafka.topic_prefix + EVENTS_RAW.name
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])
    finally:
        await admin.close()


async def test_where_one_partition_refuses_each_item_says_whether_it_is_stored(edge: Edge) -> None:
    """As in a cluster half of which is away: here one partition's records are larger than the broker takes."""
    project, count = edge.shop.project.id, edge.kafka.partitions
    batch = [{**PURCHASE, "event_id": f"e{user}", "user_id": f"user{user}"} for user in range(20)]
    homes = [partition_of(f"{project}:u:user{user}", count) for user in range(20)]
    assert len(set(homes)) > 1
    batch[0]["properties"] = large = {"text": "x" * 20_000}

    async def taken() -> int:
        return (await edge.post({**PURCHASE, "user_id": "user0", "properties": large})).status_code

    await limit_messages(edge.kafka, 10_000)
    while await taken() != 503:  # the broker hears of it a moment later
        pass
    await asyncio.to_thread(eventually, lambda: httpx.get(edge.url + "/readyz").status_code == 200)
    answer = await edge.post(batch)
    body = answer.json()
    refused = [index for index, home in enumerate(homes) if home == homes[0]]
    assert (answer.status_code, answer.headers["Retry-After"], body["error"]["code"]) == (503, "1", "unavailable")
    assert [result["index"] for result in body["results"] if result["status"] == "unavailable"] == refused
    assert (body["accepted"], body["rejected"], body["unavailable"]) == (20 - len(refused), 0, len(refused))
    ids = [result["event_id"] for result in body["results"]]
    stored = [event.event_id for event in await edge.events()]
    assert [event_id in stored for event_id in ids] == [home != homes[0] for home in homes]

    # What was named is sent again, and then all of it is there, once.
    await limit_messages(edge.kafka, MIB)
    while await taken() != 202:
        pass
    again = await edge.post([batch[index] for index in refused])
    assert (again.status_code, again.json()["accepted"]) == (202, len(refused)), again.text
    stored = [event.event_id for event in await edge.events()]
    assert [stored.count(event_id) for event_id in ids] == [1] * 20


@pytest.fixture
def broker(start_process: StartProcess, tmp_path: Path) -> Iterator[Process]:
    """A broker of its own, to be killed; not started yet."""
    own = environment(KafkaSettings(), tmp_path, HEADWATER_DATA_DIR=str(tmp_path))
    own["HEADWATER_KAFKA_PORT"] = str(free_port())
    broker = Process("deploy.kafka", environment=own, directory=tmp_path)
    yield broker
    broker.end()


async def test_without_kafka_nothing_is_accepted_and_when_it_is_back_everything_is(
    broker: Process, start_process: StartProcess, tmp_path: Path
) -> None:
    kafka = KafkaSettings(kafka_bootstrap=f"127.0.0.1:{broker.environment['HEADWATER_KAFKA_PORT']}")
    http_port, metrics_port = free_ports(2)
    ports = {"HEADWATER_HTTP_PORT": str(http_port), "HEADWATER_METRICS_PORT": str(metrics_port)}
    settings = environment(kafka, tmp_path, HEADWATER_PRODUCE_TIMEOUT_MS="2000", **ports)
    process = start_process("ingest", environment=settings, ready=None)
    url = f"http://127.0.0.1:{http_port}"

    def statuses() -> tuple[int, int]:
        return httpx.get(url + "/livez").status_code, httpx.get(url + "/readyz").status_code

    def listening() -> bool:
        try:
            return statuses() == (200, 503)
        except httpx.ConnectError:
            return False

    # It listens before there is a Kafka, and connects once there is.
    await asyncio.to_thread(eventually, listening)
    await asyncio.to_thread(broker.start)
    edge = Edge(kafka, process, *await make_projects(kafka))
    await asyncio.to_thread(eventually, lambda: statuses() == (200, 200))
    assert (await edge.post(PURCHASE)).status_code == 202

    # Killed: a 503 with Retry-After within the time limit, then at once; never a 2xx.
    broker.kill()
    for body in (PURCHASE, [PURCHASE] * 10):
        answer = await edge.post(body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1"), answer.text
        assert answer.json()["error"]["code"] == "unavailable"
    await asyncio.to_thread(eventually, lambda: statuses() == (200, 503))
    began = asyncio.get_running_loop().time()
    assert (await edge.post(PURCHASE)).status_code == 503
    assert asyncio.get_running_loop().time() - began < 1
    refusal = await edge.post({})
    assert refusal.status_code == 400  # a bad event is still told what is wrong with it

    # Back: it recovers by itself.
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(eventually, lambda: statuses() == (200, 200))
    batch = [{"event_type": "event", "user_id": number} for number in range(100)]
    answer = await edge.post(batch)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 100), answer.text
    accepted = {result["event_id"] for result in answer.json()["results"]}
    assert accepted <= {event.event_id for event in await edge.events()}
    await edge.http.aclose()
    assert await asyncio.to_thread(process.terminate) == 0
    assert "Traceback" not in process.output
    assert "never retrieved" not in process.output
