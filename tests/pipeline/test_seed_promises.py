"""Sentences of the seeds that promise something, and that no example of theirs shows."""

import json
from decimal import Decimal

from stack import Project

from tests.pipeline.test_contact_conversions import listed
from tests.pipeline.test_links import analytics, click, link, link_goal, track


def test_a_conversion_needs_no_revenue_and_no_currency(project: Project) -> None:
    """S0: it carries optional revenue and currency fields."""
    goal = project.goal(currency="USD")
    project.accept({"event_type": "conversion", "event_name": "purchase", "user_id": "u"})
    project.eventually(lambda: [project.stats(goal)[name] for name in ("conversions", "revenue")], [1, Decimal("0.00")])
    (found,) = project.stack.sql(f"SELECT revenue, currency FROM v_conversions WHERE project_id = '{project.id}'")
    assert (found["revenue"], found["currency"]) == (None, "")


def test_every_later_event_of_a_session_carries_the_source_of_its_first_pageview(project: Project) -> None:
    """S0: UTM parameters and the referrer, stored with every subsequent event in that session."""
    visit = {"anonymous_id": "a", "session_id": "s"}
    url = "https://shop.example/?utm_source=facebook&utm_medium=cpc&utm_campaign=winter_sale"
    project.accept(visit | {"event_type": "pageview", "url": url, "referrer": "https://l.facebook.com/"})
    project.settled(1)
    project.accept([visit | {"event_type": "event", "event_name": "scroll"}, visit | {"event_type": "conversion"}])
    for event in project.settled(3):
        assert (event["source"], event["medium"], event["campaign"]) == ("facebook", "cpc", "winter_sale")
    (session,) = project.stack.sql(f"SELECT source, referrer FROM v_sessions WHERE project_id = '{project.id}'")
    assert session == {"source": "facebook", "referrer": "https://l.facebook.com/"}


def test_conversions_rate_and_value_are_shown_by_source_and_by_goal(project: Project) -> None:
    """S0: counts, revenue, conversion rate, and a breakdown by source."""
    project.goal(currency="USD")
    for number, source in enumerate(("google", "google", "bing")):
        url = f"https://shop.example/?utm_source={source}"
        project.accept({"event_type": "pageview", "url": url, "user_id": f"u{number}", "session_id": f"s{number}"})
    project.settled(3)
    paid = {"event_type": "conversion", "event_name": "purchase", "revenue": "49.99", "currency": "USD"}
    project.accept(paid | {"user_id": "u0"})
    shown = ("conversions", "revenue", "session_rate")

    def rows() -> dict[str, tuple[object, ...]]:
        found = project.report("sources")["rows"]
        return {row["source"]: tuple(row[name] for name in shown) for row in found if row["conversions"]}

    project.eventually(lambda: [row[0] for row in rows().values()], [1])
    (row,) = rows().values()
    assert row[1] == [{"currency": "USD", "amount": Decimal("49.99")}]
    assert row[2]["value"] == Decimal("0.5")
    (goal,) = project.report("goals")["rows"]
    assert (goal["conversions"], goal["rate"]["denominator_count"]) == (1, 3)


def test_conversions_are_shown_by_the_name_of_their_event(project: Project) -> None:
    """S0: a breakdown by event."""
    assert project.report("conversions")["totals"]["rate"]["value"] is None
    for user in ("ann", "bob", "eve", "joe"):
        project.accept({"event_type": "pageview", "user_id": user})
    sold = (("ann", "1", "10.10", "USD"), ("ann", "2", "0.20", "USD"), ("bob", "3", "5", "EUR"))
    for user, order, revenue, currency in sold:
        fields = {"user_id": user, "order_id": order, "revenue": revenue, "currency": currency}
        project.accept({"event_type": "conversion", "event_name": "purchase"} | fields)
    project.accept({"event_type": "conversion", "event_name": "signup", "user_id": "bob"})
    back = {"refund_id": "r", "amount": "10"}
    path = f"/v1/projects/{project.id}/conversions/1/refunds"
    assert project.request("POST", path, json=back).status_code == 202

    def shown() -> list[tuple[object, ...]]:
        found = project.report("conversions")
        return [
            (row["name"], row["conversions"], row["unique_converters"], row["rate"]["value"], row["revenue"])
            for row in (*found["rows"], found["totals"])
        ]

    def money(currency: str, gross: str, refunded: str, net: str) -> dict[str, object]:
        amounts = {"gross": Decimal(gross), "refunded": Decimal(refunded), "net": Decimal(net)}
        return {"currency": currency} | amounts

    revenue = [money("EUR", "5.00", "0.00", "5.00"), money("USD", "10.30", "10.00", "0.30")]
    half, quarter = Decimal("0.5"), Decimal("0.25")
    expected = [("purchase", 3, 2, half, revenue), ("signup", 1, 1, quarter, []), (None, 4, 2, half, revenue)]
    project.eventually(shown, expected)


