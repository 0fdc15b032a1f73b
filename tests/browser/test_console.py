"""The console in a real browser: what an analyst does there is done, and what is shown is what was posted."""

from collections.abc import Callable, Iterator

import pytest
from harness import eventually
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from stack import Project

SHOWN_S = 20.0
VISIT = {"anonymous_id": "a", "session_id": "s", "user_id": "u"}


class Console:
    """A tab of the console."""

    def __init__(self, browser: WebDriver, project: Project) -> None:
        self.browser = browser
        self.project = project

    def open(self, page: str = "") -> None:
        """A page, once it is there."""
        self.browser.get(f"{self.project.stack.url}/console#{page}")
        name = page.partition("?")[0]
        self.until(lambda: self.shown() == name)

    def shown(self) -> str:
        page: str = self.browser.execute_script("return document.querySelector('main').dataset.page")
        return page

    def until(self, holds: Callable[[], bool]) -> None:
        eventually(holds, SHOWN_S, self.text)

    def text(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "main").text

    def named(self, name: str) -> WebElement:
        return self.browser.find_element(By.NAME, name)

    def fill(self, button: str, **fields: str) -> None:
        """Fill the form with this button, and send it."""
        for name, value in fields.items():
            found = self.named(name)
            if found.tag_name == "select":
                Select(found).select_by_visible_text(value)
            else:
                found.clear()
                found.send_keys(value)
        self.browser.find_element(By.XPATH, f"//form/button[text()='{button}']").click()

    def sign_in(self, key: str = "") -> None:
        self.browser.get(f"{self.project.stack.url}/console")
        self.until(lambda: "Sign in" in self.text())
        self.fill("Sign in", project=self.project.id, key=key or self.project.secret_key)


@pytest.fixture
def console(browser: WebDriver, project: Project) -> Iterator[Console]:
    yield Console(browser, project)
    browser.execute_script("sessionStorage.clear()")
    browser.get("about:blank")


def test_goals_are_made_changed_and_deleted_and_conversions_are_shown_by_source(console: Console) -> None:
    project = console.project
    project.accept(
        [
            {"event_type": "pageview", "url": "https://shop.example/?utm_source=google&utm_medium=cpc", **VISIT},
            {"event_type": "conversion", "event_name": "purchase", "revenue": 49.99, "currency": "USD", **VISIT},
        ]
    )
    console.sign_in()
    console.until(lambda: "By source" in console.text())
    console.open("goals")
    console.fill(
        "Create Goal", name="Bought", type="custom", match_type="exact", match_value="purchase", currency="USD"
    )
    console.until(lambda: "Bought custom exact purchase USD" in console.text())
    project.eventually(lambda: [row["conversions"] for row in project.report("goals")["rows"]], [1])
    project.eventually(lambda: [row["source"] for row in project.report("sources")["rows"]], ["google"])
    console.open("conversions?period=7d")
    console.until(lambda: "google cpc 1 1 49.99 USD 100.0 %" in console.text().replace("\n", " "))
    assert "Bought 1 1 49.99 USD" in console.text()
    assert "purchase 1 1 49.99 USD" in console.text()
    console.open("goals")
    console.browser.find_element(By.LINK_TEXT, "Edit").click()
    console.until(lambda: "Edit Bought" in console.text())
    console.fill("Save Goal", name="Paid", currency="EUR")
    console.until(lambda: "Paid custom exact purchase EUR" in console.text())
    console.browser.find_element(By.XPATH, "//td/button[text()='Delete']").click()
    console.until(lambda: "Nothing yet." in console.text())


def test_a_funnel_and_retention_are_shown(console: Console) -> None:
    project = console.project
    project.accept(
        [
            {"event_type": "pageview", "url": "https://shop.example/pricing", "anonymous_id": name}
            for name in ("a", "b", "c", "d")
        ]
    )
    project.accept({"event_type": "conversion", "event_name": "purchase", "anonymous_id": "a"})
    project.settled(5)
    console.sign_in()
    console.open("funnels")
    console.fill("Show", first="pageview:exact:/pricing", second="conversion", period="7d")
    console.until(lambda: "conversion 1 3 25.0 % 25.0 %" in console.text().replace("\n", " "))
    console.open("retention")
    console.until(lambda: "4 100.0 %" in console.text().replace("\n", " "))


def test_a_link_and_its_goal_are_made_and_its_analytics_shown(console: Console) -> None:
    console.sign_in()
    console.open("links")
    console.fill("Create Link", destination="https://shop.example/", name="Spring")
    console.until(lambda: "Spring" in console.text())
    console.browser.find_element(By.LINK_TEXT, "Analytics").click()
    console.until(lambda: "Analytics of Spring" in console.text())
    assert "Clicks" in console.text()
    assert "Conversion Rate" in console.text()
    console.browser.find_element(By.LINK_TEXT, "Manage Goals").click()
    console.until(lambda: "Conversion Goals" in console.text())
    console.fill(
        "Create Conversion Goal",
        name="Q1 Sale",
        goal_type="purchase",
        value="99.00",
        currency="USD",
        postback_url="https://your-server.com/webhook/pvtlnk",
    )
    console.until(lambda: "Shown once" in console.text())
    console.open("links")
    console.open("link-goals")
    console.until(lambda: "Q1 Sale purchase 99" in console.text())


def test_a_page_asked_for_before_signing_in_is_shown_after_it(console: Console) -> None:
    console.browser.get(f"{console.project.stack.url}/console#retention")
    console.until(lambda: console.shown() == "sign-in")
    console.fill("Sign in", project=console.project.id, key=console.project.secret_key)
    console.until(lambda: console.shown() == "retention")


def test_a_wrong_key_is_told_and_what_clients_send_is_shown_as_text(console: Console) -> None:
    console.sign_in("hw_sk_wrong")
    console.until(lambda: console.browser.find_element(By.CLASS_NAME, "error").text != "")
    assert "By source" not in console.text()
    name = "<img src=x onerror=document.title='broken'>"
    console.project.goal(name)
    console.sign_in()
    console.open("goals")
    console.until(lambda: name in console.text())
    assert console.browser.title == "Headwater console"
