"""The funnel's question against an oracle in plain Python, on the real engine."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import pytest
from databases import Databases
from depth import examples
from history import MINUTE, START, Facts, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shops import Shops, persons_of, shops

from clickhouse.api.funnel import Walked
from schemas.events import RawEvent
from schemas.outcomes import Trust

FROM, TO = 0, 60
"""Minutes after START: the period."""


class Step(NamedTuple):
    type: str
    match_type: str
    value: str

    def takes(self, event: RawEvent) -> bool:
        path = event.url.removeprefix("https://shop.example").partition("?")[0]
        name, kind = event.event_name, event.event_type
        subject = {
            "pageview": path if kind == "pageview" else None,
            "custom": name if kind in ("custom", "conversion") else None,
            "event": name if kind == "event" else None,
            "event_name": name,
            "event_type": kind,
            "conversion": self.value if kind == "conversion" else None,
        }[self.type]
        if subject is None:
            return False
        match self.match_type:
            case "regex":
                return re.search(self.value, subject) is not None
            case "contains":
                return self.value in subject
        return subject == self.value


def oracle(events: Sequence[RawEvent], steps: Sequence[Step], window: int) -> dict[str, list[int]]:
    """Persons at each step by source ('' is all): each first step is tried, the next taken as soon as it is there."""
    found: dict[str, list[int]] = {"": [0] * len(steps)}
    # Who is who is known from the span alone: the period, and the window after it.
    span = [event for event in events if minute(event) >= FROM and event.occurred_at < START + TO * MINUTE + window]
    for attempts in persons_of(span).values():
        first = [event for event in attempts if steps[0].takes(event) and FROM <= minute(event) < TO]
        if not first:
            continue
        level = max(walk(attempts, start.occurred_at, steps, window) for start in first)
        entry = min((event.occurred_at, event.session_id) for event in first)[1]
        source = source_of(events, entry)
        for name in ("", source):
            counts = found.setdefault(name, [0] * len(steps))
            for number in range(level):
                counts[number] += 1
    return found


def walk(events: Iterable[RawEvent], start: int, steps: Sequence[Step], window: int) -> int:
    level, now = 1, start
    while level < len(steps):
        later = [e.occurred_at for e in events if now < e.occurred_at <= start + window and steps[level].takes(e)]
        if not later:
            break
        level, now = level + 1, min(later)
    return level


def source_of(events: Iterable[RawEvent], session: str) -> str:
    pages = [event for event in events if event.session_id == session and event.event_type == "pageview"]
    entry = min(pages, key=lambda event: (event.occurred_at, event.event_id), default=None)
    return (entry.url.partition("utm_source=")[2].partition("&")[0] if entry else "") or "(direct)"


def minute(event: RawEvent) -> float:
    return (event.occurred_at - START) / MINUTE


class Funnels(Shops):
    async def funnel(self, project: str, steps: Sequence[Step], window: int, **filters: str) -> dict[str, list[int]]:
        """Persons at each step by source; '' is all of them."""
        rows = await self.rows(
            "funnel",
            Walked,
            {
                "project_id": project,
                "from_ms": START + FROM * MINUTE,
                "to_ms": START + TO * MINUTE,
                "window_ms": window,
                "types": [step.type for step in steps],
                "match_types": [step.match_type for step in steps],
                "match_values": [step.value for step in steps],
                **{name: filters.get(name, "") for name in ("source", "medium", "campaign", "channel")},
            },
        )
        found = {("" if row.total else row.source): row.reached for row in rows}
        assert len(found) == len(rows), rows
        return {"": found.get("") or [0] * len(steps), **{name: found[name] for name in found if name}}


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[Funnels]:
    with shops(Funnels, databases) as made:
        yield made


VIEW = Step("pageview", "exact", "/a")
CART = Step("pageview", "regex", "^/(b|c)$")
SIGNUP = Step("event_name", "contains", "sign")
BOUGHT = Step("conversion", "exact", "")

ACTIONS = [
    {"type": "pageview", "path": "/a"},
    {"type": "pageview", "path": "/a", "source": "google"},
    {"type": "pageview", "path": "/b"},
    {"type": "pageview", "path": "/c", "source": "mail"},
    {"name": "signup", "type": "event"},
    {"name": "purchase", "type": "conversion", "order": "o"},
]


@st.composite
def histories(draw: st.DrawFn) -> list[RawEvent]:
    """Few persons, few minutes: ties, repeats, steps in any order, browsers that become users'."""
    made = draw(
        st.lists(
            st.tuples(
                st.sampled_from(ACTIONS),
                st.one_of(st.integers(0, 8), st.integers(-3, 70)),
                st.sampled_from(["", "x", "y"]),
                st.sampled_from(["", "", "ann", "bob"]),
                st.sampled_from(["s1", "s2", "s3"]),
            ),
            max_size=25,
        )
    )
    return [
        raw_event(
            **(action | {"order": f"{action['order']}{number}"} if "order" in action else action),
            at=at,
            anonymous=browser,
            user=user,
            # A session belongs to one browser, as it does outside.
            session=f"{browser or user}{session}",
            id=f"e{number}",
            trust=Trust.PUBLIC,
        )
        for number, (action, at, browser, user, session) in enumerate(made)
        if browser or user
    ]


