"""What destinations were told, attempt by attempt, and telling them again."""

import time
import uuid
from datetime import datetime
from typing import Annotated, Final

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import MsgspecError, Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.destinations import find
from clickhouse.api.given import GivenLog, GivenProject, GivenReader, GivenReplays
from control.replays import Replays
from schemas.codec import decode_conversion
from schemas.control import DestinationKind, Scope
from schemas.deliveries import Replay
from schemas.errors import Reason, Refused
from schemas.outcomes import DeliveryOutcome, NoticeEvent

LIMIT_MAX: Final = 1000
REPLAYS_MAX: Final = 1000
"""So many at a time; ask again for the rest."""

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="Newest attempts first")]


class _Attempt(Struct, frozen=True, kw_only=True):
    id: str
    destination_id: str
    kind: DestinationKind
    conversion_id: str
    event: NoticeEvent
    attempt: int
    outcome: DeliveryOutcome
    status: int
    detail: str
    attempted_ms: int
    duration_ms: int
    next_attempt_ms: int


class _Told(Struct, frozen=True, kw_only=True):
    destination_id: str
    event: NoticeEvent
    notice: str


class AttemptView(Struct, frozen=True, kw_only=True):
    """One attempt. ``id`` is the delivery's: all its attempts have it, and the receiver sees it as ``webhook-id``."""

    id: str
    destination_id: str
    kind: DestinationKind
    conversion_id: str
    event: NoticeEvent
    attempt: int
    outcome: DeliveryOutcome
    status: int | None
    detail: str | None
    attempted_at: datetime
    duration_ms: int
    next_attempt_at: datetime | None

    @classmethod
    def of(cls, row: _Attempt) -> "AttemptView":
        return cls(
            id=row.id,
            destination_id=row.destination_id,
            kind=row.kind,
            conversion_id=row.conversion_id,
            event=row.event,
            attempt=row.attempt,
            outcome=row.outcome,
            status=row.status or None,
            detail=row.detail or None,
            attempted_at=instant(row.attempted_ms),
            duration_ms=row.duration_ms,
            next_attempt_at=instant(row.next_attempt_ms) if row.next_attempt_ms else None,
        )


class AttemptListAnswer(Struct, frozen=True):
    data: list[AttemptView]


class ReplayAnswer(Struct, frozen=True):
    """``replayed``: so many deliveries will be made again."""

    replayed: int


class Deliveries(Controller):
    """List attempts, and replay deliveries."""

    path = "/v1/projects/{project_id:str}"
    guards = (guard,)
    tags = ("Destinations",)

    @get(
        "/deliveries",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Attempts to tell destinations of conversions, newest first",
    )
    async def list(
        self,
        project: GivenProject,
        reader: GivenReader,
        destination: FromQuery[str] = "",
        conversion: FromQuery[str] = "",
        outcome: FromQuery[DeliveryOutcome | None] = None,
        limit: Limit = 100,
    ) -> AttemptListAnswer:
        parameters: dict[str, str | int] = {
            "project_id": project.id,
            "destination_id": destination,
            "conversion_id": str(_uuid(conversion, "conversion")) if conversion else "",
            "outcome": outcome.value if outcome is not None else "",
            "limit": limit,
        }
        return AttemptListAnswer([AttemptView.of(row) for row in await reader.rows("deliveries", _Attempt, parameters)])

    @post(
        "/deliveries/{delivery_id:str}/replay",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=202,
        responses=REFUSALS,
        summary="Make a delivery again, whatever became of it",
    )
    async def replay(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        replays: GivenReplays,
        delivery_id: FromPath[str],
    ) -> ReplayAnswer:
        parameters: dict[str, str | int] = {"project_id": project.id, "delivery_id": str(_uuid(delivery_id, None))}
        rows = await reader.rows("delivery", _Told, parameters)
        if not rows:
            raise Refused(Reason.NOT_FOUND, "no such delivery")
        find(log.view, project, rows[0].destination_id)
        if not await _asked(replays, rows):
            raise Refused(Reason.CONFLICT, "what was to be told is forgotten after 90 days")
        return ReplayAnswer(1)

    @post(
        "/destinations/{destination_id:str}/replay",
        opt=needs(Scope.ANALYTICS_WRITE, current=True),
        status_code=202,
        responses=REFUSALS,
        summary="Make all deliveries of a destination again that were given up",
    )
    async def replay_failed(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        replays: GivenReplays,
        destination_id: FromPath[str],
    ) -> ReplayAnswer:
        find(log.view, project, destination_id)
        parameters: dict[str, str | int] = {
            "project_id": project.id,
            "destination_id": destination_id,
            "limit": REPLAYS_MAX,
        }
        return ReplayAnswer(await _asked(replays, await reader.rows("failed_deliveries", _Told, parameters)))


async def _asked(replays: Replays, rows: list[_Told]) -> int:
    """Ask for these; how many are still remembered."""
    asked = 0
    for row in rows:
        try:
            conversion = decode_conversion(row.notice.encode())
        except MsgspecError:
            continue
        now = time.time_ns() // 1_000_000
        await replays.ask(
            Replay(destination_id=row.destination_id, conversion=conversion, event=row.event, asked_at=now)
        )
        asked += 1
    return asked


def _uuid(text: str, field: str | None) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        if field is None:
            raise Refused(Reason.NOT_FOUND, "no such delivery") from error
        raise Refused(Reason.INVALID_VALUE, "must be a UUID", field=field) from error
