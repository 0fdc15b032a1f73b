"""Every event arrives, and counts once, whatever the network and the visitor do."""

import json

import pytest
from harness import eventually

from tests.browser.conftest import SENT_S, Visit
from tests.browser.servers import Weather


def names(visit: Visit, count: int) -> list[str]:
    """Names of the stored named events, once the event ``last`` was processed, which is the last one of its visitor."""
    visit.run("oa('event', 'last')")
    visit.answered()
    visit.project.settled(1, "event_name = 'last'")
    return [event["event_name"] for event in visit.project.settled(count, "event_name != ''")]


def test_events_made_offline_arrive_once_when_the_browser_is_online_again(visit: Visit) -> None:
    visit.open()
    visit.sent(1)
    visit.answered()
    visit.offline(True)
    try:
        visit.run("for (let n = 0; n < 5; n++) oa('event', 'offline ' + n)")
        eventually(lambda: visit.waiting() == 5, SENT_S)
        assert len(visit.network.sent) == 1
    finally:
        visit.offline(False)
    visit.answered()
    assert names(visit, 6) == [*(f"offline {n}" for n in range(5)), "last"]
    assert visit.errors() == []


@pytest.mark.parametrize("weather", [Weather.NOT_SENT, Weather.NOT_ANSWERED, Weather.UNAVAILABLE])
def test_a_request_without_a_good_answer_is_sent_again_and_counts_once(visit: Visit, weather: Weather) -> None:
    visit.network.weather = weather
    visit.page(before="oa('event', 'early')")
    visit.open()
    visit.sent(2)
    visit.network.weather = Weather.FAIR
    visit.answered()
    first, second = visit.network.posts
    assert first == second
    assert names(visit, 2) == ["early", "last"]
    assert visit.errors() == []


def test_what_a_page_could_not_send_is_sent_by_the_next_page(visit: Visit) -> None:
    visit.network.weather = Weather.NOT_SENT
    visit.open("/first")
    visit.run("oa('conversion', 'signup')")
    eventually(lambda: visit.waiting() == 2, SENT_S)
    visit.open("/second")
    visit.network.weather = Weather.FAIR
    visit.answered()
    assert sorted(event["path"] for event in visit.project.settled(3)) == ["/first", "/first", "/second"]
    assert names(visit, 2) == ["signup", "last"]


def test_a_page_closed_mid_send_loses_nothing_and_doubles_nothing(visit: Visit) -> None:
    first = visit.browser.current_window_handle
    visit.browser.switch_to.new_window("tab")
    visit.network.weather = Weather.HELD
    visit.open("/")
    visit.sent(1)
    visit.run("oa('conversion', 'purchase', {revenue: 1, currency: 'USD'})")
    visit.browser.close()
    visit.browser.switch_to.window(first)
    eventually(lambda: len(visit.network.posted_of("conversion")) == 1, SENT_S)
    visit.network.weather = Weather.FAIR
    visit.network.arrive.set()
    visit.open("/later")
    visit.answered()
    # Nobody was left to hear of the answers, so all was sent again.
    assert len(visit.network.posted_of("conversion")) == 2
    assert names(visit, 2) == ["purchase", "last"]
    assert [event["path"] for event in visit.project.settled(2, "event_type = 'pageview'")] == ["/", "/later"]


def test_a_purchase_made_just_before_leaving_arrives(visit: Visit) -> None:
    visit.open()
    visit.run("oa('conversion', 'purchase', {revenue: 1, currency: 'USD'}); location = 'about:blank'")
    visit.project.settled(1, "event_type = 'conversion'")


def test_a_refused_event_is_not_sent_again_and_costs_its_neighbours_nothing(visit: Visit) -> None:
    visit.page(before="oa('conversion', 'bad', {revenue: 'much', currency: 'USD'}); oa('event', 'good')")
    visit.open()
    visit.answered()
    assert names(visit, 2) == ["good", "last"]
    assert len(visit.network.posted) == 4


def test_calls_of_one_moment_leave_in_one_request_and_many_in_requests_that_outlive_a_page(visit: Visit) -> None:
    visit.open()
    visit.sent(1)
    visit.answered()
    visit.run("for (let n = 0; n < 100; n++) oa('event', 'n', {text: 'x'.repeat(500)})")
    visit.sent(101)
    visit.answered()
    batches = visit.network.posts[1:]
    assert 3 < len(batches) < 10
    assert all(len(json.dumps(batch, separators=(",", ":"))) <= 20_000 for batch in batches)
    assert not [line for line in visit.network.requests if line.startswith("OPTIONS")], "a preflight each"


def test_an_event_too_large_to_outlive_a_page_arrives_all_the_same(visit: Visit) -> None:
    visit.page(before="oa('event', 'large', {text: 'x'.repeat(50000)}); oa('event', 'small')")
    visit.open()
    visit.answered()
    assert names(visit, 3) == ["large", "small", "last"]


def test_no_more_than_200_events_wait_and_conversions_are_the_last_to_go(visit: Visit) -> None:
    visit.network.weather = Weather.NOT_SENT
    visit.page(before="oa('conversion', 'kept'); for (let n = 0; n < 300; n++) oa('event', String(n))")
    visit.open()
    kept = visit.run(
        "return Object.keys(localStorage).filter(name => name.split(':').length == 3)"
        ".map(name => JSON.parse(localStorage[name]).event_name)"
    )
    assert set(kept) == {"kept", *(str(n) for n in range(101, 300))}
    assert len(kept) == 200


def test_storage_that_somebody_damaged_costs_nothing_else(visit: Visit) -> None:
    visit.open()
    visit.answered()
    visit.run("for (const name of Object.keys(localStorage)) localStorage[name] = '{'")
    visit.run(f"localStorage['oa:{visit.project.id}:x'] = 'no JSON'")
    visit.open("/again")
    visit.answered()
    assert [event["path"] for event in visit.project.settled(2)] == ["/", "/again"]
    assert visit.errors() == []
