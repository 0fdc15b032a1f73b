"""One POST over the network: pinned to checked addresses, no redirects, little of the answer, in limited time."""

import asyncio
import socket
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from msgspec import Struct

from processors.delivery.addresses import Forbidden, check_address, check_url
from processors.delivery.request import Outgoing
from schemas.outcomes import DeliveryOutcome

USER_AGENT: Final = "Headwater/1 (+postbacks)"
ANSWER_MAX_BYTES: Final = 4096
"""So much of an answer is read; then the connection is closed."""
ANSWER_SHOWN_CHARS: Final = 200


class Reply(Struct, frozen=True):
    """What became of one POST."""

    outcome: DeliveryOutcome
    status: int = 0
    detail: str = ""
    retry_after_ms: int = 0
    text: str = ""
    """Beginning of an answer that takes what was sent."""


class CheckedResolver(AbstractResolver):
    """Resolves a name and refuses it if any of its addresses must not be asked.

    What it returns is what the connection is made to: there is no second look-up that could say otherwise.
    """

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for address in found:
            check_address(address["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Exchange:
    """Makes POSTs. Belongs to one event loop."""

    def __init__(self, *, timeout_ms: int, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=ThreadedResolver() if allow_private else CheckedResolver(),
                use_dns_cache=False,
                force_close=True,  # a connection of yesterday's address is not used today
                limit=0,
            ),
            timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT},
        )

    async def post(self, outgoing: Outgoing) -> Reply:
        """Send it once. Never raises for what the network or the other side does."""
        try:
            url = check_url(outgoing.url)
            if not self._allow_private and _is_literal(url.host or ""):
                check_address(url.host or "")
            async with self._session.post(
                url, data=outgoing.body, headers=outgoing.headers, allow_redirects=False
            ) as answer:
                text = await self._beginning(answer)
                return _judged(answer, text, outgoing)
        except Forbidden as error:
            return Reply(DeliveryOutcome.FORBIDDEN, detail=str(error))
        except TimeoutError:
            return Reply(DeliveryOutcome.TIMEOUT, detail="no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (cause := _forbidden(error)) is not None:
                return Reply(DeliveryOutcome.FORBIDDEN, detail=str(cause))
            return Reply(DeliveryOutcome.UNREACHABLE, detail=type(error).__name__)

    async def close(self) -> None:
        await self._session.close()

    async def _beginning(self, answer: aiohttp.ClientResponse) -> str:
        """The first bytes of the answer, as far as they come in time."""
        received = bytearray()
        try:
            while len(received) < ANSWER_MAX_BYTES:
                chunk = await answer.content.read(ANSWER_MAX_BYTES - len(received))
                if not chunk:
                    break
                received += chunk
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            pass  # the status is what counts, and it is there
        finally:
            answer.close()
        return received.decode("utf-8", "replace")


def _judged(answer: aiohttp.ClientResponse, text: str, outgoing: Outgoing) -> Reply:
    status = answer.status
    if 300 <= status < 400:
        return Reply(DeliveryOutcome.REDIRECTED, status, "redirects are not followed")
    shown = "".join(c if c.isprintable() else " " for c in text[:ANSWER_SHOWN_CHARS]).strip()
    if 200 <= status < 300:
        no = next((outcome for said, outcome in outgoing.noes if said in text), None)
        return Reply(DeliveryOutcome.DELIVERED, status, text=text) if no is None else Reply(no, status, shown)
    return Reply(DeliveryOutcome.HTTP_ERROR, status, shown, _retry_after_ms(answer.headers.get("Retry-After", "")))


def _retry_after_ms(text: str) -> int:
    """Seconds as a receiver may ask for them; a date is not honoured."""
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _is_literal(host: str) -> bool:
    return aiohttp.helpers.is_ip_address(host)


def _forbidden(error: BaseException | None) -> Forbidden | None:
    """What our resolver said, from inside what the library made of it."""
    while error is not None and not isinstance(error, Forbidden):
        error = error.__cause__ or error.__context__
    return error
