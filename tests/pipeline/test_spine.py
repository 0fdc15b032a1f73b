"""From a request to a report: what an event posted becomes, over HTTP on both ends."""

import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from harness import eventually, run_sql
from stack import Project, Stack


def purchase(order: str = "", **fields: Any) -> dict[str, Any]:
    properties = {"order_id": order} if order else {}
    event = {"event_type": "conversion", "event_name": "purchase", "properties": properties}
    return event | {"revenue": 49.99, "currency": "USD"} | fields


def pageview(url: str, **fields: Any) -> dict[str, Any]:
    return {"event_type": "pageview", "url": url, **fields}


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def counted(project: Project, goal: str, **period: str) -> tuple[int, int, Any]:
    stats = project.stats(goal, **period)
    return stats["conversions"], stats["unique_conversions"], stats["revenue"]


def test_the_first_conversion_is_under_its_goal_and_its_source_in_api_and_sql(project: Project) -> None:
    goal = project.goal(currency="USD")
    project.accept(purchase("ord_123", user_id="sha256_user_hash"))
    project.eventually(lambda: counted(project, goal), (1, 1, Decimal("49.99")))

    def sources() -> list[tuple[Any, ...]]:
        return [(row["source"], row["conversions"], row["revenue"]) for row in project.report("sources")["rows"]]

    # A new goal counts all history, and may so be a run ahead of the credits.
    project.eventually(sources, [("(direct)", 1, [{"currency": "USD", "amount": Decimal("49.99")}])])
    in_sql = f"WHERE project_id = '{project.id}'"
    (stats,) = project.stack.sql(f"SELECT goal_id, conversions, revenue, currency FROM v_goal_stats {in_sql}")
    assert (stats["goal_id"], int(stats["conversions"]), Decimal(stats["revenue"])) == (goal, 1, Decimal("49.99"))
    (credit,) = project.stack.sql(f"SELECT source, share, amount FROM v_credits {in_sql} AND model = 'last_touch'")
    assert (credit["source"], Decimal(credit["share"]), Decimal(credit["amount"])) == ("(direct)", 1, Decimal("49.99"))


def test_the_source_of_a_visit_is_credited_for_the_servers_conversion_of_its_user(project: Project) -> None:
    visit = {"anonymous_id": "browser", "session_id": "visit", "user_id": "ann"}
    landing = "https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=spring"
    project.accept(
        [
            pageview(landing, timestamp=ago(minutes=9), **visit),
            pageview("https://shop.example/cart", timestamp=ago(minutes=8), **visit),
        ],
        key=project.public_key,
    )
    project.accept(purchase("o1", user_id="ann"))
    project.eventually(
        lambda: [
            (row["source"], row["medium"], row["campaign"])
            for row in project.report("sources")["rows"]
            if row["conversions"]
        ],
        [("newsletter", "email", "spring")],
    )
    cart = project.settled(3, "1")[1]
    assert (cart["path"], cart["source"], cart["campaign"]) == ("/cart", "newsletter", "spring")


@pytest.mark.parametrize("first", ["browser", "server"])
def test_browser_and_server_reports_of_one_order_are_one_conversion_with_the_servers_amount(
    project: Project, first: str
) -> None:
    goal = project.goal(currency="USD")
    reports = {
        "browser": (purchase("o", revenue=50, anonymous_id="a", user_id="u"), project.public_key),
        "server": (purchase("o", revenue=49.99, user_id="u"), project.secret_key),
    }
    for posted, name in enumerate(sorted(reports, reverse=first == "server"), start=1):
        event, key = reports[name]
        project.accept(event, key=key)
        project.settled(posted)
    project.eventually(lambda: counted(project, goal), (1, 1, Decimal("49.99")))
    (conversion,) = project.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{project.id}'")
    assert (conversion["trust"], Decimal(conversion["revenue"])) == ("secret", Decimal("49.99"))


def test_tenths_add_up_exactly(project: Project) -> None:
    goal = project.goal(currency="USD")
    project.accept([purchase("a", revenue=0.1), purchase("b", revenue=0.2)])
    project.eventually(lambda: counted(project, goal)[2], Decimal("0.3"))


@pytest.mark.parametrize("revenue", ["NaN", "1e400", '"12,5"', "-1", "Infinity", "true"])
def test_bad_money_is_refused_by_field_and_writes_nothing(project: Project, revenue: str) -> None:
    body = b'{"event_type":"conversion","event_name":"purchase","currency":"USD","revenue":%s}' % revenue.encode()
    answer = project.post(body)
    literal = revenue in ("NaN", "Infinity")  # no JSON at all
    assert answer.status_code == (400 if literal else 422), answer.text
    if not literal:
        assert answer.json()["error"]["field"] == "revenue"
    project.accept(purchase())
    assert len(project.settled(1)) == 1


def test_150_months_can_be_imported_in_one_batch(project: Project) -> None:
    goal = project.goal(currency="USD")
    today = datetime.now(UTC)
    months = [
        purchase(f"m{month}", revenue=1, timestamp=(today - timedelta(days=30.4 * month)).isoformat())
        for month in range(150)
    ]
    project.accept(months)
    whole = {"period": "custom", "from": "2000-01-01", "to": today.date().isoformat()}
    project.eventually(lambda: counted(project, goal, **whole)[::2], (150, Decimal(150)))
    assert len(project.settled(150)) == 150


