"""Times as answers write them where a seed prints them with milliseconds: ISO 8601, UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def written(ms: int) -> str:
    """``2026-01-15T14:30:00.000Z`` for a Unix time in milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
