"""What the table of deliveries answers, and which click a conversion is told with."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from databases import Databases

from clickhouse.api.answers import instant
from clickhouse.api.deliveries import _Attempt, _Told
from clickhouse.connection import Connection
from clickhouse.read import Reader
from processors.delivery.clicks import Clicks
from processors.delivery.recorder import rows
from schemas.codec import decode_conversion
from schemas.control import DestinationKind
from schemas.deliveries import Attempt, Click
from schemas.events import Conversion
from schemas.outcomes import DeliveryOutcome, NoticeEvent, Trust
from schemas.settings import ClickHouseSettings

NOW = time.time_ns() // 1_000_000
"""Notices are forgotten with time."""
CONVERSION = str(uuid.UUID(int=7))


@pytest.fixture
def settings(databases: Databases) -> Iterator[ClickHouseSettings]:
    with databases.migrated() as settings:
        yield settings


@pytest.fixture
async def reader(settings: ClickHouseSettings) -> AsyncIterator[Reader]:
    reader = Reader(settings)
    yield reader
    await reader.stop()


@pytest.fixture
def connection(settings: ClickHouseSettings) -> Iterator[Connection]:
    connection = Connection(settings)
    yield connection
    connection.close()


def conversion(number: int = 7, **fields: Any) -> Conversion:
    defaults: dict[str, Any] = {"project_id": "p", "kind": "purchase", "event_id": "e", "trust": Trust.SECRET}
    times = {"received_at": NOW, "converted_at": NOW}
    return Conversion(**{**defaults, **times, "conversion_id": str(uuid.UUID(int=number)), **fields})


def attempt(number: int, outcome: DeliveryOutcome, *, of: Conversion, next_at: int = 0, **fields: Any) -> Attempt:
    defaults: dict[str, Any] = {"destination_id": "d", "kind": DestinationKind.POSTBACK, "status": 200}
    return Attempt(
        attempt_id=str(uuid.UUID(int=number)),
        conversion=of,
        event=NoticeEvent.TRACKED,
        number=number,
        outcome=outcome,
        attempted_at=NOW + number,
        next_at=next_at,
        **{**defaults, **fields},
    )


async def test_attempts_are_listed_newest_first_and_written_twice_they_are_one(
    reader: Reader, connection: Connection
) -> None:
    told = conversion(revenue=Decimal("1.5"), currency="USD")
    written = [
        attempt(1, DeliveryOutcome.HTTP_ERROR, of=told, next_at=NOW + 60_000, status=500, detail="oops"),
        attempt(2, DeliveryOutcome.DELIVERED, of=told),
        attempt(3, DeliveryOutcome.DELIVERED, of=conversion(8), destination_id="other"),
    ]
    for _ in range(2):
        connection.insert("deliveries", [rows(written)])
    asked = {"project_id": "p", "destination_id": "", "conversion_id": "", "outcome": "", "limit": 100}

    async def found(**filters: Any) -> list[int]:
        return [row.attempt for row in await reader.rows("deliveries", _Attempt, {**asked, **filters})]

    assert await found() == [3, 2, 1]
    assert await found(destination_id="d") == [2, 1]
    assert await found(conversion_id=CONVERSION) == [2, 1]
    assert await found(outcome="http_error") == [1]
    assert await found(project_id="q") == []
    assert await found(limit=1) == [3]
    (first,) = await reader.rows("deliveries", _Attempt, {**asked, "outcome": "http_error"})
    assert (first.id, first.status, first.detail) == (written[0].delivery_id, 500, "oops")
    assert (first.attempted_ms, first.next_attempt_ms) == (NOW + 1, NOW + 60_000)
    (again,) = await reader.rows("delivery", _Told, {"project_id": "p", "delivery_id": written[0].delivery_id})
    assert decode_conversion(again.notice.encode()) == told
    assert (again.destination_id, again.event) == ("d", NoticeEvent.TRACKED)


async def test_an_old_notice_is_forgotten_and_the_attempt_is_not(reader: Reader, connection: Connection) -> None:
    old = attempt(1, DeliveryOutcome.EXPIRED, of=conversion())
    connection.insert("deliveries", [rows([msgspec.structs.replace(old, attempted_at=NOW - 91 * DAY)])])
    (again,) = await reader.rows("delivery", _Told, {"project_id": "p", "delivery_id": old.delivery_id})
    assert (again.destination_id, again.notice) == ("d", "")


async def test_only_deliveries_that_were_given_up_are_failed(reader: Reader, connection: Connection) -> None:
    given_up, pending, late, skipped = (conversion(number) for number in (1, 2, 3, 4))
    connection.insert(
        "deliveries",
        [
            rows(
                [
                    attempt(1, DeliveryOutcome.HTTP_ERROR, of=given_up, next_at=NOW + 9),
                    attempt(2, DeliveryOutcome.EXPIRED, of=given_up),
                    attempt(3, DeliveryOutcome.HTTP_ERROR, of=pending, next_at=NOW + 9),
                    attempt(4, DeliveryOutcome.TIMEOUT, of=late, next_at=NOW + 9),
                    attempt(5, DeliveryOutcome.DELIVERED, of=late),
                    attempt(6, DeliveryOutcome.SKIPPED, of=skipped),
                ]
            )
        ],
    )
    found = await reader.rows("failed_deliveries", _Told, {"project_id": "p", "destination_id": "d", "limit": 10})
    assert [decode_conversion(row.notice.encode()) for row in found] == [given_up]


def store(
    connection: Connection,
    conversion_id: str = CONVERSION,
    *,
    click_id: str = "",
    fingerprint: str = "",
    window_days: int = 0,
) -> None:
    """The one arrival of a conversion."""
    connection.append(
        "conversion_arrivals",
        [
            {
                "project_id": "p",
                "conversion_id": conversion_id,
                "event_id": conversion_id,
                "is_conversion": True,
                "kind": "purchase",
                "received_at": instant(NOW),
                "converted_at": instant(NOW),
                "click_id": click_id,
                "fingerprint": fingerprint,
                "window_days": window_days,
            }
        ],
    )


def clicked(connection: Connection, number: int, at: int, *, fingerprint: str = "", project_id: str = "p") -> None:
    """A click on link ``number`` with click id ``100 + number``."""
    connection.append(
        "events",
        [
            {
                "project_id": project_id,
                "event_id": str(uuid.UUID(int=1000 + number)),
                "event_type": "click",
                "occurred_at": instant(at),
                "received_at": instant(at),
                "click_id": str(100 + number),
                "fingerprint": fingerprint,
                "link_id": number,
                "touch": "click",
            }
        ],
    )


DAY = 86_400_000


async def look(reader: Reader, since: int = NOW, **fields: Any) -> Click:
    return await Clicks(reader, wait_ms=20_000).of(conversion(**fields), since)


async def test_the_click_that_a_conversion_names_is_its_click(reader: Reader, connection: Connection) -> None:
    store(connection, click_id="101", fingerprint="f")
    clicked(connection, 1, NOW - 90 * DAY)
    clicked(connection, 2, NOW - DAY, fingerprint="f")
    assert await look(reader) == Click(link_id=1, click_id=101)


async def test_else_the_last_click_of_its_fingerprint_inside_the_window(reader: Reader, connection: Connection) -> None:
    store(connection, fingerprint="f", window_days=5)
    clicked(connection, 1, NOW - 6 * DAY, fingerprint="f")
    assert await look(reader) == Click()
    clicked(connection, 2, NOW - 2 * DAY, fingerprint="f")
    clicked(connection, 3, NOW - 3 * DAY, fingerprint="f")
    clicked(connection, 4, NOW + DAY, fingerprint="f")
    clicked(connection, 5, NOW - DAY, fingerprint="f", project_id="q")
    assert await look(reader) == Click(link_id=2, click_id=102)


async def test_of_what_is_announced_together_each_has_its_own_click_or_waits_for_one(
    reader: Reader, connection: Connection
) -> None:
    of = {name: conversion(number) for number, name in enumerate(("named", "awaited", "seen", "of nobody", "unknown"))}
    ids = {name: one.conversion_id for name, one in of.items()}
    store(connection, ids["named"], click_id="101", fingerprint="f")
    store(connection, ids["awaited"], click_id="789", fingerprint="g")
    store(connection, ids["seen"], click_id="gclid-1", fingerprint="f")
    store(connection, ids["of nobody"])
    clicked(connection, 1, NOW - 90 * DAY)
    clicked(connection, 2, NOW - DAY, fingerprint="f")
    assert await Clicks(reader, wait_ms=20_000).known([*of.values()] * 2) == {
        ids["named"]: Click(link_id=1, click_id=101),
        ids["seen"]: Click(link_id=2, click_id=102),
        ids["of nobody"]: Click(),
    }


async def test_a_click_of_which_only_the_key_is_there_yet_is_waited_for(reader: Reader, connection: Connection) -> None:
    store(connection, click_id="101")
    connection.append(
        "click_keys",
        [{"project_id": "p", "kind": "click", "key": "101", "touched_at": instant(NOW - DAY), "link_id": 1}],
    )
    assert await Clicks(reader, wait_ms=20_000).known([conversion()]) == {}
    assert await Clicks(reader, wait_ms=0).of(conversion(), NOW) == Click(click_id=101)


async def test_a_click_that_nobody_recorded_is_told_by_its_number_only(reader: Reader, connection: Connection) -> None:
    store(connection, click_id="789")
    assert await Clicks(reader, wait_ms=0).of(conversion(), NOW) == Click(click_id=789)


async def test_a_click_id_of_someone_else_is_no_number_of_ours(reader: Reader, connection: Connection) -> None:
    store(connection, click_id="gclid-1")
    assert await look(reader) == Click()


async def test_without_the_store_the_announcement_is_all_there_is() -> None:
    away = Reader(ClickHouseSettings(clickhouse_url="http://127.0.0.1:1/?database=x"))
    try:
        assert await look(away, NOW - DAY, click_id="789") == Click(click_id=789)
    finally:
        await away.stop()


async def test_a_store_that_is_away_is_waited_for_and_not_for_long() -> None:
    away = Reader(ClickHouseSettings(clickhouse_url="http://127.0.0.1:1/?database=x"))
    began = time.monotonic()
    try:
        clicks = Clicks(away, wait_ms=1000)
        assert await clicks.of(conversion(click_id="789"), time.time_ns() // 1_000_000) == Click(click_id=789)
        assert 1 <= time.monotonic() - began < 10
    finally:
        await away.stop()


async def test_a_named_click_is_waited_for(reader: Reader, connection: Connection) -> None:
    store(connection, click_id="101")
    looking = asyncio.create_task(
        Clicks(reader, wait_ms=30_000).of(conversion(click_id="101"), time.time_ns() // 1_000_000)
    )
    await asyncio.to_thread(clicked, connection, 1, NOW - DAY)
    assert await looking == Click(link_id=1, click_id=101)
