"""A person is forgotten, from the request to the proof, in a running installation."""

import asyncio
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from stack import Project

from schemas.control import KeyKind, Scope
from schemas.settings import KafkaSettings, load
from schemas.topics import EVENTS_RAW


def ask(project: Project, key: str | None = None, **body: Any) -> httpx.Response:
    return project.request("POST", f"/v1/projects/{project.id}/people/forget", key=key, json=body)


def forgotten(project: Project, **body: Any) -> dict[str, Any]:
    """Ask, and wait for the proof."""
    answer = ask(project, **body)
    assert answer.status_code == 202, answer.text
    url = answer.json()["url"]
    project.eventually(lambda: project.request("GET", url).json()["state"], "done")
    proof: dict[str, Any] = project.request("GET", url).json()
    return proof


def sale(order: str, revenue: int, **fields: Any) -> dict[str, Any]:
    body = {"event_type": "conversion", "event_name": "purchase", "currency": "USD", "revenue": revenue}
    return body | {"properties": {"order_id": order, "for": fields.get("user_id", "")}, **fields}


def traces(project: Project, *texts: str) -> set[str]:
    """Tables with a row of the installation that holds one of the texts."""
    names = [row["name"] for row in project.stack.sql(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )]  # fmt: skip
    found = set()
    for name in names:
        for row in project.stack.sql(f"SELECT toString(tuple(*)) AS row FROM {name}"):
            found |= {f"{name}: {text}" for text in texts if text in row["row"]}
    return found


def replay(project: Project) -> int:
    """Write all raw records of the installation once more, as if the topic were read again from its start."""

    async def again() -> int:
        kafka = load(KafkaSettings, project.stack.environment)
        homes = [TopicPartition(kafka.topic_prefix + EVENTS_RAW.name, number) for number in range(kafka.partitions)]
        copied = 0
        async with (
            AIOKafkaConsumer(bootstrap_servers=kafka.kafka_bootstrap) as consumer,
            AIOKafkaProducer(bootstrap_servers=kafka.kafka_bootstrap) as producer,
        ):
            consumer.assign(homes)
            ends = await consumer.end_offsets(homes)
            for home in homes:
                consumer.seek(home, 0)
                while await consumer.position(home) < ends[home]:
                    for record in (await consumer.getmany(home, timeout_ms=1000)).get(home, []):
                        if record.offset < ends[home]:
                            await producer.send_and_wait(
                                home.topic, record.value, partition=home.partition, headers=list(record.headers)
                            )
                            copied += 1
        return copied

    return asyncio.run(again())


def figures(project: Project, goal: str) -> tuple[Any, ...]:
    sources = project.report("sources", period="30d")
    return project.stats(goal), sources["rows"], sources["totals"]


@pytest.mark.parametrize("mode", ["anonymize", pytest.param("remove", marks=pytest.mark.slow)])
def test_a_person_is_forgotten_with_proof_and_a_replay_brings_nothing_back(project: Project, mode: str) -> None:
    name, device, mail = (f"{kind}-{uuid.uuid4().hex}" for kind in ("user", "device", "mail"))
    address = f"{mail}@example.com"
    goal = project.goal(currency="USD")
    visit = {"event_type": "pageview", "url": "https://shop.example/?utm_source=google&utm_medium=cpc"}
    project.accept(
        [
            visit | {"anonymous_id": device, "referrer": f"https://mail.example/?to={address}"},
            visit | {"anonymous_id": device, "user_id": name, "context": {"device": device}},
            sale("a1", 10, user_id=name),
            visit | {"anonymous_id": "else", "user_id": "someone-else"},
            sale("b1", 7, user_id="someone-else"),
        ]
    )
    posted = project.request(
        "POST", "/api/v1/conversions", json={"email": address, "type": "purchase", "revenue": 5, "order_id": "m1"}
    )
    contact = posted.json()["data"]["contact_id"]
    project.eventually(lambda: project.stats(goal)["conversions"], 3)
    project.eventually(lambda: project.report("sources", period="30d")["totals"]["conversions"], 3)
    before = figures(project, goal)
    assert {text.partition(": ")[2] for text in traces(project, name, device, contact)} == {name, device, contact}

    first = forgotten(project, user_id=name, mode=mode)
    second = forgotten(project, email=address.upper(), mode=mode)
    for shown in (first, second):
        (proof,) = shown["proof"][:1]
        assert proof["rows_before"]["events"] >= 1
        assert set(proof["rows_after"].values()) == {0}
        assert len(proof["request_hash"]) == 64
    assert first["proof"][0]["identities"]["anonymous"] == 1
    assert traces(project, name, device, address, contact) == set()

    if mode == "anonymize":
        assert figures(project, goal) == before
    else:
        assert project.stats(goal)["conversions"] == 1
        assert project.report("sources", period="30d")["totals"]["conversions"] == 1
    after = figures(project, goal)
    received = project.stack.ledger()["events"]["received"]
    lines = sum(row["received"] for row in [project.stack.ledger()["events"]])
    assert replay(project) > 0
    project.eventually(lambda: project.stack.ledger()["events"]["received"] > received, True)
    project.eventually(lambda: project.stack.ledger()["events"]["received"], 2 * lines)
    assert traces(project, name, device, address, contact) == set()
    assert figures(project, goal) == after
    project.eventually(lambda: [row["imbalance"] for row in project.stack.ledger().values()], [0, 0])

    for stage in ("events", "conversions"):  # state is rebuilt from what is left, though the newest rows may be gone
        project.stack.parts[stage].kill()
        shutil.rmtree(Path(project.stack.environment["HEADWATER_DATA_DIR"]) / "state" / stage)
        project.stack.restart(stage)
    project.accept(visit | {"anonymous_id": device, "user_id": name})  # a new person
    project.settled(1, f"user_id = '{name}'")


