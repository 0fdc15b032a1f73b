"""Stand-ins for the advertising platforms, on loopback: they take what the platforms' documents allow, and only that.

Written from the documents (``docs/forwarding.md``), not from our builders: an unknown member, a value that should be
hashed and is not, a missing or a forbidden member is answered 400 with what is wrong.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from receiver import Receiver, receiving

HASH = re.compile(r"[0-9a-f]{64}")
META_PATH = re.compile(r"/v\d+\.\d+/\d+/events")
GOOGLE_PATH = re.compile(r"/v\d+/customers/\d+:(uploadClickConversions|uploadConversionAdjustments)")
GOOGLE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
ACTION = re.compile(r"customers/\d+/conversionActions/\d+")
CURRENCY = re.compile(r"[A-Z]{3}")
META_HASHED = {"em", "ph", "fn", "ln", "ct", "st", "zp", "country", "external_id"}
META_PLAIN = {"fbc": r"fb\.\d\.\d+\..+", "fbp": r"fb\.\d\.\d+\.\d+", "client_user_agent": r".+"}
META_SOURCES = {
    "website",
    "email",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
}
META_INVALID = (
    {"ct", "country", "st", "zp", "ge", "client_user_agent"},
    {"db", "client_user_agent"},
    {"fn", "ge"},
    {"ln", "ge"},
)


class Wrong(Exception):
    """What a platform would refuse the request for."""


def need(condition: object, said: str) -> None:
    if not condition:
        raise Wrong(said)


def members(value: Any, where: str, required: set[str], optional: set[str]) -> dict[str, Any]:
    need(isinstance(value, dict), f"{where} must be an object")
    need(required <= set(value), f"{where} lacks {sorted(required - set(value))}")
    unknown = set(value) - required - optional
    need(not unknown, f"{where} has unknown members {sorted(unknown)}")
    need(all(inner not in ("", None, []) for inner in value.values()), f"{where} has an empty member")
    found: dict[str, Any] = value
    return found


def number(value: object, where: str) -> None:
    need(isinstance(value, int | float) and not isinstance(value, bool), f"{where} must be a number")


def check_headers(headers: dict[str, str], url: str) -> None:
    need(headers.get("content-type") == "application/json", "Content-Type must be application/json")
    need(re.fullmatch(r"Bearer [\x21-\x7e]+", headers.get("authorization", "")), "no access token")
    need(not urlsplit(url).query, "nothing belongs into the query")


def check_meta(path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The one event of a request to the Conversions API. Raises :class:`Wrong`."""
    check_headers(headers, path)
    need(META_PATH.fullmatch(path), "no such edge")
    root = members(json.loads(body), "body", {"data"}, {"test_event_code"})
    need(isinstance(root["data"], list) and len(root["data"]) == 1, "data must be a list of one event here")
    event = members(
        root["data"][0],
        "event",
        {"event_name", "event_time", "event_id", "action_source", "user_data"},
        {"event_source_url", "custom_data"},
    )
    need(type(event["event_time"]) is int and 10**9 < event["event_time"] < 10**10, "event_time must be Unix seconds")
    need(event["action_source"] in META_SOURCES, "no such action_source")
    user_data = members(event["user_data"], "user_data", set(), META_HASHED | set(META_PLAIN))
    need(user_data, "user_data is empty")
    for name, value in user_data.items():
        if name in META_HASHED:
            need(isinstance(value, list) and all(HASH.fullmatch(one) for one in value), f"{name} is not hashed")
        else:
            need(re.fullmatch(META_PLAIN[name], value), f"{name} has another form")
    need(not any(set(user_data) <= invalid for invalid in META_INVALID), "too vague to be matched")
    if event["action_source"] == "website":
        need("client_user_agent" in user_data, "website needs client_user_agent")
        need("event_source_url" in event, "website needs event_source_url")
    if "event_source_url" in event:
        need(re.match(r"https?://[^/?#@]+/", event["event_source_url"]), "event_source_url must be a web page")
    custom = members(
        event.get("custom_data", {"order_id": "-"}), "custom_data", set(), {"value", "currency", "order_id"}
    )
    if event["event_name"] == "Purchase":
        need({"value", "currency"} <= set(custom), "Purchase needs value and currency")
    if "value" in custom:
        number(custom["value"], "value")
        need(CURRENCY.fullmatch(custom.get("currency", "")), "currency must be ISO 4217")
    return event


