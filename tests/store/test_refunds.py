"""What refunds take back, against an oracle in plain Python, whatever arrives first and however often."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from databases import Databases
from depth import examples
from history import MINUTE, PROJECT, START, goal, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import SIZES, Shop, opening

from schemas.control import GoalType, MatchType
from schemas.events import RawEvent, Refund
from schemas.ids import conversion_id, refund_event_id
from schemas.outcomes import Trust
from schemas.settings import ClickHouseSettings

PURCHASE = goal("purchase", GoalType.CUSTOM, MatchType.EXACT, "purchase")
REFUNDS = goal("refunds", GoalType.EVENT_TYPE, MatchType.EXACT, "refund")
NAMED = goal("named", GoalType.EVENT_NAME, MatchType.EXACT, "purchase")


class Applied(NamedTuple):
    """One refund of one conversion."""

    refund_id: str
    amount: Decimal


def sale(order: str, revenue: str, *, at: int, kind: str = "purchase", **fields: str) -> RawEvent:
    """A conversion of an order. ``at``: minutes after the start."""
    type_ = fields.pop("type", "conversion")
    return raw_event(kind, type=type_, at=at, order=order, revenue=revenue, id=f"{order}/{kind}/{at}", **fields)


def refund(
    order: str,
    refund_id: str,
    amount: str = "",
    *,
    at: int,
    kind: str = "",
    currency: str = "",
    received: int | None = None,
    trust: Trust = Trust.SECRET,
) -> RawEvent:
    """A refund as ingest writes it: of the order, or of one kind of it. Without an amount: of all that is left."""
    of = conversion_id(PROJECT, kind, order, "") if kind else ""
    return RawEvent(
        project_id=PROJECT,
        event_id=refund_event_id(PROJECT, of or order, refund_id),
        trust=trust,
        received_at=START + (at if received is None else received) * MINUTE,
        occurred_at=START + at * MINUTE,
        event_type="refund",
        event_name=kind,
        visitor=f"o:{of or order}",
        order_id=order,
        revenue=-Decimal(amount) if amount else None,
        currency=currency,
        refund=Refund(refund_id=refund_id, conversion_id=of),
    )


class RefundShop(Shop):
    """One installation, with the one booker it has."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        super().__init__(settings)
        self.booker = self.books(fold_runs=3)

    def applied(self) -> dict[str, list[Applied]]:
        """By conversion, in the order in which they were applied."""
        found: dict[str, list[Applied]] = {}
        for conversion, refund_id, amount in self.client.query(
            "SELECT toString(conversion_id), client_refund_id, amount FROM conversion_refunds"
            " ORDER BY conversion_id, refunded_at, client_refund_id"
        ).result_rows:
            found.setdefault(conversion, []).append(Applied(refund_id, amount))
        return found

    def goal(self, goal_id: str) -> tuple[int, Decimal, Decimal, Decimal] | None:
        """Conversions, gross, refunded and net."""
        rows = self.client.query(
            "SELECT toInt64(sum(conversions)), sum(gross), sum(refunded), sum(revenue) FROM v_goal_stats"
            " WHERE goal_id = {id:UUID} GROUP BY goal_id",
            parameters={"id": goal_id},
        ).result_rows
        return rows[0] if rows else None


@pytest.fixture
def new_shop(databases: Databases) -> Iterator[Callable[[], RefundShop]]:
    """Makes installations, each in a database of its own."""
    with opening(RefundShop, databases) as make:
        yield make


@pytest.fixture
def shop(new_shop: Callable[[], RefundShop]) -> RefundShop:
    return new_shop()


PURCHASE_OF_O = conversion_id(PROJECT, "purchase", "o", "")


