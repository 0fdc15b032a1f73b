"""A conversion -> a POST to Meta's Conversions API (``/{version}/{pixel_id}/events``).

1. It is a ``website`` event where page and user agent are known, since those must then be sent; else what the option
   ``action_source`` says (``other``).
2. ``event_id`` is the order's id, else the conversion's: a page's pixel that sends the same is counted once.
3. Who is known too vaguely is not sent: Meta refuses events with nothing but a place, a browser, or half a name.
4. The access token travels in a header. Amounts are exact: a JSON number with the digits that were stored.
"""

from decimal import Decimal
from typing import Final

import msgspec

from processors.delivery.forwarding.rules import DIGITS, VERSION, base_of, currency_of, order_of, skip_of
from processors.delivery.request import Notice, Outgoing, Skipped
from schemas.control import Destination
from schemas.events import Conversion
from schemas.identifiers import Identifiers
from schemas.outcomes import SkipReason

URL: Final = "https://graph.facebook.com"
API_VERSION: Final = "v25.0"
OLDEST_MS: Final = 7 * 24 * 3_600_000
"""``event_time`` may be so far back when it is sent; older, the whole request is refused."""
PURCHASE: Final = "Purchase"
EVENT_NAMES: Final = {
    "purchase": PURCHASE,
    "signup": "CompleteRegistration",
    "lead": "Lead",
    "subscribe": "Subscribe",
    "start_trial": "StartTrial",
    "contact": "Contact",
}
"""Meta's standard events by kind of conversion. Other kinds are custom events of their own name."""
WEBSITE: Final = "website"
ACTION_SOURCES: Final = ("other", "email", "phone_call", "chat", "physical_store", "system_generated")
"""Those that need nothing that we do not know."""
TOO_VAGUE: Final = (
    frozenset({"ct", "country", "st", "zp", "client_user_agent"}),
    frozenset({"fn"}),
    frozenset({"ln"}),
)
"""With only these, or a part of them, an event is invalid."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class UserData(msgspec.Struct, frozen=True, omit_defaults=True):
    """Customer information parameters."""

    em: tuple[str, ...] = ()
    ph: tuple[str, ...] = ()
    fn: tuple[str, ...] = ()
    ln: tuple[str, ...] = ()
    ct: tuple[str, ...] = ()
    st: tuple[str, ...] = ()
    zp: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    external_id: tuple[str, ...] = ()
    client_user_agent: str = ""
    fbc: str = ""
    fbp: str = ""


class CustomData(msgspec.Struct, frozen=True, omit_defaults=True):
    """Custom data parameters."""

    value: Decimal | None = None
    currency: str = ""
    order_id: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Server event parameters."""

    event_name: str
    event_time: int
    """Unix seconds."""
    event_id: str
    action_source: str
    event_source_url: str = ""
    user_data: UserData
    custom_data: CustomData | None = None


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """Main body parameters."""

    data: tuple[Event, ...]
    test_event_code: str = ""


def meta(destination: Destination, secret: str, notice: Notice) -> Outgoing | Skipped:
    """The POST (see :data:`processors.delivery.request.Builder`). ``secret``: the access token."""
    reason = skip_of(destination, notice)
    if reason is not None:
        return Skipped(reason)
    options, conversion = destination.options, notice.conversion
    pixel_id, version = options.get("pixel_id", ""), options.get("api_version") or API_VERSION
    action_source = options.get("action_source") or ACTION_SOURCES[0]
    configured = DIGITS.fullmatch(pixel_id) and VERSION.fullmatch(version) and action_source in ACTION_SOURCES
    if not (configured and secret):
        return Skipped(SkipReason.NOT_CONFIGURED)
    if conversion.converted_at < conversion.received_at - OLDEST_MS:
        return Skipped(SkipReason.TOO_OLD)
    user_data = user_data_of(conversion.identifiers)
    if is_too_vague(user_data):
        return Skipped(SkipReason.NO_IDENTIFIERS)
    name = options.get(f"event_name.{conversion.kind}") or EVENT_NAMES.get(conversion.kind, conversion.kind)
    custom_data = custom_data_of(destination, conversion)
    if name == PURCHASE and custom_data.value is None:
        return Skipped(SkipReason.NO_VALUE)
    seen = conversion.page and user_data.client_user_agent
    event = Event(
        event_name=name,
        event_time=min(conversion.converted_at, conversion.received_at) // 1000,
        event_id=order_of(conversion) or conversion.conversion_id,
        action_source=WEBSITE if seen else action_source,
        event_source_url=conversion.page,
        user_data=user_data,
        custom_data=custom_data if custom_data != CustomData() else None,
    )
    return Outgoing(
        url=f"{base_of(destination, URL)}/{version}/{pixel_id}/events",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {secret}"},
        body=_encode(Body((event,), options.get("test_event_code", ""))),
    )


def user_data_of(known: Identifiers) -> UserData:
    """The identifiers under Meta's names."""

    def listed(value: str) -> tuple[str, ...]:
        return (value,) if value else ()

    return UserData(
        em=listed(known.email),
        ph=listed(known.phone),
        fn=listed(known.first_name),
        ln=listed(known.last_name),
        ct=listed(known.city),
        st=listed(known.state),
        zp=listed(known.postal_code),
        country=listed(known.country),
        external_id=listed(known.external_id),
        client_user_agent=known.user_agent,
        fbc=known.fbc,
        fbp=known.fbp,
    )


def is_too_vague(user_data: UserData) -> bool:
    """Whether Meta would refuse an event for it."""
    given = {name for name in UserData.__struct_fields__ if getattr(user_data, name)}
    return any(given <= vague for vague in TOO_VAGUE)


def custom_data_of(destination: Destination, conversion: Conversion) -> CustomData:
    """Amount and order. An amount without a currency says nothing: it is left out."""
    currency = currency_of(destination, conversion)
    if conversion.revenue is None or not currency:
        return CustomData(order_id=order_of(conversion))
    return CustomData(conversion.revenue, currency, order_of(conversion))
