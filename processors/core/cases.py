"""What of a conversion matters for its attribution.

The same rules as ``subjects.sql``, for a few conversions: see :mod:`processors.core.persons`.

1. The window is the conversion's own, else its goal's, else the project's, else the installation's; for interactions
   with e-mails nobody asks the project.
2. Its money came to be in steps: the sale, then each refund.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from processors.core.conversions import Merged
from processors.core.persons import Key
from processors.core.sessions import DAY_MS

NO_ID: Final = "00000000-0000-0000-0000-000000000000"
MONEY_DIGITS: Final = 4


class Step(NamedTuple):
    """Money before and after it, in 1/10000. ``entry_id`` is the refund, zeroes for the sale."""

    entry: str
    entry_id: str
    at: int
    before: int
    after: int


class Refund(NamedTuple):
    """What a refund took, in 1/10000."""

    id: str
    at: int
    amount: int


class Windows(NamedTuple):
    """Days that apply where the conversion and its goal name none."""

    lookback: int
    email: int


class Case(NamedTuple):
    """A conversion to attribute. Times in milliseconds."""

    project_id: str
    conversion_id: str
    converted_at: int
    oldest: int
    """Touches count only after this time,"""
    oldest_email: int
    """and interactions with e-mails after this one."""
    campaign_id: str
    flow_id: str
    keys: tuple[Key, ...]
    currency: str
    steps: tuple[Step, ...]


def case_of(conversion: Key, merged: Merged, windows: Windows, refunds: Iterable[Refund]) -> Case:
    """The case of a merged conversion. ``refunds``: in the order in which they take from the sale."""
    own = merged.attribution_window_days or merged.window_days
    named = {
        "click": merged.click_id,
        "session": merged.session_id,
        "user": merged.user_id,
        "contact": merged.contact_id,
        "anonymous": merged.anonymous_id,
        "fingerprint": merged.fingerprint,
    }
    left = 0 if merged.revenue is None else int(merged.revenue.scaleb(MONEY_DIGITS))
    steps = [Step("sale", NO_ID, merged.converted_at, 0, left)]
    for refund in refunds:
        steps.append(Step("refund", refund.id, refund.at, left, left - refund.amount))
        left -= refund.amount
    return Case(
        conversion.project_id,
        conversion.key,
        merged.converted_at,
        merged.converted_at - (own or windows.lookback) * DAY_MS,
        merged.converted_at - (own or windows.email) * DAY_MS,
        merged.campaign_id,
        merged.flow_id,
        tuple(Key(conversion.project_id, kind, key) for kind, key in named.items() if key),
        "" if merged.revenue is None else merged.currency,
        tuple(steps),
    )
