"""What a batch sends on: lines to the next topic, packed by partition, and dead letters with their reason."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from processors.runtime.worker import Work
from processors.stages.result import Processor
from schemas.codec import headers, pack
from schemas.ids import partition_of


class Downstream:
    """Produces with acks=all, and waits for the acknowledgements."""

    def __init__(self, processor: Processor, producer: AIOKafkaProducer, topic_prefix: str) -> None:
        self._processor = processor
        self._producer = producer
        self._prefix = topic_prefix

    async def send(self, work: Sequence[Work]) -> None:
        """Send what the batch leads to. Raises a ``KafkaError``; some of it may then be sent, and is sent again."""
        acks = [*await self._lines(work), *await self._letters(work)]
        if acks:
            await asyncio.gather(*acks)

    async def _lines(self, work: Sequence[Work]) -> list[asyncio.Future[object]]:
        messages = [message for item in work for message in item.result.messages]
        if not messages:
            return []
        topic = self._prefix + self._processor.downstream.name
        partitions = len(await self._producer.partitions_for(topic))
        by_partition: dict[int, list[bytes]] = defaultdict(list)
        for message in messages:
            by_partition[partition_of(message.key, partitions)].append(message.line)
        stamp = headers(max(item.position.totals.control_offset for item in work))
        return [
            await self._producer.send(topic, value, partition=partition, headers=stamp)
            for partition, lines in by_partition.items()
            for value in pack(lines)
        ]

    async def _letters(self, work: Sequence[Work]) -> list[asyncio.Future[object]]:
        source = self._processor.topic
        return [
            await self._producer.send(
                self._prefix + source.dead_letters,
                letter.payload,
                headers=[
                    ("reason", letter.reason.value.encode()),
                    ("stage", self._processor.stage.value.encode()),
                    ("error", letter.error.encode()),
                    ("topic", (self._prefix + source.name).encode()),
                    ("partition", str(item.partition.number).encode()),
                    ("offset", str(letter.offset).encode()),
                    ("index", str(letter.line).encode()),
                ],
            )
            for item in work
            for letter in item.result.letters
        ]
