"""The statements that erase a person, put together from the tables there are: new ones with the usual names, too.

1. Columns are known by their names: ``IDENTITY``; an edge is a pair of kind and value (``EDGES``, ``KEY_LISTS``).
2. Facts are written anew with the version that always wins, so views fill their targets anew, too; or they are deleted.
3. In a target of such a view the old rows are deleted, in scratch (``run_*``) all of the project. Elsewhere a column is
   changed in place, unless the table is sorted by it: then the row is deleted.
4. Values are those of ``erasure_values``, server-side; the statements hold names of columns and parameters only.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from clickhouse.connection import Connection

EVENTS: Final = "events"
ARRIVALS: Final = "conversion_arrivals"
LOG: Final = "event_log"
FACTS: Final = (EVENTS, ARRIVALS)
LETTERS: Final = "dead_letters"
NEWEST: Final = 2**64 - 1
"""The version that always wins."""

IDENTITY: Final = {
    "user_id": "user",
    "contact_id": "contact",
    "anonymous_id": "anonymous",
    "session_id": "session",
    "click_id": "click",
    "fingerprint": "fingerprint",
    "visitor": "visitor",
    "person": "visitor",
}
EDGES: Final = (("kind", "key"), ("carrier_kind", "carrier"))
KEY_LISTS: Final = ("key_kinds", "key_values")
OURS: Final = frozenset({"erasures", "erasure_values", "erased_positions", "schema_migrations"})

_OF_REQUEST: Final = "FROM erasure_values WHERE request_id = {request_id:UUID}"
_KNOWN: Final = f"(SELECT toString(kind), value {_OF_REQUEST} AND kind != 'conversion')"
_ALL_KNOWN: Final = f"(SELECT toString(kind), value {_OF_REQUEST})"
_SHARED: Final = f"(SELECT value {_OF_REQUEST} AND kind = 'shared_session')"
_TEXTS: Final = (
    f"(SELECT groupArray(value) {_OF_REQUEST} AND length(value) > 3"
    " AND kind IN ('user', 'anonymous', 'session', 'email'))"
)
_BEFORE: Final = "received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')"
_PROJECT: Final = "project_id = {project_id:String}"

_THEIRS: Final = (
    f"({_PROJECT} AND {_BEFORE} AND (('user', user_id) IN {_ALL_KNOWN} OR ('contact', contact_id) IN {_ALL_KNOWN}"
    f" OR ('conversion', toString(conversion_id)) IN {_ALL_KNOWN}%s"
    f" OR (user_id = '' AND contact_id = '' AND (('anonymous', anonymous_id) IN {_ALL_KNOWN}"
    f" OR ('session', session_id) IN {_ALL_KNOWN} OR ('click', click_id) IN {_ALL_KNOWN}"
    f" OR (anonymous_id = '' AND ('fingerprint', fingerprint) IN {_ALL_KNOWN})))))"
)
THEIRS: Final = {
    EVENTS: _THEIRS % f" OR ('conversion', toString(refund_of)) IN {_ALL_KNOWN}",
    ARRIVALS: _THEIRS % "",
}
"""A row of a fact that is the person's, by the rule of ``forget_weak.sql``; a refund goes with its sale."""
_ORDERS: Final = (
    f"{_PROJECT} AND (('conversion', if(carrier_kind = 'conversion', carrier, '')) IN {_ALL_KNOWN}"
    f" OR ('conversion', if(kind = 'conversion', key, '')) IN {_ALL_KNOWN})"
)
"""An edge to or from a conversion of the person."""

_EMPTIED: Final = {
    "url": "cutQueryStringAndFragment(url)",
    "referrer": "cutQueryStringAndFragment(referrer)",
    "properties": "'{{}}'",
    "context": "'{{}}'",
    "sealed_email": "''",
    "version": f"toUInt64({NEWEST})",
}


