"""The booker's statements. Each is a file in ``clickhouse/bookings`` or one line here; this module only runs them."""

import time
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from processors.booker.scope import NOTHING_BOOKED, Delta, Head, stream
from schemas.outcomes import Stage

EVENTS_DELTA: Final = "event_log FINAL WHERE NOT routed AND ({delta})"
EVENTS_ALL: Final = """
events FINAL
WHERE conversion_id = toUUID('00000000-0000-0000-0000-000000000000')
  AND project_id IN (SELECT project_id FROM goals_of_run)
"""
"""Where goals.sql finds the events that are hits of their own: since the last run, or all there are."""


def _file(name: str) -> str:
    text = (resources.files("clickhouse") / "bookings" / f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


STATEMENTS: Final = {
    name: _file(name)
    for name in (
        "touched_conversions",
        "project_conversions",
        "reached_sessions",
        "goals",
        "credits",
        "fold_goals",
        "fold_credits",
        "purge_goal_totals",
        "purge_source_totals",
    )
}


class Ledger:
    """Blocking access to the books, for one thread at a time. Raises what the ClickHouse client raises."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def head(self) -> Head:
        """The newest committed run."""
        rows = self._client.query(
            "SELECT number, toString(run_id), offsets, control_offset FROM runs"
            " WHERE number = (SELECT max(number) FROM runs) ORDER BY run_id LIMIT 1"
        ).result_rows
        if not rows:
            return NOTHING_BOOKED
        number, run_id, offsets, control_offset = rows[0]
        return Head(number=number, run_id=run_id, offsets=offsets, control_offset=control_offset)

    def checkpoints(self) -> dict[str, int]:
        """End offset of every stream, from the newest checkpoints."""
        rows = self._client.query(
            "SELECT stage, topic_id, kafka_partition, end_offset FROM newest_checkpoints"
        ).result_rows
        return {stream(stage, topic_id, partition): end for stage, topic_id, partition, end in rows}

    def served(self) -> dict[str, int]:
        """The newest complete definition of each goal."""
        rows = self._client.query("SELECT toString(goal_id), definition FROM served_definitions").result_rows
        return {str(goal_id): int(definition) for goal_id, definition in rows}

    def live_runs(self, level: int) -> tuple[int, int, int]:
        """How many live runs a level has, and the first and last of their numbers."""
        rows = self._client.query(
            "SELECT count(), min(number), max(number) FROM live_runs WHERE level = {level:UInt8}",
            parameters={"level": level},
        ).result_rows
        count, first, last = rows[0]
        return count, first, last

    def run(self, name: str, parameters: Mapping[str, Any], *, delta: Delta | None = None) -> None:
        """Run a booking. Without ``delta`` it looks at all events."""
        text = STATEMENTS[name]
        if delta is None:
            text = text.replace("/* event_hits */", EVENTS_ALL)
        else:
            events, arrivals = delta.condition(Stage.EVENTS), delta.condition(Stage.CONVERSIONS)
            text = (
                text.replace("/* event_hits */", EVENTS_DELTA.format(delta=events))
                .replace("/* events_delta */", events)
                .replace("/* arrivals_delta */", arrivals)
            )
        self._client.command(text, parameters=dict(parameters))

    def entries(self, table: str, run_id: str, number: int) -> int:
        """How many entries a run has inserted into ``goal_bookings`` or ``credits``."""
        rows = self._client.query(
            "SELECT count() FROM {table:Identifier} WHERE run_number = {number:UInt64} AND run_id = {run_id:UUID}",
            parameters={"table": table, "number": number, "run_id": run_id},
        ).result_rows
        return int(rows[0][0])

    def touched(self, scope_id: str) -> bool:
        """Whether a run has any conversion to look at."""
        rows = self._client.query(
            "SELECT count() FROM run_conversions WHERE run_id = {scope_id:UUID}", parameters={"scope_id": scope_id}
        ).result_rows
        return bool(rows[0][0])

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Insert rows of one shape."""
        if rows:
            columns = list(rows[0])
            self._client.insert(table, [[row[column] for column in columns] for row in rows], column_names=columns)

    def commit(
        self,
        head: Head,
        *,
        run_id: str,
        kind: str,
        offsets: Mapping[str, int],
        control_offset: int,
        hits: int,
        credits: int,
        level: int = 0,
        covers: tuple[int, int] = (0, 0),
        started_at: float,
    ) -> Head:
        """Insert the run's row: from here on its entries count."""
        self.insert(
            "runs",
            [
                {
                    "number": head.number + 1,
                    "run_id": run_id,
                    "parent_id": head.run_id,
                    "kind": kind,
                    "covers_from": covers[0],
                    "covers_to": covers[1],
                    "level": level,
                    "offsets": dict(offsets),
                    "control_offset": control_offset,
                    "hits": hits,
                    "credits": credits,
                    "started_at": round(started_at * 1000),
                    "committed_at": round(time.time() * 1000),
                }
            ],
        )
        return Head(number=head.number + 1, run_id=run_id, offsets=offsets, control_offset=control_offset)
