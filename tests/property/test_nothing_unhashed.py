"""Whatever user data is sent: nobody's address, number or name is in what leaves ingest, nor in what leaves us."""

import json
import re
from decimal import Decimal
from typing import Any

from depth import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from control.contacts import Contacts
from ingest import contact_conversions
from ingest.request import Limits, Sender, parse
from processors.core.conversions import Announced, Money, announcement_of, arrival_of
from processors.delivery.builders import BUILDERS
from processors.delivery.request import Notice, Outgoing
from schemas.codec import encode
from schemas.control import Destination, DestinationKind
from schemas.events import RawEvent
from schemas.outcomes import NoticeEvent, Trust
from schemas.settings import IngestSettings

LIMITS = Limits.of(IngestSettings())
SENDER = Sender(
    project_id="p",
    trust=Trust.SECRET,
    received_at=1_769_083_200_000,
    new_id=lambda: "new",
    contacts=Contacts(b"secret"),
)

# Long enough that no id, hash or number of the record holds one by chance, and of letters that no field's name has.
words = (
    st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzABCXYZéßø李'- "), min_size=12, max_size=30)
    .filter(lambda text: len(re.sub(r"[^\w]", "", text)) >= 12)
    .map(lambda text: f"{text[:6]}ß{text[6:]}")
)
digits = st.text(st.sampled_from("0123456789"), min_size=12, max_size=15).map(lambda text: "4" + text[1:])
plain = re.compile(r"[^\w]")
emails = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.from_regex(r"[A-Za-z]{6}[a-z.+_]{6,20}[a-z]", fullmatch=True),
    st.sampled_from(["example.com", "gmail.com", "GoogleMail.com", "mail.example"]),
)
user_data = st.fixed_dictionaries(
    {},
    optional={
        "email": emails,
        "em": emails,
        "phone": digits.map(lambda text: "+" + text) | digits,
        "ph": digits.map(lambda text: f"({text[:3]}) {text[3:7]}-{text[7:]}"),
        "first_name": words,
        "last_name": words,
        "city": words,
        "state": words,
        "postal_code": digits,
        "external_id": words | emails,
        "nickname": words,
        "fbp": emails | words,
        "fbc": emails,
        "gclid": emails,
        "user_agent": emails.map(lambda text: f"agent ({text})"),
    },
)
homes = st.sampled_from(["", "properties", "context"])


def secrets_of(given: dict[str, str]) -> set[str]:
    """Every spelling of a value that would still tell it."""
    found = set()
    for text in given.values():
        text = text.partition("(")[2].rstrip(")") if text.startswith("agent") else text
        found |= {text, text.lower(), text.strip(), plain.sub("", text), plain.sub("", text).lower()}
        if "@" in text:
            found |= {part for part in (text.partition("@")[0], text.partition("@")[0].lower()) if len(part) > 8}
    return {text for text in found if len(text) > 8}


def assert_nothing_of(given: dict[str, str], told: bytes) -> None:
    shown = json.dumps(json.loads(told), ensure_ascii=False)
    for text in secrets_of(given):
        assert text not in shown
        assert text.lower() not in shown.lower()


@given(user_data, homes, st.sampled_from(["conversion", "pageview", "identify"]), st.booleans())
@settings(max_examples=examples(300), deadline=None)
def test_no_user_data_is_in_an_event_in_the_clear(
    given: dict[str, str], home: str, event_type: str, unknown_field: bool
) -> None:
    body: dict[str, Any] = {"event_type": event_type, "event_name": "purchase", "order_id": "o1"}
    body |= {home: {"user_data": given}} if home else {"user_data": given}
    body |= {"plan": "pro"} if unknown_field else {}
    parsed = parse(json.dumps(body).encode(), SENDER, LIMITS)
    (item,) = parsed.items
    assert isinstance(item, RawEvent)
    assert_nothing_of(given, encode(item))
    assert_nothing_of(given, json.dumps([str(notice) for notice in parsed.notices.get(0, [])]).encode())


@given(emails, user_data)
@settings(deadline=None)
def test_no_user_data_is_in_an_email_conversion_in_the_clear(email: str, given: dict[str, str]) -> None:
    body = {"email": email, "user_data": given, "metadata": {"user_data": given}}
    accepted = contact_conversions.read(json.dumps(body).encode(), SENDER, LIMITS)
    assert_nothing_of(given | {"address": email}, encode(accepted.event))
    assert_nothing_of(given | {"address": email}, accepted.body)


OPTIONS = {
    DestinationKind.META: [{"pixel_id": "1"}],
    DestinationKind.GOOGLE: [
        {"customer_id": "1", "conversion_action": "1"},
        {"customer_id": "1", "conversion_action": "1", "mode": "web"},
    ],
}


@given(user_data, emails)
@settings(max_examples=examples(200), deadline=None)
def test_no_user_data_is_in_what_a_platform_is_sent(given: dict[str, str], address: str) -> None:
    body = {
        "event_type": "conversion",
        "event_name": "purchase",
        "order_id": "o1",
        "revenue": 5,
        "currency": "USD",
        "url": f"https://{address}/thanks/{address}/?email={address}#{address}",
        "user_id": address,
        "properties": {"email": address},
        "user_data": given,
    }
    (item,) = parse(json.dumps(body).encode(), SENDER, LIMITS).items
    assert isinstance(item, RawEvent)
    arrival = arrival_of(item, session_id="s", path="/thanks")
    told = announcement_of(arrival, Announced(1, Money(0, Decimal(5), "USD"), ""))
    for kind, choices in OPTIONS.items():
        for options in choices:
            destination = Destination(id="d", project_id="p", name="Ads", kind=kind, options=options)
            built = BUILDERS[kind](destination, "token", Notice(told, NoticeEvent.TRACKED, None))
            assert isinstance(built, Outgoing) or not {"email", "phone"} & set(given)
            if isinstance(built, Outgoing):
                assert_nothing_of(given | {"address": address}, built.body)
                assert_nothing_of(given | {"address": address}, json.dumps([built.url, dict(built.headers)]).encode())
