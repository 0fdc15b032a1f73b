"""State that forgets: keys in buckets of time, dropped a whole bucket at once.

1. The clock of a partition is the latest ``received_at`` it has *stored*. Repeats and unreadable lines do not move it,
   so the facts alone tell it.
2. A bucket is live while the clock is in it or in the next one. What is in a dead bucket is not looked up, not written
   and soon deleted; when exactly it is deleted changes no answer.
"""

from collections.abc import Mapping
from typing import Final

BUCKET_BYTES: Final = 4


class Buckets:
    """Buckets of ``width_ms``, whose keys begin with ``prefix`` (one byte)."""

    def __init__(self, prefix: bytes, width_ms: int) -> None:
        self.prefix = prefix
        self.width_ms = width_ms
        self._heads: dict[int, bytes] = {}

    def of(self, at: int) -> int:
        """The bucket of a time (ms, not negative)."""
        return at // self.width_ms

    def first_live(self, clock: int) -> int:
        """The oldest live bucket. Never negative."""
        return max(clock // self.width_ms - 1, 0)

    def key(self, bucket: int, tail: bytes) -> bytes:
        """The state key of ``tail`` in this bucket."""
        return self.head(bucket) + tail

    def head(self, bucket: int) -> bytes:
        """What the keys of a bucket begin with. All heads are of one length and sort by bucket."""
        head = self._heads.get(bucket)
        if head is None:
            head = self._heads[bucket] = self.prefix + bucket.to_bytes(BUCKET_BYTES, "big")
        return head

    def dead_range(self, clock: int) -> tuple[bytes, bytes]:
        """Keys of dead buckets, first and beyond the last."""
        return self.head(0), self.head(self.first_live(clock))

    def live(self, writes: Mapping[bytes, bytes], clock: int) -> dict[bytes, bytes]:
        """Of writes under our prefix, those in live buckets."""
        first = self.head(self.first_live(clock))
        return {key: value for key, value in writes.items() if key >= first}
