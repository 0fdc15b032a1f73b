"""The ingest process's parts, started and stopped together: control log, producer, application.

It listens at once, whatever Kafka does: until the keys are read and a producer is connected, ``/readyz`` and every
event are answered 503.
"""

import asyncio
import logging
from typing import Final

from prometheus_client import CollectorRegistry

from control.log import ControlLog
from control.metrics import ControlMetrics
from control.secret import load_secret
from ingest.app import ASGIScope, IngestApp, Send, create_app
from ingest.metrics import IngestMetrics
from ingest.producer import EventProducer
from ingest.upload import Receive
from schemas.errors import Unavailable
from schemas.settings import IngestSettings

logger = logging.getLogger(__name__)

CLIENT_ID: Final = "headwater-ingest"


class Service:
    """An ASGI application that owns its parts: the lifespan events start and stop them."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self.registry = CollectorRegistry()
        self._metrics = IngestMetrics(self.registry)
        self._secret = load_secret(settings.secret_file)
        self._log: ControlLog | None = None
        self._producer: EventProducer | None = None
        self._app: IngestApp | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start all parts in the running loop. Does not wait for Kafka."""
        # The parts belong to the loop they are made in, so they are made here.
        self._log = ControlLog(self._settings.kafka, client_id=CLIENT_ID, metrics=ControlMetrics(self.registry))
        log = self._log
        self._producer = EventProducer(self._settings, control_offset=lambda: log.offset, metrics=self._metrics)
        self._app = create_app(self._settings, self._log, self._producer, self._metrics, secret=self._secret)
        await self._producer.start()
        self._reading = asyncio.create_task(_read_log(self._log), name="ingest-control")

    async def stop(self) -> None:
        """Send what was accepted, then stop all parts. Requests in flight should have ended."""
        if self._producer is not None:
            await self._producer.stop()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._log is not None:
            await self._log.stop()

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await self.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.stop()
            await send({"type": "lifespan.shutdown.complete"})
        elif self._app is None:
            raise RuntimeError("the lifespan was not started")
        else:
            await self._app(scope, receive, send)


async def _read_log(log: ControlLog) -> None:
    while True:
        try:
            return await log.start()
        except Unavailable:
            logger.warning("the control log cannot be read yet")
