"""``as_of``: the books as they were when a run of the booker was the newest, by its number or by a time.

Later runs and folds change nothing about it, so the same question has the same answer for ever. A time stands for the
newest run that was committed by then; a day for its end, in the report's zone.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from clickhouse.api.answers import EPOCH, instant
from clickhouse.api.periods import EARLIEST, LATEST
from clickhouse.read import Reader
from schemas.errors import Reason, Refused

ANY: Final = -1
RUN_MAX_DIGITS: Final = 18

_RUN: Final = re.compile(rf"[0-9]{{1,{RUN_MAX_DIGITS}}}")
_MS: Final = timedelta(milliseconds=1)


class AsOf(Struct, frozen=True, kw_only=True):
    """A run that was the newest once; 0: before the first."""

    run: int
    committed_at: datetime | None


class FoundRun(Struct, frozen=True):
    """The row of ``queries/run_as_of.sql``."""

    number: int
    committed_ms: int
    newest: int

    def shown(self) -> AsOf:
        return AsOf(run=self.number, committed_at=instant(self.committed_ms) if self.number else None)


async def newest_run(reader: Reader) -> FoundRun:
    """The newest run of all."""
    return await reader.row("run_as_of", FoundRun, {"number": ANY, "at_ms": ANY})


async def resolve_as_of(reader: Reader, text: str, time_zone: str, now_ms: int) -> FoundRun:
    """The run that ``text`` names. Raises :class:`Refused` (invalid_value)."""
    number, at_ms = parse(text, time_zone)
    if at_ms > now_ms:
        raise Refused(Reason.INVALID_VALUE, "must not be later than now", field="as_of")
    found = await reader.row("run_as_of", FoundRun, {"number": number, "at_ms": at_ms})
    if number > found.newest:
        raise Refused(Reason.INVALID_VALUE, f"the newest run is {found.newest}", field="as_of")
    return found


def parse(text: str, time_zone: str) -> tuple[int, int]:
    """(run, Unix ms), of which one is given and the other -1. Raises :class:`Refused` (invalid_value)."""
    if _RUN.fullmatch(text):
        return int(text), ANY
    try:
        at = _end_of_day(date.fromisoformat(text), time_zone) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        message = "must be a run, a time like 2026-01-31T12:00:00Z, or a day"
        raise Refused(Reason.INVALID_VALUE, message, field="as_of") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(time_zone))
    if not EARLIEST <= at.date() <= LATEST:
        raise Refused(Reason.INVALID_VALUE, f"must lie between {EARLIEST} and {LATEST}", field="as_of")
    ms = (at.astimezone(UTC) - EPOCH) // _MS
    if ms < 0:
        raise Refused(Reason.INVALID_VALUE, "must not be before 1970", field="as_of")
    return ANY, ms


def _end_of_day(day: date, time_zone: str) -> datetime:
    try:
        after = day + timedelta(days=1)
    except OverflowError:
        raise ValueError from None
    midnight = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(time_zone))
    return midnight.astimezone(UTC) - _MS
