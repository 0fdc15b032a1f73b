"""Seed S1: conversion goals of links, and the postback tokens by which their conversions are reported.

1. A token's text is shown once, in the answer that makes it. To rotate it, make another, use that, revoke the old one.
2. A change holds for what is reported from then on: a conversion keeps the type and the window it was reported with.
3. Deleting a goal revokes its tokens. What it brought stays in all reports.
"""

import time
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import uuid_utils
from litestar import Controller, Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, instant
from clickhouse.api.exact import money
from clickhouse.api.given import GivenLog, GivenProject, GivenSeals
from clickhouse.api.goal_fields import currency_code
from control.keys import new_token
from control.links import checked_url, checked_value, create_link_goal
from control.projects import checked_name
from schemas.control import LINK_WINDOW_DAYS, ControlView, LinkGoal, LinkGoalType, Project, Scope, Token
from schemas.errors import Reason, Refused

AnyRequest = Request[Any, Any, Any]

WINDOW_MAX_DAYS: Final = 365

Window = Annotated[int, Meta(ge=1, le=WINDOW_MAX_DAYS, description="Attribution window in days")]


class NewLinkGoal(Struct, frozen=True, kw_only=True):
    """A goal to create. ``value`` is that of a conversion which states none; ``postback_url`` is told of each."""

    name: str
    goal_type: LinkGoalType
    value: Decimal | None = None
    currency: str | None = None
    """ISO 4217, in either case."""
    postback_url: str | None = None
    window_days: Window = LINK_WINDOW_DAYS


class NewLinkGoalBody(Struct, frozen=True):
    goal: NewLinkGoal


class LinkGoalChange(Struct, frozen=True, kw_only=True):
    """Fields of a goal to change; null clears a value, a currency or a postback URL."""

    name: str | UnsetType = UNSET
    goal_type: LinkGoalType | UnsetType = UNSET
    value: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    postback_url: str | UnsetType | None = UNSET
    window_days: Window | UnsetType = UNSET


class LinkGoalChangeBody(Struct, frozen=True):
    goal: LinkGoalChange


class LinkGoalView(Struct, frozen=True, kw_only=True):
    """A goal. Tokens and the address that takes their postbacks are there only in the answer that makes them.

    The goal's own postback URL is a destination under the goal's id; ``signing_secret`` is what it is signed with.
    """

    id: str
    name: str
    goal_type: LinkGoalType
    value: Decimal | None
    currency: str | None
    postback_url: str | None
    window_days: int
    token_hints: list[str]
    created_at: datetime
    postback_token: str | UnsetType = UNSET
    tracking_url: str | UnsetType = UNSET
    signing_secret: str | UnsetType = UNSET


class LinkGoalAnswer(Struct, frozen=True):
    goal: LinkGoalView


class LinkGoalListAnswer(Struct, frozen=True):
    goals: list[LinkGoalView]


class TokenView(Struct, frozen=True, kw_only=True):
    """A postback token, without its text."""

    id: str
    hint: str
    created_at: datetime


class TokenListAnswer(Struct, frozen=True):
    tokens: list[TokenView]


def find(view: ControlView, project: Project, goal_id: str) -> LinkGoal:
    """The project's goal. Raises :class:`Refused` (not_found), also for another tenant's."""
    goal = view.link_goal(project.id, goal_id)
    if goal is None:
        raise Refused(Reason.NOT_FOUND, "no such goal")
    return goal


def tokens_of(view: ControlView, goal: LinkGoal) -> list[Token]:
    """The goal's tokens, oldest first."""
    found = [token for token in view.tokens_by_digest.values() if token.goal_id == goal.id]
    return sorted(found, key=lambda token: (token.created_at, token.id))


def shown(
    view: ControlView, goal: LinkGoal, request: AnyRequest, token: str = "", secret: str | None = None
) -> LinkGoalView:
    """The goal; with its new ``token`` and its ``secret``, if they are to be shown."""
    base = str(request.base_url).rstrip("/")
    return LinkGoalView(
        id=goal.id,
        name=goal.name,
        goal_type=goal.goal_type,
        value=None if goal.value is None else money(Decimal(goal.value)),
        currency=goal.currency,
        postback_url=goal.postback_url,
        window_days=goal.window_days,
        token_hints=[known.hint for known in tokens_of(view, goal)],
        created_at=instant(goal.created_at),
        postback_token=token or UNSET,
        tracking_url=f"{base}/api/conversions/track/{token}" if token else UNSET,
        signing_secret=secret or UNSET,
    )


def in_order(view: ControlView, project: Project) -> list[LinkGoal]:
    """The project's goals, oldest first."""
    goals = view.link_goals_by_project.get(project.id, {}).values()
    return sorted(goals, key=lambda goal: (goal.created_at, goal.id))


