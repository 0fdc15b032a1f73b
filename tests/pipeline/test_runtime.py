"""The runtime on real Kafka and the real engine: nothing is lost, nothing is doubled, whatever dies."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from conftest import StartProcess
from history import MemoryState
from installation import PROJECT, Installation, Relay, purchase, raw_event

from control.topics import ensure_topics
from processors.runtime.failpoint import FailPoint, Seam, unharmed
from processors.runtime.run import StageProcess
from processors.runtime.store import Position, Store
from processors.stages.totals import Totals
from processors.topology import conversions_stage, events_stage
from schemas.codec import encode
from schemas.events import RawEvent
from schemas.outcomes import Stage, Trust
from schemas.settings import StageSettings

FACTS = {
    Stage.EVENTS: (
        "kafka_partition, kafka_offset, kafka_index, event_id, session_id, session_opens, visitor, path, source, touch,"
        " touch_source, key_kinds, key_values, checksum",
        "events",
    ),
    Stage.CONVERSIONS: (
        "kafka_partition, kafka_offset, kafka_index, conversion_id, event_id, is_conversion, revenue, trust,"
        " session_id",
        "conversion_arrivals",
    ),
}

SEAMS = (Seam.AFTER_INSERT, Seam.AFTER_CHECKPOINT, Seam.AFTER_PRODUCE, Seam.AFTER_STATE, Seam.AFTER_COMMIT)


@pytest.fixture
async def installation(stack_env: dict[str, str]) -> Installation:
    return await Installation(stack_env).prepare()


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, limit_s: float = 60.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(limit_s):
        while True:
            held = condition()
            if held is True or (not isinstance(held, bool) and await held):
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(
    installation: Installation, stage: Stage, *, failpoint: FailPoint = unharmed
) -> AsyncIterator[StageProcess]:
    """A stage that runs while the block does; if it fails, so does the block."""
    process = installation.stage(stage, failpoint=failpoint)
    async with asyncio.TaskGroup() as group:
        group.create_task(process.run())
        try:
            yield process
        finally:
            process.stop()


def received(installation: Installation, stage: Stage) -> int:
    """Events that the checkpoints of a stage have counted."""
    rows = installation.rows(f"SELECT sum(received) FROM newest_checkpoints WHERE stage = '{stage}'")
    count: int = rows[0][0]
    return count


async def run_until(installation: Installation, stage: Stage, count: int) -> None:
    """Run a stage until it has counted so many events and committed them."""
    async with running(installation, stage) as process:
        await eventually(lambda: received(installation, stage) >= count)
        await eventually(lambda: process.metrics.last_success._value.get() > 0)


def states(installation: Installation, stage: Stage) -> dict[str, tuple[dict[bytes, bytes], Position | None]]:
    """The state of every partition, as it is on disk. The stage must not run."""
    found = {}
    for directory in sorted(installation.state_directory(stage).iterdir()):
        store = Store(directory)
        found[directory.name] = (store.items(), store.position())
        store.close()
    return found


async def stored_at_once(installation: Installation, stage: Stage) -> list[dict[str, Any]]:
    """What the stage would store if it read its topic in one batch a partition, with nothing going wrong."""
    settings = StageSettings()
    processor = events_stage(settings, lambda *_: True) if stage is Stage.EVENTS else conversions_stage(settings)
    by_partition: dict[int, list[Any]] = {}
    for record in await installation.consumed(processor.topic.name):
        by_partition.setdefault(record.partition, []).append(record)
    rows = []
    for partition, records in sorted(by_partition.items()):
        columns = processor.process(partition, records, MemoryState(), Totals()).columns
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


async def assert_exact(installation: Installation, stage: Stage) -> None:
    """Facts and totals are those of one undisturbed run, and the ledger balances."""
    names, table = FACTS[stage]
    key = "kafka_partition, kafka_offset, kafka_index"
    rows = installation.rows(f"SELECT {names} FROM {table} FINAL ORDER BY {key}")
    expected = await stored_at_once(installation, stage)
    columns = names.split(", ")
    assert [dict(zip(columns, (_plain(value) for value in row), strict=True)) for row in rows] == [
        {name: _plain(row[name]) for name in columns} for row in expected
    ]
    assert installation.rows(f"SELECT stored, imbalance FROM v_ledger WHERE stage = '{stage}'") == [(len(expected), 0)]


def _plain(value: Any) -> Any:
    return getattr(value, "bytes", list(value) if isinstance(value, tuple) else value)


def day_of_events(count: int, *, first: int = 0) -> list[RawEvent]:
    """Pageviews and purchases of a few visitors, some events twice."""
    events = [
        purchase(number, f"o{number % 5}", f"{number}.99", trust=Trust(number % 3))
        if number % 4 == 0
        else raw_event(number)
        for number in range(first, first + count)
    ]
    return [*events, *events[::3]]


async def test_events_become_rows_and_conversions(installation: Installation) -> None:
    events = [*(raw_event(number) for number in range(40)), purchase(40, "o1", "9.99"), purchase(41, "o1", "9.99")]
    await installation.produce([*events, *events])
    async with running(installation, Stage.EVENTS), running(installation, Stage.CONVERSIONS):
        await eventually(lambda: received(installation, Stage.CONVERSIONS) == 2)
        await eventually(lambda: received(installation, Stage.EVENTS) == 84)
    assert installation.rows("SELECT count() FROM v_events") == [(42,)]
    assert installation.rows("SELECT count() FROM conversion_arrivals FINAL") == [(2,)]
    assert [line["order_id"] for line in await installation.lines("conversions")] == ["o1"]
    assert installation.rows("SELECT stage, received, stored, duplicate, imbalance FROM v_ledger ORDER BY stage") == [
        ("conversions", 2, 2, 0, 0),
        ("events", 84, 42, 42, 0),
    ]


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("stage", [Stage.EVENTS, Stage.CONVERSIONS])
async def test_death_between_any_two_steps_changes_nothing(installation: Installation, stage: Stage) -> None:
    """At each seam the stage dies once, with a batch in hand, and a new one goes on."""
    for number, seam in enumerate(SEAMS):
        events = day_of_events(12, first=12 * number)
        await installation.produce(events)
        if stage is Stage.CONVERSIONS:
            await run_until(installation, Stage.EVENTS, 16 * (number + 1))

        def die(here: Seam, seam: Seam = seam) -> None:
            if here is seam:
                raise Crash

        with pytest.raises(Crash):
            await asyncio.wait_for(installation.stage(stage, failpoint=die).run(), 60)
    produced = await installation.lines("events-raw" if stage is Stage.EVENTS else "conversions-raw")
    count = len(produced)
    await run_until(installation, stage, count)
    assert received(installation, stage) == count
    await assert_exact(installation, stage)
    if stage is Stage.CONVERSIONS:
        announced = {line["order_id"] for line in await installation.lines("conversions")}
        assert announced == {f"o{number}" for number in range(5)}


async def test_kill_9_after_the_insert_is_harmless(
    installation: Installation, stack_env: dict[str, str], start_process: StartProcess
) -> None:
    await installation.produce(day_of_events(30))
    doomed = start_process(
        "processors", "events", environment={**stack_env, "HEADWATER_FAILPOINT": "after_insert"}, ready=None
    )
    assert await asyncio.to_thread(doomed.wait, 60) != 0
    assert installation.rows("SELECT count() FROM checkpoints") == [(0,)]
    await run_until(installation, Stage.EVENTS, 40)
    await assert_exact(installation, Stage.EVENTS)


async def test_sigterm_ends_the_process_with_its_batch_done(
    installation: Installation, stack_env: dict[str, str], start_process: StartProcess
) -> None:
    await installation.produce(day_of_events(30))
    process = await asyncio.to_thread(start_process, "processors", "events", environment=stack_env)
    await eventually(lambda: received(installation, Stage.EVENTS) == 40)
    assert await asyncio.to_thread(process.terminate) == 0, process.output
    await assert_exact(installation, Stage.EVENTS)


@pytest.mark.parametrize("stage", [Stage.EVENTS, Stage.CONVERSIONS])
async def test_state_rebuilt_from_facts_equals_lived_state(installation: Installation, stage: Stage) -> None:
    await installation.produce(day_of_events(60))
    await run_until(installation, Stage.EVENTS, 80)
    arrivals = len(await installation.lines("conversions-raw"))
    if stage is Stage.CONVERSIONS:
        await run_until(installation, stage, arrivals)
    lived = states(installation, stage)
    shutil.rmtree(installation.state_directory(stage))
    async with running(installation, stage) as process:
        await eventually(lambda: process.ready() is None)
    rebuilt = states(installation, stage)
    assert {name: items for name, (items, _) in rebuilt.items()} == {name: items for name, (items, _) in lived.items()}
    for name, (_, position) in rebuilt.items():
        was = lived[name][1]
        assert position is not None
        assert was is not None
        assert (position.next_offset, position.totals) == (was.next_offset, was.totals)
    await installation.produce(day_of_events(60))
    await run_until(installation, Stage.EVENTS, 160)
    assert installation.rows("SELECT count() FROM events") == [(60,)]


async def test_state_older_than_the_commit_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    await installation.produce(day_of_events(12))
    await run_until(installation, Stage.EVENTS, 16)
    old = tmp_path / "old"
    shutil.copytree(installation.state_directory(Stage.EVENTS), old)
    await installation.produce(day_of_events(12, first=12))
    await run_until(installation, Stage.EVENTS, 32)
    lived = states(installation, Stage.EVENTS)
    shutil.rmtree(installation.state_directory(Stage.EVENTS))
    shutil.copytree(old, installation.state_directory(Stage.EVENTS))
    async with running(installation, Stage.EVENTS) as process:
        await eventually(lambda: process.ready() is None)
    assert {name: items for name, (items, _) in states(installation, Stage.EVENTS).items()} == {
        name: items for name, (items, _) in lived.items()
    }


async def test_a_second_instance_takes_over_its_part(installation: Installation) -> None:
    await installation.produce(day_of_events(40))
    async with running(installation, Stage.EVENTS) as first:
        await eventually(lambda: first.ready() is None)
        async with running(installation.elsewhere(), Stage.EVENTS) as second:
            await eventually(lambda: second.ready() is None and first.ready() is None)
            await installation.produce(day_of_events(40, first=40))
            await eventually(lambda: received(installation, Stage.EVENTS) >= 108)
        await installation.produce(day_of_events(40, first=80))
        await eventually(lambda: received(installation, Stage.EVENTS) >= 162)
    await assert_exact(installation, Stage.EVENTS)


async def test_what_cannot_be_read_is_kept_with_its_reason_and_the_rest_goes_on(installation: Installation) -> None:
    good = [encode(raw_event(number)) for number in range(3)]
    stranger = encode(raw_event(9, project_id="no such project"))
    value = b"\n".join([good[0], b'{"secret": tru', good[1], stranger, good[2]])
    await installation.produce_bytes("events-raw", 1, value)
    await installation.produce_bytes("events-raw", 1, good[0], version=b"999")
    await run_until(installation, Stage.EVENTS, 6)
    assert installation.rows("SELECT received, stored, quarantined, imbalance FROM v_ledger") == [(6, 3, 3, 0)]
    assert installation.rows(
        "SELECT kafka_offset, kafka_index, reason, payload FROM dead_letters FINAL ORDER BY kafka_offset, kafka_index"
    ) == [
        (0, 1, "undecodable", '{"secret": tru'),
        (0, 3, "unknown_project", stranger.decode()),
        (1, 0, "unknown_schema", good[0].decode()),
    ]
    letters = await installation.consumed("events-raw-dlq")
    assert [record.value for record in letters] == [b'{"secret": tru', stranger, good[0]]
    headers = dict(letters[1].headers)
    assert {name: headers[name] for name in ("reason", "stage", "partition", "offset", "index")} == {
        "reason": b"unknown_project",
        "stage": b"events",
        "partition": b"1",
        "offset": b"0",
        "index": b"3",
    }
    assert headers["topic"].endswith(b"events-raw")
    assert b"secret" not in headers["error"]


async def test_too_many_unreadable_lines_in_a_row_halt_their_partition_only(stack_env: dict[str, str]) -> None:
    installation = await Installation({**stack_env, "HEADWATER_QUARANTINE_MAX_CONSECUTIVE": "3"}).prepare()
    await installation.produce_bytes("events-raw", 2, b"\n".join([b"x"] * 4))
    await installation.produce_bytes("events-raw", 1, encode(raw_event(1)))
    async with running(installation, Stage.EVENTS) as process:
        await eventually(lambda: process.ready() == "1 partitions are halted")
        await eventually(lambda: received(installation, Stage.EVENTS) == 1)
    assert await installation.consumed("events-raw-dlq") == []


async def test_a_topic_made_anew_is_refused(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    await installation.produce(day_of_events(12))
    await run_until(installation, Stage.EVENTS, 16)
    before = installation.rows("SELECT * FROM event_log ORDER BY kafka_partition, kafka_offset, kafka_index")
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.kafka.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([installation.topic("events-raw")])
        await eventually(lambda: _is_gone(admin, installation.topic("events-raw")))
    finally:
        await admin.close()
    await ensure_topics(installation.kafka)
    await installation.produce(day_of_events(40, first=100))
    for _ in range(2):  # and, the second time, with its state lost
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            async with running(installation, Stage.EVENTS) as process:
                await eventually(lambda: process.ready() == "4 partitions are halted")
        assert sum("made anew" in record.message for record in caplog.records) == 4
        shutil.rmtree(installation.state_directory(Stage.EVENTS))
    assert before == installation.rows("SELECT * FROM event_log ORDER BY kafka_partition, kafka_offset, kafka_index")


async def _is_gone(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await admin.list_topics()


async def test_another_record_where_the_last_one_was_is_refused(installation: Installation) -> None:
    """As after a broker lost its disk and was filled again: same topic id, other records."""
    await installation.produce(day_of_events(12))
    await run_until(installation, Stage.EVENTS, 16)
    for directory in installation.state_directory(Stage.EVENTS).iterdir():
        store = Store(directory)
        position = store.position()
        assert position is not None
        if position.next_offset:
            other = Position(
                layout=position.layout,
                topic_id=position.topic_id,
                next_offset=position.next_offset,
                last_record=bytes(16),
                totals=position.totals,
            )
            store.write({}, position=other)
        store.close()
    async with running(installation, Stage.EVENTS) as process:
        await eventually(lambda: "halted" in (process.ready() or ""))


async def test_while_the_store_is_away_the_stage_waits_and_keeps_its_partitions(
    stack_env: dict[str, str],
) -> None:
    url = urlsplit(stack_env["HEADWATER_CLICKHOUSE_URL"])
    assert url.hostname is not None
    assert url.port is not None
    async with Relay(url.hostname, url.port) as relay:
        credentials = url.netloc.rpartition("@")[0]
        through = urlunsplit(url._replace(netloc=f"{credentials}@127.0.0.1:{relay.port}"))
        installation = await Installation(stack_env).prepare()
        installation.environment = {**stack_env, "HEADWATER_CLICKHOUSE_URL": through}
        async with running(installation, Stage.EVENTS) as process:
            await eventually(lambda: process.ready() is None)
            await installation.produce(day_of_events(12))
            await eventually(lambda: received(installation, Stage.EVENTS) == 16)
            assert process.loop is not None
            generation = process.loop.generation
            await relay.close()
            await installation.produce(day_of_events(12, first=12))
            await eventually(lambda: "cannot be reached" in (process.ready() or ""))
            # Longer than the session timeout: a member that stopped its heartbeats would be gone.
            await asyncio.sleep(8)
            assert received(installation, Stage.EVENTS) == 16
            await relay.open()
            await eventually(lambda: received(installation, Stage.EVENTS) == 32)
            await eventually(lambda: process.ready() is None)
            assert process.loop.generation == generation
    await assert_exact(installation, Stage.EVENTS)


async def test_a_stage_can_be_stopped_while_the_store_is_away(stack_env: dict[str, str]) -> None:
    installation = await Installation(stack_env).prepare()
    await installation.produce(day_of_events(12))
    reachable = installation.environment
    installation.environment = {**stack_env, "HEADWATER_CLICKHOUSE_URL": "http://127.0.0.1:9/?database=none"}
    async with asyncio.timeout(30), running(installation, Stage.EVENTS) as process:
        await eventually(lambda: "cannot be reached" in (process.ready() or ""))
    installation.environment = reachable
    await run_until(installation, Stage.EVENTS, 16)
    await assert_exact(installation, Stage.EVENTS)


async def test_a_project_counts_as_of_the_records_own_control_offset(installation: Installation) -> None:
    """Whatever the control log says when the record happens to be processed, so a replay decides alike."""
    await installation.produce_bytes("events-raw", 0, encode(raw_event(1)), stamp=0)
    await installation.produce_bytes("events-raw", 0, encode(raw_event(2)))
    await run_until(installation, Stage.EVENTS, 2)
    assert installation.rows("SELECT reason FROM dead_letters") == [("unknown_project",)]
    assert installation.rows("SELECT project_id FROM events") == [(PROJECT,)]
