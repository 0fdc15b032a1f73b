"""``python -m ingest``: serve the tracking routes until SIGTERM or Ctrl-C, then drain.

Several of these may share a port (SO_REUSEPORT). Each answers on ``HEADWATER_METRICS_PORT``, too, which is its own:
``/metrics``, ``/livez`` and ``/readyz`` there are this process's.
Exit codes: 0 stopped, 1 the port cannot be had, 2 a setting is wrong.
"""

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Final

import uvicorn

from ingest.service import Service
from schemas.settings import IngestSettings, InvalidSettings, load

METRICS_HOST: Final = "127.0.0.1"
BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75


def build(environ: Mapping[str, str]) -> Service:
    """The ASGI application; its lifespan starts and stops everything it needs.

    Raises :class:`InvalidSettings`, and OSError or ValueError for a secret file that cannot be used.
    """
    return Service(load(IngestSettings, environ))


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The client reports each failed attempt of many; the producer says once that Kafka is away.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load(IngestSettings, os.environ)
        service = Service(settings)
    except (InvalidSettings, OSError, ValueError) as error:
        print(f"ingest: {error}", file=sys.stderr)
        return 2
    server = settings.server
    try:
        listener = listen(server.http_host, server.http_port, shared=True)
        own = listen(METRICS_HOST, server.metrics_port, shared=False)
    except PortTaken as error:
        print(f"ingest: {error}", file=sys.stderr)
        return 1
    print(f"ingest: {url(listener)}/v1/projects/PROJECT_ID/events, metrics: {url(own)}/metrics", flush=True)

    # uvicorn raises the signal again once it has drained: stopping when asked to is a success.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    # What is loaded by now stays; later garbage is acyclic, so the collector may look for cycles rarely.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        proxy_headers=False,  # X-Forwarded-For is read by our own rule
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )
    uvicorn.Server(config).run(sockets=[listener, own])
    return 0


class PortTaken(Exception):
    """An address cannot be listened on; the message names it."""


def listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """A bound socket, which other processes may ``share``. Raises :class:`PortTaken`."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def url(listener: socket.socket) -> str:
    """Where a client finds this socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
