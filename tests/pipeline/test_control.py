"""The control log on a real Kafka: what several processes see and write."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import NoError, for_code
from harness import Process, base_environment, free_port
from prometheus_client import CollectorRegistry

from control.auth import authenticate, authorize
from control.keys import PUBLIC_SCOPES, new_key
from control.log import CATCH_UP_LIMIT_S, CHANGE_ATTEMPTS, WRITE_LIMIT_S, ControlLog
from control.metrics import ControlMetrics
from control.projects import NewProject, create_project
from control.topics import ensure_topics
from deploy.kafka import launcher
from schemas.control import ALL_SCOPES, Entry, Goal, GoalType, Key, KeyKind, MatchType, Project, Scope
from schemas.errors import Invariant, Reason, Refused, Unavailable
from schemas.settings import KafkaSettings
from schemas.topics import CONTROL, TOPICS

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 30
GOAL: Final = Goal(
    id="g", project_id="p", name="", type=GoalType.CUSTOM, match_type=MatchType.EXACT, match_value="purchase"
)
T = TypeVar("T")


@pytest.fixture
async def settings(kafka_bootstrap: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix)
    await ensure_topics(settings)
    return settings


@asynccontextmanager
async def running(settings: KafkaSettings, metrics: ControlMetrics | None = None) -> AsyncIterator[ControlLog]:
    log = ControlLog(settings, client_id="test", metrics=metrics)
    await log.start()
    try:
        yield log
    finally:
        await log.stop()


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[ControlLog]:
    async with running(settings) as log:
        yield log


@pytest.fixture
async def other(settings: KafkaSettings) -> AsyncIterator[ControlLog]:
    async with running(settings) as log:
        yield log


@pytest.fixture
async def shop(log: ControlLog) -> NewProject:
    return await create_project(log, name="Shop", now_ms=0)


@asynccontextmanager
async def administration(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create_topic(admin: AIOKafkaAdminClient, name: str, partitions: int, config: dict[str, str]) -> None:
    """Create a topic; one of that name that is being deleted is waited for."""
    topic = NewTopic(name, partitions, 1, topic_configs=config)

    async def created() -> bool:
        response = await admin.create_topics([topic])
        return for_code(response.topic_errors[0][1]) is NoError

    await until(created)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Wait until the condition holds; fails after the limit."""
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110 - another program has no event to wait for
            await asyncio.sleep(0.05)


def renamed(goal: Goal, name: str) -> Goal:
    return msgspec.structs.replace(goal, name=name)


def reason_of(outcome: object) -> Reason | None:
    return outcome.reason if isinstance(outcome, Refused) else None


class Rival:
    """Another process's log, on a thread and loop of its own, so that it can write while ours is inside an edit."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._log = ControlLog(settings, client_id="rival")
        self._run(self._log.start())

    def rename(self, suffix: str) -> Entry:
        return self._run(self._log.change(Goal, GOAL.id, lambda goal: renamed(goal, goal.name + suffix)))

    def close(self) -> None:
        self._run(self._log.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)


@pytest.fixture
def rival(settings: KafkaSettings) -> Iterator[Rival]:
    rival = Rival(settings)
    yield rival
    rival.close()


# Reading


async def test_a_writer_reads_its_own_write(log: ControlLog) -> None:
    entry = await log.write(GOAL, replaces=0)

    assert log.view.goal("p", "g") == GOAL
    assert entry.version == 1
    assert log.offset == entry.offset + 1


async def test_what_was_written_elsewhere_is_read_after_catching_up(log: ControlLog, other: ControlLog) -> None:
    for number in range(20):
        goal = msgspec.structs.replace(GOAL, id=f"g{number}")
        await log.write(goal, replaces=0)
        await other.catch_up()
        assert other.view.goal("p", goal.id) == goal


async def test_a_key_made_by_another_process_works_at_once(settings: KafkaSettings, log: ControlLog) -> None:
    program = """
import asyncio, sys
from control.log import ControlLog
from control.projects import create_project
from schemas.settings import KafkaSettings

async def main():
    log = ControlLog(KafkaSettings(kafka_bootstrap=sys.argv[1], topic_prefix=sys.argv[2]), client_id="child")
    await log.start()
    made = await create_project(log, name="Elsewhere", now_ms=0)
    print(made.project.id, made.secret_text, flush=True)
    await log.stop()

