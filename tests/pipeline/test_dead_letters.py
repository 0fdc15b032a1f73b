"""Dead letters: listed, sent back once their cause is mended, discarded; nothing is lost and nothing counts twice."""

import asyncio
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from harness import eventually, python, run_sql
from stack import Project, Stack

from schemas.codec import CONTROL_HEADER, SCHEMA_VERSION, VERSION_HEADER, encode
from schemas.events import RawEvent
from schemas.ids import conversion_id
from schemas.outcomes import Trust

PARTITION = 1
AT = time.time_ns() // 1_000_000
LONG_AGO = 1_760_000_000_000
"""Out of every window: no stage remembers what it stored then."""
LETTERS = "/v1/dead-letters"


def event(project: Project, **fields: Any) -> RawEvent:
    """A purchase of the project."""
    order = str(uuid.uuid4())
    defaults: dict[str, Any] = {
        "project_id": project.id,
        "event_id": str(uuid.uuid4()),
        "trust": Trust.SECRET,
        "received_at": AT,
        "occurred_at": AT,
        "event_type": "conversion",
        "event_name": "purchase",
        "visitor": "v",
        "order_id": order,
        "conversion_id": conversion_id(project.id, "purchase", order, ""),
    }
    return RawEvent(**{**defaults, **fields})


