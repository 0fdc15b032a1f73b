"""Sessions in a stage's state: found, opened and extended over one batch."""

from collections.abc import Iterable

from processors.core.sessions import DERIVED, KNOWN_MS, NAMED, Limits, Session, choose, decode, encode, remember
from processors.stages.state import Overlay, State
from schemas.ids import session_id as derived_id


def visit_of(project_id: str, visitor: str, named: str) -> bytes:
    """Where an event's sessions are kept: by the client's session id if it gave one, else by visitor."""
    return f"n{project_id}\0{named}".encode() if named else f"s{project_id}\0{visitor}".encode()


def mailbox_of(visitor: str) -> str:
    """Stands for the visitor where e-mail is concerned.

    Reading e-mail is no visit of the site: it has sessions of its own, and neither opens nor prolongs those of visits.
    """
    return "mail\x1f" + visitor


class _Slot:
    """The sessions at one place: those opened in the clock's bucket, and in the one before."""

    __slots__ = ("bucket", "newer", "newer_key", "older", "older_key")

    def __init__(self, visit: bytes, bucket: int, known: Overlay[list[Session]]) -> None:
        buckets = NAMED if visit[:1] == NAMED.prefix else DERIVED
        self.bucket = bucket
        self.newer_key = buckets.key(bucket, visit[1:])
        self.older_key = buckets.key(bucket - 1, visit[1:]) if bucket else b""
        self.newer = known.get(self.newer_key, [])
        self.older = known.get(self.older_key, [])


class Visits:
    """The sessions that a batch may meet, loaded at once."""

    def __init__(self, limits: Limits, state: State, visits: Iterable[bytes], clocks: set[int]) -> None:
        """``visits``: places of :func:`visit_of`. ``clocks``: buckets that the clock may be in."""
        self._limits = limits
        self._known: Overlay[list[Session]] = Overlay(decode, encode)
        self._slots: dict[bytes, _Slot] = {}
        near = sorted({bucket for clock in clocks for bucket in (clock - 1, clock) if bucket >= 0})
        self._known.load(
            state,
            (
                (NAMED if visit[:1] == NAMED.prefix else DERIVED).key(bucket, visit[1:])
                for visit in dict.fromkeys(visits)
                for bucket in near
            ),
        )

    def join(
        self, visit: bytes, project_id: str, visitor: str, named: str, at: int, clock: int
    ) -> tuple[Session, bool]:
        """The session of an event, and whether it was opened for it. ``named``: the client's session id, or empty."""
        slot = self._slot(visit, clock)
        newer, older = slot.newer, slot.older
        session: Session | None = None
        if named:
            session = next(iter(newer or older), None)
        elif newer or older:
            session = choose([*older, *newer] if older else newer, at, self._limits)
        if session is None:
            session = Session(named or derived_id(project_id, visitor, at), at, at)
            self._open(slot, session)
            return session, True
        self._extend(slot, session)
        return session, False

    def recall(self, visit: bytes, session_id: str, at: int, clock: int, *, opens: bool) -> Session | None:
        """The session that a stored event joined or opened; None if that is forgotten by now."""
        slot = self._slot(visit, clock)
        if opens:
            session = Session(session_id, at, at)
            self._open(slot, session)
            return session
        for known in (*slot.newer, *slot.older):
            if known.id == session_id:
                self._extend(slot, known)
                return known
        return None

    def writes(self, clock: int) -> dict[bytes, bytes]:
        """What to write at the end of the batch, at its clock."""
        writes = self._known.writes()
        named = {key: value for key, value in writes.items() if key[:1] == NAMED.prefix}
        derived = {key: value for key, value in writes.items() if key[:1] == DERIVED.prefix}
        return {**NAMED.live(named, clock), **DERIVED.live(derived, clock)}

    def _slot(self, visit: bytes, clock: int) -> _Slot:
        bucket = clock // KNOWN_MS
        slot = self._slots.get(visit)
        if slot is None or slot.bucket != bucket:
            slot = self._slots[visit] = _Slot(visit, bucket, self._known)
        return slot

    def _open(self, slot: _Slot, session: Session) -> None:
        remember(slot.newer, session)
        self._known.change(slot.newer_key, slot.newer)

    def _extend(self, slot: _Slot, session: Session) -> None:
        """Note that the session's list has changed. It stays in the bucket in which it was opened."""
        here = not slot.older or any(known is session for known in slot.newer)
        self._known.changed[slot.newer_key if here else slot.older_key] = None
