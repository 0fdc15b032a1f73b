"""``python -m clickhouse reconcile FILE``: compare a payment provider's list of orders with a project's conversions.

Exit codes: 0 both agree, 1 something differs, 2 the arguments or the list are wrong, 3 ClickHouse is away.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from clickhouse.provider_orders import BYTES_MAX, ProviderOrder, from_csv, from_json, from_json_lines
from clickhouse.read import Reader
from clickhouse.reconciliation import (
    PAGE,
    TOLERANCE_S,
    Found,
    Outcome,
    Reconciliation,
    Window,
    bound,
    receipt_path,
    reconcile,
    window,
)
from schemas.errors import HeadwaterError, Reason, Refused, Unavailable
from schemas.settings import ClickHouseSettings, InvalidSettings, load

PROJECT: Final = "HEADWATER_PROJECT_ID"


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Compare and print a table."""
    parser = _parser(environ.get(PROJECT, ""))
    try:
        given = parser.parse_args(arguments)
    except SystemExit as ended:  # argparse has said why
        return 0 if ended.code == 0 else 2
    try:
        settings = load(ClickHouseSettings, environ)
        if given.clickhouse:
            settings = ClickHouseSettings(clickhouse_url=given.clickhouse)
        if not given.project:
            raise Refused(Reason.MISSING_FIELD, f"name the project by --project or {PROJECT}", field="project")
        orders = read(given.file)
        span = window(orders, bound(given.since, "from"), bound(given.until, "to"), given.tolerance_s)
        found = asyncio.run(_ask(settings, given.project, orders, span, given.kind, given.limit))
    except (InvalidSettings, OSError, UnicodeDecodeError) as error:
        print(f"reconcile: {error}", file=sys.stderr)
        return 2
    except Unavailable as error:
        print(f"reconcile: {error.message}", file=sys.stderr)
        return 3
    except HeadwaterError as error:
        print(f"reconcile: {error.field or 'error'}: {error.message}", file=sys.stderr)
        return 2
    print("\n".join(table(given.project, found)))
    return 0 if found.agrees else 1


def read(path: Path) -> list[ProviderOrder]:
    """The orders of a file: ``.json``, ``.jsonl``/``.ndjson``, else CSV. Raises :class:`Refused` and OSError."""
    if path.stat().st_size > BYTES_MAX:
        raise Refused(Reason.TOO_LARGE, f"may have at most {BYTES_MAX} bytes", field=str(path))
    if path.suffix == ".json":
        return from_json(path.read_bytes())
    if path.suffix in (".jsonl", ".ndjson"):
        with path.open("rb") as lines:
            return from_json_lines(lines)
    with path.open(encoding="utf-8-sig", newline="") as text:
        return from_csv(text)


def table(project_id: str, found: Reconciliation) -> Iterator[str]:
    """The lines that are printed."""
    for outcome in Outcome:
        yield f"{outcome:<15}{found.groups[outcome].orders:>10}"
    yield ""
    yield f"{'currency':<10}{'provider':>20}{'ours':>20}{'difference':>20}{'matched':>20}"
    for one in found.totals():
        yield f"{one.currency or '(none)':<10}{one.provider:>20}{one.ours:>20}{one.difference:>20}{one.matched:>20}"
    for outcome in (Outcome.MISSING, Outcome.EXTRA, Outcome.AMOUNT_DIFFERS):
        group = found.groups[outcome]
        if group.orders:
            yield ""
            yield f"{outcome}{'' if len(group.lines) == group.orders else f', the first {len(group.lines)}'}"
            yield from (_line(project_id, line) for line in group.lines)


def _line(project_id: str, line: Found) -> str:
    where = f"line {line.line}" if line.line else ""
    provider = _money(line.provider_amount, line.provider_currency)
    ours = _money(line.our_amount, line.our_currency)
    path = receipt_path(project_id, line.event_id) or ""
    return f"  {line.order_id:<28} {where:<12} provider {provider:<18} ours {ours:<18} {path}".rstrip()


def _money(amount: Decimal | None, currency: str) -> str:
    return "-" if amount is None else f"{amount} {currency}"


async def _ask(
    settings: ClickHouseSettings,
    project_id: str,
    orders: list[ProviderOrder],
    span: Window,
    kinds: list[str],
    page: int,
) -> Reconciliation:
    reader = Reader(settings)
    try:
        return await reconcile(reader, project_id, orders, span, kinds=kinds, page=page)
    finally:
        await reader.stop()


def _parser(project: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m clickhouse reconcile", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV, .json or .jsonl: order_id, amount, currency, time")
    parser.add_argument("--project", default=project, help=f"default: {PROJECT}")
    parser.add_argument("--clickhouse", default="", metavar="URL", help="default: HEADWATER_CLICKHOUSE_URL")
    parser.add_argument("--from", dest="since", help="day or time: of our orders since then the provider must know")
    parser.add_argument("--to", dest="until", help="day or time, inclusive")
    parser.add_argument("--tolerance-s", type=int, default=TOLERANCE_S, help="widens the times of the list")
    parser.add_argument(
        "--kind", action="append", default=[], help="our conversions of this kind only; may be repeated"
    )
    parser.add_argument("--limit", type=int, default=PAGE, help="print so many orders of each outcome")
    return parser
