"""Destinations, and what was delivered to them."""

from typing import Final

from tests.pipeline.bad_input.case import TEXT, Case, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON, of_one

PATH: Final = "/v1/projects/{project}/destinations"
NEW: Final = Endpoint("POST", PATH, {"name": "x", "url": "https://shop.example/hook"})
CHANGED: Final = Endpoint("PATCH", f"{PATH}/{{destination}}", {"name": "x"})
DELIVERIES: Final = Endpoint("GET", "/v1/projects/{project}/deliveries")
REPLAYED: Final = Endpoint("POST", "/v1/projects/{project}/deliveries/{event}/replay")
ALL_REPLAYED: Final = Endpoint("POST", f"{PATH}/{{destination}}/replay")
UNKNOWN: Final = "/v1/projects/{project}/deliveries/{unknown_event}/replay"


def fields(endpoint: Endpoint) -> list[Case]:
    """What is refused of a destination, new or changed."""
    urls = (
        ("ftp://x.example/", "of another scheme"),
        ("x", "no URL"),
        ("https://user:password@x.example/", "with a password"),
        ("https://x.example:22/", "of a low port"),
    )
    cases: list[Case] = []
    for field in ("name", "url", "access_token", "consent"):
        cases += endpoint.wrong(field, [*TEXT, (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong("name", [(" ", "empty")], 422, "invalid_value")
    cases += endpoint.wrong("name", [("x" * 201, "too long")], 422, "too_long")
    cases += endpoint.wrong("url", urls, 422, "invalid_value")
    cases += endpoint.wrong("url", [("https://x.example/" + "x" * 2048, "too long")], 422, "too_long")
    cases += endpoint.wrong("options", [("x", "text"), (5, "a number"), (["x"], "a list")], 400, "wrong_type")
    cases += endpoint.wrong("options", [({"a": "x" * 513}, "too long")], 422, "too_long")
    cases += endpoint.wrong("events", [("x", "text"), (5, "a number"), ({}, "an object")], 400, "wrong_type")
    cases += endpoint.wrong("events", [(["x"] * 65, "too many")], 422, "too_long")
    cases += endpoint.wrong("consent", [("sometimes", "unknown")], 422, "invalid_value")
    cases += endpoint.wrong("enabled", [("maybe", "text"), ([True], "a list"), (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong("access_token", [("x", "a postback's")], 422, "invalid_value")
    return [*cases, *(endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON)]


CASES: Final = [
    *NEW.strangers(scope="analytics:write"),
    *fields(NEW),
    NEW.missing("name"),
    NEW.missing("url"),
    *NEW.wrong("kind", TEXT, 400, "wrong_type"),
    *NEW.wrong("kind", [("fax", "unknown")], 422, "invalid_value"),
    *CHANGED.strangers(scope="analytics:write"),
    *fields(CHANGED),
    *of_one(CHANGED, "{destination}"),
    *Endpoint("GET", PATH).strangers(scope="analytics:read"),
    *(
        case
        for method, rest, scope in (
            ("GET", "", "analytics:read"),
            ("DELETE", "", "analytics:write"),
            ("POST", "/secret", "analytics:write"),
            ("POST", "/replay", "analytics:write"),
        )
        for endpoint in (Endpoint(method, f"{PATH}/{{destination}}{rest}"),)
        for case in (*endpoint.strangers(scope=scope), *of_one(endpoint, "{destination}"))
    ),
    *DELIVERIES.strangers(scope="analytics:read"),
    *(
        DELIVERIES.case(query, 422, "invalid_value", query.partition("=")[0], path=f"{DELIVERIES.path}?{query}")
        for query in ("conversion=x", "outcome=lost", "limit=0", "limit=x")
    ),
    *REPLAYED.strangers(scope="analytics:write"),
    REPLAYED.case("unknown", 404, "not_found", path=UNKNOWN),
    REPLAYED.case("no id", 404, "not_found", path=UNKNOWN.replace("{unknown_event}", "x")),
]
