"""Ledger, dead letters, health, metrics, documentation, and what happens while a server is away."""

import re
from collections.abc import Iterator

import pytest
from harness import Process, base_environment, eventually, free_port
from running_api import Api, Caller, Stack, running_stack

from control.projects import NewProject
from deploy.kafka import launcher


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("operations")) as stack:
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


def unbalance(stack: Stack) -> None:
    """A checkpoint that claims two stored events, of which none is there."""
    stack.sql(
        "INSERT INTO checkpoints (stage, topic_id, kafka_partition, end_offset, received, stored, duplicate) "
        "VALUES ('events', 't', 0, 3, 3, 2, 1)"
    )


def test_the_ledger_and_its_metric_show_what_is_missing(stack: Stack, operator: Caller, operators: NewProject) -> None:
    unbalance(stack)
    (row,) = operator("GET", "/v1/ledger").json()["data"]
    assert (row["stage"], row["received"], row["stored"], row["duplicate"]) == ("events", 3, 2, 1)
    assert row["imbalance"] == 2
    # A process of its own: its first scrape asks, whatever another one remembers.
    metrics = stack.api().get("/metrics").text
    assert 'headwater_ledger_imbalance{stage="events"} 2.0' in metrics
    assert operator("GET", "/v1/ledger", headers={"Authorization": "Bearer x"}).status_code == 401
    public = operator("GET", "/v1/ledger", headers={"Authorization": f"Bearer {operators.public_text}"})
    assert public.status_code == 403


