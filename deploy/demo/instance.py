"""A running instance, over its public API only: what any client could do."""

import asyncio
import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import httpx
import msgspec

from deploy.demo.oracle import DemoGoal, Line

IN_FLIGHT: Final = 4
"""Batches on the way at once."""
POLL_S: Final = 0.25


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's own project: other traffic of the instance does not mix with its numbers."""

    url: str
    project_id: str
    site_key: str
    secret_key: str


class Refusal(RuntimeError):
    """The instance answered something else than it should; the message says what."""


async def make_shop(url: str, secret_key: str) -> Shop:
    """Create the project, with a key that may create projects."""
    async with _client(url, secret_key) as client:
        made = await _json(client.post("/v1/projects", json={"name": "Shop demo"}), 201)
    return Shop(url=url, project_id=made["id"], site_key=made["site_key"], secret_key=made["secret_key"])


async def make_goals(shop: Shop, goals: Sequence[DemoGoal]) -> None:
    """Create those goals that are not there yet."""
    path = f"/api/v1/analytics/sites/{shop.site_key}/goals"
    async with _client(shop.url, shop.secret_key) as client:
        there = {goal["name"] for goal in (await _json(client.get(path), 200))["data"]}
        for goal in goals:
            if goal.name not in there:
                body = {"name": goal.name, "type": goal.type, "match_type": goal.match_type}
                body |= (
                    {"match_value": goal.match_value, "currency": goal.currency}
                    if goal.currency
                    else {"match_value": goal.match_value}
                )
                await _json(client.post(path, json=body), 201)


async def post(
    shop: Shop,
    events: Sequence[dict[str, Any]],
    *,
    batch_size: int,
    compress: bool = True,
    retry: bool = False,
    posted: Callable[[int], object] = lambda count: None,
) -> None:
    """Post events in batches, each until it is acknowledged. ``retry``: also while nobody listens."""
    path = f"/v1/projects/{shop.project_id}/events"
    batches = [events[start : start + batch_size] for start in range(0, len(events), batch_size)]
    free = asyncio.Semaphore(IN_FLIGHT)
    async with _client(shop.url, shop.secret_key) as client, asyncio.TaskGroup() as group:

        async def send(batch: Sequence[dict[str, Any]]) -> None:
            body = msgspec.json.encode(batch)
            headers = {"Content-Type": "application/json"}
            if compress:
                body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
            try:
                while True:
                    try:
                        answer = await client.post(path, content=body, headers=headers)
                    except httpx.TransportError:
                        if not retry:
                            raise
                    else:
                        if answer.status_code == 202 and answer.json()["rejected"] == 0:
                            break
                        if answer.status_code not in (429, 502, 503):
                            raise Refusal(f"{answer.status_code}: {answer.text[:500]}")
                    # Sent again as it is: the ids are the events' own, so nothing is counted twice.
                    await asyncio.sleep(POLL_S)
                posted(len(batch))
            finally:
                free.release()

        for batch in batches:
            await free.acquire()
            group.create_task(send(batch))


async def reports(shop: Shop, first: str, last: str) -> tuple[list[Line], list[Line]]:
    """What the reports say for whole days: per goal, and per source and medium."""
    query = {"period": "custom", "from": first, "to": last}
    path = f"/v1/projects/{shop.project_id}/reports"
    async with _client(shop.url, shop.secret_key) as client:
        goals = await _json(client.get(f"{path}/goals", params=query), 200)
        sources = await _json(client.get(f"{path}/sources", params=query), 200)
    by_source = [_line(f"{row['source']} / {row['medium']}", row) for row in sources["rows"]]
    return sorted(_line(row["name"], row) for row in goals["rows"]), sorted(by_source)


def _line(name: str, row: dict[str, Any]) -> Line:
    revenue = {money["currency"]: Decimal(money["amount"]) for money in row["revenue"] if money["currency"]}
    return Line(name, int(row["conversions"]), row["unique_converters"], dict(sorted(revenue.items())))


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)


async def _json(asked: Any, status: int) -> Any:
    answer = await asked
    if answer.status_code != status:
        raise Refusal(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
    return msgspec.json.Decoder(float_hook=Decimal).decode(answer.content)
