"""Write one query's answer to its client: headers as ClickHouse's, small answers whole, large ones in pieces."""

import asyncio
import concurrent.futures
import secrets
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from io import BytesIO
from typing import IO, Any, BinaryIO

import msgspec

from clickhouse.embedded import formats
from clickhouse.embedded.encodings import CHUNK, Input, choose, compress
from clickhouse.embedded.engine import Engine
from clickhouse.embedded.errors import ServerError, engine_error
from clickhouse.embedded.execution import Answer, Summary, execute
from clickhouse.embedded.request import Request, read
from clickhouse.embedded.settings import EmbeddedSettings
from clickhouse.embedded.tables import Form, read_form, tables_of

Header = tuple[bytes, bytes]


class Gone(Exception):
    """The client has closed its connection, or takes nothing of its answer."""


class Client:
    """The client's end of one request, usable from the query's thread."""

    def __init__(
        self,
        host: str,
        engine: Engine,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        loop: asyncio.AbstractEventLoop,
        send_seconds: float,
    ) -> None:
        self.gone = threading.Event()
        self.kind = "unknown"
        self.status: int | None = 500
        self.written_rows = 0
        self.query_id = ""
        self._host = host
        self._engine = engine
        self._send = send
        self._loop = loop
        self._send_seconds = send_seconds
        self._tag = secrets.token_hex(8)
        self._began = False
        self._head: list[MutableMapping[str, Any]] = []

    def headers(self) -> list[Header]:
        return [
            (b"x-clickhouse-query-id", _header(self.query_id)),
            (b"x-clickhouse-server-display-name", _header(self._host)),
            (b"x-clickhouse-timezone", _header(self._engine.timezone)),
            (b"x-clickhouse-exception-tag", self._tag.encode()),
        ]

    def begin(self, headers: list[Header]) -> None:
        """The head of an answer; it goes out with the first bytes."""
        self.status = 200
        self._head = [{"type": "http.response.start", "status": 200, "headers": headers}]

    def write(self, data: bytes | memoryview, *, more: bool) -> None:
        if self.gone.is_set():
            raise Gone
        head, self._head = self._head, []
        self._began = True
        self._wait(*head, {"type": "http.response.body", "body": bytes(data), "more_body": more})

    def _wait(self, *messages: MutableMapping[str, Any]) -> None:
        """Send, and wait until the client has room for more."""

        async def send() -> None:
            for message in messages:
                await self._send(message)

        future = asyncio.run_coroutine_threadsafe(send(), self._loop)
        try:
            future.result(self._send_seconds)
        except (concurrent.futures.TimeoutError, OSError):
            future.cancel()
            raise Gone from None

    async def refuse(self, error: ServerError) -> None:
        """Answer with the error; one that comes in the middle of an answer ends it as ClickHouse does."""
        text = f"{error} (version {self._engine.version})\n".encode()
        if self._began:
            self.status = 500
            tag = self._tag.encode()
            marked = b"__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag, text, len(text), tag)
            # The body stays without its end, so that no client can take it for whole; uvicorn closes the connection.
            await self._send({"type": "http.response.body", "body": b"\r\n" + marked, "more_body": True})
            return
        self.status = error.status
        headers = [
            *self.headers(),
            (b"x-clickhouse-exception-code", str(error.code).encode()),
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"content-length", str(len(text)).encode()),
        ]
        if error.status == 401:
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": text})


def reply(
    client: Client,
    engine: Engine,
    settings: EmbeddedSettings,
    method: str,
    url: Mapping[str, str],
    headers: Mapping[str, str],
    body: BinaryIO,
) -> None:
    """Run the query of a request and write its answer; on a thread.

    Raises:
        ServerError: nothing or only a part was written; the caller answers.
        Gone: the client left.
    """
    try:
        content_type = headers.get("content-type", "")
        is_form = content_type.startswith("multipart/form-data")
        form = read_form(content_type, body, settings.spool_bytes) if is_form else Form({}, {})
        request = read(method, url, headers, form.fields)
        client.query_id = request.query_id
        stream = Input(request.query, BytesIO() if is_form else body, request.content_encoding)
        with tempfile.SpooledTemporaryFile(settings.spool_bytes, dir=str(settings.spool_dir)) as held:
            with execute(engine, settings, request, stream, tables_of(request, form)) as answer:
                client.kind = answer.kind.value
                client.written_rows = answer.summary.written_rows
                chunks = compress(answer.chunks, choose(request.accept_encoding))
                # What is held back can still become an error with its own status, and its counts are final.
                is_whole = _hold(chunks, held, None if request.waits else CHUNK)
                if not is_whole:
                    client.begin(_headers(client, request, answer))
                    _send(client, held, more=True)
                    for piece in chunks:
                        client.write(piece, more=True)
            # The query is over, and its session free, before the client can see the end of the answer.
            if is_whole:
                length = (b"content-length", str(held.tell()).encode())
                client.begin([*_headers(client, request, answer), length])
                _send(client, held, more=False)
            else:
                client.write(b"", more=False)
    except (ServerError, Gone):
        raise
    except Exception as error:
        raise engine_error(error) from error


def _headers(client: Client, request: Request, answer: Answer) -> list[Header]:
    headers = [
        *client.headers(),
        (b"content-type", formats.content_type(answer.format).encode()),
        (b"x-clickhouse-format", _header(answer.format)),
        (b"x-clickhouse-summary", _summary(answer.summary)),
    ]
    if encoding := choose(request.accept_encoding):
        headers.append((b"content-encoding", encoding.encode()))
    return headers


def _send(client: Client, held: IO[bytes], *, more: bool) -> None:
    """Send what was held back."""
    size = held.tell()
    held.seek(0)
    while (chunk := held.read(CHUNK)) or size == 0:
        client.write(chunk, more=more or held.tell() < size)
        if held.tell() >= size:
            return


def _hold(chunks: Iterator[bytes | memoryview], held: IO[bytes], limit: int | None) -> bool:
    """Keep the chunks, up to ``limit`` bytes; True if these were all."""
    for chunk in chunks:
        held.write(chunk)
        if limit is not None and held.tell() >= limit:
            return False
    return True


def _summary(summary: Summary) -> bytes:
    counts = {
        "read_rows": summary.read_rows,
        "read_bytes": summary.read_bytes,
        "written_rows": summary.written_rows,
        "written_bytes": summary.written_bytes,
        "total_rows_to_read": summary.read_rows,
        "result_rows": summary.result_rows or summary.written_rows,
        "result_bytes": summary.result_bytes or summary.written_bytes,
        "elapsed_ns": int(summary.seconds * 1e9),
    }
    return msgspec.json.encode({key: str(value) for key, value in counts.items()})


def _header(text: str) -> bytes:
    """The text as a header's value: printable ASCII, so that no client's text can make a header of its own."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:200]).encode()
