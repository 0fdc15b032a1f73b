"""When a delivery is tried again. Pure but for the draw that is passed in."""

from collections.abc import Callable
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
DOUBLINGS_MAX: Final = 32
RETRY_AFTER_MAX_MS: Final = HOUR_MS
"""A receiver may ask for so much patience, and not for more."""

Draw = Callable[[float, float], float]


class Retries(msgspec.Struct, frozen=True):
    """Exponential backoff with full jitter: a receiver that comes back is not met by everyone at once."""

    base_ms: int
    max_ms: int
    limit_ms: int
    """So long after its task was made a delivery is given up."""

    def next_at(self, made_at: int, attempts: int, now: int, draw: Draw, retry_after_ms: int = 0) -> int:
        """Time of the attempt after ``attempts`` failed ones, ms; 0 if the time for it is over."""
        longest = min(self.max_ms, self.base_ms * 2 ** min(attempts - 1, DOUBLINGS_MAX))
        delay = max(int(draw(0, longest)), min(retry_after_ms, RETRY_AFTER_MAX_MS), 1)
        at = now + delay
        return at if at < self.expires_at(made_at) else 0

    def expires_at(self, made_at: int) -> int:
        return made_at + self.limit_ms
