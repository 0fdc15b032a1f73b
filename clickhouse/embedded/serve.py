"""``python -m clickhouse serve``: the embedded server, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping

import uvicorn

from clickhouse.embedded.directory import DirectoryLock, StartError, empty_spool
from clickhouse.embedded.settings import EmbeddedSettings, SettingsError, from_environ


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Serve; the exit code is 0 after a signal, 1 if the server could not start, 2 for wrong arguments."""
    if arguments:
        print("usage: python -m clickhouse serve (settings are HEADWATER_ variables)", file=sys.stderr)
        return 2
    try:
        return serve(from_environ(environ))
    except (SettingsError, StartError) as error:
        print(f"clickhouse: {error}", file=sys.stderr)
        return 1


def serve(settings: EmbeddedSettings) -> int:
    """Own the directory, listen, answer until a signal, finish what runs.

    Raises:
        StartError: the directory or the port is not to be had, or the engine does not start.
    """
    lock = DirectoryLock(settings.data_dir)
    lock.acquire()
    try:
        with _listening(settings) as listener:
            empty_spool(settings.spool_dir)
            return _run(settings, listener)
    finally:
        lock.release()


@contextlib.contextmanager
def _listening(settings: EmbeddedSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol named, asyncio sets TCP_NODELAY on what it accepts; without it every answer takes 40 ms more.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            listener.listen(512)
        except OSError as error:
            raise StartError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
        yield listener


def _run(settings: EmbeddedSettings, listener: socket.socket) -> int:
    # Dates must not depend on the laptop's time zone. The engine reads it when it is loaded: hence the late import.
    os.putenv("TZ", "UTC")
    time.tzset()
    from clickhouse.embedded.app import Application
    from clickhouse.embedded.engine import Engine
    from clickhouse.embedded.errors import ServerError

    engine = Engine(settings)
    try:
        engine.open()
    except ServerError as error:
        raise StartError(f"the engine does not start on {settings.data_dir}: {error}") from None
    application = Application(settings, engine)
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=int(settings.drain_seconds),
        backlog=512,
    )
    asyncio.run(_Server(config, settings.url).serve(sockets=[listener]))
    if not application.close():
        # A query that does not end must not keep the process; to the tables it is like a kill, which they survive.
        sys.stdout.flush()
        os._exit(0)
    engine.close()
    return 0


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and whose process ends with 0 after a signal instead of by the signal."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"clickhouse: listening on {self._url}", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, self, "should_exit", True)
        yield
