"""A conversion -> a POST to the Google Ads API, as one of the two kinds of enhanced conversions (option ``mode``).

``leads`` (default)
    ``:uploadClickConversions``: the conversion itself, found by address, phone number or click id.
``web``
    ``:uploadConversionAdjustments`` of type ``ENHANCEMENT``: adds to the conversion that Google's own tag has reported,
    found by the order's id, which is needed.

1. Of the person only hashed address and phone number are sent. Google takes names with a place only, and the place in
   the clear: neither is ours to tell.
2. One click id: ``gclid``, else ``gbraid``, else ``wbraid``; two of them are refused.
3. What is stated about consent is passed on as ``adUserData``; nothing stated, nothing said.
4. Tokens travel in headers.
5. ``partialFailure`` must be true, so that a refusal comes with status 200: it is looked for in the answer.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from processors.delivery.forwarding.google_access import credentials_of
from processors.delivery.forwarding.rules import DIGITS, VERSION, base_of, currency_of, order_of, skip_of
from processors.delivery.request import Notice, Outgoing, Skipped
from schemas.control import Destination
from schemas.events import Conversion
from schemas.identifiers import Identifiers
from schemas.outcomes import DeliveryOutcome, SkipReason

URL: Final = "https://googleads.googleapis.com"
API_VERSION: Final = "v25"
LEADS: Final = "leads"
WEB: Final = "web"
FIRST_PARTY: Final = "FIRST_PARTY"
NOES: Final = (
    ("TOO_RECENT", DeliveryOutcome.DEFERRED),
    ('"partialFailureError"', DeliveryOutcome.REFUSED),
)
"""A click, a conversion or an action may be too recent to be told of: that passes within a day."""
ACTION: Final = re.compile(r"customers/[0-9]{1,32}/conversionActions/[0-9]{1,32}")

_encode = msgspec.json.Encoder(decimal_format="number").encode


class UserIdentifier(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One of the two, never both."""

    hashed_email: str = ""
    hashed_phone_number: str = ""
    user_identifier_source: str | None = None


class AdConsent(msgspec.Struct, frozen=True, rename="camel"):
    ad_user_data: str


class ClickConversion(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """A conversion of its own."""

    conversion_action: str
    conversion_date_time: str
    conversion_value: Decimal | None = None
    currency_code: str = ""
    order_id: str = ""
    gclid: str = ""
    gbraid: str = ""
    wbraid: str = ""
    user_identifiers: tuple[UserIdentifier, ...] = ()
    consent: AdConsent | None = None


class ClickTime(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    gclid: str = ""
    conversion_date_time: str


class Adjustment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """An addition to a conversion that the tag has reported."""

    adjustment_type: str
    conversion_action: str
    order_id: str
    gclid_date_time_pair: ClickTime
    user_identifiers: tuple[UserIdentifier, ...]
    user_agent: str = ""


class Clicks(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    conversions: tuple[ClickConversion, ...]
    partial_failure: bool
    validate_only: bool = False


class Adjustments(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    conversion_adjustments: tuple[Adjustment, ...]
    partial_failure: bool
    validate_only: bool = False


def google(destination: Destination, secret: str, notice: Notice) -> Outgoing | Skipped:
    """The POST (see :data:`processors.delivery.request.Builder`).

    ``secret``: an access token, or the JSON of :class:`processors.delivery.forwarding.google_access.Credentials`.
    """
    reason = skip_of(destination, notice)
    if reason is not None:
        return Skipped(reason)
    options, conversion = destination.options, notice.conversion
    credentials = credentials_of(secret)
    customer_id = options.get("customer_id", "").replace("-", "")
    login_id = options.get("login_customer_id", "").replace("-", "")
    action = action_of(options.get("conversion_action", ""), customer_id)
    version, mode = options.get("api_version") or API_VERSION, options.get("mode") or LEADS
    configured = (
        credentials is not None
        and credentials.access_token
        and DIGITS.fullmatch(customer_id)
        and (not login_id or DIGITS.fullmatch(login_id))
        and action
        and VERSION.fullmatch(version)
        and mode in (LEADS, WEB)
    )
    if credentials is None or not configured:
        return Skipped(SkipReason.NOT_CONFIGURED)
    test = options.get("validate_only", "") == "true"
    if mode == WEB:
        built = enhancement(conversion, action)
        if isinstance(built, Skipped):
            return built
        method, body = "uploadConversionAdjustments", _encode(Adjustments((built,), True, test))
    else:
        click = click_conversion(destination, conversion, action)
        if isinstance(click, Skipped):
            return click
        method, body = "uploadClickConversions", _encode(Clicks((click,), True, test))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {credentials.access_token}"}
    if credentials.developer_token:
        headers["developer-token"] = credentials.developer_token
    if login_id:
        headers["login-customer-id"] = login_id
    return Outgoing(f"{base_of(destination, URL)}/{version}/customers/{customer_id}:{method}", headers, body, noes=NOES)


def click_conversion(destination: Destination, conversion: Conversion, action: str) -> ClickConversion | Skipped:
    """A conversion for leads."""
    known = conversion.identifiers
    people = user_identifiers_of(known)
    click = next((name for name in ("gclid", "gbraid", "wbraid") if getattr(known, name)), "")
    if not people and not click:
        return Skipped(SkipReason.NO_IDENTIFIERS)
    valued = conversion.revenue is not None
    return ClickConversion(
        conversion_action=action,
        conversion_date_time=written(conversion.converted_at),
        conversion_value=conversion.revenue,
        currency_code=currency_of(destination, conversion) if valued else "",
        order_id=order_of(conversion),
        gclid=known.gclid if click == "gclid" else "",
        gbraid=known.gbraid if click == "gbraid" else "",
        wbraid=known.wbraid if click == "wbraid" else "",
        user_identifiers=people,
        consent=AdConsent(conversion.consent.upper()) if conversion.consent else None,
    )


def enhancement(conversion: Conversion, action: str) -> Adjustment | Skipped:
    """An enhancement for web."""
    known = conversion.identifiers
    people, order_id = user_identifiers_of(known), order_of(conversion)
    if not people:
        return Skipped(SkipReason.NO_IDENTIFIERS)
    if not order_id:
        return Skipped(SkipReason.NO_ORDER_ID)
    return Adjustment(
        adjustment_type="ENHANCEMENT",
        conversion_action=action,
        order_id=order_id,
        gclid_date_time_pair=ClickTime(gclid=known.gclid, conversion_date_time=written(conversion.converted_at)),
        user_identifiers=people,
        user_agent=known.user_agent,
    )


def user_identifiers_of(known: Identifiers) -> tuple[UserIdentifier, ...]:
    """One object for each identifier: each holds one only."""
    email, phone = known.email_google or known.email, known.phone_e164
    found = []
    if email:
        found.append(UserIdentifier(hashed_email=email, user_identifier_source=FIRST_PARTY))
    if phone:
        found.append(UserIdentifier(hashed_phone_number=phone, user_identifier_source=FIRST_PARTY))
    return tuple(found)


def action_of(text: str, customer_id: str) -> str:
    """Resource name of a conversion action, given by that or by its number; empty if it is neither."""
    if DIGITS.fullmatch(text):
        return f"customers/{customer_id}/conversionActions/{text}"
    return text if ACTION.fullmatch(text) else ""


def written(at: int) -> str:
    """``2026-01-22 12:00:00+00:00``: ``yyyy-mm-dd hh:mm:ss+|-hh:mm``."""
    return datetime.fromtimestamp(at // 1000, UTC).isoformat(sep=" ", timespec="seconds")
