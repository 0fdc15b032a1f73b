"""What a stage could not read: listed, sent back once the cause is mended, or discarded. For operators only, since it
may be of any project or of none."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.given import GivenDecisions, GivenReader
from clickhouse.read import Reader
from schemas.control import Scope
from schemas.errors import Reason, Refused
from schemas.letters import LetterId
from schemas.outcomes import LetterState, Quarantine, Stage

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="At most so many, newest first")]
Decided = Annotated[LetterState | None, QueryParameter(name="state", description="Any, unless named")]
"""The framework keeps the name ``state`` for itself."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """Bytes that a stage could not read; ``payload_head`` is their first 1024 in base64."""

    id: str
    """``<stage>-<partition>-<offset>-<index>``."""
    stage: str
    topic: str
    partition: int
    offset: int
    index: int
    reason: str
    error: str
    quarantined_at: datetime
    payload_bytes: int
    payload_head: str
    state: LetterState
    decided_at: datetime | None
    replayed_offset: int | None
    """Where it is now, in the same partition, if it was sent back."""
    replay_of: str | None
    """The letter that was sent back and failed again as this one."""


class DeadLetterAnswer(Struct, frozen=True):
    data: DeadLetter


class DeadLetterListAnswer(Struct, frozen=True):
    data: list[DeadLetter]


class Choice(Struct, frozen=True, kw_only=True):
    """Which open letters: of a stage, a reason or both, the oldest first."""

    stage: Stage | None = None
    reason: Quarantine | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class Replayed(Struct, frozen=True):
    replayed: int


class Discarded(Struct, frozen=True):
    discarded: int


class LetterRow(Struct, frozen=True, kw_only=True):
    """A row of the query ``dead_letters``."""

    letter_id: str
    stage: str
    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_index: int
    reason: str
    error: str
    quarantined_ms: int
    payload_bytes: int
    payload_head: str
    replay_of: str
    state: LetterState
    decided_ms: int
    replayed_offset: int


class DeadLetters(Controller):
    """List, replay, discard."""

    path = "/v1/dead-letters"
    guards = (guard,)
    tags = ("Operations",)

    @get(opt=needs(Scope.PROJECTS_ADMIN), responses=REFUSALS, summary="What a stage could not read, of all projects")
    async def list(
        self,
        reader: GivenReader,
        stage: FromQuery[Stage | None] = None,
        reason: FromQuery[Quarantine | None] = None,
        decided: Decided = None,
        limit: Limit = 100,
    ) -> DeadLetterListAnswer:
        letters = await found(reader, stage=stage, reason=reason, state=decided, limit=limit)
        return DeadLetterListAnswer([_shown(letter) for letter in letters])

    @post(
        "/replay",
        status_code=200,
        opt=needs(Scope.PROJECTS_ADMIN, current=True),
        responses=REFUSALS,
        summary="Send open letters back to their topic, once what stopped them is mended",
    )
    async def replay_all(self, decisions: GivenDecisions, data: JSONBody[Choice]) -> Replayed:
        _needs_a_filter(data)
        return Replayed(await decisions.replay_open(data.stage, data.reason, data.limit))

    @post(
        "/discard",
        status_code=200,
        opt=needs(Scope.PROJECTS_ADMIN, current=True),
        responses=REFUSALS,
        summary="Close open letters that are not wanted; their bytes are kept",
    )
    async def discard_all(self, decisions: GivenDecisions, data: JSONBody[Choice]) -> Discarded:
        _needs_a_filter(data)
        return Discarded(await decisions.discard_open(data.stage, data.reason, data.limit))

    @post(
        "/{letter_id:str}/replay",
        status_code=200,
        opt=needs(Scope.PROJECTS_ADMIN, current=True),
        responses=REFUSALS,
        summary="Send one letter back, open or discarded",
    )
    async def replay(
        self, reader: GivenReader, decisions: GivenDecisions, letter_id: FromPath[str]
    ) -> DeadLetterAnswer:
        letter = named(letter_id)
        await decisions.replay(letter)
        return await _one(reader, letter)

    @post(
        "/{letter_id:str}/discard",
        status_code=200,
        opt=needs(Scope.PROJECTS_ADMIN, current=True),
        responses=REFUSALS,
        summary="Close one letter",
    )
    async def discard(
        self, reader: GivenReader, decisions: GivenDecisions, letter_id: FromPath[str]
    ) -> DeadLetterAnswer:
        letter = named(letter_id)
        await decisions.discard(letter)
        return await _one(reader, letter)


def named(text: str) -> LetterId:
    """The letter of this name. Raises :class:`Refused` (not_found)."""
    try:
        return LetterId.parse(text)
    except ValueError:
        raise Refused(Reason.NOT_FOUND, "no such dead letter") from None


async def found(
    reader: Reader,
    *,
    stage: Stage | None = None,
    reason: Quarantine | None = None,
    state: LetterState | None = None,
    letter_id: str = "",
    limit: int,
) -> list[LetterRow]:
    """Letters, newest first."""
    parameters: dict[str, str | int] = {
        "stage": stage.value if stage else "",
        "reason": reason.value if reason else "",
        "state": state.value if state else "",
        "letter_id": letter_id,
        "limit": limit,
    }
    return await reader.rows("dead_letters", LetterRow, parameters)


async def _one(reader: Reader, letter: LetterId) -> DeadLetterAnswer:
    (row,) = await found(reader, letter_id=str(letter), limit=1)
    return DeadLetterAnswer(_shown(row))


def _needs_a_filter(choice: Choice) -> None:
    """To decide about everything at once is hardly ever meant."""
    if choice.stage is None and choice.reason is None:
        raise Refused(Reason.MISSING_FIELD, "name a stage, a reason or both", field="stage")


def _shown(letter: LetterRow) -> DeadLetter:
    return DeadLetter(
        id=letter.letter_id,
        stage=letter.stage,
        topic=letter.topic,
        partition=letter.kafka_partition,
        offset=letter.kafka_offset,
        index=letter.kafka_index,
        reason=letter.reason,
        error=letter.error,
        quarantined_at=instant(letter.quarantined_ms),
        payload_bytes=letter.payload_bytes,
        payload_head=letter.payload_head,
        state=letter.state,
        decided_at=None if letter.state is LetterState.OPEN else instant(letter.decided_ms),
        replayed_offset=letter.replayed_offset if letter.state is LetterState.REPLAYED else None,
        replay_of=letter.replay_of or None,
    )
