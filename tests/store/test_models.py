"""What the data-driven models read and keep, on the real engine, against plain loops."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

import pytest
from databases import Databases
from depth import examples
from history import PROJECT, START, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import Shop as Installation
from shops import Shops, shops

from clickhouse.api.models import CountedPath, RunRow, ShareRow
from clickhouse.model_store import ModelStore, StoredRun
from clickhouse.models.shares import Share
from clickhouse.read import Reader, query_text
from schemas.events import RawEvent
from schemas.settings import ClickHouseSettings

NO_RUN = "00000000-0000-0000-0000-000000000000"
SPAN = 10_000
"""Minutes of the period, from START on."""
Counts = dict[tuple[str, ...], int]


class BookedShops(Shops):
    """Shops whose credits are put into the book as they are."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        super().__init__(settings)
        self._runs = 0

    def book(
        self, project: str, credited: Mapping[str, Sequence[RawEvent]], bought: Sequence[RawEvent], *, sign: int = 1
    ) -> int:
        """Book what ``linear`` credits: conversion -> touches, none of them known: direct. The number of the run."""
        self._runs += 1
        run, rows = str(uuid.uuid4()), []
        for order in bought:
            touches = credited[order.conversion_id] or [None]
            for touch in touches:
                source = "(direct)" if touch is None else source_of(touch)
                row = {
                    "run_id": run,
                    "run_number": self._runs,
                    "project_id": project,
                    "conversion_id": order.conversion_id,
                    "scope": "all",
                    "model": "linear",
                    "touch_id": NO_RUN if touch is None else touch.event_id,
                    "touched_at": at(order if touch is None else touch),
                    "converted_at": at(order),
                    "cell": cell(order),
                    "source": source,
                    "medium": f"{source}-medium",
                    "channel": source.upper(),
                    "currency": order.currency,
                    "share": sign * Decimal(1) / len(touches),
                    "amount": sign * (order.revenue or Decimal(0)) / len(touches),
                }
                rows.append(row)
        if rows:
            self.client.insert("credits", [list(row.values()) for row in rows], column_names=list(rows[0]))
        self.client.insert(
            "runs", [[self._runs, run, NO_RUN, "book"]], column_names=["number", "run_id", "parent_id", "kind"]
        )
        return self._runs

    async def paths(
        self, name: str, project: str, *, as_of: int | None = None, dimension: str = "source", max_steps: int = 100
    ) -> list[CountedPath]:
        return await self.rows(
            name,
            CountedPath,
            {
                "project_id": project,
                "dimension": dimension,
                "from_ms": START,
                "to_ms": START + SPAN * 60_000,
                "as_of": self._runs if as_of is None else as_of,
                "max_steps": max_steps,
                "max_paths": 10,
            },
        )

    async def counts(self, name: str, project: str, **asked: object) -> Counts:
        rows = await self.paths(name, project, **asked)  # type: ignore[arg-type]
        return {tuple(row.steps): row.ends for row in rows}


def at(event: RawEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at / 1000, UTC)


