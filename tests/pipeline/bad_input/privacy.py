"""Persons who are forgotten, the key of their addresses, and a payment provider's orders."""

from typing import Final

from tests.pipeline.bad_input.case import TEXT, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON

FORGET: Final = Endpoint("POST", "/v1/projects/{project}/people/forget", {"user_id": "u"})
FORGOTTEN: Final = Endpoint("GET", "/v1/projects/{project}/people/forget/{unknown_event}")
KEY: Final = Endpoint("DELETE", "/v1/projects/{project}/contact-key")
ORDER: Final = {"order_id": "o", "amount": "1.00", "currency": "USD", "time": "2026-01-01T00:00:00Z"}
RECONCILE: Final = Endpoint("POST", "/v1/projects/{project}/reconcile", [ORDER])
CSV: Final = {"Content-Type": "text/csv"}

CASES: Final = [
    *FORGET.strangers(scope="analytics:write"),
    FORGET.missing("user_id"),
    *FORGET.wrong("user_id", TEXT, 400, "wrong_type"),
    *FORGET.wrong("user_id", [("", "empty"), (" ", "blank")], 422, "invalid_value"),
    *FORGET.wrong("user_id", [("x" * 513, "too long")], 422, "too_long"),
    *FORGET.wrong("email", [("ann@example.com", "there, too")], 422, "invalid_value"),
    *FORGET.wrong("mode", [("burn", "unknown")], 422, "invalid_value"),
    *FORGET.wrong("mode", [(5, "a number"), (None, "null")], 400, "wrong_type"),
    *(FORGET.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
    *FORGOTTEN.strangers(scope="analytics:read"),
    FORGOTTEN.case("unknown", 404, "not_found"),
    *KEY.strangers(scope="analytics:write"),
    *RECONCILE.strangers(scope="analytics:read"),
    RECONCILE.case("XML", 415, "unsupported_media_type", "Content-Type", headers={"Content-Type": "text/xml"}),
    RECONCILE.case("not JSON", 400, "malformed_json", body=b"["),
    RECONCILE.case("text", 400, "wrong_type", "orders", body="x"),
    RECONCILE.case("no column", 400, "missing_field", "order_id", body=b"a,b\n1,2\n", headers=CSV),
    *(
        RECONCILE.case(query, 422, code, query.partition("=")[0], path=f"{RECONCILE.path}?{query}")
        for query, code in (
            ("from=x", "invalid_timestamp"),
            ("to=x", "invalid_timestamp"),
            ("tolerance_s=-1", "invalid_value"),
            ("limit=-1", "invalid_value"),
            ("limit=x", "invalid_value"),
        )
    ),
]
