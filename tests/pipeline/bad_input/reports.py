"""Reports, receipts, the ledger, dead letters."""

from typing import Final

from tests.pipeline.bad_input.case import Case, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON, of_one

REPORTS: Final = "/v1/projects/{project}/reports"
RECEIPT: Final = Endpoint("GET", "/v1/projects/{project}/events/{event}/receipt")
PERIODS: Final = (
    ("period=1d", 422, "invalid_value", "period"),
    ("period=custom", 400, "missing_field", "from"),
    ("period=custom&from=2026-01-01", 400, "missing_field", "to"),
    ("period=custom&from=x&to=2026-01-01", 422, "invalid_value", "from"),
    ("time_zone=Mars/Base", 422, "invalid_value", "time_zone"),
)
FILTERS: Final = tuple(
    (f"{field}={value}", 422, code, field)
    for field in ("source", "medium", "campaign", "channel")
    for value, code in (("x" * 513, "too_long"), ("%00", "invalid_text"))
)
CHOICES: Final = (("interval=year", 422, "invalid_value", "interval"), ("model=x", 422, "invalid_value", "model"))
OF: Final[dict[str, tuple[tuple[str, int, str, str], ...]]] = {
    "goals": (*PERIODS, *FILTERS, *CHOICES),
    "sources": (*PERIODS, *FILTERS, *CHOICES),
    "funnel": (
        ("", 400, "missing_field", "step"),
        ("step=conversion", 422, "invalid_value", "step"),
        ("step=conversion&step=x:y", 422, "invalid_value", "step"),
        ("step=conversion&step=event:prefix:x", 422, "invalid_value", "step"),
        ("step=conversion&step=page:exact:x", 422, "invalid_value", "step"),
        ("step=conversion&step=event:regex:a(b", 422, "invalid_regex", "step"),
        ("step=conversion&step={unknown_goal}", 404, "not_found", "step"),
        ("step=conversion&step={other_goal}", 404, "not_found", "step"),
        ("step=conversion&step=conversion&window=0d", 422, "invalid_value", "window"),
        ("step=conversion&step=conversion&window=x", 422, "invalid_value", "window"),
        *((f"step=conversion&step=conversion&{query}", *expected) for query, *expected in PERIODS),
    ),
    "conversions": PERIODS,
    "retention": (
        *PERIODS,
        ("weeks=-1", 422, "invalid_value", "weeks"),
        ("weeks=261", 422, "invalid_value", "weeks"),
        ("weeks=x", 422, "invalid_value", "weeks"),
        ("period=custom&from=2000-01-01&to=2026-01-01", 422, "invalid_value", "from"),
    ),
}  # fmt: skip


def of_report(name: str) -> list[Case]:
    report = Endpoint("GET", f"{REPORTS}/{name}")
    cases = report.strangers(scope="analytics:read")
    cases.append(report.case("an unknown project", 404, "not_found", path=report.path.replace("{project}", "nobody")))
    return cases + [
        report.case(query or "no query", status, code, field, path=f"{report.path}?{query}")
        for query, status, code, field in OF[name]
    ]


RETENTION: Final = Endpoint("GET", f"{REPORTS}/retention")
EXPLAINED: Final = Endpoint("GET", "/v1/projects/{project}/conversions/{unknown_event}/explain")
LETTERS: Final = Endpoint("GET", "/v1/dead-letters")
LEDGER: Final = Endpoint("GET", "/v1/ledger")
DECIDED: Final = tuple(
    Endpoint("POST", f"/v1/dead-letters/{verb}", {"stage": "events"}) for verb in ("replay", "discard")
)
ONE_DECIDED: Final = tuple(Endpoint("POST", f"/v1/dead-letters/x/{verb}") for verb in ("replay", "discard"))

CASES: Final = [
    *EXPLAINED.strangers(scope="analytics:read"),
    EXPLAINED.case("unknown", 404, "not_found", "conversion_id"),
    EXPLAINED.case("no id", 404, "not_found", "conversion_id", path=EXPLAINED.path.replace("{unknown_event}", "x")),
    *(case for name in OF for case in of_report(name)),
    RETENTION.case("an unknown goal", 404, "not_found", "goal", path=f"{RETENTION.path}?goal={{unknown_goal}}"),
    RETENTION.case("another tenant's goal", 404, "not_found", "goal", path=f"{RETENTION.path}?goal={{other_goal}}"),
    *RECEIPT.strangers(scope="analytics:read"),
    *(case._replace(field="event_id") for case in of_one(RECEIPT, "{event}")),
    RECEIPT.case("a long id", 404, "not_found", "event_id", path=RECEIPT.path.replace("{event}", "x" * 257)),
    *LEDGER.strangers(scope="analytics:read", other=False),
    *LETTERS.strangers(scope="projects:admin", other=False),
    *(
        LETTERS.case(query, 422, "invalid_value", query.partition("=")[0], path=f"{LETTERS.path}?{query}", key="admin")
        for query in ("stage=ingest", "reason=bad", "limit=0", "limit=1001", "limit=x")
    ),
    *(
        case if "key" in case.name else case._replace(key="admin")
        for decided in DECIDED
        for case in (
            *decided.strangers(scope="projects:admin", other=False),
            decided.missing("stage"),
            *decided.wrong("stage", [("ingest", "unknown")], 422, "invalid_value"),
            *decided.wrong("stage", [(5, "a number"), ({}, "an object")], 400, "wrong_type"),
            *decided.wrong("reason", [("bad", "unknown")], 422, "invalid_value"),
            *decided.wrong("limit", [(0, "too low"), (10**9, "too high")], 422, "invalid_value"),
            *decided.wrong("limit", [("x", "text")], 400, "wrong_type"),
            *(decided.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
        )
    ),
    *(
        case if "key" in case.name else case._replace(key="admin")
        for decided in ONE_DECIDED
        for case in (*decided.strangers(scope="projects:admin", other=False), decided.case("unknown", 404, "not_found"))
    ),
    Case("an unknown page", "GET", "/v1/nowhere", 404, "not_found"),
    Case("an unknown method", "PUT", "/v1/projects", 405, "method_not_allowed"),
]
