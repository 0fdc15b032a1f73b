"""Which session an event belongs to, and what is known of that session.

1. A session id of the client names the session, within its project.
2. Else a session is a visitor's events, by event time: one that is at most 30 minutes before or after a session, and
   leaves it at most 24 hours long, joins it, extending it forwards or backwards. One that fits none opens its own.
3. Of several that fit, the session that spans the event comes first, then the nearer one, then the earlier one. A late
   event that would close a gap joins one side: sessions are never merged, so no row written before is wrong.
4. The first pageview by event time, ties by event id, gives the session its source. Each event is stamped with what is
   known when it is processed; the table ``sessions`` holds the end result for all of them.
5. A session is known for at least ``KNOWN_MS`` (three days) of receipt after the stage first saw it: that is the
   lateness bound. As a session spans a day at most, an event up to two days late finds it. Later ones open it anew,
   which is the same session again if the client named it.
6. Of a visitor's unnamed sessions of one bucket the last eight opened are known, so that a visitor key that all the
   world shares costs no more than eight.
7. Event time alone decides; receipt only bounds what is remembered.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from processors.core.buckets import Buckets
from processors.core.touches import UNKNOWN, Source

DAY_MS: Final = 86_400_000
KNOWN_MS: Final = 3 * DAY_MS
KNOWN_PER_VISITOR: Final = 8
KNOWN_IDENTITIES: Final = 16
"""So many identities of a session are remembered as announced; further ones are announced with each event."""

NAMED: Final = Buckets(b"n", KNOWN_MS)
"""Sessions by project and the client's session id."""
DERIVED: Final = Buckets(b"s", KNOWN_MS)
"""Sessions by project and visitor."""


class Limits(msgspec.Struct, frozen=True):
    """When a session ends."""

    idle_ms: int = 30 * 60_000
    longest_ms: int = DAY_MS


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first pageview so far."""

    at: int
    order: bytes
    source: Source


class Session(msgspec.Struct, array_like=True):
    """What is known of a session."""

    id: str
    started_at: int
    ended_at: int
    entry: Entry | None = None
    identities: list[tuple[str, str]] = []

    @property
    def source(self) -> Source:
        return self.entry.source if self.entry is not None else UNKNOWN

    def begins_with(self, at: int, order: bytes) -> bool:
        """Whether a pageview there would be the first so far."""
        return self.entry is None or (at, order) < (self.entry.at, self.entry.order)

    def unannounced(self, identities: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Identities (kind, value) that are new to the session. Empty values are none."""
        known = self.identities
        return [identity for identity in identities if identity[1] and identity not in known]

    def observe(self, at: int, order: bytes, touch: Source | None, announced: Sequence[tuple[str, str]]) -> None:
        """Take in a stored event: with its touch, if it is one, and the identities announced with it."""
        if at < self.started_at:
            self.started_at = at
        if at > self.ended_at:
            self.ended_at = at
        if touch is not None and self.begins_with(at, order):
            self.entry = Entry(at, order, touch)
        if announced:
            room = KNOWN_IDENTITIES - len(self.identities)
            self.identities = [*self.identities, *announced[:room]]


def choose(sessions: Iterable[Session], at: int, limits: Limits) -> Session | None:
    """The session that an event at this time joins (rules 2 and 3)."""
    best: Session | None = None
    best_rank = (0, 0)
    for session in sessions:
        started_at, ended_at = session.started_at, session.ended_at
        if at < started_at:
            gap, span = started_at - at, ended_at - at
        elif at > ended_at:
            gap, span = at - ended_at, at - started_at
        else:
            gap, span = 0, ended_at - started_at
        if gap > limits.idle_ms or span > limits.longest_ms:
            continue
        rank = (gap, started_at)
        if best is None or rank < best_rank:
            best, best_rank = session, rank
    return best


def remember(known: list[Session], opened: Session) -> None:
    """Add a visitor's new session; the one opened longest ago is forgotten if there are too many."""
    known.append(opened)
    del known[:-KNOWN_PER_VISITOR]


def order_of(event_id: bytes) -> bytes:
    """Sorts as ClickHouse sorts UUIDs, which is by the second half first: ties must break as they do in SQL."""
    return event_id[8:] + event_id[:8]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[Session]).decode