def check_google(path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The one conversion or adjustment of a request to the Google Ads API. Raises :class:`Wrong`."""
    check_headers(headers, path)
    need(re.fullmatch(r"\d+", headers.get("login-customer-id", "1")), "login-customer-id must be digits")
    found = GOOGLE_PATH.fullmatch(path)
    need(found, "no such method")
    assert found is not None
    clicks = found[1] == "uploadClickConversions"
    name = "conversions" if clicks else "conversionAdjustments"
    root = members(json.loads(body), "body", {name, "partialFailure"}, {"validateOnly"})
    need(root["partialFailure"] is True, "partialFailure must always be true")
    need(isinstance(root[name], list) and len(root[name]) == 1, "one here")
    one: dict[str, Any] = check_click(root[name][0]) if clicks else check_adjustment(root[name][0])
    need(ACTION.fullmatch(one["conversionAction"]), "conversionAction must be a resource name")
    need(len(one.get("userIdentifiers", [])) <= 5, "at most five user identifiers")
    for each in one.get("userIdentifiers", []):
        identifier = members(
            each, "userIdentifier", set(), {"hashedEmail", "hashedPhoneNumber", "userIdentifierSource"}
        )
        need(identifier.get("userIdentifierSource", "FIRST_PARTY") == "FIRST_PARTY", "no such source")
        hashes = [value for key, value in identifier.items() if key != "userIdentifierSource"]
        need(len(hashes) == 1, "a userIdentifier is one of its members")
        need(HASH.fullmatch(hashes[0]), "an identifier is not hashed")
    return one


def check_click(value: Any) -> dict[str, Any]:
    one = members(
        value,
        "conversion",
        {"conversionAction", "conversionDateTime"},
        {"conversionValue", "currencyCode", "orderId", "gclid", "gbraid", "wbraid", "userIdentifiers", "consent"},
    )
    need(GOOGLE_TIME.fullmatch(one["conversionDateTime"]), "conversionDateTime has another form")
    need(len({"gclid", "gbraid", "wbraid"} & set(one)) <= 1, "only one click id")
    need({"gclid", "gbraid", "wbraid", "userIdentifiers"} & set(one), "nothing to find a click by")
    if "conversionValue" in one:
        number(one["conversionValue"], "conversionValue")
    need(CURRENCY.fullmatch(one.get("currencyCode", "USD")), "currencyCode must be ISO 4217")
    need("@" not in one.get("orderId", ""), "ORDER_ID_CONTAINS_PII")
    if "consent" in one:
        consent = members(one["consent"], "consent", {"adUserData"}, set())
        need(consent["adUserData"] in ("GRANTED", "DENIED"), "no such consent")
    return one


def check_adjustment(value: Any) -> dict[str, Any]:
    one = members(
        value,
        "adjustment",
        {"adjustmentType", "conversionAction", "orderId", "userIdentifiers"},
        {"gclidDateTimePair", "userAgent"},
    )
    need(one["adjustmentType"] == "ENHANCEMENT", "user identifiers belong to enhancements only")
    pair = members(
        one.get("gclidDateTimePair", {"gclid": "-"}), "gclidDateTimePair", set(), {"gclid", "conversionDateTime"}
    )
    need(GOOGLE_TIME.fullmatch(pair.get("conversionDateTime", "2019-01-01 12:32:45-08:00")), "another form of time")
    need("@" not in one["orderId"], "ORDER_ID_CONTAINS_PII")
    return one


class Platforms:
    """Both platforms at one address. ``events`` has what was taken, in order."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.url = f"http://127.0.0.1:{receiver.port}"
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.google_answer: dict[str, Any] = {"results": [{}], "jobId": "1"}
        self.tokens_granted = 0
        self.token_answer: dict[str, Any] | None = None
        """Instead of a new token."""
        self.expires_in = 3599
        receiver.answer = self._answer

    def _answer(self, receiver: Receiver, handler: BaseHTTPRequestHandler) -> None:
        told = receiver.told[-1]
        if told.path == "/token":
            self._grant(handler, told.body)
            return
        if told.path == "/refused":
            reply(handler, 401, {"error": "invalid_client"})
            return
        is_meta = META_PATH.fullmatch(urlsplit(told.path).path) is not None
        try:
            event = (check_meta if is_meta else check_google)(told.path, told.headers, told.body)
        except (Wrong, ValueError) as error:
            self.wrong.append(str(error))
            reply(handler, 400, {"error": {"message": str(error)}})
            return
        self.events.append(event)
        reply(handler, 200, {"events_received": 1, "fbtrace_id": "t"} if is_meta else self.google_answer)

    def _grant(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        form = parse_qs(body.decode(), strict_parsing=True)
        need(form.pop("grant_type") == ["refresh_token"], "no such grant")
        need(set(form) == {"client_id", "client_secret", "refresh_token"}, "the form has other members")
        self.tokens_granted += 1
        token = {"access_token": f"ya29.{self.tokens_granted}", "expires_in": self.expires_in, "token_type": "Bearer"}
        reply(handler, 200, token if self.token_answer is None else self.token_answer)


def reply(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    encoded = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(encoded)))
    handler.end_headers()
    handler.wfile.write(encoded)


@contextmanager
def platforms() -> Iterator[Platforms]:
    """Both on a free port while the block runs."""
    with receiving() as receiver:
        yield Platforms(receiver)
