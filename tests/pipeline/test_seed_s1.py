"""Seed S1's examples, executed as printed: only base URL, token, link id and click id are replaced.

HTTP runs with curl, JavaScript with node, PHP and Ruby with their own programs; where one is missing its test skips.
"""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from examples import example, page, program, run
from stack import Project

from tests.pipeline.test_links import CHROME, analytics, click, link, link_goal

PAGE = page("s1_links.md")
BASE = "https://pvtlnk.com"


def send(project: Project, title: str, token: str, *arguments: str, **replaced: str) -> tuple[int, Any]:
    """Send the page's request with curl; the status and the answer."""
    text = example(PAGE, title, "http")
    for old, new in {"{POSTBACK_TOKEN}": token, "{token}": token, "abc123": token, **replaced}.items():
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if not line.startswith(("#", "//"))]
    method, _, target = lines[0].partition(" ")
    headers = [line for line in lines[1:] if re.match(r"[A-Za-z-]+: ", line)]
    body = "\n".join(line for line in lines[1:] if line not in headers)
    url = project.stack.url + target.removeprefix(BASE)
    sent = ["--data-binary", body] if body.strip() else []
    heads = [part for header in headers or ["Content-Type: application/json"] for part in ("-H", header)]
    printed = run(program("curl"), "-sS", "-X", method, "-w", "\n%{http_code}", *heads, *arguments, *sent, url)
    answer, _, status = printed.rpartition("\n")
    return int(status), json.loads(answer)


def in_project(text: str, project: Project, token: str) -> str:
    return text.replace(BASE, project.stack.url).replace("YOUR_TOKEN", token)


def reported(project: Project) -> list[tuple[str, Decimal, str]]:
    """Order, value and currency of all conversions."""
    rows = project.stack.sql(
        f"SELECT order_id, revenue, currency FROM v_conversions WHERE project_id = '{project.id}' ORDER BY order_id"
    )
    return [(row["order_id"], Decimal(row["revenue"]), row["currency"]) for row in rows]


def test_method_1_a_postback_with_a_click_id(project: Project) -> None:
    made, token = link(project), link_goal(project)["postback_token"]
    replaced = {"789": str(click(made))}
    assert send(project, "Method 1: Postback URL", token, **replaced)[0] == 202
    assert send(project, "Method 1: Postback URL", token, **replaced)[0] == 202
    project.eventually(lambda: analytics(project, made)["total_value"], Decimal("99.99"))
    project.settled(3)
    assert reported(project) == [("ORDER-12345", Decimal("99.99"), "USD")]
    assert analytics(project, made)["conversions"] == 1


def test_method_2_auto_attribution(project: Project) -> None:
    made, token = link(project), link_goal(project)["postback_token"]
    click(made, CHROME)
    assert send(project, "Method 2: Auto-Attribution", token, "-A", CHROME)[0] == 202
    project.eventually(
        lambda: (analytics(project, made)["total_value"], analytics(project, made)["currency"]),
        (Decimal("49.99"), "EUR"),
    )


def test_method_3_the_pixel(project: Project) -> None:
    made, token = link(project), link_goal(project, currency="USD")["postback_token"]
    click(made, CHROME)
    source = re.search(r'src="([^"]+)"', example(PAGE, "Method 3: Pixel Integration", "html"))
    assert source is not None
    url = source.group(1).replace(BASE, project.stack.url).replace("{POSTBACK_TOKEN}", token)
    answer = httpx.get(url, headers={"User-Agent": CHROME})
    assert (answer.status_code, answer.headers["content-type"], len(answer.content)) == (200, "image/gif", 43)
    project.eventually(lambda: reported(project), [("ORDER-123", Decimal("99.99"), "USD")])
    project.eventually(lambda: analytics(project, made)["conversions"], 1)


def test_the_use_cases(project: Project) -> None:
    token = link_goal(project)["postback_token"]
    for title in ("E-commerce Sales", "Lead Generation", "App Install Tracking"):
        assert send(project, title, token)[0] == 202, title
    expected = [("", Decimal(5), "USD"), ("LEAD-67890", Decimal(25), "USD"), ("ORD-12345", Decimal("149.99"), "USD")]
    project.eventually(lambda: reported(project), expected)


def test_javascript(project: Project, tmp_path: Path) -> None:
    node = program("node")
    script = tmp_path / "example.js"
    given = "const orderTotal = 99.5, orderId = 'ORD-1';\n"
    token = link_goal(project)["postback_token"]
    script.write_text(given + in_project(example(PAGE, "JavaScript Integration", "javascript"), project, token))
    run(node, str(script))
    project.eventually(lambda: reported(project), [("ORD-1", Decimal("99.5"), "USD")])


def test_php(project: Project, tmp_path: Path) -> None:
    php = program("php", "-r", "exit(extension_loaded('curl') ? 0 : 1);")
    script = tmp_path / "example.php"
    script.write_text(
        in_project(example(PAGE, "PHP Integration", "php"), project, link_goal(project)["postback_token"])
    )
    run(php, str(script))
    project.eventually(lambda: reported(project), [("ORD-12345", Decimal("99.99"), "USD")])


def test_ruby(project: Project, tmp_path: Path) -> None:
    ruby = program("ruby", "-e", "require 'httparty'")
    token = link_goal(project)["postback_token"]
    script = tmp_path / "example.rb"
    given = "require 'httparty'\nrequire 'json'\nclass ApplicationJob; end\n"
    call = f"ConversionTrackerJob.new.perform('{token}', {{ value: 99.99, currency: 'USD', order_id: 'ORD-9' }})\n"
    script.write_text(given + in_project(example(PAGE, "Ruby on Rails Integration", "ruby"), project, token) + call)
    run(ruby, str(script))
    project.eventually(lambda: reported(project), [("ORD-9", Decimal("99.99"), "USD")])


def test_the_api(project: Project) -> None:
    made = link(project)
    key = ("-H", f"Authorization: Bearer {project.secret_key}")
    status, created = send(project, "Create conversion goal", "", *key)
    assert status == 201
    goal = created["goal"]
    assert (goal["name"], goal["goal_type"], goal["value"], goal["currency"]) == ("Q1 Sales", "purchase", 99.0, "USD")
    status, listed = send(project, "List conversion goals", "", *key)
    assert (status, [one["id"] for one in listed["goals"]]) == (200, [goal["id"]])
    assert send(project, "Track conversion (server-side)", goal["postback_token"])[0] == 202
    project.eventually(lambda: reported(project), [("ORDER-123", Decimal("49.99"), "USD")])
    status, found = send(project, "Get conversion analytics", "", *key, **{"123": str(made["id"])})
    assert (status, found["link_id"], found["days"], found["conversions"]) == (200, made["id"], 30, 0)
