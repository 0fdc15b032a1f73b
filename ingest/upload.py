"""A request's body, as it arrives: never more than the limit in memory, never longer than the time limit."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from ingest.inflate import too_large
from schemas.errors import Reason, Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

BODY_LIMIT_S: Final = 15.0
LINGER_S: Final = 1.0
"""So long what is beyond the limit is read and thrown away: a client that still writes cannot read its 413."""
LINGER_FACTOR: Final = 4
"""A body that announces more than this many times the limit is not even begun."""


class Disconnected(Exception):
    """The client went away before its request was complete."""


async def read_body(receive: Receive, content_length: bytes, limit: int, limit_s: float) -> bytes:
    """The body as sent, at most ``limit`` bytes, within ``limit_s`` seconds.

    Raises :class:`Refused` (``too_large``, ``read_timeout``) and :class:`Disconnected`.
    """
    announced = int(content_length) if content_length.isdigit() else 0
    if announced > LINGER_FACTOR * limit:
        raise too_large(limit)
    try:
        async with asyncio.timeout(limit_s):
            message = await _receive(receive)
            if not message.get("more_body"):
                whole: bytes = message.get("body", b"")
                if len(whole) > limit:
                    raise too_large(limit)
                return whole
            body = bytearray(message.get("body", b""))
            while message.get("more_body") and len(body) <= limit:
                message = await _receive(receive)
                body += message.get("body", b"")
    except TimeoutError:
        raise Refused(Reason.READ_TIMEOUT, "the body did not arrive in time") from None
    if len(body) <= limit:
        return bytes(body)
    read = len(body)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while message.get("more_body") and read <= LINGER_FACTOR * limit:
                message = await _receive(receive)
                read += len(message.get("body", b""))
    raise too_large(limit)


async def _receive(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message
