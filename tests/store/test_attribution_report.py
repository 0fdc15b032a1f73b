"""The attribution report's questions against sums in plain Python, over ledgers of any runs, folds and rivals."""

import asyncio
import secrets
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pytest
from databases import Databases
from depth import examples
from history import PROJECT as HISTORY
from history import START, Control, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import Shop

from clickhouse.api.as_of import FoundRun
from clickhouse.api.attribution_rows import ChangeRow, CreditedRow
from clickhouse.client import connect
from clickhouse.connection import Connection
from clickhouse.read import Reader, query_text
from processors.booker.books import Books
from schemas.settings import BookerSettings, ClickHouseSettings

PROJECT: Final = "p1"
GOAL: Final = "00000001-0000-4000-8000-000000000000"
NO_RUN: Final = "00000000-0000-0000-0000-000000000000"
BEGIN: Final = datetime(2026, 3, 10, tzinfo=UTC)
FROM_MS: Final = int(BEGIN.timestamp() * 1000)
DAY: Final = timedelta(days=1)
MODELS: Final = ("last_touch", "linear")
SCOPES: Final = ("all", "clicks", "email")
DIMENSIONS: Final = ("source", "medium", "campaign", "channel", "link", "email_campaign", "flow")


class Entry(NamedTuple):
    """An entry of credits, as small numbers."""

    conversion: int
    model: str
    scope: str
    touch: int
    entry: str
    day: int
    """Of the conversion; day 2 lies after the period."""
    currency: str
    share: int
    """In 1/10^9."""
    amount: int
    """In 1/10^4."""

    def value(self, dimension: str) -> str:
        """Of the touch; touch 0 has neither link, nor e-mail campaign, nor flow."""
        return {
            "source": f"source{self.touch % 2}",
            "medium": f"medium{self.touch}",
            "campaign": "",
            "channel": "Channel",
            "link": str(self.touch) if self.touch else "",
            "email_campaign": f"mail{self.touch}" if self.touch else "",
            "flow": f"flow{self.touch % 2}" if self.touch else "",
        }[dimension]


class Run(NamedTuple):
    """What one run books."""

    entries: tuple[Entry, ...]
    hits: tuple[tuple[int, int, int], ...] = ()
    """(definition, conversion, +1 or -1)."""
    completes: int = 0
    """The definition of the goal that has counted all history with this run."""


Figures = dict[tuple[str, str], tuple[Decimal, Decimal, Decimal]]
"""(value, currency) -> conversions, net, refunded."""


class Asked(NamedTuple):
    """A question."""

    model: str = "linear"
    scope: str = "all"
    dimension: str = "source"
    goal: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "project_id": PROJECT,
            "scope": self.scope,
            "dimension": self.dimension,
            "goal_id": self.goal,
            "from_ms": FROM_MS,
            "to_ms": FROM_MS + 2 * 86_400_000,
        }


def conversion_id(number: int) -> str:
    return f"{number:08}-0000-4000-8000-00000000000c"


