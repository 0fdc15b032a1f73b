"""Shops whose histories are stored as facts, each a project of its own, to put one question of the API to them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from databases import Databases
from history import Facts

from clickhouse.client import connect
from clickhouse.read import Parameters, Reader
from schemas.events import RawEvent
from schemas.settings import ClickHouseSettings

R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound="Shops")


class Shops:
    """One database. What is asked of it is a method of a class below."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self._projects = 0
        self.client = connect(settings)

    def store(self, events: Sequence[RawEvent]) -> str:
        """The project that now has this history."""
        self._projects += 1
        project = f"p{self._projects}"
        Facts(self.client).store([msgspec.structs.replace(event, project_id=project) for event in events])
        return project

    async def rows(self, query: str, row: type[R], parameters: Parameters) -> list[R]:
        reader = Reader(self.settings)
        try:
            return await reader.rows(query, row, parameters)
        finally:
            await reader.stop()


@contextmanager
def shops(kind: type[S], databases: Databases) -> Iterator[S]:
    """On a database of their own."""
    with databases.migrated() as settings:
        made = kind(settings)
        try:
            yield made
        finally:
            made.client.close()


def persons_of(events: Iterable[RawEvent]) -> dict[str, list[RawEvent]]:
    """Events by person: the event's user, else the one user its visitor was seen as, else the visitor."""
    users: dict[str, set[str]] = {}
    persons: dict[str, list[RawEvent]] = {}
    for event in events:
        if event.user_id:
            users.setdefault(event.visitor, set()).add(event.user_id)
    for event in events:
        known = users.get(event.visitor, set())
        user = event.user_id or (next(iter(known)) if len(known) == 1 else "")
        persons.setdefault(f"u:{user}" if user else event.visitor, []).append(event)
    return persons
