"""One installation in a database of its own, without a broker: facts are stored batch by batch, books when told to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

from attribution import Credit, Ledger
from databases import Databases
from history import Control, Facts, Truth

from clickhouse.client import connect
from clickhouse.connection import Connection
from processors.booker.books import Books
from processors.runtime.failpoint import FailPoint, unharmed
from schemas.settings import BookerSettings, ClickHouseSettings

S = TypeVar("S", bound="Shop")


SIZES: Final = [0, 5_000]
"""Of small_run_positions: ClickHouse does all runs; those over little look up rows and apply the rules themselves."""


class Shop:
    """One installation in a database of its own."""

    small_run_positions = SIZES[1]

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self.client = connect(settings)
        self.connection = Connection(settings)
        self.facts = Facts(self.client)
        self.control = Control()

    def close(self) -> None:
        self.connection.close()
        self.client.close()

    def books(
        self,
        *,
        fold_runs: int = 500,
        key_max_edges: int = 2_000,
        small_run_positions: int | None = None,
        confirm: Callable[[], bool] = lambda: True,
        failpoint: FailPoint = unharmed,
    ) -> Books:
        """A booker that has just started."""
        small = self.small_run_positions if small_run_positions is None else small_run_positions
        return Books(
            self.connection,
            self.control.view,
            BookerSettings(fold_runs=fold_runs, key_max_edges=key_max_edges, small_run_positions=small),
            confirm=confirm,
            failpoint=failpoint,
        )

    def booked(self) -> Truth:
        """What readers see."""
        goals = self.client.query(
            "SELECT toString(goal_id), currency, toInt64(sum(conversions)), sum(revenue) FROM v_goal_stats"
            " GROUP BY goal_id, currency"
        ).result_rows
        return Truth(
            {(goal_id, currency): (n, revenue) for goal_id, currency, n, revenue in goals},
            self.credits(),
        )

    def credits(self) -> Ledger:
        """All credits, net of what was taken back."""
        rows = self.client.query(
            "SELECT toString(conversion_id), scope, model, toString(touch_id), source, matched_by, share, amount"
            " FROM v_credits"
        ).result_rows
        found = {(id, scope, model, touch): Credit(*rest) for id, scope, model, touch, *rest in rows}
        assert len(found) == len(rows), rows
        return found

    def sources(self, model: str = "last_touch") -> list[str]:
        """Sources credited under a model, over touches of all kinds."""
        return [credit.source for key, credit in self.credits().items() if key[1:3] == ("all", model)]

    def views_equal_their_recomputation(self) -> bool:
        """The incremental totals hold the sums of the entries, run by run."""
        goals = "project_id, goal_id, definition, cell, currency, run_number, run_id"
        sources = "project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id"
        checks = [
            (goals, "goal_totals", "conversions", "revenue", "goal_bookings", "conversions", "revenue"),
            (sources, "source_totals", "conversions", "revenue", "credits", "share", "amount"),
        ]
        for keys, totals, n, money, entries, part, amount in checks:
            live = "WHERE run_id IN (SELECT run_id FROM live_runs)"
            differing = self.client.query(
                f"SELECT {keys}, sum(x) AS n, sum(y) AS money FROM ("
                f" SELECT {keys}, toDecimal128({n}, 9) AS x, {money} AS y FROM {totals} {live} UNION ALL"
                f" SELECT {keys}, -toDecimal128({part}, 9), -toDecimal128({amount}, 4) FROM {entries} {live}"
                f") GROUP BY {keys} HAVING n != 0 OR money != 0"
            ).result_rows
            if differing:
                return False
        return True

    def imbalance(self) -> int:
        return int(self.client.query("SELECT sum(imbalance) FROM v_ledger").result_rows[0][0])


@contextmanager
def opening(kind: type[S], databases: Databases) -> Iterator[Callable[[], S]]:
    """Makes installations of a kind, each in a database of its own, and closes them at last."""
    with ExitStack() as ends:

        def make() -> S:
            shop = kind(ends.enter_context(databases.migrated()))
            ends.callback(shop.close)
            return shop

        yield make
