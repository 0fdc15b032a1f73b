"""What becomes of one event's fields."""

import json
import zlib
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from control.contacts import Contacts
from ingest.request import DAY_MS, HOUR_MS, Limits, Parsed, Sender, parse
from schemas.errors import Reason, Refused
from schemas.events import Campaign, RawEvent
from schemas.ids import client_event_id, conversion_id
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())
CONTACTS = Contacts(b"a secret of the installation")


def sender(trust: Trust = Trust.SECRET, key: str = "", fingerprint: str = "", bot: bool = False) -> Sender:
    numbers = count()
    return Sender(
        project_id="p",
        trust=trust,
        received_at=NOON,
        new_id=lambda: f"new-{next(numbers)}",
        contacts=CONTACTS,
        idempotency_key=key,
        fingerprint=fingerprint,
        bot=bot,
    )


def send(body: Any, **who: Any) -> Parsed:
    return parse(json.dumps(body).encode(), sender(**who), LIMITS)


def event(body: dict[str, Any], **who: Any) -> RawEvent:
    (item,) = send({"event_type": "event"} | body, **who).items
    assert isinstance(item, RawEvent), item
    return item


def refused(body: Any, **who: Any) -> Refused:
    (item,) = send(body, **who).items
    assert isinstance(item, Refused)
    return item


def test_the_first_example_of_the_seed_keeps_its_money_and_its_order() -> None:
    sent = {
        "event_type": "conversion",
        "event_name": "purchase",
        "user_id": "sha256_user_hash",
        "revenue": 49.99,
        "currency": "USD",
        "properties": {"plan": "pro", "order_id": "ord_123"},
    }
    got = event(sent)
    assert (got.revenue, got.currency, got.order_id) == (Decimal("49.9900"), "USD", "ord_123")
    assert got.conversion_id == conversion_id("p", "purchase", "ord_123", got.event_id)
    assert json.loads(bytes(got.properties)) == sent["properties"]
    assert got.visitor == "u:sha256_user_hash"
    assert got.checksum == zlib.crc32(json.dumps(sent).encode())


@pytest.mark.parametrize("nothing", ["", "null", "undefined", "0", 0, "guest", "Anonymous", "NULL", None])
def test_a_placeholder_is_no_id(nothing: object) -> None:
    names = ("user_id", "anonymous_id", "session_id", "click_id", "order_id", "event_id")
    got = event(dict.fromkeys(names, nothing))
    assert (got.user_id, got.anonymous_id, got.session_id, got.click_id, got.order_id) == ("", "", "", "", "")
    assert (got.event_id, got.visitor, got.conversion_id) == ("new-0", "e:new-0", "")


def test_the_zero_uuid_is_no_id() -> None:
    assert event({"anonymous_id": "00000000-0000-0000-0000-000000000000", "user_id": "u"}).visitor == "u:u"


@pytest.mark.parametrize(("sent", "kept"), [(42, "42"), (-1, "-1"), (2**70, str(2**70)), (1.50, "1.5"), ("007", "007")])
def test_a_number_as_an_id_is_kept_as_its_digits(sent: object, kept: str) -> None:
    got = event({"user_id": sent, "order_id": sent, "session_id": sent})
    assert (got.user_id, got.order_id, got.session_id) == (kept, kept, kept)


@pytest.mark.parametrize("name", ["event_id", "messageId", "message_id"])
def test_the_clients_id_names_the_event_under_any_of_its_names_and_wins_over_the_key(name: str) -> None:
    assert event({name: "abc"}, key="k").event_id == client_event_id("p", Trust.SECRET, "abc")


def test_a_key_names_a_single_event_and_none_makes_it_new() -> None:
    assert event({}, key="k").event_id == client_event_id("p", Trust.SECRET, "k")
    assert event({}).event_id == "new-0"


def test_a_public_key_cannot_preempt_a_servers_event() -> None:
    assert event({"event_id": "abc"}, trust=Trust.PUBLIC).event_id != event({"event_id": "abc"}).event_id


