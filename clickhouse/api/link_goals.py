"""Seed S1: conversion goals of links, and the postback tokens by which their conversions are reported.

A token's text is shown once, in the answer that makes it; a goal may have several.
"""

import time
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import uuid_utils
from litestar import Controller, Request, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.exact import money
from clickhouse.api.given import GivenLog, GivenProject
from clickhouse.api.goal_fields import currency_code
from control.keys import new_token
from control.links import checked_url, checked_value, create_link_goal
from control.projects import checked_name
from schemas.control import LINK_WINDOW_DAYS, ControlView, LinkGoal, LinkGoalType, Project, Scope
from schemas.errors import Reason, Refused

AnyRequest = Request[Any, Any, Any]


class NewLinkGoal(Struct, frozen=True, kw_only=True):
    """A goal to create. ``value`` is that of a conversion which states none; ``postback_url`` is told of each."""

    name: str
    goal_type: LinkGoalType
    value: Decimal | None = None
    currency: str | None = None
    """ISO 4217, in either case."""
    postback_url: str | None = None
    window_days: Annotated[int, Meta(ge=1, le=365, description="Attribution window")] = LINK_WINDOW_DAYS


class NewLinkGoalBody(Struct, frozen=True):
    goal: NewLinkGoal


class LinkGoalView(Struct, frozen=True, kw_only=True):
    """A goal. The token and the address that takes its postbacks are there only in the answer that makes them."""

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


class LinkGoalAnswer(Struct, frozen=True):
    goal: LinkGoalView


class LinkGoalListAnswer(Struct, frozen=True):
    goals: list[LinkGoalView]


def shown(view: ControlView, goal: LinkGoal, request: AnyRequest, token: str = "") -> LinkGoalView:
    """The goal; with its new ``token``, if there is one to be shown."""
    hints = [known.hint for known in view.tokens_by_digest.values() if known.goal_id == goal.id]
    base = str(request.base_url).rstrip("/")
    return LinkGoalView(
        id=goal.id,
        name=goal.name,
        goal_type=goal.goal_type,
        value=None if goal.value is None else money(Decimal(goal.value)),
        currency=goal.currency,
        postback_url=goal.postback_url,
        window_days=goal.window_days,
        token_hints=hints,
        created_at=instant(goal.created_at),
        postback_token=token or UNSET,
        tracking_url=f"{base}/api/conversions/track/{token}" if token else UNSET,
    )


def in_order(view: ControlView, project: Project) -> list[LinkGoal]:
    """The project's goals, oldest first."""
    goals = view.link_goals_by_project.get(project.id, {}).values()
    return sorted(goals, key=lambda goal: (goal.created_at, goal.id))


class LinkGoals(Controller):
    """Create and list goals of the key's project."""

    path = "/api/v1/conversions/goals"
    guards = (guard,)
    tags = ("Links",)

    @post(opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Create a conversion goal")
    async def create(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, data: JSONBody[NewLinkGoalBody]
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
        return LinkGoalAnswer(shown(log.view, goal, request, made.text))

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List conversion goals")
    async def list(self, request: AnyRequest, project: GivenProject, log: GivenLog) -> LinkGoalListAnswer:
        return LinkGoalListAnswer([shown(log.view, goal, request) for goal in in_order(log.view, project)])

    @post(
        "/{goal_id:str}/tokens",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Create a further postback token, whose text is shown this once",
    )
    async def add_token(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, goal_id: FromPath[str]
    ) -> LinkGoalAnswer:
        goal = log.view.link_goal(project.id, goal_id)
        if goal is None:
            raise Refused(Reason.NOT_FOUND, "no such goal")
        token, text = new_token(goal, time.time_ns() // 1_000_000)
        await log.write(token, replaces=0)
        return LinkGoalAnswer(shown(log.view, goal, request, text))
