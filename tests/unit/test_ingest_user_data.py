"""``user_data`` and ``consent``: where they may stand, what becomes of them, what their sender is told."""

import json
from typing import Any

import pytest

from control.contacts import Contacts
from ingest import contact_conversions, postbacks
from ingest.request import Limits, Parsed, Sender, parse
from schemas.codec import encode
from schemas.control import LinkGoal, LinkGoalType
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.identifiers import NO_IDENTIFIERS, Identifiers, hashed
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())
CONTACTS = Contacts(b"a secret of the installation")
PURCHASE = {"event_type": "conversion", "event_name": "purchase"}
ANN = {"email": "Ann@Example.com"}
ANNS = Identifiers(email=hashed("ann@example.com"))
CONTACTS = Contacts(b"a secret of the installation")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"


def sender(user_agent: str = "") -> Sender:
    return Sender(
        project_id="p",
        trust=Trust.SECRET,
        received_at=NOON,
        new_id=lambda: "new",
        contacts=CONTACTS,
        user_agent=user_agent,
    )


def parsed(body: dict[str, Any], user_agent: str = "") -> Parsed:
    return parse(json.dumps(PURCHASE | body).encode(), sender(user_agent), LIMITS)


def event(body: dict[str, Any], user_agent: str = "") -> RawEvent:
    (item,) = parsed(body, user_agent).items
    assert isinstance(item, RawEvent), item
    return item


def warned(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(notice.code, notice.field) for notice in parsed(body).notices.get(0, [])]


@pytest.mark.parametrize("home", ["", "properties", "context"])
def test_user_data_is_read_and_taken_out_wherever_it_stands(home: str) -> None:
    given = {"user_data": ANN}
    got = event({home: given | {"kept": 1}} if home else given)
    assert got.identifiers == ANNS
    assert b"ann@" not in encode(got).lower()
    assert b"user_data" not in bytes(got.properties) + bytes(got.context)
    if home:
        assert json.loads(bytes(getattr(got, home))) == {"kept": 1}


def test_an_object_that_held_user_data_only_is_empty() -> None:
    got = event({"properties": {"user_data": ANN}, "context": {"user_data": ANN}})
    assert (bytes(got.properties), bytes(got.context)) == (b"{}", b"{}")


def test_of_several_user_data_the_outermost_counts_and_properties_before_context() -> None:
    bob, carl = {"email": "bob@example.com"}, {"email": "carl@example.com"}
    assert (
        event({"user_data": ANN, "properties": {"user_data": bob}, "context": {"user_data": carl}}).identifiers == ANNS
    )
    assert event({"properties": {"user_data": ANN}, "context": {"user_data": carl}}).identifiers == ANNS
    assert event({"user_data": None, "context": {"user_data": ANN}}).identifiers == ANNS


@pytest.mark.parametrize(
    ("short", "long"),
    [("em", "email"), ("ph", "phone"), ("fn", "first_name"), ("zp", "postal_code"), ("zip", "postal_code")],
)
def test_the_platforms_names_are_names_of_the_same_fields(short: str, long: str) -> None:
    value = "94035" if long == "postal_code" else "+16505551212" if long == "phone" else "a@b.cd"
    assert event({"user_data": {short: value}}).identifiers == event({"user_data": {long: value}}).identifiers
    assert event({"user_data": {short: value}}).identifiers != NO_IDENTIFIERS


def test_a_number_is_its_digits_and_null_is_nothing() -> None:
    got = event({"user_data": {"phone": 16505551212, "zip": 94035, "email": None}}).identifiers
    assert (got.phone, got.postal_code, got.email) == (hashed("16505551212"), hashed("94035"), "")
    nothings: list[Any] = [None, {}, [], {"email": ""}]
    for nothing in nothings:
        assert event({"user_data": nothing}).identifiers is NO_IDENTIFIERS
        assert warned({"user_data": nothing}) == []


