"""``/v1/projects/{id}/reports/funnel``: how many persons took ordered steps, where they dropped off, by source.

1. A step is ``type:match_type:value`` as goals have them, the id of a goal, or ``conversion`` for any conversion.
2. The first step lies in the period; the others follow within the window after it, even after the period's end.
3. Only event time counts: each step is later than the one before, however late or shuffled the events arrived.
4. A person counts once, with the furthest that one of their attempts got: the user, also for what the same browser did
   before it was known whose it is, else the visitor.
"""

import re
import time
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.bodies import MATCH_VALUE_MAX_CHARS
from clickhouse.api.exact import ratio
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.goal_fields import check_match
from clickhouse.api.periods import Period, resolve
from clickhouse.api.reports import Days, Filters, Reports, Zone
from clickhouse.api.stats import Since, Until
from schemas.control import ControlView, GoalType, MatchType, Project, Scope
from schemas.errors import Reason, Refused

MIN_STEPS: Final = 2
MAX_STEPS: Final = 10
"""As many conditions as ``queries/funnel.sql`` has."""
WINDOW_MAX_MS: Final = 366 * 86_400_000
UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

_WINDOW: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")

StepTexts = Annotated[
    list[str] | None,
    QueryParameter(
        name="step",
        required=True,
        description="2 to 10 times, in order: type:match_type:value (pageview:exact:/pricing), the id of a goal, or "
        "conversion. Types and match types are those of goals; the value may hold colons",
    ),
]
WindowText = Annotated[
    str, QueryParameter(name="window", description="From the first step to the last: 30m, 24h, 7d; at most 366d")
]


class Step(Struct, frozen=True, kw_only=True):
    """What is looked for; ``goal_id`` and ``name`` are those of the goal that says so."""

    type: GoalType
    match_type: MatchType
    match_value: str
    goal_id: str | None = None
    name: str | None = None


class Reached(Struct, frozen=True, kw_only=True):
    """Persons who got to a step. Rates are null where nobody could have."""

    persons: int
    dropped_off: int
    """Got to the step before, and not to this one."""
    rate_from_first: Decimal | None
    rate_from_previous: Decimal | None


class StepRow(Reached, frozen=True, kw_only=True):
    """A step of the funnel."""

    step: Step


class SourceSteps(Struct, frozen=True, kw_only=True):
    """Persons whose first visit of the funnel came from this source: nobody is in two of them."""

    source: str
    medium: str
    campaign: str
    channel: str
    steps: list[Reached]


class FunnelReport(Struct, frozen=True, kw_only=True):
    """Sources by persons who took the first step, most first."""

    project_id: str
    days: Days
    window: str
    filters: Filters
    steps: list[StepRow]
    sources: list[SourceSteps]


class Walked(Struct, frozen=True):
    """A row of ``queries/funnel.sql``."""

    total: bool
    source: str
    medium: str
    campaign: str
    channel: str
    reached: list[int]


def window_ms(text: str) -> int:
    """Milliseconds of ``30m``, ``24h``, ``7d``. Raises :class:`Refused` (invalid_value)."""
    found = _WINDOW.fullmatch(text)
    length = int(found[1]) * UNITS_MS[found[2]] if found else 0
    if not 0 < length <= WINDOW_MAX_MS:
        raise Refused(Reason.INVALID_VALUE, "must be minutes, hours or days like 30m, 24h, 7d", field="window")
    return length


