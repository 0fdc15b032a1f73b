"""``reports/funnel`` over HTTP: what was posted, step by step and by source."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from stack import Project

SITE = "https://shop.example"
LANDING = "pageview:regex:^/(pricing|plans)$"
DIRECT = ("(direct)", "(none)", "", "Direct")
MAIL = ("newsletter", "email", "spring", "Email")


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def page(path: str, who: str, minutes: float, **fields: Any) -> dict[str, Any]:
    visit = {"anonymous_id": who, "session_id": f"visit-{who}", "timestamp": ago(minutes)}
    return {"event_type": "pageview", "url": f"{SITE}{path}", **visit, **fields}


def ask(project: Project, *steps: str, key: str | None = None, **parameters: str) -> Any:
    asked = [("step", step) for step in steps] + list(parameters.items())
    return project.request("GET", f"/v1/projects/{project.id}/reports/funnel", params=asked, key=key)


def funnel(project: Project, *steps: str, **parameters: str) -> dict[str, Any]:
    answer = ask(project, *steps, **parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def persons(rows: list[dict[str, Any]]) -> list[int]:
    return [row["persons"] for row in rows]


def test_persons_are_counted_along_the_steps_in_all_and_by_source(project: Project) -> None:
    goal = project.goal("Bought", type="custom", match_value="purchase")
    mail = "utm_source=newsletter&utm_medium=email&utm_campaign=spring"
    signup = {"event_type": "event", "event_name": "signup", "session_id": "visit-ann"}
    project.accept(
        [
            # Sent in the wrong order: only their own times count.
            signup | {"anonymous_id": "ann", "user_id": "u-ann", "timestamp": ago(8)},
            page("/blog", "ann", 10, url=f"{SITE}/blog?{mail}"),
            page("/pricing?plan=pro", "ann", 9),
            page("/plans", "ann", 2),
            page("/pricing", "bob", 30),
            page("/pricing", "cid", 5),
            signup | {"anonymous_id": "cid", "session_id": "visit-cid", "timestamp": ago(6)},
            page("/blog", "dan", 5),
        ],
        key=project.public_key,
    )
    bought = {"event_type": "conversion", "event_name": "purchase", "properties": {"order_id": "o1"}}
    project.accept(bought | {"user_id": "u-ann", "timestamp": ago(1)})
    project.settled(9)
    found = funnel(project, LANDING, "event:exact:signup", goal)
    assert persons(found["steps"]) == [3, 1, 1]
    assert [row["dropped_off"] for row in found["steps"]] == [0, 2, 0]
    rates = [(row["rate_from_first"], row["rate_from_previous"]) for row in found["steps"]]
    assert rates == [(1, 1), (0.333333, 0.333333), (0.333333, 1)]
    assert found["steps"][0]["step"]["match_value"] == "^/(pricing|plans)$"
    assert (found["steps"][2]["step"]["goal_id"], found["steps"][2]["step"]["name"]) == (goal, "Bought")
    sources = {
        (row["source"], row["medium"], row["campaign"], row["channel"]): persons(row["steps"])
        for row in found["sources"]
    }
    assert sources == {MAIL: [1, 1, 1], DIRECT: [2, 0, 0]}
    assert persons(funnel(project, LANDING, "conversion", source="newsletter")["steps"]) == [1, 1]
    assert persons(funnel(project, LANDING, "conversion", source="nobody")["steps"]) == [0, 0]
    assert persons(funnel(project, LANDING, "conversion", window="7m")["steps"]) == [3, 1], "the later visit is near"
    assert persons(funnel(project, "pageview:exact:/pricing", "conversion", window="7m")["steps"]) == [3, 0]


def test_nobody_is_zero_persons_and_no_rate(project: Project) -> None:
    found = funnel(
        project, "pageview:exact:/a", "conversion", period="custom", **{"from": "2001-01-01", "to": "2001-01-02"}
    )
    empty = {"persons": 0, "dropped_off": 0, "rate_from_first": None, "rate_from_previous": None}
    assert [{name: row[name] for name in empty} for row in found["steps"]] == [empty, empty]
    assert (found["sources"], found["days"]) == ([], {"from": "2001-01-01", "to": "2001-01-02", "time_zone": "UTC"})


@pytest.mark.parametrize("days", [("1900-01-02", "2299-12-29"), ("2299-12-29", "2299-12-29")])
def test_a_period_at_the_ends_of_time_is_answered(project: Project, days: tuple[str, str]) -> None:
    whole = {"period": "custom", "from": days[0], "to": days[1], "window": "366d", "time_zone": "Pacific/Apia"}
    assert persons(funnel(project, "conversion", "conversion", **whole)["steps"]) == [0, 0]


def test_the_period_is_days_of_the_reports_zone(project: Project) -> None:
    late = {"anonymous_id": "x", "timestamp": "2026-03-10T23:30:00Z"}
    project.accept([page("/a", "x", 0) | late, page("/b", "x", 0) | late | {"timestamp": "2026-03-11T00:30:00Z"}])
    project.settled(2)

    def on(day: str, zone: str) -> list[int]:
        days = {"period": "custom", "from": day, "to": day, "time_zone": zone}
        return persons(funnel(project, "pageview:exact:/a", "pageview:exact:/b", **days)["steps"])

    assert (on("2026-03-10", "UTC"), on("2026-03-11", "UTC")) == ([1, 1], [0, 0])
    assert (on("2026-03-10", "Europe/Vienna"), on("2026-03-11", "Europe/Vienna")) == ([0, 0], [1, 1])


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("", 400, "missing_field", "step"),
        ("step=conversion", 422, "invalid_value", "step"),
        ("&".join(["step=conversion"] * 11), 422, "invalid_value", "step"),
        ("step=conversion&step=click:exact:x", 422, "invalid_value", "step"),
        ("step=conversion&step=pageview:like:x", 422, "invalid_value", "step"),
        ("step=conversion&step=pageview:exact", 422, "invalid_value", "step"),
        ("step=conversion&step=pageview:exact:", 422, "invalid_value", "step"),
        ("step=conversion&step=", 404, "not_found", "step"),
        ("step=conversion&step=00000001-0000-4000-8000-000000000000", 404, "not_found", "step"),
        ("step=conversion&step=pageview:regex:(", 422, "invalid_regex", "step"),
        ("step=conversion&step=pageview:regex:(?=x)", 422, "invalid_regex", "step"),
        (f"step=conversion&step=pageview:regex:{'x' * 257}", 422, "too_long", "step"),
        (f"step=conversion&step=pageview:exact:{'x' * 1025}", 422, "too_long", "step"),
        ("step=conversion&step=pageview:exact:%00", 422, "invalid_text", "step"),
        ("step=conversion&step=conversion&window=0d", 422, "invalid_value", "window"),
        ("step=conversion&step=conversion&window=7", 422, "invalid_value", "window"),
        ("step=conversion&step=conversion&window=367d", 422, "invalid_value", "window"),
        ("step=conversion&step=conversion&window=1.5h", 422, "invalid_value", "window"),
        ("step=conversion&step=conversion&period=14d", 422, "invalid_value", "period"),
        ("step=conversion&step=conversion&period=custom", 400, "missing_field", "from"),
        ("step=conversion&step=conversion&time_zone=Mars/Base", 422, "invalid_value", "time_zone"),
        ("step=conversion&step=conversion&source=%0a", 422, "invalid_text", "source"),
    ],
)
def test_a_funnel_that_cannot_be_is_refused_by_its_field(
    project: Project, query: str, status: int, code: str, field: str
) -> None:
    answer = project.request("GET", f"/v1/projects/{project.id}/reports/funnel?{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)


def test_a_funnel_is_its_tenants_alone(project: Project) -> None:
    stranger = project.stack.project()
    goal = stranger.goal()
    assert ask(project, "conversion", goal).status_code == 404
    assert ask(project, "conversion", "conversion", key=stranger.secret_key).status_code == 404
    assert ask(project, "conversion", "conversion", key="sk_live_wrong").status_code == 401
    assert ask(project, "conversion", "conversion", key=project.public_key).status_code == 403


def test_the_api_describes_it(project: Project) -> None:
    document = project.request("GET", "/openapi.json").json()
    described = document["paths"]["/v1/projects/{project_id}/reports/funnel"]["get"]
    parameters = {one["name"]: one for one in described["parameters"]}
    assert parameters["step"]["required"]
    assert "pageview:exact:/pricing" in parameters["step"]["description"]
    assert {"window", "period", "from", "to", "time_zone", "source"} <= parameters.keys()


def test_rates_are_exact_decimals(project: Project) -> None:
    project.accept([page("/a", f"v{n}", 5) for n in range(3)] + [page("/b", "v0", 4)])
    project.settled(4)
    text = ask(project, "pageview:exact:/a", "pageview:exact:/b").text
    steps = json.loads(text, parse_float=Decimal)["steps"]
    assert steps[1]["rate_from_first"] == Decimal("0.333333")
