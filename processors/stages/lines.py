"""From records to decoded lines; what cannot be read is set aside with its reason.

1. A record's headers are checked first: a schema version from the future, or no control offset, sets aside all lines.
2. Each line is an event of its own: one bad line leaves its neighbours alone.
3. What the store could not hold (an id that is no UUID, a time or an amount out of range) counts as unreadable.
4. So many unreadable lines in a row that something larger must be wrong halt the partition. A dead letter that was sent
   back and is unreadable still says nothing about its neighbours, and does not count.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from processors.stages.result import Letter, Record
from schemas.codec import CONTROL_HEADER, RECORD_MAX_LINES, SCHEMA_VERSION, VERSION_HEADER, lines
from schemas.errors import Invariant
from schemas.events import Arrival, RawEvent
from schemas.letters import LETTER_HEADER
from schemas.outcomes import Quarantine

EARLIEST: Final = -2_208_988_800_000
"""1900-01-01, the earliest DateTime64, ms."""
LATEST: Final = 10_413_791_999_999
"""The end of 2299, the latest DateTime64, ms."""
_MONEY_LIMIT: Final = Decimal(10) ** 14
_MONEY_DIGITS: Final = 4

E = TypeVar("E", RawEvent, Arrival)


class Unreadable(ValueError):
    """Why a line was set aside."""

    def __init__(self, reason: Quarantine, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Line(NamedTuple, Generic[E]):
    """A decoded line and where it was."""

    event: E
    event_id: bytes
    offset: int
    line: int
    """Index in the record."""


class Reader(Generic[E]):
    """Reads the records of one batch; ``letters``, ``received``, ``control_offset`` and ``bad_run`` grow with it."""

    def __init__(
        self,
        decode: Callable[[bytes], E],
        check: Callable[[E, int], None],
        *,
        control_offset: int,
        bad_run: int,
        bad_run_max: int,
    ) -> None:
        self._decode: Callable[[bytes], E] = decode
        self._check: Callable[[E, int], None] = check
        self._bad_run_max = bad_run_max
        self.bad_run = bad_run
        self.control_offset = control_offset
        self.received = 0
        self.letters: list[Letter] = []

    def read(self, records: Sequence[Record]) -> list[Line[E]]:
        """The readable lines, in order. Raises :class:`Invariant` after too many unreadable ones in a row."""
        decode, check = self._decode, self._check
        found: list[Line[E]] = []
        for record in records:
            offset = record.offset
            raws = lines(record.value or b"")
            try:
                stamp = stamped(record)
            except Unreadable as error:
                for index, raw in enumerate(raws):
                    self._set_aside(record, index, error, raw)
                continue
            self.control_offset = max(self.control_offset, stamp)
            for index, raw in enumerate(raws):
                try:
                    event = decode(raw)
                    event_id = uuid_of(event.event_id)
                    check(event, stamp)
                    if index >= RECORD_MAX_LINES:
                        raise Unreadable(Quarantine.UNDECODABLE, f"a record holds at most {RECORD_MAX_LINES} lines")
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unreadable) as error:
                    self._set_aside(record, index, error, raw)
                    continue
                self.bad_run = 0
                found.append(Line(event, event_id, offset, index))
        self.received += len(found)
        return found

    def _set_aside(self, record: Record, index: int, error: Exception, raw: bytes) -> None:
        reason = error.reason if isinstance(error, Unreadable) else Quarantine.UNDECODABLE
        self.received += 1
        self.bad_run += all(name != LETTER_HEADER for name, _ in record.headers)
        if self.bad_run > self._bad_run_max:
            raise Invariant(
                f"{self.bad_run} unreadable lines in a row, the last at offset {record.offset} ({reason}: {error}):"
                " halted, so that the dead-letter topic is not flooded;"
                " HEADWATER_QUARANTINE_MAX_CONSECUTIVE is the limit"
            )
        self.letters.append(Letter(record.offset, index, reason, str(error), raw, record.headers))


def stamped(record: Record) -> int:
    """The control offset that the writer stamped on a record. Raises :class:`Unreadable`."""
    found = dict(record.headers)
    if found.get(VERSION_HEADER) != SCHEMA_VERSION:
        raise Unreadable(Quarantine.UNKNOWN_SCHEMA, "the schema-version header is missing or not ours")
    stamp = found.get(CONTROL_HEADER) or b""  # a header may be null
    if not stamp.isdigit() or len(stamp) > 18:
        raise Unreadable(Quarantine.UNKNOWN_SCHEMA, "the control-offset header is missing or no number")
    return int(stamp)


def uuid_of(text: str) -> bytes:
    """The sixteen bytes of a UUID. Raises :class:`Unreadable`."""
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        found = b""
    if len(found) != 16:
        raise Unreadable(Quarantine.UNDECODABLE, "an id is no UUID")
    return found


def check_storable(received_at: int, at: int, revenue: Decimal | None) -> None:
    """Refuse what the store's types cannot hold. Raises :class:`Unreadable`."""
    if not (EARLIEST <= at <= LATEST and 0 <= received_at <= LATEST):
        raise Unreadable(Quarantine.UNDECODABLE, "a time is out of range: 1900 to 2299, receipt since 1970")
    if revenue is not None:
        exponent = revenue.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -_MONEY_DIGITS or not -_MONEY_LIMIT < revenue < _MONEY_LIMIT:
            raise Unreadable(Quarantine.UNDECODABLE, "revenue does not fit Decimal(18, 4)")
