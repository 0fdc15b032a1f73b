"""Stages are pure: where a stream is cut into batches, and whether state was rebuilt, changes nothing."""

import uuid
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from depth import examples
from history import FakeRecord, MemoryState
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.core.conversions import merge
from processors.core.sessions import DAY_MS, Limits
from processors.stages.conversions import ConversionsStage
from processors.stages.conversions import Stored as StoredArrival
from processors.stages.events import EventsStage
from processors.stages.events import Stored as StoredEvent
from processors.stages.result import Processor
from processors.stages.totals import Totals
from schemas.codec import decode_arrival, decode_conversion, decode_event, encode, headers
from schemas.events import Arrival, Campaign, RawEvent, Refund
from schemas.mailing import NO_MAILING, Mailing
from schemas.outcomes import NoticeEvent, Trust

PROJECT = "p"
UNREADABLE = b"{not json"
START = 1_760_000_000_000
URLS = [
    "",
    "https://shop.example/",
    "https://shop.example/?utm_source=news&utm_medium=email",
    "https://shop.example/?gclid=x",
]
MAILINGS = [
    NO_MAILING,
    NO_MAILING,
    Mailing(contact_id="k1", campaign_id="m1"),
    Mailing(contact_id="k1", flow_id="m2"),
    Mailing(contact_id="k2", campaign_id="m1", flow_id="m2"),
]
REFERRERS = ["", "https://www.google.com/", "https://shop.example/cart", "https://blog.example/"]

# Receipt drifts over weeks, so that buckets of keys and of sessions die; the odd step back is a slow producer.
receipts = st.one_of(
    st.integers(0, 60_000), st.integers(0, DAY_MS), st.integers(0, 9 * DAY_MS), st.integers(-2 * DAY_MS, 0)
)
lateness = st.one_of(st.just(0), st.integers(0, 3_600_000), st.integers(0, 40 * DAY_MS))


@st.composite
def event_streams(draw: st.DrawFn) -> list[list[bytes]]:
    """Records, each a list of lines; some lines are not readable."""
    clock = START
    stream: list[list[bytes]] = []
    for _ in range(draw(st.integers(0, 12))):
        record = []
        for _ in range(draw(st.integers(1, 4))):
            clock = max(clock + draw(receipts), 0)
            if draw(st.integers(0, 19)) == 0:
                record.append(UNREADABLE)
                continue
            visitor = draw(st.sampled_from("ab"))
            event = RawEvent(
                project_id=PROJECT,
                event_id=str(uuid.UUID(int=draw(st.integers(1, 12)))),
                trust=Trust.PUBLIC,
                received_at=clock,
                occurred_at=clock - draw(lateness),
                checksum=draw(st.integers(0, 1)),
                event_type=draw(
                    st.sampled_from(["pageview", "pageview", "custom", "conversion", "email_open", "email_click"])
                ),
                visitor=visitor,
                user_id=draw(st.sampled_from(["", "u1", "u2"])),
                anonymous_id=visitor,
                session_id=draw(st.sampled_from(["", "", "s1", "s2"])),
                click_id=draw(st.sampled_from(["", "", "c1"])),
                fingerprint=draw(st.sampled_from(["", "f1"])),
                link_id=draw(st.sampled_from([0, 0, 7])),
                url=draw(st.sampled_from(URLS)),
                referrer=draw(st.sampled_from(REFERRERS)),
                campaign=draw(st.sampled_from([None, None, Campaign(source="push")])),
                conversion_id=draw(st.sampled_from(["", str(uuid.UUID(int=99))])),
                mailing=draw(st.sampled_from(MAILINGS)),
                refund=draw(st.sampled_from([None, None, None, Refund("r"), Refund("r", str(uuid.UUID(int=98)))])),
            )
            record.append(encode(event))
        stream.append(record)
    return stream


