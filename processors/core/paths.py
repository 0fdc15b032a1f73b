"""Which touches count for a conversion, in each scope.

The same rules as ``candidates.sql`` and the paths of ``attribution.sql``, for a few conversions: see
:mod:`processors.core.persons`.

1. A touch counts up to the conversion and inside its window. An entry that was first in its session only while events
   were missing (``late``) never does; nor, among all touches, a click whose landing session shows a source itself.
2. What is found by fingerprint counts only where nothing better has a touch; among clicks, if the conversion names one,
   only what it names; among e-mails, if it names a campaign or flow, only theirs.
3. Direct visits count only where no source is known.
4. Where no touch counts, all is direct; a conversion that names a campaign or flow is theirs.
5. A touch found in two ways counts once, the better way.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from processors.core.cases import NO_ID, Case
from processors.core.channels import DIRECT, NO_MEDIUM
from processors.core.persons import RANKS, Way


class Touch(NamedTuple):
    """Evidence of a source."""

    at: int
    id: str
    kind: str
    source: str
    medium: str
    campaign: str
    channel: str
    link_id: int = 0
    email_campaign_id: str = ""
    flow_id: str = ""
    late: bool = False
    """An entry that was the first touch of its session only while events were missing."""


class Found(NamedTuple):
    """A touch of a conversion's person, and how it was found."""

    touch: Touch
    way: Way


Path = tuple[Found, ...]
"""Touches that count, in time order; at least one. Where there is none, one that stands for it."""


def of_session(touches: Iterable[Touch]) -> list[Touch]:
    """Those of one session: an entry that is not the first of all is late."""
    first, *others = sorted(touches, key=_order)
    return [first, *(touch._replace(late=touch.kind == "entry") for touch in others)]


def paths(case: Case, found: Iterable[Found]) -> Iterator[tuple[str, Path]]:
    """(scope, path) of each scope in which the conversion is credited."""
    touches = list(_once(found))
    claimed = bool(case.campaign_id or case.flow_id)
    yield "all", _all(case, touches) or _stand_in(_direct(case))
    if clicked := _clicks(case, touches):
        yield "clicks", clicked
    if mailed := _mails(case, touches, claimed=claimed):
        yield "email", mailed
    elif claimed:
        yield "email", _stand_in(_claimed(case))


def _once(found: Iterable[Found]) -> Iterator[Found]:
    """Rule 5, in time order."""
    before = NO_ID
    for one in sorted(found, key=lambda one: (_order(one.touch), one.way.rank, not one.way.landed)):
        if one.touch.id != before:
            yield one
        before = one.touch.id


def _order(touch: Touch) -> tuple[int, str, str]:
    """By time; of equal ones as ClickHouse sorts UUIDs, by their second half."""
    return touch.at, touch.id[19:], touch.id[:18]


def _inside(case: Case, found: Iterable[Found], oldest: int) -> Path:
    """Rule 1, and of rule 2 what is true in each scope."""
    inside = tuple(one for one in found if oldest < one.touch.at <= case.converted_at and not one.touch.late)
    return tuple(one for one in inside if one.way.rank < RANKS["fingerprint"]) or inside


def _all(case: Case, touches: Iterable[Found]) -> Path:
    alone = (one for one in touches if not one.way.landed)
    inside = _inside(case, alone, case.oldest)
    return tuple(one for one in inside if one.touch.source != DIRECT) or inside


def _clicks(case: Case, touches: Iterable[Found]) -> Path:
    inside = _inside(case, (one for one in touches if one.touch.kind == "click"), case.oldest)
    return tuple(one for one in inside if one.way.rank == RANKS["click"]) or inside


def _mails(case: Case, touches: Iterable[Found], *, claimed: bool) -> Path:
    inside = _inside(case, (one for one in touches if one.touch.kind == "email"), case.oldest_email)
    if not claimed:
        return inside
    return tuple(
        one
        for one in inside
        if (case.campaign_id and one.touch.email_campaign_id == case.campaign_id)
        or (case.flow_id and one.touch.flow_id == case.flow_id)
    )


def _stand_in(touch: Touch) -> Path:
    return (Found(touch, Way(RANKS[""])),)


def _direct(case: Case) -> Touch:
    return Touch(case.converted_at, NO_ID, "", DIRECT, NO_MEDIUM, "", "Direct")


def _claimed(case: Case) -> Touch:
    campaign = case.campaign_id or case.flow_id
    return Touch(
        case.converted_at,
        NO_ID,
        "",
        "email",
        "email",
        campaign,
        "Email",
        email_campaign_id=case.campaign_id,
        flow_id=case.flow_id,
    )
