"""State that forgets: keys in buckets of time, dropped a whole bucket at once.

1. The clock of a partition is the latest ``received_at`` it has *stored*. Repeats and unreadable lines do not move it,
   so the facts alone tell it.
2. A bucket is live while the clock is in it or in the next one. What is in a dead bucket is not looked up, not written
   and soon deleted; when exactly it is deleted changes no answer.
"""

from typing import Final

BUCKET_BYTES: Final = 4


class Buckets:
    """Buckets of ``width_ms``, whose keys begin with ``prefix`` (one byte)."""

    def __init__(self, prefix: bytes, width_ms: int) -> None:
        self.prefix = prefix
        self.width_ms = width_ms

    def of(self, at: int) -> int:
        """The bucket of a time (ms, not negative)."""
        return at // self.width_ms

    def first_live(self, clock: int) -> int:
        """The oldest live bucket. Never negative."""
        return max(clock // self.width_ms - 1, 0)

    def key(self, bucket: int, tail: bytes) -> bytes:
        """The state key of ``tail`` in this bucket."""
        return self.prefix + bucket.to_bytes(BUCKET_BYTES, "big") + tail

    def bucket_of(self, key: bytes) -> int:
        """The bucket that a key of ours is in."""
        return int.from_bytes(key[1 : 1 + BUCKET_BYTES], "big")

    def dead_range(self, clock: int) -> tuple[bytes, bytes]:
        """Keys of dead buckets, first and beyond the last."""
        return self.key(0, b""), self.key(self.first_live(clock), b"")