def test_equal_items_under_one_key_are_two_events_each_time() -> None:
    batch = [{"event_type": "click"}, {"event_type": "click"}]
    first, again = send(batch, key="k"), send(batch, key="k")
    ids = [item.event_id for item in first.items if isinstance(item, RawEvent)]
    assert len(set(ids)) == 2
    assert ids == [item.event_id for item in again.items if isinstance(item, RawEvent)]


def test_an_order_makes_any_event_evidence_for_it() -> None:
    assert event({"event_name": "paid", "order_id": "7"}).conversion_id == conversion_id("p", "paid", "7", "")
    assert event({"event_name": "paid"}).conversion_id == ""


def test_a_conversion_without_an_order_is_named_by_its_event() -> None:
    got = event({"event_type": "conversion", "event_name": "signup"})
    assert got.conversion_id == conversion_id("p", "signup", "", got.event_id)


def test_an_unknown_field_moves_into_properties_and_is_told() -> None:
    parsed = send({"event_type": "click", "plan": "pro", "n": 1.10, "properties": {"plan": "free"}})
    (item,) = parsed.items
    assert isinstance(item, RawEvent)
    assert json.loads(bytes(item.properties)) == {"plan": "free", "n": 1.1}
    assert [(n.code, n.field) for n in parsed.notices[0]] == [("field_ignored", "plan"), ("unknown_field", "n")]


def test_properties_keep_the_clients_digits() -> None:
    body = b'{"event_type":"click","x":1.10,"properties":{"price":12345678901234567890.10}}'
    (item,) = parse(body, sender(), LIMITS).items
    assert isinstance(item, RawEvent)
    assert bytes(item.properties) == b'{"price":12345678901234567890.10,"x":1.10}'


def test_the_clients_address_is_taken_out_of_the_context() -> None:
    got = event({"context": {"ip": "203.0.113.7", "ip_address": "203.0.113.7", "locale": "de"}})
    assert json.loads(bytes(got.context)) == {"locale": "de"}


def test_a_campaign_in_the_context_is_read() -> None:
    got = event({"context": {"campaign": {"source": "g", "medium": "cpc", "campaign": "spring", "term": None}}})
    assert got.campaign == Campaign(source="g", medium="cpc", name="spring")


@pytest.mark.parametrize("ahead", [0, HOUR_MS, 24 * HOUR_MS])
def test_a_clock_a_day_ahead_is_believed(ahead: int) -> None:
    got = event({"timestamp": NOON + ahead})
    assert (got.occurred_at, got.timed, got.marks) == (NOON + ahead, True, ())


def test_a_clock_further_ahead_is_clamped_marked_and_told() -> None:
    parsed = send({"event_type": "event", "timestamp": NOON + 24 * HOUR_MS + 1})
    (item,) = parsed.items
    assert isinstance(item, RawEvent)
    assert (item.occurred_at, item.timed, item.marks) == (NOON, False, ("clamped",))
    assert [notice.code for notice in parsed.notices[0]] == ["timestamp_clamped"]


def test_only_a_secret_key_goes_back_more_than_seven_days() -> None:
    old = {"event_type": "event", "timestamp": NOON - 7 * DAY_MS - 1}
    assert event(old).occurred_at == NOON - 7 * DAY_MS - 1
    refusal = refused(old, trust=Trust.PUBLIC)
    assert (refusal.reason, refusal.http_status, refusal.field) == (Reason.TIMESTAMP_TOO_OLD, 422, "timestamp")
    assert event({"timestamp": NOON - 7 * DAY_MS}, trust=Trust.PUBLIC).occurred_at == NOON - 7 * DAY_MS


def test_a_refund_may_have_either_sign_and_a_rounding_to_zero_is_zero() -> None:
    for amount in (5, -5):
        assert event({"event_type": "refund", "order_id": "o", "revenue": amount}).revenue == Decimal("-5.0000")
    assert str(event({"revenue": 0.00001}).revenue) == "0.0000"


