"""A shop's traffic at a fixed rate, for a bounded time, from a process of its own. Prints JSON, two lines.

``python load_of_bench.py EVENTS_URL SECRET_KEY RATE SECONDS NAME`` posts batches of 100 events. The first line says
that the first batch is due, the second what came of all of them.

1. Open loop: a batch is due by the clock, however long the answers to others take; what could not be sent in time is
   ``behind_s``, what was not sent at all ``unsent_events``. Nothing is sent after ``SECONDS``, nothing is sent twice.
2. As many visitors are on the site as events are due a second, each with an event a second. A session is 8 events: a
   landing page (three in ten with a campaign, four from a search engine), pages, one in eight put into the cart, and
   in every fourth session a conversion, which names its user: 3 % of the events. A visitor comes twice, and converts
   on the second visit.
3. Everything follows from the event's number and ``NAME``: other names are other visitors.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import msgspec
import orjson
import uvloop

BATCH: Final = 100
CONNECTIONS: Final = 48
"""Batches under way at once; with all of them waiting for answers the load falls behind."""
ANSWER_LIMIT_S: Final = 15
STEPS: Final = 8
CONVERTS: Final = 4
PAGES: Final = 500
LANDINGS: Final = (
    *(("?utm_source=google&utm_medium=cpc&utm_campaign=brand", "https://www.google.com/"),) * 2,
    ("?utm_source=newsletter&utm_medium=email&utm_campaign=weekly", ""),
    *(("", "https://www.google.com/"),) * 4,
    *(("", ""),) * 3,
)


class Load(msgspec.Struct, kw_only=True):
    """What came of it. Conversions are among the events."""

    accepted_events: int = 0
    accepted_conversions: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=lambda: defaultdict(int))
    """Events, by status, or by what went wrong instead of an answer."""
    unsent_events: int = 0
    behind_s: float = 0.0
    """The latest batch was sent so much after it was due."""
    answer_s: float = 0.0
    """The slowest answer."""
    took_s: float = 0.0
    """From the first batch to the last answer, or to the end of the time."""
    ended_ms: int = 0
    """When that was."""
    cpu_s: float = 0.0
    """Of this process."""


def event(number: int, rate: int, name: str) -> dict[str, Any]:
    """The ``number``-th event, without its time."""
    slot, turn = number % rate, number // rate + number % rate  # slots are in different steps of their sessions
    session, step = turn // STEPS, turn % STEPS
    visitor = f"{name}-{slot}-{session // 2}"
    made: dict[str, Any] = {
        "event_type": "pageview",
        "anonymous_id": f"browser-{visitor}",
        "session_id": f"session-{name}-{slot}-{session}",
        "url": f"https://shop.example/p/{number * 7919 % PAGES}",
        "properties": {"template": "product", "price": 49.99, "sku": f"sku-{number % PAGES}"},
    }
    if step == 0:
        query, referrer = LANDINGS[session % len(LANDINGS)]
        return made | {"url": made["url"] + query, "referrer": referrer}
    if step == STEPS // 2:
        return made | {"event_type": "event", "event_name": "add_to_cart"}
    if step == STEPS - 1 and session % CONVERTS == CONVERTS - 1:
        return made | {
            "event_type": "conversion",
            "event_name": "purchase",
            "user_id": f"user-{visitor}",
            "revenue": f"{number % 29_000 / 100 + 5:.2f}",
            "currency": "EUR" if slot % 4 == 0 else "USD",
            "properties": {"order_id": f"order-{name}-{number}"},
        }
    return made


def batch(first: int, rate: int, name: str) -> list[dict[str, Any]]:
    """The events from the ``first`` on."""
    now = {"timestamp": datetime.now(UTC).isoformat()}
    return [event(number, rate, name) | now for number in range(first, first + BATCH)]


async def post(client: aiohttp.ClientSession, url: str, events: list[dict[str, Any]], load: Load) -> None:
    """Post one batch and count its answer."""
    try:
        async with client.post(url, data=orjson.dumps(events)) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        load.refused[type(error).__name__] += len(events)
        return
    if answer.status != 202:
        load.refused[str(answer.status)] += len(events)
        return
    accepted = [item["status"] == "accepted" for item in orjson.loads(body)["results"]]
    load.accepted_events += sum(accepted)
    load.accepted_conversions += sum(
        taken and one["event_type"] == "conversion" for one, taken in zip(events, accepted, strict=True)
    )
    if not all(accepted):
        load.refused["item"] += len(events) - sum(accepted)


async def run(url: str, secret_key: str, rate: int, seconds: float, name: str) -> Load:
    """Post at ``rate`` events a second for ``seconds``."""
    load = Load()
    headers = {"Authorization": f"Bearer {secret_key}", "Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    firsts = iter(range(0, int(rate * seconds), BATCH))
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as client:
        began = time.perf_counter()

        async def sender() -> None:
            for first in firsts:
                due = began + first / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent = time.perf_counter()
                if sent > began + seconds:
                    load.unsent_events += BATCH
                    continue
                load.behind_s = max(load.behind_s, sent - due)
                await post(client, url, batch(first, rate, name), load)
                load.answer_s = max(load.answer_s, time.perf_counter() - sent)

        await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
        load.took_s = max(seconds, time.perf_counter() - began)
    load.ended_ms = time.time_ns() // 1_000_000
    load.cpu_s = time.process_time()
    return load


def main(arguments: list[str]) -> int:
    url, secret_key, rate, seconds, name = arguments
    print(json.dumps({"load": "begins"}), flush=True)
    load = uvloop.run(run(url, secret_key, int(rate), float(seconds), name))
    print(msgspec.json.encode(load).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
