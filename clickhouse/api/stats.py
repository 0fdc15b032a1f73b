"""Seed S2: the figures of one goal over a period, of the definition that is served."""

import asyncio
import time
from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, CurrencyRevenue, GoalStats, GoalStatsAnswer
from clickhouse.api.exact import money
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.goals import SITE_PATH, find
from clickhouse.api.periods import Period, resolve
from clickhouse.api.rates import DayMoney, rates_into, sum_in
from clickhouse.read import Parameters
from schemas.control import Scope

Since = Annotated[str | None, QueryParameter(name="from", description="First day, YYYY-MM-DD; with period=custom")]
Until = Annotated[str | None, QueryParameter(name="to", description="Last day, inclusive; with period=custom")]


class _Hits(msgspec.Struct, frozen=True):
    conversions: int
    unique_conversions: int


class Stats(Controller):
    """Figures of a goal."""

    path = SITE_PATH
    guards = (guard,)
    tags = ("Goals",)

    @get(
        "/{goal_id:str}/stats",
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="Conversions, unique conversions and revenue of a goal",
    )
    async def stats(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        goal_id: FromPath[str],
        period: FromQuery[Period] = Period.MONTH,
        since: Since = None,
        until: Until = None,
    ) -> GoalStatsAnswer:
        goal = find(log.view, project, goal_id)
        span = resolve(period, since, until, project.time_zone, time.time_ns() // 1_000_000)
        asked: Parameters = {"project_id": project.id, "goal_id": goal.id, "from_ms": span.from_ms, "to_ms": span.to_ms}
        if goal.currency is None:
            hits = await reader.row("goal_stats", _Hits, asked)
            return GoalStatsAnswer(_stats(hits))
        hits, parts = await asyncio.gather(
            reader.row("goal_stats", _Hits, asked), reader.rows("goal_money", DayMoney, asked)
        )
        revenue, left_out = sum_in(goal.currency, parts, rates_into(log.view, project.id, goal.currency))
        excluded = [CurrencyRevenue(currency, money(amount)) for currency, amount in sorted(left_out.items()) if amount]
        return GoalStatsAnswer(
            GoalStats(
                conversions=hits.conversions,
                unique_conversions=hits.unique_conversions,
                revenue=money(revenue),
                excluded=excluded or UNSET,
            )
        )


def _stats(hits: _Hits) -> GoalStats:
    return GoalStats(conversions=hits.conversions, unique_conversions=hits.unique_conversions, revenue=None)
