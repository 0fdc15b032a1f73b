"""A stack as far as the read API needs one: topics, tables, a project, API processes, and books filled by hand."""

import asyncio
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from harness import Process, base_environment, free_port, run_sql

from clickhouse import migrate
from control.log import ControlLog
from control.projects import PROJECT_SCOPES, NewProject, create_project
from control.topics import ensure_topics
from schemas.control import ALL_SCOPES, Body
from schemas.settings import ClickHouseSettings, KafkaSettings, load

NOBODY = "00000000-0000-0000-0000-000000000000"
CREATED_AT = 1_760_000_000_000


class Stack:
    """Kafka topics and a database of their own, and the processes that were started on them."""

    def __init__(self, kafka_bootstrap: str, clickhouse_server: str, directory: Path) -> None:
        self.database = f"test_{secrets.token_hex(6)}"
        self.clickhouse_url = f"{clickhouse_server}?database={self.database}"
        self.environment = base_environment() | {
            "HEADWATER_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "HEADWATER_CLICKHOUSE_URL": self.clickhouse_url,
            "HEADWATER_TOPIC_PREFIX": f"t{secrets.token_hex(6)}-",
        }
        self.kafka = load(KafkaSettings, self.environment)
        self.directory = directory
        self._processes: list[Process] = []
        self._runs = 0

    def prepare(self) -> None:
        """Create topics and tables."""
        asyncio.run(ensure_topics(self.kafka))
        run_sql(self.clickhouse_url.partition("?")[0], f"CREATE DATABASE IF NOT EXISTS {self.database}")
        with migrate.connect(load(ClickHouseSettings, self.environment)) as client:
            migrate.apply(client)

    def on_clickhouse(self, server: str) -> "Stack":
        """Another stack, prepared on another ClickHouse. Its processes end with this one's."""
        return self._prepared(Stack(self.kafka.kafka_bootstrap, server, self.directory))

    def on_kafka(self, bootstrap: str) -> "Stack":
        """Another stack, prepared on another Kafka. Its processes end with this one's."""
        return self._prepared(Stack(bootstrap, self.clickhouse_url.partition("?")[0], self.directory))

    def _prepared(self, other: "Stack") -> "Stack":
        other._processes = self._processes
        other.prepare()
        return other

    def api(self, *, wait_for: str = "readyz", **changes: str) -> "Api":
        """Start an API process and wait until it is ready. ``changes`` go into its environment."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = Process(
            "clickhouse",
            "api",
            environment={**self.environment, "HEADWATER_HTTP_PORT": str(port), **changes},
            directory=self.directory,
            ready_url=f"{url}/{wait_for}",
        )
        self._processes.append(process)
        process.start()
        return Api(url, process)

    def project(self, *, operator: bool = False, time_zone: str = "UTC") -> NewProject:
        """Create a project; an operator's key may do everything."""
        scopes = ALL_SCOPES if operator else PROJECT_SCOPES

        async def make() -> NewProject:
            log = ControlLog(self.kafka, client_id="test")
            await log.start()
            try:
                return await create_project(log, name="test", time_zone=time_zone, scopes=scopes, now_ms=CREATED_AT)
            finally:
                await log.stop()

        return asyncio.run(make())

    def write(self, *bodies: Body) -> None:
        """Write control records."""

        async def write() -> None:
            log = ControlLog(self.kafka, client_id="test")
            await log.start()
            try:
                for body in bodies:
                    await log.write(body, replaces=0)
            finally:
                await log.stop()

        asyncio.run(write())

    def sql(self, statement: str) -> str:
        return run_sql(self.clickhouse_url, statement)

    def book(self, *inserts: str, commit: bool = True) -> str:
        """Insert entries under a new run (``{run}`` and ``{number}`` stand for it) and commit it, the runs row last."""
        self._runs += 1
        run = str(uuid.uuid4())
        for insert in inserts:
            self.sql(insert.replace("{run}", run).replace("{number}", str(self._runs)))
        if commit:
            self.sql(
                f"INSERT INTO runs (number, run_id, parent_id, kind) VALUES ({self._runs}, '{run}', '{NOBODY}', 'book')"
            )
        else:
            self._runs -= 1
        return run

    def close(self) -> None:
        for process in self._processes:
            process.end()
        self.sql(f"DROP DATABASE IF EXISTS {self.database} SYNC")


@contextmanager
def running_stack(kafka_bootstrap: str, clickhouse_server: str, directory: Path) -> Iterator[Stack]:
    """A prepared stack, ended whatever happens."""
    stack = Stack(kafka_bootstrap, clickhouse_server, directory)
    stack.prepare()
    try:
        yield stack
    finally:
        stack.close()


class Api:
    """An API process, spoken to over HTTP."""

    def __init__(self, url: str, process: Process) -> None:
        self.url = url
        self.process = process

    def as_(self, key: str | None) -> "Caller":
        return Caller(self.url, key)

    def get(self, path: str) -> httpx.Response:
        return self.as_(None)("GET", path)


class Caller:
    """Somebody with a key, or without one. Each request has a connection of its own, which it closes."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30) as client:
            return client.request(method, path, **request)
