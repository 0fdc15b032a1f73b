"""API keys of a project. A key hands out, and takes away, only what it has itself."""

import time

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, structs

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, Deleted, DeletedAnswer, KeyListAnswer, KeyView, NewKeyAnswer
from clickhouse.api.bodies import NewKey
from clickhouse.api.given import GivenCaller, GivenLog, GivenProject
from control.keys import PUBLIC_SCOPES, new_key
from schemas.control import Key, KeyKind, Scope
from schemas.errors import Reason, Refused


class Keys(Controller):
    """Create, list and revoke keys."""

    path = "/v1/projects/{project_id:str}/keys"
    guards = (guard,)
    tags = ("Keys",)

    @post(
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        responses=REFUSALS,
        summary="Create a key, whose text is shown this once",
    )
    async def create(
        self, project: GivenProject, caller: GivenCaller, log: GivenLog, data: JSONBody[NewKey]
    ) -> NewKeyAnswer:
        if data.scopes is not UNSET:
            scopes = tuple(data.scopes)
        elif data.kind is KeyKind.PUBLIC:
            scopes = PUBLIC_SCOPES
        else:
            raise Refused(Reason.MISSING_FIELD, "a secret key needs scopes", field="scopes")
        _require_all(caller, scopes, field="scopes")
        key, text = new_key(project.id, data.kind, scopes, data.name, time.time_ns() // 1_000_000)
        await log.write(key, replaces=0)
        return NewKeyAnswer(**structs.asdict(KeyView.of(key)), key=text)

    @get(opt=needs(Scope.ANALYTICS_READ, current=True), responses=REFUSALS, summary="List keys, oldest first")
    async def list(self, project: GivenProject, log: GivenLog) -> KeyListAnswer:
        keys = [key for key in log.view.keys_by_digest.values() if key.project_id == project.id]
        return KeyListAnswer([KeyView.of(key) for key in sorted(keys, key=lambda key: (key.created_at, key.id))])

    @delete(
        "/{key_id:str}",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=200,
        responses=REFUSALS,
        summary="Revoke a key, at once and for good",
    )
    async def revoke(
        self, project: GivenProject, caller: GivenCaller, log: GivenLog, key_id: FromPath[str]
    ) -> DeletedAnswer:
        entry = log.view.entry(Key, key_id)
        if entry is None or entry.deleted or not isinstance(entry.body, Key) or entry.body.project_id != project.id:
            raise Refused(Reason.NOT_FOUND, "no such key")
        _require_all(caller, entry.body.scopes)
        await log.delete(Key, key_id)
        return DeletedAnswer(Deleted(True))


def _require_all(caller: Key, scopes: tuple[Scope, ...], field: str | None = None) -> None:
    lacking = [scope.value for scope in scopes if scope not in caller.scopes]
    if lacking:
        raise Refused(Reason.INSUFFICIENT_SCOPE, f"this key lacks {', '.join(lacking)} itself", field=field)
