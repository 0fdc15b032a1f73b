"""Histories for tests: events and conversions put through the real stages into real tables, without a broker.

``Facts`` does what the runtime does for a batch (process, insert, checkpoint, hand on), so tests of the books can
choose every batch, order and pause themselves. ``oracle`` says in plain Python what the books must hold.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from attribution import Ledger, ledger, merge
from clickhouse_connect.driver.client import Client

from clickhouse.arrow import record_batch
from clickhouse.writer import Writer
from processors.core.forgetting import Forgetting
from processors.core.sessions import Limits
from processors.stages.conversions import ConversionsStage
from processors.stages.events import EventsStage
from processors.stages.result import Processor, Result
from processors.stages.totals import Totals
from schemas.codec import encode, headers
from schemas.control import ControlRecord, ControlView, Forgotten, Goal, GoalType, MatchType, Project
from schemas.events import RawEvent
from schemas.ids import client_event_id, conversion_id, derived
from schemas.outcomes import Stage, Trust

PROJECT = "11111111-1111-4111-8111-111111111111"
MINUTE = 60_000
START = 1_760_000_400_000
"""A whole quarter of an hour, ms."""


class FakeRecord(NamedTuple):
    """A Kafka record as stages see it."""

    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class MemoryState(dict[bytes, bytes]):
    """A partition's state."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]


def raw_event(
    name: str = "",
    *,
    at: int,
    type: str = "pageview",
    path: str = "/",
    source: str = "",
    user: str = "",
    anonymous: str = "",
    session: str = "",
    order: str = "",
    revenue: str = "",
    currency: str = "USD",
    trust: Trust = Trust.SECRET,
    id: str = "",
    received_at: int | None = None,
) -> RawEvent:
    """An event as ingest writes it. ``at``: minutes after ``START``; ``source``: an utm_source, medium cpc."""
    client_id = id or repr((name, at, type, path, source, user, anonymous, session, order, revenue, currency, trust))
    event_id = client_event_id(PROJECT, trust, client_id)
    query = f"?utm_source={source}&utm_medium=cpc" if source else ""
    return RawEvent(
        project_id=PROJECT,
        event_id=event_id,
        trust=trust,
        received_at=START + at * MINUTE if received_at is None else received_at,
        occurred_at=START + at * MINUTE,
        timed=True,
        checksum=zlib.crc32(client_id.encode()),
        event_type=type,
        event_name=name,
        visitor=f"a:{anonymous}" if anonymous else f"u:{user}" if user else f"e:{event_id}",
        user_id=user,
        anonymous_id=anonymous,
        session_id=session,
        url=f"https://shop.example{path}{query}",
        revenue=Decimal(revenue) if revenue else None,
        currency=currency if revenue else "",
        order_id=order,
        conversion_id=conversion_id(PROJECT, name, order, event_id) if type == "conversion" or order else "",
    )


def goal(
    name: str, type: GoalType, match_type: MatchType, value: str, *, definition: int = 1, currency: str | None = None
) -> Goal:
    """A goal of the test's project."""
    return Goal(
        id=derived("goal", name),
        project_id=PROJECT,
        name=name,
        type=type,
        match_type=match_type,
        match_value=value,
        currency=currency,
        definition=definition,
    )


class Control:
    """A control view that the test writes itself."""

    def __init__(self) -> None:
        self.view = ControlView()
        self.put(Project(id=PROJECT, name="Shop", site_key="sk_shop"))

    def put(self, body: Project | Goal | Forgotten, *, deleted: bool = False) -> None:
        current = self.view.entry(type(body), body.id)
        record = ControlRecord(
            record_id=str(self.view.offset),
            replaces=current.version if current else 0,
            written_at=0,
            body=body,
            deleted=deleted,
        )
        assert self.view.apply(self.view.offset, record)


