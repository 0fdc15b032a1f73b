"""``python -m deploy.web``: ingest and read API on one port, told apart by method and path.

Several of these processes share the port (SO_REUSEPORT). Each answers on ``HEADWATER_METRICS_PORT``, too, which is its
own. SIGTERM: no new connections, requests under way are answered, then both applications are shut down.
Exit codes: 0 stopped, 1 an application could not start or the port cannot be had, 2 a setting is wrong.
"""

import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

import uvicorn

import clickhouse.api.__main__
import ingest.__main__
import ingest.openapi
from deploy.composition import Composition
from ingest.__main__ import BACKLOG, KEEP_ALIVE_S, METRICS_HOST, PortTaken, listen
from ingest.routes import claims
from schemas.settings import InvalidSettings, ServerSettings, load

DRAIN_S: Final = 3
"""Below what deploy.processes leaves to this part."""


def main(environ: Mapping[str, str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The client reports each failed attempt of many; whoever uses it says once that Kafka is away.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load(ServerSettings, environ)
        api = clickhouse.api.__main__.build(environ, ingest.openapi.document())
        application = Composition(ingest.__main__.build(environ), api, claims)
    except (InvalidSettings, OSError, ValueError) as error:
        print(f"web: {error}", file=sys.stderr)
        return 2
    try:
        listeners = [
            listen(settings.http_host, settings.http_port, shared=True),
            listen(METRICS_HOST, settings.metrics_port, shared=False),
        ]
    except PortTaken as error:
        print(f"web: {error}", file=sys.stderr)
        return 1

    # uvicorn raises the signal again once it has drained: stopping when asked to is a success.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        proxy_headers=False,  # ingest reads X-Forwarded-For by a rule of its own
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = uvicorn.Server(config)
    server.run(sockets=listeners)
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
