"""``/v1/projects/{id}/reports/retention``: cohorts by week, and how many of them came back in each week after.

1. A week begins on Monday, in the report's zone. The period is widened to whole weeks.
2. A cohort is the persons whose first event, or first hit of ``goal``, was in its week. What came before the period
   counts, so nobody begins twice. Coming back is any event of any kind.
3. A week that has not begun is not shown; one that has not ended says so.
4. A person is the user, also for what the same browser did before it was known whose it is, else the visitor.
"""

import time
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Final

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.exact import ratio
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.periods import Period, Span, resolve
from clickhouse.api.reports import Days, Zone
from clickhouse.api.stats import Since, Until
from schemas.control import Scope
from schemas.errors import Reason, Refused

WEEK: Final = timedelta(days=7)
MAX_COHORTS: Final = 261
"""Five years of weeks."""
MAX_WEEKS: Final = 260

Weeks = Annotated[int, QueryParameter(ge=0, le=MAX_WEEKS, description="How many weeks after the first to show")]
GoalId = Annotated[str | None, QueryParameter(name="goal", description="Id of a goal: cohorts by its first hit")]


class Week(Struct, frozen=True, kw_only=True):
    """Persons of the cohort who were there in the ``week``-th week after it began. ``rate``: of the whole cohort."""

    week: int
    persons: int
    rate: Decimal | None
    complete: bool
    """The week has ended."""


class Cohort(Struct, frozen=True, kw_only=True):
    """Persons who began in the week of this Monday."""

    begins: str
    persons: int
    weeks: list[Week]


class Average(Struct, frozen=True, kw_only=True):
    """All cohorts whose ``week``-th week has ended, together."""

    week: int
    persons: int
    cohort_persons: int
    rate: Decimal | None


class RetentionReport(Struct, frozen=True, kw_only=True):
    """Cohorts, oldest first."""

    project_id: str
    days: Days
    goal_id: str | None
    cohorts: list[Cohort]
    average: list[Average]


class Returned(Struct, frozen=True):
    """A row of ``queries/retention.sql``."""

    cohort: str
    week: int
    persons: int


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


class Retention(Controller):
    """Cohorts by week."""

    path = "/v1/projects/{project_id:str}/reports/retention"
    guards = (guard,)
    tags = ("Reports",)

    @get(
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="Cohorts by week, and how many came back in each week after",
    )
    async def retention(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        goal: GoalId = None,
        weeks: Weeks = 8,
        period: FromQuery[Period] = Period.MONTH,
        since: Since = None,
        until: Until = None,
        zone: Zone = None,
    ) -> RetentionReport:
        if goal is not None and log.view.goal(project.id, goal) is None:
            raise Refused(Reason.NOT_FOUND, "no such goal", field="goal")
        now_ms = time.time_ns() // 1_000_000
        asked = resolve(period, since, until, zone or project.time_zone, now_ms)
        today = resolve(Period.WEEK, None, None, asked.time_zone, now_ms).last
        span = Span(_monday(asked.first), _monday(asked.last) + WEEK - timedelta(days=1), asked.time_zone)
        if (span.last - span.first) // WEEK >= MAX_COHORTS:
            raise Refused(Reason.INVALID_VALUE, f"the period may have at most {MAX_COHORTS} weeks", field="from")
        newest = _monday(today)
        last = min(_monday(span.last), newest)
        shown_until = min(last + weeks * WEEK, newest) + WEEK - timedelta(days=1)
        returned = await reader.rows(
            "retention",
            Returned,
            {
                "project_id": project.id,
                "goal_ids": [] if goal is None else [goal],
                "first": span.first.isoformat(),
                "last": last.isoformat(),
                "weeks": weeks,
                "until_ms": Span(shown_until, shown_until, span.time_zone).to_ms,
                "time_zone": span.time_zone,
            },
        )
        cohorts = _cohorts(returned, span.first, last, weeks, newest)
        return RetentionReport(
            project_id=project.id,
            days=Days.of(span),
            goal_id=goal,
            cohorts=cohorts,
            average=_average(cohorts),
        )


def _cohorts(returned: list[Returned], first: date, last: date, weeks: int, newest: date) -> list[Cohort]:
    """One a week from ``first`` to ``last``, also where nobody began. ``newest``: Monday of the week that is now."""
    counts = {(row.cohort, row.week): row.persons for row in returned}
    cohorts = []
    for number in range((last - first) // WEEK + 1):
        monday = first + number * WEEK
        begins = monday.isoformat()
        size = counts.get((begins, 0), 0)
        shown = range(min(weeks, (newest - monday) // WEEK) + 1)
        found = [(week, counts.get((begins, week), 0)) for week in shown]
        cohorts.append(
            Cohort(
                begins=begins,
                persons=size,
                weeks=[
                    Week(
                        week=week,
                        persons=persons,
                        rate=ratio(Decimal(persons), size),
                        complete=monday + week * WEEK < newest,
                    )
                    for week, persons in found
                ],
            )
        )
    return cohorts


def _average(cohorts: list[Cohort]) -> list[Average]:
    ended = [(cohort.persons, week) for cohort in cohorts for week in cohort.weeks if week.complete]
    average = []
    for number in range(max((week.week for _, week in ended), default=-1) + 1):
        persons = sum(week.persons for _, week in ended if week.week == number)
        began = sum(size for size, week in ended if week.week == number)
        average.append(Average(week=number, persons=persons, cohort_persons=began, rate=ratio(Decimal(persons), began)))
    return average
