"""Sessions in a stage's state: found, opened and extended over one batch."""

from collections.abc import Iterable

from processors.core.buckets import Buckets
from processors.core.sessions import (
    DERIVED,
    KNOWN_MS,
    NAMED,
    Limits,
    Session,
    choose,
    decode,
    encode,
    remember,
)
from processors.stages.state import Overlay, State
from schemas.ids import session_id as derived_id


def tail_of(project_id: str, name: str) -> bytes:
    """End of a state key: a project, and a name within it."""
    return f"{project_id}\0{name}".encode()


class Visits:
    """The sessions that a batch may meet, loaded at once."""

    def __init__(self, limits: Limits, state: State, visits: Iterable[tuple[bool, bytes]], clocks: set[int]) -> None:
        """``visits``: (the client named the session, tail of its key). ``clocks``: buckets the clock may be in."""
        self._limits = limits
        self._known: Overlay[list[Session]] = Overlay(decode, encode)
        near = sorted({bucket for clock in clocks for bucket in (clock - 1, clock) if bucket >= 0})
        self._known.load(
            state,
            ((NAMED if named else DERIVED).key(bucket, tail) for named, tail in visits for bucket in near),
        )

    def join(self, project_id: str, visitor: str, named: str, tail: bytes, at: int, clock: int) -> tuple[Session, bool]:
        """The session of an event, and whether it was opened for it. ``named``: the client's session id, or empty."""
        buckets = NAMED if named else DERIVED
        older, newer = self._lists(buckets, tail, clock)
        session: Session | None = None
        if named:
            session = next(iter(newer or older), None)
        elif older or newer:
            session = choose([*older, *newer], at, self._limits)
        if session is None:
            session = Session(named or derived_id(project_id, visitor, at), at, at)
            self._open(buckets, tail, clock, session)
            return session, True
        self._touch(buckets, tail, clock, session)
        return session, False

    def recall(self, named: bool, tail: bytes, session_id: str, at: int, clock: int, *, opens: bool) -> Session | None:
        """The session that a stored event joined or opened; None if that is forgotten by now."""
        buckets = NAMED if named else DERIVED
        if opens:
            session = Session(session_id, at, at)
            self._open(buckets, tail, clock, session)
            return session
        older, newer = self._lists(buckets, tail, clock)
        for known in (*newer, *older):
            if known.id == session_id:
                self._touch(buckets, tail, clock, known)
                return known
        return None

    def writes(self, clock: int) -> dict[bytes, bytes]:
        """What to write at the end of the batch, at its clock."""
        live = NAMED.first_live(clock)
        return {key: value for key, value in self._known.writes().items() if NAMED.bucket_of(key) >= live}

    def _lists(self, buckets: Buckets, tail: bytes, clock: int) -> tuple[list[Session], list[Session]]:
        """The sessions opened in the bucket before the clock's, and in the clock's."""
        bucket = clock // KNOWN_MS
        older = self._known.get(buckets.key(bucket - 1, tail), []) if bucket else []
        return older, self._known.get(buckets.key(bucket, tail), [])

    def _open(self, buckets: Buckets, tail: bytes, clock: int, session: Session) -> None:
        key = buckets.key(clock // KNOWN_MS, tail)
        sessions = self._known.get(key, [])
        remember(sessions, session)
        self._known.change(key, sessions)

    def _touch(self, buckets: Buckets, tail: bytes, clock: int, session: Session) -> None:
        """Note that the session's list has changed. It stays in the bucket in which it was opened."""
        key = buckets.key(clock // KNOWN_MS, tail)
        if not any(known is session for known in self._known.get(key, ())):
            key = buckets.key(clock // KNOWN_MS - 1, tail)
        self._known.changed.add(key)
