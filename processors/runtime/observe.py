"""``/metrics``, ``/livez`` and ``/readyz`` of a process without an API, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

HOST: Final = "127.0.0.1"
TEXT: Final = "text/plain; charset=utf-8"


Ready = Callable[[], bool | str]
"""True: all is well; a text: why not. Called in the listener's thread."""


@contextmanager
def observe(name: str, registry: CollectorRegistry, port: int, *, ready: Ready) -> Iterator[str]:
    """Listen on the port (0: a free one) while the block runs; says where, and gives the base URL."""
    observatory = Observatory(registry, ready)
    with ThreadingHTTPServer((HOST, port), observatory.handler()) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, name="observatory", daemon=True)
        thread.start()
        url = f"http://{HOST}:{server.server_address[1]}"
        print(f"{name}: metrics at {url}/metrics", flush=True)
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


class Observatory:
    """What the listener answers."""

    def __init__(self, registry: CollectorRegistry, ready: Ready) -> None:
        self._registry = registry
        self._ready = ready

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a GET."""
        match path.partition("?")[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
            case "/livez":
                return 200, TEXT, b"ok\n"
            case "/readyz":
                ready = self._ready()
                if ready is True:
                    return 200, TEXT, b"ok\n"
                return 503, TEXT, f"{ready or 'not ready'}\n".encode()
        return 404, TEXT, b"not found\n"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that the standard library calls
                status, content_type, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler
