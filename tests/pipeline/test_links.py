"""Links from click to analytics, over HTTP on both ends."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from harness import Process, eventually, python
from stack import Project, Stack

from control.links import create_link_goal
from control.log import ControlLog
from control.projects import create_project
from control.topics import ensure_topics
from deploy import demo_project
from schemas.control import LinkGoal, LinkGoalType
from schemas.settings import KafkaSettings, load

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
GIF_BYTES = 43


def link(project: Project, **fields: Any) -> dict[str, Any]:
    body = {"destination": "https://shop.example/landing?a=1#top", **fields}
    answer = project.request("POST", "/api/v1/links", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["link"]
    return made


def link_goal(project: Project, **fields: Any) -> dict[str, Any]:
    body = {"goal": {"name": "Q1 Sales", "goal_type": "purchase", **fields}}
    answer = project.request("POST", "/api/v1/conversions/goals", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["goal"]
    return made


def click(made: dict[str, Any], agent: str = CHROME, **headers: str) -> int:
    answer = httpx.get(made["url"], headers={"User-Agent": agent, **headers})
    assert answer.status_code == 302, answer.text
    return int(parse_qs(urlsplit(answer.headers["location"]).query)["click_id"][0])


def track(project: Project, token: str, body: Any, agent: str = "PHP/8.3", **headers: str) -> httpx.Response:
    url = f"{project.stack.url}/api/conversions/track/{token}"
    return httpx.post(url, json=body, headers={"User-Agent": agent, **headers})


def analytics(project: Project, made: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    asked = {**({"link_id": made["id"]} if made else {}), **parameters}
    answer = project.request("GET", "/api/v1/analytics/conversions", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return found


def test_a_redirect_adds_click_id_and_utm_parameters_and_keeps_the_rest(project: Project) -> None:
    made = link(project, utm_source="facebook", utm_campaign="winter sale")
    answer = httpx.get(made["url"], headers={"User-Agent": CHROME})
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
    location = urlsplit(answer.headers["location"])
    query = parse_qs(location.query)
    click_id = int(query.pop("click_id")[0])
    assert 0 < click_id < 2**53
    assert (location.netloc, location.path, location.fragment) == ("shop.example", "/landing", "top")
    assert query == {"a": ["1"], "utm_source": ["facebook"], "utm_campaign": ["winter sale"]}
    (event,) = project.settled(1)
    assert (event["event_type"], event["click_id"]) == ("click", str(click_id))
    assert json.loads(event["properties"]) == {"link_id": made["id"], "slug": made["slug"]}
    assert event["marks"] == []


def test_head_is_no_hit_and_bots_and_prefetches_are_hits_that_are_marked(project: Project) -> None:
    made = link(project)
    head = httpx.head(made["url"], headers={"User-Agent": CHROME})
    assert head.status_code == 302
    assert "click_id" not in head.headers["location"]
    click(made, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    click(made, **{"Sec-Purpose": "prefetch;prerender"})
    click(made)
    marks = sorted(event["marks"] for event in project.settled(3))
    assert marks == [[], ["bot"], ["prefetch"]]
    project.eventually(lambda: (analytics(project, made)["clicks"], analytics(project, made)["marked_clicks"]), (1, 2))


def test_a_postback_with_a_click_id_is_credited_to_its_link(project: Project) -> None:
    made, other = link(project), link(project)
    token = link_goal(project)["postback_token"]
    click_id = click(made)
    click(made)
    click(other)
    answer = track(project, token, {"value": 99.99, "currency": "USD", "order_id": "ORDER-12345", "click_id": click_id})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "accepted"
    assert answer.headers["access-control-allow-origin"] == "*"
    project.eventually(lambda: analytics(project, made)["conversions"], 1)
    found = analytics(project, made, days=30)
    assert (found["clicks"], found["conversion_rate"]) == (2, 50)
    assert (found["total_value"], found["average_value"], found["currency"]) == (
        Decimal("99.99"),
        Decimal("99.99"),
        "USD",
    )
    assert 0 <= found["time_to_convert"] < 60
    assert (found["by_day"][-1]["conversions"], len(found["by_day"])) == (1, 30)
    assert analytics(project, other)["conversions"] == 0
    for table, name in (("links", made["slug"]), ("link_goals", "Q1 Sales")):
        column = "slug" if table == "links" else "name"
        rows = project.stack.sql(f"SELECT {column} FROM {table} FINAL WHERE project_id = '{project.id}'")
        assert {column: name} in rows
    assert analytics(project)["conversions"] == 1


@pytest.mark.parametrize("order", ["browser first", "server first"])
def test_reports_of_one_order_are_one_conversion_and_a_default_value_counts_as_missing(
    project: Project, order: str
) -> None:
    made = link(project)
    token = link_goal(project, value=5, currency="EUR")["postback_token"]
    click_id = click(made)
    reports = [
        lambda: track(project, token, {"order_id": "o", "click_id": str(click_id)}),
        lambda: track(project, token, {"order_id": "o", "value": "49.99", "currency": "usd"}),
    ]
    for report in reports if order == "browser first" else reversed(reports):
        assert report().status_code == 202
    project.settled(3)
    project.eventually(
        lambda: [
            (row["currency"], row["conversions"], row["total_value"]) for row in analytics(project, made)["currencies"]
        ],
        [("USD", 1, Decimal("49.99"))],
    )


def test_a_goals_defaults_fill_what_a_postback_leaves_out(project: Project) -> None:
    made = link(project)
    token = link_goal(project, value=99, currency="EUR", goal_type="signup")["postback_token"]
    track(project, token, {"click_id": click(made)})
    track(project, token, {"click_id": click(made), "value": 1})
    project.eventually(lambda: analytics(project, made)["conversions"], 2)
    found = analytics(project, made)
    assert (found["currency"], found["total_value"]) == ("EUR", Decimal("100.00"))
    kinds = project.stack.sql(f"SELECT DISTINCT kind FROM v_conversions WHERE project_id = '{project.id}'")
    assert kinds == [{"kind": "signup"}]


def test_a_browsers_conversion_is_attributed_to_its_own_click_without_a_click_id(project: Project) -> None:
    made = link(project)
    token = link_goal(project)["postback_token"]
    click(made, CHROME)
    assert track(project, token, {"value": 49.99, "currency": "EUR"}, CHROME).status_code == 202
    assert track(project, token, {"value": 1, "currency": "EUR"}, FIREFOX).status_code == 202
    project.settled(3)
    project.eventually(lambda: analytics(project, made)["total_value"], Decimal("49.99"))
    credits = project.stack.sql(
        "SELECT matched_by FROM v_credits"
        f" WHERE scope = 'clicks' AND model = 'last_touch' AND project_id = '{project.id}'"
    )
    assert credits == [{"matched_by": "fingerprint"}]


def test_a_server_names_the_visitor_and_is_never_taken_for_one(project: Project) -> None:
    made = link(project)
    token = link_goal(project)["postback_token"]
    server = "python-httpx/0.27"
    click(made, CHROME)
    click(made, server)
    track(project, token, {"value": 1, "currency": "USD", "order_id": "unnamed"}, server)
    visitor = {"ip": "127.0.0.1", "user_agent": CHROME}
    track(project, token, {"value": 2, "currency": "USD", "order_id": "named", **visitor}, server)
    project.eventually(lambda: analytics(project, made)["conversions"], 1)
    project.settled(4)
    assert analytics(project, made)["total_value"] == 2
    text = json.dumps(project.stack.sql(f"SELECT * FROM events WHERE project_id = '{project.id}'"))
    assert "127.0.0.1" not in text


def test_a_forged_forwarded_for_is_not_believed(project: Project) -> None:
    made = link(project)
    token = link_goal(project)["postback_token"]
    click(made, CHROME)
    track(project, token, {"value": 3, "currency": "USD"}, CHROME, **{"X-Forwarded-For": "203.0.113.9"})
    project.eventually(lambda: analytics(project, made)["total_value"], Decimal("3.00"))


def test_a_pixel_is_always_its_gif_and_never_kept(project: Project) -> None:
    made = link(project)
    token = link_goal(project, currency="USD")["postback_token"]
    click(made)
    base = f"{project.stack.url}/api/conversions/track"
    good = httpx.get(f"{base}/{token}?value=99.99&order_id=ORDER-123", headers={"User-Agent": CHROME})
    wrong_token = httpx.get(f"{base}/nobody?value=1")
    wrong_value = httpx.get(f"{base}/{token}?value=12,5")
    assert [answer.status_code for answer in (good, wrong_token, wrong_value)] == [200, 401, 422]
    for answer in (good, wrong_token, wrong_value):
        assert (len(answer.content), answer.content[:6]) == (GIF_BYTES, b"GIF89a")
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/gif", "no-store")
    project.eventually(lambda: analytics(project, made)["total_value"], Decimal("99.99"))
    assert len(project.events("event_type = 'conversion'")) == 1


def test_the_token_may_be_in_the_body(project: Project) -> None:
    made = link(project)
    token = link_goal(project)["postback_token"]
    click_id = click(made)
    url = f"{project.stack.url}/api/v1/conversions/track"
    body = {"value": 49.99, "currency": "USD", "order_id": "ORDER-123", "click_id": click_id}
    assert httpx.post(url, json=body | {"postback_token": token}).status_code == 202
    assert httpx.post(url, json=body).json()["error"]["field"] == "postback_token"
    assert httpx.post(url, json=body | {"postback_token": token[:-1]}).status_code == 401
    project.eventually(lambda: analytics(project, made)["total_value"], Decimal("49.99"))
    assert token not in json.dumps(project.events())


def test_tracking_routes_refuse_what_is_not_theirs(project: Project) -> None:
    url = project.stack.url
    assert httpx.get(f"{url}/l/nowhere").status_code == 404
    assert httpx.post(f"{url}/l/nowhere").status_code == 405
    assert httpx.put(f"{url}/api/conversions/track/x").status_code == 405
    assert httpx.get(f"{url}/api/v1/conversions/track").status_code == 405
    assert httpx.post(f"{url}/api/conversions/track/x", json={}).status_code == 401
    preflight = httpx.options(f"{url}/api/conversions/track/x")
    assert preflight.status_code == 204
    assert preflight.headers.get_list("access-control-allow-origin") == ["*"]
    assert "POST" in preflight.headers["access-control-allow-methods"]


async def test_a_token_beyond_its_limit_is_told_when_to_come_back_and_a_limited_pixel_is_still_a_gif(
    stack_env: dict[str, str], start_process: Callable[..., Process]
) -> None:
    limit = 5
    kafka = load(KafkaSettings, stack_env)
    await ensure_topics(kafka)
    log = ControlLog(kafka, client_id="test")
    await log.start()
    try:
        shop = await create_project(log, name="shop", now_ms=1)
        goals = [
            LinkGoal(id=name, project_id=shop.project.id, name=name, goal_type=LinkGoalType.PURCHASE)
            for name in ("one", "other")
        ]
        token, other = [(await create_link_goal(log, goal)).text for goal in goals]
    finally:
        await log.stop()
    environment = {**stack_env, "HEADWATER_TOKEN_REQUESTS_PER_MINUTE": str(limit)}
    ingest = start_process("ingest", environment=environment)
    url = f"http://127.0.0.1:{ingest.environment['HEADWATER_HTTP_PORT']}/api/conversions/track"
    async with httpx.AsyncClient() as client:
        for used in range(1, limit + 1):
            answer = await client.post(f"{url}/{token}", json={"value": 1})
            assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (202, str(limit - used))
        refused = await client.post(f"{url}/{token}", json={"value": 1})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == (str(limit), "0")
        pixel = await client.get(f"{url}/{token}?value=1")
        assert (pixel.status_code, len(pixel.content)) == (429, GIF_BYTES)
        assert "retry-after" in pixel.headers
        assert (await client.post(f"{url}/{other}", json={"value": 1})).status_code == 202


def test_links_are_created_listed_changed_and_deleted(project: Project) -> None:
    made = link(project, name="Winter", slug=f"w-{project.id[:8]}-{project.id[-6:]}")
    assert isinstance(made["id"], int)
    assert 0 < made["id"] < 2**53
    path = f"/api/v1/links/{made['id']}"
    assert project.request("GET", path).json()["link"] == made
    assert [found["id"] for found in project.request("GET", "/api/v1/links").json()["links"]] == [made["id"]]
    changed = project.request(
        "PATCH", path, json={"link": {"destination": "https://shop.example/b", "slug": "w2" + made["slug"]}}
    )
    assert changed.json()["link"]["destination"] == "https://shop.example/b"
    assert httpx.get(made["url"]).status_code == 404
    assert httpx.get(changed.json()["link"]["url"]).headers["location"].startswith("https://shop.example/b?click_id=")
    taken = project.request(
        "POST", "/api/v1/links", json={"destination": "https://x.example/", "slug": "w2" + made["slug"]}
    )
    assert (taken.status_code, taken.json()["error"]["field"]) == (409, "slug")
    assert project.request("DELETE", path).json() == {"data": {"deleted": True}}
    assert httpx.get(changed.json()["link"]["url"]).status_code == 404
    assert project.request("GET", path).status_code == 404


def test_a_goal_shows_its_token_once_and_may_have_another(project: Project) -> None:
    made = link_goal(project, value=99.00, currency="USD", postback_url="https://your-server.com/webhook/pvtlnk")
    (listed,) = project.request("GET", "/api/v1/conversions/goals").json()["goals"]
    assert "postback_token" not in listed
    assert (listed["id"], listed["window_days"], listed["value"]) == (made["id"], 30, 99.0)
    path = f"/api/v1/conversions/goals/{made['id']}/tokens"
    second = project.request("POST", path).json()["goal"]
    assert len(second["token_hints"]) == 2
    for token in (made["postback_token"], second["postback_token"]):
        assert track(project, token, {"value": 1}).status_code == 202


def test_another_tenants_links_and_goals_look_like_none(project: Project) -> None:
    other = project.stack.project()
    made, goal = link(other), link_goal(other)
    for method, path in (
        ("GET", f"/api/v1/links/{made['id']}"),
        ("PATCH", f"/api/v1/links/{made['id']}"),
        ("DELETE", f"/api/v1/links/{made['id']}"),
        ("GET", f"/api/v1/analytics/conversions?link_id={made['id']}"),
        ("POST", f"/api/v1/conversions/goals/{goal['id']}/tokens"),
    ):
        sent = {"json": {}} if method == "PATCH" else {}
        assert project.request(method, path, **sent).status_code == 404, path
    assert project.request("GET", "/api/v1/links").json() == {"links": []}
    assert project.request("GET", "/api/v1/links", key=project.public_key).status_code == 403
    assert project.request("GET", "/api/v1/conversions/goals", key=project.public_key).status_code == 403
    for wrong in ({"link_id": "x"}, {"days": 0}, {"format": "xml"}):
        assert project.request("GET", "/api/v1/analytics/conversions", params=wrong).status_code == 422


def test_the_export_is_one_csv_row_a_conversion(project: Project) -> None:
    made = link(project)
    token = link_goal(project)["postback_token"]
    click_ids = [click(made) for _ in range(3)]
    for number, click_id in enumerate(click_ids):
        track(project, token, {"value": number, "currency": "USD", "order_id": f'o"{number}', "click_id": click_id})
    project.eventually(lambda: analytics(project, made)["conversions"], 3)
    path = f"/api/v1/analytics/conversions?link_id={made['id']}&days=30&format=csv"
    answer = project.request("GET", path)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["order_id"], row["click_id"], row["value"]) for row in rows] == [
        (f'o"{number}', str(click_id), str(number)) for number, click_id in enumerate(click_ids)
    ]
    assert {row["link_id"] for row in rows} == {str(made["id"])}


def test_a_link_with_utm_parameters_is_a_source_and_its_clicks_are_no_visits(project: Project) -> None:
    made = link(project, utm_source="facebook", utm_medium="cpc", utm_campaign="winter_sale")
    token = link_goal(project)["postback_token"]
    click(made)
    track(project, token, {"value": 10, "currency": "USD", "click_id": click(made)})
    project.eventually(
        lambda: [
            (row["source"], row["campaign"], row["conversions"])
            for row in project.report("sources")["rows"]
            if row["conversions"]
        ],
        [("facebook", "winter_sale", 1)],
    )
    assert project.report("sources")["totals"]["session_rate"]["denominator_count"] == 1
    stats = project.stack.sql(
        f"SELECT sum(conversions) AS n FROM v_source_stats WHERE model = 'last_touch' AND project_id = '{project.id}'"
    )
    assert Decimal(stats[0]["n"]) == 1
    eventually(lambda: all(stage["imbalance"] == 0 for stage in project.stack.ledger().values()), 30)


def test_the_demo_projects_link_and_token_work_and_an_older_file_is_completed(stack: Stack) -> None:
    path = Path(stack.environment["HEADWATER_DATA_DIR"]) / "demo.env"
    command = python("-m", "deploy.demo_project")
    first = demo_project.read(path)
    older = {name: value for name, value in first.items() if name not in ("POSTBACK_TOKEN", "LINK_ID", "LINK_URL")}
    path.write_text("".join(f"{name}={value}\n" for name, value in older.items()))
    for _ in range(2):
        subprocess.run(command, env=stack.environment, check=True, timeout=120)
    completed = demo_project.read(path)
    assert set(completed) == set(first)
    assert {name: completed[name] for name in older} == older
    for demo in (first, completed):
        location = httpx.get(demo["LINK_URL"]).headers["location"]
        assert "click_id=" in location
        answer = httpx.post(f"{stack.url}/api/conversions/track/{demo['POSTBACK_TOKEN']}", json={"value": 1})
        assert answer.status_code == 202
        asked = {"params": {"link_id": demo["LINK_ID"]}, "headers": {"Authorization": f"Bearer {demo['SECRET_KEY']}"}}
        analysed = httpx.get(f"{stack.url}/api/v1/analytics/conversions", **asked)
        assert analysed.json()["link_id"] == int(demo["LINK_ID"])
