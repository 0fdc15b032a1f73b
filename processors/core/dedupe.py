"""Which event is a repeat.

1. Two events are one if their project and ``event_id`` are equal and they were received at most one window apart.
2. The first in the log is the event. A repeat leaves no trace in the state, so a chain of repeats ends.
3. A repeat whose checksum differs is a conflict: counted, and otherwise a repeat.
4. Keys are in buckets as wide as the window, so whatever matters to an event is in its bucket or next to it.
"""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from processors.core.buckets import Buckets

PREFIX: Final = b"d"
_PACKED: Final = struct.Struct(">QI")


class Seen(NamedTuple):
    """What is remembered of an event."""

    received_at: int
    checksum: int

    def pack(self) -> bytes:
        return _PACKED.pack(*self)

    @classmethod
    def unpack(cls, value: bytes) -> "Seen":
        return cls(*_PACKED.unpack(value))


class Dedupe:
    """The rule for one window."""

    def __init__(self, window_ms: int) -> None:
        self.window_ms = window_ms
        self.buckets = Buckets(PREFIX, window_ms)

    def heads(self, received_at: int, oldest: int, newest: int) -> list[bytes]:
        """Of keys under which an event may have been seen, in the buckets that there are: ``oldest`` to ``newest``."""
        bucket = received_at // self.window_ms
        return [self.buckets.head(near) for near in (bucket - 1, bucket, bucket + 1) if oldest <= near <= newest]

    def find(self, seen: Mapping[bytes, Seen], places: list[bytes], received_at: int, clock: int) -> Seen | None:
        """The event that this one repeats, if any. ``places``: the keys, a head and the event's tail each."""
        for place in places:
            found = seen.get(place)
            if (
                found is not None
                and abs(received_at - found.received_at) <= self.window_ms
                and place >= self.buckets.head(self.buckets.first_live(clock))
            ):
                return found
        return None

    def place(self, tail: bytes, received_at: int, clock: int) -> bytes | None:
        """Key under which to remember a stored event; None if its bucket is dead already."""
        bucket = received_at // self.window_ms
        return self.buckets.key(bucket, tail) if bucket >= self.buckets.first_live(clock) else None
