"""``POST /v1/projects/{id}/people/forget``: a person's request to be forgotten, and the proof that it was done.

The request is a record of the control log, so it outlives every process: stages heed it whenever they read an event of
that person, and the booker takes out what is stored. It names the person by keyed hashes only.
"""

import asyncio
import time
import uuid
from datetime import datetime
from typing import Annotated

import uuid_utils
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, instant
from clickhouse.api.given import GivenContacts, GivenIdentities, GivenLog, GivenProject, GivenReader
from control.contacts import Contacts, normalised
from control.identities import Identities
from schemas.control import CHECK, ForgetMode, Forgotten, Project, Scope
from schemas.errors import Reason, Refused, Unavailable

Identity = Annotated[str, Meta(min_length=1, max_length=512)]


class NewForgetting(Struct, frozen=True, kw_only=True):
    """Exactly one of the three names the person. ``mode`` anonymize: totals stay; remove: they lose this person."""

    user_id: Identity | None = None
    email: Identity | None = None
    anonymous_id: Identity | None = None
    mode: ForgetMode = ForgetMode.ANONYMIZE


class ForgettingAccepted(Struct, frozen=True, kw_only=True):
    """``url`` tells how far it is."""

    status: str
    request_id: str
    mode: ForgetMode
    requested_at: datetime
    url: str


class Proof(Struct, frozen=True, kw_only=True):
    """A round: rows that held an identity of the person, by table, before and after. ``identities``: how many of each
    kind were theirs alone. ``request_hash``: SHA-256 of the request in the control log."""

    round: int
    done_at: datetime | None
    identities: dict[str, int]
    rows_before: dict[str, int]
    rows_after: dict[str, int]
    request_hash: str


class ForgettingView(Struct, frozen=True, kw_only=True):
    """``state``: accepted, erasing or done. Later rounds are of rows that came in late."""

    request_id: str
    state: str
    mode: ForgetMode
    requested_at: datetime
    proof: list[Proof]


class _Round(Struct, frozen=True):
    round: int
    state: str
    identities: dict[str, int]
    rows_before: dict[str, int]
    rows_after: dict[str, int]
    request_hash: str
    done_ms: int


class People(Controller):
    """Persons who ask to be forgotten."""

    path = "/v1/projects/{project_id:str}/people/forget"
    guards = (guard,)
    tags = ("Privacy",)

    @post(
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=202,
        responses=REFUSALS,
        summary="Forget a person: their identities leave every table, and do not come back",
    )
    async def forget(
        self,
        project: GivenProject,
        log: GivenLog,
        contacts: GivenContacts,
        identities: GivenIdentities,
        data: JSONBody[NewForgetting],
    ) -> ForgettingAccepted:
        given = hashes(project, data, contacts, identities)
        if not identities.lasting:
            raise Unavailable("HEADWATER_SECRET_FILE is not set: nobody else would know who is meant")
        for known in log.view.forgotten(project.id).values():
            if known.given == given and known.mode is data.mode and not known.resolved:
                return _accepted(known)  # nobody has begun with it: it is the same request
        id = str(uuid_utils.uuid7())
        made = Forgotten(
            id=id,
            project_id=project.id,
            mode=data.mode,
            requested_at=time.time_ns() // 1_000_000,
            given=given,
            check=identities.digest(project.id, CHECK, id),
        )
        await log.write(made, replaces=0)
        return _accepted(made)

    @get(
        "/{request_id:str}",
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses=REFUSALS,
        summary="How far a request to forget is, and its proof",
    )
    async def read(
        self, project: GivenProject, log: GivenLog, reader: GivenReader, request_id: FromPath[str]
    ) -> ForgettingView:
        found = log.view.forgotten(project.id).get(request_id)
        if found is None:
            raise Refused(Reason.NOT_FOUND, "no such request")
        rounds = await reader.rows(
            "erasure_proof", _Round, {"project_id": project.id, "request_id": str(uuid.UUID(found.id))}
        )
        done = [one for one in rounds if one.done_ms]
        return ForgettingView(
            request_id=found.id,
            state="accepted" if not rounds else "done" if len(done) == len(rounds) else "erasing",
            mode=found.mode,
            requested_at=instant(found.requested_at),
            proof=[
                Proof(
                    round=one.round,
                    done_at=instant(one.done_ms),
                    identities=one.identities,
                    rows_before=one.rows_before,
                    rows_after=one.rows_after,
                    request_hash=one.request_hash,
                )
                for one in done
            ],
        )


class ContactKey(Controller):
    """The key that addresses of contacts are sealed with."""

    path = "/v1/projects/{project_id:str}/contact-key"
    guards = (guard,)
    tags = ("Privacy",)

    @delete(
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Make every e-mail address that the project has unreadable, for good; contact ids still match",
    )
    async def erase(self, project: GivenProject, contacts: GivenContacts) -> DeletedAnswer:
        return DeletedAnswer(Deleted(await asyncio.to_thread(contacts.erase_key, project.id)))


def hashes(project: Project, data: NewForgetting, contacts: Contacts, identities: Identities) -> tuple[str, ...]:
    """What stands for the person in the control log. Raises :class:`Refused` unless exactly one identity is given."""
    named = {"user_id": data.user_id, "email": data.email, "anonymous_id": data.anonymous_id}
    given = {field: value.strip() for field, value in named.items() if value is not None}
    if not given:
        raise Refused(Reason.MISSING_FIELD, "name the person by user_id, email or anonymous_id", field="user_id")
    if len(given) > 1:
        raise Refused(Reason.INVALID_VALUE, "name the person by one identity only", field=list(given)[1])
    ((field, value),) = given.items()
    if not value:
        raise Refused(Reason.INVALID_VALUE, "must not be empty", field=field)
    kinds = [("user", value)] if field == "user_id" else [("anonymous", value)]
    if field == "email":
        # Some use addresses as user ids.
        kinds = [("contact", contacts.id_of(project.id, value)), ("user", value), ("user", normalised(value))]
    return tuple(dict.fromkeys(identities.digest(project.id, kind, text) for kind, text in kinds))


def _accepted(request: Forgotten) -> ForgettingAccepted:
    return ForgettingAccepted(
        status="accepted",
        request_id=request.id,
        mode=request.mode,
        requested_at=instant(request.requested_at),
        url=f"/v1/projects/{request.project_id}/people/forget/{request.id}",
    )
