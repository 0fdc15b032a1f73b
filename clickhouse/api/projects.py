"""Projects: made by an operator's key, read and changed by their own."""

import time

from litestar import Controller, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, NewProjectAnswer, ProjectListAnswer, ProjectView
from clickhouse.api.bodies import NewProject, ProjectChange
from clickhouse.api.given import GivenCaller, GivenLog, GivenProject
from clickhouse.api.periods import zone_name
from control.projects import checked_name, create_project
from schemas.control import Project, Scope


class Projects(Controller):
    """Create, list and change projects."""

    path = "/v1/projects"
    guards = (guard,)
    tags = ("Projects",)

    @post(
        opt=needs(Scope.PROJECTS_ADMIN, current=True),
        responses=REFUSALS,
        summary="Create a project with a secret and a public key, which are shown this once",
    )
    async def create(self, log: GivenLog, data: JSONBody[NewProject]) -> NewProjectAnswer:
        made = await create_project(
            log, name=data.name, time_zone=zone_name(data.time_zone), now_ms=time.time_ns() // 1_000_000
        )
        return NewProjectAnswer(
            **structs.asdict(ProjectView.of(made.project)), secret_key=made.secret_text, public_key=made.public_text
        )

    @get(
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="The key's own project; with projects:admin, all",
    )
    async def list(self, project: GivenProject, caller: GivenCaller, log: GivenLog) -> ProjectListAnswer:
        found = [project]
        if Scope.PROJECTS_ADMIN in caller.scopes:
            found = sorted(log.view.projects_by_site_key.values(), key=lambda one: (one.created_at, one.id))
        return ProjectListAnswer([ProjectView.of(one) for one in found])

    @get("/{project_id:str}", opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="One project")
    async def read(self, project: GivenProject) -> ProjectView:
        return ProjectView.of(project)

    @patch(
        "/{project_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Change a project's name, time zone or lookback",
    )
    async def change(self, project: GivenProject, log: GivenLog, data: JSONBody[ProjectChange]) -> ProjectView:
        wanted = {field: value for field, value in structs.asdict(data).items() if value is not UNSET}
        if data.name is not UNSET:
            wanted["name"] = checked_name(data.name)
        if data.time_zone is not UNSET:
            zone_name(data.time_zone)
        entry = await log.change(Project, project.id, lambda newest: structs.replace(newest, **wanted))
        assert isinstance(entry.body, Project)
        return ProjectView.of(entry.body)
