"""Seed S2's examples, executed as printed with curl: only base URL, site key, token and goal id are replaced.

The page prints figures of its authors' own site. Here 342 hits by 298 persons, worth 16758.00 in all, are booked, so
that even the figures must come out as printed.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from examples import example, in_shell, page
from running_api import Api, Stack, running_stack

from control.projects import NewProject

PAGE = page("s2_goals.md")
GOAL_ID = "550e8400-e29b-41d4-a716-446655440000"
HITS, PERSONS, REVENUE = 342, 298, Decimal("16758.00")


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("s2")) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture
def project(stack: Stack) -> NewProject:
    return stack.project()


def run(title: str, api: Api, project: NewProject, goal_id: str = GOAL_ID) -> tuple[int, Any]:
    """Run the page's command in a shell; the status and the answer."""
    command = (
        example(PAGE, title, "bash")
        .replace("https://app.krafter.dev", api.url)
        .replace("sk_abc123def456", project.project.site_key)
        .replace("YOUR_API_TOKEN", project.secret_text)
        .replace(GOAL_ID, goal_id)
    )
    status, body = in_shell(command)
    return status, json.loads(body, parse_float=Decimal)


def printed(title: str, goal_id: str) -> Any:
    """The answer that the page prints, with our id."""
    text = "\n".join(line for line in example(PAGE, title, "json").splitlines() if not line.startswith("//"))
    return json.loads(text.replace(GOAL_ID, goal_id), parse_float=Decimal)


def book_hits(stack: Stack, project_id: str, goal_id: str) -> None:
    """342 hits by 298 persons for 49.00 each, now."""
    now = datetime.now(UTC)
    at = now.strftime("%Y-%m-%d %H:%M:%S")
    cell = now.replace(minute=now.minute - now.minute % 15, second=0).strftime("%Y-%m-%d %H:%M:%S")
    stack.book(
        "INSERT INTO goal_definitions (run_id, run_number, project_id, goal_id, definition) "
        f"VALUES ('{{run}}', {{number}}, '{project_id}', '{goal_id}', 1)",
        "INSERT INTO goal_bookings (run_id, run_number, project_id, goal_id, definition, hit_id, cell, occurred_at, "
        "person, currency, conversions, revenue) "
        f"SELECT '{{run}}', {{number}}, '{project_id}', '{goal_id}', 1, generateUUIDv4(number), '{cell}', '{at}', "
        f"concat('u:', toString(number % {PERSONS})), 'EUR', 1, {REVENUE / HITS} FROM numbers({HITS})",
    )


def test_the_examples_work_in_the_order_of_the_page(stack: Stack, api: Api, project: NewProject) -> None:
    assert run("create a pageview goal", api, project)[0] == 201

    status, made = run("create a goal with revenue", api, project)
    goal_id = made["data"]["id"]
    assert (status, made) == (201, printed("create a goal with revenue", goal_id))

    status, listed = run("list goals", api, project)
    assert status == 200
    assert printed("list goals", goal_id)["data"][0] in listed["data"]
    assert [set(goal) for goal in listed["data"]] == [set(made["data"])] * 2
    assert listed["data"][0]["currency"] is None

    status, changed = run("update a goal", api, project, goal_id)
    assert (status, changed) == (200, printed("update a goal", goal_id))

    book_hits(stack, project.project.id, goal_id)
    status, stats = run("get goal stats", api, project, goal_id)
    assert (status, stats) == (200, printed("get goal stats", goal_id))


def test_a_deleted_goal_answers_as_printed(api: Api, project: NewProject) -> None:
    goal_id = run("create a goal with revenue", api, project)[1]["data"]["id"]
    status, deleted = run("delete a goal", api, project, goal_id)
    assert (status, deleted) == (200, printed("delete a goal", goal_id))
    assert run("get goal stats", api, project, goal_id)[0] == 404


def test_revenue_is_printed_with_its_digits(stack: Stack, api: Api, project: NewProject) -> None:
    goal_id = run("create a goal with revenue", api, project)[1]["data"]["id"]
    run("update a goal", api, project, goal_id)
    book_hits(stack, project.project.id, goal_id)
    path = f"/api/v1/analytics/sites/{project.project.site_key}/goals/{goal_id}/stats"
    assert '"revenue":16758.00}' in api.as_(project.secret_text)("GET", path).text
