"""What advertising platforms are sent, taken by stand-ins that know the platforms' documents only."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from platforms import Platforms, Wrong, check_google, check_meta, platforms

from processors.delivery.builders import BUILDERS
from processors.delivery.forwarding.google_access import (
    AccessToken,
    Credentials,
    credentials_of,
    exchange,
    granted,
    with_token,
)
from processors.delivery.postback import postback
from processors.delivery.request import Notice, Outgoing, Skipped
from schemas.control import Consent, Destination, DestinationKind
from schemas.events import Conversion
from schemas.identifiers import Identifiers, UserField, hashed, identifiers_of
from schemas.outcomes import DeliveryOutcome, NoticeEvent, SkipReason, Trust

NOON = 1_769_083_200_250
DAY_MS = 24 * 3_600_000
META, GOOGLE = DestinationKind.META, DestinationKind.GOOGLE
OPTIONS = {
    META: {"pixel_id": "1234567890"},
    GOOGLE: {"customer_id": "123-456-7890", "conversion_action": "987"},
}
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
EVERYTHING, _ = identifiers_of(
    {
        UserField.EMAIL: "A.nn+x@gmail.com",
        UserField.PHONE: "+1 (650) 555-1212",
        UserField.FIRST_NAME: "Ann",
        UserField.LAST_NAME: "O'Neil",
        UserField.CITY: "New York",
        UserField.STATE: "NY",
        UserField.POSTAL_CODE: "94035-1234",
        UserField.COUNTRY: "US",
        UserField.EXTERNAL_ID: "member-7",
        UserField.FBP: "fb.1.1596403881668.1116446470",
        UserField.FBC: "fb.1.1554763741205.AbCdEfGhIjKl",
        UserField.GCLID: "Cj0KCQjw",
        UserField.GBRAID: "0AAAAAo1",
        UserField.WBRAID: "Cl4KCQjw",
        UserField.USER_AGENT: AGENT,
    },
    seen_at=NOON,
)
PERSON = Identifiers(email=hashed("ann@example.com"))


@pytest.fixture
def platform() -> Iterator[Platforms]:
    with platforms() as both:
        yield both


def conversion(**fields: Any) -> Conversion:
    defaults: dict[str, Any] = {
        "project_id": "p",
        "conversion_id": "0190a1b2-0000-7000-8000-000000000001",
        "kind": "purchase",
        "order_id": "ORDER-1",
        "event_id": "0190a1b2-0000-7000-8000-000000000002",
        "trust": Trust.SECRET,
        "received_at": NOON,
        "converted_at": NOON,
        "revenue": Decimal("49.9900"),
        "currency": "USD",
        "page": "https://shop.example/thanks",
        "identifiers": EVERYTHING,
    }
    return Conversion(**defaults | fields)


def build(
    kind: DestinationKind,
    told: Conversion | None = None,
    *,
    options: dict[str, str] | None = None,
    secret: str = "token-1",
    event: NoticeEvent = NoticeEvent.TRACKED,
    **fields: Any,
) -> Outgoing | Skipped:
    destination = Destination(
        id="d", project_id="p", name="Ads", kind=kind, options=OPTIONS[kind] | (options or {}), **fields
    )
    return BUILDERS[kind](destination, secret, Notice(told or conversion(), event, None))


def sent(platform: Platforms, kind: DestinationKind, told: Conversion | None = None, **how: Any) -> dict[str, Any]:
    """The event that the platform took."""
    built = build(kind, told, url=platform.url, **how)
    assert isinstance(built, Outgoing), built
    answer = httpx.post(built.url, headers=dict(built.headers), content=built.body)
    assert answer.status_code == 200, answer.text
    return platform.events[-1]


def skipped(kind: DestinationKind, told: Conversion | None = None, **how: Any) -> SkipReason:
    built = build(kind, told, **how)
    assert isinstance(built, Skipped), built
    return built.reason


def body_of(built: Outgoing | Skipped) -> dict[str, Any]:
    assert isinstance(built, Outgoing)
    found: dict[str, Any] = json.loads(built.body, parse_float=Decimal)
    return found


def test_meta_takes_a_purchase_with_everything_that_is_known(platform: Platforms) -> None:
    assert sent(platform, META) == {
        "event_name": "Purchase",
        "event_time": 1_769_083_200,
        "event_id": "ORDER-1",
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": {
            "em": [hashed("a.nn+x@gmail.com")],
            "ph": [hashed("16505551212")],
            "fn": [hashed("ann")],
            "ln": [hashed("oneil")],
            "ct": [hashed("newyork")],
            "st": [hashed("ny")],
            "zp": [hashed("94035")],
            "country": [hashed("us")],
            "external_id": [hashed("member-7")],
            "client_user_agent": AGENT,
            "fbc": "fb.1.1554763741205.AbCdEfGhIjKl",
            "fbp": "fb.1.1596403881668.1116446470",
        },
        "custom_data": {"value": 49.99, "currency": "USD", "order_id": "ORDER-1"},
    }
    (told,) = platform.receiver.told
    assert told.path == "/v25.0/1234567890/events"
    assert told.headers["authorization"] == "Bearer token-1"
    assert "token-1" not in told.path + told.body.decode()


def test_google_takes_a_lead_with_everything_that_is_known(platform: Platforms) -> None:
    assert sent(platform, GOOGLE, conversion(consent="granted")) == {
        "conversionAction": "customers/1234567890/conversionActions/987",
        "conversionDateTime": "2026-01-22 12:00:00+00:00",
        "conversionValue": 49.99,
        "currencyCode": "USD",
        "orderId": "ORDER-1",
        "gclid": "Cj0KCQjw",
        "userIdentifiers": [
            {"hashedEmail": hashed("ann@gmail.com"), "userIdentifierSource": "FIRST_PARTY"},
            {"hashedPhoneNumber": hashed("+16505551212"), "userIdentifierSource": "FIRST_PARTY"},
        ],
        "consent": {"adUserData": "GRANTED"},
    }
    (told,) = platform.receiver.told
    assert told.path == "/v25/customers/1234567890:uploadClickConversions"
    assert told.headers["authorization"] == "Bearer token-1"
    assert "developer-token" not in told.headers


def test_google_takes_an_enhancement_of_what_its_tag_has_reported(platform: Platforms) -> None:
    assert sent(platform, GOOGLE, options={"mode": "web"}) == {
        "adjustmentType": "ENHANCEMENT",
        "conversionAction": "customers/1234567890/conversionActions/987",
        "orderId": "ORDER-1",
        "gclidDateTimePair": {"gclid": "Cj0KCQjw", "conversionDateTime": "2026-01-22 12:00:00+00:00"},
        "userIdentifiers": [
            {"hashedEmail": hashed("ann@gmail.com"), "userIdentifierSource": "FIRST_PARTY"},
            {"hashedPhoneNumber": hashed("+16505551212"), "userIdentifierSource": "FIRST_PARTY"},
        ],
        "userAgent": AGENT,
    }
    assert platform.receiver.told[0].path == "/v25/customers/1234567890:uploadConversionAdjustments"


@pytest.mark.parametrize("mode", ["leads", "web"])
def test_google_is_told_no_name_and_no_place(mode: str) -> None:
    built = build(GOOGLE, options={"mode": mode})
    assert isinstance(built, Outgoing)
    for value in (EVERYTHING.first_name, EVERYTHING.city, EVERYTHING.postal_code, EVERYTHING.external_id):
        assert value.encode() not in built.body


def test_the_little_that_must_be_known_is_enough(platform: Platforms) -> None:
    bare = conversion(identifiers=PERSON, order_id="", page="", revenue=None, currency="", kind="signup")
    assert sent(platform, META, bare) == {
        "event_name": "CompleteRegistration",
        "event_time": 1_769_083_200,
        "event_id": bare.conversion_id,
        "action_source": "other",
        "user_data": {"em": [PERSON.email]},
    }
    assert sent(platform, GOOGLE, bare) == {
        "conversionAction": "customers/1234567890/conversionActions/987",
        "conversionDateTime": "2026-01-22 12:00:00+00:00",
        "userIdentifiers": [{"hashedEmail": PERSON.email, "userIdentifierSource": "FIRST_PARTY"}],
    }


def test_options_of_meta(platform: Platforms) -> None:
    options = {
        "test_event_code": "TEST123",
        "api_version": "v26.0",
        "action_source": "phone_call",
        "event_name.purchase": "Order",
    }
    event = sent(platform, META, conversion(page=""), options=options)
    assert (event["event_name"], event["action_source"]) == ("Order", "phone_call")
    told = platform.receiver.told[-1]
    assert json.loads(told.body)["test_event_code"] == "TEST123"
    assert told.path == "/v26.0/1234567890/events"
    assert sent(platform, META, conversion(kind="download"))["event_name"] == "download"


def test_options_and_credentials_of_google(platform: Platforms) -> None:
    options = {
        "login_customer_id": "111-222-3333",
        "conversion_action": "customers/5/conversionActions/6",
        "validate_only": "true",
        "api_version": "v26",
    }
    secret = json.dumps({"developer_token": "dev", "access_token": "access"})
    assert sent(platform, GOOGLE, options=options, secret=secret)["conversionAction"] == options["conversion_action"]
    told = platform.receiver.told[-1]
    assert told.path == "/v26/customers/1234567890:uploadClickConversions"
    assert (told.headers["authorization"], told.headers["developer-token"]) == ("Bearer access", "dev")
    assert told.headers["login-customer-id"] == "1112223333"
    assert json.loads(told.body)["validateOnly"] is True


@pytest.mark.parametrize(
    ("known", "kept"),
    [
        ({"gclid": "Cj0KCQjw", "gbraid": "0AAAAAo1"}, "gclid"),
        ({"gbraid": "0AAAAAo1", "wbraid": "Cl4KCQjw"}, "gbraid"),
        ({"wbraid": "Cl4KCQjw"}, "wbraid"),
    ],
)
def test_google_is_told_one_click_id(platform: Platforms, known: dict[str, str], kept: str) -> None:
    event = sent(platform, GOOGLE, conversion(identifiers=Identifiers(**known)))
    assert {"gclid", "gbraid", "wbraid"} & set(event) == {kept}
    assert "userIdentifiers" not in event


def test_the_platforms_own_addresses_are_used_unless_the_destination_says_otherwise() -> None:
    for kind, url in (
        (META, "https://graph.facebook.com/v25.0/1234567890/events"),
        (GOOGLE, "https://googleads.googleapis.com/v25/customers/1234567890:uploadClickConversions"),
    ):
        built = build(kind)
        assert isinstance(built, Outgoing)
        assert built.url == url
        through = build(kind, url="https://proxy.example/base/")
        assert isinstance(through, Outgoing)
        assert through.url.startswith("https://proxy.example/base/v25")


def test_amounts_are_told_to_the_last_digit_and_never_without_a_currency() -> None:
    exact = conversion(revenue=Decimal("12345678901234.5678"))
    assert body_of(build(META, exact))["data"][0]["custom_data"]["value"] == Decimal("12345678901234.5678")
    assert body_of(build(GOOGLE, exact))["conversions"][0]["conversionValue"] == Decimal("12345678901234.5678")
    free = conversion(revenue=Decimal(0))
    assert body_of(build(META, free))["data"][0]["custom_data"]["value"] == 0
    assert body_of(build(GOOGLE, free))["conversions"][0]["conversionValue"] == 0
    unnamed = conversion(currency="", kind="signup")
    assert body_of(build(META, unnamed))["data"][0]["custom_data"] == {"order_id": "ORDER-1"}
    assert "currencyCode" not in body_of(build(GOOGLE, unnamed))["conversions"][0]
    option = {"currency": "EUR"}
    assert body_of(build(META, unnamed, options=option))["data"][0]["custom_data"]["currency"] == "EUR"
    assert body_of(build(GOOGLE, unnamed, options=option))["conversions"][0]["currencyCode"] == "EUR"
    assert body_of(build(META, options=option))["data"][0]["custom_data"]["currency"] == "USD"


def test_a_time_after_the_receipt_is_told_as_the_receipt() -> None:
    assert body_of(build(META, conversion(converted_at=NOON + DAY_MS)))["data"][0]["event_time"] == NOON // 1000


def test_an_order_id_that_names_a_person_is_told_to_nobody() -> None:
    personal = conversion(order_id="ann@example.com-1")
    event = body_of(build(META, personal))["data"][0]
    assert event["event_id"] == personal.conversion_id
    assert "order_id" not in event["custom_data"]
    assert "orderId" not in body_of(build(GOOGLE, personal))["conversions"][0]
    assert skipped(GOOGLE, personal, options={"mode": "web"}) is SkipReason.NO_ORDER_ID


@pytest.mark.parametrize("kind", [META, GOOGLE])
@pytest.mark.parametrize(
    ("rule", "stated", "told"),
    [
        (Consent.NOT_REQUIRED, "", True),
        (Consent.NOT_REQUIRED, "granted", True),
        (Consent.NOT_REQUIRED, "denied", True),
        (Consent.IF_GRANTED, "", False),
        (Consent.IF_GRANTED, "granted", True),
        (Consent.IF_GRANTED, "denied", False),
        (Consent.UNLESS_DENIED, "", True),
        (Consent.UNLESS_DENIED, "granted", True),
        (Consent.UNLESS_DENIED, "denied", False),
    ],
)
def test_the_consent_rule_of_the_destination_decides(
    kind: DestinationKind, rule: Consent, stated: str, told: bool
) -> None:
    built = build(kind, conversion(consent=stated), consent=rule)
    assert built == Skipped(SkipReason.NO_CONSENT) if not told else isinstance(built, Outgoing)


@pytest.mark.parametrize("kind", [META, GOOGLE])
def test_only_kinds_that_are_wanted_are_told_and_no_updates(kind: DestinationKind) -> None:
    assert skipped(kind, events=("signup",)) is SkipReason.KIND_NOT_WANTED
    assert isinstance(build(kind, events=("signup", "purchase")), Outgoing)
    assert skipped(kind, event=NoticeEvent.UPDATED) is SkipReason.EVENT_NOT_WANTED


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (META, {"options": {"pixel_id": ""}}),
        (META, {"options": {"pixel_id": "../me"}}),
        (META, {"options": {"api_version": "25/../me"}}),
        (META, {"options": {"action_source": "app"}}),
        (META, {"secret": ""}),
        (GOOGLE, {"options": {"customer_id": ""}}),
        (GOOGLE, {"options": {"customer_id": "me"}}),
        (GOOGLE, {"options": {"login_customer_id": "boss"}}),
        (GOOGLE, {"options": {"conversion_action": "purchase"}}),
        (GOOGLE, {"options": {"api_version": "latest"}}),
        (GOOGLE, {"options": {"mode": "store"}}),
        (GOOGLE, {"secret": ""}),
        (GOOGLE, {"secret": "{"}),
        (GOOGLE, {"secret": '{"developer_token":"dev"}'}),
        (GOOGLE, {"secret": '{"access_token":5}'}),
        (GOOGLE, {"secret": "a\nb"}),
    ],
)
def test_a_destination_that_lacks_something_is_told_nothing(kind: DestinationKind, how: dict[str, Any]) -> None:
    assert skipped(kind, **how) is SkipReason.NOT_CONFIGURED


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"user_agent": AGENT},
        {"first_name": hashed("ann")},
        {"last_name": hashed("oneil")},
        {"city": hashed("newyork"), "state": hashed("ny"), "country": hashed("us"), "user_agent": AGENT},
        {"gclid": "Cj0KCQjw"},
    ],
)
def test_who_is_known_too_vaguely_for_meta_is_not_sent(known: dict[str, str]) -> None:
    assert skipped(META, conversion(identifiers=Identifiers(**known))) is SkipReason.NO_IDENTIFIERS


def test_two_names_are_enough_for_meta(platform: Platforms) -> None:
    both = Identifiers(first_name=hashed("ann"), last_name=hashed("oneil"))
    assert set(sent(platform, META, conversion(identifiers=both))["user_data"]) == {"fn", "ln"}


def test_google_needs_a_person_or_a_click_and_for_web_a_person_and_an_order() -> None:
    nobody = conversion(identifiers=Identifiers(first_name=hashed("ann"), fbp="fb.1.1596403881668.1"))
    clicked = conversion(identifiers=Identifiers(gclid="Cj0KCQjw"))
    assert skipped(GOOGLE, nobody) is SkipReason.NO_IDENTIFIERS
    assert skipped(GOOGLE, clicked, options={"mode": "web"}) is SkipReason.NO_IDENTIFIERS
    assert skipped(GOOGLE, conversion(order_id=""), options={"mode": "web"}) is SkipReason.NO_ORDER_ID


def test_meta_takes_no_purchase_without_money_and_nothing_older_than_a_week() -> None:
    assert skipped(META, conversion(revenue=None)) is SkipReason.NO_VALUE
    assert skipped(META, conversion(currency="")) is SkipReason.NO_VALUE
    week = conversion(converted_at=NOON - 7 * DAY_MS)
    assert isinstance(build(META, week), Outgoing)
    assert skipped(META, conversion(converted_at=NOON - 7 * DAY_MS - 1)) is SkipReason.TOO_OLD


def test_the_same_notice_is_the_same_bytes() -> None:
    for kind in (META, GOOGLE):
        assert build(kind) == build(kind)


@pytest.mark.parametrize("kind", [META, GOOGLE])
def test_the_stand_ins_refuse_what_the_documents_do(kind: DestinationKind) -> None:
    """Or the tests above would show nothing."""
    built = build(kind)
    assert isinstance(built, Outgoing)
    path = "/" + built.url.partition("//")[2].partition("/")[2]
    headers = {name.lower(): value for name, value in built.headers.items()}
    check = check_meta if kind is META else check_google
    check(path, headers, built.body)
    text = built.body.decode()
    email = hashed("a.nn+x@gmail.com") if kind is META else hashed("ann@gmail.com")
    for changed in (
        text.replace(email, "ann@gmail.com"),
        text.replace(email, email.upper()),
        text[:-1] + ',"surprise":1}',
        text.replace('"USD"', '"dollars"'),
    ):
        assert changed != text
        with pytest.raises(Wrong):
            check(path, headers, changed.encode())
    with pytest.raises(Wrong):
        check(path, headers | {"authorization": ""}, built.body)
    with pytest.raises(Wrong):
        check(path + "?access_token=token-1", headers, built.body)


def test_a_refresh_token_is_exchanged_in_the_body_alone() -> None:
    secret = json.dumps({"developer_token": "dev", "client_id": "id", "client_secret": "s&1", "refresh_token": "1//r"})
    credentials = credentials_of(secret)
    assert credentials is not None
    assert credentials.refreshable
    asked = exchange(credentials)
    assert asked.url == "https://oauth2.googleapis.com/token"
    assert httpx.QueryParams(asked.body.decode()) == httpx.QueryParams(
        {"grant_type": "refresh_token", "client_id": "id", "client_secret": "s&1", "refresh_token": "1//r"}
    )
    token = granted(b'{"access_token":"ya29.new","expires_in":3599,"scope":"x","token_type":"Bearer"}')
    assert token == AccessToken("ya29.new", 3599)
    built = build(GOOGLE, secret=with_token(credentials, token))
    assert isinstance(built, Outgoing)
    assert (built.headers["Authorization"], built.headers["developer-token"]) == ("Bearer ya29.new", "dev")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"error":"invalid_grant"}', b'{"access_token":5,"expires_in":1}', b"\xff"]
)
def test_an_answer_without_a_token_grants_none(body: bytes) -> None:
    assert granted(body) is None


def test_a_plain_secret_is_an_access_token() -> None:
    assert credentials_of("ya29.token") == Credentials(access_token="ya29.token")
    assert not Credentials(access_token="ya29.token").refreshable


def test_what_is_tried_again_is_a_failure_or_too_early_and_only_a_failure_counts_against_the_destination() -> None:
    repeated = {outcome for outcome in DeliveryOutcome if outcome.repeated}
    failed = {outcome for outcome in DeliveryOutcome if outcome.failed}
    assert repeated - failed == {DeliveryOutcome.DEFERRED}
    assert DeliveryOutcome.REFUSED not in repeated


@pytest.mark.parametrize("rule", Consent)
def test_a_postback_obeys_the_consent_rule_too(rule: Consent) -> None:
    told = {
        stated: isinstance(
            postback(
                Destination(
                    id="d",
                    project_id="p",
                    name="CRM",
                    kind=DestinationKind.POSTBACK,
                    url="https://crm.example/",
                    consent=rule,
                ),
                "",
                Notice(conversion(consent=stated), NoticeEvent.TRACKED, None),
            ),
            Outgoing,
        )
        for stated in ("", "granted", "denied")
    }
    assert (
        told
        == {
            Consent.NOT_REQUIRED: {"": True, "granted": True, "denied": True},
            Consent.IF_GRANTED: {"": False, "granted": True, "denied": False},
            Consent.UNLESS_DENIED: {"": True, "granted": True, "denied": False},
        }[rule]
    )
