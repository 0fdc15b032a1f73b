"""The books against an oracle in plain Python, whatever order facts arrive in and wherever the booker dies."""

import contextlib
from collections.abc import Callable
from decimal import Decimal

import pytest
from depth import examples
from history import Truth, goal, oracle, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import SIZES, Shop

from processors.booker.books import LeaseLost
from processors.runtime.failpoint import Seam
from schemas.control import GoalType, MatchType
from schemas.events import RawEvent
from schemas.outcomes import Trust

PURCHASE = goal("purchase", GoalType.CUSTOM, MatchType.EXACT, "purchase", currency="USD")
CHECKOUT = goal("checkout", GoalType.PAGEVIEW, MatchType.REGEX, "^/(cart|pay)$")
SIGNUPS = goal("signups", GoalType.EVENT_NAME, MatchType.CONTAINS, "sign")
ANY = goal("any", GoalType.CONVERSION, MatchType.EXACT, "")
GOALS = [PURCHASE, CHECKOUT, SIGNUPS, ANY]


class Crash(Exception):
    """The booker dies here."""


@st.composite
def histories(draw: st.DrawFn) -> list[RawEvent]:
    """Visits of a few people on a few devices, and orders reported once or more, by server and browser."""
    events = []
    minutes = iter(draw(st.lists(st.integers(0, 60_000), min_size=40, max_size=40, unique=True)))
    for number in range(draw(st.integers(1, 12))):
        person, device, session = (draw(st.integers(0, n)) for n in (2, 2, 4))
        events.append(
            raw_event(
                at=next(minutes),
                path=draw(st.sampled_from(["/", "/cart", "/pay", "/about"])),
                source=draw(st.sampled_from(["", "google", "facebook", "bing"])),
                user=draw(st.sampled_from(["", f"user{person}"])),
                anonymous=f"device{device}",
                session=f"session{session}",
                id=f"page{number}",
            )
        )
    for number in range(draw(st.integers(1, 6))):
        order, person, device, session = (draw(st.integers(0, n)) for n in (3, 2, 2, 4))
        trust = draw(st.sampled_from([Trust.SECRET, Trust.PUBLIC]))
        events.append(
            raw_event(
                draw(st.sampled_from(["purchase", "signup"])),
                type=draw(st.sampled_from(["conversion", "conversion", "custom"])),
                at=next(minutes),
                user=draw(st.sampled_from(["", f"user{person}"])),
                anonymous=f"device{device}" if trust is Trust.PUBLIC else "",
                session=f"session{session}" if trust is Trust.PUBLIC else "",
                order=draw(st.sampled_from(["", f"order{order}"])),
                revenue=draw(st.sampled_from(["", "0.1", "0.2", "49.99"])),
                currency=draw(st.sampled_from(["USD", "EUR"])),
                trust=trust,
                id=f"order-report{number}",
            )
        )
    return events


