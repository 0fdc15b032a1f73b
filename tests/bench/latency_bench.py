"""Time from a 202 to the queryable fact, and to the report, on a whole installation at rest. Prints JSON.

One conversion at a time is posted; then ``v_events`` and ``v_source_stats`` are asked until it is there. The polling is
part of the figure: about one query's time.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from harness import Process, base_environment, eventually, free_ports, python, run_sql, status

ROUNDS = 40


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        http, clickhouse, kafka = free_ports(3)
        environment = base_environment() | {
            "HEADWATER_DATA_DIR": directory,
            "HEADWATER_HTTP_PORT": str(http),
            "HEADWATER_CLICKHOUSE_PORT": str(clickhouse),
            "HEADWATER_KAFKA_PORT": str(kafka),
        }
        subprocess.run(python("-m", "deploy.kafka", "fetch"), env=environment, check=True)
        installation = Process("deploy.run", environment=environment, directory=Path(directory))
        try:
            installation.start()
            eventually(lambda: (Path(directory) / "demo.env").exists(), 120)
            eventually(lambda: status(f"http://127.0.0.1:{http}/readyz") == 200, 120)
            lines = (Path(directory) / "demo.env").read_text().splitlines()
            print(json.dumps(measure(dict(line.split("=", 1) for line in lines)), indent=2))
        finally:
            installation.end(25)
    return 0


def measure(demo: dict[str, str]) -> dict[str, object]:
    events = f"{demo['HEADWATER_URL']}/v1/projects/{demo['PROJECT_ID']}/events"
    headers = {"Authorization": f"Bearer {demo['SECRET_KEY']}"}
    facts, reports = [], []
    with httpx.Client(headers=headers, timeout=30) as client:
        for number in range(ROUNDS):
            body = {
                "event_type": "conversion",
                "event_name": "purchase",
                "revenue": 1,
                "currency": "USD",
                "user_id": f"user-{number}",
                "properties": {"order_id": f"order-{number}"},
            }
            answer = client.post(events, json=body)
            acknowledged = time.perf_counter()
            event_id = answer.json()["event_id"]

            def rows(query: str) -> int:
                return int(run_sql(demo["CLICKHOUSE_URL"], query))

            eventually(lambda: rows(f"SELECT count() FROM v_events WHERE event_id = '{event_id}'") == 1)  # noqa: B023
            facts.append(time.perf_counter() - acknowledged)
            eventually(lambda: rows("SELECT toInt64(sum(conversions)) FROM v_source_stats") == number + 1)  # noqa: B023
            reports.append(time.perf_counter() - acknowledged)
    return {
        "rounds": ROUNDS,
        "load_average": os.getloadavg()[0],
        "seconds_to_fact": quantiles(facts),
        "seconds_to_report": quantiles(reports),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "max": round(max(values), 3)}


if __name__ == "__main__":
    sys.exit(main())
