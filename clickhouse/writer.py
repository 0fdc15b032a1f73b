"""Inserts: columnar, in one block, with every setting pinned that decides what an insert means.

Errors are sorted into two kinds. :class:`Unavailable`: the server is away, busy or full, so the same rows may go in
later; "too many parts" is back-pressure. :class:`Invariant`: the server understood and refused, so trying again is
no use and going on would lose rows.
"""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from clickhouse.arrow import stream
from schemas.errors import Invariant, Unavailable

SETTINGS: Final = {
    "async_insert": "0",  # acknowledged means written
    "insert_deduplicate": "0",  # a block like an earlier one is stored, too: rows are idempotent by key
    "deduplicate_blocks_in_dependent_materialized_views": "0",
    "materialized_views_ignore_errors": "0",
    "max_partitions_per_insert_block": "0",  # an import may span as many months as it likes
    "input_format_defaults_for_omitted_fields": "1",
    "input_format_null_as_default": "0",
    "optimize_on_insert": "0",  # merging would sort the block once more, for rows that hardly ever repeat in it
    # A batch is one block, so each table gets one part of it.
    "max_insert_block_size": "4194304",
    "min_insert_block_size_rows": "4194304",
    "min_insert_block_size_bytes": "1073741824",
    "max_insert_threads": "1",
}

RETRIABLE: Final = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: the server went away while reading
        16,  # NO_SUCH_COLUMN_IN_TABLE: a migration is still to come, as with the two below
        60,  # UNKNOWN_TABLE
        81,  # UNKNOWN_DATABASE
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY
        201,  # QUOTA_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        285,  # TOO_FEW_LIVE_REPLICAS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        473,  # DEADLOCK_AVOIDED
        516,  # AUTHENTICATION_FAILED: a password is being changed
        999,  # KEEPER_EXCEPTION
    }
)
"""Codes of ClickHouse that say "not now" (ErrorCodes.cpp)."""


def classify(error: Exception) -> Unavailable | Invariant:
    """What a failed statement means for whoever sent it."""
    name = type(error).__name__
    code = getattr(error, "code", None)
    if isinstance(error, ClickHouseError) and code is not None:
        text = f"ClickHouse: {getattr(error, 'name', None) or name} (code {code})"
        return Unavailable(text) if code in RETRIABLE else Invariant(f"{text}: {error}")
    return Unavailable(f"ClickHouse cannot be reached: {name}")


class Writer:
    """Inserts of one thread."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def insert(self, table: str, batches: Sequence[pa.RecordBatch]) -> int:
        """Insert the rows as one block; how many there were. Raises :class:`Unavailable` or :class:`Invariant`."""
        rows = sum(batch.num_rows for batch in batches)
        if not rows:
            return 0
        try:
            self._client.raw_insert(
                table,
                column_names=batches[0].schema.names,
                insert_block=stream(table, batches),
                fmt="ArrowStream",
                settings=SETTINGS,
            )
        except (ClickHouseError, OSError) as error:
            raise classify(error) from error
        return rows

    def close(self) -> None:
        self._client.close()
