"""The booker's statements. Each is a file in ``clickhouse/bookings`` or one line here; this module only runs them."""

import time
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from clickhouse.connection import Connection
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
        "click_credits",
        "fold_goals",
        "fold_credits",
        "purge_goal_totals",
        "purge_source_totals",
        "seal",
    )
}


class Ledger:
    """The books, for one thread at a time. Raises :class:`schemas.errors.Unavailable` or :class:`Invariant`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def head(self) -> Head:
        """The newest committed run."""
        for number, run_id, offsets, control_offset in self._connection.query("book_head"):
            return Head(number=number, run_id=run_id, offsets=offsets, control_offset=control_offset)
        return NOTHING_BOOKED

    def checkpoints(self) -> dict[str, int]:
        """End offset of every stream, from the newest checkpoints."""
        rows = self._connection.query("book_checkpoints")
        return {stream(stage, topic_id, partition): end for stage, topic_id, partition, end in rows}

    def served(self) -> dict[str, int]:
        """The newest complete definition of each goal."""
        return {str(goal_id): int(definition) for goal_id, definition in self._connection.query("book_served")}

    def live_runs(self, level: int) -> tuple[int, int, int]:
        """How many live runs a level has, and the first and last of their numbers."""
        ((count, first, last),) = self._connection.query("book_live_runs", level=level)
        return count, first, last

    def touched(self, scope_id: str) -> bool:
        """Whether a run has any conversion to look at."""
        ((count,),) = self._connection.query("book_touched", scope_id=scope_id)
        return bool(count)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of one shape."""
        self._connection.append(table, rows)

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
        self._connection.execute(text, parameters)

    def commit(
        self,
        head: Head,
        *,
        run_id: str,
        kind: str,
        offsets: Mapping[str, int],
        control_offset: int,
        level: int = 0,
        covers: tuple[int, int] = (0, 0),
        started_at: float,
    ) -> Head:
        """Insert the run's row: from here on its entries count."""
        ((hits, credits),) = self._connection.query("book_entries", run_id=run_id, number=head.number + 1)
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