@given(history=histories(), data=st.data())
@settings(
    max_examples=examples(3),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes on a real database
)
def test_books_equal_the_oracle_in_any_order_of_arrival_and_after_any_crash(
    new_shop: Callable[[], Shop], history: list[RawEvent], data: st.DataObject
) -> None:
    shop = new_shop()
    for one in GOALS:
        shop.control.put(one)
    arriving = data.draw(st.permutations(history))
    small = data.draw(st.sampled_from(SIZES))
    events, waiting = list(arriving), []
    while events or waiting:
        cut = data.draw(st.integers(1, 6))
        batch, events = events[:cut], events[cut:]
        if batch:
            waiting += shop.facts.store(batch, partition=data.draw(st.integers(0, 1)), arrive=False)
        due = len(waiting) if not events else data.draw(st.integers(0, len(waiting)))
        shop.facts.store_arrivals(waiting[:due])
        waiting = waiting[due:]
        point = data.draw(st.sampled_from([None, Seam.AFTER_GOALS, Seam.BEFORE_COMMIT, Seam.AFTER_COMMIT]))

        def die(reached: Seam, point: Seam | None = point) -> None:
            if reached is point:
                raise Crash

        with contextlib.suppress(Crash):
            shop.books(failpoint=die, small_run_positions=small).book()
    shop.books(small_run_positions=small).book()
    assert shop.booked() == oracle(arriving, GOALS)
    assert shop.views_equal_their_recomputation()
    assert shop.books().book() is None
    shop.books().sweep()
    assert shop.client.query("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0, 0)]
    assert shop.imbalance() == 0


def test_the_server_wins_whichever_report_of_an_order_comes_first(shop: Shop) -> None:
    browser = raw_event("purchase", type="conversion", at=1, order="o", revenue="50", trust=Trust.PUBLIC, session="s")
    server = raw_event("purchase", type="conversion", at=2, order="o", revenue="49.99", user="u")
    shop.control.put(PURCHASE)
    books = shop.books()
    for event in (browser, server):
        shop.facts.store([event])
        books.book()
    assert shop.booked().goals == {(PURCHASE.id, "USD"): (1, Decimal("49.99"))}


def test_reports_of_one_order_years_apart_are_one_conversion(shop: Shop) -> None:
    shop.control.put(PURCHASE)
    books = shop.books()
    year = 366 * 24 * 60
    for at, trust, amount in ((0, Trust.PUBLIC, "10"), (4 * year, Trust.SECRET, "11"), (9 * year, Trust.PUBLIC, "12")):
        event = raw_event("purchase", type="conversion", at=at, order="o", revenue=amount, trust=trust)
        shop.facts.store([event])
        books.book()
    assert shop.booked().goals == {(PURCHASE.id, "USD"): (1, Decimal(11))}


def test_tenths_add_up_exactly(shop: Shop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store(
        [
            raw_event("purchase", type="conversion", at=1, revenue="0.1"),
            raw_event("purchase", type="conversion", at=2, revenue="0.2"),
        ]
    )
    shop.books().book()
    assert shop.booked().goals == {(PURCHASE.id, "USD"): (2, Decimal("0.3"))}


def test_a_late_touch_takes_the_credit_over(shop: Shop) -> None:
    books = shop.books()
    shop.facts.store([raw_event(at=0, source="google", anonymous="a", session="s", user="u")])
    shop.facts.store([raw_event("purchase", type="conversion", at=9, user="u", revenue="5")])
    books.book()
    assert shop.sources() == ["google"]
    shop.facts.store([raw_event(at=5, source="facebook", anonymous="a", session="t", user="u")])
    books.book()
    assert shop.sources() == ["facebook"]


def test_a_touch_after_the_conversion_or_before_the_lookback_gets_nothing(shop: Shop) -> None:
    month = 30 * 24 * 60
    shop.facts.store(
        [
            raw_event(at=0, source="google", user="u", session="s"),
            raw_event("purchase", type="conversion", at=month, user="u"),
            raw_event(at=month + 1, source="bing", user="u", session="t"),
        ]
    )
    shop.books().book()
    assert shop.sources() == ["(direct)"]


def test_an_edited_goal_is_served_with_its_old_numbers_until_the_new_ones_are_complete(shop: Shop) -> None:
    shop.control.put(CHECKOUT)
    books = shop.books()
    shop.facts.store([raw_event(at=at, path=path) for at, path in enumerate(("/cart", "/pay", "/about"))])
    books.book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (2, Decimal(0))}
    edited = goal("checkout", GoalType.PAGEVIEW, MatchType.EXACT, "/about", definition=2)
    shop.control.put(edited)

    def die(point: Seam) -> None:
        if point is Seam.BEFORE_COMMIT:
            raise Crash

    with pytest.raises(Crash):
        shop.books(failpoint=die).book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (2, Decimal(0))}
    shop.books().book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (1, Decimal(0))}


