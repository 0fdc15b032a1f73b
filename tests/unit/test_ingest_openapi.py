"""The description of ingest's routes is true to their table, and to the examples that ingest takes and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from jsonschema import Draft202012Validator

from clickhouse.api.docs import merged, page
from ingest.openapi import OPERATIONS, document
from ingest.routes import METHODS, Route, find
from schemas.errors import Invariant

EXAMPLES = ROOT / "schemas" / "examples" / "events-raw"
DOCUMENT = document()


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


def body_of(route: Route) -> Draft202012Validator:
    schema = OPERATIONS[route, "POST"]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**DOCUMENT, **schema})


def test_every_route_and_method_is_described_and_nothing_else() -> None:
    table = {(route, method) for route, methods in METHODS.items() for method in methods}
    assert set(OPERATIONS) == {(route, method) for route, method in table if method not in ("OPTIONS", "HEAD")}
    assert set(METHODS) == set(Route)


@pytest.mark.parametrize("route", Route)
def test_a_template_finds_its_own_route(route: Route) -> None:
    found = find(
        route.replace("{project_id}", "x").replace("{token}", "x").replace("{slug}", "x").replace("{refunded}", "x")
    )
    assert found is not None
    assert (found.route, found.parameter) == (route, "x" if "{" in route else "")


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        validator(name).is_valid({})
    for operation in OPERATIONS.values():
        for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in holder.get("content", {}).values():
                Draft202012Validator({**DOCUMENT, **content["schema"]}).is_valid({})


@pytest.mark.parametrize("path", sorted((EXAMPLES / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_a_valid_example_fits_its_description(path: Path) -> None:
    body_of(Route.EVENTS).validate(json.loads(path.read_text()))


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted((EXAMPLES / "invalid").glob("*.json"))
        if any(
            reason in path.stem for reason in ("-missing_field-event_type", "-wrong_type-", "-too_long-", "empty_batch")
        )
        and "." not in path.stem.removeprefix("422-too_long-")
        # What these must be depends on the event's type.
        and not path.stem.endswith(("campaign_id", "flow_id"))
    ],
    ids=lambda path: path.stem,
)
def test_what_is_of_a_wrong_shape_does_not_fit_its_description(path: Path) -> None:
    # null is how some clients write a missing field: what must be there is not checked by a schema then.
    if not path.stem.endswith(("-null", "-empty")):
        assert not body_of(Route.EVENTS).is_valid(json.loads(path.read_text()))


def test_two_documents_are_one_without_a_doubled_method() -> None:
    get = {"/a": {"get": {"responses": {}}}}
    post = {"/a": {"post": {"responses": {}}}}
    assert merged({"info": {}, "paths": get}, {"paths": post})["paths"] == {"/a": {**get["/a"], **post["/a"]}}
    with pytest.raises(Invariant, match="/a describes get twice"):
        merged({"paths": get}, {"paths": get})


def test_the_page_shows_ingests_routes() -> None:
    whole: dict[str, Any] = merged({"info": {"title": "t", "version": "1"}, "paths": {}}, DOCUMENT)
    text = page(whole)
    assert [route for route in Route if route not in text] == []