class Table(msgspec.Struct, frozen=True):
    """A table of ours; the row of ``erasure_tables``."""

    name: str
    columns: tuple[str, ...]
    keys: frozenset[str]
    derived: bool
    """A view on facts fills it."""

    @property
    def scratch(self) -> bool:
        return self.name.startswith("run_") and "project_id" in self.columns

    @property
    def carried(self) -> str:
        """The condition on a row that holds an identity of the person; empty if none can."""
        found = [f"('{kind}', {column}) IN {_KNOWN}" for column, kind in IDENTITY.items() if column in self.columns]
        for kind, value in EDGES:
            if kind in self.columns and value in self.columns:
                found.append(f"(toString({kind}), {value}) IN {_KNOWN}")
        if KEY_LISTS[0] in self.columns:
            found.append(f"arrayExists((k, v) -> (toString(k), v) IN {_KNOWN}, key_kinds, key_values)")
        if not found or "project_id" not in self.columns:
            return ""
        return f"{_PROJECT} AND ({' OR '.join(found)})"

    @property
    def held(self) -> str:
        """The condition on what must be gone in the end; empty if there is nothing to look for."""
        if self.name in FACTS:
            return f"{THEIRS[self.name]} AND (version != {NEWEST} OR {self.carried})"
        if self.name == LETTERS:
            named = f"arrayExists(v -> position(payload, v) > 0, {_TEXTS})"
            return f"payload != '' AND position(payload, {{project_id:String}}) > 0 AND {named}"
        if self.scratch:
            return _PROJECT
        before = f" AND {_BEFORE}" if "received_at" in self.columns else ""
        return self.carried and f"{self.carried}{before}"


def tables(connection: Connection) -> list[Table]:
    """The tables that may hold an identity."""
    rows = connection.query("erasure_tables")
    found = [Table(name, tuple(columns), frozenset(keys), bool(derived)) for name, columns, keys, derived in rows]
    return [
        table
        for table in found
        if table.name not in OURS and (table.held or (table.derived and _gone_with_facts(table)))
    ]


def counting(table: Table) -> str:
    """How many rows hold an identity; the table must be one that can."""
    return f"SELECT toUInt64(count()) FROM {table.name} WHERE {table.held}"


def rewriting(table: Table) -> str:
    """Writes a fact's rows of the person anew: stand-ins for identities, nothing that the client said of itself."""
    values = ", ".join(f"{_rewritten(column)} AS {column}" for column in table.columns)
    inner = ", ".join(f"e.{column} AS {column}" for column in table.columns)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) SELECT {', '.join(table.columns)} FROM"
        f" (SELECT {values} FROM (SELECT {inner} FROM {table.name} AS e FINAL WHERE {table.held}))"
    )


def returning(table: Table) -> str:
    """Inserts a fact's remaining rows with an identity of the person again, as they are: those of somebody who shares
    it, and of the person who came back. Nothing changes but that views on facts see them."""
    names = ", ".join(table.columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {table.name} FINAL"
        f" WHERE {_PROJECT} AND (({table.carried}) OR session_id IN {_SHARED})"
    )


def removing(table: Table, *, whole: bool) -> list[str]:
    """Deletes or changes the old rows. ``whole``: of the person nothing stays, not even under another name."""
    if table.name in FACTS:
        return [_deleted(table, THEIRS[table.name] if whole else table.held)]
    if table.name == LETTERS:
        return [f"ALTER TABLE {table.name} UPDATE payload = '' WHERE {table.held} {_SYNC}"]
    if table.scratch or table.derived or not _columns_to_change(table):
        statements = [_deleted(table, table.held)] if table.held else []
        statements += [_deleted(table, condition) for condition in _gone_with_facts(table)] if whole else []
        return statements
    changes = ", ".join(f"{column} = {_rewritten(column)}" for column in _columns_to_change(table))
    return [f"ALTER TABLE {table.name} UPDATE {changes} WHERE {table.held} {_SYNC}"]