def oracle(events: Iterable[RawEvent]) -> dict[str, list[Applied]]:
    """Plain loops over all events in log order, each id once."""
    unique: dict[str, RawEvent] = {}
    for event in events:
        unique.setdefault(event.event_id, event)
    reports: dict[str, list[RawEvent]] = {}
    for event in unique.values():
        if event.conversion_id:
            reports.setdefault(event.conversion_id, []).append(event)
    gross = {}
    for conversion, arrivals in reports.items():
        paid = [one for one in sorted(arrivals, key=lambda one: one.trust) if one.revenue is not None]
        if paid and paid[0].revenue:
            gross[conversion] = (paid[0].revenue, paid[0].currency)

    def rank(conversion: str) -> tuple[bool, int, str]:
        arrivals = reports[conversion]
        return (
            not any(one.is_conversion for one in arrivals),
            min(one.received_at for one in arrivals),
            conversion,
        )

    asked: dict[str, dict[str, RawEvent]] = {}
    for event in sorted(unique.values(), key=lambda one: (one.received_at, one.event_id)):
        if event.refund is None:
            continue
        of = event.refund.conversion_id
        if not of:
            known = [one for one in gross if reports[one][0].order_id == event.order_id]
            if not known:
                continue
            of = min(known, key=rank)
        asked.setdefault(of, {}).setdefault(event.refund.refund_id, event)
    found: dict[str, list[Applied]] = {}
    for of, refunds in asked.items():
        if of not in gross:
            continue
        left, currency = gross[of]
        for refund_id, event in sorted(refunds.items(), key=lambda item: (item[1].occurred_at, item[0])):
            if event.currency not in ("", currency):
                continue
            amount = left if event.revenue is None else min(left, -event.revenue)
            left -= amount
            found.setdefault(of, []).append(Applied(refund_id, amount))
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[RawEvent]:
    """Orders of one or two kinds, reported once or more, and refunds of them, in part, in full and beyond, repeated."""
    minutes = iter(draw(st.lists(st.integers(0, 60_000), min_size=40, max_size=40, unique=True)))
    amounts = st.sampled_from(["0.0001", "0.1", "10", "49.99", "50", "99999999999999.9999"])
    sales = [
        sale(
            draw(st.sampled_from(["o", "p", "q"])),
            draw(st.sampled_from(["", "0", "0.1", "49.99", "100"])),
            at=next(minutes),
            kind=draw(st.sampled_from(["purchase", "signup"])),
            type=draw(st.sampled_from(["conversion", "conversion", "custom"])),
            currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
        )
        for _ in range(draw(st.integers(1, 7)))
    ]
    refunds = [
        refund(
            draw(st.sampled_from(["o", "p", "q"])),
            draw(st.sampled_from(["r1", "r2", "r3", "r4"])),
            draw(st.one_of(st.just(""), amounts)),
            at=draw(st.integers(0, 5)),
            kind=draw(st.sampled_from(["", "", "purchase", "signup"])),
            currency=draw(st.sampled_from(["", "", "USD"])),
            received=next(minutes),
        )
        for _ in range(draw(st.integers(1, 12)))
    ]
    return sales + refunds


