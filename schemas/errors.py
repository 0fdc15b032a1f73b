"""Every error says three things: the reason (``code``), the HTTP status to answer with, and what to do about it.

::

    HeadwaterError
    ├── Refused          the request is wrong and will stay wrong     4xx; correct it, do not retry
    ├── Unavailable      the world is wrong; the same bytes may work  503 + Retry-After; retry with backoff
    └── Invariant        our own bug; halt the partition              500; page someone

The table of reasons is the one place where a reason meets its HTTP status.
"""

from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What the receiver of an error should do."""

    CORRECT = "correct"
    RETRY = "retry"
    HALT = "halt"


class Reason(StrEnum):
    """Closed set of refusal reasons: the ``code`` of an answer and the ``reason`` label of a metric."""

    MALFORMED_JSON = "malformed_json"
    TOO_DEEP = "too_deep"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    EMPTY_BATCH = "empty_batch"
    BAD_ENCODING = "bad_encoding"
    READ_TIMEOUT = "read_timeout"
    """The body did not arrive in time; sent faster, the same bytes may work."""
    OUT_OF_RANGE = "out_of_range"
    """A page that no list has."""
    INVALID_VALUE = "invalid_value"
    INVALID_TEXT = "invalid_text"
    INVALID_MONEY = "invalid_money"
    INVALID_CURRENCY = "invalid_currency"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    INVALID_REGEX = "invalid_regex"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    TOO_MANY_EVENTS = "too_many_events"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNAUTHORIZED = "unauthorized"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


STATUS: Final[dict[Reason, int]] = {
    Reason.MALFORMED_JSON: 400,
    Reason.TOO_DEEP: 400,
    Reason.MISSING_FIELD: 400,
    Reason.WRONG_TYPE: 400,
    Reason.EMPTY_BATCH: 400,
    Reason.BAD_ENCODING: 400,
    Reason.OUT_OF_RANGE: 400,
    Reason.READ_TIMEOUT: 408,
    Reason.INVALID_VALUE: 422,
    Reason.INVALID_TEXT: 422,
    Reason.INVALID_MONEY: 422,
    Reason.INVALID_CURRENCY: 422,
    Reason.INVALID_TIMESTAMP: 422,
    Reason.TIMESTAMP_TOO_OLD: 422,
    Reason.INVALID_REGEX: 422,
    Reason.TOO_LONG: 422,
    Reason.TOO_LARGE: 413,
    Reason.TOO_MANY_EVENTS: 413,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.UNAUTHORIZED: 401,
    Reason.INSUFFICIENT_SCOPE: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.CONFLICT: 409,
    Reason.RATE_LIMITED: 429,
    Reason.UNAVAILABLE: 503,
    Reason.INTERNAL: 500,
}


class HeadwaterError(Exception):
    """Base of all; raise one of the three below."""

    action: Action

    def __init__(self, reason: Reason, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field

    @property
    def http_status(self) -> int:
        return STATUS[self.reason]

    def body(self) -> dict[str, dict[str, str]]:
        """The answer's JSON: ``{"error": {"code", "message", "field"?}}``. Never carries the payload."""
        error = {"code": self.reason.value, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        return {"error": error}


class Refused(HeadwaterError):
    """The request is wrong and will stay wrong: correct it before sending it again."""

    action = Action.CORRECT


class Unavailable(HeadwaterError):
    """A server we need is away. The same bytes may work later."""

    action = Action.RETRY

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(Reason.UNAVAILABLE, message)
        self.retry_after_s = retry_after_s


class Invariant(HeadwaterError):
    """A rule of ours is broken: going on would write wrong rows. Halt, keep the offsets, page someone."""

    action = Action.HALT

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INTERNAL, message)