STEPS = st.lists(st.sampled_from([VIEW, CART, SIGNUP, BOUGHT]), min_size=2, max_size=4)


@settings(
    max_examples=examples(15),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(history=histories(), steps=STEPS, window=st.sampled_from([1, 3, 60]))
async def test_a_funnel_counts_what_plain_loops_count(
    shop: Funnels, history: list[RawEvent], steps: list[Step], window: int
) -> None:
    project = shop.store(history)
    assert await shop.funnel(project, steps, window * MINUTE) == oracle(history, steps, window * MINUTE)


def page(path: str, at: int, *, who: str = "x", user: str = "", source: str = "", session: str = "s") -> RawEvent:
    return raw_event(at=at, path=path, source=source, anonymous=who, user=user, session=f"{who}{session}")


async def reached(shop: Funnels, events: Sequence[RawEvent], *steps: str, window: int = 60) -> list[int]:
    asked = [Step("pageview", "exact", step) for step in steps]
    return (await shop.funnel(shop.store(events), asked, window * MINUTE))[""]


async def test_only_event_time_orders_the_steps(shop: Funnels) -> None:
    assert await reached(shop, [page("/b", 2), page("/a", 1)], "/a", "/b") == [1, 1]
    assert await reached(shop, [page("/a", 2), page("/b", 1)], "/a", "/b") == [1, 0]


async def test_two_steps_of_one_millisecond_are_not_in_order(shop: Funnels) -> None:
    assert await reached(shop, [page("/a", 1), page("/b", 1)], "/a", "/b") == [1, 0]
    again = [page("/a", 1), page("/a", 5), page("/b", 5)]
    assert await reached(shop, again, "/a", "/b") == [1, 1], "the first of two starts goes on"


async def test_one_event_is_one_step_even_if_it_fits_two(shop: Funnels) -> None:
    assert await reached(shop, [page("/a", 1)], "/a", "/a") == [1, 0]
    assert await reached(shop, [page("/a", 1), page("/a", 2)], "/a", "/a") == [1, 1]


async def test_the_window_is_inclusive_and_runs_from_the_first_step(shop: Funnels) -> None:
    walk = [page("/a", 1), page("/b", 8), page("/c", 11)]
    assert await reached(shop, walk, "/a", "/b", "/c", window=10) == [1, 1, 1]
    assert await reached(shop, walk, "/a", "/b", "/c", window=9) == [1, 1, 0]


async def test_the_first_step_is_in_the_period_and_the_others_may_follow_it(shop: Funnels) -> None:
    assert await reached(shop, [page("/a", TO - 1), page("/b", TO + 5)], "/a", "/b") == [1, 1]
    assert await reached(shop, [page("/a", TO), page("/b", TO + 5)], "/a", "/b") == [0, 0]
    assert await reached(shop, [page("/a", FROM - 1), page("/b", FROM)], "/a", "/b") == [0, 0]


async def test_a_browser_is_its_users_before_and_after_it_is_known_unless_it_is_shared(shop: Funnels) -> None:
    walk = [page("/a", 1), page("/b", 2, user="ann"), page("/c", 3, who="phone", user="ann")]
    assert await reached(shop, walk, "/a", "/b", "/c") == [1, 1, 1]
    shared = [page("/a", 1), page("/b", 2, user="ann"), page("/b", 3, user="bob")]
    assert await reached(shop, shared, "/a", "/b") == [1, 0]


async def test_a_user_that_a_browser_was_before_the_period_does_not_share_it(shop: Funnels) -> None:
    walk = [page("/a", 1), page("/b", 2, user="ann")]
    assert await reached(shop, [page("/", FROM - 1, user="bob"), *walk], "/a", "/b") == [1, 1]
    assert await reached(shop, [page("/", FROM, user="bob"), *walk], "/a", "/b") == [1, 0]
    assert await reached(shop, [page("/", TO + 59, user="bob"), *walk], "/a", "/b") == [1, 0]
    assert await reached(shop, [page("/", TO + 60, user="bob"), *walk], "/a", "/b") == [1, 1]


async def test_a_person_of_two_sources_counts_once_for_the_first(shop: Funnels) -> None:
    project = shop.store(
        [
            page("/a", 1, source="mail", session="1"),
            page("/a", 5, source="google", session="2"),
            page("/b", 6, session="2"),
            page("/a", 7, who="y", source="google"),
        ]
    )
    steps = [Step("pageview", "exact", "/a"), Step("pageview", "exact", "/b")]
    assert await shop.funnel(project, steps, 60 * MINUTE) == {"": [2, 1], "mail": [1, 1], "google": [1, 0]}
    assert await shop.funnel(project, steps, 60 * MINUTE, source="google") == {"": [1, 0], "google": [1, 0]}


@pytest.mark.parametrize("value", ["it's", "back\\slash", "a,b]", '"quoted"', "{x:String}", "%s", "ä€😀", "' OR 1 -- "])
async def test_a_value_is_compared_as_it_is(shop: Funnels, value: str) -> None:
    project = shop.store(
        [raw_event(value, type="event", at=1, user="u"), raw_event("other", type="event", at=2, user="u")]
    )
    for match_type in ("exact", "contains"):
        steps = [Step("event", match_type, value), Step("event", "exact", "other")]
        assert (await shop.funnel(project, steps, 60 * MINUTE))[""] == [1, 1]
    literal = [Step("event", "regex", f"^{re.escape(value)}$"), Step("event", "regex", "^o")]
    assert (await shop.funnel(project, literal, 60 * MINUTE))[""] == [1, 1]


async def test_a_conversion_that_has_no_event_is_a_step(shop: Funnels) -> None:
    bought = raw_event("purchase", type="conversion", at=2, user="ann", order="o1")
    elsewhere = shop.store([])
    arrivals = Facts(shop.client).store([msgspec.structs.replace(bought, project_id="nobody")], arrive=False)
    project = shop.store([page("/a", 1, user="ann")])
    Facts(shop.client).store_arrivals([line.replace(b'"nobody"', b'"%b"' % project.encode()) for line in arrivals])
    steps = [Step("pageview", "exact", "/a"), Step("custom", "exact", "purchase")]
    assert (await shop.funnel(project, steps, 60 * MINUTE))[""] == [1, 1]
    assert (await shop.funnel(elsewhere, steps, 60 * MINUTE))[""] == [0, 0]