def test_a_goal_made_after_the_events_counts_them_and_a_deleted_one_keeps_its_history(shop: Shop) -> None:
    shop.facts.store([raw_event(at=0, path="/cart")])
    books = shop.books()
    books.book()
    shop.control.put(CHECKOUT)
    books.book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (1, Decimal(0))}
    shop.control.put(CHECKOUT, deleted=True)
    shop.facts.store([raw_event(at=1, path="/cart")])
    books.book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (1, Decimal(0))}


def test_a_goal_made_while_events_flow_misses_none_and_doubles_none(shop: Shop) -> None:
    books = shop.books()
    for number in range(5):
        shop.facts.store([raw_event(at=number * 10 + n, path="/cart", id=f"{number}.{n}") for n in range(10)])
        if number == 2:
            shop.control.put(CHECKOUT)
            # These are stored, and counted with the goal's history, before any run has them in its delta.
        if number != 3:
            books.book()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (50, Decimal(0))}


def test_a_booker_that_wakes_up_late_does_not_change_a_number(shop: Shop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store([raw_event("purchase", type="conversion", at=1, revenue="1", order="a")])
    second = shop.books()

    def overtaken(point: Seam) -> None:
        """While the first booker is about to commit, a second one takes over and commits two runs."""
        if point is Seam.BEFORE_COMMIT:
            second.book()
            shop.facts.store([raw_event("purchase", type="conversion", at=2, revenue="2", order="b")])
            second.book()

    late = shop.books(failpoint=overtaken).book()
    assert late is not None
    assert late.number == 1
    expected = {(PURCHASE.id, "USD"): (2, Decimal(3))}
    assert shop.booked().goals == expected
    assert shop.client.query("SELECT count() FROM runs WHERE number = 1").result_rows == [(2,)]
    second.book()
    assert shop.booked().goals == expected
    assert shop.views_equal_their_recomputation()


def test_of_two_runs_with_one_number_only_one_counts(shop: Shop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store([raw_event("purchase", type="conversion", at=1, revenue="1", order="a")])
    second = shop.books()

    def overtaken(point: Seam) -> None:
        if point is Seam.BEFORE_COMMIT:
            second.book()

    shop.books(failpoint=overtaken).book()
    expected = {(PURCHASE.id, "USD"): (1, Decimal(1))}
    assert shop.client.query("SELECT count() FROM runs WHERE number = 1").result_rows == [(2,)]
    assert shop.booked().goals == expected
    shop.facts.store([raw_event("purchase", type="conversion", at=2, revenue="2", order="b")])
    shop.books().book()
    assert shop.booked().goals == {(PURCHASE.id, "USD"): (2, Decimal(3))}


def test_without_the_lease_nothing_is_committed(shop: Shop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store([raw_event("purchase", type="conversion", at=1, revenue="1")])
    with pytest.raises(LeaseLost):
        shop.books(confirm=lambda: False).book()
    assert shop.booked() == Truth({}, {})


def test_folding_changes_no_number_and_leaves_few_live_runs(shop: Shop) -> None:
    for one in GOALS:
        shop.control.put(one)
    books = shop.books(fold_runs=3)
    events = [raw_event("purchase", type="conversion", at=n, revenue="0.1", order=f"o{n}", user="u") for n in range(14)]
    for number, event in enumerate(events):
        shop.facts.store([raw_event(at=number, source=f"s{number % 3}", user="u", session=f"s{number}"), event])
        books.book()
        before = shop.booked()
        while books.fold() is not None:
            assert shop.booked() == before
    assert shop.booked().goals == oracle(events, GOALS).goals
    assert shop.views_equal_their_recomputation()
    assert len(shop.client.query("SELECT * FROM live_runs").result_rows) <= 9
    assert books.sweep() is not None
    assert shop.client.query("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0, 0)]


def test_a_booker_counts_what_another_committed_meanwhile(shop: Shop) -> None:
    first, second = shop.books(), shop.books()
    events = [raw_event("purchase", type="conversion", at=90, revenue="9", order="o", user="u")]
    shop.facts.store(events)
    for number, books in enumerate([first, first, second, first, second, second, first]):
        events.append(raw_event(at=number, source=f"s{number}", user="u", session=f"s{number}"))
        shop.facts.store(events[-1:])
        assert books.book() is not None
        assert shop.credits() == oracle(events, []).credits


def test_a_sweep_takes_back_what_no_fact_supports(shop: Shop) -> None:
    shop.control.put(CHECKOUT)
    shop.facts.store([raw_event(at=0, path="/cart"), raw_event(at=1, path="/pay")])
    books = shop.books()
    books.book()
    shop.client.command("DELETE FROM events WHERE path = '/pay'")
    books.sweep()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (1, Decimal(0))}


def test_the_imbalance_shows_a_row_that_was_removed_by_hand(shop: Shop) -> None:
    shop.facts.store([raw_event(at=0), raw_event(at=1), raw_event("purchase", type="conversion", at=2)])
    assert shop.imbalance() == 0
    shop.client.command("DELETE FROM events WHERE event_type = 'conversion'")
    assert shop.imbalance() == 1


@pytest.mark.parametrize("table", ["event_log", "conversion_arrivals"])
def test_the_imbalance_shows_a_row_missing_from(table: str, shop: Shop) -> None:
    shop.facts.store([raw_event(at=0), raw_event("purchase", type="conversion", at=2)])
    shop.client.command(f"DELETE FROM {table} WHERE kafka_offset = (SELECT max(kafka_offset) FROM {table})")
    assert shop.imbalance() == 1


def test_sealed_days_keep_their_proven_count_and_an_unbalanced_ledger_is_not_sealed(shop: Shop) -> None:
    day = 24 * 60
    for number in range(4):
        shop.facts.store([raw_event(at=number * day), raw_event("purchase", type="conversion", at=number * day + 1)])
    books = shop.books()
    shop.client.command("DELETE FROM events WHERE kafka_offset = 7")
    books.sweep()
    assert shop.client.query("SELECT count() FROM seals").result_rows == [(0,)]
    shop.facts.store([raw_event(at=4 * day)])
    shop.client.command("DELETE FROM event_log WHERE kafka_offset = 7")
    shop.client.command("DELETE FROM checkpoints WHERE end_offset > 6 AND stage = 'events'")
    assert shop.imbalance() == 0
    books.sweep()
    assert shop.client.query("SELECT stage, end_offset FROM seals ORDER BY stage").result_rows == [
        ("conversions", 1),
        ("events", 2),
    ]
    # A sealed row that is removed later does not come up again; an open one does.
    shop.client.command("DELETE FROM events WHERE kafka_offset = 0")
    assert shop.imbalance() == 0
    shop.client.command("DELETE FROM events WHERE kafka_offset = 4")
    assert shop.imbalance() == 1


def test_a_hostile_regex_costs_milliseconds(shop: Shop) -> None:
    shop.control.put(goal("evil", GoalType.PAGEVIEW, MatchType.REGEX, "(a+)+$"))
    shop.facts.store([raw_event(at=0, path="/" + "a" * 50_000 + "!")])
    books = shop.books()
    assert books.book() is not None
    found = shop.client.query(
        "SELECT match({path:String}, {pattern:String})",
        parameters={"path": "a" * 50_000 + "!", "pattern": "(a+)+$"},
    )
    assert found.result_rows == [(0,)]
    assert int(found.summary.get("elapsed_ns", 0)) < 100_000_000


def test_an_event_that_reached_two_partitions_is_counted_once_after_a_sweep(shop: Shop) -> None:
    shop.control.put(CHECKOUT)
    event = raw_event(at=0, path="/cart")
    books = shop.books()
    for partition in (0, 1):
        shop.facts.store([event], partition=partition)
        books.book()
    books.sweep()
    assert shop.booked().goals == {(CHECKOUT.id, ""): (1, Decimal(0))}
    assert shop.imbalance() == 0


def test_every_table_and_column_is_documented(shop: Shop) -> None:
    tables = shop.client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE 'mv_%' AND comment = ''"
    ).result_rows
    columns = shop.client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' AND table IN"
        " (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    ).result_rows
    assert (tables, columns) == ([], [])