def step_of(text: str, view: ControlView, project: Project) -> Step:
    """The step that a request names. Raises :class:`Refused` (invalid_value, too_long, not_found), naming ``step``."""
    kind, *rest = text.split(":", 2)
    if not rest and kind == GoalType.CONVERSION:
        return Step(type=GoalType.CONVERSION, match_type=MatchType.EXACT, match_value="")
    if not rest:
        goal = view.goal(project.id, kind)
        if goal is None:
            raise Refused(Reason.NOT_FOUND, "no such goal", field="step")
        return Step(
            type=goal.type,
            match_type=goal.match_type,
            match_value=goal.match_value,
            goal_id=goal.id,
            name=goal.name,
        )
    try:
        step = Step(type=GoalType(kind), match_type=MatchType(rest[0]), match_value=rest[1])
    except (ValueError, IndexError):
        message = "must be type:match_type:value, the id of a goal, or conversion"
        raise Refused(Reason.INVALID_VALUE, message, field="step") from None
    if not step.match_value:
        raise Refused(Reason.INVALID_VALUE, "the value must not be empty", field="step")
    if len(step.match_value) > MATCH_VALUE_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"a value may have at most {MATCH_VALUE_MAX_CHARS} characters", field="step")
    return step


async def _checked(texts: list[str] | None, view: ControlView, project: Project, reader: GivenReader) -> list[Step]:
    if texts is None:
        raise Refused(Reason.MISSING_FIELD, "is required", field="step")
    if not MIN_STEPS <= len(texts) <= MAX_STEPS:
        raise Refused(Reason.INVALID_VALUE, f"a funnel has {MIN_STEPS} to {MAX_STEPS} steps", field="step")
    steps = [step_of(text, view, project) for text in texts]
    for step in steps:
        try:
            await check_match(reader, step.match_type, step.match_value)
        except Refused as refusal:
            raise Refused(refusal.reason, refusal.message, field="step") from None
    return steps


def _reached(counts: list[int]) -> list[Reached]:
    return [
        Reached(
            persons=persons,
            dropped_off=before - persons,
            rate_from_first=ratio(Decimal(persons), counts[0]),
            rate_from_previous=ratio(Decimal(persons), before),
        )
        for before, persons in zip([counts[0], *counts], counts, strict=False)
    ]


class Funnels(Controller):
    """Ordered steps."""

    path = "/v1/projects/{project_id:str}/reports/funnel"
    guards = (guard,)
    tags = ("Reports",)
    dependencies = MappingProxyType({"filters": Reports.dependencies["filters"]})

    @get(
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="Persons along ordered steps, where they dropped off, by source",
    )
    async def funnel(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        filters: NamedDependency[Filters],
        step: StepTexts = None,
        window: WindowText = "7d",
        period: FromQuery[Period] = Period.MONTH,
        since: Since = None,
        until: Until = None,
        zone: Zone = None,
    ) -> FunnelReport:
        span = resolve(period, since, until, zone or project.time_zone, time.time_ns() // 1_000_000)
        within_ms = window_ms(window)
        steps = await _checked(step, log.view, project, reader)
        walked = await reader.rows(
            "funnel",
            Walked,
            {
                "project_id": project.id,
                "from_ms": span.from_ms,
                "to_ms": span.to_ms,
                "window_ms": within_ms,
                "types": [one.type.value for one in steps],
                "match_types": [one.match_type.value for one in steps],
                "match_values": [one.match_value for one in steps],
                "source": filters.source,
                "medium": filters.medium,
                "campaign": filters.campaign,
                "channel": filters.channel,
            },
        )
        whole = next((row.reached for row in walked if row.total), []) or [0] * len(steps)
        return FunnelReport(
            project_id=project.id,
            days=Days.of(span),
            window=window,
            filters=filters,
            steps=[
                StepRow(
                    step=one,
                    persons=got.persons,
                    dropped_off=got.dropped_off,
                    rate_from_first=got.rate_from_first,
                    rate_from_previous=got.rate_from_previous,
                )
                for one, got in zip(steps, _reached(whole), strict=True)
            ],
            sources=_by_source([row for row in walked if not row.total]),
        )


def _by_source(rows: list[Walked]) -> list[SourceSteps]:
    ordered = sorted(
        rows, key=lambda row: ([-n for n in row.reached], row.source, row.medium, row.campaign, row.channel)
    )
    return [
        SourceSteps(
            source=row.source,
            medium=row.medium,
            campaign=row.campaign,
            channel=row.channel,
            steps=_reached(row.reached),
        )
        for row in ordered
    ]
