"""The OpenAPI document against an installation: whatever fits it or does not, the answer is one that it describes.

Requests are drawn by schemathesis, from the document and always the same ones. Ids in paths are real ones or drawn.
"""

import contextlib
import re
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from stack import Project, Stack

from ingest.routes import METHODS, SHARED, Route
from tests.pipeline.test_links import link, link_goal

CASES: Final = 5
"""Drawn for an operation and a mode."""
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OF_THE_PROCESS: Final = ("/livez", "/readyz", "/metrics")
TRIED: Final = settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{stack.url}/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Project:
    return stack.project()


def test_the_document_and_its_page_have_the_routes_of_both_applications(stack: Stack, document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert set(Route) <= set(paths)
    assert set(paths["/api/v1/conversions"]) == {"get", "post"}
    assert "/v1/projects/{project_id}/reports/sources" in paths
    page = httpx.get(f"{stack.url}/docs").text
    assert [path for path in paths if path not in page] == []


@pytest.mark.parametrize("route", Route)
def test_a_route_takes_the_methods_of_its_table_and_no_other(stack: Stack, route: Route) -> None:
    path = re.sub(r"\{.*?\}", "x", route)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = httpx.request(method, stack.url + path, headers={"Content-Type": "application/json"})
        if method in METHODS[route]:
            assert answer.status_code not in (404, 405) or "no such link" in answer.text or method == "HEAD", method
        elif route not in SHARED:
            assert (answer.status_code, answer.headers["Allow"]) == (405, ", ".join(METHODS[route])), method


def known_ids(project: Project) -> dict[str, dict[str, str]]:
    """Real ids for the parameters of a path, by the beginning of the path: the longest that fits counts."""
    made = link_goal(project)
    event = project.accept({"event_type": "pageview"})["event_id"]
    return {
        "": {"project_id": project.id, "key": project.site_key, "event_id": event},
        "/api/v1/analytics/sites": {"goal_id": project.goal()},
        "/api/v1/conversions/goals": {"goal_id": made["id"]},
        "/api/v1/links": {"link_id": str(link(project)["id"])},
        "/api/conversions/track": {"token": made["postback_token"]},
        "/l/": {"slug": link(project)["slug"]},
    }


def parameters(path: str, ids: dict[str, dict[str, str]]) -> dict[str, str]:
    """Those of a path whose ids are real."""
    named = re.findall(r"\{(\w+)\}", path)
    found = {name: value for start in sorted(ids) if path.startswith(start) for name, value in ids[start].items()}
    return {name: found[name] for name in named if name in found}


def drawn(operation: Any, mode: GenerationMode, fixed: dict[str, str], headers: dict[str, str]) -> list[str]:
    """What is wrong with the answers to requests drawn for an operation."""
    wrong: list[str] = []

    @TRIED
    @given(case=operation.as_strategy(mode, path_parameters=fixed))
    def tried(case: Case) -> None:
        answer = case.call(headers=headers)
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            wrong.append(str(failure))

    with contextlib.suppress(Unsatisfiable):  # everything fits an operation that takes nothing
        tried()
    return wrong


@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_is_answered_by_what_the_document_does_not_describe(
    stack: Stack, shop: Project, document: dict[str, Any], mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=stack.url)
    ids = known_ids(shop)
    found: dict[str, list[str]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in OF_THE_PROCESS:
            continue
        # What a deletion takes away would be missing for the others.
        fixed = parameters(operation.path, ids)
        if operation.method == "delete":
            fixed = {name: fixed[name] for name in ("project_id", "key") if name in fixed}
        headers = {"Authorization": f"Bearer {shop.secret_key}"}
        if wrong := drawn(operation, mode, fixed, headers):
            found[f"{operation.method.upper()} {operation.path}"] = wrong[:2]
    assert not found, "\n\n".join(f"{name}\n{text}" for name, texts in found.items() for text in texts)
