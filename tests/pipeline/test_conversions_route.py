"""``POST /v1/projects/{id}/conversions``, from the request to the books."""

from decimal import Decimal
from typing import Any

import pytest
from stack import Project

PURCHASE = {"event_name": "purchase", "revenue": 49.99, "currency": "USD", "properties": {"order_id": "ord_1"}}


def convert(project: Project, body: Any, *, key: str | None = None, **headers: str) -> Any:
    path = f"/v1/projects/{project.id}/conversions"
    return project.request("POST", path, key=key, json=body, headers=headers)


def conversions(project: Project) -> list[dict[str, Any]]:
    return project.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{project.id}' ORDER BY order_id")


def test_a_conversion_is_the_same_one_as_if_posted_to_events_with_its_order(project: Project) -> None:
    goal = project.goal(currency="USD")
    answer = convert(project, PURCHASE)
    assert answer.status_code == 202, answer.text
    project.accept(PURCHASE | {"event_type": "conversion", "revenue": 50, "user_id": "ann"}, key=project.public_key)
    project.settled(2)
    stats = {"conversions": 1, "unique_conversions": 1, "revenue": Decimal("49.99")}
    project.eventually(lambda: project.stats(goal), stats)
    project.eventually(lambda: [int(one["arrivals"]) for one in conversions(project)], [2])
    (merged,) = conversions(project)
    assert (merged["conversion_id"], merged["order_id"]) == (answer.json()["conversion_id"], "ord_1")
    assert merged["user_id"] == "ann"


def test_a_retry_under_one_key_is_answered_alike_and_counted_once_on_either_route(project: Project) -> None:
    signup = {"event_name": "signup", "user_id": "ann"}
    answers = [convert(project, signup, **{"Idempotency-Key": "k"}).json() for _ in range(2)]
    event = project.accept(signup | {"event_type": "conversion"}, **{"Idempotency-Key": "k"})
    assert answers[0] == answers[1] == event | {"conversion_id": answers[0]["conversion_id"]}
    batch = convert(project, {"events": [PURCHASE, {"revenue": 1}, {"event_name": "signup", "order_id": "ord_2"}]})
    assert (batch.status_code, batch.json()["accepted"], batch.json()["rejected"]) == (202, 2, 1)
    ids = [one.get("conversion_id") for one in batch.json()["results"]]
    project.settled(3)
    project.eventually(lambda: len(conversions(project)), 3)
    found = [row["conversion_id"] for row in conversions(project)]
    assert found == [answers[0]["conversion_id"], ids[0], ids[2]]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"revenue": 1}, 400, "missing_field", "event_name"),
        (PURCHASE | {"event_type": "pageview"}, 422, "invalid_value", "event_type"),
        (PURCHASE | {"currency": "ZZZ"}, 422, "invalid_currency", "currency"),
        ([], 400, "empty_batch", None),
        ("purchase", 400, "wrong_type", None),
    ],
)
def test_a_bad_conversion_is_refused_and_writes_nothing(
    project: Project, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = convert(project, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (status, code, field)
    convert(project, PURCHASE)
    (event,) = project.settled(1)
    assert event["order_id"] == "ord_1"


def test_keys_count_here_as_they_do_for_events(project: Project) -> None:
    stranger = project.stack.project()
    assert convert(project, PURCHASE, key="sk_live_wrong").status_code == 401
    assert convert(project, PURCHASE, key=stranger.secret_key).status_code == 404
    assert convert(project, PURCHASE, key=project.public_key).status_code == 202
    path = f"/v1/projects/{project.id}/conversions"
    beacon = project.request("POST", f"{path}?key={project.secret_key}", json=PURCHASE, headers={"Authorization": ""})
    assert beacon.status_code == 401
    preflight = project.request("OPTIONS", path)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
