"""What a conversion is made of."""

from decimal import Decimal
from typing import Any

from processors.core.conversions import announcement_of, arrival_of, merge
from schemas.events import Arrival, RawEvent
from schemas.mailing import Mailing
from schemas.outcomes import Trust


def arrival(trust: Trust, **fields: Any) -> Arrival:
    defaults: dict[str, Any] = {
        "project_id": "p",
        "conversion_id": "c",
        "event_id": "e",
        "is_conversion": True,
        "kind": "purchase",
        "received_at": 10,
        "converted_at": 10,
        "event_type": "conversion",
        "visitor": "v",
    }
    return Arrival(**{**defaults, "trust": trust, **fields})


def test_the_server_is_the_source_of_truth_whichever_report_is_first() -> None:
    browser = arrival(Trust.PUBLIC, revenue=Decimal("1"), currency="USD", user_id="u")
    server = arrival(Trust.SECRET, revenue=Decimal("9.99"), currency="EUR", received_at=20)
    for order in ([browser, server], [server, browser]):
        merged = merge(order)
        assert (merged.revenue, merged.currency, merged.user_id, merged.trust) == (Decimal("9.99"), "EUR", "u", 0)
        assert merged.received_at == 10


def test_a_default_amount_counts_as_missing_while_another_arrival_states_one() -> None:
    default = arrival(Trust.TOKEN, revenue=Decimal("5"), currency="EUR", defaulted=True)
    stated = arrival(Trust.PUBLIC, revenue=Decimal("7"), currency="USD")
    for order in ([default, stated], [stated, default]):
        assert (merge(order).revenue, merge(order).currency) == (Decimal("7"), "USD")
    assert (merge([default]).revenue, merge([default]).currency) == (Decimal("5"), "EUR")


def test_amount_and_currency_travel_together() -> None:
    merged = merge([arrival(Trust.SECRET, currency="EUR"), arrival(Trust.PUBLIC, revenue=Decimal("5"), currency="USD")])
    assert (merged.revenue, merged.currency) == (Decimal("5"), "USD")
    assert merge([arrival(Trust.SECRET, currency="EUR")]).revenue is None


def test_money_in_a_default_currency_counts_as_missing_beside_as_trusted_money_in_a_stated_one() -> None:
    default = Mailing(currency_defaulted=True)
    first = arrival(Trust.SECRET, revenue=Decimal("5"), currency="USD", mailing=default)
    stated = arrival(Trust.SECRET, revenue=Decimal("6"), currency="EUR")
    public = arrival(Trust.PUBLIC, revenue=Decimal("7"), currency="GBP")
    assert merge([first, stated, public]).currency == "EUR"
    assert merge([first, public]).currency == "USD"


def test_a_default_time_counts_as_missing() -> None:
    server = arrival(Trust.SECRET, converted_at=99)
    browser = arrival(Trust.PUBLIC, converted_at=5, timed=True)
    assert merge([server, browser]).converted_at == 5
    assert merge([server]).converted_at == 99


def test_an_event_that_names_an_order_makes_no_conversion_of_it() -> None:
    assert not merge([arrival(Trust.SECRET, is_conversion=False)]).is_conversion
    assert merge([arrival(Trust.SECRET, is_conversion=False), arrival(Trust.PUBLIC)]).is_conversion


def test_an_arrival_carries_what_the_event_says_and_the_stage_found_out() -> None:
    event = RawEvent(
        project_id="p",
        event_id="e",
        trust=Trust.TOKEN,
        received_at=7,
        occurred_at=5,
        timed=True,
        event_type="conversion",
        event_name="purchase",
        visitor="v",
        order_id="o",
        conversion_id="c",
        click_id="k",
        revenue=Decimal("1.5"),
        currency="USD",
    )
    found = arrival_of(event, session_id="s", path="/thanks")
    assert (found.kind, found.session_id, found.path, found.converted_at, found.is_conversion) == (
        "purchase",
        "s",
        "/thanks",
        5,
        True,
    )
    announced = announcement_of(found)
    assert (announced.order_id, announced.revenue, announced.currency, announced.click_id) == (
        "o",
        Decimal("1.5"),
        "USD",
        "k",
    )
