"""Databases of one test each, on the server that tests share."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from harness import run_sql

from clickhouse.client import connect
from clickhouse.migrate import apply
from schemas.settings import ClickHouseSettings

SCHEMA: Final = """
    SELECT groupBitXor(cityHash64(name, replaceAll(create_table_query, database, '')))
    FROM system.tables WHERE database = '{name}'
"""
FILLED: Final = """
    SELECT name FROM system.tables
    WHERE database = '{name}' AND engine LIKE '%MergeTree' AND total_rows > 0 AND name != 'schema_migrations'
"""


class Databases:
    """Making all tables takes seconds and emptying them none, so that migrated databases are used again."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._idle: list[str] = []
        self._schema = ""

    @contextmanager
    def bare(self) -> Iterator[ClickHouseSettings]:
        """Without tables, dropped at the end."""
        name = self._create()
        try:
            yield self._settings(name)
        finally:
            self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[ClickHouseSettings]:
        """With all tables, empty. Whoever writes there has ended before the block does."""
        name = self._idle.pop() if self._idle else self._migrate(self._create())
        try:
            yield self._settings(name)
        finally:
            if run_sql(self._server, SCHEMA.format(name=name)) == self._schema:
                for table in run_sql(self._server, FILLED.format(name=name)).split():
                    run_sql(self._server, f"TRUNCATE TABLE {name}.{table}")
                self._idle.append(name)
            else:
                self._drop(name)

    def close(self) -> None:
        """Drop those that are kept."""
        while self._idle:
            self._drop(self._idle.pop())

    def _migrate(self, name: str) -> str:
        with connect(self._settings(name)) as client:
            apply(client)
        self._schema = run_sql(self._server, SCHEMA.format(name=name))
        return name

    def _create(self) -> str:
        name = f"test_{secrets.token_hex(6)}"
        run_sql(self._server, f"CREATE DATABASE {name}")
        return name

    def _drop(self, name: str) -> None:
        run_sql(self._server, f"DROP DATABASE IF EXISTS {name} SYNC")

    def _settings(self, name: str) -> ClickHouseSettings:
        return ClickHouseSettings(clickhouse_url=f"{self._server}?database={name}")
