"""Stats, reports and receipts over books that are filled by hand: only committed runs count, to the last digit."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from running_api import Api, Caller, Stack, running_stack

from control.projects import NewProject
from schemas.control import Goal, GoalType, MatchType, Rate
from schemas.ids import client_event_id
from schemas.outcomes import Trust

SHOP, PAGE, FREE = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))
ANNA, BERT, CORA = (f"0000000{n}-0000-4000-8000-00000000000c" for n in (1, 2, 3))
DAYS = "period=custom&from=2026-03-10&to=2026-03-12"


def goal(project_id: str, id: str, name: str, type: GoalType, currency: str | None, at: int) -> Goal:
    return Goal(
        id=id,
        project_id=project_id,
        name=name,
        type=type,
        match_type=MatchType.EXACT,
        match_value="x",
        currency=currency,
        created_at=at,
    )


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("reports")) as stack:
        yield stack


@pytest.fixture(scope="module")
def project(stack: Stack) -> NewProject:
    project = stack.project()
    p = project.project.id
    stack.write(
        goal(p, SHOP, "Shop", GoalType.CONVERSION, "USD", 1),
        goal(p, PAGE, "Page", GoalType.PAGEVIEW, None, 2),
        goal(p, FREE, "Never hit", GoalType.EVENT, None, 3),
        Rate(id="r", project_id=p, currency="EUR", into="USD", day="2026-03-11", rate="1.10005"),
        Rate(id="other", project_id="another", currency="GBP", into="USD", day="2026-03-11", rate="9"),
    )
    fill(stack, p)
    return project


def fill(stack: Stack, p: str) -> None:
    """Anna came from a campaign late on the 10th (UTC), Bert directly on the 11th, Cora from a referrer on the 12th."""
    view_id = client_event_id(p, Trust.PUBLIC, "view-1")
    stack.sql(
        "INSERT INTO events (project_id, event_id, event_type, event_name, occurred_at, received_at, trust, visitor, "
        "session_id, conversion_id, touch, touch_source, touch_medium, touch_campaign, touch_channel, kafka_partition, "
        "kafka_offset, kafka_index, version) VALUES "
        f"('{p}', '{view_id}', 'pageview', '', '2026-03-10 23:45:00', '2026-03-10 23:45:01', 2, 'v-anna', 's-anna', "
        "'00000000-0000-0000-0000-000000000000', 'entry', 'google', 'cpc', 'spring', 'Paid Search', 3, 7, 1, 9), "
        f"('{p}', '{ANNA[:-1]}e', 'conversion', 'purchase', '2026-03-10 23:50:00', '2026-03-10 23:50:01', 0, 'v-anna', "
        f"'s-anna', '{ANNA}', '', '', '', '', '', 3, 8, 0, 8), "
        f"('{p}', '{BERT[:-1]}e', 'pageview', '', '2026-03-11 10:05:00', '2026-03-11 10:05:01', 2, 'v-bert', 's-bert', "
        "'00000000-0000-0000-0000-000000000000', 'entry', '(direct)', '(none)', '', 'Direct', 0, 1, 0, 7), "
        f"('{p}', '{CORA[:-1]}e', 'pageview', '', '2026-03-12 10:05:00', '2026-03-12 10:05:01', 2, 'v-cora', 's-cora', "
        "'00000000-0000-0000-0000-000000000000', 'entry', 'news.example', 'referral', '', 'Referral', 0, 2, 0, 6)"
    )
    stack.sql(
        "INSERT INTO conversion_arrivals (project_id, conversion_id, event_id, is_conversion, kind, order_id, "
        "received_at, converted_at, visitor, user_id, session_id, revenue, currency, version) VALUES "
        f"('{p}', '{ANNA}', '{ANNA[:-1]}e', true, 'purchase', 'o1', '2026-03-10 23:50:01', '2026-03-10 23:50:00', "
        "'v-anna', 'anna', 's-anna', 10.1, 'USD', 1), "
        f"('{p}', '{BERT}', '{BERT}', true, 'purchase', 'o2', '2026-03-11 10:10:01', '2026-03-11 10:10:00', "
        "'v-bert', '', 's-bert', 0.2, 'USD', 1), "
        f"('{p}', '{CORA}', '{CORA}', true, 'purchase', 'o3', '2026-03-11 10:20:01', '2026-03-11 10:20:00', "
        "'v-bert', '', 's-bert', 5, 'EUR', 1)"
    )
    late, noon, after = "2026-03-10 23:45:00", "2026-03-11 10:00:00", "2026-03-11 10:15:00"
    stack.book(
        "INSERT INTO goal_definitions (run_id, run_number, project_id, goal_id, definition) VALUES "
        f"('{{run}}', {{number}}, '{p}', '{SHOP}', 1), ('{{run}}', {{number}}, '{p}', '{PAGE}', 1)",
        hits(p, (SHOP, ANNA, late, "u:anna", "USD", 1, "10.00"), (SHOP, BERT, noon, "v-bert", "USD", 1, "0.2")),
        hits(p, (SHOP, CORA, after, "v-bert", "EUR", 1, "5")),
        hits(p, (PAGE, BERT[:-1] + "e", noon, "v-bert", "", 1, "0")),
        credit(p, (ANNA, late, "google", "cpc", "spring", "Paid Search", "USD", 1, "10.00")),
        credit(p, (BERT, noon, "(direct)", "(none)", "", "Direct", "USD", 1, "0.2")),
        credit(p, (CORA, after, "(direct)", "(none)", "", "Direct", "EUR", 1, "5")),
    )
    # The server's amount is another one than the browser's: taken back, and booked anew.
    stack.book(
        hits(p, (SHOP, ANNA, late, "u:anna", "USD", -1, "-10.00"), (SHOP, ANNA, late, "u:anna", "USD", 1, "10.10")),
        credit(p, (ANNA, late, "google", "cpc", "spring", "Paid Search", "USD", -1, "-10.00")),
        credit(p, (ANNA, late, "google", "cpc", "spring", "Paid Search", "USD", 1, "10.10")),
    )
    # A run that died before its commit, and a definition that has not counted all history yet.
    stack.book(hits(p, (SHOP, CORA, noon, "u:ghost", "USD", 1, "999")), commit=False)
    stack.book(hits(p, (SHOP, CORA, noon, "u:early", "USD", 1, "999")).replace("', 1, '", "', 2, '", 1))


def hits(p: str, *entries: tuple[str, str, str, str, str, int, str]) -> str:
    rows = ", ".join(
        f"('{{run}}', {{number}}, '{p}', '{goal_id}', 1, '{hit}', '{cell}', '{cell}', '{person}', "
        f"'{currency}', {n}, {money})"
        for goal_id, hit, cell, person, currency, n, money in entries
    )
    return (
        "INSERT INTO goal_bookings (run_id, run_number, project_id, goal_id, definition, hit_id, cell, occurred_at, "
        f"person, currency, conversions, revenue) VALUES {rows}"
    )


def credit(p: str, entry: tuple[str, str, str, str, str, str, str, int, str]) -> str:
    conversion, cell, source, medium, campaign, channel, currency, share, amount = entry
    return (
        "INSERT INTO credits (run_id, run_number, project_id, conversion_id, scope, model, touched_at, converted_at, "
        "cell, source, medium, campaign, channel, currency, share, amount) VALUES "
        f"('{{run}}', {{number}}, '{p}', '{conversion}', 'all', 'last_touch', '{cell}', '{cell}', '{cell}', "
        f"'{source}', '{medium}', '{campaign}', '{channel}', '{currency}', {share}, {amount})"
    )


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture
def ask(api: Api, project: NewProject) -> Caller:
    return api.as_(project.secret_text)


def exact(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal)


def stats(ask: Caller, project: NewProject, goal_id: str, query: str) -> Any:
    return ask("GET", f"/api/v1/analytics/sites/{project.project.site_key}/goals/{goal_id}/stats?{query}")


def report(ask: Caller, project: NewProject, name: str, query: str = "") -> Any:
    return exact(ask("GET", f"/v1/projects/{project.project.id}/reports/{name}?{DAYS}&{query}"))


def figures(row: Any) -> tuple[Any, ...]:
    return row["conversions"], row["unique_converters"], [(one["currency"], one["amount"]) for one in row["revenue"]]


def test_stats_count_what_is_committed_and_convert_what_has_a_rate(ask: Caller, project: NewProject) -> None:
    assert exact(stats(ask, project, SHOP, DAYS)) == {
        "data": {"conversions": 3, "unique_conversions": 2, "revenue": Decimal("15.80025").quantize(Decimal("0.0001"))}
    }


def test_stats_name_what_they_left_out(stack: Stack, ask: Caller, project: NewProject) -> None:
    changed = ask(
        "PATCH",
        f"/api/v1/analytics/sites/{project.project.site_key}/goals/{SHOP}",
        json={"currency": "EUR"},
    )
    assert changed.status_code == 200
    try:
        found = exact(stats(ask, project, SHOP, DAYS))["data"]
        assert found["revenue"] == Decimal("5.00")
        assert found["excluded"] == [{"currency": "USD", "revenue": Decimal("10.30")}]
    finally:
        path = f"/api/v1/analytics/sites/{project.project.site_key}/goals/{SHOP}"
        assert ask("PATCH", path, json={"currency": "USD"}).status_code == 200


def test_stats_without_a_currency_have_no_revenue(ask: Caller, project: NewProject) -> None:
    expected = {"conversions": 1, "unique_conversions": 1, "revenue": None}
    assert exact(stats(ask, project, PAGE, DAYS)) == {"data": expected}


def test_both_ends_of_a_custom_period_are_whole_days_of_the_project(ask: Caller, project: NewProject) -> None:
    def conversions(first: str, last: str) -> int:
        query = f"period=custom&from={first}&to={last}"
        return int(exact(stats(ask, project, SHOP, query))["data"]["conversions"])

    path = f"/v1/projects/{project.project.id}"
    assert [conversions("2026-03-10", "2026-03-10"), conversions("2026-03-11", "2026-03-11")] == [1, 2]
    assert ask("PATCH", path, json={"time_zone": "Europe/Vienna"}).status_code == 200
    try:
        assert [conversions("2026-03-10", "2026-03-10"), conversions("2026-03-11", "2026-03-11")] == [0, 3]
    finally:
        assert ask("PATCH", path, json={"time_zone": "UTC"}).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("period=14d", 422, "invalid_value", "period"),
        ("period=custom", 400, "missing_field", "from"),
        ("period=custom&from=2026-01-01", 400, "missing_field", "to"),
        ("period=custom&from=2026-1-1&to=2026-01-02", 422, "invalid_value", "from"),
        ("period=custom&from=20260101&to=2026-01-02", 422, "invalid_value", "from"),
        ("period=custom&from=2026-02-30&to=2026-03-02", 422, "invalid_value", "from"),
        ("period=custom&from=2026-01-02&to=2026-01-01", 422, "invalid_value", "to"),
        ("period=custom&from=0001-01-01&to=2026-01-01", 422, "invalid_value", "from"),
        ("period=custom&from=2026-01-01&to=9999-12-31", 422, "invalid_value", "to"),
        ("period=custom&from=%00&to=2026-01-01", 422, "invalid_value", "from"),
    ],
)
def test_a_period_that_cannot_be_is_refused_by_its_field(
    ask: Caller, project: NewProject, query: str, status: int, code: str, field: str
) -> None:
    answer = stats(ask, project, SHOP, query)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["field"]) == (
        status,
        code,
        field,
    )


@pytest.mark.parametrize("query", ["", "period=7d", "period=30d", "period=12mo", "period=7d&from=x"])
def test_a_period_that_ends_now_is_answered(ask: Caller, project: NewProject, query: str) -> None:
    assert set(exact(stats(ask, project, SHOP, query))["data"]) == {"conversions", "unique_conversions", "revenue"}


def test_goals_are_reported_with_all_their_money_most_conversions_first(ask: Caller, project: NewProject) -> None:
    found = report(ask, project, "goals")
    assert [(row["name"], *figures(row)) for row in found["rows"]] == [
        ("Shop", 3, 2, [("EUR", Decimal("5.00")), ("USD", Decimal("10.30"))]),
        ("Page", 1, 1, []),
        ("Never hit", 0, 0, []),
    ]
    assert figures(found["totals"]) == (4, 2, [("EUR", Decimal("5.00")), ("USD", Decimal("10.30"))])
    assert found["rows"][0]["rate"] == {
        "value": Decimal("0.666667"),
        "numerator": "unique_converters",
        "denominator": "visitors",
        "denominator_count": 3,
    }
    assert found["days"] == {"from": "2026-03-10", "to": "2026-03-12", "time_zone": "UTC"}


def test_sources_are_reported_also_where_nobody_converted(ask: Caller, project: NewProject) -> None:
    found = report(ask, project, "sources")
    assert [
        (row["source"], row["medium"], row["campaign"], row["channel"], *figures(row)) for row in found["rows"]
    ] == [
        ("(direct)", "(none)", "", "Direct", 2, 1, [("EUR", Decimal("5.00")), ("USD", Decimal("0.20"))]),
        ("google", "cpc", "spring", "Paid Search", 1, 1, [("USD", Decimal("10.10"))]),
        ("news.example", "referral", "", "Referral", 0, 0, []),
    ]
    assert figures(found["totals"]) == (3, 2, [("EUR", Decimal("5.00")), ("USD", Decimal("10.30"))])
    rates = [(row["rate"]["denominator_count"], row["session_rate"]["denominator_count"]) for row in found["rows"]]
    assert rates == [(1, 1), (1, 1), (1, 1)]
    assert found["rows"][0]["session_rate"]["value"] == 2


@pytest.mark.parametrize(
    ("query", "buckets"),
    [
        ("interval=day", ["2026-03-11", "2026-03-10"]),
        ("interval=day&time_zone=Europe/Vienna", ["2026-03-11"]),
        ("interval=hour&time_zone=Asia/Kolkata", ["2026-03-11T15:00:00+05:30", "2026-03-11T05:00:00+05:30"]),
        ("interval=hour", ["2026-03-11T10:00:00+00:00", "2026-03-10T23:00:00+00:00"]),
        ("interval=week", ["2026-03-09"]),
        ("interval=month", ["2026-03-01"]),
    ],
)
def test_buckets_are_local_and_add_up(ask: Caller, project: NewProject, query: str, buckets: list[str]) -> None:
    for name in ("goals", "sources"):
        found = report(ask, project, name, query)
        rows = [row for row in found["rows"] if row.get("name", "Shop") == "Shop" and row["conversions"]]
        assert sorted({row["bucket"] for row in rows}) == sorted(buckets)
        assert sum(row["conversions"] for row in rows) == 3
        assert found["totals"] == report(ask, project, name)["totals"]


@pytest.mark.parametrize(
    ("query", "shop", "page", "visitors"),
    [
        ("source=google", 1, 0, 1),
        ("medium=cpc&campaign=spring&channel=Paid%20Search", 1, 0, 1),
        ("source=(direct)", 2, 1, 1),
        ("source=google&medium=email", 0, 0, 0),
        ("source=it's\\", 0, 0, 0),
    ],
)
def test_a_filter_narrows_hits_money_and_denominators(
    ask: Caller, project: NewProject, query: str, shop: int, page: int, visitors: int
) -> None:
    found = report(ask, project, "goals", query)
    counts = {row["name"]: row["conversions"] for row in found["rows"]}
    assert (counts["Shop"], counts["Page"]) == (shop, page)
    assert found["totals"]["rate"]["denominator_count"] == visitors
    sources = report(ask, project, "sources", query)
    assert sources["totals"]["conversions"] == shop
    assert sources["totals"]["rate"]["denominator_count"] == visitors


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("model=nonsense", "model"),
        ("interval=minute", "interval"),
        ("time_zone=Mars/Base", "time_zone"),
        ("time_zone=localtime", "time_zone"),
        ("source=%0a", "source"),
        ("campaign=%00", "campaign"),
        (f"source={'x' * 513}", "source"),
        ("interval=hour&period=custom&from=2000-01-01&to=2026-01-01", "interval"),
    ],
)
def test_a_report_that_cannot_be_is_refused_by_its_field(
    ask: Caller, project: NewProject, query: str, field: str
) -> None:
    for name in ("goals", "sources"):
        answer = ask("GET", f"/v1/projects/{project.project.id}/reports/{name}?{query}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def receipt(ask: Caller, project: NewProject, event_id: str) -> Any:
    return ask("GET", f"/v1/projects/{project.project.id}/events/{event_id}/receipt")


def test_a_receipt_tells_position_session_conversion_and_bookings(
    ask: Caller, project: NewProject, stack: Stack
) -> None:
    found = exact(receipt(ask, project, ANNA[:-1] + "e"))
    assert found["accepted"] is True
    assert (found["outcome"], found["received_at"]) == ("stored", "2026-03-10T23:50:01Z")
    topic = f"{stack.kafka.topic_prefix}events-raw"
    assert found["position"] == {"topic": topic, "partition": 3, "offset": 8, "index": 0}
    assert (found["session"]["session_id"], found["session"]["source"]) == ("s-anna", "google")
    conversion = found["conversion"]
    assert (conversion["conversion_id"], conversion["order_id"]) == (ANNA, "o1")
    assert (conversion["revenue"], conversion["currency"], conversion["arrivals"]) == (Decimal("10.10"), "USD", 1)
    (hit,) = found["bookings"]["goals"]
    assert hit == {"goal_id": SHOP, "conversions": 1, "revenue": Decimal("10.10"), "currency": "USD", "run": 2}
    (credited,) = found["bookings"]["credits"]
    assert (credited["model"], credited["source"], credited["share"]) == ("last_touch", "google", 1)
    assert (credited["amount"], credited["run"]) == (Decimal("10.10"), 2)


def test_a_receipt_is_found_by_the_clients_own_id(ask: Caller, project: NewProject) -> None:
    found = exact(receipt(ask, project, "view-1"))
    assert found["event_id"] == client_event_id(project.project.id, Trust.PUBLIC, "view-1")
    assert found["conversion"] is None
    assert found["bookings"] == {"goals": [], "credits": []}


def test_a_receipt_of_an_unknown_event_says_how_far_the_stage_is(
    ask: Caller, project: NewProject, stack: Stack, api: Api
) -> None:
    stack.sql(
        "INSERT INTO checkpoints (stage, kafka_partition, end_offset, received, stored, clock) "
        "VALUES ('events', 0, 5, 41, 41, '2026-03-12 10:05:01')"
    )
    for unknown in ("nobody-knows", SHOP, "a%0Ab", "%F0%9F%98%80", "x" * 300):
        answer = receipt(ask, project, unknown)
        assert answer.status_code == 404, answer.text
    assert "41 events" in receipt(ask, project, "nobody-knows").json()["error"]["message"]
    assert "2026-03-12T10:05:01" in receipt(ask, project, "nobody-knows").json()["error"]["message"]
    stranger = stack.project()
    foreign = api.as_(stranger.secret_text)
    assert receipt(foreign, stranger, ANNA[:-1] + "e").status_code == 404
    assert receipt(foreign, project, ANNA[:-1] + "e").status_code == 404


def test_a_quarantined_event_has_a_receipt_with_its_reason(ask: Caller, project: NewProject, stack: Stack) -> None:
    event_id = client_event_id(project.project.id, Trust.SECRET, "broken")
    payload = json.dumps({"project_id": project.project.id, "event_id": event_id, "received_at": 1_773_187_200_000})
    stack.sql(
        "INSERT INTO dead_letters (stage, topic, kafka_partition, kafka_offset, kafka_index, reason, error, payload, "
        f"quarantined_at, version) VALUES ('events', 'events-raw', 1, 9, 2, 'undecodable', 'x', '{payload}', "
        "now64(3), 1)"
    )
    found = exact(receipt(ask, project, "broken"))
    assert (found["outcome"], found["reason"], found["position"]["offset"]) == ("quarantined", "undecodable", 9)