class Desk:
    """The operators' view of a stack's dead letters, and the writer of what ends there."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.topic = stack.environment["HEADWATER_TOPIC_PREFIX"] + "events-raw"

    def ask(self, method: str, path: str, *, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.stack.admin_key}"}
        return httpx.request(method, f"{self.stack.url}{path}", headers=headers, timeout=60, **request)

    def write(self, *values: bytes, stamp: bytes = b"0", version: bytes = SCHEMA_VERSION) -> list[str]:
        """Put records on events-raw; the names their first lines have as letters, once they are there."""

        async def send() -> list[str]:
            headers = [(VERSION_HEADER, version), (CONTROL_HEADER, stamp), ("origin", b"\xffa test")]
            async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
                sent = [
                    await producer.send_and_wait(self.topic, value, partition=PARTITION, headers=headers)
                    for value in values
                ]
            return [f"events-{PARTITION}-{metadata.offset}-0" for metadata in sent]

        names = asyncio.run(send())
        for name in names:
            eventually(lambda name=name: self.letter(name) is not None, 60, f"{name} is no letter")
        return names

    def letter(self, name: str) -> dict[str, Any] | None:
        letters = self.ask("GET", f"{LETTERS}?limit=1000").json()["data"]
        return next((letter for letter in letters if letter["id"] == name), None)

    def state(self, name: str) -> str:
        letter = self.letter(name)
        assert letter is not None
        return str(letter["state"])

    def again(self, name: str) -> list[str]:
        """The letters that this one has become by being sent back."""
        letters = self.ask("GET", f"{LETTERS}?limit=1000").json()["data"]
        return [letter["id"] for letter in letters if letter["replay_of"] == name]

    def records(self, offsets: Sequence[int]) -> list[Any]:
        """Records of the partition."""

        async def read() -> list[Any]:
            async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
                partition = TopicPartition(self.topic, PARTITION)
                consumer.assign([partition])
                found = []
                for offset in offsets:
                    consumer.seek(partition, offset)
                    found.append(await consumer.getone())
                return found

        return asyncio.run(read())

    @property
    def bootstrap(self) -> str:
        return self.stack.environment["HEADWATER_KAFKA_BOOTSTRAP"]

    def balanced(self) -> None:
        ledger = self.stack.ledger
        eventually(lambda: not any(stage["imbalance"] for stage in ledger().values()), 60, lambda: f"{ledger()}")

    def limit_messages(self, size: int) -> None:
        """What the broker takes on this topic from now on."""

        async def alter() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                resource = ConfigResource(ConfigResourceType.TOPIC, self.topic, {"max.message.bytes": str(size)})
                await admin.alter_configs([resource])
            finally:
                await admin.close()

        asyncio.run(alter())

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            python("-m", "clickhouse", "dead-letters", *arguments),
            env=self.stack.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def desk(stack: Stack) -> Iterator[Desk]:
    """With no letter open; those that a test leaves are closed."""
    desk = Desk(stack)
    for stage in ("events", "conversions"):
        desk.ask("POST", f"{LETTERS}/discard", json={"stage": stage, "limit": 10_000}).raise_for_status()
    yield desk
    desk.balanced()


def test_a_letter_whose_cause_was_mended_is_stored_once_it_is_sent_back(desk: Desk, project: Project) -> None:
    value = encode(event(project))
    (name,) = desk.write(value)
    quarantined = desk.stack.ledger()["events"]["quarantined"]
    assert desk.state(name) == "open"
    assert project.events() == []
    # As of offset 0 of the control log the project was unknown. As of now it is there.
    answer = desk.ask("POST", f"{LETTERS}/{name}/replay")
    assert answer.status_code == 200, answer.text
    letter = answer.json()["data"]
    assert (letter["id"], letter["state"], letter["reason"]) == (name, "replayed", "unknown_project")
    assert letter["decided_at"] > letter["quarantined_at"]
    project.settled(1)
    project.eventually(lambda: len(desk.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{project.id}'")), 1)
    assert desk.stack.ledger()["events"]["quarantined"] == quarantined, "what was quarantined stays counted"
    (record,) = desk.records([letter["replayed_offset"]])
    headers = dict(record.headers)
    assert record.value == value
    assert int(headers.pop(CONTROL_HEADER)) > 0
    assert headers == {VERSION_HEADER: SCHEMA_VERSION, "origin": b"\xffa test", "letter": name.encode()}


def test_a_letter_that_fails_again_is_a_new_one_and_the_old_one_is_closed(desk: Desk) -> None:
    payload = b"\xff\x00 not JSON"
    (name,) = desk.write(payload)
    assert desk.ask("POST", f"{LETTERS}/{name}/replay").status_code == 200
    eventually(lambda: len(desk.again(name)) == 1, 60, "it is not there again")
    (second,) = desk.again(name)
    assert (desk.state(name), desk.state(second)) == ("replayed", "open")
    again = desk.ask("POST", f"{LETTERS}/{name}/replay")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert desk.ask("POST", f"{LETTERS}/{name}/discard").status_code == 409
    assert desk.ask("POST", f"{LETTERS}/{second}/replay").status_code == 200
    eventually(lambda: len(desk.again(second)) == 1, 60, "it is not there again")
    assert len(desk.again(name)) == 1
    (record,) = desk.records([int(desk.again(second)[0].split("-")[2])])
    assert record.value == payload


def test_a_letter_is_sent_once_however_many_ask_at_the_same_time(desk: Desk) -> None:
    (name,) = desk.write(b"{")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: desk.ask("POST", f"{LETTERS}/{name}/replay").status_code, range(8)))
    assert sorted(statuses) == [200] + [409] * 7
    eventually(lambda: len(desk.again(name)) >= 1, 60, "it is not there again")
    (last,) = desk.write(b"the end")  # all that was sent before it is processed
    assert len(desk.again(name)) == 1
    assert desk.state(last) == "open"


@pytest.mark.parametrize("received_at", [AT, LONG_AGO])
def test_a_letter_sent_twice_because_we_died_before_noting_it_is_one_event(
    desk: Desk, project: Project, received_at: int
) -> None:
    (name,) = desk.write(encode(event(project, received_at=received_at, occurred_at=received_at)))
    assert desk.ask("POST", f"{LETTERS}/{name}/replay").status_code == 200
    project.settled(1)
    run_sql(desk.stack.clickhouse_url, "TRUNCATE TABLE dead_letter_decisions")  # as if the note had not been written
    assert desk.state(name) == "open"
    before = desk.stack.ledger()["events"]["duplicate"]
    assert desk.ask("POST", f"{LETTERS}/{name}/replay").status_code == 200
    desk.write(b"the end")  # all that was sent before it is processed
    desk.balanced()
    if received_at == AT:
        assert desk.stack.ledger()["events"]["duplicate"] > before
    assert desk.again(name) == []
    assert len(project.events()) == 1
    project.eventually(
        lambda: [
            row["arrivals"]
            for row in project.stack.sql(f"SELECT arrivals FROM v_conversions WHERE project_id = '{project.id}'")
        ],
        [1],
    )


def test_open_letters_are_chosen_by_stage_and_reason(desk: Desk, project: Project) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    unknown = desk.write(*(encode(event(project, event_id=event_id)) for event_id in ids))
    torn = desk.write(b"{", b"}")
    from_the_future = desk.write(encode(event(project)), version=b"999")

    def replayed(**choice: Any) -> int:
        answer = desk.ask("POST", f"{LETTERS}/replay", json=choice)
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["replayed"]
        return found

    def discarded(**choice: Any) -> int:
        answer = desk.ask("POST", f"{LETTERS}/discard", json=choice)
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["discarded"]
        return found

    assert replayed(stage="conversions") == 0
    assert replayed(reason="unknown_project", limit=1) == 1
    project.settled(1, f"event_id = '{ids[0]}'")  # the oldest first
    assert replayed(stage="events", reason="unknown_project") == 2
    project.settled(3)
    assert replayed(stage="events", reason="unknown_project") == 0
    assert {desk.state(name) for name in unknown} == {"replayed"}
    assert discarded(reason="undecodable") == 2
    assert {desk.state(name) for name in torn} == {"discarded"}
    listed = desk.ask("GET", f"{LETTERS}?state=open").json()["data"]
    assert [letter["id"] for letter in listed] == from_the_future
    # Discarding is no loss: the bytes are kept, and the letter may be sent back after all.
    assert desk.ask("POST", f"{LETTERS}/{torn[0]}/discard").status_code == 200
    assert desk.ask("POST", f"{LETTERS}/{torn[0]}/replay").json()["data"]["state"] == "replayed"
    eventually(lambda: len(desk.again(torn[0])) == 1, 60, "it is not there again")


def test_only_operators_decide_and_only_about_what_there_is(desk: Desk, project: Project) -> None:
    (name,) = desk.write(encode(event(project)))
    for path in (
        LETTERS,
        f"{LETTERS}/replay",
        f"{LETTERS}/discard",
        f"{LETTERS}/{name}/replay",
        f"{LETTERS}/{name}/discard",
    ):
        method = "GET" if path == LETTERS else "POST"
        # The letter is of this very project: what a letter is of is known only to who can read it.
        for key, status in ((project.secret_key, 403), (project.public_key, 403), ("unknown", 401)):
            assert desk.ask(method, path, key=key, json={"stage": "events"}).status_code == status, path
    assert desk.state(name) == "open"
    for unknown in ("events-1-999999999-0", "events-1", "nonsense", "ingest-1-1-1"):
        for action in ("replay", "discard"):
            assert desk.ask("POST", f"{LETTERS}/{unknown}/{action}").status_code == 404
    for body, status, field in (
        ({}, 400, "stage"),
        ({"stage": "ingest"}, 422, "stage"),
        ({"reason": "bad luck"}, 422, "reason"),
        ({"stage": "events", "limit": 0}, 422, "limit"),
        ({"stage": "events", "limit": 10_001}, 422, "limit"),
        ([], 400, None),
    ):
        for action in ("replay", "discard"):
            answer = desk.ask("POST", f"{LETTERS}/{action}", json=body)
            assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), body
    assert desk.state(name) == "open"


def test_what_kafka_does_not_take_stays_open_and_the_rest_is_sent(desk: Desk) -> None:
    small, large = desk.write(b"{", b"{" * 5000)
    desk.limit_messages(2000)
    try:
        answer = desk.ask("POST", f"{LETTERS}/replay", json={"reason": "undecodable"})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert (desk.state(small), desk.state(large)) == ("replayed", "open")
    finally:
        desk.limit_messages(1_048_588)
    assert desk.ask("POST", f"{LETTERS}/replay", json={"reason": "undecodable"}).status_code == 200
    assert desk.state(large) == "replayed"
    eventually(lambda: len(desk.again(large)) == 1, 60, "it is not there again")


def test_the_command_does_as_the_routes_do(desk: Desk, project: Project) -> None:
    mended, torn = desk.write(encode(event(project)), b"{")
    listed = desk.command("list", "--state", "open")
    assert listed.returncode == 0
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        [torn, "open", "undecodable"],
        [mended, "open", "unknown_project"],
    ]
    assert desk.command("replay", mended).stdout == "1 replayed\n"
    project.settled(1)
    again = desk.command("replay", mended)
    assert (again.returncode, again.stdout) == (1, "")
    assert "sent back before" in again.stderr
    assert desk.command("discard", "--stage", "events", "--reason", "undecodable").stdout == "1 discarded\n"
    assert (desk.state(mended), desk.state(torn)) == ("replayed", "discarded")
    assert desk.command("replay").returncode == 2
    assert desk.command("list", "--stage", "ingest").returncode == 2
