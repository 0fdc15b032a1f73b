"""Seed S2: the goals of a site.

A goal's ``definition`` counts up when a match field changes, and only then: bookings belong to a definition, and the
old one is served until the new one has counted all history. Deleting a goal keeps what was booked.
"""

import time

import uuid_utils
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, GoalAnswer, GoalListAnswer, GoalView
from clickhouse.api.bodies import GoalChange, NewGoal
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.goal_fields import check_match, currency_code
from control.projects import checked_name
from schemas.control import ControlView, Goal, Project, Scope
from schemas.errors import Reason, Refused

SITE_PATH = "/api/v1/analytics/sites/{key:str}/goals"


def find(view: ControlView, project: Project, goal_id: str) -> Goal:
    """The project's goal. Raises :class:`Refused` (not_found), also for another tenant's."""
    goal = view.goal(project.id, goal_id)
    if goal is None:
        raise Refused(Reason.NOT_FOUND, "no such goal")
    return goal


def in_order(view: ControlView, project: Project) -> list[Goal]:
    """The project's goals, oldest first."""
    return sorted(view.goals_by_project.get(project.id, {}).values(), key=lambda goal: (goal.created_at, goal.id))


def shown(goal: Goal) -> GoalView:
    """The goal as seed S2 prints it."""
    return GoalView(
        id=goal.id,
        name=goal.name,
        type=goal.type,
        match_type=goal.match_type,
        match_value=goal.match_value,
        currency=goal.currency,
    )


def changed(goal: Goal, change: GoalChange) -> Goal:
    """The goal with the fields of ``change``. Raises :class:`Refused` for a bad name or currency."""
    wanted = {field: value for field, value in structs.asdict(change).items() if value is not UNSET}
    if change.name is not UNSET:
        wanted["name"] = checked_name(change.name)
    if change.currency is not UNSET:
        wanted["currency"] = currency_code(change.currency)
    result = structs.replace(goal, **wanted)
    if _match_of(result) != _match_of(goal):
        result = structs.replace(result, definition=goal.definition + 1)
    return result


def _match_of(goal: Goal) -> tuple[str, str, str]:
    return goal.type, goal.match_type, goal.match_value


class Goals(Controller):
    """Create, list, change and delete goals."""

    path = SITE_PATH
    guards = (guard,)
    tags = ("Goals",)

    @post(opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Create a goal")
    async def create(
        self, project: GivenProject, log: GivenLog, reader: GivenReader, data: JSONBody[NewGoal]
    ) -> GoalAnswer:
        goal = Goal(
            id=str(uuid_utils.uuid7()),
            project_id=project.id,
            name=checked_name(data.name),
            type=data.type,
            match_type=data.match_type,
            match_value=data.match_value,
            currency=currency_code(data.currency),
            created_at=time.time_ns() // 1_000_000,
        )
        await check_match(reader, goal.match_type, goal.match_value)
        await log.write(goal, replaces=0)
        return GoalAnswer(shown(goal))

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List goals, oldest first")
    async def list(self, project: GivenProject, log: GivenLog) -> GoalListAnswer:
        return GoalListAnswer([shown(goal) for goal in in_order(log.view, project)])

    @get("/{goal_id:str}", opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="One goal")
    async def read(self, project: GivenProject, log: GivenLog, goal_id: FromPath[str]) -> GoalAnswer:
        return GoalAnswer(shown(find(log.view, project, goal_id)))

    @patch(
        "/{goal_id:str}", opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Change a goal"
    )
    async def change(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        goal_id: FromPath[str],
        data: JSONBody[GoalChange],
    ) -> GoalAnswer:
        goal = find(log.view, project, goal_id)
        result = changed(goal, data)
        if _match_of(result) != _match_of(goal):
            await check_match(reader, result.match_type, result.match_value)
        checked = {_match_of(goal), _match_of(result)}

        def edit(newest: Goal) -> Goal:
            # After a lost race this is another goal than the one whose match was checked.
            edited = changed(newest, data)
            if _match_of(edited) not in checked and _match_of(edited) != _match_of(newest):
                raise Refused(Reason.CONFLICT, "changed by someone else at the same time")
            return edited

        entry = await log.change(Goal, goal_id, edit)
        assert isinstance(entry.body, Goal)
        return GoalAnswer(shown(entry.body))

    @delete(
        "/{goal_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Delete a goal; what was booked stays",
    )
    async def remove(self, project: GivenProject, log: GivenLog, goal_id: FromPath[str]) -> DeletedAnswer:
        find(log.view, project, goal_id)
        await log.delete(Goal, goal_id)
        return DeletedAnswer(Deleted(True))