def checked(change: LinkGoalChange) -> dict[str, Any]:
    """The fields that are given. Raises :class:`Refused` for the first that is wrong."""
    wanted = {field: value for field, value in structs.asdict(change).items() if value is not UNSET}
    if change.name is not UNSET:
        wanted["name"] = checked_name(change.name)
    if change.value is not UNSET and change.value is not None:
        wanted["value"] = checked_value(change.value)
    if change.currency is not UNSET:
        wanted["currency"] = currency_code(change.currency)
    if change.postback_url is not UNSET and change.postback_url is not None:
        wanted["postback_url"] = checked_url(change.postback_url, "postback_url")
    return wanted


class LinkGoals(Controller):
    """Create, list, change and delete goals of the key's project, and their tokens."""

    path = "/api/v1/conversions/goals"
    guards = (guard,)
    tags = ("Links",)

    @post(opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Create a conversion goal")
    async def create(
        self,
        request: AnyRequest,
        project: GivenProject,
        log: GivenLog,
        seals: GivenSeals,
        data: JSONBody[NewLinkGoalBody],
    ) -> LinkGoalAnswer:
        given = data.goal
        goal = LinkGoal(
            id=str(uuid_utils.uuid7()),
            project_id=project.id,
            name=checked_name(given.name),
            goal_type=given.goal_type,
            value=None if given.value is None else checked_value(given.value),
            currency=currency_code(given.currency),
            postback_url=None if given.postback_url is None else checked_url(given.postback_url, "postback_url"),
            window_days=given.window_days,
            created_at=time.time_ns() // 1_000_000,
        )
        made = await create_link_goal(log, goal)
        destination = log.view.destination(project.id, goal.id)
        secret = None if destination is None else seals.secret_of(destination)
        return LinkGoalAnswer(shown(log.view, goal, request, made.text, secret))

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List conversion goals")
    async def list(self, request: AnyRequest, project: GivenProject, log: GivenLog) -> LinkGoalListAnswer:
        return LinkGoalListAnswer([shown(log.view, goal, request) for goal in in_order(log.view, project)])

    @get("/{goal_id:str}", opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="One goal")
    async def read(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, goal_id: FromPath[str]
    ) -> LinkGoalAnswer:
        return LinkGoalAnswer(shown(log.view, find(log.view, project, goal_id), request))

    @patch(
        "/{goal_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Change a goal, for conversions that are reported from then on",
    )
    async def change(
        self,
        request: AnyRequest,
        project: GivenProject,
        log: GivenLog,
        seals: GivenSeals,
        goal_id: FromPath[str],
        data: JSONBody[LinkGoalChangeBody],
    ) -> LinkGoalAnswer:
        had_url = find(log.view, project, goal_id).postback_url is not None
        wanted = checked(data.goal)
        entry = await log.change(LinkGoal, goal_id, lambda newest: structs.replace(newest, **wanted))
        assert isinstance(entry.body, LinkGoal)
        destination = None if had_url else log.view.destination(project.id, goal_id)
        secret = None if destination is None else seals.secret_of(destination)
        return LinkGoalAnswer(shown(log.view, entry.body, request, secret=secret))

    @delete(
        "/{goal_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Delete a goal and revoke its tokens; what it brought stays",
    )
    async def remove(self, project: GivenProject, log: GivenLog, goal_id: FromPath[str]) -> DeletedAnswer:
        find(log.view, project, goal_id)
        await log.delete(LinkGoal, goal_id)
        return DeletedAnswer(Deleted(True))

    @get(
        "/{goal_id:str}/tokens",
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="List the postback tokens of a goal, oldest first",
    )
    async def list_tokens(self, project: GivenProject, log: GivenLog, goal_id: FromPath[str]) -> TokenListAnswer:
        found = tokens_of(log.view, find(log.view, project, goal_id))
        return TokenListAnswer(
            [TokenView(id=token.id, hint=token.hint, created_at=instant(token.created_at)) for token in found]
        )

    @post(
        "/{goal_id:str}/tokens",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Create a further postback token, whose text is shown this once",
    )
    async def add_token(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, goal_id: FromPath[str]
    ) -> LinkGoalAnswer:
        goal = find(log.view, project, goal_id)
        token, text = new_token(goal, time.time_ns() // 1_000_000)
        await log.write(token, replaces=0)
        return LinkGoalAnswer(shown(log.view, goal, request, text))

    @delete(
        "/{goal_id:str}/tokens/{token_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Revoke a postback token, at once and for good",
    )
    async def revoke_token(
        self, project: GivenProject, log: GivenLog, goal_id: FromPath[str], token_id: FromPath[str]
    ) -> DeletedAnswer:
        known = {token.id for token in tokens_of(log.view, find(log.view, project, goal_id))}
        if token_id not in known:
            raise Refused(Reason.NOT_FOUND, "no such token")
        await log.delete(Token, token_id)
        return DeletedAnswer(Deleted(True))
