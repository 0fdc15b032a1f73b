"""Time from a 202 to the queryable fact, and to the report, on a whole installation at rest. Prints JSON.

One conversion at a time is posted; then ``v_events`` and ``v_source_stats`` are asked until it is there. The polling is
part of the figure: about one query's time.
"""

import json
import os
import statistics
import sys
import time

import httpx
from harness import POLL_S, eventually
from installation_of_bench import Installation, installation

ROUNDS = 40


def main() -> int:
    with installation() as running:
        print(json.dumps(measure(running), indent=2))
    return 0


def measure(running: Installation) -> dict[str, object]:
    facts: list[float] = []
    reports: list[float] = []
    with httpx.Client(headers=running.headers, timeout=30) as client:
        for number in range(ROUNDS):
            body = {
                "event_type": "conversion",
                "event_name": "purchase",
                "revenue": 1,
                "currency": "USD",
                "user_id": f"user-{number}",
                "properties": {"order_id": f"order-{number}"},
            }
            answer = client.post(running.events_url, json=body)
            acknowledged = time.perf_counter()
            event_id = answer.json()["event_id"]

            def rows(query: str) -> int:
                return int(running.sql(query)[0][0])

            fact = f"SELECT count() FROM v_events WHERE event_id = '{event_id}'"
            eventually(lambda: rows(fact) == 1, poll_max_s=POLL_S)  # noqa: B023
            facts.append(time.perf_counter() - acknowledged)
            credited = "SELECT toInt64(sum(conversions)) FROM v_source_stats WHERE model = 'last_touch'"
            eventually(lambda: rows(credited) == number + 1, poll_max_s=POLL_S)  # noqa: B023
            reports.append(time.perf_counter() - acknowledged)
    return {
        "rounds": ROUNDS,
        "load_average": os.getloadavg()[0],
        "seconds_to_fact": quantiles(facts),
        "seconds_to_report": quantiles(reports),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """Of two values or more."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    sys.exit(main())
