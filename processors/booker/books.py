"""The three kinds of run: book what is new, sweep everything, fold old runs. Blocking; see the package's rules."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import uuid_utils

from clickhouse.connection import Connection
from clickhouse.statements import RULES
from processors.booker.attribution import book_credits, find_touched
from processors.booker.goal_set import GoalSet, goal_set
from processors.booker.ledger import Ledger
from processors.booker.scope import Delta, Head
from processors.runtime.failpoint import FailPoint, Seam, unharmed
from schemas.control import ControlView
from schemas.mailing import WINDOW_DAYS
from schemas.outcomes import Stage
from schemas.settings import BookerSettings

MAX_LEVEL: Final = 3
OPEN_HOURS: Final = 48
"""The ledger proves these hours anew each time; what is older is sealed."""

Confirm = Callable[[], bool]


class LeaseLost(Exception):
    """Another booker took over while this run was computed: leave its entries uncommitted."""


class Books:
    """Books of one installation. One thread at a time; ``view`` may be read while the event loop changes it."""

    def __init__(
        self,
        connection: Connection,
        view: ControlView,
        settings: BookerSettings,
        *,
        confirm: Confirm = lambda: True,
        failpoint: FailPoint = unharmed,
    ) -> None:
        self.ledger = Ledger(connection)
        self._view = view
        self._settings = settings
        self._confirm = confirm
        self._failpoint = failpoint
        self._goals: GoalSet | None = None
        self._booked_on = ""

    def book(self) -> Head | None:
        """Book what is new since the last run; None if there is nothing."""
        started = time.time()
        head = self.ledger.head()
        if head.number and head.rules != RULES:
            return self.sweep()
        until = self.ledger.checkpoints()
        goals = self._current_goals(head)
        delta = Delta(since=head.offsets, until=until)
        if not (delta.touches(Stage.EVENTS) or delta.touches(Stage.CONVERSIONS) or goals.pending):
            return None
        return self._settle(head, goals, delta, kind="book", offsets={**head.offsets, **until}, started=started)

    def sweep(self) -> Head:
        """Compare all facts with all bookings, and book what differs: nothing, if no rule was broken.

        Then seal the counts of the days that are over.
        """
        started = time.time()
        head = self.ledger.head()
        goals = self._current_goals(head)
        swept = self._settle(head, goals, None, kind="sweep", offsets=head.offsets, started=started)
        self.ledger.run("seal", {"open_hours": OPEN_HOURS})
        return swept

    def fold(self) -> Head | None:
        """Replace the runs of a level by one that holds their sums, if there are enough of them."""
        for level in range(MAX_LEVEL):
            count, first, last = self.ledger.live_runs(level)
            if count < self._settings.fold_runs:
                continue
            started = time.time()
            head = self.ledger.head()
            self.ledger.expect(None)
            run_id = str(uuid_utils.uuid7())
            parameters = {
                "run_id": run_id,
                "run_number": head.number + 1,
                "level": level,
                "covers_from": first,
                "covers_to": last,
            }
            self.ledger.run("fold_goals", parameters)
            self.ledger.run("fold_credits", parameters)
            self._fence()
            folded = self.ledger.commit(
                head,
                run_id=run_id,
                kind="fold",
                offsets=head.offsets,
                control_offset=head.control_offset,
                level=level + 1,
                covers=(first, last),
                started_at=started,
            )
            # Totals of runs below `first` were replaced by earlier folds, which later runs confirm.
            self.ledger.run("purge_goal_totals", parameters)
            self.ledger.run("purge_goal_refunds", parameters)
            self.ledger.run("purge_source_totals", parameters)
            return folded
        return None

    def _current_goals(self, head: Head) -> GoalSet:
        """The goals of the view; made anew when they changed, and when another run may have completed pending ones."""
        known = self._goals
        completed = known is not None and bool(known.pending) and self._booked_on != head.run_id
        if known is None or known.control_offset != self._view.offset or completed:
            self._goals = known = goal_set(self.ledger, self._view)
        self._booked_on = head.run_id
        return known

    def _settle(
        self,
        head: Head,
        goals: GoalSet,
        delta: Delta | None,
        *,
        kind: str,
        offsets: Mapping[str, int],
        started: float,
    ) -> Head:
        """Book target minus booked for what the delta touches, or for everything, and commit."""
        run_id = str(uuid_utils.uuid7())
        parameters: dict[str, object] = {
            "run_id": run_id,
            "run_number": head.number + 1,
            "scope_id": run_id,
            "set_id": goals.set_id,
            "everything": delta is None,
            "lookback_days": self._settings.lookback_days,
            "lookbacks": goals.lookbacks,
            "email_days": WINDOW_DAYS,
            "max_edges": self._settings.key_max_edges,
            "small_run_positions": self._settings.small_run_positions,
        }
        self.ledger.expect(delta)
        parameters |= self.ledger.live(head)
        touched = find_touched(self.ledger, parameters, delta)
        if goals.complete and touched.few is not None:
            self.ledger.run("few_goals", {**parameters, "complete": True, "hits": touched.few.hits()}, delta=delta)
        elif goals.complete:
            self.ledger.run("goals", {**parameters, "complete": True}, delta=delta)
        self._book_history(parameters, goals)
        self._failpoint(Seam.AFTER_GOALS)
        credits = book_credits(self.ledger, parameters, touched) if touched.conversions else 0
        entries = None if credits is None or goals.complete or goals.pending else (0, credits)
        return self._commit(head, run_id, goals, kind=kind, offsets=offsets, entries=entries, started=started)

    def _book_history(self, parameters: dict[str, object], goals: GoalSet) -> None:
        if goals.pending:
            history = parameters | {"scope_id": str(uuid_utils.uuid7()), "complete": False, "everything": True}
            self.ledger.run("project_conversions", history)
            self.ledger.run("applied_refunds", history)
            self.ledger.run("goals", history)

    def _fence(self) -> None:
        self._failpoint(Seam.BEFORE_COMMIT)
        if not self._confirm():
            raise LeaseLost

    def _commit(
        self,
        head: Head,
        run_id: str,
        goals: GoalSet,
        *,
        kind: str,
        offsets: Mapping[str, int],
        entries: tuple[int, int] | None,
        started: float,
    ) -> Head:
        number = head.number + 1
        self.ledger.insert(
            "goal_definitions",
            [
                {
                    "run_id": run_id,
                    "run_number": number,
                    "project_id": goal.project_id,
                    "goal_id": goal.id,
                    "definition": goal.definition,
                }
                for goal in goals.pending
            ],
        )
        self._fence()
        committed = self.ledger.commit(
            head,
            run_id=run_id,
            kind=kind,
            offsets=offsets,
            control_offset=goals.control_offset,
            entries=entries,
            started_at=started,
        )
        self._failpoint(Seam.AFTER_COMMIT)
        return committed
