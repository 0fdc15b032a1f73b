"""Rows of the attribution report, and what ``as_of`` may say."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from clickhouse.api.as_of import ANY, parse
from clickhouse.api.attribution import chosen_models
from clickhouse.api.attribution_rows import (
    Change,
    ChangeRow,
    CreditedRow,
    Figures,
    Revenue,
    VisitRow,
    changes,
    column,
    rows,
)
from clickhouse.api.reports import Model
from clickhouse.models.computed import DataModel
from schemas.errors import Reason, Refused


def credited(
    value: str, conversions: str, net: str, refunded: str = "0", *, model: str = "linear", code: str = "USD"
) -> Any:
    return CreditedRow(model, value, code, Decimal(conversions), Decimal(net), Decimal(refunded))


def usd(gross: str, refunded: str, net: str, *, code: str | None = "USD") -> Revenue:
    return Revenue(currency=code, gross=Decimal(gross), refunded=Decimal(refunded), net=Decimal(net))


BOOKED = [
    credited("google", "0.333333333", "2.5", "0.5"),
    credited("google", "1", "7", code=""),
    credited("bing", "2", "-1", "3"),
    credited("bing", "1", "4", model="last_touch"),
    credited("direct", "0", "0.0001", "-0.0001", model="last_touch"),
]
SEEN = [VisitRow(True, "", 3, 9), VisitRow(False, "google", 2, 4), VisitRow(False, "news", 2, 5)]


def test_a_row_has_gross_refunded_and_net_in_each_currency() -> None:
    found, totals = rows([column(BOOKED, "linear")], SEEN, lambda value: value.upper())
    assert [(row.value, row.name, row.conversions, row.revenue) for row in found] == [
        ("bing", "BING", Decimal(2), [usd("2.00", "3.00", "-1.00")]),
        (
            "google",
            "GOOGLE",
            Decimal("1.333333333"),
            [usd("7.00", "0.00", "7.00", code=None), usd("3", "0.50", "2.50")],
        ),
        ("news", "NEWS", 0, []),
    ]
    assert totals.conversions == Decimal("3.333333333")
    assert totals.revenue == [usd("7.00", "0.00", "7.00", code=None), usd("5.00", "3.50", "1.50")]
    assert all(row.compared is row.difference is UNSET for row in (*found, totals))


def test_rates_name_their_denominators_and_are_null_where_nobody_came() -> None:
    found, totals = rows([column(BOOKED, "linear")], SEEN, lambda _: None)
    assert [(row.rate_per_visitor and row.rate_per_visitor.value) for row in found] == [None, Decimal("0.666667"), 0]
    assert [(row.rate_per_session and row.rate_per_session.value) for row in found] == [None, Decimal("0.333333"), 0]
    shown = totals.rate_per_visitor
    assert shown is not None
    assert (shown.numerator, shown.denominator, shown.denominator_count) == ("conversions", "visitors", 3)
    assert shown.value == Decimal("1.111111")
    without, totals = rows([column(BOOKED, "linear")], None, lambda _: None)
    assert all(row.rate_per_visitor is row.rate_per_session is None for row in (*without, totals))


def test_two_columns_are_side_by_side_with_what_the_second_has_more() -> None:
    columns = [column(BOOKED, "last_touch"), column(BOOKED, "linear")]
    found, totals = rows(columns, None, lambda _: None)
    assert [row.value for row in found] == ["bing", "google", "direct"]
    bing, google, direct = found
    assert bing.compared == Figures(conversions=Decimal(2), revenue=[usd("2.00", "3.00", "-1.00")])
    assert bing.difference == Figures(conversions=Decimal(1), revenue=[usd("-2.00", "3.00", "-5.00")])
    assert google.conversions == 0
    assert google.difference == google.compared
    assert direct.difference == Figures(conversions=Decimal(0), revenue=[usd("0.00", "0.0001", "-0.0001")])
    assert totals.difference is not UNSET
    assert totals.difference.conversions == Decimal("2.333333333")


def test_changes_turn_their_sign_where_the_second_column_is_the_earlier_one() -> None:
    row = ChangeRow(7, 1_000, "touch", "c", "google", "sale", "", Decimal("-0.5"), Decimal("9.9"), 3)
    (forth,) = changes([row], 1).entries
    (back,) = changes([row], -1).entries
    assert isinstance(forth, Change)
    assert (forth.conversions, forth.net, forth.currency) == (Decimal("-0.5"), Decimal("9.90"), None)
    assert (back.conversions, back.net) == (Decimal("0.5"), Decimal("-9.90"))
    assert changes([row], 1).left_out == 2
    assert changes([], 1).left_out == 0


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("0", "UTC", (0, ANY)),
        ("120", "UTC", (120, ANY)),
        ("2026-03-10T12:00:00Z", "UTC", (ANY, 1_773_144_000_000)),
        ("2026-03-10T12:00:00.123+01:00", "UTC", (ANY, 1_773_140_400_123)),
        ("2026-03-10T12:00:00", "Europe/Vienna", (ANY, 1_773_140_400_000)),
        ("2026-03-09", "UTC", (ANY, 1_773_100_799_999)),
        ("2026-03-09", "Europe/Vienna", (ANY, 1_773_097_199_999)),
    ],
)
def test_a_state_is_a_run_a_time_or_a_day(text: str, zone: str, expected: tuple[int, int]) -> None:
    assert parse(text, zone) == expected


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.5", "newest", "2026-02-30", "1" * 19, "9999-12-31", "0001-01-01T00:00:00", "1969-12-31", "２", " 1"],
)
def test_a_state_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(text, "UTC")
    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_VALUE, "as_of")


def test_one_model_or_two_are_chosen() -> None:
    assert chosen_models("linear", None) == [Model.LINEAR]
    assert chosen_models("linear,markov", None) == chosen_models("linear", "markov") == [Model.LINEAR, DataModel.MARKOV]


@pytest.mark.parametrize(
    ("model", "compare", "field"),
    [
        ("", None, "model"),
        ("linear,", None, "model"),
        ("magic", None, "model"),
        ("linear", "magic", "compare"),
        ("linear", "position,markov", "compare"),
        ("linear,position", "markov", "compare"),
        ("linear,position,markov", None, "model"),
    ],
)
def test_models_that_cannot_be_are_refused(model: str, compare: str | None, field: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen_models(model, compare)
    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_VALUE, field)
