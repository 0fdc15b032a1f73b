"""Refunds, from the request to the reports."""

from decimal import Decimal
from typing import Any

import pytest
from stack import Project

PURCHASE = {"event_name": "purchase", "currency": "USD"}
SALE_AT, REFUND_AT = "2026-01-10T23:30:00Z", "2026-01-12T09:00:00Z"


def sell(project: Project, order: str, revenue: float, **fields: Any) -> str:
    """A sale; the id of its conversion."""
    body = PURCHASE | {"order_id": order, "revenue": revenue, "timestamp": SALE_AT} | fields
    answer = project.request("POST", f"/v1/projects/{project.id}/conversions", json=body)
    assert answer.status_code == 202, answer.text
    conversion: str = answer.json()["conversion_id"]
    return conversion


def refund(project: Project, of: str, refund_id: str, amount: Any = None, **options: Any) -> Any:
    """Ask for a refund that must be accepted; the answer."""
    body = {"refund_id": refund_id, "timestamp": REFUND_AT} | ({} if amount is None else {"amount": amount})
    answer = post(project, of, body, **options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def post(project: Project, of: str, body: Any, **options: Any) -> Any:
    return project.request("POST", f"/v1/projects/{project.id}/conversions/{of}/refunds", json=body, **options)


def applied(project: Project) -> dict[str, Decimal]:
    rows = project.stack.sql(
        f"SELECT client_refund_id, sum(amount) AS amount FROM conversion_refunds WHERE project_id = '{project.id}'"
        " GROUP BY client_refund_id"
    )
    return {row["client_refund_id"]: Decimal(row["amount"]) for row in rows}


def test_refunds_in_part_repeated_and_beyond_the_gross_are_in_every_report(project: Project) -> None:
    goal = project.goal(currency="USD")
    early = refund(project, "ord_1", "r0", 10)
    conversion = sell(project, "ord_1", 100)
    sell(project, "ord_2", 50)
    for _ in range(2):
        named = refund(project, conversion, "r1", "30.5")
    assert named["conversion_id"] == conversion
    refund(project, "ord_1", "r2", 99)
    refund(project, "ord_1", "r3")
    project.settled(6)
    taken = {"r0": Decimal(10), "r1": Decimal("30.5"), "r2": Decimal("59.5"), "r3": Decimal(0)}
    project.eventually(lambda: applied(project), taken)

    stats = {"conversions": 2, "unique_conversions": 2, "revenue": Decimal(50)}
    days = {"period": "custom", "from": "2026-01-10", "to": "2026-01-12"}
    project.eventually(lambda: project.stats(goal, **days), stats)
    (row,) = project.report("goals", **days)["rows"]
    usd = {name: [(one["currency"], one["amount"]) for one in row[name]] for name in ("gross", "refunded", "revenue")}
    assert usd == {"gross": [("USD", 150)], "refunded": [("USD", 100)], "revenue": [("USD", 50)]}
    assert row["conversions"] == 2

    by_sale = project.report("revenue", **{"from": "2026-01-01", "to": "2026-01-31"})
    assert [tuple(one.values()) for one in by_sale["rows"]] == [("2026-01-10", "USD", 2, 3, 150, 100, 50)]
    by_refund = project.report("revenue", **days, by="refund", time_zone="Asia/Kathmandu")
    assert [tuple(one.values()) for one in by_refund["rows"]] == [
        ("2026-01-11", "USD", 2, 0, 150, 0, 150),
        ("2026-01-12", "USD", 0, 3, 0, 100, -100),
    ]
    assert by_refund["totals"] == [
        {"currency": "USD", "conversions": 2, "refunds": 3, "gross": 150, "refunded": 100, "net": 50}
    ]
    receipt = project.request("GET", f"/v1/projects/{project.id}/events/{early['event_id']}/receipt").json()
    assert receipt["refund"] == {
        "refund_id": "r0",
        "order_id": "ord_1",
        "conversion_id": conversion,
        "asked": 10.0,
        "applied": 10.0,
        "currency": "USD",
    }
    assert (receipt["session"], receipt["conversion"], receipt["bookings"]["goals"]) == (None, None, [])
    assert all(stage["imbalance"] == 0 for stage in project.stack.ledger().values())


def test_a_refund_among_events_is_the_one_of_the_route_and_no_hit_or_visit(project: Project) -> None:
    goals = [project.goal(), project.goal(type="event_type", match_value="refund")]
    sell(project, "ord_1", 100, user_id="ann")
    event = {"event_type": "refund", "event_name": "purchase", "order_id": "ord_1", "revenue": -40, "refund_id": "r1"}
    sent = project.accept(event)
    assert refund(project, "ord_1", "r1", 40, params={})["event_id"] != sent["event_id"], "one names its kind"
    assert project.post(event, key=project.public_key).status_code == 403
    project.settled(3)
    project.eventually(lambda: project.stats(goals[0], period="12mo")["conversions"], 1)
    assert applied(project) == {"r1": Decimal(40)}
    assert project.stats(goals[1], period="12mo")["conversions"] == 0
    sessions = project.stack.sql(f"SELECT count() AS n FROM v_sessions WHERE project_id = '{project.id}'")
    assert int(sessions[0]["n"]) == 1
    (conversion,) = project.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{project.id}'")
    assert [Decimal(conversion[name]) for name in ("revenue", "refunded", "net")] == [100, 40, 60]


def test_refunds_survive_a_replay_of_the_stages(project: Project) -> None:
    stack = project.stack
    sell(project, "ord_1", 100)
    refund(project, "ord_1", "r1", 10)
    project.settled(2)
    for part in ("events", "conversions"):
        stack.restart(part)
    refund(project, "ord_1", "r1", 10)
    refund(project, "ord_1", "r2", 5)
    project.settled(3)
    project.eventually(lambda: applied(project), {"r1": Decimal(10), "r2": Decimal(5)})


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"amount": 1}, 400, "missing_field", "refund_id"),
        ({"refund_id": "r", "amount": 0}, 422, "invalid_money", "amount"),
        ({"refund_id": "r", "amount": -1}, 422, "invalid_money", "amount"),
        ({"refund_id": "r", "amount": True}, 400, "wrong_type", "amount"),
        ({"refund_id": "r" * 257}, 422, "too_long", "refund_id"),
        ({"refund_id": "r", "currency": "ZZZ"}, 422, "invalid_currency", "currency"),
        ([], 400, "wrong_type", None),
    ],
)
def test_a_bad_refund_is_refused_and_writes_nothing(
    project: Project, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = post(project, "ord_1", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (status, code, field)
    sell(project, "ord_9", 1)
    (event,) = project.settled(1)
    assert event["order_id"] == "ord_9"


def test_only_a_secret_key_of_the_project_refunds(project: Project) -> None:
    stranger = project.stack.project()
    body = {"refund_id": "r"}
    assert post(project, "ord_1", body, key="sk_live_wrong").status_code == 401
    assert post(project, "ord_1", body, key=project.public_key).status_code == 403
    assert post(project, "ord_1", body, key=stranger.secret_key).status_code == 404
    assert post(project, "o" * 101, body).status_code == 422
    assert project.request("GET", f"/v1/projects/{project.id}/conversions/ord_1/refunds").status_code == 404
    for path in ("revenue?by=never", "revenue?from=2026-01-31&to=2026-01-01"):
        assert project.request("GET", f"/v1/projects/{project.id}/reports/{path}").status_code in (400, 422)
    other = project.request("GET", f"/v1/projects/{project.id}/reports/revenue", key=stranger.secret_key)
    assert other.status_code == 404
