"""Connections kept for the next request of the same database and settings.

Choosing these takes longer than a look-up does. A connection is kept only if nothing of the request that had it can
remain: the request was no command that changes a session, and it ended well.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from chdb.state.sqlitelike import Connection

Key = tuple[str | None, tuple[tuple[str, str], ...]]
"""Database and settings, sorted."""
LIMIT: Final = 16
"""So many are kept; beyond it the one that was kept first is closed."""


class Pool:
    """``connect`` opens one as a key says. Methods may be called from any thread."""

    def __init__(self, connect: Callable[[Key], Connection]) -> None:
        self._connect = connect
        self._kept: list[tuple[Key, Connection]] = []
        self._lock = threading.Lock()

    @contextmanager
    def held(self, key: Key) -> Iterator[Connection]:
        """A connection for one request, which is closed if it fails."""
        connection = self._take(key) or self._connect(key)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._keep(key, connection)

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for _, connection in kept:
            connection.close()

    def _take(self, key: Key) -> Connection | None:
        with self._lock:
            for place in reversed(range(len(self._kept))):
                if self._kept[place][0] == key:
                    return self._kept.pop(place)[1]
        return None

    def _keep(self, key: Key, connection: Connection) -> None:
        with self._lock:
            self._kept.append((key, connection))
            surplus = self._kept.pop(0)[1] if len(self._kept) > LIMIT else None
        if surplus is not None:
            surplus.close()
