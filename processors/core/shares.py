"""What each touch of a path gets of a conversion and of its money.

The same rules as ``attribution.sql``, for a few conversions: see :mod:`processors.core.persons`. How the models weigh
touches is in ``models.sql`` alone.

1. The sale is shared out, and each refund is taken back, by the same weights.
2. The cumulative sum of the weights is rounded half up and differences are taken, so shares add up to 1 and amounts to
   the money, to the last digit. Money is never below zero: a refund takes no more than is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from processors.core.cases import MONEY_DIGITS, Case
from processors.core.paths import Path

CELL_MS: Final = 900_000
SHARE_DIGITS: Final = 9


class Entry(NamedTuple):
    """What a credit is about: the columns by which entries are added up, in the order of ``few_credits.sql``."""

    project_id: str
    conversion_id: str
    scope: str
    model: str
    entry: str
    entry_id: str
    entry_cell: int
    touch_id: str
    touched_at: int
    matched_by: str
    converted_at: int
    cell: int
    source: str
    medium: str
    campaign: str
    channel: str
    link_id: int
    email_campaign_id: str
    flow_id: str
    currency: str


class Part(NamedTuple):
    """Of a conversion, and of its money."""

    share: Decimal
    amount: Decimal


NOTHING: Final = Part(Decimal(0), Decimal(0))

Weights = Mapping[str, Sequence[int]]
"""Of each model: whole weights of the touches of a path, in time order."""


def money(amount: int) -> Decimal:
    """Of an amount in 1/10000."""
    return _decimal(amount, MONEY_DIGITS)


def cell_of(at: int) -> int:
    """The quarter of an hour that a time is in."""
    return at - at % CELL_MS


def ages(path: Path) -> tuple[int, ...]:
    """How long before the last touch each was, in milliseconds: what the models weigh."""
    return tuple(path[-1].touch.at - one.touch.at for one in path)


def split(case: Case, scope: str, path: Path, weights: Weights) -> Iterator[tuple[Entry, Part]]:
    """The entries of a conversion in one scope, those that are not nothing."""
    for model, weighed in weights.items():
        reached = [0, *accumulate(weighed)]
        for step in case.steps:
            shares = _parts(reached, 10**SHARE_DIGITS if step.entry == "sale" else 0)
            after, before = _parts(reached, step.after), _parts(reached, step.before)
            for one, share, more, less in zip(path, shares, after, before, strict=True):
                if share or more != less:
                    touch = one.touch
                    entry = Entry(
                        case.project_id,
                        case.conversion_id,
                        scope,
                        model,
                        step.entry,
                        step.entry_id,
                        cell_of(step.at),
                        touch.id,
                        touch.at,
                        one.way.matched_by,
                        case.converted_at,
                        cell_of(case.converted_at),
                        touch.source,
                        touch.medium,
                        touch.campaign,
                        touch.channel,
                        touch.link_id,
                        touch.email_campaign_id,
                        touch.flow_id,
                        case.currency,
                    )
                    yield entry, Part(_decimal(share, SHARE_DIGITS), money(more - less))


def _parts(reached: Sequence[int], whole: int) -> list[int]:
    """``whole`` by the cumulative weights."""
    rounded = [(2 * one * whole + reached[-1]) // (2 * reached[-1]) for one in reached]
    return [after - before for before, after in pairwise(rounded)]


def _decimal(number: int, digits: int) -> Decimal:
    return Decimal(number).scaleb(-digits)
