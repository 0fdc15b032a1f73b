"""Creates the declared topics, and checks those that are there.

Creating is idempotent: a topic that exists is left as it is, since its retention and partitions may have been tuned.
Two things are not a matter of taste, and are refused: a control log of several partitions, which has no order, and one
that Kafka may delete from, which would forget the configuration.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from schemas.codec import RECORD_MAX_BYTES
from schemas.errors import Invariant, Unavailable
from schemas.settings import KafkaSettings
from schemas.topics import CONTROL, FOR_EVER, TOPICS, Topic

logger = logging.getLogger(__name__)

WAIT_S: Final = 60.0
RETRY_S: Final = 0.25
REQUEST_TIMEOUT_MS: Final = 10_000
BATCH_OVERHEAD_BYTES: Final = 128 * 1024
"""Room in a batch for a record's key and headers, and for the batch's own header."""
MIN_INSYNC_OF_THREE: Final = 2


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is in Kafka now."""

    name: str
    partitions: int
    created: bool


async def ensure_topics(settings: KafkaSettings, *, wait_s: float = WAIT_S) -> list[TopicState]:
    """Create what is missing, wait until Kafka can serve all of it, and return the state of every topic.

    Raises :class:`Unavailable` if Kafka is away for longer than ``wait_s``, and :class:`Invariant` if Kafka refuses a
    topic or holds a control log that must not be used.
    """
    deadline = time.monotonic() + wait_s
    created: set[str] = set()
    while True:
        try:
            partitions = await _attempt(settings, created)
            return [TopicState(name, count, name in created) for name, count in partitions.items()]
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Kafka at {settings.kafka_bootstrap} cannot be used: {type(error).__name__}"
                ) from error
            await asyncio.sleep(RETRY_S)


def config_of(topic: Topic, replication: int) -> dict[str, str]:
    """The configuration a topic is created with."""
    config = {
        "cleanup.policy": topic.cleanup,
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(RECORD_MAX_BYTES + BATCH_OVERHEAD_BYTES),
        "min.insync.replicas": str(MIN_INSYNC_OF_THREE if replication >= 3 else 1),
    }
    if topic.retention_ms == FOR_EVER:
        config["retention.bytes"] = str(FOR_EVER)
    return config


async def _attempt(settings: KafkaSettings, created: set[str]) -> dict[str, int]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap,
        client_id="headwater-topics",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await admin.start()
        created |= await _create(admin, settings)
        partitions = await _partitions(admin, settings)
        await _check_control(admin, settings, partitions)
    finally:
        await admin.close()
    return partitions


async def _create(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> set[str]:
    there = set(await admin.list_topics())
    missing = [
        NewTopic(
            name=settings.topic_prefix + topic.name,
            num_partitions=topic.partitions or settings.partitions,
            replication_factor=settings.replication,
            topic_configs=config_of(topic, settings.replication),
        )
        for topic in TOPICS
        if settings.topic_prefix + topic.name not in there
    ]
    if not missing:
        return set()
    response = await admin.create_topics(missing, timeout_ms=REQUEST_TIMEOUT_MS)
    created = set()
    for name, code, message in response.topic_errors:
        error = for_code(code)
        if error is NoError:
            created.add(name)
        elif error is TopicAlreadyExistsError:  # someone else creates them, too
            continue
        elif error.retriable:
            raise error(message)
        else:
            raise Invariant(f"Kafka refuses to create {name}: {message or error.__name__}")
    return created


async def _partitions(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> dict[str, int]:
    """Partitions that have a leader, by topic. Raises a KafkaError while one has none."""
    names = [settings.topic_prefix + topic.name for topic in TOPICS]
    counts: dict[str, int] = {}
    for topic in await admin.describe_topics(names):
        error = for_code(topic["error_code"])
        if error is not NoError:
            raise error(topic["topic"])
        parts: list[dict[str, Any]] = topic["partitions"]
        for error in (for_code(part["error_code"]) for part in parts):
            if error is not NoError:
                raise error(topic["topic"])
        counts[topic["topic"]] = len(parts)
    return {name: counts[name] for name in names}


async def _check_control(admin: AIOKafkaAdminClient, settings: KafkaSettings, partitions: dict[str, int]) -> None:
    name = settings.topic_prefix + CONTROL.name
    if partitions[name] != CONTROL.partitions:
        raise Invariant(f"{name} has {partitions[name]} partitions: a log in one order needs exactly one")
    wanted = {"cleanup.policy": CONTROL.cleanup, "retention.ms": str(FOR_EVER), "retention.bytes": str(FOR_EVER)}
    resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=dict.fromkeys(wanted, ""))
    (response,) = await admin.describe_configs([resource])
    for _, _, _, _, entries in response.resources:
        for key, value, *_ in entries:
            if key in wanted and value != wanted[key]:
                raise Invariant(f"{name} has {key}={value} and would forget its records: set {key}={wanted[key]}")
