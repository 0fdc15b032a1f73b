"""The clickstream and its translation into events. Seeded: the same clicks give the same events and ids, always."""

import csv
import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import distribution
from typing import Any, Final

import msgspec

SITE: Final = "https://shop.example"
CURRENCIES: Final = ("USD", "USD", "USD", "EUR")
SEED: Final = 20240104

PAGES: Final = frozenset(
    {
        "home",
        "catalog",
        "product_view",
        "search",
        "promo_page",
        "cart",
        "shipping_details",
        "payment_details",
        "account_page",
        "review_page",
        "error_page",
    }
)
"""Clicks that show a page. A purchase is a conversion; all others are events on a page."""


class Origin(msgspec.Struct, frozen=True):
    """How a session's first pageview shows its acquisition channel."""

    query: str = ""
    referrer: str = ""
    source: str = "(direct)"
    medium: str = "(none)"
    campaign: str = ""


ORIGINS: Final = {
    "organic": Origin(referrer="https://www.google.com/", source="google", medium="organic"),
    "paid_search": Origin(
        query="?utm_source=google&utm_medium=cpc&utm_campaign=brand",
        referrer="https://www.google.com/",
        source="google",
        medium="cpc",
        campaign="brand",
    ),
    "email": Origin(
        query="?utm_source=newsletter&utm_medium=email&utm_campaign=weekly",
        source="newsletter",
        medium="email",
        campaign="weekly",
    ),
    "social": Origin(
        query="?utm_source=facebook&utm_medium=social&utm_campaign=spring",
        referrer="https://www.facebook.com/",
        source="facebook",
        medium="social",
        campaign="spring",
    ),
    "direct": Origin(),
}


class Click(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file, moved in time, with the price of its purchase."""

    number: int
    user: str
    session: str
    action: str
    at: datetime
    channel: str
    price: Decimal | None
    currency: str

    @property
    def is_page(self) -> bool:
        return self.action in PAGES

    @property
    def is_purchase(self) -> bool:
        return self.action == "purchase"


def last_click() -> datetime:
    """Time of the newest click in the file."""
    return max(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in _rows())


def clicks(shift: timedelta) -> list[Click]:
    """All clicks, in the order of the file, ``shift`` later than they were."""
    prices = random.Random(SEED)
    return [
        Click(
            number=number,
            user=row["user_id"],
            session=row["session_id"],
            action=row["event"],
            at=datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) + shift,
            channel=row["acquisition_channel"],
            price=Decimal(prices.randrange(499, 29999)) / 100 if row["event"] == "purchase" else None,
            currency=prices.choice(CURRENCIES) if row["event"] == "purchase" else "",
        )
        for number, row in enumerate(_rows())
    ]


def entries(stream: list[Click]) -> set[int]:
    """Numbers of the clicks that are the first page of their session: they show where it came from."""
    first: dict[str, Click] = {}
    for click in stream:
        known = first.get(click.session)
        if click.is_page and (known is None or (click.at, click.number) < (known.at, known.number)):
            first[click.session] = click
    return {click.number for click in first.values()}


def events(stream: list[Click]) -> list[dict[str, Any]]:
    """The clicks as the events API takes them."""
    shown = entries(stream)
    return [_event(click, click.number in shown) for click in stream]


def _event(click: Click, is_entry: bool) -> dict[str, Any]:
    origin = ORIGINS[click.channel] if is_entry else Origin()
    event: dict[str, Any] = {
        "event_id": f"demo-{click.number:06d}",
        "user_id": click.user,
        "anonymous_id": f"browser-of-{click.user}",
        "session_id": click.session,
        "timestamp": click.at.isoformat(),
        "url": f"{SITE}/{click.action}{origin.query}",
    }
    if origin.referrer:
        event["referrer"] = origin.referrer
    if click.price is not None:
        order = {"order_id": f"demo-order-{click.number:06d}"}
        return event | {
            "event_type": "conversion",
            "event_name": "purchase",
            "revenue": str(click.price),
            "currency": click.currency,
            "properties": order,
        }
    if click.is_page:
        return event | {"event_type": "pageview", "event_name": click.action}
    return event | {"event_type": "event", "event_name": click.action}


def _rows() -> Iterator[dict[str, str]]:
    # By its path, not by importing the package: that would load a plotting stack for one file.
    path = distribution("retentioneering").locate_file("retentioneering/datasets/ecom.csv.gz")
    with gzip.open(str(path), "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
