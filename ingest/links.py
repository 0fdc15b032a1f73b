"""The routes of links (seed S1): redirects, postbacks and pixels. Everything is known from the control log in memory.

===================================  =================================================================================
route                                answer
===================================  =================================================================================
``GET /l/{slug}``                    302, once Kafka has the click; without a click id if it does not take it in time:
                                     a visitor is never stranded. ``HEAD`` looks only
``POST /api/conversions/track/{t}``  202 as for an event, with its ``conversion_id``
``GET /api/conversions/track/{t}``   a GIF of 43 bytes, whatever happens; the status tells: 200, 4xx, 503
``POST /api/v1/conversions/track``   as the first, with the token in the body as ``postback_token``
===================================  =================================================================================

1. A postback is attributed by the fingerprint of whoever sends it only if that is a browser; a server's own address
   says nothing of the visitor, so a server names the visitor by ``ip`` and ``user_agent`` or by the click id.
2. Each token has its own limit of requests a minute. It is asked before the body is read, where the path has the token.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from control.contacts import Contacts
from control.keys import well_formed_token
from control.log import ControlLog
from ingest import answers, postbacks, redirects
from ingest.answers import Answer, Headers
from ingest.bots import is_bot, is_crawler
from ingest.click_ids import ClickIds
from ingest.postbacks import Members
from ingest.rate_limit import RateLimit, Verdict
from ingest.request import Limits, Parsed, Sender
from ingest.routes import Found, Route
from ingest.upload import Receive
from ingest.visitor import client_address, fingerprint
from schemas.control import Link, LinkGoal, digest
from schemas.errors import HeadwaterError, Reason, Refused, Unavailable
from schemas.events import RawEvent
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

CLICK_LIMIT_S: Final = 2.0
"""So long a visitor waits for Kafka."""
TOKEN_MAX: Final = 256

GIF: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""One transparent pixel, 43 bytes."""
NO_STORE: Final = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode

ReadBody = Callable[[dict[bytes, bytes], Receive], Awaitable[bytes]]
Write = Callable[[str, Parsed], Awaitable[Answer]]
ASGIScope = Any


def as_pixel(answer: Answer) -> Answer:
    """The same answer as an image: an ``<img>`` must never show as broken."""
    status = 200 if answer.status == 202 else answer.status
    headers = [*answer.headers, (b"content-type", b"image/gif"), NO_STORE]
    return msgspec.structs.replace(answer, status=status, body=GIF, headers=headers)