@pytest.mark.parametrize(
    ("member", "code", "field"),
    [
        ({"email": "ann"}, "user_data_unusable", "user_data.email"),
        ({"phone": "0171 1234567"}, "user_data_unusable", "user_data.phone"),
        ({"email": ["ann@example.com"]}, "user_data_unusable", "user_data.email"),
        ({"email": True}, "user_data_unusable", "user_data.email"),
        ({"email": "a" * 1024 + "@b.cd"}, "user_data_unusable", "user_data.email"),
        ({"bob@example.com": "x"}, "user_data_unknown", "user_data"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_warning_and_the_conversion_is_taken(
    member: dict[str, Any], code: str, field: str
) -> None:
    assert warned({"user_data": member}) == [(code, field)]
    assert event({"user_data": member | {"fbp": "fb.1.1596403881668.1116446470"}}).identifiers == Identifiers(
        fbp="fb.1.1596403881668.1116446470"
    )


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"user_data": "x"}, 400, "wrong_type", "user_data"),
        ({"user_data": [1]}, 400, "wrong_type", "user_data"),
        ({"properties": {"user_data": 1}}, 400, "wrong_type", "user_data"),
        ({"consent": 1}, 400, "wrong_type", "consent"),
        ({"consent": {"ads": True}}, 400, "wrong_type", "consent"),
        ({"consent": "maybe"}, 422, "invalid_value", "consent"),
        ({"consent": "g" * 17}, 422, "too_long", "consent"),
    ],
)
def test_another_type_or_an_unknown_word_is_refused(body: dict[str, Any], status: int, code: str, field: str) -> None:
    (refused,) = parsed(body).items
    assert isinstance(refused, Refused)
    assert (refused.http_status, refused.reason, refused.field) == (status, code, field)


def test_a_number_out_of_range_in_user_data_is_refused() -> None:
    (refused,) = parse(b'{"event_type":"conversion","user_data":{"zip":1e999}}', sender(), LIMITS).items
    assert isinstance(refused, Refused)
    assert (refused.http_status, refused.field) == (422, "user_data")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("granted", "granted"),
        ("Denied", "denied"),
        (True, "granted"),
        (False, "denied"),
        ("", ""),
        (None, ""),
    ],
)
def test_consent_is_a_word_or_a_boolean(sent: object, kept: str) -> None:
    assert event({"consent": sent}).consent == kept
    # The slow way to read an event, taken for its unknown field, agrees.
    assert event({"consent": sent, "plan": "pro"}).consent == kept


def test_an_event_that_is_no_conversion_keeps_no_identifiers_and_its_sender_is_told() -> None:
    for body in ({"user_data": ANN, "consent": "granted"}, {"context": {"user_data": ANN}, "consent": True}):
        body |= {"event_type": "identify", "order_id": "o1"}
        got = event(body)
        assert (got.identifiers, got.consent) == (NO_IDENTIFIERS, "")
        assert b"xample.com" not in encode(got)
        assert warned(body) == [("field_ignored", "user_data"), ("field_ignored", "consent")]
    assert warned({"event_type": "identify", "user_data": None}) == []


def test_the_browsers_user_agent_goes_with_user_data_and_not_without() -> None:
    assert event({"user_data": ANN}, BROWSER).identifiers.user_agent == BROWSER
    assert event({}, BROWSER).identifiers is NO_IDENTIFIERS
    assert event({"user_data": {"user_agent": "told"}}, BROWSER).identifiers.user_agent == "told"
    # The sender did not write it: that it cannot be used is no warning to him.
    (notices,) = [parsed({"user_data": ANN}, "bot (+a@b.cd)").notices]
    assert notices == {}


