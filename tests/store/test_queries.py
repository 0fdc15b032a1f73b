"""The named queries: each says what it asks, takes and returns, and says the truth."""

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from typing import Any

import msgspec
import pytest
from databases import Databases

from clickhouse.api import (
    as_of,
    attribution_rows,
    contact_conversions,
    conversions_report,
    decisions,
    deliveries,
    explainer,
    goal_fields,
    link_analytics,
    models,
    people,
    receipts,
    revenue,
    stats,
)
from clickhouse.api.dead_letters import LetterRow
from clickhouse.api.funnel import Walked
from clickhouse.api.metrics import LedgerRow
from clickhouse.api.rates import DayMoney
from clickhouse.api.report_rows import Credited, GoalHits, Visits
from clickhouse.api.retention import Returned
from clickhouse.client import connect
from clickhouse.read import Parameters, Ping, QueryRefused, Reader, query_text
from schemas.errors import Invariant, Unavailable
from schemas.settings import ClickHouseSettings

ID = "00000001-0000-4000-8000-000000000000"
SPAN: Parameters = {"project_id": "p", "from_ms": -10_000, "to_ms": 2 * 10**12}
CUT: Parameters = {
    **SPAN,
    "interval": "hour",
    "time_zone": "Asia/Kathmandu",
    "source": "it's \\ {x:String} %s",
    "medium": "",
    "campaign": "",
    "channel": "",
}
WALKED: Parameters = {**SPAN, "dimension": "it's", "as_of": 2**63, "max_steps": 3, "max_paths": 2}
CREDITED: Parameters = {**SPAN, "scope": "all", "dimension": "link", "goal_id": "it's no uuid"}


class Exported(msgspec.Struct):
    """The row of ``link_export``, which the API passes on as CSV."""

    conversion_id: uuid.UUID
    link_id: int
    click_id: str
    clicked_at: str
    converted_at: str
    goal_type: str
    order_id: str
    value: str
    currency: str
    matched_by: str
    time_to_convert: float


EVERY: dict[str, tuple[type[msgspec.Struct], Parameters]] = {
    "ping": (Ping, {}),
    "regex_check": (goal_fields._Matches, {"pattern": r"^/blog/\d+'$"}),
    "goal_stats": (stats._Hits, {**SPAN, "goal_id": ID}),
    "goal_money": (DayMoney, {**SPAN, "goal_id": ID}),
    "goals_report": (GoalHits, {**CUT, "goal_ids": [ID], "model": "last_touch"}),
    "sources_report": (Credited, {**CUT, "model": "last_touch"}),
    "mailing_page": (
        contact_conversions._Page,
        {"project_id": "p", "kind": "", "contact_id": "", "campaign_id": "'", "skip": 0, "page": 1000},
    ),
    "mailing_conversions": (contact_conversions._Row, {"project_id": "p", "ids": [ID]}),
    "visits": (Visits, {**CUT, "by_source": True}),
    "funnel": (
        Walked,
        {
            **{name: value for name, value in CUT.items() if name not in ("interval", "time_zone")},
            "window_ms": 1,
            "types": ["conversion", "pageview"],
            "match_types": ["exact", "regex"],
            "match_values": ["", r"^/it's \d{1,2}$"],
        },
    ),
    "retention": (
        Returned,
        {
            "project_id": "p",
            "goal_ids": [ID],
            "first": "1900-01-01",
            "last": "2299-12-25",
            "weeks": 260,
            "until_ms": 2 * 10**12,
            "time_zone": "Asia/Kathmandu",
        },
    ),
    "conversions_report": (conversions_report.NamedRow, SPAN),
    "revenue_report": (revenue.Sums, {**SPAN, "time_zone": "Asia/Kathmandu", "by_sale": True}),
    "run_as_of": (as_of.FoundRun, {"number": -1, "at_ms": 7}),
    "attribution_report": (attribution_rows.CreditedRow, {**CREDITED, "models": ["linear", "'"], "as_of": 2**63}),
    "attribution_changes": (
        attribution_rows.ChangeRow,
        {**CREDITED, "model": "linear", "first": 0, "last": 7, "most": 10},
    ),
    "attribution_visits": (attribution_rows.VisitRow, {**SPAN, "dimension": "medium"}),
    "model_paths": (models.CountedPath, WALKED),
    "model_lost_paths": (models.CountedPath, WALKED),
    "model_revenue": (models.Earned, {**SPAN, "as_of": 0}),
    "model_runs": (
        models.RunRow,
        {**SPAN, "run_id": "'", "model": "markov", "dimension": "source", "most": 10},
    ),
    "model_shares": (models.ShareRow, {"project_id": "p", "run_id": ID}),
    "receipt_event": (receipts._Event, {"project_id": "p", "event_ids": [ID]}),
    "receipt_conversion": (receipts._Conversion, {"project_id": "p", "conversion_id": ID}),
    "receipt_refund": (receipts._Refund, {"project_id": "p", "event_id": ID}),
    "receipt_hits": (receipts._Hit, {"project_id": "p", "hit_id": ID}),
    "receipt_credits": (receipts._Credit, {"project_id": "p", "conversion_id": ID}),
    "receipt_dead_letter": (receipts._DeadLetter, {"project_id": "p", "event_ids": [ID]}),
    "erasure_proof": (people._Round, {"project_id": "p", "request_id": ID}),
    "stage_progress": (receipts._Progress, {"stage": "events"}),
    "link_conversions": (link_analytics.Brought, {**SPAN, "link_id": 7, "time_zone": "Asia/Kathmandu"}),
    "link_clicks": (link_analytics.Clicked, {**SPAN, "link_id": 7, "time_zone": "Asia/Kathmandu"}),
    "link_export": (Exported, {**SPAN, "link_id": 7}),
    "explain_conversion": (explainer.Merged, {"project_id": "p", "conversion_id": ID}),
    "explain_keys": (explainer.Key, {"project_id": "p", "scope_id": ID}),
    "explain_bookings": (explainer.Entry, {"project_id": "p", "conversion_id": ID}),
    "ledger": (LedgerRow, {}),
    "deliveries": (
        deliveries._Attempt,
        {"project_id": "p", "destination_id": "", "conversion_id": "", "outcome": "", "limit": 5},
    ),
    "delivery": (deliveries._Told, {"project_id": "p", "delivery_id": ID}),
    "failed_deliveries": (deliveries._Told, {"project_id": "p", "destination_id": "d", "limit": 5}),
    "dead_letters": (LetterRow, {"stage": "", "reason": "", "state": "", "letter_id": "", "limit": 5}),
    "dead_letters_open": (decisions._Name, {"stage": "", "reason": "", "limit": 5}),
    "dead_letters_named": (decisions._Named, {"letter_ids": ["events-0-1-0"]}),
}


