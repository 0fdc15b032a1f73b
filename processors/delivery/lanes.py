"""Lanes: one a destination, which makes one attempt at a time.

1. A lane knows of each conversion only when its next attempt is due and when it expires; what there is to tell is read
   from the table when its turn has come, so that a long queue costs little memory.
2. What came of an attempt goes to the log of deliveries, and the lane goes on when the fold has taken it from there:
   the table is always what decides.
3. A slow or broken destination keeps only its own lane waiting.
"""

import asyncio
import contextlib
import contextvars
import heapq
from collections.abc import Awaitable, Callable
from typing import Final

from processors.delivery.folding import Known, Pending
from schemas.deliveries import Attempt

RECHECK_S: Final = 0.5
"""A disabled destination is looked at again so often."""

Key = tuple[str, str]
"""Destination and conversion."""
Make = Callable[[Key], Awaitable[Attempt | None]]
"""Makes the attempt that is due (or gives the delivery up) and returns it; None: the destination is disabled."""
Emit = Callable[[Attempt], Awaitable[None]]
"""Writes it to the log and returns once Kafka has it."""
Clock = Callable[[], int]


class Due:
    """Conversions in the order of a time, each at most once."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._current: dict[Key, tuple[int, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: Key, at: int) -> None:
        self._count += 1
        self._current[key] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, key))

    def drop(self, key: Key) -> None:
        self._current.pop(key, None)

    def first(self) -> tuple[int, Key] | None:
        """The earliest; of several the one that was set first."""
        while self._heap:
            at, count, key = self._heap[0]
            if self._current.get(key) == (at, count):
                return at, key
            heapq.heappop(self._heap)
        return None


class Lane:
    """The attempts of one destination."""

    def __init__(self, make: Make, emit: Emit, clock: Clock, slots: asyncio.Semaphore, begun: asyncio.Event) -> None:
        self._make = make
        self._emit = emit
        self._clock = clock
        self._slots = slots
        self._begun = begun
        self._due = Due()
        self._expiries = Due()
        self._changed = asyncio.Event()
        self._awaited: str | None = None
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self, failed: Callable[[BaseException], None]) -> None:
        """Begin. ``failed`` is told if the lane ends by an error of ours or of Kafka's."""
        # A context of its own: what the stream is at when a lane is made must not be what the table is asked for.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(
            lambda task: None if task.cancelled() or (error := task.exception()) is None else failed(error)
        )

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def set(self, key: Key, pending: Pending, expires_at: int) -> None:
        """The first pending delivery of a conversion."""
        self._due.set(key, pending.next_at)
        self._expiries.set(key, expires_at)
        self._changed.set()

    def drop(self, key: Key) -> None:
        """Nothing is pending of this conversion."""
        self._due.drop(key)
        self._expiries.drop(key)
        self._changed.set()

    def folded(self, attempt_id: str) -> None:
        """The fold has taken this attempt."""
        if attempt_id == self._awaited:
            self._awaited = None
            self._changed.set()

    async def _run(self) -> None:
        await self._begun.wait()
        while True:
            self._changed.clear()
            key, wait_ms = self._next()
            if key is None:
                await self._wait(wait_ms)
                continue
            async with self._slots:
                attempt = await self._make(key)
            if attempt is None:
                await asyncio.sleep(RECHECK_S)
                continue
            self._awaited = attempt.attempt_id
            await self._emit(attempt)
            while self._awaited is not None:
                await self._changed.wait()
                self._changed.clear()

    def _next(self) -> tuple[Key | None, int | None]:
        """What is to be done now, else how long to wait for something, ms."""
        now = self._clock()
        waits: list[int] = []
        for order in (self._expiries, self._due):
            if (first := order.first()) is not None:
                at, key = first
                if at <= now:
                    return key, None
                waits.append(at - now)
        return None, min(waits, default=None)

    async def _wait(self, wait_ms: int | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), None if wait_ms is None else wait_ms / 1000)


class Lanes:
    """All lanes of this process: of the destinations whose partitions it owns."""

    def __init__(
        self,
        make: Make,
        emit: Emit,
        *,
        clock: Clock,
        expires_at: Callable[[int], int],
        concurrency: int,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._make = make
        self._emit = emit
        self._clock = clock
        self._expires_at = expires_at
        self._slots = asyncio.Semaphore(concurrency)
        self._failed = failed
        self._lanes: dict[str, Lane] = {}
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Attempts may be made from now on."""
        self._begun.set()

    def __len__(self) -> int:
        """Conversions that wait, over all lanes."""
        return sum(len(lane) for lane in self._lanes.values())

    def update(self, key: Key, known: Known) -> None:
        """What is known of a conversion has changed."""
        lane = self._lanes.get(key[0])
        if known.pending:
            if lane is None:
                lane = self._lanes[key[0]] = Lane(self._make, self._emit, self._clock, self._slots, self._begun)
                lane.start(self._failed)
            first = known.pending[0]
            lane.set(key, first, self._expires_at(first.made_at))
        elif lane is not None:
            lane.drop(key)

    async def folded(self, attempt: Attempt) -> None:
        """The fold has taken an attempt, and told of what it changed."""
        lane = self._lanes.get(attempt.destination_id)
        if lane is not None:
            lane.folded(attempt.attempt_id)
            if not len(lane):
                del self._lanes[attempt.destination_id]
                await lane.stop()

    async def clear(self) -> None:
        """Stop all, until :meth:`begin`: the partitions are not ours. What is under way may have been received."""
        lanes, self._lanes = list(self._lanes.values()), {}
        self._begun = asyncio.Event()
        await asyncio.gather(*(lane.stop() for lane in lanes))