@st.composite
def arrival_streams(draw: st.DrawFn) -> list[list[bytes]]:
    """Records of arrivals of a few conversions."""
    stream = []
    for offset in range(draw(st.integers(0, 12))):
        record = []
        for _ in range(draw(st.integers(1, 3))):
            arrival = Arrival(
                project_id=PROJECT,
                conversion_id=str(uuid.UUID(int=draw(st.integers(1, 3)))),
                event_id=str(uuid.UUID(int=draw(st.integers(1, 3)))),
                is_conversion=draw(st.booleans()),
                kind="purchase",
                trust=draw(st.sampled_from(list(Trust))),
                received_at=START + offset,
                converted_at=START,
                checksum=draw(st.integers(0, 1)),
                event_type="conversion",
                visitor="a",
                revenue=draw(st.sampled_from([None, Decimal("0.1"), Decimal("0.10"), Decimal("2")])),
                currency=draw(st.sampled_from(["USD", "EUR"])),
                defaulted=draw(st.booleans()),
                mailing=draw(st.sampled_from([NO_MAILING, Mailing(currency_defaulted=True)])),
                goal_id=draw(st.sampled_from(["", "", "g1", "g2"])),
            )
            record.append(encode(arrival))
        stream.append(record)
    return stream


class Lived(NamedTuple):
    """What a stage wrote over a stream, and where it ended."""

    rows: list[dict[str, Any]]
    lines: list[bytes]
    letters: list[Any]
    totals: Totals
    state: MemoryState


def live(processor: Processor, stream: Sequence[Sequence[bytes]], cuts: Sequence[int]) -> Lived:
    """Process the stream, cut before these records."""
    state, totals, bad_run = MemoryState(), Totals(), 0
    rows: list[dict[str, Any]] = []
    lines: list[bytes] = []
    letters: list[Any] = []
    records = [FakeRecord(offset, b"\n".join(record), headers(7)) for offset, record in enumerate(stream)]
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(records)}), len(records)]
    for begin, end in pairwise(edges):
        result = processor.process(3, records[begin:end], state, totals, bad_run=bad_run)
        rows += [dict(zip(result.columns, row, strict=True)) for row in zip(*result.columns.values(), strict=True)]
        lines += [message.line for message in result.messages]
        letters += result.letters
        totals, bad_run = result.totals, result.bad_run
        write(state, result.writes, result.dead)
    return Lived(rows, lines, letters, totals, state)


def write(state: MemoryState, writes: dict[bytes, bytes], dead: Sequence[tuple[bytes, bytes]]) -> None:
    """What a store does with a batch."""
    state.update(writes)
    for begin, end in dead:
        for key in [key for key in state if begin <= key < end]:
            del state[key]


def events_stage() -> EventsStage:
    return EventsStage(lambda project, offset: True, window_ms=7 * DAY_MS, limits=Limits(), bad_run_max=1000)


def rebuild(processor: Processor, rows: Sequence[Any], totals: Totals, page: int) -> MemoryState:
    """State made from rows, so many at a time."""
    state, clock = MemoryState(), 0
    since = processor.rebuild_since(totals.clock)
    first = next((n for n, row in enumerate(rows) if row.received_at >= since), len(rows))
    relevant = rows[first:]
    for start in range(0, len(relevant), page):
        writes, clock = processor.rebuild(relevant[start : start + page], state, clock)
        write(state, writes, [])
    assert clock == totals.clock
    write(state, {}, processor.dead_ranges(totals.clock))
    return state


cuts = st.lists(st.integers(0, 12), max_size=6)


@settings(max_examples=examples(100), deadline=None)
@given(stream=event_streams(), cuts=cuts)
def test_events_do_not_depend_on_where_batches_are_cut(stream: list[list[bytes]], cuts: list[int]) -> None:
    assert live(events_stage(), stream, cuts) == live(events_stage(), stream, [])


@settings(max_examples=examples(100), deadline=None)
@given(stream=event_streams(), cuts=cuts, page=st.integers(1, 9))
def test_state_rebuilt_from_stored_events_equals_lived_state(
    stream: list[list[bytes]], cuts: list[int], page: int
) -> None:
    lived = live(events_stage(), stream, cuts)
    rows = [
        StoredEvent(
            **{
                **{name: row[name] for name in StoredEvent._fields if name in row},
                "event_id": row["event_id"],
            }
        )
        for row in lived.rows
    ]
    assert rebuild(events_stage(), rows, lived.totals, page) == lived.state


