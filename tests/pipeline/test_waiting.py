"""Processes that are started before their Kafka."""

from pathlib import Path
from typing import Final

import pytest
from harness import Process, base_environment, eventually, free_ports

from control.secret import SECRET_MIN_BYTES

STOP_LIMIT_S: Final = 10


@pytest.mark.parametrize(
    "command",
    [
        ("ingest",),
        ("processors", "events"),
        ("processors", "conversions"),
        ("processors", "booker"),
        ("processors", "delivery"),
    ],
    ids=" ".join,
)
def test_a_process_that_waits_for_kafka_stops_when_it_is_told_to(command: tuple[str, ...], tmp_path: Path) -> None:
    nobody, http_port, metrics_port = free_ports(3)
    secret_file = tmp_path / "secret"
    secret_file.write_text("ab" * SECRET_MIN_BYTES)
    environment = base_environment() | {
        "HEADWATER_KAFKA_BOOTSTRAP": f"127.0.0.1:{nobody}",
        "HEADWATER_CLICKHOUSE_URL": f"http://127.0.0.1:{nobody}/?database=none",
        "HEADWATER_HTTP_PORT": str(http_port),
        "HEADWATER_METRICS_PORT": str(metrics_port),
        "HEADWATER_DATA_DIR": str(tmp_path),
        "HEADWATER_SECRET_FILE": str(secret_file),
    }
    process = Process(*command, environment=environment, directory=tmp_path).start()
    try:
        eventually(lambda: "following again" in process.output, otherwise=lambda: process.output)
        assert process.terminate(STOP_LIMIT_S) == 0, process.output
    finally:
        process.end()
