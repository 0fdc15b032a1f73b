"""Configuration of the local broker, and formatting of its storage on the first start."""

import base64
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Annotated, Final

import msgspec

from deploy.kafka.launcher import HERE, Launcher, NoKafka

HOST: Final = "127.0.0.1"
JVM_OPTIONS: Final = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",  # least memory, fewest threads; pauses of a 512 MB heap do not matter here
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)
PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={log_dir}

# A topic that is not declared in schemas.topics is a mistake.
auto.create.topics.enable=false

# One broker holds every replica.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A group of one or two members gains nothing by waiting for more; a dead one should be noticed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.max.session.timeout.ms=300000

# A broker that was killed may register again only once its former session has run out: the default is 9 s.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000

# Small: a laptop, some gigabytes at most. Topics carry their own retention.
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
background.threads=2
log.segment.bytes=134217728
log.retention.hours=168
log.cleaner.dedupe.buffer.size=16777216
offsets.topic.segment.bytes=16777216
"""


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Environment prefix ``HEADWATER_``."""

    kafka_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 9092
    data_dir: str = ".headwater"


def prepare(settings: BrokerSettings, launcher: Launcher) -> list[str]:
    """Write the configuration, format the storage if it is new, and return the command that is the broker.

    Raises :class:`NoKafka`.
    """
    launcher.fetch()
    directory = Path(settings.data_dir).resolve() / "kafka"
    directory.mkdir(parents=True, exist_ok=True)
    log_dir = directory / "log"
    properties = directory / "server.properties"
    properties.write_text(
        PROPERTIES.format(host=HOST, port=settings.kafka_port, controller_port=_free_port(), log_dir=log_dir)
    )
    log4j = directory / "log4j2.properties"
    shutil.copyfile(HERE / "log4j2.properties", log4j)
    options = (
        *JVM_OPTIONS,
        f"-Dlog4j2.configurationFile={log4j}",
        f"-Dheadwater.log={directory / 'kafka.log'}",
    )

    # The mark is made last, so a format that was killed half-way is begun anew: no broker has written there yet.
    formatted = directory / "formatted"
    if not formatted.exists():
        shutil.rmtree(log_dir, ignore_errors=True)
        _format(launcher.argv(directory, options, "kafka.tools.StorageTool", "format"), properties)
        formatted.touch()
    return launcher.argv(directory, options, "kafka.Kafka", str(properties))


def _format(storage_tool: list[str], properties: Path) -> None:
    done = subprocess.run(
        [*storage_tool, f"--cluster-id={_cluster_id()}", f"--config={properties}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoKafka(f"Kafka's storage could not be formatted: {' '.join(done.stdout.split())}")


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _free_port() -> int:
    """A port for the controller, which only the broker itself connects to: it may differ at every start."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
