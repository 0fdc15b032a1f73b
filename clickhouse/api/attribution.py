"""``/v1/projects/{id}/reports/attribution``: who is credited, by any model and dimension, now or as of any run.

1. One column, or two side by side: two models (``model=last_touch,linear``) or two states of the books
   (``as_of=120,140``); ``difference`` is the second less the first.
2. Two states come with the entries that explain the difference: the run, its cause and the conversion of each.
3. ``as_of`` is repeatable. Rates are there only without it: visitors and sessions are facts, and late ones are added.
4. ``markov`` and ``shapley`` are the newest stored run over the same days and dimension (``/v1/projects/{id}/models``).
"""

import time
from enum import StrEnum
from typing import Annotated, Final

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import CONFLICT, REFUSALS
from clickhouse.api.as_of import AsOf, FoundRun, newest_run, resolve_as_of
from clickhouse.api.attribution_rows import (
    Attributed,
    AttributionRow,
    ChangeRow,
    Changes,
    CreditedRow,
    Sums,
    VisitRow,
    changes,
    column,
    rows,
)
from clickhouse.api.attribution_rows import Column as Credited
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.mailings import name_of
from clickhouse.api.models import find_runs, find_shares
from clickhouse.api.periods import Period, Span, resolve
from clickhouse.api.reports import Days, Model, Zone
from clickhouse.api.stats import Since, Until
from clickhouse.models.computed import DataModel
from clickhouse.models.computed import Dimension as PathDimension
from clickhouse.read import Parameters, Reader
from schemas.control import Campaign, ControlView, Flow, Link, Project, Scope
from schemas.errors import Reason, Refused

MAX_CHANGES: Final = 1000
COLUMNS: Final = 2


AnyModel = Model | DataModel
"""Who earns a conversion: by a rule for each, or by what all paths of the period say."""
MODELS: Final[dict[str, AnyModel]] = {model.value: model for kind in (Model, DataModel) for model in kind}


class Dimension(StrEnum):
    """What is credited."""

    SOURCE = "source"
    MEDIUM = "medium"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"
    LINK = "link"
    EMAIL_CAMPAIGN = "email_campaign"
    FLOW = "flow"


class Touches(StrEnum):
    """Which touches compete for the credit."""

    ALL = "all"
    CLICKS = "clicks"
    EMAIL = "email"


SCOPES: Final = {
    Dimension.LINK: Touches.CLICKS,
    Dimension.EMAIL_CAMPAIGN: Touches.EMAIL,
    Dimension.FLOW: Touches.EMAIL,
}
"""Where none is asked for; ``all`` for the other dimensions."""
VISITED: Final = {Dimension(value): PathDimension(value) for value in PathDimension}
"""Dimensions that a session has: the others have no denominators, and are no steps of a path."""

ModelTexts = Annotated[
    str,
    QueryParameter(
        name="model",
        description="last_touch, first_touch, linear, position, time_decay, markov or shapley; two of them, with a "
        "comma, to compare them",
    ),
]
CompareText = Annotated[
    str | None, QueryParameter(name="compare", description="The second model: the same as a comma in model")
]
AsOfTexts = Annotated[
    str | None,
    QueryParameter(
        name="as_of",
        description="A run of the booker, a time or a day; two of them, with a comma, to see what changed and why. "
        "Default: now",
    ),
]
ScopeText = Annotated[
    str | None,
    QueryParameter(
        name="scope",
        description="all, clicks or email. Default: clicks for link, email for email_campaign and flow, else all",
    ),
]
GoalId = Annotated[str | None, QueryParameter(name="goal", description="Id of a goal: only conversions that hit it")]


class Column(Struct, frozen=True, kw_only=True):
    """Whose figures these are. ``model_run``: the stored run of a data-driven model."""

    model: str
    as_of: AsOf
    model_run: str | UnsetType = UNSET


class AttributionReport(Struct, frozen=True, kw_only=True):
    """Rows by conversions of the first column, most first. ``changes``: only for two states of the books."""

    project_id: str
    days: Days
    dimension: Dimension
    scope: Touches
    goal_id: str | None
    columns: list[Column]
    rows: list[AttributionRow]
    totals: Attributed
    changes: Changes | UnsetType = UNSET


class Asked(Struct, frozen=True, kw_only=True):
    """What every column shares."""

    project: Project
    span: Span
    dimension: Dimension
    scope: Touches
    goal_id: str | None

    @property
    def parameters(self) -> Parameters:
        return {
            "project_id": self.project.id,
            "scope": self.scope.value,
            "dimension": self.dimension.value,
            "goal_id": self.goal_id or "",
            "from_ms": self.span.from_ms,
            "to_ms": self.span.to_ms,
        }


def chosen_models(text: str, compare: str | None) -> list[AnyModel]:
    """One model or two. Raises :class:`Refused` (invalid_value)."""
    found: list[AnyModel] = []
    for field, names in (("model", text.split(",")), ("compare", [] if compare is None else [compare])):
        for name in names:
            if name not in MODELS:
                raise Refused(Reason.INVALID_VALUE, f"must be one of {', '.join(MODELS)}", field=field)
            found.append(MODELS[name])
    if len(found) > COLUMNS:
        field = "model" if compare is None else "compare"
        raise Refused(Reason.INVALID_VALUE, "at most two models can be compared", field=field)
    return found


def chosen_scope(text: str | None, dimension: Dimension) -> Touches:
    """What is asked for, else what the dimension is about. Raises :class:`Refused` (invalid_value)."""
    if text is None:
        return SCOPES.get(dimension, Touches.ALL)
    try:
        return Touches(text)
    except ValueError:
        raise Refused(Reason.INVALID_VALUE, f"must be one of {', '.join(Touches)}", field="scope") from None