def cell(event: RawEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at // 900_000 * 900, UTC)


def source_of(event: RawEvent) -> str:
    return event.url.partition("utm_source=")[2].partition("&")[0] or "(direct)"


def page(at: int, source: str = "", *, who: str = "ann", session: str = "", user: str = "", id: str = "") -> RawEvent:
    return raw_event(at=at, source=source, anonymous=who, session=session or f"{who}{at}", user=user, id=id)


def order(at: int, *, who: str = "ann", session: str = "", user: str = "", id: str = "") -> RawEvent:
    return raw_event(
        "purchase", type="conversion", at=at, anonymous=who, session=session, user=user, revenue="10.5", id=id
    )


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[BookedShops]:
    with shops(BookedShops, databases) as made:
        yield made


# The oracle


def in_span(event: RawEvent) -> bool:
    return START <= event.occurred_at < START + SPAN * 60_000


def steps_of(touches: Sequence[RawEvent]) -> tuple[str, ...]:
    ranked = sorted(touches, key=lambda touch: (touch.occurred_at, touch.event_id))
    return tuple(value for value, _ in groupby(source_of(touch) for touch in ranked))


def counted_touches(events: Sequence[RawEvent]) -> list[RawEvent]:
    """Pageviews that show a source, and the first pageview of each session."""
    pages = sorted((e for e in events if e.event_type == "pageview"), key=lambda e: (e.occurred_at, e.event_id))
    entries: dict[str, str] = {}
    for event in pages:
        entries.setdefault(event.session_id, event.event_id)
    return [e for e in pages if source_of(e) != "(direct)" or entries[e.session_id] == e.event_id]


def lost(events: Sequence[RawEvent], credited: Mapping[str, Sequence[RawEvent]]) -> Counts:
    seen = [event for event in events if in_span(event)]
    users: dict[str, set[str]] = {}
    for event in seen:
        if event.user_id:
            users.setdefault(event.visitor, set()).add(event.user_id)

    def person(event: RawEvent) -> str:
        known = users.get(event.visitor, set())
        user = event.user_id or (next(iter(known)) if len(known) == 1 else "")
        return f"u:{user}" if user else event.visitor

    owners = {
        session: person(min(own, key=lambda e: (not e.user_id, e.occurred_at, e.event_id)))
        for session in {e.session_id for e in seen}
        if (own := [e for e in seen if e.session_id == session])
    }
    used = {touch.event_id for touches in credited.values() for touch in touches}
    bought = [event for event in seen if event.event_type == "conversion"]
    mine: dict[str, list[RawEvent]] = {}
    for touch in counted_touches(events):
        if in_span(touch):
            mine.setdefault(owners[touch.session_id], []).append(touch)
    found: Counter[tuple[str, ...]] = Counter()
    for who, touches in mine.items():
        known = [touch for touch in touches if source_of(touch) != "(direct)"]
        sessions = {touch.session_id for touch in touches}
        if known:
            path = steps_of([touch for touch in known if touch.event_id not in used])
        elif any(person(one) == who or one.session_id in sessions for one in bought):
            path = ()
        else:
            path = steps_of([touch for touch in touches if touch.event_id not in used])
        if path:
            found[path] += 1
    return dict(found)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[RawEvent], dict[str, list[RawEvent]]]:
    """Visits and orders of few people, some before and after the period, and which touches each order credits."""
    minutes = iter(draw(st.lists(st.integers(-500, SPAN + 500), min_size=30, max_size=30, unique=True)))
    events = [
        page(
            next(minutes),
            draw(st.sampled_from(["", "google", "bing"])),
            who=f"d{draw(st.integers(0, 3))}",
            user=draw(st.sampled_from(["", "", "ann", "bob"])),
            session=f"s{draw(st.integers(0, 6))}",
            id=f"page{n}",
        )
        for n in range(draw(st.integers(1, 14)))
    ]
    bought = [
        order(
            next(minutes),
            who=f"d{draw(st.integers(0, 3))}",
            user=draw(st.sampled_from(["", "ann", "bob"])),
            session=f"s{draw(st.integers(0, 6))}",
            id=f"order{n}",
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    touches = counted_touches(events)
    credited = {}
    for one in bought:
        before = [touch for touch in touches if touch.occurred_at <= one.occurred_at]
        chosen = st.lists(st.sampled_from(before), unique_by=lambda e: e.event_id) if before else st.just([])
        credited[one.conversion_id] = draw(chosen)
    return [*events, *bought], credited


@settings(
    max_examples=examples(8),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=histories())
async def test_paths_are_those_that_plain_loops_find(
    shop: BookedShops, history: tuple[list[RawEvent], dict[str, list[RawEvent]]]
) -> None:
    events, credited = history
    bought = [event for event in events if event.event_type == "conversion"]
    project = shop.store(events)
    shop.book(project, credited, bought)
    cells = [one for one in bought if START <= one.occurred_at // 900_000 * 900_000 < START + SPAN * 60_000]
    won = Counter(steps_of(credited[one.conversion_id]) or ("(direct)",) for one in cells)
    assert await shop.counts("model_paths", project) == dict(won)
    assert await shop.counts("model_lost_paths", project) == lost(events, credited)


async def test_a_path_ends_where_it_was_credited_and_what_comes_after_it_is_lost(shop: BookedShops) -> None:
    first, second, third = page(0, "google"), page(10, "bing"), page(100, "google")
    bought = order(20)
    project = shop.store([first, second, bought, third])
    shop.book(project, {bought.conversion_id: [second, first]}, [bought])
    assert await shop.counts("model_paths", project) == {("google", "bing"): 1}
    assert await shop.counts("model_paths", project, dimension="channel") == {("GOOGLE", "BING"): 1}
    assert await shop.counts("model_paths", project, dimension="medium") == {("google-medium", "bing-medium"): 1}
    assert await shop.counts("model_paths", project, dimension="campaign") == {("",): 1}
    assert await shop.counts("model_lost_paths", project) == {("google",): 1}


def test_paths_are_what_the_booker_credits(new_shop: Callable[[], Installation]) -> None:
    """With the booker itself: ann's two visits led to her order, ben's to none; what was direct leaves no step."""
    shop = new_shop()
    shop.facts.store(
        [
            page(0, "google", user="ann", id="a"),
            page(10, user="ann", id="b"),
            page(20, "bing", user="ann", id="c"),
            order(30, user="ann", session="checkout", id="d"),
            page(5, "google", who="ben", id="e"),
            page(40, who="cid", id="f"),
            order(50, who="dan", id="g"),
        ]
    )
    shop.books().book()

    def found(name: str) -> Counts:
        asked = {"project_id": PROJECT, "dimension": "source", "from_ms": START, "to_ms": START + SPAN * 60_000}
        parameters = {**asked, "as_of": 1, "max_steps": 10, "max_paths": 10}
        rows = shop.client.query(query_text(name), parameters=parameters).named_results()
        return {tuple(row["steps"]): row["ends"] for row in rows}

    assert found("model_paths") == {("google", "bing"): 1, ("(direct)",): 1}
    assert found("model_lost_paths") == {("google",): 1, ("(direct)",): 1}


async def test_clicks_and_mails_that_lead_to_nothing_are_lost_and_what_a_visit_shows_is_not_counted_twice(
    shop: BookedShops,
) -> None:
    """Click 1 led into a visit that shows its source, 2 into a direct one of ben's, 3 nowhere, 4 is a bot's."""
    project = shop.store(
        [page(10, "partner", session="told", id="told"), page(20, session="silent", who="ben", id="si")]
    )
    no_conversion = f"toUUID('{NO_RUN}')"
    rows = [
        (1, "click", "v1", "1", "", "[]", "partner"),
        (2, "click", "v2", "2", "", "[]", "partner"),
        (3, "click", "v3", "3", "", "[]", "poster"),
        (4, "click", "v4", "4", "", "['bot']", "poster"),
        (5, "email", "v5", "", "contact", "[]", "email"),
        (6, "email", "v6", "", "contact", "[]", "email"),
    ]
    for number, touch, visitor, click, contact, marks, source in rows:
        at = f"fromUnixTimestamp64Milli({START + number * 60_000})"
        shop.client.command(
            "INSERT INTO events (project_id, event_id, occurred_at, received_at, visitor, session_id, click_id, "
            "contact_id, marks, touch, touch_source, conversion_id, version) SELECT "
            f"'{project}', toUUID('0000000{number}-0000-4000-8000-00000000000e'), {at}, {at}, '{visitor}', "
            f"'x{number}', '{click}', '{contact}', {marks}, '{touch}', '{source}', {no_conversion}, 1"
        )
    for click, session in (("1", "told"), ("2", "silent")):
        shop.client.insert(
            "person_keys",
            [[project, "click", click, "session", session]],
            column_names=["project_id", "kind", "key", "carrier_kind", "carrier"],
        )
    assert await shop.counts("model_lost_paths", project) == {("partner",): 2, ("poster",): 1, ("email",): 1}


async def test_only_the_end_of_a_long_path_is_read_and_it_is_said(shop: BookedShops) -> None:
    pages = [page(n, "google" if n % 2 else "bing") for n in range(7)]
    bought = order(20)
    project = shop.store([*pages, bought])
    shop.book(project, {bought.conversion_id: pages}, [bought])
    assert [*await shop.paths("model_paths", project, max_steps=3)] == [CountedPath(["bing", "google", "bing"], 1, 1)]
    assert [row.cut for row in await shop.paths("model_paths", project, max_steps=7)] == [0]
    project = shop.store(pages)
    assert [*await shop.paths("model_lost_paths", project, max_steps=2)] == [CountedPath(["google", "bing"], 1, 1)]


async def test_too_many_paths_are_seen_to_be_too_many(shop: BookedShops) -> None:
    project = shop.store([page(n, f"source{n}", who=f"d{n}") for n in range(20)])
    assert len(await shop.paths("model_lost_paths", project)) == 11


async def test_paths_as_of_a_run_are_those_it_had(shop: BookedShops) -> None:
    seen, bought = page(0, "google"), order(20)
    project = shop.store([seen, bought])
    credited = {bought.conversion_id: [seen]}
    booked = shop.book(project, credited, [bought])
    taken_back = shop.book(project, credited, [bought], sign=-1)
    assert await shop.counts("model_paths", project, as_of=booked - 1) == {}
    assert await shop.counts("model_paths", project, as_of=booked) == {("google",): 1}
    assert await shop.counts("model_lost_paths", project, as_of=booked) == {}
    assert await shop.counts("model_paths", project, as_of=taken_back) == {}
    assert await shop.counts("model_lost_paths", project, as_of=taken_back) == {("google",): 1}


async def test_a_run_that_is_kept_twice_is_kept_once_and_read_as_it_was(shop: BookedShops) -> None:
    run = StoredRun(
        project_id="kept",
        run_id=str(uuid.uuid4()),
        model="markov",
        model_order=2,
        dimension="source",
        first_day=date(2026, 1, 1),
        last_day=date(2026, 1, 31),
        time_zone="Europe/Vienna",
        from_ms=1,
        to_ms=2,
        inputs_hash="ab",
        book_run=7,
        conversions=3,
        lost_paths=4,
        cut_paths=5,
        grouped_values=6,
        created_at=datetime(2026, 2, 1, 1, 2, 3, 456_000, tzinfo=UTC),
    )
    shares = [
        Share(
            value=value,
            weight=Decimal(weight),
            conversions=Decimal(weight) * 3,
            revenue={"USD": Decimal("-0.0001"), "": Decimal("12345678901234567890.1234")},
            refunded={"USD": Decimal("0.5")},
        )
        for value, weight in [("google", "0.666666667"), ("", "0.333333333")]
    ]
    store = ModelStore(shop.settings)
    assert await store.alone(lambda: 7) == 7
    for _ in range(2):
        await store.keep(run, shares)
    reader = Reader(shop.settings)
    try:
        found = await reader.rows(
            "model_runs",
            RunRow,
            {
                "project_id": "kept",
                "run_id": run.run_id,
                "model": "markov",
                "dimension": "source",
                "from_ms": 1,
                "to_ms": 2,
                "most": 10,
            },
        )
        read = await reader.rows("model_shares", ShareRow, {"project_id": "kept", "run_id": run.run_id})
    finally:
        await reader.stop()
    assert [(row.id, row.first_day, row.model_order, row.created_ms) for row in found] == [
        (run.run_id, "2026-01-01", 2, 1_769_907_723_456)
    ]
    assert [(row.value, row.weight, row.conversions, row.revenue, row.refunded) for row in read] == [
        (share.value, share.weight, share.conversions, share.revenue, share.refunded) for share in shares
    ]
