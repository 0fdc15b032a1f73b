"""``python -m deploy.demo_project``: make the demo project, once, and write its ids and keys to ``demo.env``.

A project that ``demo.env`` names and the control log knows is kept; its addresses are brought up to date. The file is
the only place where the keys' texts exist.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from control.log import ControlLog
from control.projects import create_project
from deploy.data_dir import write_private
from schemas.control import ALL_SCOPES
from schemas.errors import HeadwaterError
from schemas.settings import ClickHouseSettings, InvalidSettings, KafkaSettings, load


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
    finally:
        await log.stop()
    demo |= {
        "HEADWATER_URL": f"http://127.0.0.1:{settings.http_port}",
        "CLICKHOUSE_URL": settings.clickhouse.clickhouse_url,
    }
    write_private(path, "".join(f"{name}={value}\n" for name, value in sorted(demo.items())))


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
