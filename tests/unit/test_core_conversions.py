"""What a conversion is made of."""

from decimal import Decimal
from typing import Any

import msgspec

from processors.core.conversions import (
    UNKNOWN,
    Announced,
    announced_after,
    announcement_of,
    arrival_of,
    merge,
    money_of,
)
from schemas.events import Arrival, RawEvent
from schemas.identifiers import Identifiers, hashed
from schemas.mailing import Mailing
from schemas.outcomes import NoticeEvent, Trust


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
    announced = announcement_of(found, after(UNKNOWN, found))
    assert (announced.order_id, announced.revenue, announced.currency, announced.click_id) == (
        "o",
        Decimal("1.5"),
        "USD",
        "k",
    )


def test_the_campaign_that_was_opened_does_not_claim_the_order_that_the_event_names() -> None:
    mailing = Mailing(contact_id="c", campaign_id="summer", flow_id="welcome")
    opened = RawEvent(
        project_id="p",
        event_id="e",
        trust=Trust.PUBLIC,
        received_at=7,
        occurred_at=5,
        event_type="email_open",
        visitor="v",
        order_id="o",
        conversion_id="c",
        mailing=mailing,
    )
    assert arrival_of(opened, session_id="s", path="").mailing == Mailing(contact_id="c")
    claimed = msgspec.structs.replace(opened, event_type="conversion")
    assert arrival_of(claimed, session_id="s", path="").mailing == mailing


def after(before: Announced, one: Arrival) -> Announced:
    return announced_after(
        before,
        is_conversion=one.is_conversion,
        money=money_of(
            one.trust,
            one.revenue,
            one.currency,
            defaulted=one.defaulted,
            currency_defaulted=one.mailing.currency_defaulted,
        ),
        goal_id=one.goal_id,
    )


def announced(*arrivals: Arrival) -> list[tuple[NoticeEvent, int, Decimal | None, str, str]]:
    """What these arrivals announce, in order."""
    found, known = [], UNKNOWN
    for one in arrivals:
        before, known = known, after(known, one)
        if known.revision != before.revision:
            told = announcement_of(one, known)
            found.append((told.event, told.revision, told.revenue, told.currency, told.goal_id))
    return found


def usd(trust: Trust, amount: str, **fields: Any) -> Arrival:
    return arrival(trust, revenue=Decimal(amount), currency="USD", **fields)


TRACKED, UPDATED = NoticeEvent.TRACKED, NoticeEvent.UPDATED


def test_only_more_trusted_money_is_announced_again() -> None:
    assert announced(
        usd(Trust.PUBLIC, "1"),
        usd(Trust.PUBLIC, "2"),
        usd(Trust.TOKEN, "3", defaulted=True),
        usd(Trust.SECRET, "4"),
        usd(Trust.TOKEN, "5"),
    ) == [(TRACKED, 1, Decimal(1), "USD", ""), (UPDATED, 2, Decimal(4), "USD", "")]


def test_more_trusted_money_of_the_same_amount_is_not_news() -> None:
    assert announced(usd(Trust.PUBLIC, "1.50"), usd(Trust.SECRET, "1.5")) == [(TRACKED, 1, Decimal("1.5"), "USD", "")]


def test_another_currency_and_a_first_amount_are_news() -> None:
    euros = arrival(Trust.SECRET, revenue=Decimal(1), currency="EUR")
    assert announced(arrival(Trust.PUBLIC), usd(Trust.PUBLIC, "1"), euros) == [
        (TRACKED, 1, None, "", ""),
        (UPDATED, 2, Decimal(1), "USD", ""),
        (UPDATED, 3, Decimal(1), "EUR", ""),
    ]


def test_a_default_amount_gives_way_to_a_stated_one_of_less_trust() -> None:
    assert announced(usd(Trust.SECRET, "9", defaulted=True), usd(Trust.PUBLIC, "1")) == [
        (TRACKED, 1, Decimal(9), "USD", ""),
        (UPDATED, 2, Decimal(1), "USD", ""),
    ]


def test_an_event_that_names_the_order_lends_its_money_and_announces_nothing_by_itself() -> None:
    assert announced(usd(Trust.SECRET, "9", is_conversion=False)) == []
    assert announced(usd(Trust.SECRET, "9", is_conversion=False), usd(Trust.PUBLIC, "1")) == [
        (TRACKED, 1, Decimal(9), "USD", "")
    ]
    assert announced(usd(Trust.PUBLIC, "1"), usd(Trust.SECRET, "9", is_conversion=False)) == [
        (TRACKED, 1, Decimal(1), "USD", ""),
        (UPDATED, 2, Decimal(9), "USD", ""),
    ]


def test_the_first_link_goal_that_is_named_is_news() -> None:
    assert announced(arrival(Trust.PUBLIC), arrival(Trust.TOKEN, goal_id="g"), arrival(Trust.TOKEN, goal_id="h")) == [
        (TRACKED, 1, None, "", ""),
        (UPDATED, 2, None, "", "g"),
    ]


def test_identifiers_consent_and_page_go_from_the_event_to_the_announcement_of_its_arrival() -> None:
    identifiers = Identifiers(email=hashed("ann@example.com"), gclid="Cj0KCQjw")
    event = RawEvent(
        project_id="p",
        event_id="e",
        conversion_id="c",
        trust=Trust.PUBLIC,
        received_at=10,
        occurred_at=10,
        event_type="conversion",
        visitor="v",
        url="https://shop.example/thanks?email=ann@example.com",
        identifiers=identifiers,
        consent="granted",
    )
    told = announcement_of(arrival_of(event, session_id="s", path="/thanks"), Announced(1, None, ""))
    assert (told.identifiers, told.consent, told.page) == (identifiers, "granted", "https://shop.example/thanks")


def test_an_event_that_only_names_an_order_tells_no_page() -> None:
    event = RawEvent(
        project_id="p",
        event_id="e",
        conversion_id="c",
        trust=Trust.PUBLIC,
        received_at=10,
        occurred_at=10,
        event_type="click",
        visitor="v",
        url="https://shop.example/thanks",
    )
    assert arrival_of(event, session_id="s", path="/thanks").page == ""
