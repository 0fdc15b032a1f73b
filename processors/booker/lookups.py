"""What a run over little asks ClickHouse: rows of the ``few_*.sql`` statements, as the rules know them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from processors.booker.ledger import Ledger
from processors.booker.scope import Delta
from processors.booker.walk import FEW_EDGES
from processors.core.cases import MONEY_DIGITS, Refund
from processors.core.paths import Touch, of_session
from processors.core.persons import Key
from processors.core.shares import Entry, Part, cell_of
from schemas.events import Arrival
from schemas.mailing import Mailing

REPORT: Final = (
    *("project_id", "conversion_id", "event_type", "event_name", "path", "visitor", "is_conversion", "trust"),
    *("received_at", "converted_at", "timed", "user_id", "anonymous_id", "session_id", "click_id", "fingerprint"),
    *("revenue", "currency", "defaulted", "window_days"),
)
MAILING: Final = ("contact_id", "campaign_id", "flow_id", "attribution_window_days", "currency_defaulted")
"""Columns of ``few_arrivals.sql``, in this order."""

TOUCHES: Final = {
    "few_session_touches": ["session"],
    "few_click_touches": ["click", "fingerprint"],
    "few_mail_touches": ["contact"],
}
"""Which places a statement looks in."""

Reports = Mapping[Key, Sequence[Arrival]]
"""The arrivals of each conversion, in log order."""


class Lookups:
    """Of one run. Methods raise what the ledger raises."""

    def __init__(self, ledger: Ledger, parameters: Mapping[str, Any]) -> None:
        self._ledger = ledger
        self._parameters = parameters
        self.presence = ledger.presence()

    def news(self, delta: Delta) -> list[tuple[Key, bool]]:
        """What is new, and whether a walk to what depends on it starts there."""
        rows = self._ledger.rows("new_facts", self._parameters, delta=delta)
        return [(Key(project_id, kind, key), starts) for kind, project_id, key, starts in rows]

    def refunded(self, delta: Delta) -> set[Key]:
        """The conversions that new refunds concern."""
        rows = self._ledger.rows("new_refunds", self._parameters, delta=delta) if self.presence.refunds else ()
        return {Key(project_id, "conversion", key) for project_id, key in rows}

    def edges(self, keys: Sequence[Key]) -> Mapping[Key, set[Key]] | None:
        """What these lead to; None if it is too much."""
        asked = {"keys": [tuple(key) for key in keys], "at_most": FEW_EDGES}
        rows = self._ledger.rows("edges", asked, capped=self.presence.capped)
        edges: dict[Key, set[Key]] = defaultdict(set)
        for project_id, kind, key, carrier_kind, carrier in rows:
            edges[Key(project_id, kind, key)].add(Key(project_id, carrier_kind, carrier))
        return None if len(rows) == FEW_EDGES else edges

    def capped(self, keys: Collection[Key]) -> set[Key]:
        """Those of them that tie nothing together."""
        if not self.presence.capped:
            return set()
        return {Key(*row) for row in self._ledger.rows("capped_of", {"keys": [tuple(key) for key in keys]})}

    def reports(self, conversions: Collection[Key]) -> Reports:
        """What is said of these conversions."""
        asked = {"conversions": [(key.project_id, key.key) for key in conversions]}
        reports: dict[Key, list[Arrival]] = defaultdict(list)
        for row in self._ledger.rows("few_arrivals", asked) if conversions else ():
            said = dict(zip((*REPORT, *MAILING), row, strict=True))
            mailing = Mailing(**{name: said.pop(name) for name in MAILING})
            arrival = Arrival(event_id="", kind="", mailing=mailing, **said)
            reports[Key(arrival.project_id, "conversion", arrival.conversion_id)].append(arrival)
        return reports

    def refunds(self) -> Mapping[Key, Sequence[Refund]]:
        """What was taken back of the run's conversions, in the order in which refunds take from the sale."""
        refunds: dict[Key, list[Refund]] = defaultdict(list)
        rows = self._ledger.rows("few_refunds", self._parameters) if self.presence.refunds else ()
        for project_id, conversion_id, refund_id, at, amount in rows:
            refund = Refund(refund_id, at, int(amount.scaleb(MONEY_DIGITS)))
            refunds[Key(project_id, "conversion", conversion_id)].append(refund)
        return refunds

    def touches(self, places: Collection[Key]) -> Mapping[Key, Sequence[Touch]]:
        """Those that are found in these places."""
        touches: dict[Key, list[Touch]] = defaultdict(list)
        for name, kinds in TOUCHES.items():
            if asked := [tuple(place) for place in places if place.kind in kinds]:
                for project_id, kind, key, *touch in self._ledger.rows(name, {"places": asked}):
                    touches[Key(project_id, kind, key)].append(Touch(*touch))
        return {place: of_session(some) if place.kind == "session" else some for place, some in touches.items()}

    def booked(self, reports: Reports) -> Iterator[tuple[Entry, Part]]:
        """Entries of live runs. They are in the cells of the times that the reports of a conversion state."""
        cells = {
            (one.project_id, cell_of(arrival.converted_at), one.key)
            for one, arrivals in reports.items()
            for arrival in arrivals
        }
        asked = [(project_id, datetime.fromtimestamp(cell / 1000, UTC), id) for project_id, cell, id in cells]
        for *key, share, amount in self._ledger.rows("few_credits", {**self._parameters, "cells": asked}):
            yield Entry(*key), Part(share, amount)
