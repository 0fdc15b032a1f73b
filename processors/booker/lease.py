"""Who may book: the owner of the one partition of ``control`` in the booker's consumer group.

Kafka gives the partition to one member at a time. A member that was paused and replaced finds out when it confirms:
the broker refuses an offset commit of an old generation.
"""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from schemas.settings import KafkaSettings
from schemas.topics import CONTROL

GROUP = "headwater-booker"


class Lease:
    """Membership in the booker's group. Call :meth:`held` often: it is also the sign of life."""

    def __init__(self, settings: KafkaSettings, instance: str) -> None:
        self._partition = TopicPartition(settings.topic_prefix + CONTROL.name, 0)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=settings.topic_prefix + GROUP,
            group_instance_id=f"{GROUP}-{instance}" if instance else None,
            client_id="headwater-booker-lease",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=600_000,
            metadata_max_age_ms=10_000,
        )

    async def start(self) -> None:
        """Join the group; raises KafkaError while Kafka is away."""
        self._consumer.subscribe([self._partition.topic])
        await self._consumer.start()

    async def stop(self) -> None:
        """Leave the group, so that a waiting booker goes on at once."""
        await self._consumer.stop()

    async def held(self) -> bool:
        """Whether this process owns the partition as far as it knows."""
        await self._consumer.getmany(timeout_ms=0)
        return self._partition in self._consumer.assignment()

    async def confirm(self) -> bool:
        """Ask the broker: it refuses a member that was replaced meanwhile."""
        try:
            await self._consumer.commit({self._partition: OffsetAndMetadata(0, "")})
        except (KafkaError, IllegalStateError):
            return False
        return True
