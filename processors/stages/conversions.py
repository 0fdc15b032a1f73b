"""The conversions stage: one conversion an order, for ever; each report of it one row.

State, never forgotten: which reports of a conversion are stored, and which conversions are announced. All of it is in
``conversion_arrivals``, so lost state is read back from there.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from processors.core.conversions import announcement_of
from processors.stages.lines import Line, Reader, check_storable, uuid_of
from processors.stages.result import Columns, Message, Record, Result
from processors.stages.state import Overlay, State
from processors.stages.totals import Totals
from schemas.codec import decode_arrival, encode, version
from schemas.events import Arrival
from schemas.mailing import Mailing
from schemas.outcomes import Stage
from schemas.topics import CONVERSIONS, CONVERSIONS_RAW

ARRIVED: Final = b"a"
"""Key: conversion, event. Value: the checksum."""
ANNOUNCED: Final = b"c"
"""Key: conversion. Value: empty."""


class Stored(NamedTuple):
    """A stored arrival, as far as it matters; the columns of ``clickhouse/queries/state_conversions.sql``."""

    kafka_offset: int
    kafka_index: int
    conversion_id: bytes
    event_id: bytes
    received_at: int
    is_conversion: bool
    checksum: int


class ConversionsStage:
    """Facts ``conversion_arrivals`` from ``conversions-raw``; each conversion once on ``conversions``."""

    stage = Stage.CONVERSIONS
    topic = CONVERSIONS_RAW
    downstream = CONVERSIONS
    facts = "conversion_arrivals"
    stored = Stored
    layout = "conversions/1"

    def __init__(self, *, bad_run_max: int) -> None:
        self._bad_run_max = bad_run_max

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
        known.load(
            state,
            (
                key
                for conversion, line in zip(ids, lines, strict=True)
                for key in (ARRIVED + conversion + line.event_id, ANNOUNCED + conversion)
            ),
        )
        clock, duplicate, conflict = totals.clock, 0, 0
        kept: list[tuple[Line[Arrival], bytes]] = []
        messages: list[Message] = []
        for line, conversion in zip(lines, ids, strict=True):
            arrival = line.event
            arrived = ARRIVED + conversion + line.event_id
            checksum = _packed(arrival.checksum)
            found = known.get(arrived)
            if found is not None:
                duplicate += 1
                conflict += found != checksum
                continue
            known.change(arrived, checksum)
            clock = max(clock, arrival.received_at)
            kept.append((line, conversion))
            announced = ANNOUNCED + conversion
            if arrival.is_conversion and announced not in known:
                known.change(announced, b"")
                messages.append(Message(arrival.conversion_id, encode(announcement_of(arrival))))
        return Result(
            columns=_columns(partition, kept),
            totals=Totals(
                received=totals.received + reader.received,
                stored=totals.stored + len(kept),
                duplicate=totals.duplicate + duplicate,
                rejected=totals.rejected,
                quarantined=totals.quarantined + len(reader.letters),
                erased=totals.erased,
                conflict=totals.conflict + conflict,
                clock=clock,
                control_offset=reader.control_offset,
            ),
            letters=reader.letters,
            messages=messages,
            writes=known.writes(),
            bad_run=reader.bad_run,
        )

    def rebuild_since(self, clock: int) -> int:
        return 0

    def rebuild(self, rows: Sequence[Stored], state: State, clock: int) -> tuple[dict[bytes, bytes], int]:
        """State writes for stored rows, and the clock after them. Earlier rows do not matter."""
        writes: dict[bytes, bytes] = {}
        for row in rows:
            clock = max(clock, row.received_at)
            writes[ARRIVED + row.conversion_id + row.event_id] = _packed(row.checksum)
            if row.is_conversion:
                writes[ANNOUNCED + row.conversion_id] = b""
        return writes, clock

    def dead_ranges(self, clock: int) -> list[tuple[bytes, bytes]]:
        return []


def _check(arrival: Arrival, control_offset: int) -> None:
    """The events stage has checked the project."""
    check_storable(arrival.received_at, arrival.converted_at, arrival.revenue)
    uuid_of(arrival.conversion_id)


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
