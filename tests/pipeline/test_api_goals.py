"""Seed S2's goals on real servers: fields, statuses, scopes, tenants, definitions, several processes."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running_api import Api, Caller, Stack, running_stack

from control.log import ControlLog
from control.projects import NewProject
from schemas.control import Goal

GOAL = {"name": "Signup", "type": "event", "match_type": "exact", "match_value": "signup"}


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("api")
    with running_stack(kafka_bootstrap, clickhouse_server, directory) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture(scope="module")
def project(stack: Stack) -> NewProject:
    return stack.project(operator=True)


@pytest.fixture
def owner(api: Api, project: NewProject) -> Caller:
    return api.as_(project.secret_text)


@pytest.fixture
def goals(project: NewProject) -> str:
    return f"/api/v1/analytics/sites/{project.project.site_key}/goals"


def error(answer: Any) -> tuple[int, str, str | None]:
    """Status, code and field; fails unless the answer has the contract's shape."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"code", "message", "field"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"], body["error"].get("field")


def test_a_goal_is_created_read_listed_changed_and_deleted(owner: Caller, goals: str) -> None:
    made = owner("POST", goals, json={**GOAL, "currency": "eur", "unknown": 1})
    assert made.status_code == 201
    goal = made.json()["data"]
    assert goal == {**GOAL, "id": goal["id"], "currency": "EUR"}
    assert owner("GET", f"{goals}/{goal['id']}").json() == {"data": goal}
    assert goal in owner("GET", goals).json()["data"]
    changed = owner("PATCH", f"{goals}/{goal['id']}", json={"name": "Joined", "currency": None})
    assert (changed.status_code, changed.json()["data"]) == (200, {**goal, "name": "Joined", "currency": None})
    deleted = owner("DELETE", f"{goals}/{goal['id']}")
    assert (deleted.status_code, deleted.json()) == (200, {"data": {"deleted": True}})
    for method, path in (("GET", ""), ("GET", "/stats"), ("PATCH", ""), ("DELETE", "")):
        body = {"name": "x"} if method == "PATCH" else None
        assert error(owner(method, f"{goals}/{goal['id']}{path}", json=body))[:2] == (404, "not_found")


