"""Real servers for tests, started when the first test asks for one, and ended with the session whatever happened.

A server comes from the environment (``HEADWATER_TEST_KAFKA_BOOTSTRAP``, ``HEADWATER_TEST_CLICKHOUSE_URL``), else from
testcontainers where Docker works, else it is the local one of ``make run``: Apache Kafka from Maven, and the ClickHouse
engine behind ``python -m clickhouse serve``. Tests share the servers and are kept apart by a topic prefix and a
database of their own.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from databases import Databases
from harness import Process, base_environment, free_port, free_ports, python

from deploy.kafka import launcher

pytest_plugins = ("stack",)
"""The installation that tests of the pipeline and of the browser share."""


@pytest.fixture(scope="session")
def server_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this session's servers keep their data."""
    directory = tmp_path_factory.mktemp("servers")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(server_directory: Path) -> Iterator[str]:
    """``host:port`` of a real broker."""
    if named := os.environ.get("HEADWATER_TEST_KAFKA_BOOTSTRAP"):
        yield named
        return
    if container := _container("testcontainers.kafka", "KafkaContainer"):
        with container.with_kraft() as kafka:
            yield kafka.get_bootstrap_server()
        return
    launcher.find().fetch()
    port = free_port()
    environment = base_environment() | {
        "HEADWATER_DATA_DIR": str(server_directory),
        "HEADWATER_KAFKA_PORT": str(port),
    }
    broker = Process("deploy.kafka", environment=environment, directory=server_directory).start()
    bootstrap = f"127.0.0.1:{port}"
    try:
        # The probe is a process of its own: it may fail as often as it must without leaving anything in ours.
        subprocess.run(
            python(
                "-c", f"import asyncio; from deploy.readiness import kafka_answers as k; asyncio.run(k({bootstrap!r}))"
            ),
            env=environment,
            timeout=60,
            check=True,
        )
        assert broker.running, broker.output
        yield bootstrap
    finally:
        broker.end()


@pytest.fixture(scope="session")
def clickhouse_server(server_directory: Path) -> Iterator[str]:
    """``http://user:password@host:port/`` of a real ClickHouse engine, without a database."""
    if named := os.environ.get("HEADWATER_TEST_CLICKHOUSE_URL"):
        yield named.partition("?")[0].rstrip("/") + "/"
        return
    if container := _container("testcontainers.clickhouse", "ClickHouseContainer"):
        with container as clickhouse:
            address = f"{clickhouse.get_container_host_ip()}:{clickhouse.get_exposed_port(8123)}"
            yield f"http://{clickhouse.username}:{clickhouse.password}@{address}/"
        return
    port = free_port()
    password = secrets.token_hex(8)
    password_file = server_directory / "clickhouse-password"
    password_file.write_text(password)
    environment = base_environment() | {
        "HEADWATER_DATA_DIR": str(server_directory),
        "HEADWATER_CLICKHOUSE_PORT": str(port),
        "HEADWATER_CLICKHOUSE_PASSWORD_FILE": str(password_file),
    }
    ready_url = f"http://127.0.0.1:{port}/ping"
    server = Process("clickhouse", "serve", environment=environment, directory=server_directory, ready_url=ready_url)
    try:
        server.start()
        yield f"http://default:{password}@127.0.0.1:{port}/"
    finally:
        server.end()


@pytest.fixture
def topic_prefix() -> str:
    """Put before every topic and group of a test: no test sees another's."""
    return f"t{secrets.token_hex(6)}-"


@pytest.fixture(scope="session")
def databases(clickhouse_server: str) -> Iterator[Databases]:
    """Databases on that engine."""
    made = Databases(clickhouse_server)
    yield made
    made.close()


@pytest.fixture
def clickhouse_url(databases: Databases) -> Iterator[str]:
    """What ``HEADWATER_CLICKHOUSE_URL`` is to a process of this test: a fresh database, dropped after it."""
    with databases.bare() as settings:
        yield settings.clickhouse_url


@pytest.fixture
def stack_env(
    kafka_bootstrap: str, databases: Databases, topic_prefix: str, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The whole environment of a process of this test; topics are still to be made."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(secrets.token_hex(32))
    with databases.migrated() as settings:
        yield base_environment() | {
            "HEADWATER_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "HEADWATER_CLICKHOUSE_URL": settings.clickhouse_url,
            "HEADWATER_TOPIC_PREFIX": topic_prefix,
            "HEADWATER_DATA_DIR": str(tmp_path),
            "HEADWATER_SECRET_FILE": str(secret_file),
        }


StartProcess = Callable[..., Process]


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """Starts ``python -m command ..`` with an environment, waits until its ``/readyz`` answers, and ends it at last.

    ``start_process("processors", "events", environment=stack_env)`` chooses free ports for HEADWATER_METRICS_PORT and
    HEADWATER_HTTP_PORT, unless the environment names them; a restart keeps them. ``ready="http"`` waits on the HTTP
    port instead of the metrics port, ``ready=None`` on nothing.
    """
    started: list[Process] = []

    def start(*command: str, environment: Mapping[str, str], ready: str | None = "metrics") -> Process:
        metrics_port, http_port = free_ports(2)
        ports = {"HEADWATER_METRICS_PORT": str(metrics_port), "HEADWATER_HTTP_PORT": str(http_port)}
        whole = {**ports, **environment}
        ready_url = f"http://127.0.0.1:{whole[f'HEADWATER_{ready.upper()}_PORT']}/readyz" if ready else None
        process = Process(*command, environment=whole, directory=tmp_path, ready_url=ready_url)
        started.append(process)
        return process.start()

    yield start
    for process in reversed(started):
        process.end()


def _container(module: str, name: str) -> Any:
    """A testcontainers container, or None where Docker does not work or has not got the image."""
    if not launcher.docker_works():
        return None
    import importlib

    import docker.errors

    container = getattr(importlib.import_module(module), name)()
    try:
        docker.from_env().images.pull(container.image)
    except docker.errors.DockerException:
        return None
    return container