async def _states(reader: Reader, text: str | None, span: Span, now_ms: int) -> list[FoundRun]:
    if text is None:
        return [await newest_run(reader)]
    texts = text.split(",")
    if len(texts) > COLUMNS:
        raise Refused(Reason.INVALID_VALUE, "at most two states can be compared", field="as_of")
    return [await resolve_as_of(reader, one, span.time_zone, now_ms) for one in texts]


async def _ruled(reader: Reader, asked: Asked, models: list[Model], state: FoundRun) -> list[Credited]:
    """What models of the book credit, in the order of ``models``."""
    names = [model.value for model in models]
    found = await reader.rows(
        "attribution_report", CreditedRow, {**asked.parameters, "models": names, "as_of": state.number}
    )
    return [column(found, name) for name in names]


async def _computed(reader: Reader, asked: Asked, model: DataModel, state: FoundRun) -> tuple[Credited, Column]:
    """What the newest stored run, of those that read no later books, says."""
    if asked.dimension not in VISITED:
        raise Refused(Reason.INVALID_VALUE, f"{model} is by {', '.join(VISITED)} only", field="dimension")
    if asked.scope is not Touches.ALL or asked.goal_id is not None:
        field = "goal" if asked.goal_id is not None else "scope"
        raise Refused(Reason.INVALID_VALUE, f"{model} is over all touches of all conversions", field=field)
    runs = await find_runs(
        reader,
        asked.project,
        model=model,
        dimension=VISITED[asked.dimension],
        span=asked.span,
    )
    run = next((run for run in runs if run.book_run <= state.number), None)
    if run is None:
        message = (
            f"no {model} is stored for these days and this dimension: compute it with "
            f"POST /v1/projects/{asked.project.id}/models"
        )
        raise Refused(Reason.CONFLICT, message, field="model")
    shares = await find_shares(reader, asked.project, run.id)
    read = await resolve_as_of(reader, str(run.book_run), asked.span.time_zone, 0)
    credited = {share.value: Sums(share.conversions, share.revenue, share.refunded) for share in shares}
    return credited, Column(model=model.value, as_of=read.shown(), model_run=run.id)


async def _changes(reader: Reader, asked: Asked, model: Model, states: list[FoundRun]) -> Changes:
    first, last = sorted(state.number for state in states)
    found = await reader.rows(
        "attribution_changes",
        ChangeRow,
        {**asked.parameters, "model": model.value, "first": first, "last": last, "most": MAX_CHANGES},
    )
    return changes(found, 1 if states[0].number == first else -1)


def _name(view: ControlView, project: Project, dimension: Dimension, value: str) -> str | None:
    """The name of a link, an e-mail campaign or a flow."""
    match dimension:
        case Dimension.LINK:
            entry = view.entry(Link, value)
            link = entry.body if entry is not None else None
            return (link.name or link.slug) if isinstance(link, Link) and link.project_id == project.id else None
        case Dimension.EMAIL_CAMPAIGN:
            return name_of(view, Campaign, project.id, value)
        case Dimension.FLOW:
            return name_of(view, Flow, project.id, value)
        case _:
            return None


class Attribution(Controller):
    """Who is credited."""

    path = "/v1/projects/{project_id:str}/reports/attribution"
    guards = (guard,)
    tags = ("Reports",)

    @get(
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS | CONFLICT,
        summary="Conversions and revenue by model and dimension, now or as of a run; two side by side",
    )
    async def attribution(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        model: ModelTexts = Model.LAST_TOUCH.value,
        compare: CompareText = None,
        dimension: FromQuery[Dimension] = Dimension.SOURCE,
        scope_text: ScopeText = None,
        goal: GoalId = None,
        as_of: AsOfTexts = None,
        period: FromQuery[Period | None] = None,
        since: Since = None,
        until: Until = None,
        zone: Zone = None,
    ) -> AttributionReport:
        if goal is not None and log.view.goal(project.id, goal) is None:
            raise Refused(Reason.NOT_FOUND, "no such goal", field="goal")
        now_ms = time.time_ns() // 1_000_000
        models = chosen_models(model, compare)
        asked = Asked(
            project=project,
            span=resolve(period, since, until, zone or project.time_zone, now_ms),
            dimension=dimension,
            scope=chosen_scope(scope_text, dimension),
            goal_id=goal,
        )
        states = await _states(reader, as_of, asked.span, now_ms)
        if len(states) > 1 and len(models) > 1:
            raise Refused(Reason.INVALID_VALUE, "compare two models or two states, not both", field="as_of")
        ruled = [one for one in models if isinstance(one, Model)]
        columns, credited = [], []
        for state in states:
            books = iter(await _ruled(reader, asked, ruled, state) if ruled else ())
            for one in models:
                if isinstance(one, DataModel):
                    earned, shown = await _computed(reader, asked, one, state)
                else:
                    earned, shown = next(books), Column(model=one.value, as_of=state.shown())
                columns.append(shown)
                credited.append(earned)
        visits = None
        if as_of is None and dimension in VISITED:
            visits = await reader.rows(
                "attribution_visits",
                VisitRow,
                {name: asked.parameters[name] for name in ("project_id", "dimension", "from_ms", "to_ms")},
            )
        found, totals = rows(credited, visits, lambda value: _name(log.view, project, dimension, value))
        return AttributionReport(
            project_id=project.id,
            days=Days.of(asked.span),
            dimension=dimension,
            scope=asked.scope,
            goal_id=asked.goal_id,
            columns=columns,
            rows=found,
            totals=totals,
            changes=await _changes(reader, asked, ruled[0], states) if len(states) > 1 and ruled else UNSET,
        )
