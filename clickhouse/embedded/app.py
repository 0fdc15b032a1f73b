"""The ASGI application: ClickHouse's paths, request bodies on disk, queries on threads, answers in pieces."""

import asyncio
import contextlib
import re
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from clickhouse.embedded import access, metrics
from clickhouse.embedded.encodings import CHUNK
from clickhouse.embedded.engine import Engine
from clickhouse.embedded.errors import Code, ServerError, refuse
from clickhouse.embedded.reply import Client, Gone, reply
from clickhouse.embedded.request import pairs
from clickhouse.embedded.settings import EmbeddedSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


_READS = re.compile(
    rb"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE | re.DOTALL
)


class Application:
    """Answers HTTP. The event loop only moves bytes; whatever may take long is on a thread."""

    def __init__(self, settings: EmbeddedSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self.metrics = metrics.Metrics()
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="query")
        # Health checks must not wait behind queries.
        self._health = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._writers = asyncio.Semaphore(max(1, settings.threads - 2))
        self._inflight = 0
        self._host = socket.gethostname()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1"): value.decode("utf-8", "replace") for key, value in scope["headers"]}
        url = pairs(scope["query_string"])
        path, method = scope["path"], scope["method"]
        if path in {"/ping", "/replicas_status", "/livez"} or (path == "/" and method in {"GET", "HEAD"} and not url):
            await _send_text(send, 200, b"Ok.\n")
        elif path == "/metrics":
            await _send_text(send, 200, self.metrics.render(), metrics.CONTENT_TYPE)
        elif path == "/readyz":
            ready = await asyncio.get_running_loop().run_in_executor(self._health, self._is_ready)
            await _send_text(send, 200 if ready else 503, b"Ok.\n" if ready else b"The engine does not answer.\n")
        elif path not in {"/", "/query"}:
            await _send_text(send, 404, b"There is no handle " + path.encode()[:200] + b"\n")
        elif method not in {"GET", "HEAD", "POST", "PUT"}:
            await _send_text(send, 501, b"Only GET, HEAD, POST and PUT are supported.\n")
        else:
            await self._query(method, url, headers, receive, send)

    async def _query(
        self, method: str, url: dict[str, str], headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        client = Client(self._host, self._engine, send, asyncio.get_running_loop(), self._settings.send_seconds)
        started = time.monotonic()
        self._inflight += 1
        self.metrics.inflight.set(self._inflight)
        try:
            access.check(self._settings, url, headers)
            if self._inflight > self._settings.queue_limit:
                raise refuse(Code.TOO_MANY_SIMULTANEOUS_QUERIES, "Too many simultaneous queries.")
            with self._spool() as body:
                try:
                    await self._receive(receive, body)
                except OSError as error:
                    raise refuse(Code.NOT_ENOUGH_SPACE, f"The body cannot be kept: {error.strerror}.") from None
                started = time.monotonic()
                await self._run(client, method, url, headers, body, receive)
        except ServerError as error:
            await client.refuse(error)
        except Gone:
            client.status = None
        finally:
            self._inflight -= 1
            self.metrics.inflight.set(self._inflight)
            self.metrics.observe(client.kind, client.status, time.monotonic() - started, client.written_rows)

    async def _run(
        self,
        client: Client,
        method: str,
        url: dict[str, str],
        headers: dict[str, str],
        body: BinaryIO,
        receive: Receive,
    ) -> None:
        loop = asyncio.get_running_loop()
        watch = asyncio.create_task(_watch(receive, client))
        try:
            async with contextlib.AsyncExitStack() as stack:
                if method in {"POST", "PUT"} and _may_write(url, body):
                    await stack.enter_async_context(self._writers)
                await loop.run_in_executor(
                    self._threads, reply, client, self._engine, self._settings, method, url, headers, body
                )
        finally:
            watch.cancel()

    async def _receive(self, receive: Receive, body: BinaryIO) -> None:
        """Take the whole body; on disk it goes by a thread, so that a slow disk stops nobody else."""
        loop = asyncio.get_running_loop()
        size, pending = 0, bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            pending += message.get("body", b"")
            more = message.get("more_body", False)
            if size + len(pending) > self._settings.body_limit:
                raise refuse(Code.QUERY_IS_TOO_LARGE, "The body is larger than this server's limit.")
            if len(pending) >= CHUNK or not more:
                size += len(pending)
                if size > self._settings.spool_bytes:
                    await loop.run_in_executor(None, body.write, bytes(pending))
                else:
                    body.write(pending)
                pending.clear()
        body.seek(0)

    def _spool(self) -> BinaryIO:
        directory = str(self._settings.spool_dir)
        return cast(BinaryIO, tempfile.SpooledTemporaryFile(self._settings.spool_bytes, dir=directory))

    def _is_ready(self) -> bool:
        try:
            with self._engine.connection() as connection:
                return bytes(connection.query("SELECT 1").bytes()) == b"1\n"
        except Exception:
            return False

    def close(self) -> bool:
        """End the threads; False if one is still in a query, which cannot be interrupted."""
        threads = [*self._threads._threads, *self._health._threads]
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._health.shutdown(wait=False, cancel_futures=True)
        for thread in threads:
            thread.join(0.5)
        return not any(thread.is_alive() for thread in threads)


def _may_write(url: dict[str, str], body: BinaryIO) -> bool:
    """Whether to count it among the writers: whatever does not begin as a query that reads."""
    head = url.get("query", "").encode() or body.read(4096)
    body.seek(0)
    return _READS.match(head) is None


async def _watch(receive: Receive, client: Client) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.gone.set()


async def _send_text(send: Send, status: int, body: bytes, content_type: str = "text/plain; charset=UTF-8") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