class Ledger:
    """Books that are written by hand, folded by the booker, and read by the API's questions."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self.client = connect(settings)
        self._connection = Connection(settings)
        self.reader = Reader(settings)
        self.reset()

    def reset(self) -> None:
        """Nothing is booked."""
        for table in ("runs", "credits", "goal_bookings", "goal_definitions", "source_totals", "goal_totals"):
            self.client.command(f"TRUNCATE TABLE {table}")
        self.booked: dict[int, Run] = {}
        self.head, self.number = NO_RUN, 0
        self._parents = {0: NO_RUN}

    def close(self) -> None:
        self._connection.close()
        self.client.close()

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.client.insert(table, [list(row.values()) for row in rows], column_names=list(rows[0]))

    def write(self, run: Run, number: int, run_id: str, cause: str) -> None:
        """Entries without the run's row: they count for nothing."""
        key = {"run_id": run_id, "run_number": number, "project_id": PROJECT}
        self.insert(
            "credits",
            [
                {
                    **key,
                    "cause": cause,
                    "conversion_id": conversion_id(one.conversion),
                    "scope": one.scope,
                    "model": one.model,
                    "entry": one.entry,
                    "touch_id": f"{one.touch:08}-0000-4000-8000-00000000000a",
                    "touched_at": BEGIN,
                    "converted_at": BEGIN + one.day * DAY,
                    "cell": BEGIN + one.day * DAY,
                    "source": one.value("source"),
                    "medium": one.value("medium"),
                    "channel": one.value("channel"),
                    "link_id": one.touch,
                    "email_campaign_id": one.value("email_campaign"),
                    "flow_id": one.value("flow"),
                    "currency": one.currency,
                    "share": Decimal(one.share).scaleb(-9),
                    "amount": Decimal(one.amount).scaleb(-4),
                }
                for one in run.entries
            ],
        )
        self.insert(
            "goal_bookings",
            [
                {
                    **key,
                    "goal_id": GOAL,
                    "definition": definition,
                    "hit_id": conversion_id(conversion),
                    "cell": BEGIN,
                    "occurred_at": BEGIN,
                    "conversions": sign,
                }
                for definition, conversion, sign in run.hits
            ],
        )
        if run.completes:
            self.insert("goal_definitions", [{**key, "goal_id": GOAL, "definition": run.completes}])

    def commit(self, number: int, run_id: str, parent: str) -> None:
        self.insert(
            "runs",
            [
                {
                    "number": number,
                    "run_id": run_id,
                    "parent_id": parent,
                    "kind": "book",
                    "committed_at": BEGIN + number * timedelta(minutes=1),
                }
            ],
        )

    def book(self, run: Run, *, cause: str = "arrival") -> int:
        self.number += 1
        run_id = str(uuid.uuid4())
        self.write(run, self.number, run_id, cause)
        self.commit(self.number, run_id, self.head)
        self.booked[self.number] = run
        self._parents[self.number] = self.head
        self.head = run_id
        return self.number

    def die(self, run: Run) -> None:
        """A run that never commits."""
        self.write(run, self.number + 1, str(uuid.uuid4()), "arrival")

    def rival(self, run: Run) -> None:
        """A booker that slept through a takeover commits a run of a number on which another one was built since."""
        if self.number > 1 and self.number - 1 in self._parents:
            run_id = f"00000000-0000-4000-8000-{secrets.token_hex(6)}"
            self.write(run, self.number - 1, run_id, "arrival")
            self.commit(self.number - 1, run_id, self._parents[self.number - 1])

    def fold(self) -> None:
        folded = Books(self._connection, Control().view, BookerSettings(fold_runs=3)).fold()
        if folded is not None:
            self._parents.pop(folded.number, None)
            self.number, self.head = folded.number, folded.run_id
            self.booked[self.number] = Run(())

    async def ask(self, *questions: tuple[str, type[Any], Mapping[str, Any]]) -> list[list[Any]]:
        return await asyncio.gather(*(self.reader.rows(name, row, parameters) for name, row, parameters in questions))

    async def reports(self, *asked: tuple[Asked, int]) -> list[Figures]:
        """What each question is answered, as of a run."""
        answers = await self.ask(
            *(
                ("attribution_report", CreditedRow, {**one.parameters, "models": [one.model], "as_of": as_of})
                for one, as_of in asked
            )
        )
        return [
            {(row.value, row.currency): (row.conversions, row.net, row.refunded) for row in rows} for rows in answers
        ]

    def oracle(self, asked: Asked, as_of: int) -> Figures:
        known = [run for number, run in self.booked.items() if number <= as_of]
        served = max((run.completes for run in known), default=0)
        hits: dict[int, int] = defaultdict(int)
        for run in known:
            for definition, conversion, sign in run.hits:
                hits[conversion] += sign if definition == served else 0
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for run in known:
            for one in run.entries:
                if (one.model, one.scope) != (asked.model, asked.scope) or one.day >= 2:
                    continue
                if asked.goal and hits[one.conversion] <= 0:
                    continue
                cell = sums[one.value(asked.dimension), one.currency]
                cell[0] += one.share
                cell[1] += one.amount
                cell[2] -= one.amount if one.entry == "refund" else 0
        return {
            place: (Decimal(share).scaleb(-9), Decimal(net).scaleb(-4), Decimal(back).scaleb(-4))
            for place, (share, net, back) in sums.items()
            if share or net or back
        }


