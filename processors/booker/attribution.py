"""The statements of one run that find touched conversions and book their credits, in their order.

Nothing is computed here: a step that would find nothing is left out, since ClickHouse takes longer to read a statement
than to look up a few rows. For that reason, too, a run over little is done without them (:mod:`.small_run`).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from processors.booker.ledger import Ledger, Presence
from processors.booker.scope import Delta
from processors.booker.small_run import FEW_CONVERSIONS, SmallRun
from processors.booker.walk import Hop
from processors.core.persons import CARRIERS, SHAREABLE

NO_DELTA: Final = Delta(since={}, until={})
HOPS: Final[tuple[Hop, ...]] = (
    (CARRIERS, ["user", *SHAREABLE, "click", "fingerprint"]),  # what the touched sessions and reports carry
    (SHAREABLE, CARRIERS),
    (CARRIERS, ["user"]),  # the users behind it
    (["user"], CARRIERS),
    (CARRIERS, SHAREABLE),  # all contacts and browsers of these users
    ([*SHAREABLE, "click", "fingerprint"], CARRIERS),
    (["session"], ["conversion"]),
)
"""From what is new to the conversions that may depend on it: reach.sql and what it reads, backwards."""

LANDINGS: Final[tuple[Hop, ...]] = ((["session"], ["click"]), (["click"], ["session"]))
"""Before them, where there are clicks on links: to the sessions that a click led into, since they may have been stored
before it. reach_clicks.sql, backwards."""

FEW: Final = 10_000
"""Up to so many conversions, comparing all of them is cheaper than a statement of its own for the new ones."""


class Touched(NamedTuple):
    """What a run looks at."""

    conversions: int
    presence: Presence
    few: SmallRun | None = None
    """What found them, if they are few enough to be booked by it."""


def find_touched(ledger: Ledger, parameters: Mapping[str, Any], delta: Delta | None) -> Touched:
    """Fill run_conversions: those that new facts concern, or all. And what was refunded of them."""
    touched = None
    if delta is not None and delta.positions() <= parameters["small_run_positions"]:
        touched = _walk_here(ledger, parameters, delta)
    if touched is None:
        touched = _walk_there(ledger, parameters, delta)
    if touched.presence.refunds and touched.conversions:
        ledger.run("applied_refunds", parameters)
    return touched


def _hops(presence: Presence) -> tuple[Hop, ...]:
    return (*LANDINGS, *HOPS) if presence.clicks else HOPS


def _walk_here(ledger: Ledger, parameters: Mapping[str, Any], delta: Delta) -> Touched | None:
    run = SmallRun(ledger, parameters)
    found = run.find(delta, _hops(run.presence))
    if found is None:
        return None
    ledger.insert(
        "run_conversions",
        [
            {
                "run_id": parameters["scope_id"],
                "project_id": key.project_id,
                "conversion_id": key.key,
                "cause": cause,
            }
            for key, cause in found.items()
        ],
    )
    return Touched(len(found), run.presence, run if len(found) <= FEW_CONVERSIONS else None)


def _walk_there(ledger: Ledger, parameters: Mapping[str, Any], delta: Delta | None) -> Touched:
    """The same in ClickHouse, hop by hop; or everything."""
    ledger.run("capped_keys", parameters, delta=delta or NO_DELTA)
    presence = ledger.presence()
    if delta is not None:
        ledger.run("touched", parameters, delta=delta)
        if presence.refunds:
            ledger.run("refunded_conversions", parameters, delta=delta)
        for from_kinds, to_kinds in _hops(presence):
            kinds = {"from_kinds": list(from_kinds), "to_kinds": list(to_kinds)}
            ledger.run("hop", {**parameters, **kinds}, capped=presence.capped)
    ledger.run("touched_conversions", parameters, delta=delta or NO_DELTA)
    return Touched(ledger.touched(str(parameters["scope_id"])), presence)


def book_credits(ledger: Ledger, parameters: Mapping[str, Any], touched: Touched) -> int | None:
    """Book what differs between the credits that the touched conversions should have and those that they have.

    Returns how many entries that is, where it is known.
    """
    if touched.few is not None and (entries := touched.few.book()) is not None:
        return entries
    scope_id = str(parameters["scope_id"])
    capped = touched.presence.capped
    ledger.run("booked_conversions", parameters)
    ledger.run("subjects", parameters)
    ledger.run("own_keys", parameters, capped=capped)
    nameless, users, booked = ledger.identities(scope_id)
    if nameless:
        ledger.run("persons", parameters, capped=capped)
    if nameless or users:
        ledger.run("known_keys", parameters, capped=capped)
    ledger.run("reach", parameters)
    if touched.presence.clicks:
        ledger.run("reach_clicks", parameters)
    if not booked or touched.conversions > max(booked, FEW):
        ledger.run("target_credits", {**parameters, "which": "new", "into": "credits"})
    if booked:
        which = "all" if touched.conversions <= FEW else "booked"
        ledger.run("target_credits", {**parameters, "which": which, "into": "run_credits"})
        ledger.run("changed_credits", parameters)
    return None
