"""What the reports must say, computed from the clicks alone: plain loops, nothing of Headwater's own.

A purchase is credited to the last known source that its customer came from, at most 30 days before; without one it is
direct. Two pages at the same millisecond: the later line of the file would be ambiguous, so the oracle asks for the
same source in both.
"""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Final

import msgspec

from deploy.demo.clickstream import ORIGINS, Click, Origin, entries

LOOKBACK: Final = timedelta(days=30)


class Line(msgspec.Struct, order=True):
    """One line of a table."""

    name: str
    conversions: int = 0
    converters: int = 0
    revenue: dict[str, Decimal] = msgspec.field(default_factory=dict)


class DemoGoal(msgspec.Struct, frozen=True):
    """A goal of the demo, as the goals API takes it, and the clicks that hit it."""

    name: str
    type: str
    match_type: str
    match_value: str
    currency: str | None
    actions: frozenset[str]


GOALS: Final = (
    DemoGoal("Purchase", "custom", "exact", "purchase", "USD", frozenset({"purchase"})),
    DemoGoal(
        "Checkout",
        "pageview",
        "regex",
        "^/(shipping|payment)_details$",
        None,
        frozenset({"shipping_details", "payment_details"}),
    ),
    DemoGoal("Added to cart", "event", "exact", "add_to_cart", None, frozenset({"add_to_cart"})),
    DemoGoal("Support chat", "event", "contains", "chat", None, frozenset({"support_chat"})),
)


def goals(stream: list[Click]) -> list[Line]:
    """Conversions, unique converters and revenue per goal."""
    return sorted(_line(goal.name, [click for click in stream if click.action in goal.actions]) for goal in GOALS)


def sources(stream: list[Click]) -> list[Line]:
    """Conversions, unique converters and revenue per source and medium, last touch."""
    shown = entries(stream)
    visits: dict[str, list[Click]] = defaultdict(list)
    for click in stream:
        if click.number in shown and ORIGINS[click.channel].source != Origin().source:
            visits[click.user].append(click)
    credited: dict[str, list[Click]] = defaultdict(list)
    for click in stream:
        if click.is_purchase:
            known = [v for v in visits[click.user] if click.at - LOOKBACK < v.at <= click.at]
            origin = ORIGINS[max(known, key=lambda v: v.at).channel] if known else Origin()
            credited[f"{origin.source} / {origin.medium}"].append(click)
    return sorted(_line(name, some) for name, some in credited.items())


def _line(name: str, some: list[Click]) -> Line:
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    for click in some:
        if click.price is not None:
            revenue[click.currency] += click.price
    return Line(name, len(some), len({click.user for click in some}), dict(sorted(revenue.items())))
