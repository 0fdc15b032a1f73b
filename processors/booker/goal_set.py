"""The goals a run matches, and the copies of the control log that analysts read."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from processors.booker.ledger import Ledger
from schemas.control import ControlView, Goal, Link, LinkGoal, Project


class GoalSet(msgspec.Struct, frozen=True):
    """One version of all goals, stored under ``set_id``."""

    set_id: str
    control_offset: int
    complete: tuple[Goal, ...]
    """Have counted all history: new facts are enough."""
    pending: tuple[Goal, ...]
    """Have yet to count history, in the next run."""
    lookbacks: Mapping[str, int]
    """Days, of the projects that name them."""


def goal_set(ledger: Ledger, view: ControlView) -> GoalSet:
    """Store the goals as the view has them, and copies of goals, projects and links."""
    served = ledger.served()
    goals = [goal for of_project in list(view.goals_by_project.values()) for goal in of_project.values()]
    made = GoalSet(
        set_id=str(uuid.uuid4()),
        control_offset=view.offset,
        complete=tuple(goal for goal in goals if served.get(goal.id) == goal.definition),
        pending=tuple(goal for goal in goals if served.get(goal.id) != goal.definition),
        lookbacks={
            project.id: project.lookback_days
            for entry in list(view.entries.values())
            if isinstance(project := entry.body, Project) and project.lookback_days
        },
    )
    ledger.insert(
        "goal_sets",
        [
            _goal_row(goal) | {"set_id": made.set_id, "complete": complete}
            for complete, some in ((True, made.complete), (False, made.pending))
            for goal in some
        ],
    )
    _copy(ledger, view)
    return made


def _goal_row(goal: Goal) -> dict[str, Any]:
    return {
        "project_id": goal.project_id,
        "goal_id": goal.id,
        "definition": goal.definition,
        "type": goal.type.value,
        "match_type": goal.match_type.value,
        "match_value": goal.match_value,
    }


def _copy(ledger: Ledger, view: ControlView) -> None:
    goals, projects, links, link_goals = [], [], [], []
    for entry in list(view.entries.values()):
        match entry.body:
            case Goal() as goal:
                copied = {
                    "version": entry.version,
                    "name": goal.name,
                    "currency": goal.currency or "",
                    "deleted": entry.deleted,
                }
                goals.append(_goal_row(goal) | copied)
            case Project() as project:
                projects.append(
                    {
                        "project_id": project.id,
                        "version": entry.version,
                        "name": project.name,
                        "site_key": project.site_key,
                        "time_zone": project.time_zone,
                        "lookback_days": project.lookback_days or 0,
                        "deleted": entry.deleted,
                    }
                )
            case Link() as link:
                links.append(
                    {
                        "project_id": link.project_id,
                        "link_id": int(link.id),
                        "version": entry.version,
                        "slug": link.slug,
                        "name": link.name,
                        "destination": link.destination,
                        "deleted": entry.deleted,
                    }
                )
            case LinkGoal() as link_goal:
                link_goals.append(
                    {
                        "project_id": link_goal.project_id,
                        "goal_id": link_goal.id,
                        "version": entry.version,
                        "name": link_goal.name,
                        "goal_type": link_goal.goal_type.value,
                        "window_days": link_goal.window_days,
                        "deleted": entry.deleted,
                    }
                )
            case _:
                pass
    ledger.insert("goals", goals)
    ledger.insert("projects", projects)
    ledger.insert("links", links)
    ledger.insert("link_goals", link_goals)
