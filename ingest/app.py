"""The tracking routes as an ASGI application: those of ``routes``, and health and metrics of this process.

1. The key is checked before the body is read, the media type before it is inflated, its size while it is read.
2. A body ends at the limit, with or without Content-Length, and within the time limit.
3. Every answer carries CORS headers: a page must be able to read why its event was refused.
4. Nothing of a request is logged: no key, no address, no payload.
5. A conversion is an event: posted to ``/conversions`` it is the one that ``/events`` would have made of it.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import uuid_utils
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from control.auth import authorize
from control.contact_keys import ContactKeys
from control.contacts import Contacts
from control.keys import PREFIX
from control.log import ControlLog
from ingest import answers, contact_conversions, links, order_refunds
from ingest.answers import Answer
from ingest.bots import is_bot
from ingest.inflate import inflate
from ingest.metrics import IngestMetrics
from ingest.producer import EventProducer, Failed
from ingest.request import Limits, Parsed, Sender, parse
from ingest.routes import METHODS, Found, Route, find
from ingest.tracker import script
from ingest.upload import BODY_LIMIT_S, Disconnected, Receive, read_body
from ingest.visitor import client_address, fingerprint, partition
from schemas.codec import encode
from schemas.control import KeyKind, Scope
from schemas.errors import HeadwaterError, Invariant, Reason, Refused
from schemas.outcomes import EdgeOutcome, Trust
from schemas.settings import IngestSettings

logger = logging.getLogger(__name__)

ASGIScope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MEDIA_TYPES: Final = ("", "application/json", "text/plain")
"""``text/plain`` is what beacons send, since it needs no preflight; none at all is taken for JSON."""
CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii")
TRUST: Final = {KeyKind.PUBLIC: Trust.PUBLIC, KeyKind.SECRET: Trust.SECRET}


def create_app(
    settings: IngestSettings,
    log: ControlLog,
    producer: EventProducer,
    metrics: IngestMetrics,
    *,
    secret: bytes,
    body_limit_s: float = BODY_LIMIT_S,
) -> "IngestApp":
    """The application. Whoever calls this starts and stops ``log`` and ``producer``.

    ``secret``: of the keyed hashes and of projects' keys, at most 64 bytes.
    """
    return IngestApp(settings, log, producer, metrics, secret, body_limit_s)


class IngestApp:
    """See the module. Serves the tracker, and ``/livez``, ``/readyz`` and ``/metrics`` of this process, too."""

    def __init__(
        self,
        settings: IngestSettings,
        log: ControlLog,
        producer: EventProducer,
        metrics: IngestMetrics,
        secret: bytes,
        body_limit_s: float,
    ) -> None:
        self._settings = settings
        self._limits = Limits.of(settings)
        self._log = log
        self._producer = producer
        self._metrics = metrics
        self._secret = secret
        self._body_limit_s = body_limit_s
        self._contacts = Contacts(secret, ContactKeys.beside(settings.secret_file))
        self._links = links.LinkRoutes(settings, log, secret, _new_id, self._read_body, self._write)

    @property
    def ready(self) -> bool:
        """Kafka takes events, and the keys are known."""
        return self._producer.available and self._log.healthy

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served here")
        method, path = scope["method"], scope["path"]
        found = find(path)
        if found is not None and method not in METHODS[found.route]:
            refusal = answers.of_error(Refused(Reason.METHOD_NOT_ALLOWED, "this path does not take this method"))
            allowed = (b"allow", ", ".join(METHODS[found.route]).encode())
            self._metrics.requests[refusal.status].inc()
            await _send(send, refusal, [*answers.CORS, allowed])
        elif found is not None and method == "OPTIONS":
            self._metrics.requests[204].inc()
            await send({"type": "http.response.start", "status": 204, "headers": answers.PREFLIGHT[found.route]})
            await send({"type": "http.response.body", "body": b""})
        elif found is not None and found.route is Route.SCRIPT:
            served = script.page(method, dict(scope["headers"]))
            await send({"type": "http.response.start", "status": served.status, "headers": served.headers})
            await send({"type": "http.response.body", "body": served.body})
        elif found is not None:
            await self._track(self._answer(found, scope, receive), send)
        elif path == "/livez":
            await _send(send, Answer(200, b'{"status":"alive"}'), [])
        elif path == "/readyz":
            body = b'{"status":"%b"}' % (b"ready" if self.ready else b"unavailable")
            await _send(send, Answer(200 if self.ready else 503, body), [])
        elif path == "/metrics":
            page = Answer(200, generate_latest(self._metrics.registry))
            await _send(send, page, [(b"content-type", CONTENT_TYPE_LATEST.encode())])
        else:
            await _send(send, answers.of_error(Refused(Reason.NOT_FOUND, "no such page")), [])

    async def _track(self, answering: Coroutine[Any, Any, Answer], send: Send) -> None:
        metrics = self._metrics
        began = time.perf_counter()
        try:
            answer = await answering
        except Disconnected:
            metrics.requests[499].inc()
            return
        except HeadwaterError as error:
            metrics.rejected[error.reason].inc()
            answer = answers.of_error(error)
        except Exception as error:
            # Its message may quote the payload, so only where it was raised is logged.
            frame = error.__traceback__
            while frame is not None and frame.tb_next is not None:
                frame = frame.tb_next
            where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "nowhere"
            logger.error("a request failed: %s at %s", type(error).__name__, where)
            answer = answers.of_error(Invariant("internal error"))
        await _send(send, answer, answers.CORS)
        metrics.requests[answer.status].inc()
        metrics.request_seconds.observe(time.perf_counter() - began)

    async def _answer(self, found: Found, scope: ASGIScope, receive: Receive) -> Answer:
        match found.route:
            case Route.EVENTS | Route.CONVERSIONS:
                return await self._receive(found, scope, receive)
            case Route.CONTACT_CONVERSIONS:
                return await self._convert(scope, receive)
            case Route.REFUNDS:
                return await self._refund(found, scope, receive)
            case _:
                return await self._links.answer(found, scope, receive)

    async def _receive(self, found: Found, scope: ASGIScope, receive: Receive) -> Answer:
        project_id = found.parameter
        headers: dict[bytes, bytes] = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode("latin-1") or _public_key_in(scope["query_string"])
        _, key = await authorize(self._log, token, project_id=project_id, scope=Scope.EVENTS_WRITE)
        body = await self._read_body(headers, receive)
        conversions = found.route is Route.CONVERSIONS
        sender = self._sender(project_id, TRUST[key.kind], headers, scope, conversions=conversions)
        return await self._write(project_id, parse(body, sender, self._limits))

    async def _convert(self, scope: ASGIScope, receive: Receive) -> Answer:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode("latin-1")
        project, key = await authorize(self._log, token, scope=Scope.CONVERSIONS_WRITE)
        body = await self._read_body(headers, receive)
        sender = self._sender(project.id, TRUST[key.kind], headers, scope, conversions=True)
        accepted = contact_conversions.read(body, sender, self._limits)
        answer = await self._write(project.id, Parsed(False, [accepted.event], {}))
        return msgspec.structs.replace(answer, status=201, body=accepted.body) if answer.accepted else answer

    async def _refund(self, found: Found, scope: ASGIScope, receive: Receive) -> Answer:
        project_id = found.parameter
        headers: dict[bytes, bytes] = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode("latin-1")
        _, key = await authorize(self._log, token, project_id=project_id, scope=Scope.CONVERSIONS_WRITE)
        body = await self._read_body(headers, receive)
        sender = self._sender(project_id, TRUST[key.kind], headers, scope, conversions=True)
        accepted = order_refunds.read(body, found.rest, sender, self._limits)
        answer = await self._write(project_id, Parsed(False, [accepted.event], {}))
        return msgspec.structs.replace(answer, body=accepted.body) if answer.accepted else answer

    async def _read_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The body, inflated. Raises :class:`Refused` and :class:`Disconnected`."""
        _check_media_type(headers.get(b"content-type", b"").decode("latin-1"))
        coding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        limit = self._settings.request_max_bytes
        body = await read_body(receive, headers.get(b"content-length", b""), limit, self._body_limit_s)
        if coding:
            body = inflate(body, coding, limit)
        return body

    def _sender(
        self, project_id: str, trust: Trust, headers: dict[bytes, bytes], scope: ASGIScope, *, conversions: bool
    ) -> Sender:
        mark, agent, bot = "", "", False
        if trust is Trust.PUBLIC:
            agent = headers.get(b"user-agent", b"").decode("latin-1")
            forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
            peer = scope["client"][0] if scope.get("client") else ""
            address = client_address(peer, forwarded, self._settings.trusted_proxy_hops)
            mark, bot = fingerprint(self._secret, project_id, address, agent), is_bot(agent)
        return Sender(
            project_id=project_id,
            trust=trust,
            received_at=time.time_ns() // 1_000_000,
            new_id=_new_id,
            idempotency_key=headers.get(b"idempotency-key", b"").decode("latin-1").strip(),
            fingerprint=mark,
            user_agent=agent,
            bot=bot,
            conversions=conversions,
            contacts=self._contacts,
        )

    async def _write(self, project_id: str, parsed: Parsed) -> Answer:
        partitions = [-1] * len(parsed.items)
        lines: dict[int, list[bytes]] = {}
        reasons = self._metrics.rejected
        for index, item in enumerate(parsed.items):
            if isinstance(item, Refused):
                reasons[item.reason].inc()
            else:
                partitions[index] = home = partition(project_id, item.visitor, self._producer.partitions)
                lines.setdefault(home, []).append(encode(item))
        failed: Failed = frozenset()
        if lines:
            failed = await self._producer.submit(lines)
        answer = answers.of_request(parsed, partitions, failed)
        events = self._metrics.events
        events[EdgeOutcome.ACCEPTED].inc(answer.accepted)
        events[EdgeOutcome.REJECTED].inc(answer.rejected)
        events[EdgeOutcome.UNAVAILABLE].inc(answer.unavailable)
        self._metrics.batch_events.observe(len(parsed.items))
        return answer