def test_browser_traffic_that_names_nobody_is_its_fingerprint_and_a_bot_is_marked() -> None:
    got = event({}, trust=Trust.PUBLIC, fingerprint="abc", bot=True)
    assert (got.visitor, got.fingerprint, got.marks) == ("f:abc", "abc", ("bot",))


def test_one_event_too_large_is_that_items_error() -> None:
    large = {"event_type": "event", "properties": {"a": "x" * LIMITS.event_bytes}}
    first, second = send([large, {"event_type": "event"}]).items
    assert isinstance(first, Refused)
    assert first.reason is Reason.TOO_LARGE
    assert isinstance(second, RawEvent)
    assert refused(large).http_status == 413


def test_a_thousand_events_are_accepted_and_one_more_is_too_many() -> None:
    assert len(send([{"event_type": "event"}] * 1000).items) == 1000
    with pytest.raises(Refused) as refusal:
        send([{"event_type": "event"}] * 1001)
    assert refusal.value.http_status == 413


@pytest.mark.parametrize("where", ["[%b]", "%b", '{"event_type":"x","properties":%b}', '[{"event_type":"x","a":%b}]'])
@pytest.mark.parametrize("closed", [True, False])
def test_nesting_of_a_hundred_thousand_levels_is_400(where: str, closed: bool) -> None:
    levels = 100_000
    body = where.encode() % (b"[" * levels + (b"]" * levels if closed else b""))
    with pytest.raises(Refused) as refusal:
        parse(body, sender(), LIMITS)
    assert (refusal.value.http_status, refusal.value.reason) == (400, Reason.TOO_DEEP)


@pytest.mark.parametrize(("levels", "accepted"), [(62, True), (63, False), (500, False), (950, False), (990, False)])
def test_nesting_up_to_the_limit_is_accepted(levels: int, accepted: bool) -> None:
    nested = b"[" * levels + b"]" * levels
    for body in (b'{"event_type":"x","properties":{"a":%b}}' % nested, b'{"event_type":"x","a":%b}' % nested):
        try:
            (item,) = parse(body, sender(), LIMITS).items
        except Refused as refusal:  # beyond the parser's stack: refused as a whole
            item = refusal
        assert isinstance(item, RawEvent) is accepted
        if isinstance(item, Refused):
            assert item.reason is Reason.TOO_DEEP


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udfff"', b'"a\\ud800\\u0041"', b'"\\\\\\ud800"', b'["\\uDBFF"]'])
def test_a_lone_surrogate_costs_its_own_event_only(text: bytes) -> None:
    body = b'[{"event_type":"a"},{"event_type":"b","x":%b},{"event_type":"\\ud83d\\uded2 \\\\ud800"}]' % text
    first, second, third = parse(body, sender(), LIMITS).items
    assert isinstance(first, RawEvent)
    assert isinstance(third, RawEvent)
    assert third.event_type == "\U0001f6d2 \\ud800"
    assert isinstance(second, Refused)
    assert (second.http_status, second.reason, second.field) == (422, Reason.INVALID_TEXT, "x")


def test_surrogates_as_bytes_are_422_and_other_bytes_that_are_not_utf8_400() -> None:
    for text, status in ((b"\xed\xa0\x80", 422), (b"\xff", 400)):
        with pytest.raises(Refused) as refusal:
            parse(b'{"event_type":"%b"}' % text, sender(), LIMITS)
        assert refusal.value.http_status == status


def test_an_over_long_idempotency_key_is_refused_by_name() -> None:
    with pytest.raises(Refused) as refusal:
        send({"event_type": "event"}, key="k" * 257)
    assert (refusal.value.http_status, refusal.value.field) == (422, "Idempotency-Key")


def test_an_envelope_may_be_an_event_that_has_a_field_of_that_name() -> None:
    got = event({"events": [1, 2]})
    assert json.loads(bytes(got.properties)) == {"events": [1, 2]}
