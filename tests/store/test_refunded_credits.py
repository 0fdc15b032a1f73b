"""Refunds take money back from the touches that were credited with it, exactly, under every model."""

from decimal import Decimal

import pytest
from depth import examples
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import Shop

from tests.store.test_attribution import booked, order, page
from tests.store.test_refunds import refund

MODELS = 5


def amounts(shop: Shop, model: str = "linear") -> list[tuple[Decimal, Decimal]]:
    """(net amount, refunded of it) of each touch, in time order."""
    rows = shop.client.query(
        "SELECT amount, refunded FROM v_credits WHERE model = {model:String} ORDER BY touched_at",
        parameters={"model": model},
    ).result_rows
    return [(row[0], row[1]) for row in rows]


@pytest.mark.usefixtures("both_ways")
def test_a_partial_refund_reverses_the_same_touches_and_keeps_their_shares(shop: Shop) -> None:
    booked(
        shop,
        *(page(n, f"s{n}", session=f"s{n}", user="u") for n in range(3)),
        order("o", 10, revenue="10", user="u"),
    )
    booked(shop, refund("o", "r1", "1", at=20))
    assert amounts(shop) == [
        (Decimal("3.0000"), Decimal("0.3333")),
        (Decimal("3.0000"), Decimal("0.3334")),
        (Decimal("3.0000"), Decimal("0.3333")),
    ]
    rows = shop.client.query(
        "SELECT sum(share), sum(amount), countIf(cause != 'refund') FROM credits WHERE entry = 'refund'"
    ).result_rows
    assert rows == [(0, Decimal(-1 * MODELS), 0)]
    assert shop.views_equal_their_recomputation()


@pytest.mark.usefixtures("both_ways")
def test_a_refund_before_its_sale_is_booked_with_it(shop: Shop) -> None:
    booked(shop, refund("o", "r1", "4", at=5))
    booked(shop, page(0, "google", session="s", user="u"), order("o", 10, revenue="10", user="u"))
    assert amounts(shop, "last_touch") == [(Decimal(6), Decimal(4))]
    assert shop.books().book() is None


@given(
    gross=st.decimals("0.0001", "99.9999", places=4),
    parts=st.lists(st.decimals("0.0001", "60", places=4), min_size=1, max_size=4),
    touches=st.integers(1, 5),
)
@settings(
    max_examples=examples(3),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes on a real database
)
def test_amounts_add_up_to_what_refunds_left_and_to_nothing_once_all_is_refunded(
    shop: Shop, gross: Decimal, parts: list[Decimal], touches: int
) -> None:
    name = f"{gross}/{parts}/{touches}"
    visits = [page(n, f"s{n}", session=f"{name} {n}", user=name) for n in range(touches)]
    sold = order(name, 10, revenue=str(gross), user=name)
    booked(shop, *visits, sold, *(refund(name, f"r{n}", str(part), at=20 + n) for n, part in enumerate(parts)))

    def nets() -> set[Decimal]:
        rows = shop.client.query(
            "SELECT sum(amount) FROM v_credits WHERE scope = 'all' AND conversion_id = {id:UUID} GROUP BY model",
            parameters={"id": sold.conversion_id},
        ).result_rows
        assert len(rows) == MODELS
        return {row[0] for row in rows}

    assert nets() == {gross - min(gross, sum(parts))}
    booked(shop, refund(name, "the rest", at=30))
    rows = shop.client.query(
        "SELECT DISTINCT amount FROM v_credits WHERE conversion_id = {id:UUID}", parameters={"id": sold.conversion_id}
    ).result_rows
    assert rows == [(0,)]
