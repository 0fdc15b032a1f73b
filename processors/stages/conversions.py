"""The conversions stage: one conversion an order, for ever; each report of it one row.

State, never forgotten: which reports of a conversion are stored, and what of it is announced. All of it is in
``conversion_arrivals``, so lost state is read back from there.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from processors.core.conversions import UNKNOWN, Announced, announced_after, announcement_of, money_of
from processors.core.forgetting import Forgetting, nameless_arrival
from processors.stages.lines import Line, Reader, check_storable, uuid_of
from processors.stages.result import Columns, Message, Record, Result
from processors.stages.state import Overlay, State
from processors.stages.totals import Totals
from schemas.codec import decode_arrival, encode, version
from schemas.control import ForgetMode
from schemas.events import Arrival
from schemas.mailing import Mailing
from schemas.outcomes import Stage
from schemas.topics import CONVERSIONS, CONVERSIONS_RAW

ARRIVED: Final = b"a"
"""Key: conversion, event. Value: the checksum."""
ANNOUNCED: Final = b"c"
"""Key: conversion. Value: :class:`processors.core.conversions.Announced`."""

_encode_announced: Final = msgspec.msgpack.Encoder().encode
_decode_announced: Final = msgspec.msgpack.Decoder(Announced).decode


class Stored(NamedTuple):
    """A stored arrival, as far as it matters; the columns of ``clickhouse/queries/state_conversions.sql``."""

    kafka_offset: int
    kafka_index: int
    conversion_id: bytes
    event_id: bytes
    received_at: int
    is_conversion: bool
    checksum: int
    trust: int
    revenue: Decimal | None
    currency: str
    currency_defaulted: bool
    defaulted: bool
    goal_id: str


class ConversionsStage:
    """Facts ``conversion_arrivals`` from ``conversions-raw``; conversions, new and changed, on ``conversions``."""

    stage = Stage.CONVERSIONS
    topic = CONVERSIONS_RAW
    downstream = CONVERSIONS
    facts = "conversion_arrivals"
    stored = Stored
    layout = "conversions/2"

    def __init__(self, *, bad_run_max: int, forgetting: Forgetting | None = None) -> None:
        self._bad_run_max = bad_run_max
        self._forgetting = forgetting

    def process(
        self, partition: int, records: Sequence[Record], state: State, totals: Totals, *, bad_run: int = 0
    ) -> Result:
        reader = Reader(
            decode_arrival,
            _check,
            control_offset=totals.control_offset,
            bad_run=bad_run,
            bad_run_max=self._bad_run_max,
        )
        lines = reader.read(records)
        ids = [uuid_of(line.event.conversion_id) for line in lines]
        known: Overlay[bytes] = Overlay(bytes, bytes)
        known.load(state, (ARRIVED + conversion + line.event_id for conversion, line in zip(ids, lines, strict=True)))
        announced: Overlay[Announced] = Overlay(_decode_announced, _encode_announced)
        announced.load(state, (ANNOUNCED + conversion for conversion in ids))
        clock, duplicate, conflict = totals.clock, 0, 0
        kept: list[tuple[Line[Arrival], bytes]] = []
        messages: list[Message] = []
        erased: list[tuple[int, int]] = []
        for given, conversion in zip(lines, ids, strict=True):
            line, arrival = given, given.event
            arrived = ARRIVED + conversion + line.event_id
            checksum = _packed(arrival.checksum)
            found = known.get(arrived)
            if found is not None:
                duplicate += 1
                conflict += found != checksum
                continue
            known.change(arrived, checksum)
            verdict = self._forgetting.verdict(arrival) if self._forgetting else None
            if verdict is ForgetMode.REMOVE:
                erased.append((line.offset, line.line))
                continue
            if verdict is ForgetMode.ANONYMIZE:
                arrival = nameless_arrival(arrival)
                line = line._replace(event=arrival)
            clock = max(clock, arrival.received_at)
            kept.append((line, conversion))
            before = announced.get(ANNOUNCED + conversion, UNKNOWN)
            after = _after(before, arrival, arrival.mailing.currency_defaulted)
            if after != before:
                announced.change(ANNOUNCED + conversion, after)
            if after.revision != before.revision:
                messages.append(Message(arrival.conversion_id, encode(announcement_of(arrival, after))))
        return Result(
            columns=_columns(partition, kept),
            totals=Totals(
                received=totals.received + reader.received,
                stored=totals.stored + len(kept),
                duplicate=totals.duplicate + duplicate,
                rejected=totals.rejected,
                quarantined=totals.quarantined + len(reader.letters),
                erased=totals.erased + len(erased),
                conflict=totals.conflict + conflict,
                clock=clock,
                control_offset=reader.control_offset,
            ),
            letters=reader.letters,
            messages=messages,
            erased=erased,
            writes={**known.writes(), **announced.writes()},
            bad_run=reader.bad_run,
        )

    def rebuild_since(self, clock: int) -> int:
        return 0

    def rebuild(self, rows: Sequence[Stored], state: State, clock: int) -> tuple[dict[bytes, bytes], int]:
        """State writes for stored rows, and the clock after them."""
        writes: dict[bytes, bytes] = {}
        announced: Overlay[Announced] = Overlay(_decode_announced, _encode_announced)
        announced.load(state, (ANNOUNCED + row.conversion_id for row in rows))
        for row in rows:
            clock = max(clock, row.received_at)
            writes[ARRIVED + row.conversion_id + row.event_id] = _packed(row.checksum)
            before = announced.get(ANNOUNCED + row.conversion_id, UNKNOWN)
            after = _after(before, row, row.currency_defaulted)
            if after != before:
                announced.change(ANNOUNCED + row.conversion_id, after)
        return {**writes, **announced.writes()}, clock

    def dead_ranges(self, clock: int) -> list[tuple[bytes, bytes]]:
        return []


def _check(arrival: Arrival, control_offset: int) -> None:
    """The events stage has checked the project."""
    check_storable(arrival.received_at, arrival.converted_at, arrival.revenue)
    uuid_of(arrival.conversion_id)


def _after(before: Announced, report: Arrival | Stored, currency_defaulted: bool) -> Announced:
    """What is known after one more report: the same of an arrival and of its stored row."""
    money = money_of(
        report.trust,
        report.revenue,
        report.currency,
        defaulted=report.defaulted,
        currency_defaulted=currency_defaulted,
    )
    return announced_after(before, is_conversion=report.is_conversion, money=money, goal_id=report.goal_id)


def _packed(checksum: int) -> bytes:
    return checksum.to_bytes(4, "big")


def _columns(partition: int, kept: Sequence[tuple[Line[Arrival], bytes]]) -> Columns:
    arrivals = [line.event for line, _ in kept]
    columns: dict[str, list[Any]] = {
        name: [getattr(arrival, name) for arrival in arrivals]
        for name in (
            "project_id",
            "is_conversion",
            "kind",
            "order_id",
            "trust",
            "received_at",
            "converted_at",
            "timed",
            "event_type",
            "event_name",
            "path",
            "visitor",
            "user_id",
            "anonymous_id",
            "session_id",
            "click_id",
            "fingerprint",
            "revenue",
            "currency",
            "defaulted",
            "goal_id",
            "window_days",
            "checksum",
        )
    }
    for name in Mailing.__struct_fields__:
        columns[name] = [getattr(arrival.mailing, name) for arrival in arrivals]
    columns["conversion_id"] = [conversion for _, conversion in kept]
    columns["event_id"] = [line.event_id for line, _ in kept]
    columns["properties"] = [bytes(arrival.properties) for arrival in arrivals]
    columns["kafka_partition"] = [partition] * len(kept)
    columns["kafka_offset"] = [line.offset for line, _ in kept]
    columns["kafka_index"] = [line.line for line, _ in kept]
    columns["version"] = [version(line.offset, line.line) for line, _ in kept]
    return columns
