"""What full attribution costs beside the bare SELECT that computes it, and what one late touch costs. Prints JSON.

``PYTHONPATH=.:tests python tests/bench/attribution_bench.py [CONVERSIONS]`` starts an engine of its own, or takes the
one named by HEADWATER_TEST_CLICKHOUSE_URL; fills the fact tables with conversions of ten touches each, by user; then
times:

- ``full_s``: a run over everything from an empty book: five models, reading, inserting and summing up
- ``bare_s``: the SELECT of attribution.sql alone, on what that run had found, to nowhere; the mean of three
- ``late_touch_s``: a run over one new session of one user, whose one conversion is booked anew; the median of nine
"""

import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from harness import Process, base_environment, free_port, run_sql
from history import PROJECT, START, raw_event
from shop import Shop

from clickhouse.migrate import apply
from clickhouse.statements import ATTRIBUTION
from schemas.settings import ClickHouseSettings

CONVERSIONS: Final = 200_000
TOUCHES: Final = 10
"""Of each conversion, on ten days before it."""
ROUNDS: Final = 9

FACTS: Final = (
    """
    INSERT INTO touches
        (project_id, session_id, touched_at, touch_id, kind, source, medium, campaign, channel, version)
    SELECT '{project}', concat('s', toString(number)),
           fromUnixTimestamp64Milli({start} + (number % 10) * 86400000 + 1, 'UTC'), generateUUIDv4(), 'campaign',
           concat('source', toString(number % 13)), 'cpc', '', 'Paid Search', 1
    FROM numbers({touches})
    """,
    """
    INSERT INTO person_keys (project_id, kind, key, carrier_kind, carrier)
    SELECT '{project}', edge.1, edge.2, edge.3, edge.4
    FROM
    (
        SELECT concat('u', toString(intDiv(number, 10))) AS u, concat('s', toString(number)) AS s,
               arrayJoin([('user', u, 'session', s), ('session', s, 'user', u)]) AS edge
        FROM numbers({touches})
    )
    """,
    """
    INSERT INTO conversion_arrivals
        (project_id, conversion_id, event_id, is_conversion, kind, order_id, trust, received_at, converted_at, timed,
         event_type, event_name, user_id, revenue, currency, version)
    SELECT '{project}', generateUUIDv4() AS id, id, true, 'purchase', toString(number), 0,
           fromUnixTimestamp64Milli({start} + 10 * 86400000 + number, 'UTC') AS at, at, true, 'conversion', 'purchase',
           concat('u', toString(number)), toDecimal64(number % 1000, 4) / 7, 'USD', 1
    FROM numbers({conversions})
    """,
)


def measure(url: str, conversions: int) -> dict[str, object]:
    """Fill one database and time it."""
    name = f"bench_{secrets.token_hex(4)}"
    run_sql(url, f"CREATE DATABASE {name}")
    shop = Shop(ClickHouseSettings(clickhouse_url=f"{url}?database={name}"))
    apply(shop.client)
    for statement in FACTS:
        shop.client.command(
            statement.format(project=PROJECT, start=START, touches=conversions * TOUCHES, conversions=conversions)
        )
    books = shop.books()
    started = time.perf_counter()
    run = books.sweep()
    full = time.perf_counter() - started

    bare = []
    parameters = {"scope_id": run.run_id, "which": "all"}
    for _ in range(3):
        started = time.perf_counter()
        shop.client.query(f"SELECT count(), sum(share), sum(amount) FROM ({ATTRIBUTION})", parameters=parameters)
        bare.append(time.perf_counter() - started)
    ((entries, shares, amount),) = shop.client.query(
        "SELECT count(), sum(share), sum(amount) FROM v_credits WHERE scope = 'all'"
    ).result_rows
    ((revenue,),) = shop.client.query("SELECT sum(revenue) FROM conversions").result_rows
    assert shares == 5 * conversions
    assert amount == 5 * revenue

    late = []
    for number in range(ROUNDS):
        touch = raw_event(at=24 * 60 * 5, source="late", user=f"u{number * 7}", session=f"late {number}")
        shop.facts.store([touch])
        started = time.perf_counter()
        booked = books.book()
        late.append(time.perf_counter() - started)
        assert booked is not None
        ((touched,),) = shop.client.query(
            "SELECT count() FROM run_conversions WHERE run_id = {id:UUID}", parameters={"id": booked.run_id}
        ).result_rows
        assert touched == 1
    return {
        "conversions": conversions,
        "touches": conversions * TOUCHES,
        "credits": entries,
        "full_s": round(full, 2),
        "bare_s": round(statistics.mean(bare), 2),
        "full_to_bare": round(full / statistics.mean(bare), 2),
        "late_touch_s": round(statistics.median(late), 3),
        "late_touch_spread_s": [round(min(late), 3), round(max(late), 3)],
        "late_to_full": round(statistics.median(late) / full, 4),
        "load_average": os.getloadavg()[0],
    }


def main(arguments: list[str]) -> int:
    conversions = int(arguments[0]) if arguments else CONVERSIONS
    with tempfile.TemporaryDirectory() as text, ExitStack() as ends:
        url = os.environ.get("HEADWATER_TEST_CLICKHOUSE_URL", "")
        if not url:
            directory, port, password = Path(text), free_port(), secrets.token_hex(8)
            (directory / "password").write_text(password)
            environment = base_environment() | {
                "HEADWATER_DATA_DIR": text,
                "HEADWATER_CLICKHOUSE_PORT": str(port),
                "HEADWATER_CLICKHOUSE_PASSWORD_FILE": str(directory / "password"),
            }
            ready = f"http://127.0.0.1:{port}/ping"
            engine = Process("clickhouse", "serve", environment=environment, directory=directory, ready_url=ready)
            ends.callback(engine.end)
            engine.start()
            url = f"http://default:{password}@127.0.0.1:{port}/"
        print(json.dumps({"bench": "attribution", **measure(url, conversions)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
