"""A whole installation for a bench, as ``make run`` starts it: ports and data directory of its own, all on loopback."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psutil
from harness import Process, eventually, instance_environment, processes_with, python, run_sql, status

from deploy import demo_project
from deploy.processes import PROCESSES

START_LIMIT_S: Final = 120
STOP_LIMIT_S: Final = 25

CpuSeconds = dict[int, tuple[str, float]]
"""Name of its part and CPU seconds so far (user and system, all threads), by process id."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One that runs, with its demo project."""

    data_dir: Path
    events_url: str
    project_id: str
    secret_key: str
    clickhouse_url: str

    @property
    def headers(self) -> dict[str, str]:
        """Of a request with the secret key."""
        return {"Authorization": f"Bearer {self.secret_key}"}

    def sql(self, statement: str) -> list[list[str]]:
        """Rows of a query; each value as ClickHouse prints it."""
        text = run_sql(self.clickhouse_url, f"{statement} FORMAT TabSeparated")
        return [line.split("\t") for line in text.splitlines()]

    def cpu_seconds(self) -> CpuSeconds:
        """Of all its processes."""
        commands = processes_with("HEADWATER_DATA_DIR", str(self.data_dir))
        return {pid: (_part(command), sum(psutil.Process(pid).cpu_times()[:2])) for pid, command in commands.items()}


@contextmanager
def installation() -> Iterator[Installation]:
    """Starts one, and ends it whatever happens."""
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory).resolve()  # as its parts have it in their environment
        environment = instance_environment(data_dir)
        subprocess.run(python("-m", "deploy.kafka", "fetch"), env=environment, check=True)
        running = Process("deploy.run", environment=environment, directory=data_dir)
        try:
            running.start()
            eventually((data_dir / "demo.env").exists, START_LIMIT_S, lambda: running.output)
            ready_url = f"http://127.0.0.1:{environment['HEADWATER_HTTP_PORT']}/readyz"
            eventually(lambda: status(ready_url) == 200, START_LIMIT_S, lambda: running.output)
            demo = demo_project.read(data_dir / "demo.env")
            yield Installation(
                data_dir=data_dir,
                events_url=f"{demo['HEADWATER_URL']}/v1/projects/{demo['PROJECT_ID']}/events",
                project_id=demo["PROJECT_ID"],
                secret_key=demo["SECRET_KEY"],
                clickhouse_url=demo["CLICKHOUSE_URL"],
            )
        finally:
            running.end(STOP_LIMIT_S)


def _part(command: str) -> str:
    """The part of ``make run`` that a command line is of."""
    if "kafka.Kafka" in command:
        return "kafka"  # a JVM by now
    named = (process.name for process in PROCESSES if command.endswith(f"-m {' '.join(process.command)}"))
    return next(named, "supervision")
