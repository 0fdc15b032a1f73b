"""``reports/retention`` over HTTP: cohorts by week, of what was posted."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from stack import Project


def this_monday() -> date:
    today = datetime.now(UTC).date()
    return today - timedelta(days=today.weekday())


def seen(who: str, weeks_ago: int, *, name: str = "seen", hour: int = 0) -> dict[str, Any]:
    """Somebody's event on a Monday, at that hour."""
    at = datetime.combine(this_monday() - timedelta(weeks=weeks_ago), time(hour), UTC)
    return {"event_type": "event", "event_name": name, "user_id": who, "timestamp": at.isoformat()}


def monday(weeks_ago: int) -> str:
    return (this_monday() - timedelta(weeks=weeks_ago)).isoformat()


def since(weeks_ago: int) -> dict[str, str]:
    """A period that begins on a Tuesday: it is widened to its Monday."""
    first = this_monday() - timedelta(weeks=weeks_ago) + timedelta(days=1)
    return {"period": "custom", "from": first.isoformat(), "to": datetime.now(UTC).date().isoformat()}


def counts(report: dict[str, Any]) -> dict[str, list[int]]:
    return {cohort["begins"]: [week["persons"] for week in cohort["weeks"]] for cohort in report["cohorts"]}


def test_cohorts_are_shown_week_by_week_as_far_as_weeks_have_begun(project: Project) -> None:
    project.accept(
        [seen(who, weeks) for who, weeks in [("old", 9), ("old", 3), ("ann", 3), ("ann", 2), ("ann", 0), ("bob", 3)]]
        + [seen(who, weeks) for who, weeks in [("bob", 1), ("cid", 2), ("cid", 1), ("dan", 0)]]
        + [seen("ann", 3, hour=5)]
    )
    project.settled(11)
    found = project.report("retention", **since(3))
    assert counts(found) == {monday(3): [2, 1, 1, 1], monday(2): [1, 1, 0], monday(1): [0, 0], monday(0): [1]}
    assert (found["days"]["from"], found["goal_id"]) == (monday(3), None)
    oldest = found["cohorts"][0]
    assert oldest["persons"] == 2
    assert [str(week["rate"]) for week in oldest["weeks"]] == ["1", "0.5", "0.5", "0.5"]
    assert [week["complete"] for week in oldest["weeks"]] == [True, True, True, False]
    assert found["cohorts"][2]["weeks"][0]["rate"] is None
    average = [(row["week"], row["persons"], row["cohort_persons"]) for row in found["average"]]
    assert average == [(0, 3, 3), (1, 2, 3), (2, 1, 2)], "only weeks that have ended"
    assert counts(project.report("retention", weeks="1", **since(3)))[monday(3)] == [2, 1]
    assert counts(project.report("retention", weeks="0", **since(0))) == {monday(0): [1]}


def test_a_goal_begins_cohorts_with_its_first_hit(project: Project) -> None:
    goal = project.goal("Signup", type="event", match_value="signup")
    project.accept([seen("ann", 3), seen("ann", 2, name="signup"), seen("ann", 1, name="signup"), seen("bob", 3)])
    expected = {monday(3): [0, 0, 0, 0], monday(2): [1, 1, 0], monday(1): [0, 0], monday(0): [0]}
    project.eventually(lambda: counts(project.report("retention", goal=goal, **since(3))), expected)
    assert project.report("retention", goal=goal, **since(3))["goal_id"] == goal


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("weeks=-1", 422, "invalid_value", "weeks"),
        ("weeks=261", 422, "invalid_value", "weeks"),
        ("weeks=some", 422, "invalid_value", "weeks"),
        ("period=14d", 422, "invalid_value", "period"),
        ("period=custom&from=2026-01-01", 400, "missing_field", "to"),
        ("period=custom&from=2000-01-01&to=2026-01-01", 422, "invalid_value", "from"),
        ("time_zone=Mars/Base", 422, "invalid_value", "time_zone"),
    ],
)
def test_a_retention_that_cannot_be_is_refused_by_its_field(
    project: Project, query: str, status: int, code: str, field: str
) -> None:
    answer = project.request("GET", f"/v1/projects/{project.id}/reports/retention?{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)


@pytest.mark.parametrize("days", [("1900-01-02", "1900-01-02"), ("2299-12-29", "2299-12-29")])
def test_a_period_at_the_ends_of_time_is_answered(project: Project, days: tuple[str, str]) -> None:
    found = project.report("retention", period="custom", **{"from": days[0], "to": days[1]})
    assert all(cohort["persons"] == 0 for cohort in found["cohorts"])


def test_a_retention_is_its_tenants_alone(project: Project) -> None:
    stranger = project.stack.project()
    path = f"/v1/projects/{project.id}/reports/retention"
    assert project.request("GET", f"{path}?goal={stranger.goal()}").status_code == 404
    assert project.request("GET", f"{path}?goal=nonsense").status_code == 404
    assert project.request("GET", path, key=stranger.secret_key).status_code == 404
    assert project.request("GET", path, key=project.public_key).status_code == 403
    described = project.request("GET", "/openapi.json").json()["paths"]["/v1/projects/{project_id}/reports/retention"]
    assert {"goal", "weeks", "period", "time_zone"} <= {one["name"] for one in described["get"]["parameters"]}
