"""Periods are whole days of a zone, and numbers keep every digit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickhouse.api.exact import ExactResponse, count, money, ratio, rounded, total
from clickhouse.api.periods import EARLIEST, LATEST, Period, Span, resolve
from clickhouse.api.rates import DayMoney, sum_in

NOON = int(datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp() * 1000)
ZONES = ["UTC", "Europe/Vienna", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "Africa/Monrovia"]


@pytest.mark.parametrize(
    ("period", "zone", "first", "last"),
    [
        (Period.WEEK, "UTC", date(2026, 3, 25), date(2026, 3, 31)),
        (Period.MONTH, "UTC", date(2026, 3, 2), date(2026, 3, 31)),
        (Period.YEAR, "UTC", date(2025, 4, 1), date(2026, 3, 31)),
        (Period.WEEK, "Pacific/Kiritimati", date(2026, 3, 26), date(2026, 4, 1)),
        (Period.YEAR, "Pacific/Kiritimati", date(2025, 5, 1), date(2026, 4, 30)),
    ],
)
def test_a_period_ends_today_or_with_this_month_where_the_project_is(
    period: Period, zone: str, first: date, last: date
) -> None:
    span = resolve(period, None, None, zone, NOON)
    assert (span.first, span.last) == (first, last)


@given(st.dates(EARLIEST, LATEST - timedelta(days=1)), st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap_or_overlap(day: date, zone: str) -> None:
    next_day = day + timedelta(days=1)
    assert Span(day, day, zone).to_ms == Span(next_day, next_day, zone).from_ms
    assert Span(day, next_day, zone).from_ms <= Span(day, next_day, zone).to_ms


@given(st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_an_instant_lies_in_its_local_day(moment: datetime, zone: str) -> None:
    instant = moment.replace(tzinfo=UTC)
    day = instant.astimezone(ZoneInfo(zone)).date()
    ms = int((instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    span = Span(day, day, zone)
    assert span.from_ms <= ms < span.to_ms


@given(st.decimals(-(10**20), 10**20, places=4))
def test_money_is_the_same_amount_however_it_is_written(amount: Decimal) -> None:
    written = ExactResponse(content=None).render({"a": money(amount)}, "application/json").decode()
    digits = written.removeprefix('{"a":').removesuffix("}")
    assert Decimal(digits) == amount
    assert "E" not in digits
    assert len(digits.partition(".")[2]) >= 2


@pytest.mark.parametrize(
    ("value", "written"), [("16758", "16758.00"), ("0.3050", "0.305"), ("-0.0000", "0.00"), ("1e3", "1000.00")]
)
def test_money_has_at_least_two_digits(value: str, written: str) -> None:
    assert str(money(Decimal(value))) == written


@given(st.lists(st.decimals(-(10**30), 10**30, places=9), max_size=20))
def test_a_sum_is_exact_beyond_28_digits(amounts: list[Decimal]) -> None:
    with localcontext(Context(prec=76)):
        assert total(amounts).scaleb(9) == sum(int(amount.scaleb(9)) for amount in amounts)


def test_counts_are_whole_unless_shares_split_them() -> None:
    assert str(count(Decimal("3.000000000"))) == "3"
    assert str(count(Decimal("100.000000000"))) == "100"
    assert str(count(Decimal("0.400000000"))) == "0.4"
    assert (ratio(Decimal(1), 0), str(ratio(Decimal(2), 3)), str(ratio(Decimal(3), 3))) == (None, "0.666667", "1")


def test_money_without_a_rate_of_its_day_is_left_out_by_name() -> None:
    rates = {("EUR", "2026-03-11"): Decimal("1.1")}
    parts = [
        DayMoney("USD", "2026-03-10", Decimal("1.0000")),
        DayMoney("", "2026-03-10", Decimal("0.5000")),
        DayMoney("EUR", "2026-03-11", Decimal("0.0001")),
        DayMoney("EUR", "2026-03-12", Decimal("7.0000")),
        DayMoney("GBP", "2026-03-11", Decimal("2.0000")),
    ]
    assert sum_in("USD", parts, rates) == (Decimal("1.5001"), {"EUR": Decimal("7.0000"), "GBP": Decimal("2.0000")})
    assert rounded(Decimal("0.00005")) == Decimal("0.0000")
