"""Seed S3: the names of campaigns and flows. Clients choose the ids, so a name is put, never posted."""

import time
from datetime import datetime
from typing import Final

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.given import GivenLog, GivenProject
from control.log import ControlLog
from control.projects import checked_name
from schemas.control import Campaign, ControlView, Flow, Project, Scope, mailing_key
from schemas.errors import Reason, Refused
from schemas.mailing import Named, id_of

ID_MAX_CHARS: Final = 256


class NewName(Struct, frozen=True):
    """What to call it."""

    name: str


class MailingView(Struct, frozen=True, kw_only=True):
    """A campaign or a flow. An ``id`` that is no UUID is answered as the UUID that it stands for."""

    id: str
    name: str
    created_at: datetime


class MailingAnswer(Struct, frozen=True):
    data: MailingView


def name_of(view: ControlView, kind: type[Campaign] | type[Flow], project_id: str, id: str) -> str | None:
    """The name that was put; None if none was."""
    entry = view.entry(kind, mailing_key(project_id, id))
    return entry.body.name if entry is not None and isinstance(entry.body, kind) else None


def _id(kind: Named, project: Project, text: str) -> str:
    if len(text) > ID_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"an id may have at most {ID_MAX_CHARS} characters", field="id")
    return id_of(kind, project.id, text)


async def _put(
    log: ControlLog, kind: type[Campaign] | type[Flow], project: Project, id: str, given: str
) -> MailingView:
    name = checked_name(given)
    key = mailing_key(project.id, id)
    if log.view.entry(kind, key) is None:
        made = kind(id=key, project_id=project.id, name=name, created_at=time.time_ns() // 1_000_000)
        try:
            await log.write(made, replaces=0)
        except Refused as refusal:
            # Somebody else was first to make it: then this is a change of theirs.
            if refusal.reason is not Reason.CONFLICT:
                raise
    await log.change(kind, key, lambda newest: structs.replace(newest, name=name))
    return _shown(log.view, kind, project, id)


def _shown(view: ControlView, kind: type[Campaign] | type[Flow], project: Project, id: str) -> MailingView:
    entry = view.entry(kind, mailing_key(project.id, id))
    if entry is None or not isinstance(entry.body, kind):
        raise Refused(Reason.NOT_FOUND, f"no such {kind.__name__.lower()}")
    return MailingView(id=id, name=entry.body.name, created_at=instant(entry.body.created_at))


class Campaigns(Controller):
    """Names of e-mail campaigns."""

    path = "/api/v1/campaigns"
    guards = (guard,)
    tags = ("Conversions",)

    @put(
        "/{campaign_id:str}",
        opt=needs(Scope.CONVERSIONS_WRITE, current=True),
        responses=REFUSALS,
        summary="Name a campaign, new or known",
    )
    async def name(
        self, project: GivenProject, log: GivenLog, campaign_id: FromPath[str], data: JSONBody[NewName]
    ) -> MailingAnswer:
        return MailingAnswer(await _put(log, Campaign, project, _id(Named.CAMPAIGN, project, campaign_id), data.name))

    @get(
        "/{campaign_id:str}",
        opt=needs(Scope.CONVERSIONS_READ, current=True),
        responses=REFUSALS,
        summary="One campaign",
    )
    async def read(self, project: GivenProject, log: GivenLog, campaign_id: FromPath[str]) -> MailingAnswer:
        return MailingAnswer(_shown(log.view, Campaign, project, _id(Named.CAMPAIGN, project, campaign_id)))


class Flows(Controller):
    """Names of e-mail flows."""

    path = "/api/v1/flows"
    guards = (guard,)
    tags = ("Conversions",)

    @put(
        "/{flow_id:str}",
        opt=needs(Scope.CONVERSIONS_WRITE, current=True),
        responses=REFUSALS,
        summary="Name a flow, new or known",
    )
    async def name(
        self, project: GivenProject, log: GivenLog, flow_id: FromPath[str], data: JSONBody[NewName]
    ) -> MailingAnswer:
        return MailingAnswer(await _put(log, Flow, project, _id(Named.FLOW, project, flow_id), data.name))

    @get("/{flow_id:str}", opt=needs(Scope.CONVERSIONS_READ, current=True), responses=REFUSALS, summary="One flow")
    async def read(self, project: GivenProject, log: GivenLog, flow_id: FromPath[str]) -> MailingAnswer:
        return MailingAnswer(_shown(log.view, Flow, project, _id(Named.FLOW, project, flow_id)))
