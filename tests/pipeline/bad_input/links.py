"""Links (seed S1): links, their goals and tokens, postbacks, pixels, redirects, analytics."""

from typing import Any, Final

from tests.pipeline.bad_input.case import ID, NUMBER, TEXT, Case, Endpoint
from tests.pipeline.bad_input.events import MONEY

LINKS: Final = "/api/v1/links"
GOALS: Final = "/api/v1/conversions/goals"
NEW_LINK: Final = Endpoint("POST", LINKS, {"destination": "https://shop.example/"})
CHANGED_LINK: Final = Endpoint("PATCH", f"{LINKS}/{{link}}", {"name": "x"})
NEW_GOAL: Final = Endpoint("POST", GOALS, {"goal": {"name": "x", "goal_type": "purchase"}})
CHANGED_GOAL: Final = Endpoint("PATCH", f"{GOALS}/{{link_goal}}", {"goal": {"name": "x"}})
REVOKED: Final = Endpoint("DELETE", f"{GOALS}/{{link_goal}}/tokens/{{token_id}}")
TRACK: Final = Endpoint("POST", "/api/conversions/track/{token}", {"value": 1, "currency": "USD"})
TRACK_BY_BODY: Final = Endpoint(
    "POST", "/api/v1/conversions/track", {"postback_token": "{token}", "value": 1, "currency": "USD"}
)
ANALYTICS: Final = Endpoint("GET", "/api/v1/analytics/conversions")
UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
NOT_JSON: Final[tuple[tuple[bytes, str, int, str], ...]] = (
    (b"", "no body", 400, "malformed_json"),
    (b"{", "not JSON", 400, "malformed_json"),
    (b"[]", "a list", 400, "wrong_type"),
    (b'"x"', "text", 400, "wrong_type"),
)


