"""The chDB engine of this process: its directory, and a connection for every request.

A connection takes its settings, current database and temporary tables with it when it is closed. So each request that
may change these has its own, except in a session, where what the request itself set is put back. Requests that only
read and insert share connections, by database and settings (``pool``).
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import chdb
from chdb.state.sqlitelike import Connection

from clickhouse.embedded.errors import ServerError, engine_error
from clickhouse.embedded.pool import Key, Pool
from clickhouse.embedded.request import Request
from clickhouse.embedded.sessions import Sessions
from clickhouse.embedded.settings import EmbeddedSettings

READONLY = "2"
"""ClickHouse's level for GET: nothing is changed but settings."""


class Engine:
    """Owns the directory from ``open`` to ``close``. Every method may be called from any thread."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        self._path = str(settings.data_dir)
        self._server = {
            "max_server_memory_usage": settings.server_memory,
            # The engine's default of 5 GiB is for a server that has the machine to itself.
            "mark_cache_size": 256 << 20,
            "max_concurrent_queries": 0,
        }
        self._defaults = {
            # Where the embedded engine's defaults differ from a server's.
            "implicit_select": 0,
            "allow_introspection_functions": 0,
            "storage_file_read_method": "pread",
            "max_memory_usage": settings.query_memory,
            "max_bytes_before_external_group_by": settings.spill_bytes,
            "max_bytes_before_external_sort": settings.spill_bytes,
        }
        # The engine lives as long as one connection is open.
        self._keeper: Connection | None = None
        self.version = ""
        self.timezone = ""
        self._sessions = Sessions(self.connect)
        self._pool = Pool(self._connect_as)

    def open(self) -> None:
        """Start the engine: loads the tables; raises ServerError if it cannot."""
        with translated():
            self._keeper = Connection(f"{self._path}?{urlencode(self._server)}")
        with self.connection() as connection:
            self.version, self.timezone = rows(connection, "SELECT version(), timezone()")[0]

    def close(self) -> None:
        self._sessions.close()
        self._pool.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def connect(self) -> Connection:
        with translated():
            return Connection(f"{self._path}?{urlencode(self._defaults)}")

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A fresh connection with this server's defaults."""
        with closing(self.connect()) as connection:
            yield connection

    def _connect_as(self, key: Key) -> Connection:
        """A connection with a database and settings of its own."""
        database, settings = key
        connection = self.connect()
        try:
            _apply(connection, database, dict(settings))
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def prepared(self, request: Request, *, leaves_nothing: bool) -> Iterator[Connection]:
        """A connection with the request's database and settings, which are gone when it ends.

        ``leaves_nothing``: its statement cannot change them, nor make temporary tables.
        """
        if request.session is None:
            key = (request.database, tuple(sorted(_settings(request).items())))
            with self._pool.held(key) if leaves_nothing else closing(self._connect_as(key)) as connection:
                yield connection
            return
        with self._sessions.held(request.session) as connection:
            database, settings = _current(connection, request.settings)
            try:
                # READONLY could not be taken back; a GET in a session is judged by its statement instead.
                _apply(connection, request.database, request.settings)
                yield connection
            finally:
                _apply(connection, database if request.database else None, settings)


def _settings(request: Request) -> Mapping[str, str]:
    if not request.readonly or request.settings.get("readonly", "0") != "0":
        return request.settings
    return {**request.settings, "readonly": READONLY}


def _apply(connection: Connection, database: str | None, settings: Mapping[str, str]) -> None:
    """USE and SET; ``readonly`` comes last, since nothing can be set behind it."""
    with translated():
        if database is not None and database != "default":
            connection.query(f"USE {name(database)}")
        if settings:
            ordered = sorted(settings.items(), key=lambda item: item[0] == "readonly")
            connection.query("SET " + ", ".join(f"{key} = {literal(value)}" for key, value in ordered))


def _current(connection: Connection, settings: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The session's own database, and its own values of these settings."""
    [[database]] = rows(connection, "SELECT currentDatabase()")
    if not settings:
        return database, {}
    names = ", ".join(map(literal, settings))
    found = rows(connection, f"SELECT name, value FROM system.settings WHERE name IN ({names})")
    return database, {key: value for key, value in found}  # noqa: C416


def rows(connection: Connection, sql: str) -> list[list[str]]:
    """The rows of a small answer, as text."""
    with translated():
        data = bytes(connection.query(sql, "TabSeparatedRaw").bytes())
    return [line.split("\t") for line in data.decode().splitlines()]


def literal(value: str) -> str:
    """The value as a string in SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(value: str) -> str:
    """The value as an identifier in SQL."""
    return "`" + value.replace("\\", "\\\\").replace("`", "\\`") + "`"


@contextmanager
def translated() -> Iterator[None]:
    """Raise what chDB raises as a ServerError."""
    try:
        yield
    except ServerError:
        raise
    except (chdb.ChdbError, RuntimeError) as error:
        raise engine_error(error) from None
