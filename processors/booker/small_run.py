"""A run over little: what it finds and books by looking up a few rows, with the rules of ``processors.core``.

ClickHouse takes longer to read the statements of :mod:`processors.booker.attribution` than to apply them to a few
facts. What turns out to be more than a few is left to them: then :meth:`SmallRun.find` or :meth:`SmallRun.book` give
None.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from processors.booker.ledger import Ledger
from processors.booker.lookups import Lookups, Reports
from processors.booker.scope import Delta
from processors.booker.walk import FEW_FACTS, Graph, Hop
from processors.core.cases import Case, Refund, Windows, case_of
from processors.core.channels import DIRECT
from processors.core.conversions import Merged, merge
from processors.core.paths import Found, paths
from processors.core.persons import CARRIERS, SHAREABLE, Key, Person, clicks, person_of, reach
from processors.core.shares import NOTHING, Entry, Part, ages, money, split

FEW_CONVERSIONS: Final = 500
"""More are booked by ClickHouse."""

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
        self._lookups = Lookups(ledger, parameters)
        self._graph = Graph(self._lookups.edges)
        self._causes: dict[Key, str] = {}
        self.presence = self._lookups.presence

    def find(self, delta: Delta, hops: Iterable[Hop]) -> Mapping[Key, str] | None:
        """The conversions that new facts concern, and why."""
        news = self._lookups.news(delta)
        if len(news) > FEW_FACTS:
            return None
        start = {key for key, starts in news if starts}
        reached = self._graph.walk(start, hops)
        asides = self._graph.look_up(key for key, starts in news if not starts)
        if reached is None or not asides or self._graph.most > self._parameters["max_edges"]:
            return None  # the last: a key may have to be capped first
        refunded = self._lookups.refunded(delta)
        self._causes = {
            key: "arrival" if key in start else "refund" if key in refunded else "touch"
            for key in {key for key in reached if key.kind == "conversion"} | refunded
        }
        return self._causes

    def hits(self) -> list[tuple[object, ...]]:
        """What goals are matched with: a row for each thing that reports call a conversion, for ``few_hits.sql``."""
        return [
            (
                one.project_id,
                one.key,
                *signature,
                merged.converted_at,
                f"u:{merged.user_id}" if merged.user_id else merged.visitor,
                "" if merged.revenue is None else merged.currency,
                str(merged.revenue or 0),
                str(money(sum(refund.amount for refund in self._refunds.get(one, ())))),
                merged.received_at,
            )
            for one, merged in self._merged.items()
            for signature in {(report.event_type, report.event_name, report.path) for report in self._reports[one]}
        ]

    def book(self) -> int | None:
        """Book what differs, for the conversions found; how many entries that is."""
        cases = [self._case(one, merged) for one, merged in self._merged.items() if merged.is_conversion]
        named = {key for case in cases for key in case.keys}
        reached = self._graph.walk(named, PERSON)
        if reached is None:
            return None
        capped = self._lookups.capped(reached)
        persons = [person_of(case.keys, self._graph.edges, capped) for case in cases]
        entries = self._targets(cases, persons)
        for entry, (share, amount) in self._lookups.booked(self._reports):
            left = entries.get(entry, NOTHING)
            entries[entry] = Part(left.share - share, left.amount - amount)
        differing = [self._row(entry, part) for entry, part in entries.items() if part != NOTHING]
        self._ledger.insert("credits", differing)
        return len(differing)

    @cached_property
    def _reports(self) -> Reports:
        return self._lookups.reports(self._causes)

    @cached_property
    def _merged(self) -> Mapping[Key, Merged]:
        return {one: merge(arrivals) for one, arrivals in self._reports.items()}

    @cached_property
    def _refunds(self) -> Mapping[Key, Sequence[Refund]]:
        """Only once they are in run_refunds."""
        return self._lookups.refunds()

    def _case(self, conversion: Key, merged: Merged) -> Case:
        lookback = self._parameters["lookbacks"].get(conversion.project_id, self._parameters["lookback_days"])
        windows = Windows(lookback, self._parameters["email_days"])
        return case_of(conversion, merged, windows, self._refunds.get(conversion, ()))

    def _targets(self, cases: Sequence[Case], persons: Sequence[Person]) -> dict[Entry, Part]:
        """What should be booked."""
        walked = list(self._paths(cases, persons))
        weights = self._ledger.weights({ages(path) for _, _, path in walked})
        return dict(part for case, scope, path in walked for part in split(case, scope, path, weights[ages(path)]))

    def _paths(self, cases: Sequence[Case], persons: Sequence[Person]) -> Iterator[tuple[Case, str, tuple[Found, ...]]]:
        edges = self._graph.edges
        ways = [reach(person, edges) for person in persons]
        visits = self._lookups.touches({place for reached in ways for place in reached if place.kind == "session"})
        telling = {session for session, found in visits.items() if any(touch.source != DIRECT for touch in found)}
        for person, reached in zip(persons, ways, strict=True):
            reached |= clicks(person, reached, edges, telling)
        others = self._lookups.touches({place for reached in ways for place in reached if place.kind != "session"})
        touches = {**visits, **others}
        for case, reached in zip(cases, ways, strict=True):
            found = [Found(touch, way) for place, way in reached.items() for touch in touches.get(place, ())]
            yield from ((case, scope, path) for scope, path in paths(case, found))

    def _row(self, entry: Entry, part: Part) -> Mapping[str, Any]:
        return {
            "run_id": self._parameters["run_id"],
            "run_number": self._parameters["run_number"],
            "cause": self._causes[Key(entry.project_id, "conversion", entry.conversion_id)],
            **entry._asdict(),
            **part._asdict(),
        }