class Facts:
    """The stages of one installation, driven batch by batch."""

    def __init__(self, client: Client, forgetting: Forgetting | None = None) -> None:
        self._writer = Writer(client)
        self._stages: dict[Stage, Processor] = {
            Stage.EVENTS: EventsStage(
                lambda project, offset: True,
                window_ms=7 * 86_400_000,
                limits=Limits(),
                bad_run_max=100,
                forgetting=forgetting,
            ),
            Stage.CONVERSIONS: ConversionsStage(bad_run_max=100, forgetting=forgetting),
        }
        self._states: dict[tuple[Stage, int], MemoryState] = {}
        self._totals: dict[tuple[Stage, int], Totals] = {}
        self._ends: dict[tuple[Stage, int], int] = {}

    def store(self, events: Iterable[RawEvent], *, partition: int = 0, arrive: bool = True) -> list[bytes]:
        """Store one batch of events; their arrivals too, or return these for ``store_arrivals``."""
        result = self._batch(Stage.EVENTS, partition, [encode(event) for event in events])
        lines = [message.line for message in result.messages]
        if arrive:
            self.store_arrivals(lines)
        return lines

    def store_arrivals(self, lines: Sequence[bytes]) -> None:
        """Store one batch of the conversions stage."""
        if lines:
            self._batch(Stage.CONVERSIONS, 0, lines)

    def _batch(self, stage: Stage, partition: int, lines: Sequence[bytes]) -> Result:
        key = (stage, partition)
        begin = self._ends.get(key, 0)
        records = [FakeRecord(begin + n, line, headers(1)) for n, line in enumerate(lines)]
        state = self._states.setdefault(key, MemoryState())
        totals = self._totals.get(key, Totals())
        processor = self._stages[stage]
        result = processor.process(partition, records, state, totals)
        assert not result.letters, result.letters
        self._writer.insert(processor.facts, [record_batch(processor.facts, result.columns)])
        if result.erased:
            erased: dict[str, list[Any]] = {
                "stage": [stage.value] * len(result.erased),
                "kafka_partition": [partition] * len(result.erased),
                "kafka_offset": [offset for offset, _ in result.erased],
                "kafka_index": [index for _, index in result.erased],
            }
            self._writer.insert("erased_positions", [record_batch("erased_positions", erased)])
        self._ends[key] = begin + len(records)
        self._totals[key] = result.totals
        checkpoint: dict[str, list[Any]] = {
            name: [value] for name, value in msgspec.structs.asdict(result.totals).items()
        }
        checkpoint |= {
            "stage": [stage.value],
            "topic_id": ["topic"],
            "kafka_partition": [partition],
            "end_offset": [self._ends[key]],
        }
        self._writer.insert("checkpoints", [record_batch("checkpoints", checkpoint)])
        state.update(result.writes)
        return result


class Truth(NamedTuple):
    """What the books must hold."""

    goals: dict[tuple[str, str], tuple[int, Decimal]]
    """(goal, currency) -> conversions, revenue."""
    credits: Ledger
    """See :mod:`attribution`."""


def oracle(events: Iterable[RawEvent], goals: Iterable[Goal], *, lookback_days: int = 30) -> Truth:
    """Plain loops over all events, each id once, whatever their order. Sessions must be named by the client."""
    unique = {event.event_id: event for event in events}
    orders: dict[str, list[RawEvent]] = {}
    for event in unique.values():
        if event.conversion_id:
            orders.setdefault(event.conversion_id, []).append(event)
    merged = {key: merge(arrivals) for key, arrivals in orders.items()}

    counted: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for one in goals:
        hits: dict[str, tuple[str, Decimal]] = {}
        for event in unique.values():
            if _matches(one, event):
                money = merged[event.conversion_id] if event.conversion_id else merge([event])
                hits[event.conversion_id or event.event_id] = (money["currency"], money["revenue"] or Decimal(0))
        for currency, revenue in hits.values():
            n, total = counted.get((one.id, currency), (0, Decimal(0)))
            counted[one.id, currency] = (n + 1, total + revenue)

    return Truth(counted, ledger(unique.values(), lookback_days=lookback_days))


def _matches(one: Goal, event: RawEvent) -> bool:
    path = event.url.removeprefix("https://shop.example").partition("?")[0]
    subject: str | None
    match one.type:
        case GoalType.PAGEVIEW:
            subject = path if event.event_type == "pageview" else None
        case GoalType.EVENT:
            subject = event.event_name if event.event_type == "event" else None
        case GoalType.CUSTOM:
            subject = event.event_name if event.event_type in ("custom", "conversion") else None
        case GoalType.EVENT_NAME:
            subject = event.event_name
        case GoalType.EVENT_TYPE:
            subject = event.event_type
        case GoalType.CONVERSION:
            return event.event_type == "conversion"
    if subject is None:
        return False
    match one.match_type:
        case MatchType.EXACT:
            return subject == one.match_value
        case MatchType.CONTAINS:
            return one.match_value in subject
        case MatchType.REGEX:
            return re.search(one.match_value, subject) is not None