@pytest.fixture(scope="module")
def books(databases: Databases) -> Iterator[Ledger]:
    with databases.migrated() as settings:
        ledger = Ledger(settings)
        yield ledger
        ledger.close()


@pytest.fixture
async def ledger(books: Ledger) -> AsyncIterator[Ledger]:
    """The same database, emptied."""
    books.reset()
    books.reader = Reader(books.settings)
    yield books
    await books.reader.stop()


ENTRIES = st.builds(
    Entry,
    conversion=st.integers(1, 4),
    model=st.sampled_from(MODELS),
    scope=st.sampled_from(["all", "all", "clicks", "email"]),
    touch=st.integers(0, 3),
    entry=st.sampled_from(["sale", "sale", "refund"]),
    day=st.integers(0, 2),
    currency=st.sampled_from(["", "EUR", "USD"]),
    share=st.integers(-(10**9), 10**9),
    amount=st.integers(-(10**6), 10**6),
)
RUNS = st.builds(
    Run,
    entries=st.lists(ENTRIES, max_size=6).map(tuple),
    hits=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 4), st.sampled_from([1, 1, -1])), max_size=4).map(tuple),
    completes=st.sampled_from([0, 0, 1, 2]),
)
STEPS = st.tuples(st.sampled_from(["book", "book", "book", "fold", "die", "rival"]), RUNS)
QUESTIONS = st.builds(
    Asked,
    model=st.sampled_from(MODELS),
    scope=st.sampled_from(["all", "all", "clicks", "email"]),
    dimension=st.sampled_from(DIMENSIONS),
    goal=st.sampled_from(["", GOAL]),
)


@settings(
    max_examples=examples(3),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(STEPS, min_size=8, max_size=14), asked=st.lists(QUESTIONS, min_size=2, max_size=2))