def test_dead_letters_are_for_operators_and_can_be_narrowed(stack: Stack, api: Api, operator: Caller) -> None:
    for index, reason in enumerate(("undecodable", "unknown_project")):
        stack.sql(
            "INSERT INTO dead_letters (stage, topic, kafka_offset, kafka_index, reason, error, payload, "
            "quarantined_at, version) "
            f"VALUES ('events', 'events-raw', 7, {index}, '{reason}', 'why', '{{', now64(3), 1)"
        )
    letters = operator("GET", "/v1/dead-letters").json()["data"]
    assert [letter["reason"] for letter in letters] == ["unknown_project", "undecodable"]
    assert (letters[0]["payload_head"], letters[0]["payload_bytes"]) == ("ew==", 1)
    assert len(operator("GET", "/v1/dead-letters?limit=1").json()["data"]) == 1
    (one,) = operator("GET", "/v1/dead-letters?stage=events&reason=undecodable").json()["data"]
    assert one["reason"] == "undecodable"
    assert operator("GET", "/v1/dead-letters?stage=conversions").json()["data"] == []
    for query in ("stage=ingest", "reason=bad", "limit=0", "limit=1001", "limit=x"):
        answer = operator("GET", f"/v1/dead-letters?{query}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, query.partition("=")[0])
    project = stack.project()
    assert api.as_(project.secret_text)("GET", "/v1/dead-letters").status_code == 403


def test_every_route_but_the_public_ones_asks_for_a_key(api: Api) -> None:
    document = api.get("/openapi.json").json()
    public = {"/livez", "/readyz", "/metrics"}
    assert public < set(document["paths"])
    for path, item in document["paths"].items():
        for method in item:
            answer = api.as_(None)(method.upper(), re.sub(r"\{.*?\}", "x", path), json={})
            assert answer.status_code == (200 if path in public else 401), (method, path)


def test_unknown_routes_and_methods_have_the_contracts_shape(api: Api, operator: Caller) -> None:
    for path in ("/nosuch", "/v1", "/v1/projects/x/y/z", "/api/v1/analytics/sites"):
        answer = operator("GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = operator("PUT", "/v1/projects", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_metrics_name_routes_and_never_paths(api: Api, operator: Caller, operators: NewProject) -> None:
    operator("GET", f"/v1/projects/{operators.project.id}")
    operator("GET", "/some/path/nobody/knows")
    operator("PROPFIND", "/v1/projects")
    text = api.get("/metrics").text
    assert re.search(
        r'headwater_api_requests_total\{method="GET",route="/v1/projects/\{project_id\}",status="200"\}', text
    )
    assert 'method="GET",route="unmatched",status="404"' in text
    assert 'method="other"' in text
    assert operators.project.id not in text
    assert "nobody" not in text
    assert "headwater_api_request_duration_seconds_bucket" in text
    assert "headwater_control_offset" in text


def test_the_documentation_is_exact_and_needs_nothing_from_elsewhere(api: Api) -> None:
    document = api.get("/openapi.json").json()
    goal = document["components"]["schemas"]["NewGoal"]
    assert sorted(goal["required"]) == ["match_type", "match_value", "name", "type"]
    page = api.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    for path in document["paths"]:
        assert path in page.text


def test_without_clickhouse_configuration_works_and_questions_are_503(stack: Stack) -> None:
    url = f"http://127.0.0.1:{free_port()}/?database=nowhere"
    api = stack.api(wait_for="livez", HEADWATER_CLICKHOUSE_URL=url)
    project = stack.project()
    owner, goals = api.as_(project.secret_text), f"/api/v1/analytics/sites/{project.project.site_key}/goals"
    body = {"name": "x", "type": "event", "match_type": "exact", "match_value": "x"}
    made = owner("POST", goals, json=body)
    assert made.status_code == 201
    for path in (f"{goals}/{made.json()['data']['id']}/stats", "/v1/ledger"):
        answer = owner("GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]) == (503, {"clickhouse": False, "control": True})
    metrics = api.get("/metrics")
    assert metrics.status_code == 200
    assert "headwater_ledger_imbalance{" not in metrics.text


def test_clickhouse_may_come_back_under_a_running_api(stack: Stack) -> None:
    port = free_port()
    server = Process(
        "clickhouse",
        "serve",
        environment=base_environment()
        | {"HEADWATER_DATA_DIR": str(stack.directory / "own"), "HEADWATER_CLICKHOUSE_PORT": str(port)},
        directory=stack.directory,
        ready_url=f"http://127.0.0.1:{port}/ping",
    )
    try:
        server.start()
        own = stack.on_clickhouse(f"http://127.0.0.1:{port}/")
        api = own.api()
        assert api.get("/readyz").status_code == 200
        server.kill()
        eventually(lambda: api.get("/readyz").status_code == 503, 20, "it never noticed")
        server.start()
        eventually(lambda: api.get("/readyz").status_code == 200, 20, "it never came back")
    finally:
        server.end()


@pytest.mark.skipif(launcher.docker_works(), reason="the broker is in a container")
def test_without_kafka_control_reads_are_503_and_come_back(stack: Stack) -> None:
    port = free_port()
    environment = base_environment() | {
        "HEADWATER_DATA_DIR": str(stack.directory / "broker"),
        "HEADWATER_KAFKA_PORT": str(port),
    }
    broker = Process("deploy.kafka", environment=environment, directory=stack.directory)
    try:
        broker.start()
        own = stack.on_kafka(f"127.0.0.1:{port}")
        project = own.project()
        api = own.api()
        owner, goals = api.as_(project.secret_text), f"/api/v1/analytics/sites/{project.project.site_key}/goals"
        assert owner("GET", goals).status_code == 200
        broker.kill()
        answer = owner("GET", goals)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        # What needs neither a write nor the newest configuration is answered from what is known.
        assert owner("GET", f"/v1/projects/{project.project.id}/reports/goals").status_code == 200
        broker.start()
        eventually(lambda: owner("GET", goals).status_code == 200, 40, "it never came back")
    finally:
        broker.end()


def test_the_api_stops_at_sigterm_with_status_0(stack: Stack) -> None:
    api = stack.api()
    assert api.process.terminate(limit_s=15) == 0
    assert "Traceback" not in api.process.output
