"""Seed S1's browser code, as printed, in a real page: only base URL and token are replaced."""

from decimal import Decimal

from examples import example, page
from harness import eventually

from tests.browser.conftest import Visit
from tests.pipeline.test_links import analytics, link, link_goal

PAGE = page("s1_links.md")
BASE = "https://pvtlnk.com"


def in_project(text: str, visit: Visit, token: str) -> str:
    return text.replace(BASE, visit.project.stack.url).replace("YOUR_TOKEN", token).replace("{POSTBACK_TOKEN}", token)


def test_the_pixel_credits_the_link_that_led_to_its_page(visit: Visit) -> None:
    token = link_goal(visit.project, currency="USD")["postback_token"]
    pixel = in_project(example(PAGE, "Method 3: Pixel Integration", "html"), visit, token)
    visit.site.html = f"<!doctype html><script>window.errors=[]</script>{pixel}"
    made = link(visit.project, destination=f"{visit.site.url}/thanks")
    visit.browser.get(made["url"])
    assert "click_id=" in visit.browser.current_url
    eventually(lambda: bool(visit.run("return document.images[0].complete")), 15)
    assert visit.run("return document.images[0].naturalWidth") == 1
    visit.project.eventually(
        lambda: [analytics(visit.project, made)[name] for name in ("conversions", "total_value")],
        [1, Decimal("99.99")],
    )


def test_the_script_may_be_answered_from_another_origin_and_credits_the_link(visit: Visit) -> None:
    token = link_goal(visit.project)["postback_token"]
    code = in_project(example(PAGE, "JavaScript Integration", "javascript"), visit, token)
    given = "const orderTotal = 99.5, orderId = 'ORD-1';"
    # The same code a second time, and its answer: a page may read it.
    read = code.strip().removeprefix("// After successful conversion").strip().removesuffix(";")
    notes = f"{read}.then(answer => answer.json()).then(answer => document.title = answer.status)"
    visit.site.html = f"<!doctype html><script>{given}{code}</script><script>{notes}</script>"
    made = link(visit.project, destination=f"{visit.site.url}/thanks")
    visit.browser.get(made["url"])
    eventually(lambda: visit.browser.title == "accepted", 15, lambda: visit.browser.title)
    visit.project.eventually(
        lambda: [analytics(visit.project, made)[name] for name in ("conversions", "total_value", "currency")],
        [1, Decimal("99.50"), "USD"],
    )
    assert len(visit.project.settled(2, "event_type = 'conversion'")) == 2
