"""Refunds of a conversion."""

from typing import Final

from tests.pipeline.bad_input.case import ID, TEXT, Endpoint
from tests.pipeline.bad_input.events import MONEY, TIMES
from tests.pipeline.bad_input.mailing import NO_NUMBER

PATH: Final = "/v1/projects/{project}/conversions/{of}/refunds"
REFUND: Final = Endpoint("POST", PATH.replace("{of}", "ord_1"), {"refund_id": "r1", "amount": 1})
LONG: Final = "x" * 101

CASES: Final = [
    *REFUND.strangers(scope="conversions:write"),
    REFUND.missing("refund_id"),
    *REFUND.wrong("refund_id", ID, 400, "wrong_type"),
    *REFUND.wrong("refund_id", [("x" * 257, "too long")], 422, "too_long"),
    *REFUND.wrong("amount", [case for case in MONEY if case not in NO_NUMBER], 422, "invalid_money"),
    *REFUND.wrong("amount", [(0, "nothing")], 422, "invalid_money"),
    *REFUND.wrong("amount", NO_NUMBER, 400, "wrong_type"),
    *REFUND.wrong("currency", TEXT, 400, "wrong_type"),
    *REFUND.wrong("currency", [("XXQ", "unknown")], 422, "invalid_currency"),
    *REFUND.wrong("kind", TEXT, 400, "wrong_type"),
    *REFUND.wrong("kind", [("x" * 257, "too long")], 422, "too_long"),
    *REFUND.wrong("timestamp", TIMES, 422, "invalid_timestamp"),
    *REFUND.wrong("timestamp", [(True, "a boolean"), ([1], "a list")], 400, "wrong_type"),
    REFUND.case("not JSON", 400, "malformed_json", body=b"{"),
    REFUND.case("a list", 400, "wrong_type", body=[]),
    REFUND.case("two refunds", 400, "wrong_type", body=[REFUND.body, REFUND.body]),
    REFUND.case("text", 400, "wrong_type", body="x"),
    REFUND.case("70 KB", 413, "too_large", body=REFUND.but("note", "x" * 70_000)),
    REFUND.case("CSV", 415, "unsupported_media_type", "Content-Type", headers={"Content-Type": "text/csv"}),
    REFUND.case("a long key", 422, "too_long", "Idempotency-Key", headers={"Idempotency-Key": "k" * 257}),
    REFUND.case("a long order", 422, "too_long", "order_id", path=PATH.replace("{of}", LONG)),
    REFUND.case("no order", 400, "missing_field", "order_id", path=PATH.replace("{of}", "null")),
    REFUND.case("an unknown project", 404, "not_found", path=REFUND.path.replace("{project}", "nobody")),
]
