"""E-mail interactions from the request to the credit that the list of conversions shows: over HTTP on both ends."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stack import Project

from tests.pipeline.test_contact_conversions import accept, listed, post, rows, written

SUMMER, WINTER, WELCOME = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("summer", "winter", "welcome"))
OPEN = {"event_type": "email_open", "campaign_id": SUMMER}


def interact(project: Project, email: str, kind: str, days_ago: float, **mailing: str) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    project.accept({"event_type": f"email_{kind}", "email": email, "timestamp": at.isoformat(), **mailing})


def shown(project: Project, id: str) -> tuple[str | None, str | None]:
    """Campaign and flow of a conversion in the list."""
    (row,) = [row for row in rows(project) if row["id"] == id] or [{"campaign": None, "flow": None}]
    return tuple(row[name] and row[name]["id"] for name in ("campaign", "flow"))  # type: ignore[return-value]


def buys(project: Project, email: str, **fields: Any) -> str:
    """Id of a new conversion of this contact."""
    id: str = accept(project, email=email, type="purchase", revenue=90, **fields)["id"]
    return id


def test_what_is_no_interaction_is_refused_by_its_field_and_writes_nothing(project: Project) -> None:
    before = written(project)
    cases: list[tuple[Any, str | None, int, str, str | None]] = [
        (OPEN, None, 400, "missing_field", "email"),
        (OPEN | {"email": None, "contact_id": "null"}, None, 400, "missing_field", "email"),
        (OPEN | {"email": 5}, None, 400, "wrong_type", "email"),
        (OPEN | {"email": "ann"}, None, 422, "invalid_value", "email"),
        (OPEN | {"email": "a" * 250 + "@b.cd"}, None, 422, "too_long", "email"),
        (OPEN | {"contact_id": {}}, None, 400, "wrong_type", "contact_id"),
        (OPEN | {"contact_id": "c" * 257}, None, 422, "too_long", "contact_id"),
        ({"event_type": "email_click", "contact_id": "c"}, None, 400, "missing_field", "campaign_id"),
        ({"event_type": "email_click", "contact_id": "c", "flow_id": []}, None, 400, "wrong_type", "flow_id"),
        (OPEN | {"contact_id": "c", "campaign_id": "c" * 257}, None, 422, "too_long", "campaign_id"),
        (OPEN | {"email": "ann@example.com"}, project.public_key, 403, "insufficient_scope", "email"),
        (OPEN | {"contact_id": "c"}, "sk_live_wrong", 401, "unauthorized", None),
        ({"event_type": "pageview", "email": "ann"}, project.public_key, 422, "invalid_value", "email"),
    ]
    for body, key, status, code, field in cases:
        answer = project.post(body, key=key)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error.get("field")) == (status, code, field), body
    mixed = project.post([OPEN, OPEN | {"contact_id": "c"}], key=project.public_key)
    assert (mixed.status_code, mixed.json()["accepted"], mixed.json()["rejected"]) == (202, 1, 1)
    assert written(project) == before + 1


def test_an_address_beside_an_event_is_stored_nowhere_in_the_clear_and_names_the_contact(project: Project) -> None:
    named = {"email": "Ann@Example.com"}
    project.accept([OPEN | named, {"event_type": "pageview", "anonymous_id": "a", "url": "https://s.example/"} | named])
    order = {"event_type": "conversion", "event_name": "purchase", "order_id": "o", "user_id": "u"}
    project.accept(order | named)
    project.settled(3)
    project.eventually(lambda: listed(project)["pagination"]["total"], 1)
    (row,) = rows(project)
    assert row["contact"]["email"] == "ann@example.com"
    contacts = project.stack.sql(f"SELECT DISTINCT contact_id FROM events WHERE project_id = '{project.id}'")
    assert contacts == [{"contact_id": row["contact"]["id"]}]
    for table in ("events", "conversion_arrivals", "event_log", "person_keys", "mail_keys", "touches", "sessions"):
        for stored in project.stack.sql(f"SELECT * FROM {table} WHERE project_id = '{project.id}'"):
            assert "ann@" not in json.dumps(stored).lower(), table


def test_reading_email_is_no_visit(project: Project) -> None:
    page = {"event_type": "pageview", "anonymous_id": "a", "url": "https://s.example/?utm_source=ads&utm_medium=cpc"}
    project.accept([page, OPEN | {"email": "ann@example.com", "anonymous_id": "a"}])
    project.settled(2)
    project.accept({"event_type": "conversion", "event_name": "purchase", "anonymous_id": "a"})
    project.settled(3)
    visited = {row["session_id"] for row in project.events("event_type != 'email_open'")}
    assert len(visited) == 1
    assert {row["session_id"] for row in project.events("event_type = 'email_open'")} - visited
    (first,) = project.stack.sql(
        f"SELECT source FROM v_sessions WHERE project_id = '{project.id}' AND session_id = '{visited.pop()}'"
    )
    assert first["source"] == "ads"
    totals = project.report("sources", period="7d")["totals"]
    assert [totals[rate]["denominator_count"] for rate in ("rate", "session_rate")] == [1, 1]


@pytest.mark.parametrize(
    ("model", "campaign", "flow"),
    [("last_touch", None, WELCOME), ("first_touch", SUMMER, None), ("linear", WINTER, None), (None, None, WELCOME)],
)
def test_the_list_shows_what_the_conversions_own_model_credits(
    project: Project, model: str | None, campaign: str | None, flow: str | None
) -> None:
    ann, bob = "ann@example.com", "bob@example.com"
    interact(project, ann, "open", 6, campaign_id=SUMMER)
    interact(project, ann, "click", 4, campaign_id=WINTER)
    interact(project, ann, "open", 3, campaign_id=WINTER)
    interact(project, ann, "click", 1, flow_id=WELCOME)
    interact(project, bob, "click", 2, campaign_id=SUMMER)
    own = buys(project, ann, attribution_model=model)
    other = buys(project, bob)
    project.eventually(lambda: shown(project, own), (campaign, flow))
    project.eventually(lambda: shown(project, other), (SUMMER, None))
    (row,) = [row for row in rows(project) if row["id"] == own]
    assert (row["attribution_model"], row["attribution_window"]) == (model or "last_touch", 7)
    for asked in (SUMMER, WINTER):
        expected = {other} if asked == SUMMER else set()
        expected |= {own} if asked == campaign else set()
        page = listed(project, campaign_id=asked)
        assert {row["id"] for row in page["data"]} == expected
        assert page["pagination"]["total"] == len(expected)


def test_a_window_is_seven_days_unless_it_is_stated(project: Project) -> None:
    interact(project, "ann@example.com", "click", 8, campaign_id=SUMMER)
    stated = buys(project, "ann@example.com", attribution_window=30)
    short = buys(project, "ann@example.com", attribution_window=1, attribution_model="linear")
    default = buys(project, "ann@example.com")
    project.eventually(lambda: shown(project, stated), (SUMMER, None))
    assert shown(project, short) == shown(project, default) == (None, None)
    assert {row["id"]: row["attribution_window"] for row in rows(project)} == {stated: 30, short: 1, default: 7}
    # What is reported later than the conversion moves the credit, if it happened before it.
    interact(project, "ann@example.com", "open", 2, campaign_id=WINTER)
    project.eventually(lambda: shown(project, default), (WINTER, None))
    project.eventually(lambda: shown(project, stated), (WINTER, None))
    assert shown(project, short) == (None, None)


def test_what_a_conversion_is_claimed_for_overrides_its_interactions(project: Project) -> None:
    interact(project, "ann@example.com", "click", 1, campaign_id=SUMMER)
    plain = buys(project, "ann@example.com")
    claimed = buys(project, "ann@example.com", campaign_id=WINTER)
    by_flow = buys(project, "ann@example.com", flow_id=WELCOME)
    project.eventually(lambda: shown(project, plain), (SUMMER, None))
    assert (shown(project, claimed), shown(project, by_flow)) == ((WINTER, None), (None, WELCOME))
    assert [row["id"] for row in rows(project, campaign_id=SUMMER)] == [plain]
    assert [row["id"] for row in rows(project, campaign_id=WINTER)] == [claimed]


def test_a_public_keys_click_on_an_order_does_not_claim_it(project: Project) -> None:
    known = accept(project, type="purchase", order_id="o", revenue=5)
    click = {"event_type": "email_click", "event_name": "purchase", "order_id": "o", "campaign_id": SUMMER}
    project.accept(click | {"contact_id": "a stranger"}, key=project.public_key)
    post(project, {"email": "bob@example.com", "type": "signup", "order_id": "after"})
    project.eventually(lambda: listed(project)["pagination"]["total"], 2)
    project.settled(3)
    arrivals = f"SELECT count() AS n FROM conversion_arrivals WHERE project_id = '{project.id}'"
    project.eventually(lambda: int(project.stack.sql(arrivals)[0]["n"]), 3)
    assert shown(project, known["id"]) == (None, None)
    assert [row["id"] for row in rows(project, contact_id=known["contact_id"])] == [known["id"]]
