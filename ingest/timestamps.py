"""The client's time: ISO 8601 with any offset (none means UTC), or a Unix time in seconds or milliseconds.

1. Before 1900 is refused: no event is that old, it is a broken clock or a wrong unit.
2. More than ``clock_skew_max_hours`` ahead of receipt is replaced by the time of receipt and marked ``clamped``.
3. A public key may go back ``public_key_max_age_days`` at most; a secret key imports any age.
"""

from datetime import UTC, datetime
from typing import Final

from schemas.errors import Reason, Refused

FIELD: Final = "timestamp"
SECONDS_BELOW: Final = 10**11
"""A smaller number is in seconds (up to the year 5138), a larger one in milliseconds (from 1973 on)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = -2_208_988_800_000
"""1900-01-01T00:00:00Z"""
_LATEST: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z"""


def instant(value: str | int | float) -> int:
    """Unix milliseconds of what the client wrote. Raises :class:`Refused` (``invalid_timestamp``)."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            since = moment - _EPOCH
            at = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
        except (ValueError, OverflowError):
            message = "must be ISO 8601, like 2026-01-21T12:00:00Z, or a Unix time in seconds or milliseconds"
            raise Refused(Reason.INVALID_TIMESTAMP, message, field=FIELD) from None
    else:
        at = round(value * 1000) if abs(value) < SECONDS_BELOW else round(value)
    if not _EARLIEST <= at <= _LATEST:
        raise Refused(Reason.INVALID_TIMESTAMP, "must lie between the years 1900 and 9999", field=FIELD)
    return at