def test_goals_are_listed_oldest_first_also_after_a_change(owner: Caller, goals: str) -> None:
    made = [owner("POST", goals, json={**GOAL, "name": f"goal {n}"}).json()["data"]["id"] for n in range(3)]
    owner("PATCH", f"{goals}/{made[0]}", json={"name": "goal 0, changed"})
    listed = [goal["id"] for goal in owner("GET", goals).json()["data"]]
    assert [one for one in listed if one in made] == made


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": ...}, (400, "missing_field", "name")),
        ({"type": ...}, (400, "missing_field", "type")),
        ({"match_value": ...}, (400, "missing_field", "match_value")),
        ({"name": 5}, (400, "wrong_type", "name")),
        ({"name": None}, (400, "wrong_type", "name")),
        ({"type": 5}, (400, "wrong_type", "type")),
        ({"match_value": ["/x"]}, (400, "wrong_type", "match_value")),
        ({"currency": 978}, (400, "wrong_type", "currency")),
        ({"name": "  "}, (422, "invalid_value", "name")),
        ({"name": "x" * 201}, (422, "too_long", "name")),
        ({"name": "a\u0000b"}, (422, "invalid_text", "name")),
        ({"type": "page"}, (422, "invalid_value", "type")),
        ({"match_type": "prefix"}, (422, "invalid_value", "match_type")),
        ({"match_value": ""}, (422, "invalid_value", "match_value")),
        ({"match_value": "x" * 1025}, (422, "too_long", "match_value")),
        ({"match_value": "a\nb"}, (422, "invalid_text", "match_value")),
        ({"currency": "DOLLARS"}, (422, "invalid_currency", "currency")),
        ({"currency": ""}, (422, "invalid_currency", "currency")),
        ({"currency": "null"}, (422, "invalid_currency", "currency")),
        ({"match_type": "regex", "match_value": "(?<=a)b"}, (422, "invalid_regex", "match_value")),
        ({"match_type": "regex", "match_value": "a(b"}, (422, "invalid_regex", "match_value")),
        ({"match_type": "regex", "match_value": "ä" * 129}, (422, "too_long", "match_value")),
    ],
)
def test_what_cannot_be_a_goal_is_refused_by_its_field(
    owner: Caller, goals: str, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    body = {field: value for field, value in {**GOAL, **change}.items() if value is not ...}
    before = len(owner("GET", goals).json()["data"])
    assert error(owner("POST", goals, json=body)) == expected
    assert len(owner("GET", goals).json()["data"]) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"", 400, "malformed_json"),
        (b"[]", 400, "wrong_type"),
        (b'"goal"', 400, "wrong_type"),
        (b"null", 400, None),
        (b'{"name": NaN}', 400, "malformed_json"),
        (b"\xff\xfe", 400, None),
        (b'{"name": "\xff"}', 400, None),
        (b'{"name": "\\ud800", "type": "event"}', 422, "invalid_text"),
        (b"[" * 20_000, 400, "too_deep"),
        (b'{"name": "' + b"x" * 100_000 + b'"}', 413, "too_large"),
    ],
)
def test_a_body_that_is_not_a_goal_is_never_an_error_of_ours(
    owner: Caller, goals: str, body: bytes, status: int, code: str | None
) -> None:
    answer = owner("POST", goals, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert code in (None, error(answer)[1])


@pytest.mark.parametrize("type", ["pageview", "event", "custom", "event_name", "event_type", "conversion"])
@pytest.mark.parametrize("match_type", ["exact", "contains", "regex"])
def test_every_type_matches_in_every_way(owner: Caller, goals: str, type: str, match_type: str) -> None:
    made = owner("POST", goals, json={**GOAL, "type": type, "match_type": match_type, "match_value": r"/blog/\d+'%s"})
    assert made.status_code == 201
    assert made.json()["data"]["match_value"] == r"/blog/\d+'%s"


def test_who_may_not_is_told_so_before_the_body_is_read(
    api: Api, stack: Stack, project: NewProject, owner: Caller, goals: str
) -> None:
    other = stack.project()
    narrow = owner(
        "POST", f"/v1/projects/{project.project.id}/keys", json={"kind": "secret", "scopes": ["analytics:read"]}
    )
    reader = api.as_(narrow.json()["key"])
    goal = owner("POST", goals, json=GOAL).json()["data"]["id"]
    nonsense = {"json": []}
    assert error(api.as_(None)("POST", goals, **nonsense))[:2] == (401, "unauthorized")
    assert error(api.as_("sk_live_nonsense")("POST", goals, **nonsense))[:2] == (401, "unauthorized")
    assert error(api.as_(project.public_text)("POST", goals, **nonsense))[:2] == (403, "insufficient_scope")
    assert error(api.as_(project.public_text)("GET", goals))[:2] == (403, "insufficient_scope")
    assert error(reader("POST", goals, **nonsense))[:2] == (403, "insufficient_scope")
    assert error(reader("PATCH", f"{goals}/{goal}", **nonsense))[:2] == (403, "insufficient_scope")
    assert error(reader("DELETE", f"{goals}/{goal}"))[:2] == (403, "insufficient_scope")
    assert reader("GET", goals).status_code == reader("GET", f"{goals}/{goal}/stats").status_code == 200
    assert error(api.as_(other.secret_text)("POST", goals, **nonsense))[:2] == (404, "not_found")
    assert error(owner("GET", "/api/v1/analytics/sites/site_unknown/goals"))[:2] == (404, "not_found")
    foreign = f"/api/v1/analytics/sites/{other.project.site_key}/goals/{goal}"
    assert error(api.as_(other.secret_text)("GET", foreign))[:2] == (404, "not_found")
    assert error(api.as_(other.secret_text)("DELETE", foreign))[:2] == (404, "not_found")


def test_only_a_changed_match_makes_a_new_definition(stack: Stack, owner: Caller, goals: str) -> None:
    goal = owner("POST", goals, json=GOAL).json()["data"]["id"]
    assert definition(stack, goal) == 1
    for change, expected in (
        ({"name": "Other"}, 1),
        ({"currency": "USD"}, 1),
        ({"match_value": "signup"}, 1),
        ({"match_value": "sign"}, 2),
        ({"match_type": "contains", "type": "custom"}, 3),
        ({}, 3),
    ):
        assert owner("PATCH", f"{goals}/{goal}", json=change).status_code == 200
        assert definition(stack, goal) == expected
    refused = owner("PATCH", f"{goals}/{goal}", json={"match_type": "regex", "match_value": "(?=x)"})
    assert error(refused) == (422, "invalid_regex", "match_value")
    assert definition(stack, goal) == 3


def definition(stack: Stack, goal_id: str) -> int:

    async def look() -> int:
        log = ControlLog(stack.kafka, client_id="test")
        await log.start()
        try:
            entry = log.view.entry(Goal, goal_id)
            assert entry is not None
            assert isinstance(entry.body, Goal)
            return entry.body.definition
        finally:
            await log.stop()

    return asyncio.run(look())


def test_two_processes_agree_at_once(api: Api, stack: Stack, project: NewProject, owner: Caller, goals: str) -> None:
    second = stack.api().as_(project.secret_text)
    for n in range(10):
        goal = owner("POST", goals, json={**GOAL, "name": f"seen {n}"}).json()["data"]
        assert second("GET", f"{goals}/{goal['id']}").json()["data"] == goal
        assert second("PATCH", f"{goals}/{goal['id']}", json={"name": f"changed {n}"}).status_code == 200
        assert owner("GET", f"{goals}/{goal['id']}").json()["data"]["name"] == f"changed {n}"
        assert second("DELETE", f"{goals}/{goal['id']}").status_code == 200
        assert owner("GET", f"{goals}/{goal['id']}/stats").status_code == 404


def test_a_name_is_kept_when_another_process_changes_the_match(
    stack: Stack, project: NewProject, owner: Caller, goals: str
) -> None:

    second = stack.api().as_(project.secret_text)
    goal = owner("POST", goals, json=GOAL).json()["data"]["id"]
    with ThreadPoolExecutor(2) as pool:
        for n in range(10):
            renamed = pool.submit(owner, "PATCH", f"{goals}/{goal}", json={"name": f"name {n}"})
            moved = pool.submit(second, "PATCH", f"{goals}/{goal}", json={"match_value": f"value {n}"})
            assert (renamed.result().status_code, moved.result().status_code) == (200, 200)
            found = owner("GET", f"{goals}/{goal}").json()["data"]
            assert (found["name"], found["match_value"]) == (f"name {n}", f"value {n}")
