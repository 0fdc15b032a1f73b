"""Destinations: who is told of a project's conversions. The postback URLs of link goals are among them."""

import time
from datetime import datetime
from typing import Annotated, Any

import uuid_utils
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, instant
from clickhouse.api.given import GivenLog, GivenProject, GivenSeals
from control.destinations import (
    change_destination,
    checked_destination_url,
    checked_events,
    checked_options,
    checked_secret,
    delete_destination,
)
from control.projects import checked_name
from control.seals import Seals, new_signing_secret
from schemas.control import Consent, ControlView, Destination, DestinationKind, Project, Scope
from schemas.errors import Reason, Refused


class DestinationFields(Struct, frozen=True, kw_only=True):
    """Fields of a destination. In a PATCH an absent field stays as it is."""

    name: str | UnsetType = UNSET
    url: Annotated[str, Meta(description="Where to; for platforms a base URL instead of their own")] | UnsetType = UNSET
    options: Annotated[dict[str, str], Meta(description="What the platform needs, such as pixel_id")] | UnsetType = (
        UNSET
    )
    access_token: Annotated[str, Meta(description="Of the platform; never shown again")] | UnsetType = UNSET
    consent: Consent | UnsetType = UNSET
    events: Annotated[list[str], Meta(description="Kinds of conversions; empty: all")] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class NewDestination(DestinationFields, frozen=True, kw_only=True):
    """A destination to create."""

    kind: DestinationKind = DestinationKind.POSTBACK


class DestinationView(Struct, frozen=True, kw_only=True):
    """A destination. Its signing secret is there only in the answers that make one."""

    id: str
    name: str
    kind: DestinationKind
    url: str
    goal_id: str | None
    """Link goal whose postback URL this is: it is told of conversions of that goal only."""
    options: dict[str, str]
    consent: Consent
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    signing_secret: str | UnsetType = UNSET

    @classmethod
    def of(cls, one: Destination, secret: str = "") -> "DestinationView":
        return cls(
            id=one.id,
            name=one.name,
            kind=one.kind,
            url=one.url,
            goal_id=one.goal_id or None,
            options=one.options,
            consent=one.consent,
            events=one.events,
            enabled=one.enabled,
            disabled_reason=one.disabled_reason or None,
            created_at=instant(one.created_at),
            signing_secret=secret or UNSET,
        )


class DestinationListAnswer(Struct, frozen=True):
    data: list[DestinationView]


def find(view: ControlView, project: Project, destination_id: str) -> Destination:
    """The project's destination. Raises :class:`Refused` (not_found), also for another tenant's."""
    found = view.destination(project.id, destination_id)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "no such destination")
    return found


def checked(data: DestinationFields, kind: DestinationKind, project: Project, seals: Seals) -> dict[str, Any]:
    """The fields that are given. Raises :class:`Refused` for the first that is wrong."""
    fields: dict[str, Any] = {}
    if data.name is not UNSET:
        fields["name"] = checked_name(data.name)
    if data.url is not UNSET:
        optional = kind is not DestinationKind.POSTBACK and not data.url
        fields["url"] = "" if optional else checked_destination_url(data.url)
    if data.options is not UNSET:
        fields["options"] = checked_options(data.options)
    if data.access_token is not UNSET:
        if kind is DestinationKind.POSTBACK:
            message = "a postback has no access token: it is signed with a secret that is made for it"
            raise Refused(Reason.INVALID_VALUE, message, field="access_token")
        fields["secret"] = seals.seal(project.id, checked_secret(data.access_token))
    if data.consent is not UNSET:
        fields["consent"] = data.consent
    if data.events is not UNSET:
        fields["events"] = checked_events(data.events)
    if data.enabled is not UNSET:
        fields["enabled"] = data.enabled
        fields["disabled_reason"] = "" if data.enabled else "disabled over the API"
    return fields


class Destinations(Controller):
    """Create, list, change and delete destinations of a project."""

    path = "/v1/projects/{project_id:str}/destinations"
    guards = (guard,)
    tags = ("Destinations",)

    @post(
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Create a destination; the signing secret of a postback is shown this once",
    )
    async def create(
        self, project: GivenProject, log: GivenLog, seals: GivenSeals, data: JSONBody[NewDestination]
    ) -> DestinationView:
        fields = checked(data, data.kind, project, seals)
        for required in ("name", "url") if data.kind is DestinationKind.POSTBACK else ("name",):
            if required not in fields:
                raise Refused(Reason.MISSING_FIELD, "is required", field=required)
        secret = ""
        if data.kind is DestinationKind.POSTBACK:
            secret = new_signing_secret()
            fields["secret"] = seals.seal(project.id, secret)
        made = Destination(
            id=str(uuid_utils.uuid7()),
            project_id=project.id,
            kind=data.kind,
            created_at=time.time_ns() // 1_000_000,
            **fields,
        )
        await log.write(made, replaces=0)
        return DestinationView.of(made, secret)

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List destinations, oldest first")
    async def list(self, project: GivenProject, log: GivenLog) -> DestinationListAnswer:
        return DestinationListAnswer([DestinationView.of(one) for one in log.view.destinations(project.id)])

    @get(
        "/{destination_id:str}",
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="One destination; if it is disabled, why",
    )
    async def read(self, project: GivenProject, log: GivenLog, destination_id: FromPath[str]) -> DestinationView:
        return DestinationView.of(find(log.view, project, destination_id))

    @patch(
        "/{destination_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Change a destination; enabled: true also after it was disabled by failures",
    )
    async def change(
        self,
        project: GivenProject,
        log: GivenLog,
        seals: GivenSeals,
        destination_id: FromPath[str],
        data: JSONBody[DestinationFields],
    ) -> DestinationView:
        current = find(log.view, project, destination_id)
        fields = checked(data, current.kind, project, seals)
        if current.goal_id and "url" in fields:
            raise Refused(Reason.INVALID_VALUE, "is the goal's postback URL", field="url")
        changed = await change_destination(log, current, lambda one: structs.replace(one, **fields))
        return DestinationView.of(changed)

    @delete(
        "/{destination_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Delete a destination; what is pending for it is not sent",
    )
    async def remove(self, project: GivenProject, log: GivenLog, destination_id: FromPath[str]) -> DeletedAnswer:
        await delete_destination(log, find(log.view, project, destination_id))
        return DeletedAnswer(Deleted(True))

    @post(
        "/{destination_id:str}/secret",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Sign with a new secret from now on, which is shown this once",
    )
    async def rotate(
        self, project: GivenProject, log: GivenLog, seals: GivenSeals, destination_id: FromPath[str]
    ) -> DestinationView:
        current = find(log.view, project, destination_id)
        if current.kind is not DestinationKind.POSTBACK:
            raise Refused(Reason.INVALID_VALUE, "only postbacks are signed: change access_token instead")
        secret = new_signing_secret()
        sealed = seals.seal(project.id, secret)
        changed = await change_destination(log, current, lambda one: structs.replace(one, secret=sealed))
        return DestinationView.of(changed, secret)