asyncio.run(main())
"""
    arguments = (settings.kafka_bootstrap, settings.topic_prefix)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            assert child.stdout is not None
            project_id, token = (await child.stdout.readline()).decode().split()
            project, _ = await authorize(log, token, project_id=project_id, scope=Scope.EVENTS_WRITE)
            assert project.name == "Elsewhere"
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0


async def test_keys_and_projects_made_elsewhere_are_never_refused(log: ControlLog, other: ControlLog) -> None:
    for _ in range(20):
        made = await create_project(log, name="Shop", now_ms=0)
        await authorize(other, made.public_text, site_key=made.project.site_key, scope=Scope.EVENTS_WRITE)
        key, text = new_key(made.project.id, KeyKind.SECRET, ALL_SCOPES, "", 0)
        await log.write(key, replaces=0)
        await authorize(other, text, project_id=made.project.id, scope=Scope.EVENTS_WRITE)


async def test_a_late_starter_agrees_with_those_who_saw_it_happen(settings: KafkaSettings, log: ControlLog) -> None:
    await create_project(log, name="Shop", now_ms=0)
    await log.write(GOAL, replaces=0)
    await log.change(Goal, "g", lambda goal: renamed(goal, "Paid"))
    with pytest.raises(Refused):
        await log.write(GOAL, replaces=1)
    await log.delete(Goal, "g")

    async with running(settings) as late:
        assert vars(late.view) == vars(log.view)


async def test_a_flood_of_unknown_keys_shares_its_look_ups(settings: KafkaSettings) -> None:
    registry = CollectorRegistry()
    async with running(settings, ControlMetrics(registry)) as log:
        unknown = [new_key("p", KeyKind.SECRET, ALL_SCOPES, "", 0)[1] for _ in range(500)]
        before = registry.get_sample_value("headwater_control_lookups_total") or 0
        outcomes = await asyncio.gather(
            *(authorize(log, text, scope=Scope.EVENTS_WRITE) for text in unknown), return_exceptions=True
        )
        after = registry.get_sample_value("headwater_control_lookups_total") or 0

    assert {reason_of(outcome) for outcome in outcomes} == {Reason.UNAUTHORIZED}
    assert after - before <= 3, "one in flight, one for those who came meanwhile, one of the probe"


async def test_a_project_that_was_moved_elsewhere_is_found(log: ControlLog, other: ControlLog) -> None:
    made = await create_project(log, name="Shop", now_ms=0)
    await other.catch_up()
    for number in range(20):
        site_key = f"moved-{number}"
        await log.change(Project, made.project.id, lambda project: msgspec.structs.replace(project, site_key=site_key))  # noqa: B023 - called at once
        project, _ = await authorize(other, made.public_text, site_key=site_key, scope=Scope.EVENTS_WRITE)
        assert project.id == made.project.id


async def test_a_record_of_a_newer_version_is_passed_over_and_counted(
    settings: KafkaSettings, log: ControlLog, caplog: pytest.LogCaptureFixture
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
    await producer.start()
    for value in (b'{"object":"planet","secret":"s3cret"}', b"\xff", b"", None):
        await producer.send_and_wait(settings.topic_prefix + CONTROL.name, value, key=b"planet:x", partition=0)
    await producer.stop()
    registry = CollectorRegistry()
    with caplog.at_level(logging.DEBUG, logger="control"):
        async with running(settings, ControlMetrics(registry)) as reader:
            await reader.write(GOAL, replaces=0)
            await log.catch_up()

            assert reader.view.goal("p", "g") == log.view.goal("p", "g") == GOAL
            assert reader.offset == log.offset == 5
    assert registry.get_sample_value("headwater_control_skipped_records_total") == 4
    assert registry.get_sample_value("headwater_control_offset") == 5
    assert "s3cret" not in caplog.text
    assert caplog.text.count("newer version") == 2, "once a process, not once a record"


# Racing


async def test_of_racing_creators_exactly_one_wins(log: ControlLog, other: ControlLog) -> None:
    logs = [log, other]
    outcomes = await asyncio.gather(
        *(logs[number % 2].write(renamed(GOAL, f"by {number}"), replaces=0) for number in range(10)),
        return_exceptions=True,
    )

    winners = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
    assert len(winners) == 1
    assert [reason_of(outcome) for outcome in outcomes].count(Reason.CONFLICT) == 9
    for each in logs:
        await each.catch_up()
        assert each.view.goal("p", "g") == winners[0].body


async def test_a_patch_that_lost_is_made_again_on_what_won(log: ControlLog, rival: Rival) -> None:
    await log.write(GOAL, replaces=0)
    seen = []

    def edit(goal: Goal) -> Goal:
        seen.append(goal.name)
        if len(seen) == 1:
            rival.rename("theirs ")
        return renamed(goal, goal.name + "ours")

    entry = await log.change(Goal, "g", edit)

    assert seen == ["", "theirs "]
    assert isinstance(entry.body, Goal)
    assert entry.body.name == "theirs ours"
    assert entry.version == 3


async def test_a_patch_that_always_loses_ends_in_a_conflict(log: ControlLog, rival: Rival) -> None:
    await log.write(GOAL, replaces=0)
    edits = 0

    def edit(goal: Goal) -> Goal:
        nonlocal edits
        edits += 1
        rival.rename("x")
        return renamed(goal, "ours")

    with pytest.raises(Refused) as refused:
        await log.change(Goal, "g", edit)

    assert refused.value.reason is Reason.CONFLICT
    assert edits == CHANGE_ATTEMPTS
    assert log.view.goal("p", "g") == renamed(GOAL, "x" * CHANGE_ATTEMPTS)


async def test_patches_of_many_processes_all_count(settings: KafkaSettings, log: ControlLog) -> None:
    await log.write(GOAL, replaces=0)
    async with running(settings) as second, running(settings) as third:
        await asyncio.gather(
            *(
                each.change(Goal, "g", lambda goal: msgspec.structs.replace(goal, definition=goal.definition + 1))
                for each in (log, second, third)
            )
        )
        await log.catch_up()
    goal = log.view.goal("p", "g")
    assert goal is not None
    assert goal.definition == 4


async def test_the_outcomes_of_writes_are_counted(settings: KafkaSettings) -> None:
    registry = CollectorRegistry()
    async with running(settings, ControlMetrics(registry)) as log:
        await log.write(GOAL, replaces=0)
        with pytest.raises(Refused):
            await log.write(GOAL, replaces=0)

    for outcome, count in {"won": 1, "lost": 1, "unavailable": 0}.items():
        assert registry.get_sample_value("headwater_control_writes_total", {"outcome": outcome}) == count


async def test_an_edit_that_changes_nothing_writes_nothing(log: ControlLog) -> None:
    written = await log.write(GOAL, replaces=0)

    assert await log.change(Goal, "g", lambda goal: goal) == written
    await log.catch_up()
    assert log.offset == written.offset + 1


async def test_an_edit_may_refuse(log: ControlLog) -> None:
    await log.write(GOAL, replaces=0)

    def edit(goal: Goal) -> Goal:
        raise Refused(Reason.INVALID_REGEX, "no", field="match_value")

    with pytest.raises(Refused) as refused:
        await log.change(Goal, "g", edit)
    assert refused.value.reason is Reason.INVALID_REGEX
    assert log.view.goal("p", "g") == GOAL


async def test_what_is_deleted_or_was_never_made_is_not_found(log: ControlLog, other: ControlLog) -> None:
    await log.write(GOAL, replaces=0)
    entry = await other.delete(Goal, "g")
    assert entry.deleted

    for attempt in (
        log.change(Goal, "g", lambda goal: renamed(goal, "again")),
        log.delete(Goal, "g"),
        log.delete(Goal, "never"),
        log.delete(Project, "g"),
    ):
        with pytest.raises(Refused) as refused:
            await attempt
        assert refused.value.reason is Reason.NOT_FOUND


# Authorisation


async def test_the_first_keys_do_what_they_are_for(log: ControlLog, shop: NewProject) -> None:
    expected = (shop.project, shop.secret_key)
    for named in ({"project_id": shop.project.id}, {"site_key": shop.project.site_key}, {}):
        assert await authorize(log, f"Bearer {shop.secret_text}", scope=Scope.ANALYTICS_WRITE, **named) == expected
    assert await authorize(log, shop.public_text, scope=Scope.EVENTS_WRITE) == (shop.project, shop.public_key)
    assert authenticate(log.view, f"bearer  {shop.public_text} ") == shop.public_key


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer x", "Basic eDp5", "sk_live_x", "a b c", "\ud800"])
async def test_what_is_no_key_is_unauthorized(log: ControlLog, token: str | None) -> None:
    with pytest.raises(Refused) as refused:
        await authorize(log, token, scope=Scope.EVENTS_WRITE)
    assert refused.value.http_status == 401


async def test_a_refusal_has_the_status_of_its_cause(log: ControlLog, shop: NewProject) -> None:
    stranger = await create_project(log, name="Stranger", now_ms=0)
    own = {"project_id": shop.project.id}
    secret, public = shop.secret_text, shop.public_text
    _, never_written = new_key(shop.project.id, KeyKind.SECRET, ALL_SCOPES, "", 0)
    cases: list[tuple[str, dict[str, str], Scope, int]] = [
        (never_written, own, Scope.EVENTS_WRITE, 401),
        (secret, {"project_id": "unknown"}, Scope.EVENTS_WRITE, 404),
        (secret, {"site_key": "unknown"}, Scope.EVENTS_WRITE, 404),
        (secret, {"project_id": stranger.project.id}, Scope.EVENTS_WRITE, 404),
        (secret, {"site_key": stranger.project.site_key}, Scope.EVENTS_WRITE, 404),
        (public, {"project_id": stranger.project.id}, Scope.ANALYTICS_READ, 404),
        (secret, own, Scope.PROJECTS_ADMIN, 403),
        *((public, own, scope, 403) for scope in ALL_SCOPES if scope not in PUBLIC_SCOPES),
    ]
    for token, named, scope, status in cases:
        with pytest.raises(Refused) as refused:
            await authorize(log, token, scope=scope, **named)
        assert refused.value.http_status == status, (named, scope)
        assert token not in str(refused.value.body())


async def test_a_public_key_may_write_events_only_whatever_its_record_says(log: ControlLog, shop: NewProject) -> None:
    await log.change(Key, shop.public_key.id, lambda key: msgspec.structs.replace(key, scopes=ALL_SCOPES))

    with pytest.raises(Refused) as refused:
        await authorize(log, shop.public_text, scope=Scope.ANALYTICS_READ)
    assert refused.value.reason is Reason.INSUFFICIENT_SCOPE


async def test_a_key_revoked_elsewhere_is_refused(log: ControlLog, other: ControlLog, shop: NewProject) -> None:
    await authorize(other, shop.secret_text, scope=Scope.EVENTS_WRITE)
    await log.delete(Key, shop.secret_key.id)
    await other.catch_up()

    for each in (log, other):
        with pytest.raises(Refused) as refused:
            await authorize(each, shop.secret_text, scope=Scope.EVENTS_WRITE)
        assert refused.value.reason is Reason.UNAUTHORIZED
    await authorize(other, shop.public_text, scope=Scope.EVENTS_WRITE)


async def test_keys_of_a_deleted_project_open_nothing(log: ControlLog, shop: NewProject) -> None:
    await log.delete(Project, shop.project.id)

    with pytest.raises(Refused) as refused:
        await authorize(log, shop.secret_text, scope=Scope.EVENTS_WRITE)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a_bad_project_writes_nothing(log: ControlLog) -> None:
    for name, time_zone in (("", "UTC"), ("x", "Mars/Olympus")):
        with pytest.raises(Refused):
            await create_project(log, name=name, time_zone=time_zone, now_ms=0)
    await log.catch_up()
    assert log.offset == 0


async def test_a_key_is_in_no_record_and_no_repr(settings: KafkaSettings, log: ControlLog, shop: NewProject) -> None:
    stored = msgspec.json.encode([entry.body for entry in log.view.entries.values()]).decode()

    for text in (shop.secret_text, shop.public_text):
        assert text not in stored
        assert text not in repr(shop)


# Topics


async def test_topics_are_created_once_as_declared(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix, partitions=5)
    first = await ensure_topics(settings)
    second = await ensure_topics(settings)

    assert [state.name for state in first] == [topic_prefix + topic.name for topic in TOPICS]
    assert [state.partitions for state in first] == [topic.partitions or 5 for topic in TOPICS]
    assert all(state.created for state in first)
    assert [(state.name, state.partitions, False) for state in first] == [
        (state.name, state.partitions, state.created) for state in second
    ]


async def test_processes_that_create_topics_at_once_share_the_work(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix)
    runs = await asyncio.gather(*(ensure_topics(settings) for _ in range(4)))

    for states in zip(*runs, strict=True):
        assert sum(state.created for state in states) == 1


@pytest.mark.parametrize(
    ("partitions", "config", "problem"),
    [
        (2, {"retention.ms": "-1", "cleanup.policy": "delete"}, "2 partitions"),
        (1, {"retention.ms": "604800000", "cleanup.policy": "delete"}, "retention.ms"),
        (1, {"retention.ms": "-1", "retention.bytes": "1000000"}, "retention.bytes"),
        (1, {"retention.ms": "-1", "cleanup.policy": "compact"}, "cleanup.policy"),
    ],
)
async def test_a_control_log_that_would_forget_is_refused(
    kafka_bootstrap: str, topic_prefix: str, partitions: int, config: dict[str, str], problem: str
) -> None:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix)
    async with administration(settings) as admin:
        await create_topic(admin, topic_prefix + CONTROL.name, partitions, config)

    with pytest.raises(Invariant, match=problem):
        await ensure_topics(settings)


async def test_more_replicas_than_brokers_is_one_clear_error(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix, replication=30)

    with pytest.raises(Invariant, match=r"(?i)replication"):
        await ensure_topics(settings)


# Trouble


async def test_a_log_that_was_cut_is_not_read(settings: KafkaSettings, log: ControlLog) -> None:
    await create_project(log, name="Shop", now_ms=0)
    async with administration(settings) as admin:
        await admin.delete_records({TopicPartition(settings.topic_prefix + CONTROL.name, 0): RecordsToDelete(2)})

    with pytest.raises(Invariant, match="cut"):
        await ControlLog(settings, client_id="test").start()


async def test_a_log_that_was_made_anew_is_not_followed(settings: KafkaSettings, log: ControlLog) -> None:
    shop = await create_project(log, name="Shop", now_ms=0)
    topic = settings.topic_prefix + CONTROL.name
    async with administration(settings) as admin:
        await admin.delete_topics([topic])
        await create_topic(admin, topic, 1, {"retention.ms": "-1"})

    async def unhealthy() -> bool:
        return not log.healthy

    await until(unhealthy)  # though nobody asks
    with pytest.raises(Invariant, match="anew"):
        await log.catch_up()
    assert log.view.project(shop.project.id) == shop.project
    with pytest.raises(Invariant):
        await log.write(GOAL, replaces=0)


async def test_stopping_leaves_nothing_behind_even_amid_calls(settings: KafkaSettings) -> None:
    before = asyncio.all_tasks()
    log = ControlLog(settings, client_id="test")
    await log.start()
    calls = [asyncio.create_task(call) for call in (log.catch_up(), log.catch_up(), log.write(GOAL, replaces=0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(WRITE_LIMIT_S):
        await log.stop()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert asyncio.all_tasks() == before
    with pytest.raises(Unavailable):
        await log.catch_up()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Process, KafkaSettings]]:
    """A broker of its own, to be killed and frozen."""
    try:
        launcher.find().fetch()
    except launcher.NoKafka as missing:
        pytest.skip(str(missing))
    port = free_port()
    environment = base_environment() | {"HEADWATER_DATA_DIR": str(tmp_path), "HEADWATER_KAFKA_PORT": str(port)}
    process = Process("deploy.kafka", environment=environment, directory=tmp_path).start()
    yield process, KafkaSettings(kafka_bootstrap=f"127.0.0.1:{port}")
    process.end()


@pytest.mark.parametrize(
    ("go_away", "come_back"),
    [(Process.kill, Process.start), pytest.param(Process.freeze, Process.thaw, marks=pytest.mark.slow)],
)
async def test_a_log_outlives_its_broker(
    broker: tuple[Process, KafkaSettings], go_away: Callable[[Process], Any], come_back: Callable[[Process], Any]
) -> None:
    process, settings = broker
    await ensure_topics(settings)
    async with running(settings) as log:
        shop = await create_project(log, name="Shop", now_ms=0)
        assert log.healthy

        async def unhealthy() -> bool:
            return not log.healthy

        async def caught_up() -> bool:
            try:
                await log.catch_up()
            except Unavailable:
                return False
            return True

        go_away(process)
        async with asyncio.timeout(CATCH_UP_LIMIT_S + WRITE_LIMIT_S):
            outcomes = await asyncio.gather(
                log.catch_up(),
                log.write(GOAL, replaces=0),
                authorize(log, new_key("p", KeyKind.SECRET, ALL_SCOPES, "", 0)[1], scope=Scope.EVENTS_WRITE),
                return_exceptions=True,
            )
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
        assert (await authorize(log, shop.secret_text, scope=Scope.EVENTS_WRITE))[0] == shop.project
        await until(unhealthy)

        come_back(process)
        await until(caught_up)
        assert log.healthy
        made = await create_project(log, name="Another", now_ms=0)
        assert log.view.project(made.project.id) == made.project


async def test_a_log_that_found_no_kafka_starts_once_there_is_one(broker: tuple[Process, KafkaSettings]) -> None:
    process, settings = broker
    await ensure_topics(settings)
    process.kill()
    log = ControlLog(settings, client_id="test")
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await log.start(limit_s=0.5)
    process.start()
    await log.start()
    assert log.healthy
    await log.stop()
