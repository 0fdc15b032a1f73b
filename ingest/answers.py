"""What a client is answered: statuses, bodies and headers, all in one place.

======  ==========================================================================================================
status  when
======  ==========================================================================================================
202     the event, or at least one of a batch, is acknowledged by Kafka
204     preflight
4xx     nothing was written: the reason's own status; 400 for a batch of which no item was accepted
503     Kafka did not acknowledge it, or only some of a batch: each item says whether to send it again
======  ==========================================================================================================
"""

from typing import Any, Final

import msgspec

from ingest.producer import Failed
from ingest.request import Parsed
from ingest.routes import METHODS, Route
from schemas.errors import HeadwaterError, Reason, Refused, Unavailable
from schemas.events import RawEvent
from schemas.outcomes import EdgeOutcome

Headers = list[tuple[bytes, bytes]]

CORS: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Retry-After, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset",
    ),
]
JSON: Final = (b"content-type", b"application/json")
UNREAD: Final = (Reason.TOO_LARGE, Reason.READ_TIMEOUT)
"""Reasons for which the body may not have been read to its end: the connection cannot be used again."""

PREFLIGHT: Final[dict[Route, Headers]] = {
    route: [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key, Content-Encoding"),
        (b"access-control-max-age", b"86400"),
        (b"content-length", b"0"),
    ]
    for route, methods in METHODS.items()
    if "OPTIONS" in methods
}
"""What a page's browser is told before it sends."""

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True):
    """A status, a JSON body, and headers beyond those of every answer."""

    status: int
    body: bytes
    headers: Headers = []
    accepted: int = 0
    """Events that were acknowledged."""
    rejected: int = 0
    unavailable: int = 0


def of_error(error: HeadwaterError) -> Answer:
    """The answer to a request that failed as a whole."""
    headers: Headers = []
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if error.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.reason in UNREAD:
        headers.append((b"connection", b"close"))
    return Answer(error.http_status, _encode(error.body()), headers)


def of_request(parsed: Parsed, partitions: list[int], failed: Failed) -> Answer:
    """The answer to a request whose items went to ``partitions`` (-1: refused), of which ``failed`` did not
    acknowledge."""
    return _of_batch(parsed, partitions, failed) if parsed.batch else _of_single(parsed, bool(failed))


def _of_single(parsed: Parsed, failed: bool) -> Answer:
    item = parsed.items[0]
    if isinstance(item, Refused):
        answer = of_error(item)
        return msgspec.structs.replace(answer, rejected=1)
    if failed:
        answer = of_error(_not_acknowledged())
        return msgspec.structs.replace(answer, unavailable=1)
    if parsed.notices:
        body = _encode({"status": "accepted", **_ids(item, parsed), "warnings": parsed.notices[0]})
    else:
        body = b'{"status":"accepted",%b}' % _written_ids(item, parsed)
    return Answer(202, body, accepted=1)


def _of_batch(parsed: Parsed, partitions: list[int], failed: Failed) -> Answer:
    counts = dict.fromkeys(EdgeOutcome, 0)
    results: list[bytes] = []
    for index, item in enumerate(parsed.items):
        if isinstance(item, RawEvent) and partitions[index] not in failed and index not in parsed.notices:
            counts[EdgeOutcome.ACCEPTED] += 1
            results.append(b'{"index":%d,"status":"accepted",%b}' % (index, _written_ids(item, parsed)))
            continue
        result: dict[str, Any] = {"index": index}
        if isinstance(item, Refused):
            outcome = EdgeOutcome.REJECTED
            result |= {"status": outcome.value, **item.body()}
        elif partitions[index] in failed:
            outcome = EdgeOutcome.UNAVAILABLE
            result |= {"status": outcome.value, **_ids(item, parsed)}
        else:
            outcome = EdgeOutcome.ACCEPTED
            result |= {"status": outcome.value, **_ids(item, parsed), "warnings": parsed.notices[index]}
        counts[outcome] += 1
        results.append(_encode(result))

    accepted, rejected, unavailable = (counts[outcome] for outcome in EdgeOutcome)
    members = [b'"accepted":%d,"rejected":%d' % (accepted, rejected)]
    status, headers = 202, Headers()
    if unavailable:
        error = _not_acknowledged()
        status, headers = error.http_status, of_error(error).headers
        members += [b'"unavailable":%d' % unavailable, b'"error":' + _encode(error.body()["error"])]
    elif not accepted:
        status = 400
        first = next(item for item in parsed.items if isinstance(item, Refused)).body()["error"]
        summary = first | {"message": f"no event was accepted; the first: {first['message']}"}
        members.append(b'"error":' + _encode(summary))
    members.append(b'"results":[%b]' % b",".join(results))
    return Answer(status, b"{%b}" % b",".join(members), headers, accepted, rejected, unavailable)


def _ids(item: RawEvent, parsed: Parsed) -> dict[str, str]:
    ids = {"event_id": item.event_id}
    return ids | {"conversion_id": item.conversion_id} if parsed.conversions else ids


def _written_ids(item: RawEvent, parsed: Parsed) -> bytes:
    """As :func:`_ids`, without an encoder: most answers hold nothing else. No id needs escaping."""
    if parsed.conversions:
        return b'"event_id":"%b","conversion_id":"%b"' % (item.event_id.encode(), item.conversion_id.encode())
    return b'"event_id":"%b"' % item.event_id.encode()


def _not_acknowledged() -> Unavailable:
    return Unavailable("Kafka did not acknowledge this; send again what is not accepted")
