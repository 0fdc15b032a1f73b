"""From HTTP to the attribution report: what was posted is credited, corrected, explained, and stays as it was then."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stack import Project

NOW = datetime.now(UTC).replace(microsecond=0)


def visit(hours_ago: float, source: str, *, who: str = "ann") -> dict[str, Any]:
    return {
        "event_type": "pageview",
        "anonymous_id": who,
        "url": f"https://shop.example/?utm_source={source}&utm_medium=cpc",
        "timestamp": (NOW - timedelta(hours=hours_ago)).isoformat(),
    }


def purchase(hours_ago: float) -> dict[str, Any]:
    return {
        "event_type": "conversion",
        "event_name": "purchase",
        "anonymous_id": "ann",
        "revenue": "9.99",
        "currency": "EUR",
        "order_id": "ord_1",
        "timestamp": (NOW - timedelta(hours=hours_ago)).isoformat(),
    }


def shown(project: Project, **asked: str) -> dict[str, tuple[Decimal, Decimal]]:
    rows = project.report("attribution", **asked)["rows"]
    return {row["value"]: (row["conversions"], row["revenue"][0]["net"]) for row in rows if row["revenue"]}


def test_a_late_touch_is_credited_explained_and_changes_no_earlier_state(project: Project) -> None:
    project.accept([visit(5, "google"), visit(3, "bing"), visit(4, "poster", who="ben"), purchase(1)])
    half, whole = Decimal("0.5"), Decimal("9.99")
    linear = {"google": (half, Decimal("4.995")), "bing": (half, Decimal("4.995"))}
    project.eventually(lambda: shown(project, model="linear"), linear)
    assert shown(project) == {"bing": (1, whole)}
    before = project.report("attribution")["columns"][0]["as_of"]["run"]

    project.accept([visit(2, "yahoo")])
    project.eventually(lambda: shown(project), {"yahoo": (1, whole)})
    assert shown(project, as_of=str(before)) == {"bing": (1, whole)}
    assert shown(project, model="linear", as_of=str(before)) == linear
    after = project.report("attribution")["columns"][0]["as_of"]["run"]
    found = project.report("attribution", as_of=f"{before},{after}")["changes"]
    told = {(one["value"], one["conversions"], one["net"]) for one in found["entries"]}
    assert told == {("yahoo", 1, whole), ("bing", -1, -whole)}
    # A run may see the touch and the checkpoint of the conversion's own arrival together.
    assert {one["cause"] for one in found["entries"]} <= {"touch", "arrival"}
    assert found["left_out"] == 0

    body = {"model": "markov", "dimension": "source", "from": f"{NOW - timedelta(days=2):%F}", "to": f"{NOW:%F}"}
    run = project.request("POST", f"/v1/projects/{project.id}/models", json=body)
    assert run.status_code == 201, run.text
    assert run.json()["paths_without_conversion"] == 1
    third = Decimal("0.333333333")
    days = {"from": body["from"], "to": body["to"]}
    weights = {value: conversions for value, (conversions, _) in shown(project, model="markov", **days).items()}
    assert set(weights) == {"google", "bing", "yahoo"}
    assert all(abs(weight - third) < Decimal("0.00000001") for weight in weights.values())
    assert sum(weights.values()) == 1
