"""Polls of the consumer, each of a bounded time."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

POLL_MS: Final = 100
"""How long an empty poll waits, and so a rebalance for it."""

Polled = dict[TopicPartition, list[ConsumerRecord]]


async def getmany(
    consumer: AIOKafkaConsumer, *partitions: TopicPartition, timeout_ms: int = POLL_MS, max_records: int | None = None
) -> Polled:
    """Poll, for a bounded time: in a rebalance the consumer would wait for its end, and the rebalance for us."""
    try:
        async with asyncio.timeout(2 * timeout_ms / 1000):
            records: Polled = await consumer.getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
    except TimeoutError:
        return {}
    return records
