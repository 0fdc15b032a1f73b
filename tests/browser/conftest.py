"""A real browser that visits a shop's site, whose tracker sends to a running installation."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from harness import Process, base_environment, eventually, free_port, python
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from stack import Project, Stack

from tests.browser.servers import STUB, Network, Site, Weather, serving

AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
"""A headless browser names itself as one, and would be marked as a bot."""
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--user-agent={AGENT}",
)
SENT_S: Final = 15.0


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Remote]:
    """Chromium, with a profile of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    directory = tmp_path_factory.mktemp("browser")
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = Process(
        driver,
        f"--port={port}",
        environment=base_environment(),
        directory=directory,
        ready_url=f"{url}/status",
        is_module=False,
    )
    options = Options()
    options.binary_location = str(_tethered(chromium, directory))
    for argument in (*ARGUMENTS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(argument)
    try:
        process.start()
        remote = webdriver.Remote(command_executor=url, options=options)
        try:
            yield remote
        finally:
            remote.quit()
    finally:
        process.end()


def _tethered(chromium: str, directory: Path) -> Path:
    """A program that is Chromium, and ends with the driver that starts it: alone the driver leaves it behind."""
    path = directory / "chromium"
    command = shlex.join(python("-m", "deploy.tether", chromium))
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o700)
    return path


@pytest.fixture
def network(stack: Stack) -> Iterator[Network]:
    """Between the browser and the installation."""
    network = Network(stack.url)
    with serving(network) as url:
        network.url = url
        yield network
        network.arrive.set()


class Visit:
    """A browser on a shop's site that tracks for a project."""

    def __init__(self, browser: webdriver.Remote, site: Site, network: Network, project: Project) -> None:
        self.browser = browser
        self.site = site
        self.network = network
        self.project = project
        self.page()

    def page(self, *, attributes: str = "", before: str = "", stub: bool = True) -> None:
        """Every page of the site from now on: ``attributes`` of the tracker's tag, and a script ``before`` it."""
        # The page notes every error that reaches it.
        notes = "window.errors=[];onerror=message=>{errors.push(message)};"
        notes += "onunhandledrejection=event=>{errors.push(String(event.reason))};"
        tag = f'src="{self.network.url}/oa.js" data-project="{self.project.id}" data-key="{self.project.public_key}"'
        script = f"{notes}{STUB if stub else ''};{before}"
        self.site.html = f"<!doctype html><script>{script}</script><script async {tag} {attributes}></script>"

    def open(self, path: str = "/") -> None:
        """Load a page of the site. Returns when the tracker runs."""
        self.browser.get(self.site.url + path)

    def run(self, script: str) -> Any:
        """Run a script in the page; what it returns."""
        return self.browser.execute_script(script)

    def sent(self, count: int) -> list[dict[str, Any]]:
        """The events that left, once there are so many."""
        network = self.network
        eventually(lambda: len(network.sent) >= count, SENT_S, lambda: f"{len(network.sent)} events instead of {count}")
        assert len(network.sent) == count
        return network.sent

    def answered(self) -> None:
        """Wait until nothing waits to be sent."""
        eventually(lambda: self.waiting() == 0, SENT_S, lambda: f"{self.waiting()} events wait")

    def waiting(self) -> int:
        """How many events the page keeps."""
        return len([name for name in self.stored() if name.count(":") == 2])

    def stored(self) -> list[str]:
        """What is in the site's storage: local, of the tab, and cookies."""
        stored: list[str] = self.run(
            "return [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...(document.cookie ? ['c'] : [])]"
        )
        return stored

    def errors(self) -> list[str]:
        """What the page saw of ours that it should not have seen."""
        errors: list[str] = self.run("return window.errors")
        return errors

    def offline(self, offline: bool) -> None:
        self.browser.execute(
            "setNetworkConditions",
            {"network_conditions": {"offline": offline, "latency": 0, "throughput": 500_000_000}},
        )


@pytest.fixture
def visit(browser: webdriver.Remote, network: Network, project: Project) -> Iterator[Visit]:
    """A visitor who was never here: the site has an origin of its own."""
    site = Site()
    with serving(site) as url:
        site.url = url
        yield Visit(browser, site, network, project)
        network.weather = Weather.FAIR
        browser.get("about:blank")
