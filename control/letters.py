"""Sends dead letters back to the topic they came from.

The producer may send a letter twice (see :mod:`control.producer`): the second one is a duplicate to the stage, which
knows it by the id of its event.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from control.producer import LazyProducer
from schemas.codec import CONTROL_HEADER
from schemas.letters import LETTER_HEADER, LetterId
from schemas.settings import KafkaSettings

SEND_LIMIT_S: Final = 10.0
MESSAGE_MAX_BYTES: Final = 1024 * 1024
"""Kafka's own default limit: a line was part of a record below it."""


class Sealed(NamedTuple):
    """A dead letter as it came."""

    letter: LetterId
    topic: str
    """Without the prefix."""
    headers: Sequence[tuple[str, bytes]]
    payload: bytes


def headers_of(sealed: Sealed, control_offset: int) -> list[tuple[str, bytes]]:
    """The letter's own headers, but with the control log as of now, since that may be what was mended; and its name."""
    replaced = (CONTROL_HEADER, LETTER_HEADER)
    kept = [(name, value) for name, value in sealed.headers if name not in replaced]
    return [*kept, (CONTROL_HEADER, str(control_offset).encode()), (LETTER_HEADER, str(sealed.letter).encode())]


class Replay:
    """A lazy producer. Belongs to one event loop."""

    def __init__(self, settings: KafkaSettings, *, client_id: str) -> None:
        self._topic_prefix = settings.topic_prefix
        self._producer = LazyProducer(settings.kafka_bootstrap, client_id=client_id, max_request_size=MESSAGE_MAX_BYTES)

    async def send(self, letters: Sequence[Sealed], control_offset: int) -> list[int | None]:
        """The new offset of each, in the partition it was in before; None where Kafka did not acknowledge it in time,
        in which case it may be there nevertheless."""
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await self._producer.started()
        except (KafkaError, OSError):  # TimeoutError is an OSError
            return [None] * len(letters)
        together = asyncio.gather(*(self._send(sealed, control_offset) for sealed in letters), return_exceptions=True)
        offsets: list[int | None] = []
        for sealed, sent in zip(letters, await together, strict=True):
            try:
                # What is too large takes all that is packed together with it along, so each of them goes alone.
                again = isinstance(sent, MessageSizeTooLargeError)
                offsets.append(await self._send(sealed, control_offset) if again else _offset(sent))
            except (KafkaError, OSError):
                offsets.append(None)
        return offsets

    async def stop(self) -> None:
        await self._producer.stop()

    async def _send(self, sealed: Sealed, control_offset: int) -> int:
        producer = await self._producer.started()
        async with asyncio.timeout(SEND_LIMIT_S):
            metadata = await producer.send_and_wait(
                self._topic_prefix + sealed.topic,
                sealed.payload,
                partition=sealed.letter.partition,
                headers=headers_of(sealed, control_offset),
            )
        offset: int = metadata.offset
        return offset


def _offset(sent: int | BaseException) -> int:
    if isinstance(sent, BaseException):
        raise sent
    return sent
