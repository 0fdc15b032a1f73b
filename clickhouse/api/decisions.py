"""Decides about dead letters: sends them back to their topic, or discards them.

1. A letter is sent, acknowledged, and only then noted as replayed. If we die in between it is still open, and may be
   sent once more: what it holds has an id, so the stage counts the second one as a duplicate.
2. One at a time: two requests to one process send a letter once. Two processes at once may each send it.
3. A letter that was sent back stays counted as quarantined; the record it has become is received anew.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from clickhouse.connection import Connection
from clickhouse.read import Reader
from control.letters import Replay, Sealed
from schemas.errors import Reason, Refused, Unavailable
from schemas.letters import LetterId
from schemas.outcomes import LetterState, Quarantine, Stage

PAGE: Final = 50
"""Letters in memory at once."""


class _Name(Struct, frozen=True):
    letter_id: str


class _Named(Struct, frozen=True, kw_only=True):
    letter_id: str
    topic: str
    state: LetterState
    header_names: list[str]
    header_values: list[str]
    payload: str

    def sealed(self) -> Sealed:
        values = [base64.b64decode(value) for value in self.header_values]
        headers = list(zip(self.header_names, values, strict=True))
        return Sealed(LetterId.parse(self.letter_id), self.topic, headers, base64.b64decode(self.payload))


class Decisions:
    """Methods raise :class:`Unavailable` if Kafka or ClickHouse is away. Belongs to one event loop."""

    def __init__(
        self, reader: Reader, connection: Connection, replay: Replay, *, control_offset: Callable[[], int]
    ) -> None:
        self._reader = reader
        self._connection = connection
        self._replay = replay
        self._control_offset = control_offset
        self._turn = asyncio.Lock()

    async def replay(self, letter: LetterId) -> None:
        """Send one back, open or discarded. Raises :class:`Refused`: not_found, or conflict if it was sent before."""
        async with self._turn:
            named = await self._named([letter])
            _decidable(named)
            await self._send(named)

    async def discard(self, letter: LetterId) -> None:
        """Close one that is not wanted; again is no error. Raises :class:`Refused` as ``replay`` does."""
        async with self._turn:
            _decidable(await self._named([letter]))
            await self._note([(letter, LetterState.DISCARDED, -1)])

    async def replay_open(self, stage: Stage | None, reason: Quarantine | None, limit: int) -> int:
        """Send open ones back, oldest first; how many. Those that come back unreadable are not sent again."""
        sent = 0
        async with self._turn:
            letters = await self._open(stage, reason, limit)
            for start in range(0, len(letters), PAGE):
                named = await self._named(letters[start : start + PAGE])
                sent += await self._send([one for one in named if one.state is LetterState.OPEN])
        return sent

    async def discard_open(self, stage: Stage | None, reason: Quarantine | None, limit: int) -> int:
        """Close open ones, oldest first; how many."""
        async with self._turn:
            letters = await self._open(stage, reason, limit)
            await self._note([(letter, LetterState.DISCARDED, -1) for letter in letters])
        return len(letters)

    async def stop(self) -> None:
        async with self._turn:
            await self._replay.stop()
            await asyncio.to_thread(self._connection.close)

    async def _open(self, stage: Stage | None, reason: Quarantine | None, limit: int) -> list[LetterId]:
        parameters = {"stage": stage.value if stage else "", "reason": reason.value if reason else "", "limit": limit}
        return [
            LetterId.parse(row.letter_id) for row in await self._reader.rows("dead_letters_open", _Name, parameters)
        ]

    async def _named(self, letters: Sequence[LetterId]) -> list[_Named]:
        return await self._reader.rows("dead_letters_named", _Named, {"letter_ids": [str(one) for one in letters]})

    async def _send(self, named: Sequence[_Named]) -> int:
        letters = [one.sealed() for one in named]
        offsets = await self._replay.send(letters, self._control_offset())
        sent = [
            (sealed.letter, LetterState.REPLAYED, offset)
            for sealed, offset in zip(letters, offsets, strict=True)
            if offset is not None
        ]
        await self._note(sent)
        if len(sent) < len(letters):
            raise Unavailable(f"Kafka did not acknowledge {len(letters) - len(sent)} letters, which stay open")
        return len(sent)

    async def _note(self, decided: Sequence[tuple[LetterId, LetterState, int]]) -> None:
        now = datetime.now(UTC)
        rows = [
            {
                "stage": letter.stage.value,
                "kafka_partition": letter.partition,
                "kafka_offset": letter.offset,
                "kafka_index": letter.line,
                "state": state.value,
                "replayed_offset": offset,
                "decided_at": now,
            }
            for letter, state, offset in decided
        ]
        await asyncio.to_thread(self._connection.append, "dead_letter_decisions", rows)


def _decidable(named: Sequence[_Named]) -> None:
    if not named:
        raise Refused(Reason.NOT_FOUND, "no such dead letter")
    if named[0].state is LetterState.REPLAYED:
        raise Refused(Reason.CONFLICT, "it was sent back before; if it failed again, that is a new letter")
