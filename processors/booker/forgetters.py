"""When persons are forgotten: at once, again a little later, and then now and then, until nothing can come in late."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from control.log import ControlLog
from processors.booker.erasure import Erasure
from schemas.control import Forgotten

AGAIN_S: Final = 30.0
"""A stage that had not heard of the request when it was made has by then."""
LATER_S: Final = 3600.0
LATE_MS: Final = 8 * 86_400_000
"""Longer than Kafka keeps raw events by default: what a replay brings in is looked for as long."""


class Forgetters:
    """Looks after all requests of the control log. Belongs to the booker that holds the lease."""

    def __init__(self, erasure: Erasure, control: ControlLog, confirm: Callable[[], Awaitable[bool]]) -> None:
        self._erasure = erasure
        self._control = control
        self._confirm = confirm
        self._due: dict[str, float] = {}
        """When to look again, by request; infinity: never."""

    def close(self) -> None:
        """Close the connection."""
        self._erasure.close()

    async def work(self, sweep: Callable[[], object]) -> int:
        """Forget whom it is time for; how many rounds were done."""
        now = time.monotonic()
        requests = [one for some in self._control.view.forgotten_by_project.values() for one in some.values()]
        due = [request for request in requests if self._due.get(request.id, 0.0) <= now]
        if not due:
            return 0
        rounds = await asyncio.to_thread(self._erasure.rounds)
        done = 0
        for request in sorted(due, key=lambda one: (one.requested_at, one.id)):
            last = rounds.get(request.id)
            over = last is not None and last.done and time.time_ns() // 1_000_000 > request.requested_at + LATE_MS
            if over or not await self._confirm():
                self._due[request.id] = float("inf") if over else 0.0
                continue
            begun = await asyncio.to_thread(self._erasure.begin, request, last)
            if begun is not None:
                resolved = await self._resolved(request)
                await asyncio.to_thread(self._erasure.erase, resolved, begun, sweep)
                done += 1
            self._due[request.id] = time.monotonic() + (AGAIN_S if begun is not None else LATER_S)
        return done

    async def _resolved(self, request: Forgotten) -> Forgotten:
        """The request with its identities, which every stage then knows, too."""
        if request.resolved:
            return request
        found = await asyncio.to_thread(self._erasure.hashes, request)
        entry = await self._control.change(
            Forgotten, request.id, lambda newest: msgspec.structs.replace(newest, identities=found)
        )
        return msgspec.convert(entry.body, Forgotten)