def test_a_link_has_goals_of_every_type_for_every_step_of_its_funnel(project: Project) -> None:
    """S1: goal types; set up goals for different funnel stages; partial conversions are tracked separately."""
    made = link(project)
    click_id = click(made)
    kinds = ("purchase", "signup", "download", "custom")
    tokens = {kind: link_goal(project, name=kind, goal_type=kind)["postback_token"] for kind in kinds}
    for kind, token in tokens.items():
        assert track(project, token, {"order_id": "one", "click_id": click_id}).status_code == 202, kind
    project.eventually(lambda: analytics(project, made)["conversions"], 4)
    rows = project.stack.sql(f"SELECT kind FROM v_conversions WHERE project_id = '{project.id}'")
    assert sorted(row["kind"] for row in rows) == sorted(kinds)


def test_links_and_campaigns_can_be_compared(project: Project) -> None:
    """S1: know which links drive results; then track which campaigns drive the most conversions."""
    token = link_goal(project)["postback_token"]
    winter = link(project, utm_source="facebook", utm_medium="cpc", utm_campaign="winter_sale")
    spring = link(project, utm_source="facebook", utm_medium="cpc", utm_campaign="spring_sale")
    for number in range(2):
        body = {"value": 10, "currency": "USD", "order_id": str(number), "click_id": click(winter)}
        track(project, token, body)
    track(project, token, {"value": 5, "currency": "USD", "order_id": "other", "click_id": click(spring)})
    project.eventually(lambda: [analytics(project, one)["conversions"] for one in (winter, spring)], [2, 1])
    assert [analytics(project, one)["total_value"] for one in (winter, spring)] == [20, 5]

    def campaigns() -> dict[str, object]:
        return {row["campaign"]: row["conversions"] for row in project.report("sources")["rows"] if row["conversions"]}

    project.eventually(campaigns, {"winter_sale": 2, "spring_sale": 1})


def test_goals_match_as_the_tables_of_types_and_match_types_say(project: Project) -> None:
    """S2: /pricing matches only /pricing; signup matches newsletter_signup; /blog/\\d+ matches /blog/42."""
    goals = {
        "exact": project.goal(type="pageview", match_value="/pricing"),
        "contains": project.goal(type="event", match_type="contains", match_value="signup"),
        "regex": project.goal(type="pageview", match_type="regex", match_value=r"/blog/\d+"),
        "custom": project.goal(type="custom", match_value="purchase"),
    }
    for number, path in enumerate(("/pricing", "/pricing?plan=pro", "/pricing/old", "/blog/42", "/blog/about")):
        project.accept({"event_type": "pageview", "url": f"https://shop.example{path}", "anonymous_id": f"a{number}"})
    for kind, name in (("event", "newsletter_signup"), ("event", "purchase"), ("custom", "newsletter_signup")):
        project.accept({"event_type": kind, "event_name": name, "anonymous_id": "a"})
    project.accept({"event_type": "custom", "event_name": "purchase", "anonymous_id": "a"})
    project.settled(9)
    expected = {"exact": 2, "contains": 1, "regex": 1, "custom": 1}
    project.eventually(lambda: {name: project.stats(goal)["conversions"] for name, goal in goals.items()}, expected)


def test_unique_conversions_are_visitors_and_revenue_needs_a_currency(project: Project) -> None:
    """S2: the number of unique visitors who triggered the goal; null if no currency is set on the goal."""
    paid, plain = project.goal(currency="USD"), project.goal("Plain")
    for order, user in (("1", "ann"), ("2", "ann"), ("3", "bob")):
        fields = {"user_id": user, "order_id": order, "revenue": 10, "currency": "USD"}
        project.accept({"event_type": "conversion", "event_name": "purchase"} | fields)
    counted = {"conversions": 3, "unique_conversions": 2}
    project.eventually(lambda: project.stats(paid), counted | {"revenue": Decimal("30.00")})
    project.eventually(lambda: project.stats(plain), counted | {"revenue": None})


def test_a_list_has_a_hundred_conversions_unless_told_otherwise(project: Project) -> None:
    """S3: limit (default: 100, max: 1000), offset (default: 0)."""
    found = listed(project)
    assert json.loads(json.dumps(found)) == {
        "data": [],
        "pagination": {"total": 0, "limit": 100, "offset": 0, "has_more": False},
    }
    assert listed(project, limit=1000)["pagination"]["limit"] == 1000
