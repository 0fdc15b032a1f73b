"""What stands between a browser and an installation: the shop's own site, and the network, which a test can break."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

HOLD_LIMIT_S: Final = 30.0
STUB: Final = "window.oa=window.oa||function(){(oa.q=oa.q||[]).push(arguments)}"
"""As documented: calls before the script has loaded."""


class Weather(Enum):
    """What the network does to a POST."""

    FAIR = "forwarded, and answered"
    NOT_SENT = "lost on its way"
    NOT_ANSWERED = "forwarded, its answer lost"
    UNAVAILABLE = "answered 503"
    HELD = "on its way until the test lets it arrive"


class Network:
    """A reverse proxy in front of an installation, and a note of all that went through."""

    def __init__(self, target: str) -> None:
        self.weather = Weather.FAIR
        self.posts: list[list[dict[str, Any]]] = []
        """The events of each POST, whether or not it arrived."""
        self.requests: list[str] = []
        self.arrive = threading.Event()
        self.url = ""
        self._target = target

    @property
    def posted(self) -> list[dict[str, Any]]:
        """All events in all POSTs: again, if they were sent again."""
        return [event for post in self.posts for event in post]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """Each event once, as it was sent first: a page left before its answer came has its events sent again."""
        first: dict[str, dict[str, Any]] = {}
        for event in self.posted:
            first.setdefault(event["event_id"], event)
        return list(first.values())

    def posted_of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.posted if event["event_type"] == event_type]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.requests.append(handler.requestline)
        weather = self.weather
        if handler.command == "POST":
            self.posts.append(json.loads(body))
            if weather is Weather.NOT_SENT:
                return
            if weather is Weather.UNAVAILABLE:
                reply(handler, 503, {"Access-Control-Allow-Origin": "*", "Retry-After": "1"})
                return
            if weather is Weather.HELD:
                assert self.arrive.wait(HOLD_LIMIT_S)
        kept = ("content-type", "user-agent", "if-none-match", "accept-encoding", "origin")
        headers = {name: value for name, value in handler.headers.items() if name.lower() in kept}
        url = self._target + handler.path
        with httpx.stream(handler.command, url, content=body, headers=headers, timeout=30) as answer:
            content = b"".join(answer.iter_raw())
        if handler.command == "POST" and weather is Weather.NOT_ANSWERED:
            return
        reply(handler, answer.status_code, dict(answer.headers), content)


class Site:
    """A shop: every path of it is the same page, and may link to the others."""

    def __init__(self) -> None:
        self.html = ""
        self.headers: dict[str, str] = {}
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/favicon.ico":
            reply(handler, 404, {})
        else:
            reply(handler, 200, {"Content-Type": "text/html; charset=utf-8", **self.headers}, self.html.encode())


@contextmanager
def serving(answers: Network | Site) -> Iterator[str]:
    """The server's URL, as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            try:
                answers.answer(self)
            except ConnectionError:
                self.close_connection = True  # the page was closed meanwhile

        do_GET = do_HEAD = do_POST = do_OPTIONS = do  # noqa: N815 (the names that http.server looks for)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    handler.send_response(status)
    for name, value in headers.items():
        if name.lower() not in ("content-length", "date", "server", "connection", "transfer-encoding"):
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
