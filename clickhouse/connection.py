"""The store as a processor sees it: inserts and named queries of one thread, connected when first needed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.insert import InsertContext

from clickhouse.client import connect
from clickhouse.read import query_text
from clickhouse.writer import SETTINGS, Writer, classify
from schemas.settings import ClickHouseSettings


class Connection:
    """Methods raise :class:`schemas.errors.Unavailable` or :class:`schemas.errors.Invariant`."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._contexts: dict[tuple[str, ...], InsertContext] = {}
        """Of appends, by table and columns: their types are asked for once."""

    def insert(self, table: str, batches: Sequence[pa.RecordBatch]) -> int:
        """Insert the rows as one block; how many there were."""
        return Writer(self._connected()).insert(table, batches)

    def query(self, name: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Rows of ``clickhouse/queries/<name>.sql``."""
        return self.select(query_text(name), parameters)

    def select(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Rows of a statement that the caller puts together."""
        client = self._connected()
        try:
            rows: Sequence[Sequence[Any]] = client.query(statement, parameters=dict(parameters)).result_rows
        except (ClickHouseError, OSError) as error:
            raise classify(error) from error
        return rows

    def execute(
        self, statement: str, parameters: Mapping[str, Any], *, settings: Mapping[str, str] | None = None
    ) -> None:
        """Run a statement that returns nothing. ``settings``: of ClickHouse, for this statement."""
        client = self._connected()
        try:
            # Not as a command: that sends parameters in the URL, however long it gets.
            client.raw_query(statement, parameters=dict(parameters), settings=dict(settings or {}))
        except (ClickHouseError, OSError) as error:
            raise classify(error) from error

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert a few rows of one shape."""
        if not rows:
            return
        columns = list(rows[0])
        key = (table, *columns)
        client = self._connected()
        # One that fails keeps its rows and the types of its time: it is not used again.
        context = self._contexts.pop(key, None)
        try:
            context = context or client.create_insert_context(table, columns, settings=SETTINGS)
            client.insert(data=[[row[column] for column in columns] for row in rows], context=context)
        except (ClickHouseError, OSError) as error:
            raise classify(error) from error
        self._contexts[key] = context

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Client:
        if self._client is None:
            try:
                self._client = connect(self._settings)
            except (ClickHouseError, OSError) as error:
                raise classify(error) from error
        return self._client
