"""``python -m processors delivery``: compose it, and run until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from clickhouse.read import Reader
from control.log import ControlLog
from control.metrics import ControlMetrics
from control.seals import Seals
from control.secret import load_secret
from processors.delivery.agents import Agents
from processors.delivery.announcements import Announcements
from processors.delivery.clicks import Clicks
from processors.delivery.courier import Courier, now_ms
from processors.delivery.exchange import Exchange
from processors.delivery.google_tokens import GoogleTokens
from processors.delivery.lanes import Lanes
from processors.delivery.log import DeliveryLog
from processors.delivery.metrics import DeliveryMetrics
from processors.delivery.recorder import Recorder
from processors.delivery.retries import Retries
from processors.runtime.observe import observe
from schemas.errors import HeadwaterError
from schemas.settings import DeliverySettings, load

logger = logging.getLogger(__name__)

NAME: Final = "headwater-delivery"
EXIT_S: Final = 2.5
"""A process that was told to stop is gone after this: what is under way is made again by the next one."""


class Delivery:
    """The process."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self.registry = CollectorRegistry()
        self._stopping = asyncio.Event()
        self._agents: Agents | None = None
        self._control: ControlLog | None = None

    def ready(self) -> bool | str:
        if self._agents is None or self._control is None or not self._agents.ready:
            return "starting"
        return self._control.healthy or "the control log cannot be followed"

    def stop(self) -> None:
        self._stopping.set()
        asyncio.get_running_loop().call_later(EXIT_S, os._exit, 0)

    async def run(self) -> None:
        """Run until :meth:`stop`. Raises :class:`HeadwaterError` or ``KafkaError`` if it cannot start."""
        settings = self._settings
        metrics = DeliveryMetrics(self.registry)
        retries = Retries(
            base_ms=settings.delivery_retry_base_ms,
            max_ms=settings.delivery_retry_max_ms,
            limit_ms=settings.delivery_retry_s * 1000,
        )
        async with AsyncExitStack() as parts:
            control = self._control = ControlLog(settings.kafka, client_id=NAME, metrics=ControlMetrics(self.registry))
            await control.start()
            parts.push_async_callback(control.stop)
            reader = Reader(settings.clickhouse)
            parts.push_async_callback(reader.stop)
            exchange = Exchange(timeout_ms=settings.delivery_timeout_ms, allow_private=settings.delivery_allow_private)
            parts.push_async_callback(exchange.close)
            log = DeliveryLog(settings.kafka)
            parts.push_async_callback(log.stop)
            await log.start()
            clicks = Clicks(reader, wait_ms=settings.delivery_click_wait_ms)
            announcements = Announcements(settings, control=control, log=log, clicks=clicks, metrics=metrics)
            for work in (Recorder(settings, metrics).run(), announcements.run()):
                task = asyncio.create_task(work)
                task.add_done_callback(_ended)
                parts.push_async_callback(_cancelled, task)
            agents = self._agents = Agents(settings, log=log, metrics=metrics, failed=give_up)
            courier = Courier(
                control=control,
                seals=Seals(load_secret(settings.secret_file)),
                clicks=clicks,
                exchange=exchange,
                google_tokens=GoogleTokens(exchange, clock=now_ms),
                retries=retries,
                failures_max=settings.delivery_failures_max,
                metrics=metrics,
                known=agents.known,
                failures=agents.failures,
            )
            lanes = Lanes(
                courier.make,
                log.emit,
                clock=now_ms,
                expires_at=retries.expires_at,
                concurrency=settings.delivery_concurrency,
                failed=give_up,
            )
            await agents.run(lanes, self._stopping)


def give_up(error: BaseException) -> None:
    """End the process at once, without a commit: what was not finished is done again by the next one."""
    logger.critical("delivery: cannot go on: %s", type(error).__name__, exc_info=error)
    logging.shutdown()
    os._exit(1)


def _ended(task: asyncio.Task[None]) -> None:
    """One of our loops has ended by itself: a bug, or an answer that no retry would change."""
    if not task.cancelled() and (error := task.exception()) is not None:
        give_up(error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _serve(settings: DeliverySettings) -> None:
    delivery = Delivery(settings)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, delivery.stop)
    with observe(NAME, delivery.registry, settings.metrics_port, ready=delivery.ready):
        await delivery.run()


def main(environ: Mapping[str, str]) -> int:
    """Entry of the command. Exit codes: 0 stopped, 1 a server is away."""
    settings = load(DeliverySettings, environ)
    try:
        asyncio.run(_serve(settings))
    except HeadwaterError as error:
        print(f"{NAME}: {error.message}", file=sys.stderr)
        return 1
    except (KafkaError, OSError) as error:
        print(f"{NAME}: Kafka cannot be used: {error}", file=sys.stderr)
        return 1
    return 0
