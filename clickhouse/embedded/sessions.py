"""Sessions of the HTTP interface: a ``session_id`` keeps its connection, and with it SET, USE and temporary tables."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chdb.state.sqlitelike import Connection

from clickhouse.embedded.errors import Code, refuse
from clickhouse.embedded.request import Session


@dataclass
class _Held:
    connection: Connection
    busy: bool
    expires: float


class Sessions:
    """Connections by session id. A session has one query at a time, and ends when it was idle for its timeout."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def held(self, session: Session) -> Iterator[Connection]:
        """The session's connection.

        Raises:
            ServerError: a query of the session is running, or it must exist and does not.
        """
        held = self._take(session)
        try:
            yield held.connection
        finally:
            with self._lock:
                held.busy = False
                held.expires = time.monotonic() + session.timeout
                if session.closes:
                    del self._held[session.id]
            if session.closes:
                held.connection.close()

    def _take(self, session: Session) -> _Held:
        now = time.monotonic()
        with self._lock:
            expired = [key for key, held in self._held.items() if not held.busy and held.expires < now]
            ended = [self._held.pop(key) for key in expired]
            held = self._held.get(session.id)
            if held is None and not session.must_exist:
                held = self._held[session.id] = _Held(self._connect(), busy=False, expires=now)
            elif held is not None and held.busy:
                raise refuse(Code.SESSION_IS_LOCKED, "Session is locked by a concurrent client.")
            if held is not None:
                held.busy = True
        for one in ended:
            one.connection.close()
        if held is None:
            raise refuse(Code.SESSION_NOT_FOUND, "Session not found.")
        return held

    def close(self) -> None:
        with self._lock:
            for held in self._held.values():
                held.connection.close()
            self._held.clear()
