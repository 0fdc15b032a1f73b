"""``python -m clickhouse api``: serve the read and control API until SIGTERM or Ctrl-C.

Exit codes: 0 stopped, 1 Kafka is away or the port is taken, 2 a setting is wrong.
"""

import logging
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Final, NoReturn

import uvicorn

from clickhouse.api.app import create_app
from clickhouse.api.docs import Document
from clickhouse.api.metrics import Application
from schemas.settings import ApiSettings, InvalidSettings, load

DRAIN_LIMIT_S: Final = 10


def build(environ: Mapping[str, str], more_openapi: Document | None = None) -> Application:
    """The ASGI application, configured. Raises :class:`schemas.settings.InvalidSettings`."""
    return create_app(load(ApiSettings, environ), more_openapi=more_openapi)


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Serve. There are no arguments: everything is a setting."""
    if arguments:
        print(f"api: takes no arguments, got {' '.join(arguments)}", file=sys.stderr)
        return 2
    try:
        settings = load(ApiSettings, environ)
    except InvalidSettings as error:
        print(f"api: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The client tells of each connection; what matters is said by the control log.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.server.http_host,
            port=settings.server.http_port,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_LIMIT_S,
        )
    )
    # uvicorn stops gracefully and then raises the signal again, for whoever handled it before.
    signal.signal(signal.SIGTERM, _asked_to_end)
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    return 0 if server.started else 1


def _asked_to_end(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
