"""Runs over little apply the rules in Python: whatever they book, a sweep, which applies them in SQL, finds right."""

from collections.abc import Callable
from typing import Any

import pytest
from depth import examples
from history import PROJECT, goal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import Shop

from processors.booker.ledger import Ledger
from processors.runtime.failpoint import Seam
from schemas.control import GoalType, MatchType, Project
from schemas.events import RawEvent
from tests.store.test_attribution import DAY, booked, histories, order, page, sources
from tests.store.test_refunds import refund

PURCHASES = goal("purchases", GoalType.CUSTOM, MatchType.EXACT, "purchase")
LANDINGS = goal("landings", GoalType.PAGEVIEW, MatchType.CONTAINS, "/")


@st.composite
def refunds(draw: st.DrawFn) -> list[RawEvent]:
    """Of the orders of the histories, in part or in full."""
    return [
        refund(
            draw(st.sampled_from(["order0", "order1", "order2"])),
            f"refund {number}",
            draw(st.sampled_from(["", "0.0001", "0.05", "20"])),
            at=draw(st.sampled_from([0, 20 * DAY, 41 * DAY])),
        )
        for number in range(draw(st.integers(0, 4)))
    ]


@pytest.mark.timeout(600)
@given(history=histories(minutes_apart=False), taken=refunds(), data=st.data())
@settings(
    max_examples=examples(4),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes on a real database
)
def test_what_runs_over_little_book_is_what_a_sweep_would(
    new_shop: Callable[[], Shop], history: list[RawEvent], taken: list[RawEvent], data: st.DataObject
) -> None:
    """Also where touches are of the same time: then their ids decide, in the order of ClickHouse."""
    shop = new_shop()
    shop.control.put(PURCHASES)
    shop.control.put(LANDINGS)
    shop.control.put(
        Project(id=PROJECT, name="Shop", site_key="sk_shop", lookback_days=data.draw(st.sampled_from([None, 5, 12])))
    )
    books = shop.books(key_max_edges=data.draw(st.sampled_from([3, 2_000])))
    books.book()
    arriving = data.draw(st.permutations(history + taken))
    cut = data.draw(st.integers(0, len(arriving)))
    for some in (arriving[:cut], arriving[cut:]):
        shop.facts.store(some)
        books.book()
    before = shop.credits()
    books.sweep()
    assert shop.client.query("SELECT kind, hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [
        ("sweep", 0, 0)
    ]
    assert shop.credits() == before
    assert shop.views_equal_their_recomputation()


def test_touches_of_one_time_are_in_the_order_of_clickhouse(shop: Shop) -> None:
    pages = [page(0, f"source{n}", session=f"s{n}", user="u") for n in range(8)]
    booked(shop, *pages, order("o", 10, user="u"))
    shop.books().sweep()
    assert shop.client.query("SELECT credits FROM runs ORDER BY number").result_rows == [(2 + 3 * len(pages),), (0,)]


ODD = (
    "o'brien",
    "back\\slash",
    "end\\",
    "\\'",
    "tab\there",
    "line\nbreak",
    'quo"te',
    "\0",
    "`tick`",
    "{x:String}",
    "\\N",
    "☃",
)


def test_identities_of_any_text_are_looked_up(shop: Shop) -> None:
    visits = [page(n, "google", session=f"s {who}", user=who) for n, who in enumerate(ODD)]
    booked(shop, *visits, *(order(f"o{n}", 60, user=who) for n, who in enumerate(ODD)))
    booked(shop, *(page(30 + n, "bing", session=f"s2 {who}", user=who) for n, who in enumerate(ODD)))
    assert sorted(source for source, *_ in sources(shop)) == sorted(["google", "bing"] * len(ODD))
    shop.books().sweep()
    assert shop.client.query("SELECT credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0,)]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bookings that ClickHouse is told to run."""
    names: list[str] = []
    run = Ledger.run

    def noting(self: Ledger, name: str, *rest: Any, **others: Any) -> None:
        names.append(name)
        run(self, name, *rest, **others)

    monkeypatch.setattr(Ledger, "run", noting)
    return names


VISIT_AND_ORDERS = (
    page(0, "google", session="s", user="u"),
    *(order(f"o{n}", 10 + n, user="u", fingerprint="f") for n in range(3)),
)


def test_a_run_over_little_runs_no_bookings(shop: Shop, ran: list[str]) -> None:
    booked(shop, *VISIT_AND_ORDERS)
    assert ran == ["live_runs"]
    assert [source for source, *_ in sources(shop)] == ["google"] * 3


def test_a_run_over_little_has_room_for_hundreds_of_conversions(shop: Shop, ran: list[str]) -> None:
    shop.control.put(PURCHASES)
    books = shop.books()
    books.book()
    shop.facts.store([order(f"{'long ' * 50}{n}", n, user=f"{'long ' * 50}{n}") for n in range(400)])
    books.book()
    assert ran[-1] == "few_goals"
    assert shop.client.query("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [
        (400, 2_000)
    ]


@pytest.mark.parametrize(
    ("limit", "statement"),
    [
        ("small_run.FEW_FACTS", "hop"),
        ("lookups.FEW_EDGES", "hop"),
        ("attribution.FEW_CONVERSIONS", "target_credits"),
    ],
)
def test_what_is_too_much_for_a_run_over_little_is_left_to_clickhouse(
    shop: Shop, ran: list[str], monkeypatch: pytest.MonkeyPatch, limit: str, statement: str
) -> None:
    monkeypatch.setattr(f"processors.booker.{limit}", 1)
    booked(shop, *VISIT_AND_ORDERS)
    assert statement in ran
    assert [source for source, *_ in sources(shop)] == ["google"] * 3


def test_a_person_with_too_many_edges_for_a_run_over_little_is_left_to_clickhouse(
    shop: Shop, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    booked(shop, *VISIT_AND_ORDERS)
    shop.facts.store([page(5, "bing", session="s2", user="u")])

    def limit_look_ups(reached: Seam) -> None:
        if (
            reached is Seam.AFTER_GOALS
        ):  # after the walk to the conversions; that to their persons looks up the fingerprint
            monkeypatch.setattr("processors.booker.lookups.FEW_EDGES", 3)

    shop.books(failpoint=limit_look_ups).book()
    assert "hop" not in ran
    assert "target_credits" in ran
    assert [source for source, *_ in sources(shop)] == ["google"] * 3 + ["bing"] * 3