def test_asking_again_before_anybody_began_is_the_same_request_and_others_do_not_see_it(project: Project) -> None:
    stranger = project.stack.project()
    project.stack.parts["booker"].freeze()
    try:
        one, two = (ask(project, user_id="somebody").json() for _ in range(2))
        assert one == two
        assert ask(project, user_id="somebody", mode="remove").json()["request_id"] != one["request_id"]
        assert project.request("GET", one["url"]).json()["state"] == "accepted"
    finally:
        project.stack.parts["booker"].thaw()
    project.eventually(lambda: project.request("GET", one["url"]).json()["state"], "done")
    elsewhere = f"/v1/projects/{stranger.id}/people/forget/{one['request_id']}"
    assert stranger.request("GET", elsewhere).status_code == 404
    assert stranger.request("GET", one["url"]).status_code == 404
    answer = stranger.request("POST", f"/v1/projects/{project.id}/people/forget", json={"user_id": "somebody"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "missing_field", "user_id"),
        ({"user_id": "a", "email": "b"}, 422, "invalid_value", "email"),
        ({"user_id": ""}, 422, "invalid_value", "user_id"),
        ({"user_id": "  "}, 422, "invalid_value", "user_id"),
        ({"user_id": "u" * 513}, 422, "too_long", "user_id"),
        ({"user_id": 7}, 400, "wrong_type", "user_id"),
        ({"user_id": "a", "mode": "hide"}, 422, "invalid_value", "mode"),
    ],
)
def test_a_bad_request_is_refused(project: Project, body: dict[str, Any], status: int, code: str, field: str) -> None:
    answer = ask(project, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)


def test_forgetting_asks_for_its_scope(project: Project) -> None:
    body = {"kind": KeyKind.SECRET, "scopes": [Scope.ANALYTICS_READ]}
    reader = project.request("POST", f"/v1/projects/{project.id}/keys", json=body).json()["key"]
    assert ask(project, key=reader, user_id="a").status_code == 403
    assert ask(project, key=project.public_key, user_id="a").status_code == 403
    assert project.request("DELETE", f"/v1/projects/{project.id}/contact-key", key=reader).status_code == 403


def test_without_its_key_no_address_can_be_read_and_contacts_still_match(project: Project) -> None:
    stranger = project.stack.project()
    for one in (project, stranger):
        one.request("POST", "/api/v1/conversions", json={"email": "ann@example.com", "order_id": "1"})

    def contacts(of: Project) -> list[Any]:
        rows = of.request("GET", "/api/v1/conversions").json()["data"]
        return sorted(str(row["contact"] and row["contact"]["email"]) for row in rows)

    for one in (project, stranger):
        one.eventually(lambda one=one: contacts(one), ["ann@example.com"])
    path = f"/v1/projects/{project.id}/contact-key"
    assert stranger.request("DELETE", path).status_code == 404
    assert project.request("DELETE", path).json() == {"data": {"deleted": True}}
    assert contacts(project) == ["None"]
    assert contacts(stranger) == ["ann@example.com"]
    project.request("POST", "/api/v1/conversions", json={"email": "bob@example.com", "order_id": "2"})
    project.eventually(lambda: contacts(project), ["None", "bob@example.com"])
    again = project.request("POST", "/api/v1/conversions", json={"email": "ann@example.com", "order_id": "3"}).json()
    listed = json.loads(project.request("GET", "/api/v1/conversions", params={"limit": 1000}).text)["data"]
    assert again["data"]["contact_id"] in {row["contact"]["id"] for row in listed}
