"""Every error in the contract's shape, ``{"error": {"code", "message", "field"?}}``, whoever raised it.

What the framework's validation says is sorted by the table ``VALIDATION``: a missing field or a wrong JSON type is 400,
a value that is of the right type and wrong is 422, with its field.
"""

import logging
import re
from typing import Any, Final

from litestar import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from clickhouse.api.exact import ExactResponse
from schemas.errors import HeadwaterError, Invariant, Reason, Refused, Unavailable

logger = logging.getLogger(__name__)

VALIDATION: Final[tuple[tuple[re.Pattern[str], Reason], ...]] = (
    (re.compile(r"missing required", re.IGNORECASE), Reason.MISSING_FIELD),
    (re.compile(r"of length <="), Reason.TOO_LONG),
    (re.compile(r"of length >="), Reason.INVALID_VALUE),
    (re.compile(r"` [<>]=? "), Reason.INVALID_VALUE),
    (re.compile(r"Invalid decimal"), Reason.INVALID_MONEY),
    (re.compile(r"Invalid enum value"), Reason.INVALID_VALUE),
    (re.compile(r"^Expected "), Reason.WRONG_TYPE),
)
"""What msgspec says, in the order to look; anything else it says is about a value."""

OF_STATUS: Final = {
    400: Reason.MALFORMED_JSON,
    401: Reason.UNAUTHORIZED,
    403: Reason.INSUFFICIENT_SCOPE,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    413: Reason.TOO_LARGE,
    415: Reason.UNSUPPORTED_MEDIA_TYPE,
    429: Reason.RATE_LIMITED,
}
MESSAGES: Final = {
    Reason.NOT_FOUND: "no such page",
    Reason.METHOD_NOT_ALLOWED: "this path does not take this method",
    Reason.TOO_LARGE: "the body is too large",
    Reason.MALFORMED_JSON: "the body is not JSON",
}

NO_BODY: Final = "'data'"
"""What the framework's validation says of a missing body."""

_QUOTED: Final = re.compile(r"field `([^`]+)`")
_SURROGATE: Final = re.compile(r"surrogate", re.IGNORECASE)


def answer(error: HeadwaterError, headers: dict[str, str] | None = None) -> ExactResponse:
    """The answer to an error of ours."""
    extra = dict(headers or {})
    if isinstance(error, Unavailable):
        extra["Retry-After"] = str(error.retry_after_s)
    if error.reason is Reason.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    return ExactResponse(error.body(), status_code=error.http_status, headers=extra, media_type="application/json")


def ours(_: Request[Any, Any, Any], error: HeadwaterError) -> ExactResponse:
    """An error of ours; a broken rule is logged, and its details stay here."""
    if isinstance(error, Invariant):
        logger.error("%s", error.message)
        return answer(Invariant("an error of ours; it is logged"))
    return answer(error)


def framework(_: Request[Any, Any, Any], error: HTTPException) -> ExactResponse:
    """An error of the framework: validation, an unknown route or method, a body too large."""
    if isinstance(error, ValidationException):
        return answer(_invalid(error))
    reason = OF_STATUS.get(error.status_code, Reason.INTERNAL)
    if reason is Reason.INTERNAL:
        logger.error("the framework failed: %s", type(error).__name__)
    if reason is Reason.MALFORMED_JSON and _SURROGATE.search(error.detail):
        return answer(Refused(Reason.INVALID_TEXT, "holds lone surrogates"))
    refusal = Refused(reason, MESSAGES.get(reason, "refused"))
    return answer(refusal, error.headers)


def too_deep(_: Request[Any, Any, Any], __: RecursionError) -> ExactResponse:
    return answer(Refused(Reason.TOO_DEEP, "the body is nested too deeply"))


def not_utf8(_: Request[Any, Any, Any], __: UnicodeDecodeError) -> ExactResponse:
    return answer(Refused(Reason.BAD_ENCODING, "not UTF-8"))


def unexpected(_: Request[Any, Any, Any], error: Exception) -> ExactResponse:
    """A bug. The traceback goes to the log, where no payload is: exceptions of ours carry none."""
    logger.error("unexpected %s", type(error).__name__, exc_info=error)
    return answer(Invariant("an error of ours; it is logged"))


def _invalid(error: ValidationException) -> Refused:
    details = error.extra if isinstance(error.extra, list) else []
    first: dict[str, Any] = details[0] if details else {}
    message = str(first.get("message", error.detail))
    if message == NO_BODY:
        return Refused(Reason.MALFORMED_JSON, "a JSON body is needed")
    reason = next((reason for pattern, reason in VALIDATION if pattern.search(message)), Reason.INVALID_VALUE)
    if first.get("source") == "query" and reason is Reason.WRONG_TYPE:
        reason = Reason.INVALID_VALUE  # every query parameter is text
    quoted = _QUOTED.search(message)
    key = str(first.get("key", ""))
    field = quoted.group(1) if quoted else key.removeprefix("data").lstrip(".")
    return Refused(reason, message.replace("`", ""), field=field or None)


HANDLERS: Final[ExceptionHandlersMap] = {
    HeadwaterError: ours,
    HTTPException: framework,
    RecursionError: too_deep,
    UnicodeDecodeError: not_utf8,
    Exception: unexpected,
}
