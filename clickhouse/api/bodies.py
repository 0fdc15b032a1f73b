"""What requests carry. Unknown fields are ignored. In a PATCH an absent field stays as it is."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.control import GoalType, KeyKind, MatchType, Scope

MATCH_VALUE_MAX_CHARS: Final = 1024

MatchValue = Annotated[
    str, Meta(min_length=1, max_length=MATCH_VALUE_MAX_CHARS, description="Compared with a path, a name or a type")
]
Lookback = Annotated[int, Meta(ge=1, le=3650)]


class NewGoal(Struct, frozen=True, kw_only=True):
    """A goal to create."""

    name: str
    type: GoalType
    match_type: MatchType
    match_value: MatchValue
    currency: str | None = None
    """ISO 4217, in either case."""


class GoalChange(Struct, frozen=True, kw_only=True):
    """Fields of a goal to change; ``currency: null`` clears it."""

    name: str | UnsetType = UNSET
    type: GoalType | UnsetType = UNSET
    match_type: MatchType | UnsetType = UNSET
    match_value: MatchValue | UnsetType = UNSET
    currency: str | UnsetType | None = UNSET


class NewProject(Struct, frozen=True, kw_only=True):
    """A project to create. ``time_zone``: an IANA name."""

    name: str
    time_zone: str = "UTC"


class ProjectChange(Struct, frozen=True, kw_only=True):
    """Fields of a project to change; ``lookback_days: null`` means the installation's default."""

    name: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    lookback_days: Lookback | UnsetType | None = UNSET


class NewKey(Struct, frozen=True, kw_only=True):
    """An API key to create. A public key may only have ``events:write``, which is its default."""

    kind: KeyKind
    scopes: list[Scope] | UnsetType = UNSET
    name: str = ""
