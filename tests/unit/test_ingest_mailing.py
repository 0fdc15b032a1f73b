"""What events say of e-mail marketing: who the contact is, what was interacted with, and where the address goes."""

import json
from itertools import count
from typing import Any

import pytest

from control.contacts import Contacts
from ingest.request import Limits, Parsed, Sender, parse
from schemas.codec import decode_event, encode
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.mailing import NO_MAILING, Named, id_of
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

LIMITS = Limits.of(IngestSettings())
CONTACTS = Contacts(b"a secret of the installation")
ADDRESS = "ann@example.com"
ANN = CONTACTS.id_of("p", ADDRESS)
CAMPAIGN = "3f2b8f4e-7a52-4e7e-9f5c-0d5a1c2b3d4e"
OPEN = {"event_type": "email_open", "campaign_id": CAMPAIGN}
CLICK = {"event_type": "email_click", "campaign_id": CAMPAIGN}
PURCHASE = {"event_type": "conversion", "event_name": "purchase", "order_id": "o1"}


def send(body: Any, trust: Trust = Trust.SECRET, fingerprint: str = "", conversions: bool = False) -> Parsed:
    numbers = count()
    sender = Sender(
        project_id="p",
        trust=trust,
        received_at=1_769_083_200_000,
        new_id=lambda: f"new-{next(numbers)}",
        contacts=CONTACTS,
        fingerprint=fingerprint,
        conversions=conversions,
    )
    return parse(json.dumps(body).encode(), sender, LIMITS)


def event(body: Any, **who: Any) -> RawEvent:
    (item,) = send(body, **who).items
    assert isinstance(item, RawEvent), item
    assert decode_event(encode(item)) == item
    return item


@pytest.mark.parametrize("body", [OPEN, CLICK])
def test_an_interaction_names_its_contact_and_what_it_was_with(body: dict[str, Any]) -> None:
    got = event(body | {"email": " Ann@Example.COM ", "flow_id": 12})
    assert (got.mailing.contact_id, got.mailing.campaign_id) == (ANN, CAMPAIGN)
    assert got.mailing.flow_id == id_of(Named.FLOW, "p", "12")
    assert got.is_interaction
    assert event(body | {"contact_id": ANN.upper()}).mailing.contact_id == ANN
    assert event(body | {"contact_id": "c", "email": ADDRESS}).mailing.contact_id == id_of(Named.CONTACT, "p", "c")


def test_one_object_a_list_and_a_batch_are_understood_alike() -> None:
    body = OPEN | {"email": ADDRESS}
    for sent in (body, [body], {"events": [body]}):
        assert event(sent).mailing.contact_id == ANN
    first, second = send([body, {"event_type": "email_open"}]).items
    assert isinstance(first, RawEvent)
    assert isinstance(second, Refused)


@pytest.mark.parametrize(
    "body",
    [
        OPEN,
        CLICK | {"order_id": "o1"},
        PURCHASE,
        {"event_type": "pageview", "plan": "pro"},  # read member by member
        {"event_type": "custom", "properties": {"order_id": "o1"}},
    ],
)
@pytest.mark.parametrize("address", [ADDRESS, "  ANN@example.com"])
def test_an_address_is_nowhere_in_the_clear(body: dict[str, Any], address: str) -> None:
    line = encode(event(body | {"email": address})).lower()
    assert b"ann@" not in line
    assert b"ann%40" not in line
    assert ANN.encode() in line


def test_any_event_may_name_its_contact_but_only_interactions_a_campaign() -> None:
    parsed = send({"event_type": "event", "contact_id": "c", "campaign_id": "summer", "flow_id": 1.5})
    (got,) = parsed.items
    assert isinstance(got, RawEvent)
    assert (got.mailing.campaign_id, got.mailing.flow_id) == ("", "")
    assert got.mailing.contact_id == id_of(Named.CONTACT, "p", "c")
    assert json.loads(bytes(got.properties)) == {"campaign_id": "summer", "flow_id": 1.5}
    assert [notice.field for notice in parsed.notices[0]] == ["campaign_id", "flow_id"]
    assert send({"event_type": "event", "campaign_id": None}).notices == {}
    assert not got.is_interaction
    assert event({"event_type": "event", "contact_id": "guest", "email": ""}).mailing == NO_MAILING
    assert json.loads(bytes(event({"event_type": "event", "properties": {"email": "x"}}).properties)) == {"email": "x"}


def test_the_reports_of_a_conversion_keep_the_address_sealed_and_no_other_event_does() -> None:
    for body in (PURCHASE, {"event_type": "event", "order_id": "o1"}):
        sealed = event(body | {"email": ADDRESS}).mailing.sealed_email
        assert CONTACTS.unseal("p", sealed) == ADDRESS
    assert event(OPEN | {"email": ADDRESS}).mailing.sealed_email == ""
    assert event({"event_name": "signup", "email": ADDRESS}, conversions=True).mailing.sealed_email != ""


@pytest.mark.parametrize("trust", [Trust.TOKEN, Trust.PUBLIC])
def test_what_pages_hold_cannot_change_the_address_of_a_contact(trust: Trust) -> None:
    other = PURCHASE | {"contact_id": "somebody", "email": ADDRESS}
    assert event(other, trust=trust).mailing.sealed_email == ""
    assert event(other).mailing.sealed_email != ""
    assert event(PURCHASE | {"email": ADDRESS}, trust=trust).mailing.sealed_email != ""


def test_under_a_public_key_an_interaction_names_its_contact_by_id_only() -> None:
    for given in ({"email": ADDRESS}, {"email": ADDRESS, "contact_id": ANN}):
        (refused,) = send(CLICK | given, trust=Trust.PUBLIC).items
        assert isinstance(refused, Refused)
        assert (refused.http_status, refused.reason, refused.field) == (403, "insufficient_scope", "email")
    assert event(CLICK | {"contact_id": ANN}, trust=Trust.PUBLIC).mailing.contact_id == ANN
    assert event({"event_type": "pageview", "email": ADDRESS}, trust=Trust.PUBLIC).mailing.contact_id == ANN


def test_a_contact_is_the_visitor_where_nothing_better_names_one() -> None:
    named = {"email": ADDRESS}
    assert event(OPEN | named | {"click_id": "7"}).visitor == f"k:{ANN}"
    assert event(OPEN | {"contact_id": ANN}, trust=Trust.PUBLIC, fingerprint="f").visitor == f"k:{ANN}"
    assert event(OPEN | named | {"user_id": "u"}).visitor == "u:u"
    assert event(OPEN | named | {"user_id": "u", "anonymous_id": "a"}).visitor == "a:a"
    assert event(PURCHASE | named).visitor == f"k:{ANN}"
    assert event(PURCHASE | named | {"click_id": "7"}).visitor == "c:7"
    assert event(PURCHASE | named, trust=Trust.PUBLIC, fingerprint="f").visitor == "f:f"


def test_where_only_conversions_are_taken_an_interaction_is_refused() -> None:
    (refused,) = send(OPEN | {"email": ADDRESS, "event_name": "x"}, conversions=True).items
    assert isinstance(refused, Refused)
    assert (refused.http_status, refused.field) == (422, "event_type")
