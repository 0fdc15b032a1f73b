"""Events (seed S0): ``/v1/projects/{id}/events`` and ``/conversions``."""

from typing import Any, Final

from tests.pipeline.bad_input.case import ID, TEXT, Case, Endpoint

EVENTS: Final = Endpoint("POST", "/v1/projects/{project}/events", {"event_type": "event", "event_name": "x"})
CONVERSIONS: Final = Endpoint("POST", "/v1/projects/{project}/conversions", {"event_name": "purchase", "revenue": 1})
IDS: Final = {
    "event_id": 256,
    "messageId": 256,
    "message_id": 256,
    "user_id": 256,
    "anonymous_id": 256,
    "session_id": 256,
    "click_id": 512,
    "order_id": 100,
}
TEXTS: Final = {"event_type": 64, "event_name": 256, "url": 8192, "referrer": 8192, "currency": 16}
MONEY: Final[tuple[tuple[Any, str], ...]] = (
    ("12,5", "text with a comma"),
    ("1e3", "text with an exponent"),
    ("ten", "words"),
    ("NaN", "no number"),
    ("Infinity", "infinite"),
    (" 1", "text with a space"),
    (-1, "negative"),
    (10**15, "too large"),
    (True, "a boolean"),
    ([1], "a list"),
    ({"a": 1}, "an object"),
)
TIMES: Final = (
    ("yesterday", "words"),
    ("2026-13-01T00:00:00Z", "in a thirteenth month"),
    ("1899-12-31", "too early"),
    ("2026-01-01T25:00:00Z", "at 25 o'clock"),
    (10**20, "too late"),
)


def both(endpoint: Endpoint) -> list[Case]:
    """What is refused by either route."""
    cases = endpoint.strangers(scope="events:write", public=True)
    for field, limit in IDS.items():
        cases += endpoint.wrong(field, ID, 400, "wrong_type")
        cases += endpoint.wrong(field, [("x" * (limit + 1), "too long")], 422, "too_long")
    for field, limit in TEXTS.items():
        if field != "event_type" or endpoint is EVENTS:
            cases += endpoint.wrong(field, TEXT, 400, "wrong_type")
            cases += endpoint.wrong(field, [("x" * (limit + 1), "too long")], 422, "too_long")
    cases += endpoint.wrong("revenue", MONEY, 422, "invalid_money")
    cases += endpoint.wrong("currency", [("XXQ", "unknown"), ("US", "too short")], 422, "invalid_currency")
    cases += endpoint.wrong("timestamp", TIMES, 422, "invalid_timestamp")
    cases += endpoint.wrong("timestamp", [(True, "a boolean"), ([1], "a list")], 400, "wrong_type")
    for field in ("properties", "context"):
        cases += endpoint.wrong(field, [("x", "text"), (5, "a number"), ([1], "a list")], 400, "wrong_type")
    refused = [
        ("not JSON", 400, "malformed_json", b"{"),
        ("no body", 400, "malformed_json", b""),
        ("two documents", 400, "malformed_json", b"{}{}"),
        ("NaN", 400, "malformed_json", b'{"event_type":"x","event_name":"x","revenue":NaN}'),
        ("not UTF-8", 400, "malformed_json", b'{"event_name":"\xff"}'),
        ("text", 400, "wrong_type", "event"),
        ("null", 400, "wrong_type", None),
        ("an empty batch", 400, "empty_batch", []),
        ("an empty envelope", 400, "empty_batch", {"events": []}),
        ("a batch without a good event", 400, "wrong_type", [5, "x"]),
        ("nested too deep", 400, "too_deep", b"[" * 100_000),
        ("an event of 70 KB", 413, "too_large", endpoint.but("properties", {"a": "x" * 70_000})),
        ("1,001 events", 413, "too_many_events", [endpoint.body] * 1001),
        ("6 MB", 413, "too_large", b" " * 6_000_000),
    ]
    cases += [endpoint.case(what, status, code, body=body) for what, status, code, body in refused]
    by_field = [
        ("events", 400, "wrong_type", {"events": {}}),
        ("properties.order_id", 422, "too_long", endpoint.but("properties", {"order_id": "x" * 101})),
        ("context.campaign.source", 422, "too_long", endpoint.but("context", {"campaign": {"source": "x" * 513}})),
        ("url", 422, "invalid_text", b'{"event_type":"conversion","event_name":"x","url":"\\ud800"}'),
    ]
    cases += [endpoint.case(f"bad {field}", status, code, field, body=body) for field, status, code, body in by_field]
    by_header = [
        ("Content-Type", "text/xml", 415, "unsupported_media_type"),
        ("Content-Type", "application/json; charset=latin-1", 415, "unsupported_media_type"),
        ("Content-Encoding", "br", 415, "unsupported_media_type"),
        ("Content-Encoding", "gzip", 400, "bad_encoding"),
        ("Idempotency-Key", "k" * 257, 422, "too_long"),
    ]
    cases += [
        endpoint.case(f"{header} {value[:40]}", status, code, header, headers={header: value})
        for header, value, status, code in by_header
    ]
    old = endpoint.but("timestamp", "2020-01-01")
    return [
        *cases,
        endpoint.case("an unknown project", 404, "not_found", path=endpoint.path.replace("{project}", "nobody")),
        endpoint.case("a secret key in the URL", 401, "unauthorized", path=endpoint.path + "?key={secret}", key="none"),
        endpoint.case("old, by a public key", 422, "timestamp_too_old", "timestamp", body=old, key="public"),
    ]


CASES: Final = [
    *both(EVENTS),
    EVENTS.missing("event_type"),
    *EVENTS.wrong("event_type", [(None, "null"), ("", "empty")], 400, "missing_field"),
    *both(CONVERSIONS),
    CONVERSIONS.missing("event_name"),
    CONVERSIONS.case("another type", 422, "invalid_value", "event_type", body={"event_type": "pageview"}),
]
