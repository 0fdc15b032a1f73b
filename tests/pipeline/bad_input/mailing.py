"""E-mail conversions (seed S3), campaigns and flows."""

from typing import Final

from tests.pipeline.bad_input.case import ID, TEXT, Case, Endpoint
from tests.pipeline.bad_input.events import MONEY
from tests.pipeline.bad_input.links import NOT_JSON

PATH: Final = "/api/v1/conversions"
NEW: Final = Endpoint("POST", PATH, {"email": "ann@example.com", "type": "purchase"})
LIST: Final = Endpoint("GET", PATH)
NO_NUMBER: Final = ((True, "a boolean"), ([1], "a list"), ({"a": 1}, "an object"))


def named(kind: str) -> list[Case]:
    """What is refused of a name of a campaign or a flow."""
    put = Endpoint("PUT", f"/api/v1/{kind}/7a0c6f1e-3b52-4c8e-9d5f-2e1a4b6c8d90", {"name": "Summer Sale"})
    get = Endpoint("GET", f"/api/v1/{kind}/unknown")
    long = f"/api/v1/{kind}/{'x' * 257}"
    return [
        *put.strangers(scope="conversions:write", other=False),
        *put.wrong("name", [*TEXT, (None, "null")], 400, "wrong_type"),
        put.missing("name"),
        *put.wrong("name", [(" ", "empty")], 422, "invalid_value"),
        *put.wrong("name", [("x" * 201, "too long")], 422, "too_long"),
        put.case("a long id", 422, "too_long", "id", path=long),
        *(put.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
        *get.strangers(scope="conversions:read", other=False),
        get.case("unknown", 404, "not_found"),
        get.case("another tenant's", 404, "not_found", path=f"/api/v1/{kind}/{{other_{kind}}}"),
    ]


CASES: Final = [
    *NEW.strangers(scope="conversions:write", other=False),
    NEW.missing("email"),
    *NEW.wrong("email", [("", "empty"), (None, "null")], 400, "missing_field"),
    *NEW.wrong("email", TEXT, 400, "wrong_type"),
    *NEW.wrong("email", [("ann", "no address"), ("ann@", "half of one"), ("a b@x.at", "two")], 422, "invalid_value"),
    *NEW.wrong("email", [("a" * 250 + "@x.example", "too long")], 422, "too_long"),
    *NEW.wrong("contact_id", ID, 400, "wrong_type"),
    *NEW.wrong("contact_id", [("x" * 257, "too long")], 422, "too_long"),
    *NEW.wrong("type", TEXT, 400, "wrong_type"),
    *NEW.wrong("type", [("refund", "unknown"), ("Purchase", "in capitals")], 422, "invalid_value"),
    *NEW.wrong("revenue", [case for case in MONEY if case not in NO_NUMBER], 422, "invalid_money"),
    *NEW.wrong("revenue", NO_NUMBER, 400, "wrong_type"),
    *NEW.wrong("currency", TEXT, 400, "wrong_type"),
    *NEW.wrong("currency", [("XXQ", "unknown"), ("US", "too short")], 422, "invalid_currency"),
    *NEW.wrong("currency", [("x" * 17, "too long")], 422, "too_long"),
    *NEW.wrong("order_id", ID, 400, "wrong_type"),
    *NEW.wrong("order_id", [("x" * 101, "too long")], 422, "too_long"),
    *NEW.wrong("order_id", [("a\x1fb", "of two parts")], 422, "invalid_text"),
    *(
        case
        for field in ("campaign_id", "flow_id")
        for case in (
            *NEW.wrong(field, ID, 400, "wrong_type"),
            *NEW.wrong(field, [("x" * 257, "too long")], 422, "too_long"),
        )
    ),
    *NEW.wrong("attribution_model", TEXT, 400, "wrong_type"),
    *NEW.wrong("attribution_model", [("markov", "unknown")], 422, "invalid_value"),
    *NEW.wrong("attribution_window", [("7", "text"), (1.5, "a fraction"), *NO_NUMBER], 400, "wrong_type"),
    *NEW.wrong("attribution_window", [(0, "too short"), (91, "too long"), (-7, "negative")], 422, "invalid_value"),
    *NEW.wrong("metadata", [("x", "text"), (5, "a number"), ([1], "a list")], 400, "wrong_type"),
    *(NEW.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
    NEW.case("one in a list", 400, "wrong_type", body=[NEW.body]),
    NEW.case("two conversions", 400, "wrong_type", body=[NEW.body, NEW.body]),
    NEW.case("70 KB", 413, "too_large", body=NEW.but("metadata", {"a": "x" * 70_000})),
    NEW.case("CSV", 415, "unsupported_media_type", "Content-Type", headers={"Content-Type": "text/csv"}),
    NEW.case("a long key", 422, "too_long", "Idempotency-Key", headers={"Idempotency-Key": "k" * 257}),
    *LIST.strangers(scope="conversions:read", other=False),
    *(
        LIST.case(query, status, code, query.partition("=")[0], path=f"{PATH}?{query}")
        for query, status, code in (
            ("limit=1001", 400, "out_of_range"),
            ("limit=0", 400, "out_of_range"),
            ("limit=-1", 400, "out_of_range"),
            ("limit=many", 422, "invalid_value"),
            ("offset=-1", 400, "out_of_range"),
            ("offset=1.5", 422, "invalid_value"),
            ("type=refund", 422, "invalid_value"),
            ("type=", 422, "invalid_value"),
        )
    ),
    *named("campaigns"),
    *named("flows"),
]  # fmt: skip
