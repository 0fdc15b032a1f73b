"""What visitors decide: objections, and a browser that keeps nothing."""

import pytest

from tests.browser.conftest import Visit

SIGNALS = {
    "Do Not Track": "Object.defineProperty(navigator, 'doNotTrack', {value: '1'})",
    "Global Privacy Control": "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})",
}
PURCHASE = "oa('conversion', 'purchase', {revenue: 1, currency: 'USD'})"


@pytest.mark.parametrize("signal", SIGNALS)
def test_who_objects_is_not_tracked_if_the_site_says_so(visit: Visit, signal: str) -> None:
    visit.page(attributes="data-dnt", before=f"{SIGNALS[signal]}; oa('event', 'queued')")
    visit.open()
    visit.run(f"{PURCHASE}; oa('identify', 'ann'); ka.goal('signup'); history.pushState({{}}, '', '/b')")
    assert visit.stored() == []
    # What is left unsent can be shown by something that is sent after it only.
    visit.page()
    visit.open("/with-consent")
    (event,) = visit.sent(1)
    assert event["url"].endswith("/with-consent")
    assert visit.errors() == []


@pytest.mark.parametrize(
    ("attributes", "signal"),
    [("data-cookieless", ""), ("data-dnt=cookieless", SIGNALS["Do Not Track"])],
    ids=["cookieless", "cookieless for who objects"],
)
def test_a_cookieless_visit_keeps_nothing_and_its_source_is_credited(
    visit: Visit, attributes: str, signal: str
) -> None:
    visit.page(attributes=attributes, before=signal)
    visit.open("/?utm_source=newsletter")
    visit.open("/thanks")
    visit.run(PURCHASE)
    events = visit.project.settled(3)
    assert visit.stored() == []
    assert {event["anonymous_id"] for event in events} == {""}
    assert len({event["session_id"] for event in events}) == 1
    visit.project.eventually(
        lambda: [row["source"] for row in visit.project.report("sources")["rows"] if row["conversions"]],
        ["newsletter"],
    )


@pytest.mark.parametrize("attributes", ["", "data-dnt"])
def test_without_an_objection_or_without_the_option_everything_is_tracked(visit: Visit, attributes: str) -> None:
    visit.page(attributes=attributes, before="" if attributes else SIGNALS["Do Not Track"])
    visit.open()
    assert visit.sent(1)[0]["anonymous_id"]


def test_a_page_without_storage_is_tracked_as_if_cookieless(visit: Visit) -> None:
    visit.site.headers["Content-Security-Policy"] = "sandbox allow-scripts"
    visit.open("/?utm_source=newsletter")
    assert "SecurityError" in visit.run("try { localStorage } catch (error) { return error.name }")
    visit.run(f"{PURCHASE}; oa('identify', 'ann'); oa('event', 'after')")
    events = visit.sent(4)
    assert all("anonymous_id" not in event and "session_id" not in event for event in events)
    assert [event.get("user_id", "") for event in events] == ["", "", "ann", "ann"]
    visit.project.settled(4)
    assert visit.errors() == []


def test_full_storage_costs_only_what_cannot_be_kept(visit: Visit) -> None:
    full = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
    visit.page(before=full)
    visit.open()
    visit.run(PURCHASE)
    visit.project.settled(2)
    assert visit.errors() == []


def test_nothing_but_first_party_storage_is_used(visit: Visit) -> None:
    visit.open()
    visit.answered()
    assert visit.stored() == [f"oa:{visit.project.id}"]
