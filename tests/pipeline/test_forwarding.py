"""Forwarding, from the posted conversion to the doors of the platforms."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import eventually
from platforms import Platforms, platforms
from stack import Project, Stack

from schemas.identifiers import hashed

LIMIT_S = 45
ANN = {"email": "ann@example.com", "phone": "+1 (650) 555-1212", "first_name": "Annabella"}
META = {"kind": "meta", "access_token": "meta-token", "options": {"pixel_id": "123", "test_event_code": "TEST1"}}
GOOGLE = {
    "kind": "google",
    "access_token": "google-token",
    "options": {"customer_id": "456", "conversion_action": "7"},
}


@pytest.fixture(scope="module")
def forwarding_stack(new_stack: Callable[..., Stack]) -> Stack:
    """An installation whose destinations may be on loopback, and whose patience is short."""
    return new_stack(
        HEADWATER_DELIVERY_ALLOW_PRIVATE="1",
        HEADWATER_DELIVERY_RETRY_BASE_MS="100",
        HEADWATER_DELIVERY_RETRY_MAX_MS="400",
    )


@pytest.fixture
def shop(forwarding_stack: Stack) -> Project:
    return forwarding_stack.project()


@pytest.fixture
def platform() -> Iterator[Platforms]:
    with platforms() as both:
        yield both


def destination(project: Project, platform: Platforms, **fields: Any) -> str:
    body = {"name": "Ads", "url": platform.url, **fields}
    answer = project.request("POST", f"/v1/projects/{project.id}/destinations", json=body)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def purchase(order: str, **fields: Any) -> dict[str, Any]:
    money = {"revenue": 49.99, "currency": "USD"}
    return {"event_type": "conversion", "event_name": "purchase", **money, "order_id": order, **fields}


def results(project: Project, destination_id: str) -> list[tuple[str, str]]:
    """Outcome and detail of each attempt, oldest first."""
    params = {"destination": destination_id}
    answer = project.request("GET", f"/v1/projects/{project.id}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    return [(attempt["outcome"], attempt["detail"] or "") for attempt in answer.json()["data"]][::-1]


def test_a_conversion_is_told_to_both_platforms_and_its_identifiers_are_kept_by_nobody(
    shop: Project, platform: Platforms
) -> None:
    told = [destination(shop, platform, **kind, consent="if_granted") for kind in (META, GOOGLE)]
    shop.accept(purchase("o1", user_data=ANN, consent="granted"))
    eventually(lambda: len(platform.events) == 2, LIMIT_S, lambda: f"{platform.events} {platform.wrong}")
    assert platform.wrong == []
    meta, google = sorted(platform.events, key=lambda event: "event_id" not in event)
    assert (meta["event_name"], meta["event_id"], meta["custom_data"]["value"]) == ("Purchase", "o1", 49.99)
    assert meta["user_data"]["em"] == [hashed("ann@example.com")]
    assert meta["user_data"]["ph"] == [hashed("16505551212")]
    assert google["userIdentifiers"][1]["hashedPhoneNumber"] == hashed("+16505551212")
    assert google["consent"] == {"adUserData": "GRANTED"}
    for request in platform.receiver.told:
        assert b"ann" not in request.body.lower()
        assert "token" not in request.path
    shop.eventually(lambda: [results(shop, one) for one in told], [[("delivered", "")]] * 2)

    stack = shop.stack
    tables = [row["name"] for row in stack.sql("SELECT name FROM system.tables WHERE database = currentDatabase()")]
    assert {"deliveries", "events", "conversion_arrivals"} <= set(tables)
    for table in ("deliveries", "events", "conversion_arrivals"):
        rows = json.dumps(stack.sql(f"SELECT * FROM {table} WHERE project_id = '{shop.id}'"), default=str)
        for text in ("ann@example", "Annabella", hashed("ann@example.com"), hashed("16505551212")):
            assert text not in rows


def test_what_is_not_told_is_a_row_with_its_reason(shop: Project, platform: Platforms) -> None:
    meta = destination(shop, platform, **META, consent="unless_denied")
    google = destination(shop, platform, **GOOGLE | {"options": {"customer_id": "456"}})
    shop.accept(purchase("o1", user_data=ANN, consent="denied"))
    shop.eventually(lambda: results(shop, meta), [("skipped", "no_consent")])
    shop.eventually(lambda: results(shop, google), [("skipped", "not_configured")])
    shop.accept(purchase("o2"))
    shop.eventually(lambda: results(shop, meta)[1:], [("skipped", "no_identifiers")])
    assert platform.receiver.told == []


def test_a_no_inside_an_answer_with_200_is_no_delivery_and_too_early_is_tried_again(
    shop: Project, platform: Platforms
) -> None:
    google = destination(shop, platform, **GOOGLE)
    platform.google_answer = {"partialFailureError": {"message": "TOO_RECENT_EVENT"}}
    shop.accept(purchase("o1", user_data=ANN))
    shop.eventually(lambda: "deferred" in dict(results(shop, google)), True)
    platform.google_answer = {"partialFailureError": {"message": "CLICK_NOT_FOUND"}}
    shop.eventually(lambda: results(shop, google)[-1][0], "refused")
    shop.accept(purchase("o2", user_data=ANN))
    shop.eventually(lambda: [outcome for outcome, _ in results(shop, google)][-2:], ["refused", "refused"])
    platform.google_answer = {"results": [{}]}
    shop.accept(purchase("o3", user_data=ANN))
    shop.eventually(lambda: results(shop, google)[-1][0], "delivered")


def test_a_refresh_token_is_exchanged_for_the_token_that_is_sent(shop: Project, platform: Platforms) -> None:
    secret = {"developer_token": "dev", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    options = {"customer_id": "456", "conversion_action": "7", "token_url": platform.url + "/token"}
    destination(shop, platform, kind="google", access_token=json.dumps(secret), options=options)
    shop.accept([purchase("o1", user_data=ANN), purchase("o2", user_data=ANN)])
    eventually(lambda: len(platform.events) == 2, LIMIT_S, lambda: f"{platform.events} {platform.wrong}")
    asked, *uploads = platform.receiver.told
    assert asked.path == "/token"
    assert [(one.headers["authorization"], one.headers["developer-token"]) for one in uploads] == [
        ("Bearer ya29.1", "dev"),
        ("Bearer ya29.1", "dev"),
    ]
