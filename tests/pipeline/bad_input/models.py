"""Data-driven models, and the reports that credit touches."""

from typing import Final

from tests.pipeline.bad_input.case import TEXT, Endpoint
from tests.pipeline.bad_input.links import NOT_JSON
from tests.pipeline.bad_input.reports import PERIODS, REPORTS

PATH: Final = "/v1/projects/{project}/models"
MODEL: Final = {"model": "markov", "dimension": "source", "from": "2026-01-01", "to": "2026-01-31"}
NEW: Final = Endpoint("POST", PATH, MODEL)
ONE: Final = Endpoint("GET", f"{PATH}/{{unknown_event}}")
ATTRIBUTION: Final = Endpoint("GET", f"{REPORTS}/attribution")
REVENUE: Final = Endpoint("GET", f"{REPORTS}/revenue")

CASES: Final = [
    *NEW.strangers(scope="analytics:write"),
    *(NEW.missing(field) for field in MODEL),
    *(case for field in MODEL for case in NEW.wrong(field, [*TEXT, (None, "null")], 400, "wrong_type")),
    *NEW.wrong("model", [("oracle", "unknown")], 422, "invalid_value"),
    *NEW.wrong("dimension", [("moon", "unknown")], 422, "invalid_value"),
    *NEW.wrong("from", [("x", "no day"), ("2026-02-30", "no day of any month")], 422, "invalid_value"),
    *NEW.wrong("to", [("2025-12-31", "before from")], 422, "invalid_value"),
    *NEW.wrong("order", [(0, "too low"), (3, "too high")], 422, "invalid_value"),
    *NEW.wrong("time_zone", [("Mars/Base", "unknown")], 422, "invalid_value"),
    *(NEW.case(what, status, code, body=body) for body, what, status, code in NOT_JSON),
    *Endpoint("GET", PATH).strangers(scope="analytics:read"),
    *ONE.strangers(scope="analytics:read"),
    ONE.case("unknown", 404, "not_found"),
    ONE.case("no id", 404, "not_found", path=f"{PATH}/x"),
    *ATTRIBUTION.strangers(scope="analytics:read"),
    *(
        ATTRIBUTION.case(query, status, code, field, path=f"{ATTRIBUTION.path}?{query}")
        for query, status, code, field in (
            *PERIODS,
            ("model=oracle", 422, "invalid_value", "model"),
            ("model=linear,first_touch,last_touch", 422, "invalid_value", "model"),
            ("model=linear&compare=oracle", 422, "invalid_value", "compare"),
            ("dimension=moon", 422, "invalid_value", "dimension"),
            ("scope=x", 422, "invalid_value", "scope"),
            ("goal={unknown_goal}", 404, "not_found", "goal"),
            ("goal={other_goal}", 404, "not_found", "goal"),
            ("as_of=yesterday", 422, "invalid_value", "as_of"),
        )
    ),
    *REVENUE.strangers(scope="analytics:read"),
    *(
        REVENUE.case(query, status, code, field, path=f"{REVENUE.path}?{query}")
        for query, status, code, field in (*PERIODS, ("by=x", 422, "invalid_value", "by"))
    ),
]
