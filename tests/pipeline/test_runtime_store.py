"""What stages and the engine must agree on: types at their edges, order of ids, and how a conversion is merged."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from databases import Databases
from depth import examples
from history import FakeRecord, MemoryState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installation import raw_event

from clickhouse.arrow import record_batch
from clickhouse.client import connect
from clickhouse.connection import Connection
from clickhouse.writer import Writer, classify
from processors.core.conversions import merge
from processors.core.sessions import order_of
from processors.stages.conversions import ConversionsStage
from processors.stages.lines import EARLIEST, LATEST
from processors.stages.totals import Totals
from processors.topology import events_stage
from schemas.codec import encode, headers
from schemas.errors import Invariant, Unavailable
from schemas.events import Arrival, RawEvent
from schemas.outcomes import Trust
from schemas.settings import ClickHouseSettings, StageSettings


@pytest.fixture
def client(databases: Databases) -> Iterator[Client]:
    with databases.migrated() as settings, connect(settings) as client:
        yield client


def store_events(client: Client, events: list[RawEvent]) -> None:
    stage = events_stage(StageSettings(), lambda *_: True)
    records = [FakeRecord(offset, encode(event), headers(1)) for offset, event in enumerate(events)]
    result = stage.process(0, records, MemoryState(), Totals())
    assert result.letters == []
    Writer(client).insert("events", [record_batch("events", result.columns)])


def test_rows_at_the_edges_of_their_types_come_back_as_they_were(client: Client) -> None:
    events = [
        raw_event(0, occurred_at=EARLIEST, revenue=Decimal("99999999999999.9999"), currency="USD"),
        raw_event(1, occurred_at=LATEST, revenue=Decimal("-0.0001"), currency="EUR"),
        raw_event(2, occurred_at=-1, event_name="été \U0001f600 \0 'x'", revenue=Decimal("1E+3")),
        raw_event(3, marks=("bot", "test"), user_id="u" * 500),
    ]
    store_events(client, events)
    rows = client.query(
        "SELECT toUnixTimestamp64Milli(occurred_at), toString(revenue), event_name, marks, user_id, toString(event_id)"
        " FROM events FINAL ORDER BY kafka_offset"
    ).result_rows
    assert [tuple(row) for row in rows] == [
        (EARLIEST, "99999999999999.9999", "", [], "", events[0].event_id),
        (LATEST, "-0.0001", "", [], "", events[1].event_id),
        (-1, "1000", events[2].event_name, [], "", events[2].event_id),
        (events[3].occurred_at, None, "", ["bot", "test"], "u" * 500, events[3].event_id),
    ]


def test_one_insert_may_span_150_months(client: Client) -> None:
    events = [raw_event(month, occurred_at=month * 30 * 86_400_000) for month in range(150)]
    events += [raw_event(200 + day, occurred_at=1_760_000_000_000 - day * 30 * 86_400_000) for day in range(36)]
    store_events(client, events)
    assert client.query("SELECT count() FROM events").result_rows == [(186,)]


def test_ids_break_ties_as_the_engine_sorts_them(client: Client) -> None:
    ids = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(50)]
    ids += [uuid.UUID(int=1), uuid.UUID(int=1 << 64), uuid.UUID(int=(1 << 127) + 5)]
    rows = client.query(
        "SELECT id FROM (SELECT arrayJoin({ids:Array(UUID)}) AS id) ORDER BY id", parameters={"ids": ids}
    ).result_rows
    assert [row[0] for row in rows] == sorted(ids, key=lambda one: order_of(one.bytes))


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Reports of one conversion, in log order."""
    return [
        Arrival(
            project_id="p",
            conversion_id=str(uuid.UUID(int=7)),
            event_id=str(uuid.UUID(int=number)),
            is_conversion=draw(st.booleans()),
            kind=draw(st.sampled_from(["purchase", "order"])),
            order_id="o",
            trust=draw(st.sampled_from(list(Trust))),
            received_at=draw(st.integers(0, 10)),
            converted_at=draw(st.integers(-5, 5)),
            timed=draw(st.booleans()),
            event_type="conversion",
            visitor="v",
            user_id=draw(st.sampled_from(["", "u1", "u2"])),
            anonymous_id=draw(st.sampled_from(["", "a1"])),
            session_id=draw(st.sampled_from(["", "s1", "s2"])),
            click_id=draw(st.sampled_from(["", "c1"])),
            revenue=draw(st.sampled_from([None, Decimal("0"), Decimal("9.99")])),
            currency=draw(st.sampled_from(["", "USD", "EUR"])),
        )
        for number in range(draw(st.integers(1, 5)))
    ]


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=arrivals())
def test_the_view_merges_a_conversion_as_the_rule_says(client: Client, reports: list[Arrival]) -> None:
    client.command("TRUNCATE TABLE conversion_arrivals")
    records = [FakeRecord(offset, encode(report), headers(1)) for offset, report in enumerate(reports)]
    result = ConversionsStage(bad_run_max=1).process(0, records, MemoryState(), Totals())
    Writer(client).insert("conversion_arrivals", [record_batch("conversion_arrivals", result.columns)])
    (row,) = client.query(
        "SELECT is_conversion, kind, order_id, trust, toUnixTimestamp64Milli(converted_at),"
        " toUnixTimestamp64Milli(received_at), user_id, anonymous_id, session_id, click_id, revenue, currency,"
        " contact_id, campaign_id, flow_id, fingerprint, window_days, attribution_window_days, visitor FROM conversions"
    ).result_rows
    expected: Any = merge(reports)
    assert tuple(row) == tuple(getattr(expected, name) for name in expected.__struct_fields__)


def test_a_missing_table_is_waited_for_and_a_wrong_row_is_not(client: Client) -> None:
    columns = {"stage": ["events"] * 2}
    with pytest.raises(KeyError):
        record_batch("checkpoints", columns)
    rows = record_batch(
        "checkpoints",
        {
            "stage": ["events"],
            "topic_id": ["t"],
            "kafka_partition": [0],
            "end_offset": [1],
            "clock": [0],
            **{
                name: [0]
                for name in (
                    "received",
                    "stored",
                    "duplicate",
                    "rejected",
                    "quarantined",
                    "erased",
                    "conflict",
                    "control_offset",
                )
            },
        },
    )
    client.command("RENAME TABLE checkpoints TO away")
    with pytest.raises(Unavailable, match="60"):
        Writer(client).insert("checkpoints", [rows])
    client.command("RENAME TABLE away TO checkpoints")
    client.command("ALTER TABLE checkpoints ADD CONSTRAINT never CHECK end_offset > 1")
    with pytest.raises(Invariant):
        Writer(client).insert("checkpoints", [rows])


@pytest.mark.parametrize("code", [241, 252, 202, 999, 60])
def test_a_full_or_busy_store_is_waited_out(code: int) -> None:
    assert isinstance(classify(DatabaseError("no", code=code)), Unavailable)


def test_a_refusal_halts_and_silence_does_not() -> None:
    assert isinstance(classify(DatabaseError("no", code=53)), Invariant)
    assert isinstance(classify(OperationalError("gone")), Unavailable)
    assert isinstance(classify(ConnectionResetError()), Unavailable)


def test_a_store_that_is_not_there_is_waited_for() -> None:
    connection = Connection(ClickHouseSettings(clickhouse_url="http://127.0.0.1:9/?database=none"))
    with pytest.raises(Unavailable):
        connection.query("ping")
    connection.close()