def test_a_secret_key_may_import_the_last_century_and_a_public_key_only_a_week(project: Project) -> None:
    project.accept(pageview("https://a.example/", timestamp="1969-07-20T20:17:40Z"))
    answer = project.post(pageview("https://a.example/", timestamp=ago(days=8)), key=project.public_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "timestamp_too_old")
    assert answer.json()["error"]["field"] == "timestamp"
    (event,) = project.settled(1)
    assert event["occurred_at"] == "1969-07-20 20:17:40.000"


def test_a_clock_far_ahead_is_set_to_the_time_of_receipt_and_marked(project: Project) -> None:
    project.accept(pageview("https://a.example/", timestamp=ago(days=-2)))
    (event,) = project.settled(1)
    assert event["occurred_at"] == event["received_at"]
    assert event["marks"] == ["clamped"]


def test_one_bad_event_in_a_batch_of_1000_leaves_999_stored(project: Project) -> None:
    batch = [pageview(f"https://a.example/{n}") for n in range(1000)]
    batch[500] = {"event_type": "pageview", "revenue": "12,5"}
    answer = project.post(batch)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (999, 1)
    (refused,) = [item for item in answer.json()["results"] if item["status"] == "rejected"]
    assert (refused["index"], refused["error"]["field"]) == (500, "revenue")
    project.settled(999)


def test_an_idempotency_key_makes_a_retry_the_same_event_and_answer(project: Project) -> None:
    goal = project.goal(currency="USD")
    answers = [project.accept(purchase(), **{"Idempotency-Key": "k-1"}) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    other = project.accept(purchase(), **{"Idempotency-Key": "k-2"})
    assert other["event_id"] != answers[0]["event_id"]
    project.settled(2)
    project.eventually(lambda: counted(project, goal)[0], 2)


def test_a_goal_made_while_events_flow_misses_none_and_doubles_none(project: Project) -> None:
    total, batch = 10_000, 500
    made: list[str] = []
    half = threading.Event()

    def create() -> None:
        assert half.wait(60)
        made.append(project.goal("Cart", type="pageview", match_value="/cart"))

    creator = threading.Thread(target=create)
    creator.start()
    for start in range(0, total, batch):
        project.accept([pageview("https://a.example/cart", event_id=f"e{start + n}") for n in range(batch)])
        if start == total // 2:
            half.set()
    creator.join()
    project.eventually(lambda: counted(project, made[0])[0], total)


def test_editing_a_goal_counts_again_and_deleting_it_keeps_history(project: Project) -> None:
    goal = project.goal("Page", type="pageview", match_value="/a")
    path = f"/api/v1/analytics/sites/{project.site_key}/goals/{goal}"
    project.accept([pageview("https://x.example/a"), pageview("https://x.example/b"), pageview("https://x.example/b")])
    project.eventually(lambda: counted(project, goal)[0], 1)
    assert project.request("PATCH", path, json={"match_value": "/b"}).status_code == 200
    project.eventually(lambda: counted(project, goal)[0], 2)
    assert project.request("DELETE", path).json() == {"data": {"deleted": True}}
    rows = project.stack.sql(f"SELECT sum(conversions) AS n FROM v_goal_stats WHERE goal_id = '{goal}'")
    assert int(rows[0]["n"]) == 2


def test_a_receipt_follows_an_event_to_its_bookings(project: Project) -> None:
    goal = project.goal(currency="USD")
    event_id = project.accept(purchase("o", user_id="u"))["event_id"]
    project.eventually(lambda: counted(project, goal)[0], 1)

    def receipt() -> dict[str, Any]:
        found = project.request("GET", f"/v1/projects/{project.id}/events/{event_id}/receipt")
        return dict(json.loads(found.text)) if found.status_code == 200 else {}

    eventually(lambda: bool(receipt()), 30)
    text = json.dumps(receipt())
    assert event_id in text
    assert goal in text
    assert '"stored"' in text


def test_the_ledger_balances_at_rest_and_shows_a_row_taken_away(new_stack: Any) -> None:
    stack: Stack = new_stack()
    project = stack.project()
    project.accept([purchase(f"o{n}") for n in range(5)])
    project.accept(purchase("o0", event_id="same"))
    project.accept(purchase("o0", event_id="same"))
    project.settled(6)
    eventually(lambda: stack.ledger().get("conversions", {}).get("received") == 6, 30)
    events = stack.ledger()["events"]
    assert (events["received"], events["stored"], events["duplicate"]) == (7, 6, 1)
    assert [stage["imbalance"] for stage in stack.ledger().values()] == [0, 0]
    row = project.events()[0]["event_id"]
    stack.sql("SELECT 1")

    run_sql(stack.clickhouse_url, f"DELETE FROM events WHERE event_id = '{row}'")
    assert stack.ledger()["events"]["imbalance"] == 1
    stack.end()