class LinkRoutes:
    """Answers the routes of the table. ``read_body`` and ``write`` are those of events."""

    def __init__(
        self,
        settings: IngestSettings,
        log: ControlLog,
        secret: bytes,
        new_id: Callable[[], str],
        read_body: ReadBody,
        write: Write,
    ) -> None:
        self._settings = settings
        self._limits = Limits.of(settings)
        self._log = log
        self._secret = secret
        self._contacts = Contacts(secret)
        self._new_id = new_id
        self._read_body = read_body
        self._write = write
        self._click_ids = ClickIds()
        self._rate = RateLimit(settings.token_requests_per_minute)

    async def answer(self, found: Found, scope: ASGIScope, receive: Receive) -> Answer:
        """Raises :class:`HeadwaterError` and :class:`ingest.upload.Disconnected`; for a pixel neither."""
        method, route, parameter = scope["method"], found.route, found.parameter
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if route is Route.REDIRECT:
            return await self._redirect(parameter, scope, headers, counts=method == "GET")
        if route is Route.TRACK and method == "GET":
            return as_pixel(await self._pixel(parameter, scope, headers))
        if route is Route.TRACK:
            goal, verdict = await self._admit(parameter)
            if not verdict.allowed:
                return _limited(verdict)
            members = postbacks.members_of_body(await self._read_body(headers, receive), self._limits)
            return _with_limit(await self._convert(goal, members, scope, headers, browser=False), verdict)
        members = postbacks.members_of_body(await self._read_body(headers, receive), self._limits)
        text = postbacks.text_of(members, postbacks.TOKEN, TOKEN_MAX)
        if not text:
            raise Refused(Reason.MISSING_FIELD, "is required", field=postbacks.TOKEN)
        goal, verdict = await self._admit(text)
        if not verdict.allowed:
            return _limited(verdict)
        return _with_limit(await self._convert(goal, members, scope, headers, browser=False), verdict)

    async def _pixel(self, text: str, scope: ASGIScope, headers: dict[bytes, bytes]) -> Answer:
        try:
            goal, verdict = await self._admit(text)
            if not verdict.allowed:
                return _limited(verdict)
            members = postbacks.members_of_query(scope["query_string"])
            return _with_limit(await self._convert(goal, members, scope, headers, browser=True), verdict)
        except HeadwaterError as error:
            return answers.of_error(error)

    async def _redirect(self, slug: str, scope: ASGIScope, headers: dict[bytes, bytes], *, counts: bool) -> Answer:
        link = self._log.view.link(slug)
        if link is None:
            await self._log.catch_up()
            link = self._log.view.link(slug)
        if link is None:
            raise Refused(Reason.NOT_FOUND, "no such link")
        click_id = await self._click(link, scope, headers) if counts else None
        location = redirects.destination(link, click_id).encode("ascii")
        return Answer(302, b"", [(b"location", location), NO_STORE])

    async def _click(self, link: Link, scope: ASGIScope, headers: dict[bytes, bytes]) -> int | None:
        """Record a click; None if Kafka does not acknowledge it soon enough."""
        click_id = self._click_ids.new()
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        event = redirects.click(
            link,
            click_id,
            event_id=self._new_id(),
            received_at=time.time_ns() // 1_000_000,
            url=redirects.destination(link, click_id),
            referrer=headers.get(b"referer", b"").decode("latin-1"),
            fingerprint=self._fingerprint(link.project_id, scope, headers),
            bot=is_crawler(agent),
            prefetch=redirects.is_prefetch(headers),
        )
        writing = asyncio.ensure_future(self._write(link.project_id, Parsed(False, [event], {})))
        try:
            async with asyncio.timeout(CLICK_LIMIT_S):
                answer = await asyncio.shield(writing)
        except (TimeoutError, Unavailable):
            writing.add_done_callback(lambda done: done.cancelled() or done.exception())
            return None
        return click_id if answer.accepted else None

    async def _admit(self, text: str) -> tuple[LinkGoal, Verdict]:
        """The goal of a token, and whether it may have this request. Raises :class:`Refused` (unauthorized)."""
        if not well_formed_token(text):
            raise Refused(Reason.UNAUTHORIZED, "this is not a postback token")
        goal = self._log.view.goal_of_token(text)
        if goal is None:
            await self._log.catch_up()
            goal = self._log.view.goal_of_token(text)
        if goal is None:
            raise Refused(Reason.UNAUTHORIZED, "unknown or revoked postback token")
        return goal, self._rate.take(digest(text), time.monotonic())

    async def _convert(
        self, goal: LinkGoal, members: Members, scope: ASGIScope, headers: dict[bytes, bytes], *, browser: bool
    ) -> Answer:
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        mark, seen = "", postbacks.text_of(members, "user_agent", postbacks.USER_AGENT_MAX)
        if visitor := postbacks.visitor_of(members):
            mark = fingerprint(self._secret, goal.project_id, *visitor)
        elif not postbacks.tells_visitor(members) and (browser or not is_bot(agent)):
            mark, seen = self._fingerprint(goal.project_id, scope, headers), agent
        sender = Sender(
            project_id=goal.project_id,
            trust=Trust.TOKEN,
            received_at=time.time_ns() // 1_000_000,
            new_id=self._new_id,
            idempotency_key=headers.get(b"idempotency-key", b"").decode("latin-1").strip(),
            fingerprint=mark,
            user_agent=seen,
            bot=browser and is_crawler(agent),
            contacts=self._contacts,
        )
        parsed = postbacks.conversion(members, goal, sender, self._limits)
        answer = await self._write(goal.project_id, parsed)
        (item,) = parsed.items
        if not answer.accepted or not isinstance(item, RawEvent):
            return answer
        body = {"status": "accepted", "event_id": item.event_id, "conversion_id": item.conversion_id}
        if parsed.notices:
            return msgspec.structs.replace(answer, body=_encode(body | {"warnings": parsed.notices[0]}))
        return msgspec.structs.replace(answer, body=_encode(body))

    def _fingerprint(self, project_id: str, scope: ASGIScope, headers: dict[bytes, bytes]) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address = client_address(peer, forwarded, self._settings.trusted_proxy_hops)
        return fingerprint(self._secret, project_id, address, headers.get(b"user-agent", b"").decode("latin-1"))


def _limited(verdict: Verdict) -> Answer:
    message = f"a token may make {verdict.limit} requests a minute; wait {verdict.reset_s} s"
    answer = _with_limit(answers.of_error(Refused(Reason.RATE_LIMITED, message)), verdict)
    retry = (b"retry-after", str(verdict.reset_s).encode())
    return msgspec.structs.replace(answer, headers=[*answer.headers, retry])


def _with_limit(answer: Answer, verdict: Verdict) -> Answer:
    """With the RateLimit headers of draft-ietf-httpapi-ratelimit-headers-07."""
    told: Headers = [
        (b"ratelimit-limit", str(verdict.limit).encode()),
        (b"ratelimit-policy", b"%d;w=60" % verdict.limit),
        (b"ratelimit-remaining", str(verdict.remaining).encode()),
        (b"ratelimit-reset", str(verdict.reset_s).encode()),
    ]
    return msgspec.structs.replace(answer, headers=[*answer.headers, *told])