def link_fields(endpoint: Endpoint) -> list[Case]:
    """What is refused of a link, new or changed."""
    destinations = (
        ("javascript:alert(1)", "a script"),
        ("/relative", "relative"),
        ("ftp://x.example/", "of another scheme"),
        ("https://", "without a host"),
        ("https://x.example:99999/", "of no port"),
    )
    slugs = (("a/b", "a path"), ("-a", "a hyphen first"), ("", "empty"), ("x" * 65, "too long"), ("ä", "not ASCII"))
    cases = endpoint.wrong("destination", destinations, 422, "invalid_value")
    cases += endpoint.wrong("destination", [("https://x.example/\n", "two lines")], 422, "invalid_text")
    cases += endpoint.wrong("destination", [("https://x.example/" + "x" * 2048, "too long")], 422, "too_long")
    cases += endpoint.wrong("slug", slugs, 422, "invalid_value")
    cases += endpoint.wrong("name", [("x" * 201, "too long")], 422, "too_long")
    cases += endpoint.wrong("name", [("a\0b", "not printable")], 422, "invalid_text")
    for field in UTM:
        cases += endpoint.wrong(field, [("x" * 513, "too long")], 422, "too_long")
        cases += endpoint.wrong(field, [("a\nb", "two lines")], 422, "invalid_text")
    for field in ("destination", "slug", "name", *UTM):
        cases += endpoint.wrong(field, [*TEXT, (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong("slug", [("{other_slug}", "of another tenant")], 409, "conflict")
    cases.append(endpoint.case("link is text", 400, "wrong_type", "link", body={"link": "x"}))
    return [*cases, *(endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON)]


def goal_fields(endpoint: Endpoint) -> list[Case]:
    """What is refused of a goal, new or changed. Inside ``goal`` JSON types are told with their path."""
    cases = endpoint.wrong("goal.name", [*TEXT, (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong("goal.name", [(" ", "empty")], 422, "invalid_value", named="name")
    cases += endpoint.wrong("goal.name", [("x" * 201, "too long")], 422, "too_long", named="name")
    cases += endpoint.wrong("goal.goal_type", [("sale", "unknown")], 422, "invalid_value")
    cases += endpoint.wrong("goal.goal_type", [(5, "a number"), (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong(
        "goal.value", [(-1, "negative"), (10**15, "too large")], 422, "invalid_money", named="value"
    )
    cases += endpoint.wrong(
        "goal.value", [("NaN", "no number"), ("1e400", "beyond all")], 422, "invalid_money", named="value"
    )
    cases += endpoint.wrong("goal.value", [("12,5", "text with a comma")], 422, "invalid_money")
    cases += endpoint.wrong("goal.value", [(True, "a boolean"), ([1], "a list")], 400, "wrong_type")
    cases += endpoint.wrong("goal.currency", [("XXQ", "unknown")], 422, "invalid_currency", named="currency")
    cases += endpoint.wrong("goal.currency", TEXT, 400, "wrong_type")
    urls = [("ftp://x.example/", "of another scheme"), ("x", "no URL")]
    cases += endpoint.wrong("goal.postback_url", urls, 422, "invalid_value", named="postback_url")
    cases += endpoint.wrong("goal.postback_url", TEXT, 400, "wrong_type")
    cases += endpoint.wrong("goal.window_days", [(0, "too short"), (366, "too long")], 422, "invalid_value")
    cases += endpoint.wrong("goal.window_days", NUMBER, 400, "wrong_type")
    cases.append(endpoint.missing("goal"))
    cases += endpoint.wrong("goal", TEXT[:3], 400, "wrong_type")
    return [*cases, *(endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON)]


def postback_fields(endpoint: Endpoint) -> list[Case]:
    """What is refused of a postback, wherever its token is."""
    cases = endpoint.wrong("value", MONEY, 422, "invalid_money")
    cases += endpoint.wrong("currency", TEXT, 400, "wrong_type")
    cases += endpoint.wrong("currency", [("XXQ", "unknown")], 422, "invalid_currency")
    for field, limit in (("order_id", 100), ("click_id", 512), ("user_id", 256)):
        cases += endpoint.wrong(field, ID, 400, "wrong_type")
        cases += endpoint.wrong(field, [("x" * (limit + 1), "too long")], 422, "too_long")
    cases += endpoint.wrong("ip", [("300.1.1.1", "no address"), ("x", "text")], 422, "invalid_value")
    cases += endpoint.wrong("ip", TEXT, 400, "wrong_type")
    cases += endpoint.wrong("user_agent", TEXT, 400, "wrong_type")
    cases += endpoint.wrong("user_agent", [("x" * 1025, "too long")], 422, "too_long")
    cases += endpoint.wrong("timestamp", [("yesterday", "words")], 422, "invalid_timestamp")
    cases += [endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON]
    large: Any = endpoint.but("note", "x" * 70_000)
    return [
        *cases,
        endpoint.case("a lone surrogate", 422, "invalid_text", "order_id", body=b'{"order_id":"\\ud800"}'),
        endpoint.case("one in a list", 400, "wrong_type", body=[endpoint.body]),
        endpoint.case("two conversions", 400, "wrong_type", body=[endpoint.body, endpoint.body]),
        endpoint.case("70 KB", 413, "too_large", body=large),
        endpoint.case("a form", 415, "unsupported_media_type", "Content-Type", headers={"Content-Type": "text/csv"}),
    ]


def of_one(endpoint: Endpoint, named: str) -> list[Case]:
    """An object that is not there, or is another tenant's."""
    unknown, other = (endpoint.path.replace(named, f"{{{who}_{named[1:]}") for who in ("unknown", "other"))
    return [
        endpoint.case("unknown", 404, "not_found", path=unknown),
        endpoint.case("another tenant's", 404, "not_found", path=other),
    ]


PIXELS: Final = (
    ("/api/conversions/track/{unknown_token}?value=1", 401),
    ("/api/conversions/track/x?value=1", 401),
    ("/api/conversions/track/{token}?value=12,5", 422),
    ("/api/conversions/track/{token}?value=-1", 422),
    ("/api/conversions/track/{token}?value=1&currency=XXQ", 422),
    (f"/api/conversions/track/{{token}}?value=1&order_id={'x' * 101}", 422),
    ("/api/conversions/track/{token}?value=1&ip=x&user_agent=y", 422),
)
"""Refused pixels: an image whatever happens, so only the status tells."""

CASES: Final = [
    *NEW_LINK.strangers(scope="analytics:write", other=False),
    *link_fields(NEW_LINK),
    NEW_LINK.missing("destination"),
    *CHANGED_LINK.strangers(scope="analytics:write"),
    *link_fields(CHANGED_LINK),
    *of_one(CHANGED_LINK, "{link}"),
    *Endpoint("GET", LINKS).strangers(scope="analytics:read", other=False),
    *(
        case
        for method, scope in (("GET", "analytics:read"), ("DELETE", "analytics:write"))
        for endpoint in (Endpoint(method, f"{LINKS}/{{link}}"),)
        for case in (*endpoint.strangers(scope=scope), *of_one(endpoint, "{link}"))
    ),
    *NEW_GOAL.strangers(scope="analytics:write", other=False),
    *goal_fields(NEW_GOAL),
    NEW_GOAL.missing("goal.name", named="name"),
    NEW_GOAL.missing("goal.goal_type", named="goal_type"),
    *CHANGED_GOAL.strangers(scope="analytics:write"),
    *goal_fields(CHANGED_GOAL),
    *of_one(CHANGED_GOAL, "{link_goal}"),
    *Endpoint("GET", GOALS).strangers(scope="analytics:read", other=False),
    *(
        case
        for method, rest, scope in (
            ("GET", "", "analytics:read"),
            ("DELETE", "", "analytics:write"),
            ("GET", "/tokens", "analytics:read"),
            ("POST", "/tokens", "analytics:write"),
        )
        for endpoint in (Endpoint(method, f"{GOALS}/{{link_goal}}{rest}"),)
        for case in (*endpoint.strangers(scope=scope), *of_one(endpoint, "{link_goal}"))
    ),
    *REVOKED.strangers(scope="analytics:write"),
    *of_one(REVOKED, "{token_id}"),
    REVOKED.case("of another tenant's goal", 404, "not_found", path=f"{GOALS}/{{other_link_goal}}/tokens/{{token_id}}"),
    REVOKED.case("of an unknown goal", 404, "not_found", path=f"{GOALS}/{{unknown_link_goal}}/tokens/{{token_id}}"),
    *postback_fields(TRACK),
    TRACK.case("an unknown token", 401, "unauthorized", path="/api/conversions/track/{unknown_token}"),
    TRACK.case("a text that is no token", 401, "unauthorized", path="/api/conversions/track/abc123"),
    TRACK.case("a key for a token", 401, "unauthorized", path="/api/conversions/track/{secret}"),
    TRACK.case("no token", 401, "unauthorized", path="/api/conversions/track/"),
    *postback_fields(TRACK_BY_BODY),
    TRACK_BY_BODY.missing("postback_token"),
    *TRACK_BY_BODY.wrong("postback_token", TEXT, 400, "wrong_type"),
    *TRACK_BY_BODY.wrong("postback_token", [("x" * 257, "too long")], 422, "too_long"),
    *(
        TRACK_BY_BODY.case(what, 401, "unauthorized", body=TRACK_BY_BODY.but("postback_token", text))
        for text, what in (("{unknown_token}", "an unknown token"), ("x", "no token"), ("{secret}", "a key"))
    ),
    Case("PUT a postback", "PUT", "/api/conversions/track/{token}", 405, "method_not_allowed"),
    Case("GET a postback by body", "GET", "/api/v1/conversions/track", 405, "method_not_allowed"),
    Case("POST to a link", "POST", "/l/{slug}", 405, "method_not_allowed"),
    Case("an unknown slug", "GET", "/l/nowhere", 404, "not_found"),
    Case("no slug", "GET", "/l/", 404, "not_found"),
    *ANALYTICS.strangers(scope="analytics:read", other=False),
    *(
        ANALYTICS.case(query, status, code, query.partition("=")[0], path=f"{ANALYTICS.path}?{query}")
        for query, status, code in (
            ("link_id=x", 422, "invalid_value"),
            ("link_id=", 422, "invalid_value"),
            ("link_id=1.5", 422, "invalid_value"),
            ("link_id=-1", 422, "invalid_value"),
            ("days=0", 422, "invalid_value"),
            ("days=3661", 422, "invalid_value"),
            ("days=x", 422, "invalid_value"),
            ("format=xml", 422, "invalid_value"),
        )
    ),
    ANALYTICS.case("an unknown link", 404, "not_found", "link_id", path=f"{ANALYTICS.path}?link_id={{unknown_link}}"),
    ANALYTICS.case("another's link", 404, "not_found", "link_id", path=f"{ANALYTICS.path}?link_id={{other_link}}"),
]  # fmt: skip
