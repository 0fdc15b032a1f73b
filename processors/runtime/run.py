"""Composes a stage's process: settings in, Kafka and the store connected, the loop run until SIGTERM."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from clickhouse.connection import Connection
from control.log import ControlLog
from control.metrics import ControlMetrics
from processors.runtime.downstream import Downstream
from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.loop import Loop
from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.observe import observe
from processors.runtime.worker import Worker
from processors.stages.result import Processor
from schemas.codec import RECORD_MAX_BYTES
from schemas.errors import HeadwaterError
from schemas.settings import StageSettings

logger = logging.getLogger(__name__)

Build = Callable[[StageSettings, ControlLog], Processor]

SESSION_TIMEOUT_MS = 6_000
REBALANCE_TIMEOUT_MS = 30_000
EXIT_S = 12
"""A process that was told to stop is gone after this, whatever its servers do."""
POLL_INTERVAL_MAX_MS = 600_000
"""An insert may take as long; in longer trouble the loop polls."""


class StageProcess:
    """One stage, ready to run: used by ``python -m processors`` and, in one process, by tests."""

    def __init__(self, settings: StageSettings, build: Build, *, failpoint: FailPoint = unharmed) -> None:
        self.registry = CollectorRegistry()
        self.control = ControlLog(
            settings.kafka, client_id="headwater-stage-control", metrics=ControlMetrics(self.registry)
        )
        self.processor = build(settings, self.control)
        self.metrics = ProcessorMetrics(self.registry, self.processor.stage)
        self._settings = settings
        self._failpoint = failpoint
        self.loop: Loop | None = None

    @property
    def _name(self) -> str:
        return f"headwater-{self.processor.stage.value}"

    def ready(self) -> str | None:
        return self.loop.ready() if self.loop is not None else "starting"

    def stop(self) -> None:
        if self.loop is not None:
            self.loop.stop()

    async def run(self) -> None:
        """Run until ``stop``. Raises :class:`HeadwaterError` or ``KafkaError`` if it cannot start."""
        settings = self._settings
        async with AsyncExitStack() as parts:
            await self.control.start()
            parts.push_async_callback(self.control.stop)
            producer = self._producer()
            parts.push_async_callback(producer.stop)
            await producer.start()
            consumer = self._consumer()
            parts.push_async_callback(consumer.stop)
            await consumer.start()
            self.loop = Loop(
                settings,
                self.processor,
                control=self.control,
                consumer=consumer,
                downstream=Downstream(self.processor, producer, settings.kafka.topic_prefix),
                worker=Worker(self.processor, Connection(settings.clickhouse), self.metrics),
                metrics=self.metrics,
                failpoint=self._failpoint,
            )
            await self.loop.run()

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka.kafka_bootstrap,
            client_id=self._name,
            acks="all",
            enable_idempotence=True,
            max_request_size=2 * RECORD_MAX_BYTES,
        )

    def _consumer(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            bootstrap_servers=settings.kafka.kafka_bootstrap,
            client_id=self._name,
            group_id=settings.kafka.topic_prefix + self._name,
            group_instance_id=f"{self._name}-{settings.instance}" if settings.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # never taken on trust: the loop knows which offset comes next
            fetch_max_bytes=settings.batch_max_bytes,
            max_partition_fetch_bytes=max(settings.batch_max_bytes // 4, 2 * RECORD_MAX_BYTES),
            fetch_max_wait_ms=100,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=POLL_INTERVAL_MAX_MS,
        )


async def _serve(process: StageProcess, settings: StageSettings) -> None:
    name = f"headwater-{process.processor.stage.value}"
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if process.loop is None:
            task.cancel()
        process.stop()
        loop.call_later(EXIT_S, give_up)

    def give_up() -> None:
        # A server that neither answers nor refuses would keep us. Dying with a batch in hand is harmless by design.
        logger.warning("not done after %d s; the batch in hand is given up", EXIT_S)
        os._exit(0)

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop)
    with observe(name, process.registry, settings.metrics_port, ready=lambda: process.ready() or True):
        await process.run()


def main(settings: StageSettings, build: Build, failpoint: FailPoint) -> int:
    """Run until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 a server is away."""
    process = StageProcess(settings, build, failpoint=failpoint)
    # A batch makes hundreds of thousands of small objects and no cycles: looking for some costs a third of its time.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    try:
        uvloop.run(_serve(process, settings))
    except asyncio.CancelledError:
        return 0
    except HeadwaterError as error:
        print(f"headwater-{process.processor.stage.value}: {error.message}", file=sys.stderr)
        return 1
    except (KafkaError, OSError) as error:
        print(f"headwater-{process.processor.stage.value}: Kafka cannot be used: {error}", file=sys.stderr)
        return 1
    return 0
