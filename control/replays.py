"""Asks delivery to tell a destination again: records on ``deliveries-replay``, acknowledged with acks=all."""

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from control.writer import Writer
from schemas.deliveries import Replay, encode_delivery
from schemas.errors import Unavailable
from schemas.settings import KafkaSettings
from schemas.topics import DELIVERIES_REPLAY


class Replays:
    """One a process. Belongs to one event loop."""

    def __init__(self, settings: KafkaSettings, *, client_id: str) -> None:
        partition = TopicPartition(settings.topic_prefix + DELIVERIES_REPLAY.name, 0)
        self._writer = Writer(settings.kafka_bootstrap, partition, client_id=client_id)

    async def ask(self, replay: Replay) -> None:
        """Returns once Kafka has it. Raises :class:`Unavailable`; it may be done nevertheless."""
        try:
            await self._writer.write(replay.destination_id.encode(), encode_delivery(replay))
        except (KafkaError, OSError) as error:
            raise Unavailable("Kafka did not acknowledge the replay; it may be done nevertheless") from error

    async def stop(self) -> None:
        await self._writer.stop()
