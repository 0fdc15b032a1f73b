"""A whole installation for tests that go from HTTP to report: all its processes, on the session's servers.

A plugin: every test has ``stack``, which all share, and ``project``, a tenant of its own there.
"""

import json
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from harness import Process, base_environment, eventually, free_port, python, run_sql

from deploy.demo.instance import Shop

PARTS: Final = {
    "web": ("deploy.web",),
    "events": ("processors", "events"),
    "conversions": ("processors", "conversions"),
    "booker": ("processors", "booker"),
    "delivery": ("processors", "delivery"),
}
SETTLED_S: Final = 60.0


class Stack:
    """Ingest and API on one port, and all processors, with a topic prefix and a database of their own."""

    def __init__(self, kafka: str, clickhouse: str, directory: Path, **variables: str) -> None:
        self.database = f"stack_{secrets.token_hex(6)}"
        self.clickhouse_url = f"{clickhouse}?database={self.database}"
        run_sql(clickhouse, f"CREATE DATABASE {self.database}")
        secret_file = directory / "secret"
        secret_file.write_text(secrets.token_hex(32))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = base_environment() | {
            "HEADWATER_KAFKA_BOOTSTRAP": kafka,
            "HEADWATER_CLICKHOUSE_URL": self.clickhouse_url,
            "HEADWATER_TOPIC_PREFIX": f"s{secrets.token_hex(6)}-",
            "HEADWATER_DATA_DIR": str(directory),
            "HEADWATER_SECRET_FILE": str(secret_file),
            "HEADWATER_HTTP_PORT": str(port),
            "HEADWATER_INSTANCE": "test",
            **variables,
        }
        for command in (("clickhouse", "migrate"), ("control", "topics"), ("deploy.demo_project",)):
            subprocess.run(python("-m", *command), env=self.environment, check=True, timeout=120)
        self.parts: dict[str, Process] = {}
        for name, command in PARTS.items():
            metrics_port = free_port()
            ready_port = port if name == "web" else metrics_port
            self.parts[name] = Process(
                *command,
                environment=self.environment | {"HEADWATER_METRICS_PORT": str(metrics_port)},
                directory=directory,
                ready_url=f"http://127.0.0.1:{ready_port}/readyz",
            )
        lines = (directory / "demo.env").read_text().splitlines()
        self.admin_key = dict(line.split("=", 1) for line in lines)["SECRET_KEY"]

    def start(self) -> None:
        for part in self.parts.values():
            part.start(wait=False)
        for part in self.parts.values():
            part.wait_ready()

    def end(self) -> None:
        for part in self.parts.values():
            if part.running:
                part.signal(signal.SIGTERM)  # all at once: each takes its time
        for part in self.parts.values():
            part.end()

    def restart(self, name: str, **variables: str) -> None:
        """Kill a part and start it again, with these variables for this life only."""
        part = self.parts[name]
        if part.running:
            part.kill()
        usual = dict(part.environment)
        part.environment.update(variables)
        part.start()
        part.environment = usual

    def project(self, **settings: Any) -> "Project":
        """A new project."""
        answer = httpx.post(
            f"{self.url}/v1/projects",
            json={"name": "Test", **settings},
            headers={"Authorization": f"Bearer {self.admin_key}"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return Project(self, answer.json())

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a query; decimals are exact."""
        text = run_sql(
            f"{self.clickhouse_url}&output_format_json_quote_decimals=1&output_format_json_validate_utf8=1",
            f"{statement} FORMAT JSONEachRow",
        )
        return [json.loads(line) for line in text.split("\n") if line]

    def ledger(self) -> dict[str, dict[str, int]]:
        rows = self.sql("SELECT * FROM v_ledger")
        return {row["stage"]: {name: int(value) for name, value in row.items() if name != "stage"} for row in rows}


class Project:
    """One tenant of a stack, and the requests tests make."""

    def __init__(self, stack: Stack, made: dict[str, Any]) -> None:
        self.stack = stack
        self.id: str = made["id"]
        self.site_key: str = made["site_key"]
        self.secret_key: str = made["secret_key"]
        self.public_key: str = made["public_key"]

    @property
    def shop(self) -> Shop:
        """As the demo knows it."""
        return Shop(url=self.stack.url, project_id=self.id, site_key=self.site_key, secret_key=self.secret_key)

    def request(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.secret_key}", **options.pop("headers", {})}
        return httpx.request(method, f"{self.stack.url}{path}", headers=headers, timeout=30, **options)

    def post(self, body: Any, *, key: str | None = None, **headers: str) -> httpx.Response:
        """Post events; ``body``: what to send as JSON, or bytes to send as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        return self.request("POST", f"/v1/projects/{self.id}/events", key=key, content=content, headers=sent)

    def accept(self, body: Any, *, key: str | None = None, **headers: str) -> Any:
        """Post events that must be accepted."""
        answer = self.post(body, key=key, **headers)
        assert answer.status_code == 202, answer.text
        assert answer.json().get("rejected", 0) == 0, answer.text
        return answer.json()

    def goal(self, name: str = "Purchase", **fields: Any) -> str:
        """Create a goal; its id."""
        body = {"name": name, "type": "custom", "match_type": "exact", "match_value": "purchase", **fields}
        answer = self.request("POST", f"/api/v1/analytics/sites/{self.site_key}/goals", json=body)
        assert answer.status_code == 201, answer.text
        created: str = answer.json()["data"]["id"]
        return created

    def stats(self, goal_id: str, **period: str) -> dict[str, Any]:
        """Stats of a goal; money as exact decimals."""
        path = f"/api/v1/analytics/sites/{self.site_key}/goals/{goal_id}/stats"
        answer = self.request("GET", path, params=period)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)["data"]
        return data

    def report(self, name: str, **parameters: str) -> dict[str, Any]:
        answer = self.request("GET", f"/v1/projects/{self.id}/reports/{name}", params=parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        return found

    def events(self, condition: str = "1") -> list[dict[str, Any]]:
        """Rows of v_events."""
        return self.stack.sql(
            f"SELECT * FROM v_events WHERE project_id = '{self.id}' AND ({condition}) ORDER BY occurred_at, event_id"
        )

    def settled(self, count: int, condition: str = "1") -> list[dict[str, Any]]:
        """The events, once there are so many."""
        eventually(
            lambda: len(self.events(condition)) == count,
            SETTLED_S,
            lambda: f"{len(self.events(condition))} events instead of {count}",
        )
        return self.events(condition)

    def eventually(self, found: Callable[[], Any], expected: Any) -> None:
        """Wait until a report says so."""
        eventually(lambda: found() == expected, SETTLED_S, lambda: f"{found()} instead of {expected}")


@contextmanager
def starting(kafka: str, clickhouse: str, directories: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Starts installations, with these variables, and ends them at last: each takes memory and time while it runs."""
    started: list[Stack] = []

    def start(**variables: str) -> Stack:
        stack = Stack(kafka, clickhouse, directories.mktemp("stack"), **variables)
        started.append(stack)
        stack.start()
        return stack

    try:
        yield start
    finally:
        for stack in started:
            stack.end()


@pytest.fixture(scope="module")
def new_stack(
    kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Stack]]:
    """Starts installations of a module's own."""
    with starting(kafka_bootstrap, clickhouse_server, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The installation that tests share, each with a project of its own."""
    with starting(kafka_bootstrap, clickhouse_server, tmp_path_factory) as start:
        yield start()


@pytest.fixture
def project(stack: Stack) -> Project:
    return stack.project()
