"""``python -m deploy.demo_project``: make the demo project, once, and write its ids and keys to ``demo.env``.

A project that ``demo.env`` names and the control log knows is kept; its addresses are brought up to date, and the link
and the postback token that it lacks are made. The file is the only place where the texts of keys and token exist.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import uuid_utils

from control.links import create_link, create_link_goal
from control.log import ControlLog
from control.projects import create_project
from deploy.data_dir import write_private
from schemas.control import ALL_SCOPES, Link, LinkGoal, LinkGoalType
from schemas.errors import HeadwaterError
from schemas.settings import ClickHouseSettings, InvalidSettings, KafkaSettings, load

SLUG: Final = "slug"


class DemoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Environment prefix ``HEADWATER_``."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    data_dir: str = ".headwater"
    http_port: int = 8080


async def ensure(settings: DemoSettings) -> None:
    """Make the project if it is not there, and write ``demo.env``. Raises :class:`HeadwaterError`."""
    path = Path(settings.data_dir) / "demo.env"
    log = ControlLog(settings.kafka, client_id="headwater-demo-project")
    await log.start()
    try:
        demo = read(path)
        if log.view.project(demo.get("PROJECT_ID", "")) is None:
            made = await create_project(log, name="Demo", scopes=ALL_SCOPES, now_ms=time.time_ns() // 1_000_000)
            demo = {
                "PROJECT_ID": made.project.id,
                "SITE_KEY": made.project.site_key,
                "SECRET_KEY": made.secret_text,
                "PUBLIC_KEY": made.public_text,
            }
        demo |= await _links(log, demo)
    finally:
        await log.stop()
    url = f"http://127.0.0.1:{settings.http_port}"
    demo |= {
        "HEADWATER_URL": url,
        "LINK_URL": f"{url}/l/{demo.pop(SLUG)}",
        "CLICKHOUSE_URL": settings.clickhouse.clickhouse_url,
    }
    write_private(path, "".join(f"{name}={value}\n" for name, value in sorted(demo.items())))


async def _links(log: ControlLog, demo: Mapping[str, str]) -> dict[str, str]:
    """A link and a postback token of the demo project; those that ``demo`` names are kept while the log knows them."""
    project_id, now_ms = demo["PROJECT_ID"], time.time_ns() // 1_000_000
    found: dict[str, str] = {}
    link = log.view.links_by_project.get(project_id, {}).get(demo.get("LINK_ID", ""))
    if link is None:
        wanted = Link(
            id="",
            project_id=project_id,
            slug="",
            name="Demo",
            destination="https://shop.example/",
            utm_source="demo",
            utm_medium="link",
            created_at=now_ms,
        )
        link = await create_link(log, wanted)
    found |= {"LINK_ID": link.id, SLUG: link.slug}
    if log.view.goal_of_token(demo.get("POSTBACK_TOKEN", "")) is None:
        goal = LinkGoal(
            id=str(uuid_utils.uuid7()),
            project_id=project_id,
            name="Purchase",
            goal_type=LinkGoalType.PURCHASE,
            created_at=now_ms,
        )
        found["POSTBACK_TOKEN"] = (await create_link_goal(log, goal)).text
    return found


def read(path: Path) -> dict[str, str]:
    """The names and values of a ``demo.env``; none if there is no such file."""
    if not path.exists():
        return {}
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def first_curl(demo: Mapping[str, str]) -> str:
    """Seed S0's server-side conversion, ready to paste."""
    return f"""\
curl -X POST {demo["HEADWATER_URL"]}/v1/projects/{demo["PROJECT_ID"]}/events \\
-H "Authorization: Bearer {demo["SECRET_KEY"]}" \\
-H "Content-Type: application/json" \\
-d '{{
"event_type": "conversion",
"event_name": "purchase",
"user_id": "sha256_user_hash",
"revenue": 49.99,
"currency": "USD",
"properties": {{"plan":"pro","order_id":"ord_123"}}
}}'"""


def main(environ: Mapping[str, str]) -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        asyncio.run(ensure(load(DemoSettings, environ)))
    except (HeadwaterError, InvalidSettings) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
