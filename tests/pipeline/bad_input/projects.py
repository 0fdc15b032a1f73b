"""Projects and keys."""

from typing import Final

from tests.pipeline.bad_input.case import NUMBER, TEXT, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON, of_one

NEW: Final = Endpoint("POST", "/v1/projects", {"name": "x"})
CHANGED: Final = Endpoint("PATCH", "/v1/projects/{project}", {"name": "x"})
NEW_KEY: Final = Endpoint("POST", "/v1/projects/{project}/keys", {"kind": "secret", "scopes": ["analytics:read"]})
REVOKED: Final = Endpoint("DELETE", "/v1/projects/{project}/keys/{key}")
READ: Final = Endpoint("GET", "/v1/projects/{project}")
KEYS: Final = Endpoint("GET", "/v1/projects/{project}/keys")

CASES: Final = [
    *NEW.strangers(scope="projects:admin", other=False),
    *(
        case._replace(key="admin" if endpoint is NEW else "secret")
        for endpoint in (NEW, CHANGED)
        for case in (
            *endpoint.wrong("name", [*TEXT, (None, "null")], 400, "wrong_type"),
            *endpoint.wrong("name", [(" ", "empty")], 422, "invalid_value"),
            *endpoint.wrong("name", [("x" * 201, "too long")], 422, "too_long"),
            *endpoint.wrong("time_zone", TEXT, 400, "wrong_type"),
            *endpoint.wrong("time_zone", [("Mars/Base", "unknown"), ("localtime", "local")], 422, "invalid_value"),
            *(endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
        )
    ),
    NEW.missing("name")._replace(key="admin"),
    *CHANGED.strangers(scope="analytics:write"),
    *CHANGED.wrong("lookback_days", [(0, "too short"), (3651, "too long")], 422, "invalid_value"),
    *CHANGED.wrong("lookback_days", NUMBER, 400, "wrong_type"),
    CHANGED.case("unknown", 404, "not_found", path="/v1/projects/nobody"),
    *READ.strangers(scope="analytics:read"),
    *Endpoint("GET", "/v1/projects").strangers(scope="analytics:read", other=False),
    *NEW_KEY.strangers(scope="analytics:write"),
    NEW_KEY.missing("kind"),
    NEW_KEY.missing("scopes"),
    *NEW_KEY.wrong("kind", TEXT, 400, "wrong_type"),
    *NEW_KEY.wrong("kind", [("master", "unknown")], 422, "invalid_value"),
    *NEW_KEY.wrong("scopes", [("events:write", "text"), (5, "a number"), (None, "null")], 400, "wrong_type"),
    *NEW_KEY.wrong("scopes", [(["everything"], "unknown")], 422, "invalid_value", named="scopes[0]"),
    *NEW_KEY.wrong("scopes", [([5], "a number inside")], 400, "wrong_type", named="scopes[0]"),
    *NEW_KEY.wrong("scopes", [([], "empty")], 422, "invalid_value"),
    *NEW_KEY.wrong("scopes", [(["projects:admin"], "more than one's own")], 403, "insufficient_scope"),
    *NEW_KEY.wrong("name", TEXT, 400, "wrong_type"),
    *NEW_KEY.wrong("name", [("x" * 201, "too long")], 422, "too_long"),
    *NEW_KEY.wrong("kind", [("public", "public, and not its scopes")], 422, "invalid_value", named="scopes"),
    *KEYS.strangers(scope="analytics:read"),
    *REVOKED.strangers(scope="analytics:write"),
    *of_one(REVOKED, "{key}"),
]  # fmt: skip