def _new_id() -> str:
    return str(uuid_utils.uuid7())


def _public_key_in(query: bytes) -> str:
    """The key of a beacon, which cannot set headers. A secret key in a URL ends up in logs, so it is not taken."""
    token = parse_qs(query.decode("latin-1")).get("key", [""])[0]
    if token.startswith(PREFIX[KeyKind.SECRET]):
        raise Refused(
            Reason.UNAUTHORIZED, "a secret key must not be in a URL; send Authorization: Bearer, and revoke it"
        )
    return token


def _check_media_type(header: str) -> None:
    media_type, _, parameters = header.partition(";")
    name, _, charset = parameters.partition("=")
    charset = charset.strip(' "').lower() if name.strip().lower() == "charset" else ""
    if media_type.strip().lower() not in MEDIA_TYPES or charset not in CHARSETS:
        message = "Content-Type must be application/json or text/plain, in UTF-8"
        raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, message, field="Content-Type")


async def _send(send: Send, answer: Answer, headers: answers.Headers) -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    sent = [*headers, *answer.headers, length]
    if answer.body and not any(name == b"content-type" for name, _ in sent):
        sent.append(answers.JSON)
    await send({"type": "http.response.start", "status": answer.status, "headers": sent})
    await send({"type": "http.response.body", "body": answer.body})
