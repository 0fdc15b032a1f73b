"""Seed S3's requests: what they are refused for, what they come to, and that the answer is a function of them."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contacts import Contacts
from ingest.contact_conversions import Accepted, read
from ingest.request import Limits, Sender
from schemas.codec import decode_event, encode
from schemas.errors import Refused
from schemas.ids import conversion_id
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())
CONTACTS = Contacts(b"a secret of the installation")
ANN = {"email": "ann@example.com"}
CAMPAIGN = "3f2b8f4e-7a52-4e7e-9f5c-0d5a1c2b3d4e"


def send(body: Any, *, key: str = "", project: str = "p") -> Accepted:
    sender = Sender(
        project_id=project,
        trust=Trust.SECRET,
        received_at=NOON,
        new_id=lambda: "new",
        contacts=CONTACTS,
        idempotency_key=key,
    )
    return read(body if isinstance(body, bytes) else json.dumps(body).encode(), sender, LIMITS)


def answered(accepted: Accepted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(accepted.body, parse_float=Decimal)["data"]
    return found


BAD: list[tuple[Any, int, str, str | None]] = [
    (b"{", 400, "malformed_json", None),
    (b"", 400, "malformed_json", None),
    (b"\xff", 400, "malformed_json", None),
    (b'{"email":"a@b.c","revenue":NaN}', 400, "malformed_json", None),
    ([ANN], 400, "wrong_type", None),
    ("text", 400, "wrong_type", None),
    ({"email": "a@b.c", "metadata": {"x": "y" * 70_000}}, 413, "too_large", None),
    ({}, 400, "missing_field", "email"),
    ({"email": None, "contact_id": None}, 400, "missing_field", "email"),
    ({"email": " ", "contact_id": "null"}, 400, "missing_field", "email"),
    ({"email": 5}, 400, "wrong_type", "email"),
    ({"email": "ann"}, 422, "invalid_value", "email"),
    ({"email": "@example.com"}, 422, "invalid_value", "email"),
    ({"email": "a b@example.com"}, 422, "invalid_value", "email"),
    ({"email": "a" * 250 + "@b.cd"}, 422, "too_long", "email"),
    (b'{"email":"\\ud800@b.c"}', 422, "invalid_text", "email"),
    ({"contact_id": 1.5}, 400, "wrong_type", "contact_id"),
    ({"contact_id": ["x"]}, 400, "wrong_type", "contact_id"),
    ({"contact_id": "x" * 257}, 422, "too_long", "contact_id"),
    (ANN | {"type": "refund"}, 422, "invalid_value", "type"),
    (ANN | {"type": "Purchase"}, 422, "invalid_value", "type"),
    (ANN | {"type": ""}, 422, "invalid_value", "type"),
    (ANN | {"type": 1}, 400, "wrong_type", "type"),
    (ANN | {"revenue": -0.01}, 422, "invalid_money", "revenue"),
    (ANN | {"revenue": "-1"}, 422, "invalid_money", "revenue"),
    (ANN | {"revenue": "12,5"}, 422, "invalid_money", "revenue"),
    (ANN | {"revenue": 1e15}, 422, "invalid_money", "revenue"),
    (b'{"email":"a@b.c","revenue":1e400}', 422, "invalid_money", "revenue"),
    (ANN | {"revenue": True}, 400, "wrong_type", "revenue"),
    (ANN | {"revenue": {}}, 400, "wrong_type", "revenue"),
    (ANN | {"currency": "ZZZ"}, 422, "invalid_currency", "currency"),
    (ANN | {"currency": "DOLLARS"}, 422, "invalid_currency", "currency"),
    (ANN | {"currency": 840}, 400, "wrong_type", "currency"),
    (ANN | {"order_id": "o" * 101}, 422, "too_long", "order_id"),
    (ANN | {"order_id": "a\x1fb"}, 422, "invalid_text", "order_id"),
    (ANN | {"order_id": {}}, 400, "wrong_type", "order_id"),
    (ANN | {"order_id": True}, 400, "wrong_type", "order_id"),
    (ANN | {"campaign_id": []}, 400, "wrong_type", "campaign_id"),
    (ANN | {"campaign_id": "c" * 257}, 422, "too_long", "campaign_id"),
    (ANN | {"flow_id": False}, 400, "wrong_type", "flow_id"),
    (ANN | {"attribution_model": "position"}, 422, "invalid_value", "attribution_model"),
    (ANN | {"attribution_model": 1}, 400, "wrong_type", "attribution_model"),
    (ANN | {"attribution_window": 0}, 422, "invalid_value", "attribution_window"),
    (ANN | {"attribution_window": 91}, 422, "invalid_value", "attribution_window"),
    (ANN | {"attribution_window": 10**30}, 422, "invalid_value", "attribution_window"),
    (ANN | {"attribution_window": "7"}, 400, "wrong_type", "attribution_window"),
    (ANN | {"attribution_window": 7.5}, 400, "wrong_type", "attribution_window"),
    (ANN | {"metadata": "x"}, 400, "wrong_type", "metadata"),
    (ANN | {"metadata": ["x"]}, 400, "wrong_type", "metadata"),
    (b'{"email":"a@b.c","metadata":' + b'{"a":' * 70 + b"1" + b"}" * 71, 400, "too_deep", None),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), BAD)
def test_a_bad_conversion_is_refused_for_its_reason_and_by_its_field(
    body: Any, status: int, code: str, field: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        send(body)
    assert (refused.value.http_status, refused.value.reason, refused.value.field) == (status, code, field)


def test_what_is_not_stated_has_the_seeds_defaults_and_null_counts_as_not_stated() -> None:
    for body in (ANN, ANN | dict.fromkeys(("type", "revenue", "currency", "order_id", "flow_id", "metadata"))):
        found = answered(send(body))
        assert (found["type"], found["revenue"], found["currency"]) == ("custom", None, "USD")
        assert (found["attribution_model"], found["attribution_window"], found["metadata"]) == ("last_touch", 7, {})
        assert (found["order_id"], found["campaign_id"], found["flow_id"]) == (None, None, None)
        event = send(body).event
        assert event.mailing.currency_defaulted
        assert (event.mailing.attribution_model, event.mailing.attribution_window_days) == ("", 0)


@pytest.mark.parametrize("limit", [1, 90])
def test_limits_belong_to_what_is_allowed(limit: int) -> None:
    body = ANN | {"attribution_window": limit, "order_id": "o" * 100, "revenue": 0, "attribution_model": "linear"}
    found = answered(send(body))
    assert (found["attribution_window"], found["order_id"], found["attribution_model"]) == (limit, "o" * 100, "linear")
    assert str(found["revenue"]) == "0.00"


def test_ids_are_functions_of_the_request() -> None:
    order = ANN | {"type": "purchase", "order_id": "o1"}
    assert answered(send(order))["id"] == conversion_id("p", "purchase", "o1", "")
    again = send(order | {"revenue": 5})
    assert answered(again)["id"] == answered(send(order))["id"]
    assert send(order).event.event_id == send(order).event.event_id != again.event.event_id
    by_key = [send(ANN, key="k") for _ in range(2)]
    assert by_key[0].event.event_id == by_key[1].event.event_id
    assert by_key[0].event.conversion_id == by_key[1].event.conversion_id
    assert send(ANN).event.event_id == "new"


def test_a_uuid_is_kept_in_lower_case_and_any_other_id_stands_for_one_in_its_project() -> None:
    found = answered(send({"contact_id": CAMPAIGN.upper(), "campaign_id": "summer", "flow_id": 12}))
    assert found["contact_id"] == CAMPAIGN
    derived = send({"contact_id": "summer", "campaign_id": "summer"})
    assert derived.event.mailing.campaign_id == found["campaign_id"] != derived.event.mailing.contact_id
    elsewhere = send({"contact_id": "summer", "campaign_id": "summer"}, project="q")
    assert elsewhere.event.mailing.campaign_id != found["campaign_id"]
    assert answered(send({"contact_id": "c", "flow_id": "12"}))["flow_id"] == found["flow_id"]


def test_a_stated_contact_wins_over_the_addresss_own_and_the_address_is_nowhere_in_the_clear() -> None:
    both = send(ANN | {"contact_id": CAMPAIGN})
    assert both.event.mailing.contact_id == CAMPAIGN
    assert CONTACTS.unseal("p", both.event.mailing.sealed_email) == "ann@example.com"
    for accepted in (both, send(ANN)):
        assert b"ann@" not in encode(accepted.event) + accepted.body


@given(
    revenue=st.none() | st.decimals(min_value=0, max_value=10**12, places=4),
    order=st.text(max_size=100),
    metadata=st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.booleans()),
)
def test_any_conversion_is_answered_or_refused_and_survives_the_topic(
    revenue: Decimal | None, order: str, metadata: dict[str, Any]
) -> None:
    body = ANN | {"revenue": None if revenue is None else str(revenue), "order_id": order, "metadata": metadata}
    try:
        accepted = send(body)
    except Refused as refused:
        assert refused.http_status in (400, 422)  # noqa: PT017
        return
    found = answered(accepted)
    assert (found["revenue"], found["metadata"]) == (revenue, metadata)
    assert decode_event(encode(accepted.event)) == accepted.event
