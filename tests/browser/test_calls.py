"""What a page calls, and what the reports then say."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from examples import example, page

from tests.browser.conftest import Visit

SEED = example(page("s0_conversions.md"), "Track a conversion from the browser", "javascript")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def conversions(visit: Visit) -> list[dict[str, Any]]:
    return visit.project.stack.sql(f"SELECT * FROM v_conversions WHERE project_id = '{visit.project.id}'")


@pytest.mark.parametrize("made", ["before the script has loaded", "after"])
def test_the_seeds_example_as_printed_is_a_conversion_of_its_visitor(visit: Visit, made: str) -> None:
    goal = visit.project.goal(currency="USD")
    if made == "after":
        visit.page(stub=False)
        visit.open("/thanks")
        visit.run(SEED)
    else:
        visit.page(before=SEED)
        visit.open("/thanks")
    pageview, purchase = visit.project.settled(2)
    assert (pageview["event_type"], pageview["path"]) == ("pageview", "/thanks")
    assert (purchase["event_type"], purchase["event_name"]) == ("conversion", "purchase")
    assert (Decimal(purchase["revenue"]), purchase["currency"]) == (Decimal("49.99"), "USD")
    assert json.loads(purchase["properties"]) == {"plan": "pro"}
    for identity in ("anonymous_id", "session_id"):
        assert pageview[identity]
        assert purchase[identity] == pageview[identity]
    visit.project.eventually(lambda: visit.project.stats(goal)["revenue"], Decimal("49.99"))


def test_an_order_id_is_a_property_and_makes_a_repeated_purchase_one_conversion(visit: Visit) -> None:
    goal = visit.project.goal(currency="USD")
    visit.open()
    order = "oa('conversion', 'purchase', {revenue: 49.99, currency: 'USD', order_id: 'ord_123'})"
    visit.run(f"{order};{order}")
    sent = [event for event in visit.sent(3) if event["event_type"] == "conversion"]
    assert [event["properties"] for event in sent] == [{"order_id": "ord_123"}] * 2
    visit.project.settled(3)
    visit.project.eventually(lambda: visit.project.stats(goal)["conversions"], 1)
    (conversion,) = conversions(visit)
    assert (conversion["order_id"], conversion["trust"]) == ("ord_123", "public")


def test_ka_goal_is_counted_by_a_custom_goal_with_its_revenue(visit: Visit) -> None:
    goal = visit.project.goal("Signup", match_value="signup", currency="EUR")
    visit.open()
    visit.run("ka.goal('signup', {revenue: '19.90', currency: 'EUR', plan: 'pro'}); ka.goal('another')")
    visit.project.eventually(
        lambda: [visit.project.stats(goal)[name] for name in ("conversions", "unique_conversions", "revenue")],
        [1, 1, Decimal("19.90")],
    )
    visit.project.settled(2, "event_type = 'custom'")


def test_an_event_has_its_name_and_properties(visit: Visit) -> None:
    visit.open("/lesson?utm_source=school")
    visit.run("oa('event', 'video_play', {title: 'Übung 3', seconds: 12.5, tags: ['a', 'b']})")
    (event,) = visit.project.settled(1, "event_type = 'event'")
    assert (event["event_name"], event["path"], event["source"]) == ("video_play", "/lesson", "school")
    assert json.loads(event["properties"]) == {"title": "Übung 3", "seconds": 12.5, "tags": ["a", "b"]}


def test_an_identified_visit_is_credited_for_the_servers_conversion_of_its_user(visit: Visit) -> None:
    visit.open("/?utm_source=newsletter&utm_medium=email")
    visit.run("oa('identify', 'sha256_user_hash'); oa('identify', 'sha256_user_hash')")
    visit.answered()
    visit.open("/account")
    visit.project.settled(3)
    assert [event.get("user_id", "") for event in visit.network.sent] == ["", "sha256_user_hash", "sha256_user_hash"]
    paid = {"event_type": "conversion", "event_name": "purchase", "user_id": "sha256_user_hash", "revenue": 5}
    visit.project.accept({**paid, "currency": "USD"})
    visit.project.eventually(
        lambda: [row["source"] for row in visit.project.report("sources")["rows"] if row["conversions"]],
        ["newsletter"],
    )


def test_a_user_is_forgotten_on_request(visit: Visit) -> None:
    visit.open()
    visit.run("oa('identify', 'ann'); oa('identify', null); oa('event', 'browse')")
    assert [event.get("user_id", "") for event in visit.sent(3)] == ["", "ann", ""]


def test_a_call_that_cannot_work_never_throws_into_the_page(visit: Visit) -> None:
    visit.page(before="oa(); oa('no such command'); oa('event'); oa(Symbol('x'))")
    visit.open()
    visit.run(
        "const loop = {}; loop.self = loop; const bad = {toJSON() { throw new Error('mine') }};"
        "oa('event', 'odd', {loop, bad, big: 1n, f() {}, u: undefined, nan: NaN, good: 1});"
        "oa('event', {toString() { throw new Error('mine') }}); oa('identify', {}); oa('event', 'text', 'x');"
        "oa('event', 'none', null); ka.goal()"
    )
    events = {event.get("event_name"): event for event in visit.sent(6)}
    assert events["odd"]["properties"] == {"nan": None, "good": 1}
    assert events["text"]["properties"] == events["none"]["properties"] == {}
    visit.answered()
    assert visit.errors() == []


def test_properties_are_those_of_the_moment_of_the_call(visit: Visit) -> None:
    visit.open()
    visit.run("const cart = {items: [1]}; oa('event', 'cart', cart); cart.items.push(2); cart.more = 3")
    assert visit.sent(2)[1]["properties"] == {"items": [1]}


def test_ids_are_random_uuids_on_pages_without_https_too(visit: Visit) -> None:
    visit.page(before="Object.defineProperty(crypto, 'randomUUID', {value: undefined})")
    visit.open()
    visit.run("for (let n = 0; n < 20; n++) oa('event', 'n')")
    ids = [event["event_id"] for event in visit.sent(21)]
    assert all(UUID4.fullmatch(id) for id in ids)
    assert len(set(ids)) == 21


def test_events_of_one_moment_keep_their_order(visit: Visit) -> None:
    visit.open()
    visit.run("for (let n = 0; n < 20; n++) oa('event', String(n))")
    names = [event["event_name"] for event in visit.project.settled(20, "event_type = 'event'")]
    assert names == [str(n) for n in range(20)]


def test_an_event_of_a_clock_that_is_weeks_slow_is_dated_by_the_server(visit: Visit) -> None:
    visit.page(before="const now = Date.now; Date.now = () => now() - 20 * 864e5")
    visit.open("/slow")
    (event,) = visit.project.settled(1)
    assert (datetime.now(UTC) - datetime.fromisoformat(event["occurred_at"] + "+00:00")).total_seconds() < 60
    visit.answered()
    assert ["timestamp" in sent for sent in visit.network.posted] == [True, False]


def test_a_second_script_tag_changes_nothing(visit: Visit) -> None:
    visit.page()
    visit.site.html += visit.site.html.partition("</script>")[2]
    visit.open()
    visit.run("oa('event', 'last')")
    assert [event["event_type"] for event in visit.sent(2)] == ["pageview", "event"]
