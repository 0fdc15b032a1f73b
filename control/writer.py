"""Produces control records with acks=all.

The producer may write a record twice (see :mod:`control.producer`): the second one loses its race and changes nothing.
"""

from aiokafka import TopicPartition

from control.producer import LazyProducer
from schemas.codec import RECORD_MAX_BYTES
from schemas.errors import Reason, Refused


class Writer:
    """A lazy producer for one partition."""

    def __init__(self, bootstrap: str, partition: TopicPartition, *, client_id: str) -> None:
        self._partition = partition
        self._producer = LazyProducer(bootstrap, client_id=client_id)

    async def write(self, key: bytes, value: bytes) -> int:
        """Write one record and return its offset once all in-sync replicas have it.

        Raises :class:`Refused` for a record that is too large, and aiokafka's ``KafkaError`` or ``OSError`` if Kafka
        did not acknowledge it: it may be in the log nevertheless.
        """
        if len(key) + len(value) > RECORD_MAX_BYTES:
            raise Refused(Reason.TOO_LARGE, f"larger than {RECORD_MAX_BYTES} bytes")
        producer = await self._producer.started()
        topic, partition = self._partition
        metadata = await producer.send_and_wait(topic, value, key=key, partition=partition)
        offset: int = metadata.offset
        return offset

    async def stop(self) -> None:
        await self._producer.stop()
