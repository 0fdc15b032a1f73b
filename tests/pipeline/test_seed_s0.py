"""Seed S0's example of a backend, executed as printed: only base URL, project and key are replaced.

That of a page is executed in a browser: ``tests/browser/test_calls.py``.
"""

import json
from decimal import Decimal

import pytest
from examples import example, in_shell, page
from stack import Project

PAGE = page("s0_conversions.md")


def send(project: Project) -> tuple[int, dict[str, str]]:
    command = (
        example(PAGE, "Track a conversion from the backend", "bash")
        .replace("https://api.openanalyticsapi.com", project.stack.url)
        .replace("PROJECT_ID", project.id)
        .replace("oa_live_xxxxxxxxxxxx", project.secret_key)
    )
    status, body = in_shell(command)
    return status, json.loads(body)


def test_the_backends_example_is_one_conversion_however_often_a_webhook_repeats_it(project: Project) -> None:
    goal = project.goal(currency="USD")
    answers = [send(project) for _ in range(3)]
    assert [(status, answer["status"]) for status, answer in answers] == [(202, "accepted")] * 3
    project.settled(3)
    project.eventually(
        lambda: [project.stats(goal)[name] for name in ("conversions", "revenue")], [1, Decimal("49.99")]
    )
    (found,) = project.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{project.id}'")
    assert (found["kind"], found["order_id"], found["user_id"]) == ("purchase", "ord_123", "sha256_user_hash")
    assert json.loads(project.events()[0]["properties"]) == {"plan": "pro", "order_id": "ord_123"}


@pytest.mark.parametrize(
    "goal",
    [
        {"type": "event_name", "match_value": "purchase"},
        {"type": "event_type", "match_value": "conversion"},
        {"type": "custom", "match_value": "purchase"},
        {"type": "conversion", "match_type": "regex", "match_value": ".*"},
        {"type": "pageview", "match_value": "/thanks"},
    ],
    ids=lambda goal: goal["type"],
)
def test_a_goal_defined_afterwards_counts_what_was_there(project: Project, goal: dict[str, str]) -> None:
    """By event name, event type, URL path, or any conversion."""
    project.accept({"event_type": "pageview", "url": "https://shop.example/thanks?x=1", "user_id": "u"})
    assert send(project)[0] == 202
    project.settled(2)
    made = project.goal(**goal)
    project.eventually(lambda: project.stats(made)["conversions"], 1)
