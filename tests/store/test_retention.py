"""The retention's question against an oracle in plain Python, on the real engine."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from databases import Databases
from depth import examples
from history import START, Facts, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shops import Shops, persons_of, shops

from clickhouse.api.retention import Returned
from schemas.events import RawEvent
from schemas.mailing import Mailing

HOURS = 60
"""History counts in minutes: so many to the hour."""
WEEK_HOURS = 7 * 24
MONDAY = date(2025, 10, 6)
"""Of the week of START, a Thursday."""
GOAL = "00000001-0000-4000-8000-000000000000"
NO_RUN = "00000000-0000-0000-0000-000000000000"

Cells = dict[tuple[str, int], int]


def monday_of(ms: int, zone: str) -> date:
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)).date()
    return local - timedelta(days=local.weekday())


def oracle(events: Sequence[RawEvent], hits: set[str], zone: str, first: date, last: date, weeks: int) -> Cells:
    """(cohort, week) -> persons. ``hits``: the events that begin; empty: any event does."""
    cells: Cells = {}
    for seen in persons_of(events).values():
        starts = [monday_of(e.occurred_at, zone) for e in seen if not hits or e.event_id in hits]
        if not starts or not first <= min(starts) <= last:
            continue
        cohort = min(starts)
        there = {(monday_of(event.occurred_at, zone) - cohort).days // 7 for event in seen}
        for week in there:
            if 0 <= week <= weeks:
                key = (cohort.isoformat(), week)
                cells[key] = cells.get(key, 0) + 1
    return cells


class Cohorts(Shops):
    def book(self, project: str, *entries: tuple[RawEvent, int]) -> None:
        """Book these events as hits of the goal (1) or take them back (-1), in a committed run."""
        run, number = str(uuid.uuid4()), self._projects
        self.client.insert(
            "goal_definitions",
            [[run, number, project, GOAL, 1]],
            column_names=["run_id", "run_number", "project_id", "goal_id", "definition"],
        )
        rows = [
            [run, number, project, GOAL, 1, hit.event_id, at(hit), at(hit), booked_person(hit), "", n, 0]
            for hit, n in entries
        ]
        columns = "run_id run_number project_id goal_id definition hit_id cell occurred_at person currency"
        if rows:
            self.client.insert("goal_bookings", rows, column_names=[*columns.split(), "conversions", "revenue"])
        self.client.insert(
            "runs", [[number, run, NO_RUN, "book"]], column_names=["number", "run_id", "parent_id", "kind"]
        )

    async def retention(
        self, project: str, *, zone: str = "UTC", first: date = MONDAY, cohorts: int = 2, weeks: int = 2, goal: str = ""
    ) -> Cells:
        rows = await self.rows(
            "retention",
            Returned,
            {
                "project_id": project,
                "goal_ids": [goal] if goal else [],
                "first": first.isoformat(),
                "last": (first + timedelta(weeks=cohorts - 1)).isoformat(),
                "weeks": weeks,
                "until_ms": START + 100 * WEEK_HOURS * 3_600_000,
                "time_zone": zone,
            },
        )
        return {(row.cohort, row.week): row.persons for row in rows}


def at(event: RawEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at / 1000, UTC)


def booked_person(event: RawEvent) -> str:
    """As the booker names persons."""
    return f"u:{event.user_id}" if event.user_id else event.visitor


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[Cohorts]:
    with shops(Cohorts, databases) as made:
        yield made


def seen(who: str, hour: float, *, user: str = "", id: str = "") -> RawEvent:
    """Somebody's event, so many hours after the Monday of START's week, UTC."""
    since_monday = (START - int(datetime(2025, 10, 6, tzinfo=UTC).timestamp() * 1000)) // 60_000
    return raw_event("seen", type="event", at=int(hour * HOURS) - since_monday, anonymous=who, user=user, id=id)


@st.composite
def histories(draw: st.DrawFn) -> list[RawEvent]:
    """Few persons over five weeks, the one before the first cohort among them, many at the edges of weeks."""
    edges = st.builds(lambda week, off: week * WEEK_HOURS + off, st.integers(-1, 4), st.sampled_from([-2, -1, 0, 1, 2]))
    made = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["", "x", "y", "z"]),
                st.sampled_from(["", "", "ann", "bob"]),
                st.one_of(edges, st.integers(-WEEK_HOURS, 4 * WEEK_HOURS)),
            ),
            max_size=20,
        )
    )
    return [seen(who, hour, user=user, id=f"e{number}") for number, (who, user, hour) in enumerate(made) if who or user]


@settings(
    max_examples=examples(15),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    history=histories(),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/Los_Angeles", "Pacific/Apia"]),
    every=st.sampled_from([0, 2, 3]),
)
async def test_cohorts_count_what_plain_loops_count(
    shop: Cohorts, history: list[RawEvent], zone: str, every: int
) -> None:
    """``every``: each so-manyth event is a hit of the goal; 0: there is no goal."""
    project = shop.store(history)
    hits = history[::every] if every else []
    if every:
        shop.book(project, *((hit, 1) for hit in hits))
    goal = GOAL if every else ""
    expected = oracle(history, {hit.event_id for hit in hits}, zone, MONDAY, MONDAY + timedelta(weeks=1), 2)
    if every and not hits:
        expected = {}
    assert await shop.retention(project, zone=zone, goal=goal) == expected


async def test_a_week_begins_on_monday_in_the_reports_zone(shop: Cohorts) -> None:
    project = shop.store([seen("x", WEEK_HOURS - 1), seen("x", WEEK_HOURS)])
    assert await shop.retention(project) == {("2025-10-06", 0): 1, ("2025-10-06", 1): 1}
    assert await shop.retention(project, zone="Europe/Vienna") == {("2025-10-13", 0): 1}
    assert await shop.retention(project, zone="America/New_York") == {("2025-10-06", 0): 1}


async def test_who_began_earlier_does_not_begin_again(shop: Cohorts) -> None:
    project = shop.store([seen("x", -1), seen("x", 1), seen("y", 1)])
    assert await shop.retention(project) == {("2025-10-06", 0): 1}


async def test_coming_back_twice_in_a_week_is_coming_back_once_and_a_missed_week_is_missed(shop: Cohorts) -> None:
    project = shop.store([seen("x", hour) for hour in (1, 2 * WEEK_HOURS, 2 * WEEK_HOURS + 5, 3 * WEEK_HOURS)])
    assert await shop.retention(project) == {("2025-10-06", 0): 1, ("2025-10-06", 2): 1}


async def test_a_browser_and_its_user_are_one_person(shop: Cohorts) -> None:
    project = shop.store([seen("x", 1), seen("x", 2, user="ann"), seen("phone", WEEK_HOURS, user="ann")])
    assert await shop.retention(project) == {("2025-10-06", 0): 1, ("2025-10-06", 1): 1}


async def test_reading_email_is_no_coming_back(shop: Cohorts) -> None:
    mailing = Mailing(contact_id="k", campaign_id="summer")
    opened = [
        msgspec.structs.replace(seen("x", hour), event_type="email_open", mailing=mailing)
        for hour in (-1, WEEK_HOURS + 1)
    ]
    project = shop.store([*opened, seen("x", 1)])
    assert await shop.retention(project) == {("2025-10-06", 0): 1}


async def test_a_hit_begins_a_cohort_unless_it_was_taken_back(shop: Cohorts) -> None:
    before, hit, after = seen("x", 1), seen("x", WEEK_HOURS), seen("x", 2 * WEEK_HOURS)
    project = shop.store([before, hit, after])
    shop.book(project, (hit, 1))
    assert await shop.retention(project, goal=GOAL) == {("2025-10-13", 0): 1, ("2025-10-13", 1): 1}
    assert await shop.retention(project) == {("2025-10-06", 0): 1, ("2025-10-06", 1): 1, ("2025-10-06", 2): 1}
    project = shop.store([before, hit, after])
    shop.book(project, (hit, 1), (hit, -1))
    assert await shop.retention(project, goal=GOAL) == {}


async def test_a_conversion_that_has_no_event_is_coming_back(shop: Cohorts) -> None:
    project = shop.store([seen("x", 1, user="ann")])
    later = seen("x", WEEK_HOURS, user="ann")
    bought = msgspec.structs.replace(
        later, project_id="nobody", event_type="conversion", conversion_id="00000001-0000-4000-8000-00000000000c"
    )
    arrivals = Facts(shop.client).store([bought], arrive=False)
    Facts(shop.client).store_arrivals([line.replace(b'"nobody"', b'"%b"' % project.encode()) for line in arrivals])
    assert await shop.retention(project) == {("2025-10-06", 0): 1, ("2025-10-06", 1): 1}
