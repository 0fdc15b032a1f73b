"""Refunds at the edge: what is taken, how it is named, and what is refused."""

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from control.contacts import Contacts
from ingest import order_refunds
from ingest.order_refunds import Accepted
from ingest.request import Limits, Sender, parse
from ingest.routes import Route, find
from schemas.codec import decode_event, encode
from schemas.errors import Refused
from schemas.events import RawEvent, Refund
from schemas.ids import client_event_id, conversion_id, refund_event_id
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())
CONVERSION = str(uuid.UUID(int=0xABCDEF))


def sender(trust: Trust = Trust.SECRET, key: str = "") -> Sender:
    return Sender(
        project_id="p",
        trust=trust,
        received_at=NOON,
        new_id=lambda: "new",
        contacts=Contacts(b"secret"),
        idempotency_key=key,
    )


def post(body: Any, *, of: str = "o1", key: str = "") -> Accepted:
    """What a post to the refunds of ``of`` comes to; ``body``: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return order_refunds.read(content, of, sender(key=key), LIMITS)


def posted(body: dict[str, Any], *, trust: Trust = Trust.SECRET, key: str = "") -> RawEvent:
    """The event that a post to ``/events`` makes."""
    (item,) = parse(json.dumps({"event_type": "refund"} | body).encode(), sender(trust, key), LIMITS).items
    if isinstance(item, Refused):
        raise item
    return item


def test_a_refund_is_an_event_of_its_own_and_neither_a_conversion_nor_anybodys_visit() -> None:
    accepted = post({"refund_id": "r1", "amount": "10.005", "reason": "broken"})
    event = accepted.event
    assert (event.event_type, event.order_id, event.revenue) == ("refund", "o1", Decimal("-10.0050"))
    assert (event.conversion_id, event.refund, event.visitor) == ("", Refund("r1"), "o:o1")
    assert (event.user_id, event.session_id, event.trust) == ("", "", Trust.SECRET)
    assert json.loads(bytes(event.properties)) == {"reason": "broken"}
    assert json.loads(accepted.body) == {"status": "accepted", "event_id": event.event_id, "refund_id": "r1"}
    assert decode_event(encode(event)).refund == event.refund


def test_its_identity_is_the_refund_id_and_what_is_refunded() -> None:
    first = post({"refund_id": "r1", "amount": 10}).event
    assert first.event_id == refund_event_id("p", "o1", "r1") == post({"refund_id": "r1", "amount": 11}).event.event_id
    assert first.event_id != post({"refund_id": "r2", "amount": 10}).event.event_id
    assert first.event_id != post({"refund_id": "r1", "amount": 10}, of="o2").event.event_id
    assert first.event_id == post({"amount": 10}, key="r1").event.event_id
    assert post({"refund_id": 7}).event.refund == Refund("7")


def test_a_kind_names_the_conversion_of_an_order_and_so_does_an_id_as_we_print_it() -> None:
    purchase = conversion_id("p", "purchase", "o1", "")
    by_kind = post({"refund_id": "r", "kind": "purchase"})
    by_id = post({"refund_id": "r"}, of=purchase)
    assert by_kind.event.refund == by_id.event.refund == Refund("r", purchase)
    assert by_kind.event.event_id == by_id.event.event_id
    assert json.loads(by_id.body)["conversion_id"] == purchase
    assert (by_kind.event.order_id, by_kind.event.event_name) == ("o1", "purchase")
    for order in (CONVERSION.upper(), CONVERSION.replace("-", "")):
        assert post({"refund_id": "r"}, of=order).event.refund == Refund("r")


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"amount": null, "kind": null}'])
def test_without_an_amount_all_that_is_left_is_meant(body: bytes) -> None:
    assert post(body, key="k").event.revenue is None


def test_the_time_may_be_stated_and_one_in_the_future_is_not_believed() -> None:
    stated = post({"refund_id": "r", "timestamp": "2026-01-01T00:00:00Z"}).event
    assert (stated.occurred_at, stated.timed) == (1_767_225_600_000, True)
    unknown = post({"refund_id": "r"}).event
    assert (unknown.occurred_at, unknown.timed) == (NOON, False)
    clamped = post({"refund_id": "r", "timestamp": NOON + 2 * 86_400_000})
    assert (clamped.event.occurred_at, clamped.event.timed, clamped.event.marks) == (NOON, False, ("clamped",))
    assert [one["code"] for one in json.loads(clamped.body)["warnings"]] == ["timestamp_clamped"]


GOOD = {"refund_id": "r1", "amount": 10}
BAD: list[tuple[Any, str, int, str, str | None]] = [
    ({"amount": 10}, "o1", 400, "missing_field", "refund_id"),
    ({"refund_id": "null"}, "o1", 400, "missing_field", "refund_id"),
    (GOOD | {"refund_id": "x" * 257}, "o1", 422, "too_long", "refund_id"),
    (GOOD | {"refund_id": "a\x1fb"}, "o1", 422, "invalid_text", "refund_id"),
    (GOOD | {"refund_id": True}, "o1", 400, "wrong_type", "refund_id"),
    (GOOD | {"refund_id": ["r"]}, "o1", 400, "wrong_type", "refund_id"),
    (GOOD | {"amount": 0}, "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": 0.00001}, "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": -1}, "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": "ten"}, "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": ""}, "o1", 422, "invalid_money", "amount"),
    (b'{"refund_id": "r1", "amount": 1e400}', "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": 10**15}, "o1", 422, "invalid_money", "amount"),
    (GOOD | {"amount": True}, "o1", 400, "wrong_type", "amount"),
    (GOOD | {"amount": {}}, "o1", 400, "wrong_type", "amount"),
    (GOOD | {"currency": "ZZZ"}, "o1", 422, "invalid_currency", "currency"),
    (GOOD | {"currency": 7}, "o1", 400, "wrong_type", "currency"),
    (GOOD | {"kind": 7}, "o1", 400, "wrong_type", "kind"),
    (GOOD | {"kind": "k" * 257}, "o1", 422, "too_long", "kind"),
    (GOOD | {"kind": "a\x1fb"}, "o1", 422, "invalid_text", "kind"),
    (GOOD | {"timestamp": "yesterday"}, "o1", 422, "invalid_timestamp", "timestamp"),
    (GOOD | {"timestamp": []}, "o1", 400, "wrong_type", "timestamp"),
    (GOOD, "o" * 101, 422, "too_long", "order_id"),
    (GOOD, "null", 400, "missing_field", "order_id"),
    (GOOD, "a\x1fb", 422, "invalid_text", "order_id"),
    ([GOOD], "o1", 400, "wrong_type", None),
    ("r1", "o1", 400, "wrong_type", None),
    (b"{", "o1", 400, "malformed_json", None),
    (b'{"refund_id": "\\ud800"}', "o1", 422, "invalid_text", "refund_id"),
    (b'{"refund_id": "r", "x": ' + b"[" * 200 + b"]" * 200 + b"}", "o1", 400, "too_deep", None),
    (GOOD | {"note": "x" * 70_000}, "o1", 413, "too_large", None),
]


@pytest.mark.parametrize(("body", "of", "status", "code", "field"), BAD)
def test_what_is_wrong_is_refused_by_name(body: Any, of: str, status: int, code: str, field: str | None) -> None:
    with pytest.raises(Refused) as refused:
        post(body, of=of)
    assert (refused.value.http_status, refused.value.reason.value, refused.value.field) == (status, code, field)


@pytest.mark.parametrize(
    ("path", "refunded"),
    [
        ("/v1/projects/p/conversions/o1/refunds", "o1"),
        ("/v1/projects/p/conversions/2026/o1/refunds", "2026/o1"),
        ("/v1/projects/p/conversions/refunds/refunds", "refunds"),
        ("/v1/projects/p/conversions/refunds", None),
        ("/v1/projects/p/conversions//refunds", None),
        ("/v1/projects//conversions/o1/refunds", None),
        ("/v1/projects/p/events/o1/refunds", None),
    ],
)
def test_the_path_names_what_is_refunded(path: str, refunded: str | None) -> None:
    found = find(path)
    assert (found.rest if found and found.route is Route.REFUNDS else None) == refunded


@pytest.mark.parametrize("order", [{"order_id": "o1"}, {"properties": {"order_id": "o1"}}])
@pytest.mark.parametrize("amount", [10.5, -10.5, "-10.5"])
def test_a_refund_among_events_means_the_same(order: dict[str, Any], amount: float | str) -> None:
    event = posted(order | {"refund_id": "r1", "revenue": amount, "user_id": "ann"})
    there = post({"refund_id": "r1", "amount": 10.5}).event
    assert (event.event_id, event.refund, event.visitor) == (there.event_id, there.refund, there.visitor)
    assert (event.revenue, event.order_id, event.conversion_id) == (there.revenue, "o1", "")
    assert posted({"order_id": "o1", "event_name": "purchase"}).refund == Refund(
        "new", conversion_id("p", "purchase", "o1", "")
    )


def test_among_events_the_clients_own_id_names_it_as_it_names_any_event() -> None:
    for named in ({"event_id": "e1"}, {"event_id": "e1", "refund_id": "r1"}):
        event = posted({"order_id": "o1"} | named)
        assert event.event_id == client_event_id("p", Trust.SECRET, "e1")
        assert event.refund == Refund(named.get("refund_id", "e1"))
    by_key = posted({"order_id": "o1"}, key="k")
    assert by_key.event_id == client_event_id("p", Trust.SECRET, "k")
    assert by_key.refund == Refund(by_key.event_id)


@pytest.mark.parametrize(
    ("body", "trust", "status", "code", "field"),
    [
        ({"order_id": "o1", "revenue": 5}, Trust.PUBLIC, 403, "insufficient_scope", "event_type"),
        ({"order_id": "o1", "revenue": 5}, Trust.TOKEN, 403, "insufficient_scope", "event_type"),
        ({"revenue": 5}, Trust.SECRET, 400, "missing_field", "order_id"),
        ({"order_id": "null"}, Trust.SECRET, 400, "missing_field", "order_id"),
        ({"order_id": "o1", "revenue": 0}, Trust.SECRET, 422, "invalid_money", "revenue"),
        ({"order_id": "o1", "refund_id": {}}, Trust.SECRET, 400, "wrong_type", "refund_id"),
        ({"order_id": "o1", "event_name": "a\x1fb"}, Trust.SECRET, 422, "invalid_text", "event_name"),
    ],
)
def test_among_events_only_a_secret_key_refunds_and_only_an_order(
    body: dict[str, Any], trust: Trust, status: int, code: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        posted(body, trust=trust)
    assert (refused.value.http_status, refused.value.reason.value, refused.value.field) == (status, code, field)
