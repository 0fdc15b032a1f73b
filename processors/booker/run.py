"""``python -m processors booker``: hold the lease, then book, fold and sweep until told to stop."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Mapping

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from clickhouse.connection import Connection
from control.contact_keys import ContactKeys
from control.contacts import Contacts
from control.identities import Identities
from control.log import ControlLog
from control.secret import load_secret
from processors.booker.books import Books, LeaseLost
from processors.booker.erasure import Erasure
from processors.booker.forgetters import Forgetters
from processors.booker.lease import Lease
from processors.booker.metrics import BookerMetrics
from processors.booker.scope import Head
from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.observe import observe
from schemas.errors import HeadwaterError
from schemas.settings import BookerSettings, load

log = logging.getLogger("headwater.booker")

RETRY_S = 1.0
FOLD_CHECK_RUNS = 50
TROUBLE = (HeadwaterError, KafkaError)
"""The world is wrong: give the run up, its entries count for nothing, and compute anew."""


class Booker:
    """The loop. Dies at the fail point, if it is told to."""

    def __init__(
        self, settings: BookerSettings, registry: CollectorRegistry, *, failpoint: FailPoint = unharmed
    ) -> None:
        self._settings = settings
        self._failpoint = failpoint
        self._metrics = BookerMetrics(registry)
        self._control = ControlLog(settings.kafka, client_id="headwater-booker")
        self._lease = Lease(settings.kafka, settings.instance)
        self._stopping = asyncio.Event()
        self._swept_at = time.monotonic()
        self.ready = False

    def stop(self) -> None:
        """Finish the run in hand, leave the group, return from :meth:`run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Book until :meth:`stop`."""
        await self._until_it_works(self._control.start)
        await self._until_it_works(self._lease.start)
        try:
            while not self._stopping.is_set():
                try:
                    await self._lead()
                except TROUBLE as error:
                    self._metrics.failures.inc()
                    log.warning("booker: %s; trying again", error if isinstance(error, HeadwaterError) else type(error))
                    await self._pause(RETRY_S)
        finally:
            await self._lease.stop()
            await self._control.stop()

    async def _lead(self) -> None:
        """Book as long as the lease is held."""
        books: Books | None = None
        forgetters: Forgetters | None = None
        try:
            while not self._stopping.is_set():
                held = await self._lease.held()
                self._metrics.leads.set(held)
                self.ready = True
                if not held and forgetters is not None:
                    await asyncio.to_thread(forgetters.close)
                    forgetters = None
                if not held:
                    books = None
                    await self._pause(RETRY_S)
                    continue
                if books is None:
                    books = await asyncio.to_thread(self._open, asyncio.get_running_loop())
                    forgetters = Forgetters(self._erasure(), self._control, self._lease.confirm)
                started = time.monotonic()
                try:
                    await self._work(books)
                    if forgetters is not None:
                        await forgetters.work(books.sweep)
                except LeaseLost:
                    log.warning("booker: another one took over; this run is not committed")
                await self._pause(self._settings.run_interval_ms / 1000 - (time.monotonic() - started))
        finally:
            self._metrics.leads.set(0)
            if books is not None:
                await asyncio.to_thread(books.ledger.close)
            if forgetters is not None:
                await asyncio.to_thread(forgetters.close)

    def _erasure(self) -> Erasure:
        secret = load_secret(self._settings.secret_file)
        return Erasure(
            Connection(self._settings.clickhouse),
            Identities(secret),
            Contacts(secret, ContactKeys.beside(self._settings.secret_file)),
            failpoint=self._failpoint,
        )

    def _open(self, loop: asyncio.AbstractEventLoop) -> Books:
        return Books(
            Connection(self._settings.clickhouse),
            self._control.view,
            self._settings,
            confirm=lambda: asyncio.run_coroutine_threadsafe(self._lease.confirm(), loop).result(timeout=30),
            failpoint=self._failpoint,
        )

    async def _work(self, books: Books) -> None:
        booked = await self._timed("book", books.book)
        self._metrics.last_success.set_to_current_time()
        if time.monotonic() - self._swept_at >= self._settings.sweep_interval_s:
            self._swept_at = time.monotonic()
            await self._timed("sweep", books.sweep)
        if booked is not None and booked.number % FOLD_CHECK_RUNS == 0:
            await self._timed("fold", books.fold)

    async def _timed(self, kind: str, work: Callable[[], Head | None]) -> Head | None:
        started = time.monotonic()
        committed = await asyncio.to_thread(work)
        if committed is not None:
            self._metrics.runs.labels(kind).inc()
            self._metrics.run_seconds.labels(kind).observe(time.monotonic() - started)
            self._metrics.number.set(committed.number)
        return committed

    async def _until_it_works(self, start: Callable[[], Coroutine[None, None, None]]) -> None:
        """Or until :meth:`stop`: a start waits for Kafka longer than whoever stops us."""
        while not self._stopping.is_set():
            starting, stopping = asyncio.create_task(start()), asyncio.create_task(self._stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (starting, stopping):
                task.cancel()
            await asyncio.wait({starting, stopping})
            if starting.cancelled() or (error := starting.exception()) is None:
                return
            if not isinstance(error, TROUBLE):
                raise error
            log.warning("booker: waiting for Kafka (%s)", type(error).__name__)
            await self._pause(RETRY_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), timeout=max(seconds, 0))


async def serve(settings: BookerSettings, failpoint: FailPoint) -> None:
    """Run a booker with its metrics until SIGTERM or SIGINT."""
    registry = CollectorRegistry()
    booker = Booker(settings, registry, failpoint=failpoint)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, booker.stop)
    with observe("booker", registry, settings.metrics_port, ready=lambda: booker.ready or "starting"):
        await booker.run()


def main(environ: Mapping[str, str], failpoint: FailPoint) -> int:
    """Entry of the command."""
    asyncio.run(serve(load(BookerSettings, environ), failpoint))
    return 0
