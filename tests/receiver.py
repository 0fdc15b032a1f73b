"""A server that is told of conversions, on loopback: it keeps what it is told, and answers as it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook


class Told(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The body's JSON; raises unless the library accepts the signature."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[["Receiver", BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    """Answers with this status."""

    def answer(receiver: "Receiver", handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Receiver:
    """``answer`` may be changed at any time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/webhook"
        self.answer: Answer = status(200)
        self.told: list[Told] = []
        self.at_once = 0
        """Most requests that waited for the beginning of their answer at a time."""
        self._waiting: set[BaseHTTPRequestHandler] = set()
        self._lock = threading.Lock()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        with self._lock:
            self.told.append(Told(handler.path, {k.lower(): v for k, v in handler.headers.items()}, body))
            self._waiting.add(handler)
            self.at_once = max(self.at_once, len(self._waiting))
        try:
            self.answer(self, handler)
        except OSError:  # the sender has hung up
            pass
        finally:
            self.answers(handler)

    def answers(self, handler: BaseHTTPRequestHandler) -> None:
        """It is about to: from here on its sender may send the next."""
        with self._lock:
            self._waiting.discard(handler)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self)

        def do_GET(self) -> None:
            receiver.take(self)

        def send_response(self, code: int, message: str | None = None) -> None:
            receiver.answers(self)
            super().send_response(code, message)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
