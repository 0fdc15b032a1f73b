"""The routes of links where Kafka is away or slow: a visitor is led on, and nobody is told that something is stored."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from control.links import new_link_id
from control.log import ControlLog
from ingest import links
from ingest.answers import Answer, of_request
from ingest.links import LinkRoutes
from ingest.request import Parsed
from ingest.routes import Found, Route, find
from schemas.control import Body, ControlRecord, Link, LinkGoal, LinkGoalType, Project
from schemas.errors import Refused, Unavailable
from schemas.events import RawEvent
from schemas.settings import IngestSettings, KafkaSettings

PROJECT = Project(id="p", name="Shop", site_key="site")
LINK = Link(id=new_link_id(), project_id="p", slug="sale", destination="https://shop.example/")
GOAL = LinkGoal(id="g", project_id="p", name="Sale", goal_type=LinkGoalType.PURCHASE)


class Edge:
    """The routes over a view that needs no Kafka, with a way to Kafka that the test makes."""

    def __init__(self, write: Any) -> None:
        log = ControlLog(KafkaSettings(), client_id="test")
        bodies: list[Body] = [PROJECT, LINK, GOAL]
        for offset, body in enumerate(bodies):
            assert log.view.apply(offset, ControlRecord(record_id="r", replaces=0, written_at=0, body=body))
        self.routes = LinkRoutes(IngestSettings(), log, b"secret", lambda: "event", self.read, write)

    async def read(self, headers: dict[bytes, bytes], receive: Any) -> bytes:
        return b"{}"

    async def get(self, path: str) -> Answer:
        scope = {
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"user-agent", b"Mozilla/5.0 Chrome/126.0")],
            "client": ("192.0.2.1", 1),
        }
        found = find(path)
        assert found is not None, path
        return await self.routes.answer(found, scope, None)  # type: ignore[arg-type]


def click_ids(answer: Answer) -> list[str]:
    location = dict(answer.headers)[b"location"].decode()
    return parse_qs(urlsplit(location).query).get("click_id", [])


async def test_a_click_that_kafka_has_is_in_the_location_and_its_event_holds_no_address() -> None:
    written: list[Parsed] = []

    async def write(project_id: str, parsed: Parsed) -> Answer:
        written.append(parsed)
        return of_request(parsed, [0], frozenset())

    answer = await Edge(write).get("/l/sale")
    ((event,),) = [parsed.items for parsed in written]
    assert isinstance(event, RawEvent)
    assert (answer.status, click_ids(answer)) == (302, [event.click_id])
    assert (event.event_type, event.link_id, event.visitor) == ("click", int(LINK.id), f"c:{event.click_id}")
    assert len(event.fingerprint) == 32
    assert "192.0.2.1" not in repr(event)


async def test_without_kafka_a_visitor_is_led_on_without_a_click_id() -> None:
    async def write(project_id: str, parsed: Parsed) -> Answer:
        raise Unavailable("Kafka cannot be reached")

    answer = await Edge(write).get("/l/sale")
    assert (answer.status, click_ids(answer)) == (302, [])


async def test_an_unacknowledged_click_is_not_in_the_location() -> None:
    async def write(project_id: str, parsed: Parsed) -> Answer:
        return of_request(parsed, [0], frozenset([0]))

    assert click_ids(await Edge(write).get("/l/sale")) == []


async def test_a_slow_kafka_keeps_a_visitor_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "CLICK_LIMIT_S", 0.01)
    acknowledged = asyncio.Event()

    async def write(project_id: str, parsed: Parsed) -> Answer:
        await acknowledged.wait()
        return of_request(parsed, [0], frozenset())

    answer = await Edge(write).get("/l/sale")
    acknowledged.set()
    assert (answer.status, click_ids(answer)) == (302, [])


async def test_a_text_that_cannot_be_a_token_is_refused_without_a_look_up() -> None:
    async def write(project_id: str, parsed: Parsed) -> Answer:
        raise AssertionError

    edge = Edge(write)
    pixel = await edge.get("/api/conversions/track/unknown")
    assert (pixel.status, pixel.body) == (401, links.GIF)
    with pytest.raises(Refused):
        await edge.routes.answer(
            Found(Route.TRACK, "unknown"),
            {"method": "POST", "headers": []},
            None,  # type: ignore[arg-type]
        )
