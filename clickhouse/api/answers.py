"""What answers carry. Decimals are JSON numbers with all their digits; times are ISO 8601, UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

from schemas.control import GoalType, Key, KeyKind, MatchType, Project, Scope

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(ms: int) -> datetime:
    """The instant of a Unix time in milliseconds."""
    return EPOCH + timedelta(milliseconds=ms)


class Problem(Struct, frozen=True, omit_defaults=True):
    """Why, and where."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(Struct, frozen=True):
    """Every error."""

    error: Problem


def _refusal(description: str) -> ResponseSpec:
    return ResponseSpec(data_container=ErrorAnswer, description=description, generate_examples=False)


REFUSALS: Final = {
    400: _refusal("Not JSON, a missing field or a wrong JSON type"),
    401: _refusal("Unknown or revoked key"),
    403: _refusal("The key lacks the scope"),
    404: _refusal("There is no such thing, or it is another tenant's"),
    422: _refusal("A value that is not allowed; field names it"),
    503: _refusal("Kafka or ClickHouse is away; try again after Retry-After seconds"),
}
"""For every route that needs a key."""

CONFLICT: Final = {409: _refusal("Not now: what it needs is not there yet")}
"""For routes that need something to be booked or computed first."""


class GoalView(Struct, frozen=True, kw_only=True):
    """A goal."""

    id: str
    name: str
    type: GoalType
    match_type: MatchType
    match_value: str
    currency: str | None


class GoalAnswer(Struct, frozen=True):
    data: GoalView


class GoalListAnswer(Struct, frozen=True):
    data: list[GoalView]


class Deleted(Struct, frozen=True):
    deleted: bool


class DeletedAnswer(Struct, frozen=True):
    data: Deleted


class CurrencyRevenue(Struct, frozen=True):
    """Money that a goal's sum leaves out."""

    currency: str
    revenue: Decimal


class GoalStats(Struct, frozen=True, kw_only=True):
    """``revenue`` is null without a currency; ``excluded`` is there only if something could not be converted."""

    conversions: int
    unique_conversions: int
    revenue: Decimal | None
    excluded: list[CurrencyRevenue] | UnsetType = UNSET


class GoalStatsAnswer(Struct, frozen=True):
    data: GoalStats


class ProjectView(Struct, frozen=True, kw_only=True):
    """A project."""

    id: str
    name: str
    site_key: str
    time_zone: str
    lookback_days: int | None
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> "ProjectView":
        return cls(
            id=project.id,
            name=project.name,
            site_key=project.site_key,
            time_zone=project.time_zone,
            lookback_days=project.lookback_days,
            created_at=instant(project.created_at),
        )


class NewProjectAnswer(ProjectView, frozen=True, kw_only=True):
    """A new project with its keys, which are shown this once."""

    secret_key: str
    public_key: str


class ProjectListAnswer(Struct, frozen=True):
    data: list[ProjectView]


class KeyView(Struct, frozen=True, kw_only=True):
    """A key, without its text."""

    id: str
    kind: KeyKind
    name: str
    scopes: tuple[Scope, ...]
    hint: str
    created_at: datetime

    @classmethod
    def of(cls, key: Key) -> "KeyView":
        return cls(
            id=key.id,
            kind=key.kind,
            name=key.name,
            scopes=key.scopes,
            hint=key.hint,
            created_at=instant(key.created_at),
        )


class NewKeyAnswer(KeyView, frozen=True, kw_only=True):
    """A new key; its text is shown this once."""

    key: str


class KeyListAnswer(Struct, frozen=True):
    data: list[KeyView]
