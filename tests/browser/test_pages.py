"""Which pageviews are made by themselves, of which session, and whom they credit."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Visit

MINUTE_MS = 60_000


def paths(events: list[dict[str, Any]]) -> list[str]:
    return [urlsplit(event["url"]).path for event in events]


def test_pages_shown_without_loading_are_pageviews_with_the_page_before_as_referrer(visit: Visit) -> None:
    visit.open("/start")
    visit.run("history.pushState({}, '', '/shop'); history.replaceState({}, '', '/shop/shoes'); history.back()")
    events = visit.sent(4)
    assert paths(events) == ["/start", "/shop", "/shop/shoes", "/start"]
    assert [event["referrer"] for event in events] == [
        "",
        *(visit.site.url + path for path in ("/start", "/shop", "/shop/shoes")),
    ]
    stored = visit.project.settled(4)
    assert {event["session_id"] for event in stored} == {stored[0]["session_id"]}


def test_tidying_the_address_and_jumping_within_a_page_are_no_pageviews(visit: Visit) -> None:
    visit.open("/a?utm_source=x")
    visit.run("history.replaceState({}, '', '/a'); history.pushState({}, '', '#part'); location.hash = 'other'")
    visit.run("history.pushState({}, '', '/a?page=2')")
    assert [urlsplit(event["url"])[2:] for event in visit.sent(2)] == [
        ("/a", "utm_source=x", ""),
        ("/a", "page=2", ""),
    ]


@pytest.mark.parametrize(("pageviews", "seen"), [("load", ["/", "/by-hand"]), ("off", ["/by-hand"])])
def test_automatic_pageviews_can_be_turned_off(visit: Visit, pageviews: str, seen: list[str]) -> None:
    visit.page(attributes=f'data-pageviews="{pageviews}"')
    visit.open()
    visit.run("history.pushState({}, '', '/by-hand'); oa('pageview')")
    assert paths(visit.sent(len(seen))) == seen


def test_a_page_that_comes_back_from_the_cache_is_seen_again(visit: Visit) -> None:
    visit.open()
    visit.run("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert [event["event_type"] for event in visit.sent(2)] == ["pageview", "pageview"]


def test_the_first_pageviews_source_is_credited_for_a_conversion_pages_later(visit: Visit) -> None:
    goal = visit.project.goal()
    visit.open("/?utm_source=newsletter&utm_medium=email&utm_campaign=spring")
    visit.open("/cart")
    visit.run("history.pushState({}, '', '/thanks')")
    visit.run("oa('conversion', 'purchase', {revenue: 10, currency: 'USD'})")
    visit.project.eventually(
        lambda: [
            (row["source"], row["medium"], row["campaign"])
            for row in visit.project.report("sources")["rows"]
            if row["conversions"]
        ],
        [("newsletter", "email", "spring")],
    )
    assert {event["source"] for event in visit.project.settled(4)} == {"newsletter"}
    assert visit.project.stats(goal)["conversions"] == 1


def test_click_ids_and_foreign_referrers_arrive_as_the_browser_has_them(visit: Visit) -> None:
    visit.page(before="Object.defineProperty(document, 'referrer', {value: 'https://www.google.com/'})")
    visit.open("/?gclid=abc#fragment")
    (event,) = visit.sent(1)
    assert (event["url"], event["referrer"]) == (visit.site.url + "/?gclid=abc", "https://www.google.com/")


def clock(visit: Visit) -> None:
    """Give the page a clock that the test can set forward, by ``ahead`` ms."""
    visit.page(before="const now = Date.now; window.ahead = 0; Date.now = () => now() + ahead")


def test_a_session_ends_after_30_idle_minutes(visit: Visit) -> None:
    clock(visit)
    visit.open()
    for minutes in (29, 29 + 29, 29 + 29 + 31):
        visit.run(f"ahead = {minutes * MINUTE_MS}; oa('event', 'tick')")
    first, second, third, fourth = visit.sent(4)
    assert first["session_id"] == second["session_id"] == third["session_id"] != fourth["session_id"]
    assert len({event["anonymous_id"] for event in visit.network.sent}) == 1


def test_a_session_ends_after_a_day_however_busy(visit: Visit) -> None:
    clock(visit)
    visit.open()
    visit.run(f"for (let n = 1; n <= 80; n++) {{ ahead = n * 19 * {MINUTE_MS}; oa('event', 'tick') }}")
    events = visit.sent(81)
    sessions = [event["session_id"] for event in events]
    assert len(set(sessions)) == 2
    assert sessions.index(sessions[-1]) == 76  # after 75 times 19 minutes a quarter of an hour is left of the day


def test_tabs_of_a_site_are_one_visitor_in_one_session(visit: Visit) -> None:
    visit.open("/one")
    visit.sent(1)
    first = visit.browser.current_window_handle
    visit.browser.switch_to.new_window("tab")
    visit.open("/two")
    one, two = visit.sent(2)
    visit.browser.close()
    visit.browser.switch_to.window(first)
    assert (one["session_id"], one["anonymous_id"]) == (two["session_id"], two["anonymous_id"])
