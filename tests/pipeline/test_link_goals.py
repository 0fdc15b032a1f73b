"""Goals of links, changed and deleted, and their tokens rotated: what then becomes of postbacks."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from harness import eventually
from stack import Project

from tests.pipeline.test_links import analytics, click, link, link_goal, track

GOALS = "/api/v1/conversions/goals"


def conversions(project: Project) -> list[tuple[str, str, Decimal, str]]:
    """Order, kind, value and currency, by order."""
    rows = project.stack.sql(
        f"SELECT order_id, kind, revenue, currency FROM v_conversions WHERE project_id = '{project.id}' "
        "ORDER BY order_id"
    )
    return [(row["order_id"], row["kind"], Decimal(row["revenue"] or 0), row["currency"]) for row in rows]


def patched(project: Project, goal_id: str, **fields: Any) -> dict[str, Any]:
    answer = project.request("PATCH", f"{GOALS}/{goal_id}", json={"goal": fields})
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()["goal"]
    return changed


def test_a_change_holds_for_what_is_reported_after_it(project: Project) -> None:
    made = link_goal(project, value=5, currency="EUR")
    token = made["postback_token"]
    assert track(project, token, {"order_id": "1"}).status_code == 202
    project.eventually(lambda: len(conversions(project)), 1)
    changed = patched(project, made["id"], goal_type="signup", value="7.50", currency="usd", window_days=60)
    assert (changed["goal_type"], changed["value"], changed["currency"]) == ("signup", 7.5, "USD")
    assert (changed["window_days"], changed["name"], changed["id"]) == (60, "Q1 Sales", made["id"])
    assert "postback_token" not in changed
    # Each ingest process follows the log by itself, so the change reaches it a moment later.
    eventually(lambda: track(project, token, {"order_id": "2"}).status_code == 202, 10)
    project.eventually(
        lambda: conversions(project),
        [("1", "purchase", Decimal(5), "EUR"), ("2", "signup", Decimal("7.5"), "USD")],
    )


def test_only_what_is_named_changes_and_null_clears(project: Project) -> None:
    made = link_goal(project, value=5, currency="EUR", postback_url="https://your-server.com/webhook")
    once = ("postback_token", "tracking_url", "signing_secret")
    shown = {name: value for name, value in made.items() if name not in once}
    assert patched(project, made["id"]) == shown
    cleared = {"value": None, "currency": None, "postback_url": None}
    assert patched(project, made["id"], name="Renamed", **cleared) == shown | {"name": "Renamed"} | cleared
    path = f"{GOALS}/{made['id']}"
    assert project.request("GET", path).json()["goal"] == shown | {"name": "Renamed"} | cleared


def test_a_goal_that_gets_a_postback_url_shows_what_it_is_signed_with_and_tells_it_from_then_on(
    project: Project,
) -> None:
    made = link_goal(project)
    assert "signing_secret" not in made
    first = patched(project, made["id"], postback_url="https://your-server.com/one")
    assert first["signing_secret"].startswith("whsec_")
    assert "signing_secret" not in patched(project, made["id"], postback_url="https://your-server.com/two")
    path = f"/v1/projects/{project.id}/destinations"
    (told,) = project.request("GET", path).json()["data"]
    assert (told["url"], told["goal_id"]) == ("https://your-server.com/two", made["id"])
    patched(project, made["id"], postback_url=None)
    assert project.request("GET", path).json()["data"] == []


def test_a_deleted_goal_takes_no_postback_and_keeps_what_it_brought(project: Project) -> None:
    made, brought = link(project), link_goal(project)
    token = brought["postback_token"]
    track(project, token, {"value": 3, "currency": "USD", "order_id": "kept", "click_id": click(made)})
    project.eventually(lambda: analytics(project, made)["conversions"], 1)
    path = f"{GOALS}/{brought['id']}"
    answer = project.request("DELETE", path)
    assert (answer.status_code, answer.json()) == (200, {"data": {"deleted": True}})
    eventually(lambda: track(project, token, {"value": 1}).status_code == 401, 10)
    for method in ("GET", "PATCH", "DELETE"):
        sent = {"json": {"goal": {}}} if method == "PATCH" else {}
        assert project.request(method, path, **sent).status_code == 404, method
    assert project.request("GET", GOALS).json() == {"goals": []}
    assert analytics(project, made)["total_value"] == 3


def test_a_token_is_rotated_without_a_moment_in_which_none_works(project: Project) -> None:
    made = link_goal(project)
    old = made["postback_token"]
    path = f"{GOALS}/{made['id']}/tokens"
    new = project.request("POST", path).json()["goal"]["postback_token"]
    listed = project.request("GET", path).json()["tokens"]
    assert [token["hint"] for token in listed] == [f"{text[:12]}…{text[-4:]}" for text in (old, new)]
    assert [track(project, token, {"value": 1}).status_code for token in (old, new)] == [202, 202]
    assert project.request("DELETE", f"{path}/{listed[0]['id']}").json() == {"data": {"deleted": True}}
    eventually(lambda: track(project, old, {"value": 1}).status_code == 401, 10)
    assert track(project, new, {"value": 1}).status_code == 202
    assert project.request("DELETE", f"{path}/{listed[0]['id']}").status_code == 404
    assert [token["id"] for token in project.request("GET", path).json()["tokens"]] == [listed[1]["id"]]


@pytest.mark.parametrize("path", ["", "/tokens", "/tokens/{token}"])
def test_another_tenants_goal_and_tokens_look_like_none(project: Project, path: str) -> None:
    other = project.stack.project()
    goal = link_goal(other)
    (token,) = other.request("GET", f"{GOALS}/{goal['id']}/tokens").json()["tokens"]
    wanted = f"{GOALS}/{goal['id']}{path}".replace("{token}", token["id"])
    for method, body in (("GET", None), ("PATCH", {"goal": {"name": "x"}}), ("DELETE", None), ("POST", None)):
        answer = project.request(method, wanted, **({"json": body} if body else {}))
        assert answer.status_code in (404, 405), (method, answer.text)
        assert answer.status_code == 404 or httpx.request(method, other.stack.url + wanted).status_code == 405
    own = link_goal(project)
    crossed = f"{GOALS}/{own['id']}/tokens/{token['id']}"
    assert project.request("DELETE", crossed).status_code == 404
    assert track(other, goal["postback_token"], {"value": 1}).status_code == 202
