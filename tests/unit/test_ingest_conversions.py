"""Requests to the route for conversions: the same events, named and answered as conversions."""

import json
from typing import Any

import pytest

from control.contacts import Contacts
from ingest import answers
from ingest.request import Limits, Parsed, Sender, parse
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.ids import conversion_id
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())
PURCHASE = {"event_name": "purchase", "order_id": "o1", "revenue": 49.99, "currency": "USD"}
CONVERSION = {"event_type": "conversion"}


def send(body: Any, *, conversions: bool = True, key: str = "") -> Parsed:
    sender = Sender(
        project_id="p",
        trust=Trust.SECRET,
        received_at=NOON,
        new_id=lambda: "new",
        contacts=Contacts(b"secret"),
        idempotency_key=key,
        conversions=conversions,
    )
    return parse(json.dumps(body).encode(), sender, LIMITS)


def event(parsed: Parsed) -> RawEvent:
    (item,) = parsed.items
    assert isinstance(item, RawEvent), item
    return item


def answer(parsed: Parsed, *, failed: bool = False) -> Any:
    partitions = [0 if isinstance(item, RawEvent) else -1 for item in parsed.items]
    return json.loads(answers.of_request(parsed, partitions, frozenset({0}) if failed else frozenset()).body)


@pytest.mark.parametrize("named", [{}, CONVERSION, {"event_type": None}, {"event_type": ""}])
@pytest.mark.parametrize("order", [{}, {"order_id": "o2"}, {"order_id": None, "properties": {"order_id": "o3"}}])
def test_a_conversion_is_the_event_that_the_other_route_would_have_made(
    named: dict[str, Any], order: dict[str, Any]
) -> None:
    here = event(send(PURCHASE | order | named, key="k"))
    there = event(send(PURCHASE | order | CONVERSION, key="k", conversions=False))
    assert (here.event_type, here.event_id, here.conversion_id) == ("conversion", there.event_id, there.conversion_id)
    assert (here.order_id, here.revenue, here.visitor) == (there.order_id, there.revenue, there.visitor)


def test_its_answer_is_a_function_of_the_request_and_names_the_conversion() -> None:
    by_order = answer(send(PURCHASE))
    expected = conversion_id("p", "purchase", "o1", "")
    assert by_order == {"status": "accepted", "event_id": "new", "conversion_id": expected}
    by_key = [answer(send({"event_name": "signup"}, key="k")) for _ in range(2)]
    assert by_key[0] == by_key[1]
    assert by_key[0]["conversion_id"] == conversion_id("p", "signup", "", by_key[0]["event_id"])


def test_each_result_of_a_batch_names_its_conversion_also_where_kafka_did_not_take_it() -> None:
    batch = [PURCHASE, {"event_name": 5}, PURCHASE | {"order_id": "o2", "plan": "pro"}]
    ids = [conversion_id("p", "purchase", order, "") for order in ("o1", "o2")]
    for body in (batch, {"events": batch}):
        results = answer(send(body))["results"]
        assert [result.get("conversion_id") for result in results] == [ids[0], None, ids[1]]
        assert results[2]["warnings"][0]["field"] == "plan"
        assert [one["status"] for one in results] == ["accepted", "rejected", "accepted"]
        unavailable = answer(send(body), failed=True)["results"]
        assert [one.get("conversion_id") for one in unavailable] == [ids[0], None, ids[1]]


def test_an_event_is_answered_without_a_conversion_id() -> None:
    assert set(answer(send(PURCHASE | CONVERSION, conversions=False))) == {"status", "event_id"}


def test_a_conversion_may_have_a_field_called_events() -> None:
    item = event(send(PURCHASE | {"events": [{"event_name": "nested"}]}))
    assert json.loads(bytes(item.properties)) == {"events": [{"event_name": "nested"}]}


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"event_name": None}, 400, "missing_field", "event_name"),
        ({"event_name": ""}, 400, "missing_field", "event_name"),
        ({"event_name": ["purchase"]}, 400, "wrong_type", "event_name"),
        ({"event_name": "x" * 257}, 422, "too_long", "event_name"),
        ({"event_type": "pageview"}, 422, "invalid_value", "event_type"),
        ({"event_type": "refund"}, 422, "invalid_value", "event_type"),
        ({"event_type": 7}, 400, "wrong_type", "event_type"),
        ({"event_type": "x" * 65}, 422, "too_long", "event_type"),
        ({"order_id": "x" * 101}, 422, "too_long", "order_id"),
        ({"order_id": {}}, 400, "wrong_type", "order_id"),
        ({"revenue": "12,5"}, 422, "invalid_money", "revenue"),
        ({"revenue": -1}, 422, "invalid_money", "revenue"),
        ({"currency": "ZZZ"}, 422, "invalid_currency", "currency"),
        ({"timestamp": "yesterday"}, 422, "invalid_timestamp", "timestamp"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(change: dict[str, Any], status: int, code: str, field: str) -> None:
    (item,) = send(PURCHASE | change).items
    assert isinstance(item, Refused)
    assert (item.http_status, item.reason.value, item.field) == (status, code, field)
