"""Projects and keys: who may make what, and that a revoked key is refused at once, everywhere."""

from collections.abc import Iterator

import pytest
from running_api import Api, Caller, Stack, running_stack

from control.projects import NewProject


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("projects")) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture(scope="module")
def operators(stack: Stack) -> NewProject:
    return stack.project(operator=True)


@pytest.fixture
def operator(api: Api, operators: NewProject) -> Caller:
    return api.as_(operators.secret_text)


def refusal(caller: Caller, method: str, path: str, body: object = None) -> tuple[int, str, str | None]:
    answer = caller(method, path, json=body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("field")


def test_an_operator_makes_a_project_whose_keys_work(api: Api, operator: Caller) -> None:
    made = operator("POST", "/v1/projects", json={"name": "Shop", "time_zone": "Europe/Vienna"})
    assert made.status_code == 201
    project = made.json()
    assert (project["name"], project["time_zone"], project["lookback_days"]) == ("Shop", "Europe/Vienna", None)
    owner = api.as_(project["secret_key"])
    shown = owner("GET", f"/v1/projects/{project['id']}").json()
    assert shown == {
        field: value for field, value in project.items() if not field.endswith("_key") or field == "site_key"
    }
    assert owner("GET", f"/api/v1/analytics/sites/{project['site_key']}/goals").json() == {"data": []}
    assert refusal(api.as_(project["public_key"]), "GET", "/v1/projects")[:2] == (403, "insufficient_scope")
    listed = [one["id"] for one in operator("GET", "/v1/projects").json()["data"]]
    assert project["id"] in listed
    assert [one["id"] for one in owner("GET", "/v1/projects").json()["data"]] == [project["id"]]
    assert refusal(owner, "POST", "/v1/projects", {"name": "Mine"})[:2] == (403, "insufficient_scope")
    assert refusal(owner, "GET", f"/v1/projects/{listed[0]}")[:2] == (404, "not_found")


def test_a_project_is_changed_field_by_field(stack: Stack, api: Api) -> None:
    project = stack.project()
    path, owner = f"/v1/projects/{project.project.id}", api.as_(project.secret_text)
    assert owner("PATCH", path, json={"lookback_days": 90}).json()["lookback_days"] == 90
    changed = owner("PATCH", path, json={"name": " Shop ", "time_zone": "Asia/Tokyo"}).json()
    assert (changed["name"], changed["time_zone"], changed["lookback_days"]) == ("Shop", "Asia/Tokyo", 90)
    assert owner("PATCH", path, json={"lookback_days": None}).json()["lookback_days"] is None
    assert refusal(owner, "PATCH", path, {"time_zone": "localtime"}) == (422, "invalid_value", "time_zone")
    assert refusal(owner, "PATCH", path, {"time_zone": "Mars"}) == (422, "invalid_value", "time_zone")
    assert refusal(owner, "PATCH", path, {"lookback_days": 0}) == (422, "invalid_value", "lookback_days")
    assert refusal(owner, "PATCH", path, {"lookback_days": "soon"}) == (400, "wrong_type", "lookback_days")
    assert refusal(owner, "PATCH", path, {"name": ""}) == (422, "invalid_value", "name")


def test_a_key_hands_out_only_what_it_has(stack: Stack, api: Api) -> None:
    project = stack.project()
    keys, owner = f"/v1/projects/{project.project.id}/keys", api.as_(project.secret_text)
    scopes = ["analytics:read", "analytics:write"]
    made = owner("POST", keys, json={"kind": "secret", "scopes": scopes, "name": "reports"})
    assert made.status_code == 201
    narrow = api.as_(made.json()["key"])
    assert narrow("GET", keys).status_code == 200
    assert refusal(narrow, "POST", keys, {"kind": "public"}) == (403, "insufficient_scope", "scopes")
    assert refusal(owner, "POST", keys, {"kind": "secret", "scopes": ["projects:admin"]})[0] == 403
    assert refusal(narrow, "DELETE", f"{keys}/{project.secret_key.id}")[:2] == (403, "insufficient_scope")
    public = owner("POST", keys, json={"kind": "public"}).json()
    assert (public["scopes"], public["key"][:8]) == (["events:write"], "pk_live_")
    assert refusal(owner, "POST", keys, {"kind": "secret"}) == (400, "missing_field", "scopes")
    assert refusal(owner, "POST", keys, {"kind": "secret", "scopes": []}) == (422, "invalid_value", "scopes")
    assert refusal(owner, "POST", keys, {"kind": "secret", "scopes": ["root"]}) == (422, "invalid_value", "scopes[0]")
    assert refusal(owner, "POST", keys, {"kind": "public", "scopes": scopes}) == (422, "invalid_value", "scopes")
    assert refusal(owner, "POST", keys, {"kind": "private"}) == (422, "invalid_value", "kind")


def test_a_list_of_keys_gives_no_key_away(stack: Stack, api: Api) -> None:
    project = stack.project()
    answer = api.as_(project.secret_text)("GET", f"/v1/projects/{project.project.id}/keys")
    assert {key["kind"] for key in answer.json()["data"]} == {"secret", "public"}
    for secret in (project.secret_text, project.secret_key.digest, project.public_text, project.public_key.digest):
        assert secret not in answer.text
    assert "digest" not in answer.text


def test_a_revoked_key_is_refused_at_once_by_every_process(stack: Stack, api: Api) -> None:
    second = stack.api()
    project = stack.project()
    keys, owner = f"/v1/projects/{project.project.id}/keys", api.as_(project.secret_text)
    for _ in range(5):
        made = owner("POST", keys, json={"kind": "secret", "scopes": ["analytics:read"]}).json()
        here, there = api.as_(made["key"]), second.as_(made["key"])
        assert (here("GET", keys).status_code, there("GET", keys).status_code) == (200, 200)
        revoked = owner("DELETE", f"{keys}/{made['id']}")
        assert (revoked.status_code, revoked.json()) == (200, {"data": {"deleted": True}})
        assert refusal(here, "GET", keys)[:2] == refusal(there, "GET", keys)[:2] == (401, "unauthorized")
        assert refusal(owner, "DELETE", f"{keys}/{made['id']}")[:2] == (404, "not_found")


def test_another_tenants_key_cannot_be_revoked(stack: Stack, api: Api) -> None:
    mine, theirs = stack.project(), stack.project()
    path = f"/v1/projects/{mine.project.id}/keys/{theirs.secret_key.id}"
    assert refusal(api.as_(mine.secret_text), "DELETE", path)[:2] == (404, "not_found")
    assert api.as_(theirs.secret_text)("GET", "/v1/projects").status_code == 200
