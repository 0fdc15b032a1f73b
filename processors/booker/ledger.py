"""The booker's statements. Each is a file in ``clickhouse/bookings`` or one line here; this module only runs them."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import uuid_utils

from clickhouse.connection import Connection
from clickhouse.statements import RULES, STATEMENTS, uncapped
from processors.booker.scope import NO_RUN, NOTHING_BOOKED, Delta, Head, stream
from processors.core.shares import Weights
from schemas.outcomes import Stage

EVENTS_DELTA: Final = "event_log FINAL WHERE NOT routed AND event_type != 'refund' AND ({delta})"
EVENTS_ALL: Final = """
events FINAL
WHERE conversion_id = toUUID('00000000-0000-0000-0000-000000000000')
  AND event_type != 'refund'
  AND project_id IN (SELECT project_id FROM goals_of_run)
"""
"""Where goals.sql finds the events that are hits of their own: since the last run, or all there are."""

SMALL: Final = 20_000
"""Positions. A run over no more is done by one thread as fast as by all, which are left to the stages."""
SMALL_RUN: Final = {"max_threads": "1"}
LARGE_RUN: Final = {"parallel_view_processing": "1"}  # entries and their sums are written side by side


class Presence(NamedTuple):
    """Whether there are refunds, clicks on links, capped keys at all."""

    refunds: bool
    clicks: bool
    capped: bool


LIVE_RUNS: Final = 50
LIVE_S: Final = 600
"""So many runs, or so long, the runs that count are known without asking; their scratch table forgets them in a day."""


WEIGHTS_KEPT: Final = 10_000
"""Paths whose weights are asked for once: most have one touch."""


class Live:
    """Which runs count: those found in ``live_runs`` at some head, and those committed on it since."""

    def __init__(self) -> None:
        self._head = ""
        self._id = NO_RUN
        self._since: list[str] = []
        self._found_at = 0.0

    def known(self, head: Head) -> bool:
        """Whether they are known with this run as the newest."""
        fresh = len(self._since) < LIVE_RUNS and time.monotonic() - self._found_at < LIVE_S
        return head.run_id == self._head and fresh

    def find(self, head: Head, live_id: str) -> None:
        """They are in ``run_live``, under this id."""
        self._head, self._id, self._since, self._found_at = head.run_id, live_id, [], time.monotonic()

    def committed(self, parent: Head, run_id: str) -> None:
        """One more, on this one; what was found on another says nothing about it."""
        if parent.run_id == self._head:
            self._head = run_id
            self._since.append(run_id)

    def parameters(self) -> dict[str, object]:
        """Those of the statements with ``/* live */``."""
        return {"live_id": self._id, "live_since": list(self._since)}


class Ledger:
    """The books, for one thread at a time. Raises :class:`schemas.errors.Unavailable` or :class:`Invariant`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._settings: Mapping[str, str] = LARGE_RUN
        self._live = Live()
        self._weights: dict[tuple[int, ...], Weights] = {}

    def expect(self, delta: Delta | None) -> None:
        """What the statements to come look at: this, or everything."""
        self._settings = SMALL_RUN if delta is not None and delta.positions() <= SMALL else LARGE_RUN

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def head(self) -> Head:
        """The newest committed run."""
        for number, run_id, offsets, control_offset, rules in self._connection.query("book_head"):
            return Head(number=number, run_id=run_id, offsets=offsets, control_offset=control_offset, rules=rules)
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

    def live(self, head: Head) -> dict[str, object]:
        """Parameters that say which runs count with this head."""
        if not self._live.known(head):
            live_id = str(uuid_utils.uuid7())
            self.run("live_runs", {"live_id": live_id})
            self._live.find(head, live_id)
        return self._live.parameters()

    def touched(self, scope_id: str) -> int:
        """How many conversions a run looks at."""
        ((touched,),) = self._connection.query("book_touched", scope_id=scope_id)
        return int(touched)

    def presence(self) -> Presence:
        """What a run need not look for."""
        (row,) = self._connection.query("book_presence")
        return Presence(*map(bool, row))

    def identities(self, scope_id: str) -> tuple[bool, bool, int]:
        """Whether a run has conversions without a user that may have one, any user; how many have credits already."""
        ((nameless, users, booked),) = self._connection.query("book_keys", scope_id=scope_id)
        return bool(nameless), bool(users), int(booked)

    def weights(self, paths: Collection[tuple[int, ...]]) -> Mapping[tuple[int, ...], Weights]:
        """How the models weigh paths of these ages (:func:`processors.core.shares.ages`)."""
        unknown = [list(path) for path in paths if path not in self._weights]
        if len(self._weights) > WEIGHTS_KEPT:
            self._weights = {path: self._weights[path] for path in paths if path in self._weights}
        for path, models in self.rows("weights", {"paths": unknown}) if unknown else ():
            self._weights[tuple(path)] = dict(models)
        return self._weights

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of one shape."""
        self._connection.append(table, rows)

    def run(self, name: str, parameters: Mapping[str, Any], *, delta: Delta | None = None, capped: bool = True) -> None:
        """Run a booking. Without ``delta`` it looks at all events. ``capped``: whether there are capped keys."""
        self._connection.execute(_statement(name, delta, capped=capped), parameters, settings=self._settings)

    def rows(
        self, name: str, parameters: Mapping[str, Any], *, delta: Delta | None = None, capped: bool = True
    ) -> Sequence[Sequence[Any]]:
        """What a part of bookings finds, for a run over little."""
        return self._connection.select(_statement(name, delta, capped=capped), parameters)

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
        entries: tuple[int, int] | None = None,
        started_at: float,
    ) -> Head:
        """Insert the run's row: from here on its entries count. ``entries``: of goals and credits, if known."""
        rules = head.rules if kind == "fold" else RULES
        hits, credits = entries or self._connection.query("book_entries", run_id=run_id, number=head.number + 1)[0]
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
                    "rules": rules,
                    "hits": hits,
                    "credits": credits,
                    "started_at": round(started_at * 1000),
                    "committed_at": round(time.time() * 1000),
                }
            ],
        )
        if kind != "fold":  # a fold takes runs out
            self._live.committed(head, run_id)
        return Head(number=head.number + 1, run_id=run_id, offsets=offsets, control_offset=control_offset, rules=rules)


def _statement(name: str, delta: Delta | None, *, capped: bool) -> str:
    text = STATEMENTS[name] if capped else uncapped(STATEMENTS[name])
    if delta is None:
        text = text.replace("/* event_hits */", EVENTS_ALL)
    else:
        events, arrivals = delta.condition(Stage.EVENTS), delta.condition(Stage.CONVERSIONS)
        text = (
            text.replace("/* event_hits */", EVENTS_DELTA.format(delta=events))
            .replace("/* events_delta */", events)
            .replace("/* arrivals_delta */", arrivals)
        )
    return text
