"""Whatever is wrong with a request: its exact status, code and field, and nothing written to Kafka.

The requests are data: one module of ``bad_input`` a family of endpoints.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from harness import ROOT
from stack import Project, Stack

from control.keys import TOKEN_PREFIX, new_key, new_token
from control.links import new_link_id
from ingest.links import GIF
from schemas.control import KeyKind, LinkGoal, LinkGoalType, Scope
from schemas.settings import KafkaSettings, load
from schemas.topics import CONTROL, EVENTS_RAW
from tests.pipeline.bad_input import (
    destinations,
    events,
    goals,
    links,
    mailing,
    models,
    privacy,
    projects,
    refunds,
    reports,
)
from tests.pipeline.bad_input.case import NO_BODY, Case
from tests.pipeline.test_links import link, link_goal

FAMILIES = (events, refunds, links, goals, mailing, projects, destinations, reports, models, privacy)
CASES = [case for family in FAMILIES for case in family.CASES]
ELSEWHERE = {
    ("GET", "/api/conversions/track/{token}"): "tests/pipeline/test_bad_input.py",
    ("GET", "/oa.js"): "",
    ("GET", "/livez"): "",
    ("GET", "/readyz"): "",
    ("GET", "/metrics"): "",
}
"""Operations whose bad requests are in another test, and (empty) those that have none."""
NAMED = re.compile(r"\{([a-z_]+)\}")


class Tenants:
    """What the names in cases stand for: objects of one project, those of another, and what nobody has."""

    def __init__(self, stack: Stack) -> None:
        self.ours, self.others = stack.project(), stack.project()
        nobodys = LinkGoal(id="", project_id="", name="", goal_type=LinkGoalType.CUSTOM)
        self.names = {
            "secret": self.ours.secret_key,
            "unknown_token": new_token(nobodys, 0)[1],
            "other_slug": link(self.others)["slug"],
            "unknown_link": new_link_id(),
            **{
                f"unknown_{name}": str(uuid.uuid4())
                for name in ("goal", "link_goal", "token_id", "key", "event", "destination")
            },
            **self._made(self.ours, ""),
            **self._made(self.others, "other_"),
        }
        self.keys = {
            "none": "",
            "secret": self.ours.secret_key,
            "public": self.ours.public_key,
            "other": self.others.secret_key,
            "admin": stack.admin_key,
            "nonsense": "not a key",
            "unknown": new_key("", KeyKind.SECRET, Scope, "", 0)[1],
            "revoked": self._key(list(Scope)[:1], revoked=True),
            "not projects:admin": self.ours.secret_key,
            **{
                f"not {scope}": self._key([other for other in Scope if other not in (scope, Scope.PROJECTS_ADMIN)])
                for scope in Scope
                if scope is not Scope.PROJECTS_ADMIN
            },
        }

    def _made(self, project: Project, prefix: str) -> dict[str, str]:
        made, brought = link(project), link_goal(project)
        assert brought["postback_token"].startswith(TOKEN_PREFIX)
        tokens = project.request("GET", f"/api/v1/conversions/goals/{brought['id']}/tokens").json()["tokens"]
        named = {}
        for kind in ("campaigns", "flows"):
            named[kind] = str(uuid.uuid4())
            assert project.request("PUT", f"/api/v1/{kind}/{named[kind]}", json={"name": "x"}).status_code == 200
        hook = {"name": "x", "url": "https://shop.example/hook"}
        told = project.request("POST", f"/v1/projects/{project.id}/destinations", json=hook).json()
        keys = project.request("GET", f"/v1/projects/{project.id}/keys").json()["data"]
        found = {
            "project": project.id,
            "site": project.site_key,
            "goal": project.goal(),
            "link": str(made["id"]),
            "slug": made["slug"],
            "link_goal": brought["id"],
            "token": brought["postback_token"],
            "token_id": tokens[0]["id"],
            "destination": told["id"],
            "key": keys[0]["id"],
            "event": project.accept({"event_type": "pageview"})["event_id"],
            **named,
        }
        return {prefix + name: value for name, value in found.items()}

    def _key(self, scopes: list[Scope], *, revoked: bool = False) -> str:
        path = f"/v1/projects/{self.ours.id}/keys"
        made = self.ours.request("POST", path, json={"kind": "secret", "scopes": scopes}).json()
        if revoked:
            assert self.ours.request("DELETE", f"{path}/{made['id']}").status_code == 200
        text: str = made["key"]
        return text

    def fill(self, text: str) -> str:
        return NAMED.sub(lambda name: self.names.get(name[1], name[0]), text)

    def ask(self, client: httpx.Client, case: Case) -> httpx.Response:
        content = case.body if isinstance(case.body, bytes) else None
        if case.body is not NO_BODY and content is None:
            content = self.fill(json.dumps(case.body)).encode()
        headers = {**({} if content is None else {"Content-Type": "application/json"}), **case.headers}
        if key := self.keys[case.key]:
            headers["Authorization"] = f"Bearer {key}"
        return client.request(case.method, self.fill(case.path), content=content, headers=headers)


@pytest.fixture(scope="module")
def tenants(stack: Stack) -> Tenants:
    return Tenants(stack)


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def ends(stack: Stack) -> Iterator[Callable[[], dict[str, int]]]:
    """Where what HTTP writes to ends now: events and the control log."""
    kafka = load(KafkaSettings, stack.environment)
    homes = [TopicPartition(kafka.topic_prefix + EVENTS_RAW.name, number) for number in range(kafka.partitions)]
    homes.append(TopicPartition(kafka.topic_prefix + CONTROL.name, 0))
    with asyncio.Runner() as runner:

        async def started() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(bootstrap_servers=kafka.kafka_bootstrap)
            await consumer.start()
            return consumer

        consumer = runner.run(started())

        def found() -> dict[str, int]:
            offsets: dict[TopicPartition, int] = runner.run(consumer.end_offsets(homes))
            return {f"{home.topic}-{home.partition}": offset for home, offset in offsets.items()}

        try:
            yield found
        finally:
            runner.run(consumer.stop())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_bad_request_is_refused_by_its_field_and_writes_nothing(
    tenants: Tenants, client: httpx.Client, ends: Callable[[], dict[str, int]], case: Case
) -> None:
    before = ends()
    answer = tenants.ask(client, case)
    found: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, found["code"], found.get("field")) == (case.status, case.code, case.field), answer.text
    assert found["message"]
    assert ends() == before


@pytest.mark.parametrize(("path", "status"), links.PIXELS)
def test_a_bad_pixel_is_still_an_image_and_writes_nothing(
    tenants: Tenants, client: httpx.Client, ends: Callable[[], dict[str, int]], path: str, status: int
) -> None:
    before = ends()
    answer = client.get(tenants.fill(path))
    assert (answer.status_code, answer.content) == (status, GIF)
    assert ends() == before


def test_what_is_accepted_is_seen_to_be_written(tenants: Tenants, ends: Callable[[], dict[str, int]]) -> None:
    writes: list[Callable[[], object]] = [
        lambda: tenants.ours.accept({"event_type": "pageview"}),
        lambda: tenants.ours.goal(),
    ]
    for write in writes:
        before = ends()
        write()
        assert sum(ends().values()) > sum(before.values())


def test_every_operation_of_the_document_has_bad_requests(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, item in paths.items() for method in item}
    asked = {(case.method, case.path.partition("?")[0]) for case in CASES}
    for method, path in described - ELSEWHERE.keys():
        template = re.compile(re.sub(r"\{.*?\}", "[^/]+", path))
        assert [found for found in asked if found[0] == method and template.fullmatch(found[1])], f"{method} {path}"
    assert ELSEWHERE.keys() <= described
    assert [test for test in ELSEWHERE.values() if test and not (ROOT / test).exists()] == []


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert sorted({name for name in names if names.count(name) > 1}) == []
