"""``make demo``: post the clickstream, wait until it is booked, and print both computations side by side."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import msgspec
from tqdm import tqdm

from deploy.data_dir import write_private
from deploy.demo.clickstream import clicks, events, last_click
from deploy.demo.instance import POLL_S, Refusal, Shop, make_goals, make_shop, post, reports
from deploy.demo.oracle import GOALS, Line, goals, sources
from deploy.demo_project import read

BATCH: Final = 200
BOOKED_LIMIT_S: Final = 180.0


class Visit(msgspec.Struct, frozen=True):
    """The demo's project and when it "ends now": kept, so that a second run posts the very same events."""

    shop: Shop
    shift_s: float


async def demo(directory: Path) -> bool:
    """Run it; whether the two computations agree."""
    visit = await _visit(directory)
    stream = clicks(timedelta(seconds=visit.shift_s))
    await make_goals(visit.shop, GOALS)
    started = time.monotonic()
    with tqdm(total=len(stream), unit=" events", desc="posting", file=sys.stdout) as bar:
        await post(visit.shop, events(stream), batch_size=BATCH, retry=True, posted=bar.update)
    acknowledged = time.monotonic()
    days = min(click.at for click in stream).date().isoformat(), max(click.at for click in stream).date().isoformat()
    expected = goals(stream), sources(stream)
    reported = await reports(visit.shop, *days)
    while reported != expected and time.monotonic() - acknowledged < BOOKED_LIMIT_S:
        await asyncio.sleep(POLL_S)
        reported = await reports(visit.shop, *days)
    booked = time.monotonic()
    print(
        f"{len(stream)} events acknowledged in {acknowledged - started:.1f} s, booked {booked - acknowledged:.1f} s"
        f" later: {len(stream) / (booked - started):.0f} events/s end to end\n"
    )
    for title, said, computed in zip(("goal", "source / medium"), reported, expected, strict=True):
        _print_table(title, said, computed)
    print(
        "In ClickHouse: SELECT * FROM v_source_stats"
        f" WHERE model = 'last_touch' AND project_id = '{visit.shop.project_id}'"
    )
    return reported == expected


async def _visit(directory: Path) -> Visit:
    path = directory / "demo-shop.json"
    instance = read(directory / "demo.env")
    if not instance:
        raise Refusal(f"there is no {directory / 'demo.env'}: start an instance with `make run` first")
    if path.exists():
        visit = msgspec.json.decode(path.read_bytes(), type=Visit)
        url = instance["HEADWATER_URL"]
        return Visit(msgspec.structs.replace(visit.shop, url=url), visit.shift_s)
    shop = await make_shop(instance["HEADWATER_URL"], instance["SECRET_KEY"])
    visit = Visit(shop, (datetime.now(UTC) - last_click()).total_seconds())
    write_private(path, msgspec.json.encode(visit).decode())
    return visit


def _print_table(title: str, said: Sequence[Line], computed: Sequence[Line]) -> None:
    print(f"{title:<20} {'conversions':>11} {'converters':>10}  {'revenue':<34}  from the file")
    by_name = {line.name: line for line in computed}
    for line in said:
        print(_columns(line), "  equal" if line == by_name.get(line.name) else "  DIFFERS:")
        if line != by_name.get(line.name) and line.name in by_name:
            print(_columns(by_name[line.name]))
    for name in by_name.keys() - {line.name for line in said}:
        print(_columns(by_name[name]), "  MISSING from the report")
    print()


def _columns(line: Line) -> str:
    revenue = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in line.revenue.items()) or "-"
    return f"{line.name:<20} {line.conversions:>11} {line.converters:>10}  {revenue:<34}"


def main(environ: Mapping[str, str]) -> int:
    try:
        agreed = asyncio.run(demo(Path(environ.get("HEADWATER_DATA_DIR") or ".headwater")))
    except (Refusal, httpx.HTTPError) as error:
        print(f"demo: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print("The reports equal the computation from the file." if agreed else "The reports DIFFER from the file.")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