@settings(max_examples=examples(100), deadline=None)
@given(stream=event_streams())
def test_reading_email_changes_nothing_in_the_sessions_of_visits(stream: list[list[bytes]]) -> None:
    readings: set[str] = set()

    def elsewhere(line: bytes) -> bytes:
        """The same, but what was done with an e-mail was done by somebody else: it only moves the clock."""
        event = decode_event(line) if line != UNREADABLE else None
        if event is None or not event.is_interaction:
            return line
        readings.add(event.event_id)
        return encode(
            msgspec.structs.replace(event, visitor="z", event_type="custom", session_id="", mailing=NO_MAILING)
        )

    def visits(records: list[list[bytes]]) -> list[dict[str, Any]]:
        rows = live(events_stage(), records, []).rows
        return [row for row in rows if str(uuid.UUID(bytes=row["event_id"])) not in readings]

    moved = [[elsewhere(line) for line in record] for record in stream]
    assert visits(stream) == visits(moved)


@settings(max_examples=examples(75), deadline=None)
@given(stream=event_streams())
def test_every_event_is_stored_repeated_or_set_aside(stream: list[list[bytes]]) -> None:
    lived = live(events_stage(), stream, [])
    totals = lived.totals
    assert totals.received == sum(len(record) for record in stream)
    assert totals.received == totals.stored + totals.duplicate + totals.quarantined
    assert (len(lived.rows), len(lived.letters)) == (totals.stored, totals.quarantined)


@settings(max_examples=examples(75), deadline=None)
@given(stream=arrival_streams(), cuts=cuts)
def test_arrivals_do_not_depend_on_where_batches_are_cut(stream: list[list[bytes]], cuts: list[int]) -> None:
    once = live(ConversionsStage(bad_run_max=10), stream, [])
    assert live(ConversionsStage(bad_run_max=10), stream, cuts) == once
    announced = [decode_conversion(line) for line in once.lines]
    tracked = [one.conversion_id for one in announced if one.event is NoticeEvent.TRACKED]
    converted = {str(uuid.UUID(bytes=row["conversion_id"])) for row in once.rows if row["is_conversion"]}
    assert sorted(tracked) == sorted(converted)
    for conversion in converted:
        revisions = [one.revision for one in announced if one.conversion_id == conversion]
        assert revisions == list(range(1, len(revisions) + 1))


@settings(max_examples=examples(75), deadline=None)
@given(stream=arrival_streams())
def test_the_newest_announcement_tells_the_money_that_the_conversion_has(stream: list[list[bytes]]) -> None:
    once = live(ConversionsStage(bad_run_max=10), stream, [])
    newest = {one.conversion_id: one for one in map(decode_conversion, once.lines)}
    stored: dict[str, list[Arrival]] = {}
    seen = set()
    for record in stream:
        for arrival in map(decode_arrival, record):
            if (arrival.conversion_id, arrival.event_id) not in seen:
                seen.add((arrival.conversion_id, arrival.event_id))
                stored.setdefault(arrival.conversion_id, []).append(arrival)
    for conversion, arrivals in stored.items():
        merged = merge(arrivals)
        assert (conversion in newest) == merged.is_conversion
        if merged.is_conversion:
            assert (newest[conversion].revenue, newest[conversion].currency) == (merged.revenue, merged.currency)


@settings(max_examples=examples(75), deadline=None)
@given(stream=arrival_streams(), page=st.integers(1, 9))
def test_state_rebuilt_from_stored_arrivals_equals_lived_state(stream: list[list[bytes]], page: int) -> None:
    lived = live(ConversionsStage(bad_run_max=10), stream, [3])
    rows = [StoredArrival(**{name: row[name] for name in StoredArrival._fields}) for row in lived.rows]
    assert rebuild(ConversionsStage(bad_run_max=10), rows, lived.totals, page) == lived.state


def test_lived_state_of_a_conversion_is_never_forgotten() -> None:
    stage = ConversionsStage(bad_run_max=10)
    assert stage.dead_ranges(START + 10_000 * DAY_MS) == []