def names() -> list[str]:
    folder = resources.files("clickhouse") / "queries"
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


def asked_by_the_api() -> set[str]:
    """Names of queries that stand in the API's code; the folder holds those of other boxes, too."""
    package = resources.files("clickhouse")
    files = [package / "read.py", *(package / "api").iterdir()]
    code = "".join(file.read_text(encoding="utf-8") for file in files if file.name.endswith(".py"))
    return {name for name in names() if f'"{name}"' in code}


@pytest.fixture
def settings(databases: Databases) -> Iterator[ClickHouseSettings]:
    with databases.migrated() as settings:
        yield settings


@pytest.fixture
async def reader(settings: ClickHouseSettings) -> AsyncIterator[Reader]:
    reader = Reader(settings)
    yield reader
    await reader.stop()


@pytest.mark.parametrize("name", names())
def test_a_query_says_what_it_asks_takes_and_returns(name: str) -> None:
    header = re.match(r"(?:--.*\n)+", query_text(name))
    assert header is not None
    for part in ("Question  : ", "Parameters: ", "Returns   : "):
        assert f"-- {part}" in header.group(0)
    body = query_text(name)[header.end() :]
    taken = {found for found, _ in re.findall(r"\{(\w+):([\w()]+)\}", body)}
    if name in EVERY:
        assert taken == set(EVERY[name][1]), "the test asks it with exactly its parameters"
    for parameter in taken:
        assert re.search(rf"\b{parameter}\b", header.group(0)), f"{parameter} is not in the header"


async def test_every_query_runs_on_empty_tables_and_returns_what_its_reader_expects(reader: Reader) -> None:
    assert asked_by_the_api() == set(EVERY)
    for name, (row, parameters) in EVERY.items():
        for found in await reader.rows(name, row, parameters):
            assert isinstance(found, row), name


async def test_a_value_is_never_part_of_the_statement(reader: Reader, settings: ClickHouseSettings) -> None:
    with connect(settings) as client:
        client.command("INSERT INTO dead_letters (stage, reason) VALUES ('events', 'undecodable')")
    hostile: dict[str, Any] = {"stage": "' OR 1 = 1 -- ", "reason": "", "state": "", "letter_id": "", "limit": 5}
    assert await reader.rows("dead_letters", LetterRow, hostile) == []


async def test_a_wrong_question_is_our_mistake_and_an_expected_refusal_is_told(reader: Reader) -> None:
    with pytest.raises(Invariant, match="goal_stats"):
        await reader.rows("goal_stats", stats._Hits, {**SPAN, "goal_id": "no uuid"})
    with pytest.raises(QueryRefused):
        await reader.rows("regex_check", goal_fields._Matches, {"pattern": "("}, refusals=(427,))
    assert await reader.answers()


async def test_without_tables_or_server_the_answer_is_to_come_back_later(clickhouse_url: str) -> None:
    for url in (clickhouse_url, f"{clickhouse_url}_nowhere", "http://127.0.0.1:1/?database=x"):
        reader = Reader(ClickHouseSettings(clickhouse_url=url))
        try:
            assert not await reader.answers()
            with pytest.raises(Unavailable):
                await reader.rows("ledger", LedgerRow)
        finally:
            await reader.stop()
