"""So many requests a minute for each name: an exact sliding window, in the memory of one process.

A request counts against the sixty seconds before it; a refused one is not counted. Of n ingest processes each counts
what reaches it, so together they let through at most n times the limit, and exactly the limit to a client that keeps
its connection.
"""

import math
from collections import deque
from typing import Final

import msgspec

WINDOW_S: Final = 60.0
IDLE_CHECK: Final = 1024
"""Names are looked through for idle ones whenever this many were added."""


class Verdict(msgspec.Struct, frozen=True):
    """What a request may do."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int
    """Seconds until the oldest counted request leaves the window."""


class RateLimit:
    """Counts the requests of each name."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, deque[float]] = {}
        self._added = 0

    def take(self, name: str, now: float) -> Verdict:
        """Count a request at ``now`` (seconds of a clock that never goes back), unless the limit is reached."""
        times = self._seen.get(name)
        if times is None:
            times = self._add(name, now)
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        allowed = len(times) < self._limit
        if allowed:
            times.append(now)
        reset = math.ceil(times[0] + WINDOW_S - now)
        return Verdict(allowed, self._limit, self._limit - len(times), max(reset, 1))

    def _add(self, name: str, now: float) -> deque[float]:
        self._added += 1
        if self._added % IDLE_CHECK == 0:
            self._seen = {name: times for name, times in self._seen.items() if times and times[-1] > now - WINDOW_S}
        return self._seen.setdefault(name, deque())
