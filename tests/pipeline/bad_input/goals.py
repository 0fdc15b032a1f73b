"""Goals of a site (seed S2) and their stats."""

from typing import Final

from tests.pipeline.bad_input.case import TEXT, Case, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON, of_one

GOALS: Final = "/api/v1/analytics/sites/{site}/goals"
GOAL: Final = {"name": "x", "type": "event", "match_type": "exact", "match_value": "x"}
NEW: Final = Endpoint("POST", GOALS, GOAL)
CHANGED: Final = Endpoint("PATCH", f"{GOALS}/{{goal}}", {"name": "x"})
STATS: Final = Endpoint("GET", f"{GOALS}/{{goal}}/stats")


def fields(endpoint: Endpoint) -> list[Case]:
    """What is refused of a goal, new or changed."""
    cases: list[Case] = []
    for field in ("name", "type", "match_type", "match_value"):
        cases += endpoint.wrong(field, [*TEXT, (None, "null")], 400, "wrong_type")
    cases += endpoint.wrong("currency", TEXT, 400, "wrong_type")
    cases += endpoint.wrong("name", [(" ", "empty")], 422, "invalid_value")
    cases += endpoint.wrong("name", [("x" * 201, "too long")], 422, "too_long")
    cases += endpoint.wrong("name", [("a\0b", "not printable")], 422, "invalid_text")
    cases += endpoint.wrong("type", [("page", "unknown"), ("", "empty")], 422, "invalid_value")
    cases += endpoint.wrong("match_type", [("prefix", "unknown")], 422, "invalid_value")
    cases += endpoint.wrong("match_value", [("", "empty")], 422, "invalid_value")
    cases += endpoint.wrong("match_value", [("x" * 1025, "too long")], 422, "too_long")
    cases += endpoint.wrong("match_value", [("a\nb", "two lines")], 422, "invalid_text")
    cases += endpoint.wrong("currency", [("XXQ", "unknown"), ("", "empty")], 422, "invalid_currency")
    for value, what, status, code in (
        ("a(b", "not closed", 422, "invalid_regex"),
        ("(?<=a)b", "looking back", 422, "invalid_regex"),
        ("ä" * 129, "too long", 422, "too_long"),
    ):
        body = {**endpoint.body, "match_type": "regex", "match_value": value}
        cases.append(endpoint.case(f"a regex is {what}", status, code, "match_value", body=body))
    cases += [endpoint.case(what, status, code, body=body) for body, what, status, code in NOT_JSON]
    cases.append(endpoint.case("nested too deep", 400, "too_deep", body=b"[" * 20_000))
    cases.append(endpoint.case("100 KB", 413, "too_large", body={**endpoint.body, "name": "x" * 100_000}))
    return cases


CASES: Final = [
    *NEW.strangers(scope="analytics:write"),
    *fields(NEW),
    *(NEW.missing(field) for field in GOAL),
    NEW.case("an unknown site", 404, "not_found", path=GOALS.replace("{site}", "site_unknown")),
    *CHANGED.strangers(scope="analytics:write"),
    *fields(CHANGED),
    *of_one(CHANGED, "{goal}"),
    *Endpoint("GET", GOALS).strangers(scope="analytics:read"),
    *(
        case
        for method, scope in (("GET", "analytics:read"), ("DELETE", "analytics:write"))
        for endpoint in (Endpoint(method, f"{GOALS}/{{goal}}"),)
        for case in (*endpoint.strangers(scope=scope), *of_one(endpoint, "{goal}"))
    ),
    *STATS.strangers(scope="analytics:read"),
    *of_one(STATS, "{goal}"),
    *(
        STATS.case(query, status, code, field, path=f"{STATS.path}?{query}")
        for query, status, code, field in (
            ("period=1d", 422, "invalid_value", "period"),
            ("period=", 422, "invalid_value", "period"),
            ("period=custom", 400, "missing_field", "from"),
            ("period=custom&from=2026-01-01", 400, "missing_field", "to"),
            ("period=custom&from=2026-02-30&to=2026-03-01", 422, "invalid_value", "from"),
            ("period=custom&from=1.1.2026&to=2026-03-01", 422, "invalid_value", "from"),
            ("period=custom&from=2026-03-02&to=2026-03-01", 422, "invalid_value", "to"),
            ("period=custom&from=1800-01-01&to=2026-03-01", 422, "invalid_value", "from"),
        )
    ),
]
