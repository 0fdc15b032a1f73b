"""A run over little: what it finds and books by looking up a few rows, with the rules of ``processors.core``.

ClickHouse takes longer to read the statements of :mod:`processors.booker.attribution` than to apply them to a few
facts. What turns out to be more than a few is left to them: then :meth:`SmallRun.find` or
:meth:`SmallRun.book` give None.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from processors.booker.ledger import Ledger
from processors.booker.scope import Delta
from processors.booker.walk import FEW_EDGES, FEW_FACTS, Graph, Hop
from processors.core.cases import MONEY_DIGITS, Case, Refund, Windows, case_of
from processors.core.channels import DIRECT
from processors.core.conversions import merge
from processors.core.paths import Found, Touch, of_session, paths
from processors.core.persons import CARRIERS, SHAREABLE, Key, Person, clicks, person_of, reach
from processors.core.shares import NOTHING, Entry, Part, ages, cell_of, split
from schemas.events import Arrival
from schemas.mailing import Mailing

FEW_CONVERSIONS: Final = 500

REPORT: Final = (
    *("project_id", "conversion_id", "is_conversion", "trust", "received_at", "converted_at", "timed", "user_id"),
    *("anonymous_id", "session_id", "click_id", "fingerprint", "revenue", "currency", "defaulted", "window_days"),
)
MAILING: Final = ("contact_id", "campaign_id", "flow_id", "attribution_window_days", "currency_defaulted")
"""Columns of ``few_arrivals.sql``, in this order."""

TOUCHES: Final = {
    "few_session_touches": ["session"],
    "few_click_touches": ["click", "fingerprint"],
    "few_mail_touches": ["contact"],
}
"""Which places a statement looks in."""

PERSON: Final[tuple[Hop, ...]] = (
    (["session"], SHAREABLE),
    (["click", "user", *SHAREABLE, "fingerprint"], CARRIERS),
    (CARRIERS, ["user"]),
    (["user"], CARRIERS),  # the user behind it
    (CARRIERS, SHAREABLE),
    (SHAREABLE, CARRIERS),
    (CARRIERS, ["user"]),  # whose the sessions and shared keys are
    (["session"], ["click"]),
)
"""From the identities that a conversion names to all that :mod:`processors.core.persons` asks for."""


class SmallRun:
    """One run. Raises what the ledger raises."""

    def __init__(self, ledger: Ledger, parameters: Mapping[str, Any]) -> None:
        self._ledger = ledger
        self._parameters = parameters
        self._graph = Graph(self._edges_of)
        self._causes: dict[Key, str] = {}
        self.presence = ledger.presence()

    def find(self, delta: Delta, hops: Iterable[Hop]) -> Mapping[Key, str] | None:
        """The conversions that new facts concern, and why."""
        rows = self._ledger.rows("new_facts", self._parameters, delta=delta)
        if len(rows) > FEW_FACTS:
            return None
        news = [(Key(project_id, kind, key), starts) for kind, project_id, key, starts in rows]
        start = {key for key, starts in news if starts}
        reached = self._graph.walk(start, hops)
        asides = self._graph.look_up(key for key, starts in news if not starts)
        if reached is None or not asides or self._graph.most > self._parameters["max_edges"]:
            return None  # the last: a key may have to be capped first
        found = self._ledger.rows("new_refunds", self._parameters, delta=delta) if self.presence.refunds else ()
        refunded = {Key(project_id, "conversion", key) for project_id, key in found}
        self._causes = {
            key: "arrival" if key in start else "refund" if key in refunded else "touch"
            for key in {key for key in reached if key.kind == "conversion"} | refunded
        }
        return self._causes

    def book(self) -> int | None:
        """Book what differs, for the conversions found; how many entries that is."""
        reports: dict[Key, list[Arrival]] = defaultdict(list)
        asked = [(key.project_id, key.key) for key in self._causes]
        for row in self._ledger.rows("few_arrivals", {"conversions": asked}):
            arrival = _arrival(row)
            reports[Key(arrival.project_id, "conversion", arrival.conversion_id)].append(arrival)
        cases = self._cases(reports)
        persons = self._persons(cases)
        if persons is None:
            return None
        targets = self._targets(cases, persons)
        for entry, (share, amount) in self._booked(reports):
            left = targets.get(entry, NOTHING)
            targets[entry] = Part(left.share - share, left.amount - amount)
        credits = [
            {
                "run_id": self._parameters["run_id"],
                "run_number": self._parameters["run_number"],
                "cause": self._causes[Key(entry.project_id, "conversion", entry.conversion_id)],
                **entry._asdict(),
                **part._asdict(),
            }
            for entry, part in targets.items()
            if part != NOTHING
        ]
        self._ledger.insert("credits", credits)
        return len(credits)

    def _cases(self, reports: Mapping[Key, Sequence[Arrival]]) -> list[Case]:
        refunds: dict[Key, list[Refund]] = defaultdict(list)
        for project_id, id, refund_id, at, amount in (
            self._ledger.rows("few_refunds", self._parameters) if self.presence.refunds else ()
        ):
            taken = Refund(refund_id, at, int(amount.scaleb(MONEY_DIGITS)))
            refunds[Key(project_id, "conversion", id)].append(taken)
        lookbacks, email = self._parameters["lookbacks"], self._parameters["email_days"]
        lookback = self._parameters["lookback_days"]
        return [
            case_of(one, merged, Windows(lookbacks.get(one.project_id, lookback), email), refunds[one])
            for one, arrivals in reports.items()
            if (merged := merge(arrivals)).is_conversion
        ]

    def _booked(self, reports: Mapping[Key, Sequence[Arrival]]) -> Iterator[tuple[Entry, Part]]:
        """What live runs have booked. An entry is in the cell of a time that a report of its conversion states."""
        cells = {
            (one.project_id, cell_of(arrival.converted_at), one.key)
            for one, arrivals in reports.items()
            for arrival in arrivals
        }
        asked = [(project_id, datetime.fromtimestamp(cell / 1000, UTC), id) for project_id, cell, id in cells]
        for *key, share, amount in self._ledger.rows("few_credits", {**self._parameters, "cells": asked}):
            yield Entry(*key), Part(share, amount)

    def _persons(self, cases: Sequence[Case]) -> list[Person] | None:
        named = {key for case in cases for key in case.keys}
        reached = self._graph.walk(named, PERSON)
        if reached is None:
            return None
        capped: Collection[Key] = ()
        if self.presence.capped:
            rows = self._ledger.rows("capped_of", {"keys": [tuple(key) for key in reached]})
            capped = {Key(*row) for row in rows}
        return [person_of(case.keys, self._graph.edges, capped) for case in cases]

    def _targets(self, cases: Sequence[Case], persons: Sequence[Person]) -> dict[Entry, Part]:
        """What should be booked."""
        edges = self._graph.edges
        ways = [reach(person, edges) for person in persons]
        clicked = [clicks(person, reached, edges, ()) for person, reached in zip(persons, ways, strict=True)]
        touches = self._touches({place for reached in (*ways, *clicked) for place in reached})
        telling = {
            place
            for place, found in touches.items()
            if place.kind == "session" and any(touch.source != DIRECT for touch in found)
        }
        walked = []
        for case, person, reached in zip(cases, persons, ways, strict=True):
            places = reached | clicks(person, reached, edges, telling)
            found = [Found(touch, way) for place, way in places.items() for touch in touches.get(place, ())]
            walked += [(case, scope, path) for scope, path in paths(case, found)]
        weights = self._ledger.weights({ages(path) for _, _, path in walked})
        return dict(part for case, scope, path in walked for part in split(case, scope, path, weights[ages(path)]))

    def _touches(self, places: Collection[Key]) -> dict[Key, list[Touch]]:
        touches: dict[Key, list[Touch]] = defaultdict(list)
        for name, kinds in TOUCHES.items():
            if asked := [tuple(place) for place in places if place.kind in kinds]:
                for project_id, kind, key, *touch in self._ledger.rows(name, {"places": asked}):
                    touches[Key(project_id, kind, key)].append(Touch(*touch))
        return {place: of_session(some) if place.kind == "session" else some for place, some in touches.items()}

    def _edges_of(self, keys: Sequence[Key]) -> Mapping[Key, set[Key]] | None:
        asked = {"keys": [tuple(key) for key in keys], "at_most": FEW_EDGES}
        rows = self._ledger.rows("edges", asked, capped=self.presence.capped)
        edges: dict[Key, set[Key]] = defaultdict(set)
        for project_id, kind, key, carrier_kind, carrier in rows:
            edges[Key(project_id, kind, key)].add(Key(project_id, carrier_kind, carrier))
        return None if len(rows) == FEW_EDGES else edges


def _arrival(row: Sequence[Any]) -> Arrival:
    """Of a row of ``few_arrivals.sql``, with what attribution asks for."""
    said = dict(zip((*REPORT, *MAILING), row, strict=True))
    mailing = Mailing(**{name: said.pop(name) for name in MAILING})
    return Arrival(event_id="", kind="", event_type="", visitor="", mailing=mailing, **said)