@pytest.mark.timeout(600)
@given(history=histories(), data=st.data())
@settings(
    max_examples=examples(3),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes on a real database
)
def test_refunds_equal_the_oracle_in_any_order_of_arrival(
    new_shop: Callable[[], RefundShop], history: list[RawEvent], data: st.DataObject
) -> None:
    shop = new_shop()
    shop.booker = shop.books(fold_runs=3, small_run_positions=data.draw(st.sampled_from(SIZES)))
    for one in (PURCHASE, NAMED, REFUNDS):
        shop.control.put(one)
    arriving = data.draw(st.permutations(history))
    pending, waiting = list(arriving), []
    while pending or waiting:
        cut = data.draw(st.integers(2, 9))
        batch, pending = pending[:cut], pending[cut:]
        if batch:
            waiting += shop.facts.store(batch, arrive=False)
        due = len(waiting) if not pending else data.draw(st.integers(0, len(waiting)))
        shop.facts.store_arrivals(waiting[:due])
        waiting = waiting[due:]
        if data.draw(st.integers(0, 2)) == 0:
            shop.booker.book()
    shop.booker.book()
    expected = oracle(arriving)
    assert shop.applied() == expected

    reports: dict[str, list[RawEvent]] = {}
    for event in history:
        if event.conversion_id and event.event_name == "purchase":
            reports.setdefault(event.conversion_id, []).append(event)
    refunded = sum((one.amount for conversion in reports for one in expected.get(conversion, ())), start=Decimal(0))
    assert shop.goal(REFUNDS.id) is None
    for one in (PURCHASE, NAMED):
        found = shop.goal(one.id)
        if reports:
            assert found is not None
            assert (found[0], found[2], found[3]) == (len(reports), refunded, found[1] - refunded)
        else:
            assert found is None
    assert shop.booker.book() is None
    while shop.booker.fold() is not None:
        pass
    shop.booker.sweep()
    assert shop.client.query("SELECT hits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0,)]
    assert shop.imbalance() == 0


def test_a_refund_finds_its_sale_whichever_of_the_two_arrives_first(shop: RefundShop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store([refund("o", "r", "30", at=9)])
    shop.booker.book()
    assert shop.applied() == {}
    shop.facts.store([sale("o", "100", at=1)])
    shop.booker.book()
    assert shop.applied() == {PURCHASE_OF_O: [Applied("r", Decimal(30))]}
    assert shop.goal(PURCHASE.id) == (1, Decimal(100), Decimal(30), Decimal(70))
    shop.facts.store([refund("o", "s", at=5, received=10)])
    shop.booker.book()
    # The second was made before the first, and took all: each gets what is left in the order of their times.
    assert shop.applied() == {PURCHASE_OF_O: [Applied("s", Decimal(100)), Applied("r", Decimal(0))]}
    assert shop.goal(PURCHASE.id) == (1, Decimal(100), Decimal(100), Decimal(0))


def test_a_sale_that_turns_out_dearer_gives_back_more(shop: RefundShop) -> None:
    shop.control.put(PURCHASE)
    shop.facts.store([sale("o", "20", at=1, trust=Trust.PUBLIC), refund("o", "r", "30", at=2)])
    shop.booker.book()
    assert shop.goal(PURCHASE.id) == (1, Decimal(20), Decimal(20), Decimal(0))
    shop.facts.store([sale("o", "100", at=3)])
    shop.booker.book()
    assert shop.goal(PURCHASE.id) == (1, Decimal(100), Decimal(30), Decimal(70))


def test_one_refund_id_counts_once_though_named_by_order_by_kind_and_by_a_new_event(shop: RefundShop) -> None:
    shop.facts.store([sale("o", "100", at=0), refund("o", "r", "10", at=1)])
    shop.facts.store([refund("o", "r", "10", at=2, kind="purchase"), refund("o", "r", "99", at=20_000)])
    assert shop.applied() == {PURCHASE_OF_O: [Applied("r", Decimal(10))]}


def test_a_refund_of_an_order_is_of_the_kind_with_money_that_came_first_and_follows_it(shop: RefundShop) -> None:
    shop.control.put(PURCHASE)
    signup = conversion_id(PROJECT, "signup", "o", "")
    shop.facts.store([sale("o", "", at=0, kind="trial"), sale("o", "5", at=1, kind="mention", type="custom")])
    shop.facts.store([sale("o", "50", at=8, kind="purchase"), refund("o", "r", "30", at=9)])
    shop.booker.book()
    assert shop.applied() == {PURCHASE_OF_O: [Applied("r", Decimal(30))]}
    shop.facts.store([sale("o", "20", at=7, kind="signup")])
    shop.booker.book()
    assert shop.applied() == {signup: [Applied("r", Decimal(20))]}
    assert shop.goal(PURCHASE.id) == (1, Decimal(50), Decimal(0), Decimal(50))


def test_an_order_id_that_looks_like_the_id_of_a_conversion_is_found_as_well(shop: RefundShop) -> None:
    shop.control.put(PURCHASE)
    order = "0c6ab1a4-1f53-4b5c-9e5b-0d6a3b1f2c11"
    asked = refund(order, "r", "30", at=2)
    events = [msgspec.structs.replace(asked, refund=Refund("r", order)), sale(order, "100", at=1)]
    for event in events:
        shop.facts.store([event])
        shop.booker.book()
    assert shop.applied() == {conversion_id(PROJECT, "purchase", order, ""): [Applied("r", Decimal(30))]}
    assert shop.goal(PURCHASE.id) == (1, Decimal(100), Decimal(30), Decimal(70))


def test_what_no_secret_key_asked_for_or_in_another_currency_takes_nothing_back(shop: RefundShop) -> None:
    shop.facts.store([sale("o", "100", at=0), refund("o", "r", "10", at=1, trust=Trust.PUBLIC)])
    shop.facts.store([refund("o", "s", "10", at=2, currency="EUR")])
    assert shop.applied() == {}


def test_a_refund_is_nobodys_visit(shop: RefundShop) -> None:
    shop.facts.store([raw_event(at=0, anonymous="a"), refund("o", "r", "10", at=1)])
    assert shop.client.query("SELECT count() FROM sessions").result_rows == [(1,)]
    assert shop.client.query("SELECT sum(events) FROM v_sessions").result_rows == [(1,)]
    assert shop.client.query("SELECT count() FROM v_events").result_rows == [(2,)]


def test_v_conversions_shows_gross_refunded_and_net(shop: RefundShop) -> None:
    shop.facts.store([sale("o", "100", at=0), sale("p", "5", at=1), sale("q", "", at=2), refund("o", "r", "30", at=3)])
    found = shop.client.query(
        "SELECT order_id, revenue, refunded, net FROM v_conversions ORDER BY order_id"
    ).result_rows
    assert found == [
        ("o", Decimal(100), Decimal(30), Decimal(70)),
        ("p", Decimal(5), Decimal(0), Decimal(5)),
        ("q", None, Decimal(0), None),
    ]


def test_what_applies_to_a_few_conversions_is_a_look_up(shop: RefundShop) -> None:
    """The rows read are those of a few granules, whatever else is there."""
    total, scope = 200_000, "00000000-0000-0000-0000-0000000000aa"
    shop.client.command(
        "INSERT INTO conversion_arrivals (project_id, conversion_id, event_id, is_conversion, kind, order_id, revenue,"
        " currency) SELECT 'p', reinterpretAsUUID(MD5(toString(number))), generateUUIDv4(), true, 'purchase',"
        f" toString(number), 100, 'USD' FROM numbers({total})"
    )
    shop.client.command(
        "INSERT INTO refunds (project_id, kind, key, refund_id, event_id, asked) SELECT 'p', 'order', toString(number),"
        f" 'r', generateUUIDv4(), 10 FROM numbers({total})"
    )
    shop.client.command(
        f"INSERT INTO run_conversions (run_id, project_id, conversion_id) SELECT '{scope}', project_id, conversion_id"
        " FROM conversion_arrivals WHERE order_id IN ('7', '77777')"
    )
    found = shop.client.query(f"SELECT amount FROM applied_refunds(scope_id = '{scope}', of_project = '')")
    assert found.result_rows == [(Decimal(10),), (Decimal(10),)]
    assert int(found.summary["read_rows"]) < total / 3
