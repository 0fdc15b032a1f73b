"""What of a conversion, and of its money, each touch gets."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from processors.core.cases import NO_ID, Case, Refund, Windows, case_of
from processors.core.conversions import Merged
from processors.core.paths import Found, Touch
from processors.core.persons import Key, Way
from processors.core.shares import ages, split

AT = 1_760_000_123_456
CONVERSION = Key("p", "conversion", "c")


def merged(revenue: str | None = "10", *, window_days: int = 0, attribution_window_days: int = 0) -> Merged:
    return Merged(
        is_conversion=True,
        kind="purchase",
        order_id="o",
        trust=0,
        converted_at=AT,
        received_at=AT,
        user_id="ann",
        anonymous_id="",
        session_id="s",
        click_id="",
        revenue=None if revenue is None else Decimal(revenue),
        currency="USD",
        contact_id="",
        campaign_id="spring",
        flow_id="",
        fingerprint="",
        window_days=window_days,
        attribution_window_days=attribution_window_days,
        visitor="v",
    )


def case(revenue: str | None = "10", *refunds: Refund) -> Case:
    return case_of(CONVERSION, merged(revenue), Windows(30, 7), refunds)


def path(count: int) -> tuple[Found, ...]:
    return tuple(Found(Touch(AT - n, f"t{n}", "campaign", f"s{n}", "", "", ""), Way(3)) for n in reversed(range(count)))


def days(merged: Merged) -> tuple[int, int]:
    made = case_of(CONVERSION, merged, Windows(30, 7), ())
    return (AT - made.oldest) // 86_400_000, (AT - made.oldest_email) // 86_400_000


def test_the_window_is_the_conversions_own_else_its_goals_else_that_of_others() -> None:
    assert days(merged(attribution_window_days=3, window_days=9)) == (3, 3)
    assert days(merged(window_days=9)) == (9, 9)
    assert days(merged()) == (30, 7)


def test_a_case_names_what_its_reports_name_and_steps_from_sale_to_refunds() -> None:
    made = case("10", Refund("r1", AT + 5, 40_000), Refund("r2", AT + 6, 60_000))
    assert made.keys == (Key("p", "session", "s"), Key("p", "user", "ann"))
    assert [tuple(step) for step in made.steps] == [
        ("sale", NO_ID, AT, 0, 100_000),
        ("refund", "r1", AT + 5, 100_000, 60_000),
        ("refund", "r2", AT + 6, 60_000, 0),
    ]


def test_a_conversion_without_money_has_shares_and_no_currency() -> None:
    made = case(None)
    assert made.currency == ""
    assert [(part.share, part.amount) for _, part in split(made, "all", path(1), {"linear": [1]})] == [(1, 0)]


def test_ages_are_counted_back_from_the_last_touch() -> None:
    assert ages(path(3)) == (2, 1, 0)


def test_entries_are_in_the_quarter_of_an_hour_of_sale_and_refund_and_what_gets_nothing_has_none() -> None:
    made = case("10", Refund("r1", AT + 900_000, 100_000))
    booked = list(split(made, "all", path(2), {"last_touch": [0, 1]}))
    assert [(entry.entry, entry.entry_id, entry.touch_id, entry.matched_by) for entry, _ in booked] == [
        ("sale", NO_ID, "t0", "user"),
        ("refund", "r1", "t0", "user"),
    ]
    assert [part.amount for _, part in booked] == [Decimal(10), Decimal(-10)]
    assert [(entry.entry_cell - entry.cell, entry.cell % 900_000) for entry, _ in booked] == [(0, 0), (900_000, 0)]


@given(
    weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=9).filter(any),
    revenue=st.decimals("3", "999999.9999", places=4),
    refunds=st.lists(st.integers(1, 10**4), max_size=3),
)
def test_shares_add_up_to_one_and_amounts_to_the_money_to_the_last_digit(
    weights: list[int], revenue: Decimal, refunds: list[int]
) -> None:
    made = case(str(revenue), *(Refund(f"r{n}", AT, amount) for n, amount in enumerate(refunds)))
    parts = list(split(made, "all", path(len(weights)), {"some": weights}))
    assert sum(part.share for _, part in parts) == 1
    for step in made.steps:
        of_step = [part.amount for entry, part in parts if entry.entry_id == step.entry_id]
        assert sum(of_step) == Decimal(step.after - step.before).scaleb(-4)
