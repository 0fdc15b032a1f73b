"""Periods of reports: whole days in a time zone, as a half-open range of Unix milliseconds.

=========  ===================================================================
period     days
=========  ===================================================================
``7d``     the seven days that end today
``30d``    the thirty days that end today
``12mo``   the twelve calendar months that end with this one
``custom`` ``from`` to ``to``, both inclusive
=========  ===================================================================
"""

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from control.projects import checked_time_zone
from schemas.errors import Reason, Refused

EARLIEST: Final = date(1900, 1, 2)
LATEST: Final = date(2299, 12, 29)
"""What ClickHouse's DateTime64 can hold in every zone."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN_TO_CLICKHOUSE: Final = "localtime"


class Period(StrEnum):
    """How far back."""

    WEEK = "7d"
    MONTH = "30d"
    YEAR = "12mo"
    CUSTOM = "custom"


class Interval(StrEnum):
    """Buckets of a time series."""

    NONE = "none"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(msgspec.Struct, frozen=True):
    """The days ``first`` to ``last`` of a zone: instants from ``from_ms`` to below ``to_ms``."""

    first: date
    last: date
    time_zone: str

    @property
    def from_ms(self) -> int:
        return _midnight(self.first, self.time_zone)

    @property
    def to_ms(self) -> int:
        return _midnight(self.last + timedelta(days=1), self.time_zone)


def resolve(period: Period | None, since: str | None, until: str | None, time_zone: str, now_ms: int) -> Span:
    """The days that a request names. Raises :class:`Refused` (missing_field, invalid_value).

    Without a period days alone are enough to mean them, and nothing at all means 30 days.
    """
    zone = zone_name(time_zone)
    today = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(ZoneInfo(zone)).date()
    match period or (Period.MONTH if since is None and until is None else Period.CUSTOM):
        case Period.WEEK:
            return Span(today - timedelta(days=6), today, zone)
        case Period.MONTH:
            return Span(today - timedelta(days=29), today, zone)
        case Period.YEAR:
            return Span(_months_back(today, 11), _months_back(today, -1) - timedelta(days=1), zone)
        case Period.CUSTOM:
            first, last = _day(since, "from"), _day(until, "to")
            if last < first:
                raise Refused(Reason.INVALID_VALUE, "must not be before from", field="to")
            return Span(first, last, zone)


def zone_name(name: str) -> str:
    """The name of a zone that both Python and ClickHouse know. Raises :class:`Refused` (invalid_value)."""
    if name == _UNKNOWN_TO_CLICKHOUSE:
        raise Refused(Reason.INVALID_VALUE, "must name a zone, such as Europe/Vienna", field="time_zone")
    return checked_time_zone(name)


def _day(text: str | None, field: str) -> date:
    if text is None:
        raise Refused(Reason.MISSING_FIELD, f"period custom needs {field}", field=field)
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise Refused(Reason.INVALID_VALUE, "must be a day like 2026-01-31", field=field)
    if not EARLIEST <= day <= LATEST:
        raise Refused(Reason.INVALID_VALUE, f"must lie between {EARLIEST} and {LATEST}", field=field)
    return day


def _months_back(day: date, months: int) -> date:
    """The first day of the month ``months`` before that of ``day``."""
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _midnight(day: date, time_zone: str) -> int:
    """Where the clocks skip midnight, the instant at which they do."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    return (start - _EPOCH) // timedelta(milliseconds=1)
