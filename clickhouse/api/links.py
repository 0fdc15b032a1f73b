"""Seed S1: short links. Opening ``url`` records a click and leads to ``destination``; ingest answers it."""

import time
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, instant
from clickhouse.api.given import GivenLog, GivenProject
from control.links import check_slug_free, checked_slug, checked_url, checked_utm, create_link, slug_taken
from control.log import ControlLog
from control.projects import checked_name
from schemas.control import ControlView, Link, Project, Scope
from schemas.errors import Reason, Refused

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

AnyRequest = Request[Any, Any, Any]


class LinkFields(Struct, frozen=True, kw_only=True):
    """Fields of a link. In a PATCH an absent field stays as it is; an empty name or UTM parameter clears it."""

    destination: str | UnsetType = UNSET
    slug: Annotated[str, Meta(description="Drawn if absent")] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    utm_source: str | UnsetType = UNSET
    utm_medium: str | UnsetType = UNSET
    utm_campaign: str | UnsetType = UNSET
    utm_term: str | UnsetType = UNSET
    utm_content: str | UnsetType = UNSET


class LinkBody(LinkFields, frozen=True, kw_only=True):
    """A link: its fields, or an object ``link`` that has them."""

    link: LinkFields | UnsetType = UNSET


class LinkView(Struct, frozen=True, kw_only=True):
    """A link. ``id`` is an integer below 2**53."""

    id: int
    slug: str
    url: str
    destination: str
    name: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    created_at: datetime


class LinkAnswer(Struct, frozen=True):
    link: LinkView


class LinkListAnswer(Struct, frozen=True):
    links: list[LinkView]


def find(view: ControlView, project: Project, link_id: str) -> Link:
    """The project's link. Raises :class:`Refused` (not_found), also for another tenant's."""
    link = view.links_by_project.get(project.id, {}).get(link_id)
    if link is None:
        raise Refused(Reason.NOT_FOUND, "no such link")
    return link


def shown(link: Link, request: AnyRequest) -> LinkView:
    """The link, with its address on the host that was asked."""
    return LinkView(
        id=int(link.id),
        slug=link.slug,
        url=f"{str(request.base_url).rstrip('/')}/l/{link.slug}",
        destination=link.destination,
        name=link.name,
        utm_source=link.utm_source,
        utm_medium=link.utm_medium,
        utm_campaign=link.utm_campaign,
        utm_term=link.utm_term,
        utm_content=link.utm_content,
        created_at=instant(link.created_at),
    )


def checked(data: LinkBody) -> dict[str, str]:
    """The fields that are given. Raises :class:`Refused` for the first that is wrong."""
    given = data if data.link is UNSET else data.link
    fields: dict[str, str] = {}
    if given.destination is not UNSET:
        fields["destination"] = checked_url(given.destination, "destination")
    if given.slug is not UNSET:
        fields["slug"] = checked_slug(given.slug)
    if given.name is not UNSET:
        fields["name"] = checked_name(given.name) if given.name else ""
    for name in UTM:
        value: str | UnsetType = getattr(given, name)
        if value is not UNSET:
            fields[name] = checked_utm(value, name)
    return fields


class Links(Controller):
    """Create, list, change and delete links of the key's project."""

    path = "/api/v1/links"
    guards = (guard,)
    tags = ("Links",)

    @post(opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Create a link")
    async def create(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, data: JSONBody[LinkBody]
    ) -> LinkAnswer:
        fields = {"slug": ""} | checked(data)
        if "destination" not in fields:
            raise Refused(Reason.MISSING_FIELD, "is required", field="destination")
        link = Link(id="", project_id=project.id, created_at=time.time_ns() // 1_000_000, **fields)
        return LinkAnswer(shown(await create_link(log, link), request))

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List links, oldest first")
    async def list(self, request: AnyRequest, project: GivenProject, log: GivenLog) -> LinkListAnswer:
        links = log.view.links_by_project.get(project.id, {}).values()
        return LinkListAnswer(
            [shown(link, request) for link in sorted(links, key=lambda link: (link.created_at, link.id))]
        )

    @get("/{link_id:str}", opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="One link")
    async def read(
        self, request: AnyRequest, project: GivenProject, log: GivenLog, link_id: FromPath[str]
    ) -> LinkAnswer:
        return LinkAnswer(shown(find(log.view, project, link_id), request))

    @patch(
        "/{link_id:str}", opt=needs(Scope.ANALYTICS_WRITE, current=True), responses=REFUSALS, summary="Change a link"
    )
    async def change(
        self,
        request: AnyRequest,
        project: GivenProject,
        log: GivenLog,
        link_id: FromPath[str],
        data: JSONBody[LinkBody],
    ) -> LinkAnswer:
        find(log.view, project, link_id)
        return LinkAnswer(shown(await _changed(log, link_id, checked(data)), request))

    @delete(
        "/{link_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Delete a link; its clicks and what they brought stay",
    )
    async def remove(self, project: GivenProject, log: GivenLog, link_id: FromPath[str]) -> DeletedAnswer:
        find(log.view, project, link_id)
        await log.delete(Link, link_id)
        return DeletedAnswer(Deleted(True))


async def _changed(log: ControlLog, link_id: str, fields: dict[str, str]) -> Link:
    def edit(link: Link) -> Link:
        edited = structs.replace(link, **fields)
        check_slug_free(log, edited)
        return edited

    try:
        entry = await log.change(Link, link_id, edit)
    except Refused as refusal:
        raise slug_taken() if refusal.reason is Reason.CONFLICT and "slug" in fields else refusal from None
    assert isinstance(entry.body, Link)
    return entry.body
