"""Which click a conversion is credited to: the seed's table of windows, and what ties a conversion to a click."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from databases import Databases
from history import MINUTE, PROJECT, START
from shop import SIZES, Shop, opening

from schemas.events import RawEvent
from schemas.ids import conversion_id
from schemas.outcomes import Trust
from schemas.settings import ClickHouseSettings

DAY = 24 * 60 * MINUTE


def click(click_id: int, at: int, *, fingerprint: str = "", link_id: int = 456, query: str = "") -> RawEvent:
    """A click as ingest writes it, ``at`` ms after the start."""
    return RawEvent(
        project_id=PROJECT,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, str(click_id))),
        trust=Trust.PUBLIC,
        received_at=START + at,
        occurred_at=START + at,
        event_type="click",
        visitor=f"c:{click_id}",
        click_id=str(click_id),
        fingerprint=fingerprint,
        url=f"https://shop.example/?click_id={click_id}{query}",
        link_id=link_id,
    )


def conversion(order: str, at: int, **fields: Any) -> RawEvent:
    """A postback as ingest writes it, ``at`` ms after the start."""
    event = RawEvent(
        project_id=PROJECT,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{order}/{at}")),
        trust=Trust.TOKEN,
        received_at=START + at,
        occurred_at=START + at,
        event_type="conversion",
        event_name="purchase",
        visitor=f"e:{order}",
        order_id=order,
        conversion_id=conversion_id(PROJECT, "purchase", order, ""),
        revenue=Decimal("99.99"),
        currency="USD",
        goal_id="goal",
        window_days=30,
    )
    return msgspec.structs.replace(event, **fields)


class ClickShop(Shop):
    """One installation, with the one booker it has."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        super().__init__(settings)
        self.booker = self.books(fold_runs=3)

    def credited(self, order: str) -> tuple[str, str] | None:
        """The click credited for an order, and by which key; None for none."""
        rows = self.client.query(
            "SELECT k.click_id, c.matched_by FROM v_credits AS c INNER JOIN clicks AS k ON k.touch_id = c.touch_id"
            " WHERE c.scope = 'clicks' AND c.model = 'last_touch' AND c.conversion_id = {id:UUID}",
            parameters={"id": conversion_id(PROJECT, "purchase", order, "")},
        ).result_rows
        assert len(rows) <= 1, rows
        return (rows[0][0], rows[0][1]) if rows else None


@pytest.fixture(scope="module", params=SIZES, ids=["large runs", "small runs"])
def shop(databases: Databases, request: pytest.FixtureRequest) -> Iterator[ClickShop]:
    """One for the module: each test has clicks, orders and fingerprints of its own."""
    with opening(ClickShop, databases) as make:
        made = make()
        made.booker = made.books(fold_runs=3, small_run_positions=request.param)
        yield made


@pytest.mark.parametrize("key", ["click", "fingerprint"])
@pytest.mark.parametrize(("click_day", "conversion_day", "attributed"), [(1, 1, True), (1, 5, True), (1, 35, False)])
def test_the_seeds_table_of_windows_holds(
    shop: ClickShop, click_day: int, conversion_day: int, attributed: bool, key: str
) -> None:
    click_id, order = conversion_day * 10 + (key == "click"), f"table-{key}-{conversion_day}"
    mark = f"table-{key}-{conversion_day}"
    by = {"click_id": str(click_id)} if key == "click" else {"fingerprint": mark}
    shop.facts.store([click(click_id, click_day * DAY, fingerprint=mark)])
    shop.facts.store([conversion(order, conversion_day * DAY + MINUTE, **by)])
    shop.booker.book()
    assert shop.credited(order) == ((str(click_id), key) if attributed else None)


@pytest.mark.parametrize(("days", "attributed"), [(6, True), (8, False)])
def test_a_goal_may_have_a_window_of_its_own(shop: ClickShop, days: int, attributed: bool) -> None:
    order = f"seven-{days}"
    shop.facts.store([click(700 + days, 0)])
    shop.facts.store([conversion(order, days * DAY, click_id=str(700 + days), window_days=7)])
    shop.booker.book()
    assert (shop.credited(order) is not None) is attributed


def test_a_click_id_beats_a_later_click_of_the_same_browser_and_a_later_click_never_counts(shop: ClickShop) -> None:
    shop.facts.store(
        [click(n, n * MINUTE, fingerprint="same browser") for n in (1001, 1002, 1004)]
        + [
            conversion("named", 1003 * MINUTE, click_id="1001", fingerprint="same browser"),
            conversion("unnamed", 1003 * MINUTE, fingerprint="same browser"),
            conversion("foreign", 1003 * MINUTE, click_id="of an ad network", fingerprint="same browser"),
            conversion("nobody", 1003 * MINUTE),
        ]
    )
    shop.booker.book()
    assert shop.credited("named") == ("1001", "click")
    assert shop.credited("unnamed") == ("1002", "fingerprint")
    assert shop.credited("foreign") == ("1002", "fingerprint")
    assert shop.credited("nobody") is None


@pytest.mark.parametrize("key", ["click", "fingerprint"])
def test_a_click_stored_after_its_conversion_is_still_credited(shop: ClickShop, key: str) -> None:
    order, click_id = f"late-{key}", {"click": 2001, "fingerprint": 2002}[key]
    by = {"click_id": str(click_id)} if key == "click" else {"fingerprint": order}
    shop.facts.store([conversion(order, 5 * MINUTE, **by)])
    shop.booker.book()
    assert shop.credited(order) is None
    shop.facts.store([click(click_id, MINUTE, fingerprint=order)], partition=1)
    shop.booker.book()
    assert shop.credited(order) == (str(click_id), key)


def test_credits_of_clicks_survive_folding_and_a_sweep_finds_nothing(shop: ClickShop) -> None:
    shop.facts.store([click(3001, 0), conversion("folded", MINUTE, click_id="3001")])
    shop.booker.book()
    for number in range(3):
        shop.facts.store([conversion(f"filler-{number}", MINUTE)])
        shop.booker.book()
    assert shop.booker.fold() is not None
    assert shop.credited("folded") == ("3001", "click")
    shop.booker.sweep()
    assert shop.client.query("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0, 0)]


def test_a_stated_amount_replaces_a_default_one_whichever_came_first(shop: ClickShop) -> None:
    default = {"revenue": Decimal("5"), "currency": "EUR", "defaulted": True}
    stated = {"trust": Trust.PUBLIC, "revenue": Decimal("7"), "currency": "USD"}
    for order, first, second in (("d1", default, stated), ("d2", stated, default)):
        shop.facts.store([click(int(order[1]) + 4000, 0)])
        shop.facts.store([conversion(order, MINUTE, click_id=str(int(order[1]) + 4000), **first)])
        shop.booker.book()
        shop.facts.store([conversion(order, 2 * MINUTE, **second)])
        shop.booker.book()
        rows = shop.client.query(
            "SELECT scope, currency, amount FROM v_credits"
            " WHERE model = 'linear' AND conversion_id = {id:UUID} ORDER BY scope",
            parameters={"id": conversion_id(PROJECT, "purchase", order, "")},
        ).result_rows
        assert rows == [("all", "USD", Decimal("7.0000")), ("clicks", "USD", Decimal("7.0000"))]