async def test_a_report_as_of_a_run_is_what_it_was_when_that_run_was_the_newest(
    ledger: Ledger, steps: list[tuple[str, Run]], asked: list[Asked]
) -> None:
    """Whatever is booked, folded and left by dead bookers after it; and it is the sum of what was booked until then."""
    ledger.reset()
    then: dict[int, list[Figures]] = {0: [{} for _ in asked]}
    for what, run in steps:
        match what:
            case "book":
                ledger.book(run)
            case "fold":
                ledger.fold()
            case "die":
                ledger.die(run)
            case "rival":
                ledger.rival(run)
        then[ledger.number] = await ledger.reports(*((one, ledger.number) for one in asked))
    answers = await ledger.reports(*((one, number) for number in then for one in asked))
    for number, was in then.items():
        now, answers = answers[: len(asked)], answers[len(asked) :]
        assert now == was, number
        assert now == [ledger.oracle(one, number) for one in asked], number

    first, last = sorted((ledger.number // 3, ledger.number))
    questions = [
        (
            "attribution_changes",
            ChangeRow,
            {**one.parameters, "model": one.model, "first": first, "last": last, "most": 10_000},
        )
        for one in asked
    ]
    for one, changes in zip(asked, await ledger.ask(*questions), strict=True):
        sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        for place, figures in ledger.oracle(one, last).items():
            sums[place] = [a + b for a, b in zip(sums[place], figures, strict=True)]
        for place, figures in ledger.oracle(one, first).items():
            sums[place] = [a - b for a, b in zip(sums[place], figures, strict=True)]
        for change in changes:
            back = -change.net if change.entry == "refund" else Decimal(0)
            less = (change.conversions, change.net, back)
            place = change.value, change.currency
            sums[place] = [a - b for a, b in zip(sums[place], less, strict=True)]
            assert change.run <= last
            assert change.cause == "goal" or change.run > first
            assert change.found == len(changes)
        assert not any(any(rest) for rest in sums.values()), one


SALE = Entry(1, "linear", "all", 1, "sale", 0, "USD", 10**9, 99_900)


async def test_a_change_names_its_run_its_cause_and_its_conversion(ledger: Ledger) -> None:
    ledger.book(Run((SALE,), hits=((1, 1, 1),), completes=1))
    late = SALE._replace(touch=2)
    moved = ledger.book(Run((SALE._replace(share=-(10**9), amount=-99_900), late)), cause="touch")
    back = ledger.book(Run((late._replace(entry="refund", share=0, amount=-9_900),)), cause="refund")
    gone = ledger.book(Run((), hits=((1, 1, -1),)))

    async def told(first: int, last: int, goal: str = "", most: int = 10) -> list[tuple[Any, ...]]:
        asked = {**Asked(goal=goal).parameters, "model": "linear", "first": first, "last": last, "most": most}
        (rows,) = await ledger.ask(("attribution_changes", ChangeRow, asked))
        assert all(row.conversion_id == conversion_id(1) for row in rows)
        return [(row.run, row.cause, row.value, row.entry, row.conversions, row.net, row.found) for row in rows]

    one, all_of_it, some = Decimal(1), Decimal("9.99"), Decimal("-0.99")
    assert await told(1, back) == [
        (moved, "touch", "source0", "sale", one, all_of_it, 3),
        (moved, "touch", "source1", "sale", -one, -all_of_it, 3),
        (back, "refund", "source0", "refund", 0, some, 3),
    ]
    assert await told(1, gone, most=1) == [(moved, "touch", "source0", "sale", one, all_of_it, 3)]
    assert await told(back, gone) == []
    assert await told(1, back, GOAL) == await told(1, back)
    taken_out = [
        (1, "goal", "source1", "sale", -one, -all_of_it, 4),
        (moved, "goal", "source0", "sale", -one, -all_of_it, 4),
        (moved, "goal", "source1", "sale", one, all_of_it, 4),
        (back, "goal", "source0", "refund", 0, -some, 4),
    ]
    assert await told(back, gone, GOAL) == taken_out


def test_a_late_touch_moves_credit_and_leaves_the_report_as_of_earlier_runs_as_it_was(shop: Shop) -> None:
    """With the booker itself: what it books is what the report reads, and the cause is told."""

    def asked(name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        found = shop.client.query(
            query_text(name),
            parameters={
                "project_id": HISTORY,
                "scope": "all",
                "dimension": "source",
                "goal_id": "",
                "from_ms": START - 86_400_000,
                "to_ms": START + 86_400_000,
                **parameters,
            },
        )
        columns = ("cause", "value", "conversions", "net") if "cause" in found.column_names else ("value", "net")
        return [tuple(row[column] for column in columns) for row in found.named_results()]

    order = raw_event("purchase", type="conversion", at=60, session="s", revenue="9.99")
    shop.facts.store([raw_event(at=0, source="google", session="s"), order])
    shop.books().book()
    assert asked("attribution_report", models=["last_touch"], as_of=1) == [("google", Decimal("9.99"))]
    shop.facts.store([raw_event(at=30, source="bing", session="s")])
    shop.books().book()
    shop.books(fold_runs=2).fold()
    assert asked("attribution_report", models=["last_touch"], as_of=1) == [("google", Decimal("9.99"))]
    for as_of in (2, 3):
        assert asked("attribution_report", models=["last_touch"], as_of=as_of) == [("bing", Decimal("9.99"))]
    assert asked("attribution_report", models=["linear"], as_of=3) == [
        ("bing", Decimal("4.995")),
        ("google", Decimal("4.995")),
    ]
    assert asked("attribution_changes", model="last_touch", first=1, last=3, most=10) == [
        ("touch", "bing", Decimal(1), Decimal("9.99")),
        ("touch", "google", Decimal(-1), Decimal("-9.99")),
    ]


async def test_a_time_stands_for_the_newest_run_that_was_committed_by_then(ledger: Ledger) -> None:
    async def found(number: int = -1, minutes: float = -1) -> tuple[int, int, int]:
        at_ms = -1 if minutes < 0 else FROM_MS + int(minutes * 60_000)
        ((row,),) = await ledger.ask(("run_as_of", FoundRun, {"number": number, "at_ms": at_ms}))
        minute = (row.committed_ms - FROM_MS) // 60_000 if row.committed_ms else 0
        return row.number, minute, row.newest

    assert await found() == (0, 0, 0)
    for _ in range(3):
        ledger.book(Run(()))
    assert await found() == (3, 3, 3)
    assert await found(minutes=0.99) == (0, 0, 3)
    assert await found(minutes=1) == (1, 1, 3)
    assert await found(minutes=2.5) == (2, 2, 3)
    assert await found(number=2) == (2, 2, 3)
    assert await found(number=0) == (0, 0, 3)