def test_click_ids_in_the_conversions_own_url_count_where_user_data_has_none() -> None:
    url = "https://shop.example/thanks?gclid=Cj0KCQjw-1&fbclid=IwAR2F4&gclid=second9#x?wbraid=Cl4KCQjw"
    got = event({"url": url, "timestamp": NOON - 5}).identifiers
    assert (got.gclid, got.fbc, got.wbraid) == ("Cj0KCQjw-1", f"fb.1.{NOON - 5}.IwAR2F4", "")
    assert event({"url": url, "user_data": {"gclid": "given-123"}}).identifiers.gclid == "given-123"
    assert event({"url": "https://shop.example/?gclid=a@b.cd"}).identifiers is NO_IDENTIFIERS
    assert warned({"url": "https://shop.example/?gclid=a@b.cd"}) == []
    assert event({"url": "https://shop.example/?msclkid=1&xclid=2"}).identifiers is NO_IDENTIFIERS


GOAL = LinkGoal(id="g", project_id="p", name="Sale", goal_type=LinkGoalType.PURCHASE)


def test_a_postback_may_carry_user_data_and_consent() -> None:
    body = {"value": 5, "order_id": "o1", "user_data": ANN, "consent": "granted"}
    members = postbacks.members_of_body(json.dumps(body).encode(), LIMITS)
    (got,) = postbacks.conversion(members, GOAL, sender(BROWSER), LIMITS).items
    assert isinstance(got, RawEvent)
    assert got.identifiers == Identifiers(email=ANNS.email, user_agent=BROWSER)
    assert got.consent == "granted"
    assert b"xample.com" not in encode(got)


def test_a_pixel_may_carry_consent_and_user_data_as_text_is_refused() -> None:
    (got,) = postbacks.conversion(postbacks.members_of_query(b"consent=denied"), GOAL, sender(), LIMITS).items
    assert isinstance(got, RawEvent)
    assert got.consent == "denied"
    (bad,) = postbacks.conversion(postbacks.members_of_query(b"user_data=a"), GOAL, sender(), LIMITS).items
    assert isinstance(bad, Refused)
    assert bad.field == "user_data"


def contact_conversion(body: dict[str, Any]) -> contact_conversions.Accepted:
    return contact_conversions.read(json.dumps(body).encode(), sender(), LIMITS)


def test_the_address_of_an_email_conversion_is_hashed_for_forwarding() -> None:
    accepted = contact_conversion(ANN | {"consent": "granted", "user_data": {"phone": "+16505551212"}})
    assert accepted.event.identifiers.email == ANNS.email
    assert accepted.event.identifiers.phone == hashed("16505551212")
    assert accepted.event.consent == "granted"
    assert contact_conversion({"contact_id": "c"}).event.identifiers is NO_IDENTIFIERS


def test_the_conversions_own_address_wins_over_that_of_user_data_and_metadata_keeps_none() -> None:
    body = ANN | {"metadata": {"user_data": {"email": "bob@example.com"}, "kept": 1}}
    accepted = contact_conversion(body)
    assert accepted.event.identifiers == ANNS
    assert json.loads(bytes(accepted.event.properties)) == {"kept": 1}
    assert b"xample.com" not in encode(accepted.event) + accepted.body
    by_contact = contact_conversion({"contact_id": "c", "metadata": {"user_data": ANN}})
    assert by_contact.event.identifiers == ANNS


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"consent": 5}, "wrong_type", "consent"),
        ({"consent": "perhaps"}, "invalid_value", "consent"),
        ({"consent": "x" * 20}, "too_long", "consent"),
        ({"user_data": 5}, "wrong_type", "user_data"),
    ],
)
def test_an_email_conversion_is_refused_for_them_as_an_event_is(body: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        contact_conversion(ANN | body)
    assert (refused.value.reason, refused.value.field) == (code, field)
    assert contact_conversion(ANN | {"consent": True}).event.consent == "granted"


def test_the_email_that_names_a_conversions_contact_is_hashed_for_forwarding_and_wins() -> None:
    bob = {"email": "bob@example.com"}
    assert event(ANN).identifiers == ANNS
    got = event(ANN | {"user_data": bob})
    assert got.identifiers == ANNS
    assert b"xample.com" not in encode(got)
    assert event(ANN | {"event_type": "pageview"}).identifiers is NO_IDENTIFIERS
