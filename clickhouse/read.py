"""Run a named query of ``clickhouse/queries`` and return typed rows.

1. One question, one ``.sql`` file, whose header says what it asks, takes and returns. Values travel as server-side
   parameters; no name and no value is ever put into the text.
2. A row is converted to the struct its caller names: a query and its reader that disagree fail at once.
3. What ClickHouse says is sorted here: away, starting or overloaded is :class:`Unavailable`; a question it cannot
   answer is a mistake of ours, :class:`Invariant`, unless the caller says which code the input may cause.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from importlib import resources
from typing import Final, TypeVar

import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.external import ExternalData

from clickhouse.client import connect_async
from schemas.errors import Invariant, Unavailable
from schemas.settings import ClickHouseSettings

QUERY_LIMIT_S: Final = 30
PING_LIMIT_S: Final = 2

TRANSIENT: Final = {
    60: "UNKNOWN_TABLE",  # not migrated yet
    81: "UNKNOWN_DATABASE",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    394: "QUERY_WAS_CANCELLED",
    439: "CANNOT_SCHEDULE_TASK",
    516: "AUTHENTICATION_FAILED",
    734: "SESSION_REFUSED",
}
"""Codes of ClickHouse after which the same question may be answered later."""

Parameters = Mapping[str, str | int | bool | list[str]]
NOTHING: Final[Parameters] = {}
R = TypeVar("R", bound=msgspec.Struct)


class Table(msgspec.Struct, frozen=True):
    """Rows that travel with a question, which reads them as a table; ``columns`` are names with their types."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[msgspec.Struct]


class QueryRefused(Exception):
    """ClickHouse refused the question with a code that the caller named as possible."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@functools.cache
def query_text(name: str) -> str:
    """The text of ``clickhouse/queries/<name>.sql``."""
    return (resources.files("clickhouse") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@contextlib.contextmanager
def _sorted(name: str, refusals: Collection[int]) -> Iterator[None]:
    """Rule 3 of the module."""
    try:
        yield
    except DatabaseError as error:
        if error.code is not None and error.code in refusals:
            raise QueryRefused(error.code, str(error)) from error
        if error.code in TRANSIENT or (isinstance(error, OperationalError) and error.code is None):
            raise Unavailable("ClickHouse cannot answer now") from error
        raise Invariant(f"query {name}: ClickHouse refuses it with code {error.code}") from error
    except (ClickHouseError, OSError) as error:  # TimeoutError is an OSError
        raise Unavailable("ClickHouse cannot be reached") from error


class Reader:
    """Asks the named queries over one client, made by the first question. Belongs to one event loop."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._client: AsyncClient | None = None

    async def rows(
        self,
        name: str,
        row: type[R],
        parameters: Parameters = NOTHING,
        *,
        refusals: Collection[int] = (),
        table: Table | None = None,
    ) -> list[R]:
        """The rows of query ``name``, which may read ``table``.

        Raises :class:`Unavailable`, :class:`Invariant`, and :class:`QueryRefused` for a code in ``refusals``.
        """
        with _sorted(name, refusals):
            async with asyncio.timeout(QUERY_LIMIT_S):
                client = await self._connected()
                result = await client.query(
                    query_text(name),
                    parameters=dict(parameters),
                    settings={"max_execution_time": QUERY_LIMIT_S},
                    external_data=None if table is None else _external(table),
                )
        return [msgspec.convert(found, row) for found in result.named_results()]

    async def row(self, name: str, row: type[R], parameters: Parameters = NOTHING) -> R:
        """The row of a query that always returns exactly one."""
        (found,) = await self.rows(name, row, parameters)
        return found

    async def csv(self, name: str, parameters: Parameters = NOTHING) -> AsyncGenerator[bytes]:
        """The rows of query ``name`` as CSV with a header, in chunks, as ClickHouse sends them.

        Raises :class:`Unavailable` and :class:`Invariant`, for most mistakes before the first chunk.
        """
        with _sorted(name, ()):
            client = await self._connected()
            stream = await client.raw_stream(
                query_text(name),
                parameters=dict(parameters),
                settings={"max_execution_time": QUERY_LIMIT_S},
                fmt="CSVWithNames",
            )
            async with stream:
                async for chunk in stream:
                    yield chunk

    async def answers(self) -> bool:
        """Whether ClickHouse answers a question at once."""
        try:
            async with asyncio.timeout(PING_LIMIT_S):
                await self.rows("ping", Ping)
        except (Unavailable, Invariant, TimeoutError):
            return False
        return True

    async def stop(self) -> None:
        async with self._lock:
            client, self._client = self._client, None
            if client is not None:
                await client.close()

    async def _connected(self) -> AsyncClient:
        # Connecting asks the server for its version and zone, so it cannot be done before the server is there.
        async with self._lock:
            if self._client is None:
                self._client = await connect_async(self._settings)
            return self._client


def _external(table: Table) -> ExternalData:
    lines = b"\n".join(msgspec.json.encode(row) for row in table.rows)
    return ExternalData(file_name=table.name, data=lines, fmt="JSONEachRow", structure=table.columns)


class Ping(msgspec.Struct, frozen=True):
    """The row of ``ping``."""

    answer: int