POSITIONS: Final = (
    "INSERT INTO erased_positions (stage, kafka_partition, kafka_offset, kafka_index)"
    f" SELECT 'events', kafka_partition, kafka_offset, kafka_index FROM {LOG} WHERE (project_id, hour, event_id) IN"
    f" (SELECT project_id, hour, event_id FROM {EVENTS} WHERE {THEIRS[EVENTS]})",
    "INSERT INTO erased_positions (stage, kafka_partition, kafka_offset, kafka_index)"
    f" SELECT 'conversions', kafka_partition, kafka_offset, kafka_index FROM {ARRIVALS} WHERE {THEIRS[ARRIVALS]}",
)
"""What stands for rows that are to be deleted, so that the ledger knows why they are in no table."""

SHARED_SESSIONS: Final = (
    "INSERT INTO erasure_values (request_id, kind, value)"
    " SELECT DISTINCT {request_id:UUID}, 'shared_session', session_id"
    f" FROM {EVENTS} WHERE {THEIRS[EVENTS]} AND ('session', session_id) NOT IN {_ALL_KNOWN}"
)
"""Sessions that hold rows of the person beside those of others."""

SEALED: Final = f"SELECT DISTINCT sealed_email FROM {ARRIVALS} WHERE {THEIRS[ARRIVALS]} AND sealed_email != ''"
FORGET_VALUES: Final = (
    "ALTER TABLE erasure_values DELETE WHERE request_id = {request_id:UUID} SETTINGS mutations_sync = 1"
)
FORGET_SALT: Final = (
    "ALTER TABLE erasures DELETE WHERE request_id = {request_id:UUID} AND state = 'started' SETTINGS mutations_sync = 1"
)

_SYNC: Final = "SETTINGS mutations_sync = 1"


def _deleted(table: Table, condition: str) -> str:
    return f"ALTER TABLE {table.name} DELETE WHERE {condition} {_SYNC}"


def _events(columns: str) -> str:
    return f"SELECT {columns} FROM {EVENTS} WHERE {THEIRS[EVENTS]}"


def _gone_with_facts(table: Table) -> list[str]:
    """Conditions on what a removed person leaves behind that names nobody: what was made of their rows."""
    if table.name == LOG:
        return [f"(project_id, hour, event_id) IN ({_events('project_id, hour, event_id')})"]
    if table.name == "sessions":
        return [f"{_PROJECT} AND session_id IN {_SHARED}"]
    found = [
        f"(project_id, {column}) IN ({_events('project_id, event_id')})"
        for column in ("touch_id", "event_id")
        if column in table.columns
    ]
    if {"kind", "key", "carrier_kind", "carrier"} <= set(table.columns):
        found.append(_ORDERS)
    return found


def _columns_to_change(table: Table) -> Sequence[str]:
    """Its identity columns, if it is sorted by none of them."""
    values = {value for pair in (*EDGES, KEY_LISTS) for value in pair}
    found = [column for column in table.columns if column in IDENTITY]
    sorted_by = any(column in table.keys for column in (*IDENTITY, *values))
    return () if sorted_by or any(value in table.columns for value in values) else found


def _rewritten(column: str) -> str:
    if column in ("visitor", "person"):
        stand_in = f"concat(substring({column}, 1, 2), {_stand_in(f'substring({column}, 3)')})"
        return f"if(('visitor', {column}) IN {_KNOWN}, {stand_in}, {column})"
    if column in IDENTITY:
        return f"if(('{IDENTITY[column]}', {column}) IN {_KNOWN}, {_stand_in(column)}, {column})"
    if column == KEY_LISTS[1]:
        stand_in = _stand_in("v")
        return f"arrayMap((k, v) -> if((toString(k), v) IN {_KNOWN}, {stand_in}, v), key_kinds, key_values)"
    return _EMPTIED.get(column, column).replace("{{}}", "{}")


def _stand_in(value: str) -> str:
    return f"concat('forgotten-', substring(lower(hex(SHA256(concat({{salt:String}}, {value})))), 1, 32))"
