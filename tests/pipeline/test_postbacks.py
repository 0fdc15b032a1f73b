"""Outgoing postbacks, from the posted conversion to the receiver's door."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from harness import Process, eventually, free_port
from receiver import Receiver, Told, receiving, status
from stack import Project, Stack

from processors.runtime.failpoint import Seam
from tests.pipeline.test_links import click, link, link_goal, track

LIMIT_S = 45
FAILURES_MAX = 6


@pytest.fixture(scope="module")
def told_stack(new_stack: Callable[..., Stack]) -> Stack:
    """An installation whose destinations may be on loopback, and whose patience is short."""
    return new_stack(
        HEADWATER_DELIVERY_ALLOW_PRIVATE="1",
        HEADWATER_DELIVERY_RETRY_BASE_MS="100",
        HEADWATER_DELIVERY_RETRY_MAX_MS="400",
        HEADWATER_DELIVERY_TIMEOUT_MS="30000",
        HEADWATER_DELIVERY_CLICK_WAIT_MS="30000",
        HEADWATER_DELIVERY_FAILURES_MAX=str(FAILURES_MAX),
    )


@pytest.fixture
def shop(told_stack: Stack) -> Project:
    return told_stack.project()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def destination(project: Project, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    body = {"name": "CRM", "url": receiver.url, **fields}
    answer = project.request("POST", f"/v1/projects/{project.id}/destinations", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def look(project: Project, made: dict[str, Any]) -> dict[str, Any]:
    answer = project.request("GET", f"/v1/projects/{project.id}/destinations/{made['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def purchase(order: str, revenue: float = 10.0, **fields: Any) -> dict[str, Any]:
    return {
        "event_type": "conversion",
        "event_name": "purchase",
        "revenue": revenue,
        "currency": "USD",
        "properties": {"order_id": order},
        **fields,
    }


def attempts(project: Project, **filters: str) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = project.request("GET", f"/v1/projects/{project.id}/deliveries", params=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found[::-1]


def outcomes(project: Project, **filters: str) -> list[str]:
    return [attempt["outcome"] for attempt in attempts(project, **filters)]


def wait_told(receiver: Receiver, count: int) -> list[Told]:
    eventually(lambda: len(receiver.told) >= count, LIMIT_S, lambda: f"{len(receiver.told)} of {count} requests")
    return receiver.told


def test_the_seeds_postback_is_sent_once_signed_and_as_printed(shop: Project, receiver: Receiver) -> None:
    made = link(shop)
    goal = link_goal(shop, postback_url=receiver.url)
    click_id = click(made)
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    body = {"value": 99.99, "currency": "USD", "order_id": "ORDER-12345", "click_id": click_id, "timestamp": at}
    tracked = track(shop, goal["postback_token"], body)
    assert tracked.status_code == 202, tracked.text
    (told,) = wait_told(receiver, 1)
    conversion_id = shop.stack.sql(f"SELECT conversion_id FROM v_conversions WHERE project_id = '{shop.id}'")[0][
        "conversion_id"
    ]
    assert told.body.decode() == (
        f'{{"event":"conversion.tracked","conversion_id":"{conversion_id}","link_id":{made["id"]},'
        f'"click_id":{click_id},"value":99.99,"currency":"USD","timestamp":"{at}"}}'
    )
    assert told.headers["content-type"] == "application/json"
    assert told.verified(goal["signing_secret"])["event"] == "conversion.tracked"
    assert track(shop, goal["postback_token"], body).status_code == 202
    shop.eventually(lambda: outcomes(shop), ["delivered"])
    assert len(receiver.told) == 1


def test_a_conversion_without_a_click_is_told_with_nulls(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    shop.accept({"event_type": "conversion", "event_name": "signup", "timestamp": "2026-01-21T12:00:00.250Z"})
    (told,) = wait_told(receiver, 1)
    found = told.verified(made["signing_secret"])
    assert {name: found[name] for name in ("link_id", "click_id", "value", "currency")} == {
        "link_id": None,
        "click_id": None,
        "value": None,
        "currency": None,
    }
    assert found["timestamp"] == "2026-01-21T12:00:00.250Z"


def test_a_conversion_attributed_by_fingerprint_names_its_link_and_click(shop: Project, receiver: Receiver) -> None:
    made = link(shop)
    goal = link_goal(shop, postback_url=receiver.url)
    click_id = click(made)
    shop.settled(1)
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
    answer = track(shop, goal["postback_token"], {"value": 5, "currency": "EUR"}, agent=agent)
    assert answer.status_code == 202, answer.text
    (told,) = wait_told(receiver, 1)
    found = told.verified(goal["signing_secret"])
    assert (found["link_id"], found["click_id"]) == (made["id"], click_id)


def test_a_conversion_announced_twice_is_told_once(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    stack = shop.stack
    stack.restart("conversions", HEADWATER_FAILPOINT=Seam.AFTER_PRODUCE.value)
    shop.accept(purchase("twice"))
    eventually(lambda: not stack.parts["conversions"].running, LIMIT_S, "the stage did not die")
    stack.restart("conversions")
    wait_told(receiver, 1)
    shop.accept(purchase("another"))
    wait_told(receiver, 2)
    shop.eventually(lambda: outcomes(shop, destination=made["id"]), ["delivered", "delivered"])
    assert len({told.webhook_id for told in receiver.told}) == len(receiver.told) == 2


def test_a_more_trusted_report_of_other_money_is_told_as_an_update(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    shop.accept(purchase("o-1", 10.0), key=shop.public_key)
    wait_told(receiver, 1)
    shop.accept(purchase("o-1", 12.5, event_id="server"))
    wait_told(receiver, 2)
    shop.accept(purchase("o-1", 99.0, event_id="late"), key=shop.public_key)
    shop.accept(purchase("o-2", 1.0))
    told = [one.verified(made["signing_secret"]) for one in wait_told(receiver, 3)]
    assert [(one["event"], one["value"]) for one in told] == [
        ("conversion.tracked", 10.0),
        ("conversion.updated", 12.5),
        ("conversion.tracked", 1.0),
    ]
    assert told[0]["conversion_id"] == told[1]["conversion_id"] != told[2]["conversion_id"]


def test_an_update_waits_until_its_conversion_is_told(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    receiver.answer = status(503)
    shop.accept(purchase("o-1", 10.0), key=shop.public_key)
    wait_told(receiver, 1)
    shop.accept(purchase("o-1", 12.5, event_id="server"))
    eventually(lambda: len(receiver.told) >= 3, LIMIT_S)
    assert len({told.webhook_id for told in receiver.told}) == 1
    receiver.answer = status(204)
    shop.eventually(lambda: outcomes(shop, outcome="delivered"), ["delivered", "delivered"])
    told = [one.verified(made["signing_secret"]) for one in receiver.told[-2:]]
    assert [(one["event"], one["value"]) for one in told] == [
        ("conversion.tracked", 10.0),
        ("conversion.updated", 12.5),
    ]


def test_failures_are_retried_with_the_same_id_and_body(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)

    def thrice(one: Receiver, handler: BaseHTTPRequestHandler) -> None:
        status(500 if len(one.told) <= 3 else 200)(one, handler)

    receiver.answer = thrice
    shop.accept(purchase("o-1"))
    told = wait_told(receiver, 4)
    assert {(one.webhook_id, one.body) for one in told} == {(told[0].webhook_id, told[0].body)}
    assert [one.verified(made["signing_secret"])["value"] for one in told] == [10.0] * 4
    shop.eventually(lambda: outcomes(shop), ["http_error"] * 3 + ["delivered"])
    rows = attempts(shop)
    assert [row["attempt"] for row in rows] == [1, 2, 3, 4]
    assert [row["status"] for row in rows] == [500, 500, 500, 200]
    assert [row["next_attempt_at"] is None for row in rows] == [False, False, False, True]
    assert {row["id"] for row in rows} == {told[0].webhook_id}
    assert len(receiver.told) == 4


def test_a_delivery_killed_between_attempts_goes_on_where_it_was(shop: Project, receiver: Receiver) -> None:
    destination(shop, receiver)
    receiver.answer = status(500)
    shop.accept(purchase("o-1"))
    wait_told(receiver, 2)
    shop.stack.restart("delivery", HEADWATER_DELIVERY_FAILURES_MAX="1000")
    before = len(receiver.told)
    wait_told(receiver, before + 1)
    receiver.answer = status(200)
    shop.eventually(lambda: outcomes(shop)[-1:], ["delivered"])
    numbers = [row["attempt"] for row in attempts(shop)]
    assert numbers[-1] > 2
    assert len({told.webhook_id for told in receiver.told}) == 1
    shop.stack.restart("delivery")
    taken = len(receiver.told)
    shop.accept(purchase("o-2"))
    wait_told(receiver, taken + 1)
    assert receiver.told[-1].webhook_id != receiver.told[0].webhook_id


def test_a_run_of_failures_disables_a_destination_and_the_api_enables_it_again(
    shop: Project, receiver: Receiver
) -> None:
    made = destination(shop, receiver)
    receiver.answer = status(500)
    shop.accept([purchase("o-1"), purchase("o-2")])
    eventually(lambda: not look(shop, made)["enabled"], LIMIT_S, "it stayed enabled")
    reason = look(shop, made)["disabled_reason"]
    assert reason == f"{FAILURES_MAX} failed attempts in a row, the last: HTTP 500"
    assert len(receiver.told) == FAILURES_MAX
    receiver.answer = status(200)
    shop.accept(purchase("o-3"))
    shop.settled(3)
    answer = shop.request("PATCH", f"/v1/projects/{shop.id}/destinations/{made['id']}", json={"enabled": True})
    assert answer.status_code == 200, answer.text
    shop.eventually(lambda: outcomes(shop, outcome="delivered"), ["delivered"] * 3)
    assert len(receiver.told) == FAILURES_MAX + 3
    found = look(shop, made)
    assert (found["enabled"], found["disabled_reason"]) == (True, None)


def test_a_goals_postback_url_is_disabled_by_410_and_may_be_enabled_again(shop: Project, receiver: Receiver) -> None:
    goal = link_goal(shop, postback_url=receiver.url)
    receiver.answer = status(410)
    assert track(shop, goal["postback_token"], {"value": 1, "currency": "EUR"}).status_code == 202
    eventually(lambda: not look(shop, goal)["enabled"], LIMIT_S, "it stayed enabled")
    found = look(shop, goal)
    assert found["disabled_reason"] == "the receiver answered 410 Gone"
    assert (found["goal_id"], found["url"]) == (goal["id"], receiver.url)
    receiver.answer = status(200)
    path = f"/v1/projects/{shop.id}/destinations/{goal['id']}"
    assert shop.request("PATCH", path, json={"enabled": True}).status_code == 200
    wait_told(receiver, 2)[-1].verified(goal["signing_secret"])
    rotated = shop.request("POST", f"{path}/secret").json()["signing_secret"]
    assert track(shop, goal["postback_token"], {"value": 2, "currency": "EUR"}).status_code == 202
    assert wait_told(receiver, 3)[-1].verified(rotated)["value"] == 2
    assert shop.request("DELETE", path).status_code == 200
    assert shop.request("GET", path).status_code == 404


def test_a_goals_postback_url_hears_only_of_that_goal(shop: Project, receiver: Receiver) -> None:
    goal = link_goal(shop, postback_url=receiver.url)
    other = link_goal(shop, name="Other")
    shop.accept(purchase("o-1"))
    assert track(shop, other["postback_token"], {"value": 1, "order_id": "o-2"}).status_code == 202
    assert track(shop, goal["postback_token"], {"value": 7, "order_id": "o-1"}).status_code == 202
    (told,) = wait_told(receiver, 1)
    # The order was tracked before, by the server: to this destination it is new, with the server's amount.
    found = told.verified(goal["signing_secret"])
    assert (found["event"], found["value"]) == ("conversion.tracked", 10.0)
    shop.eventually(lambda: outcomes(shop), ["delivered"])


def test_a_delivery_is_replayed_with_its_id_and_body(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    shop.accept(purchase("o-1"))
    (first,) = wait_told(receiver, 1)
    shop.eventually(lambda: outcomes(shop), ["delivered"])
    path = f"/v1/projects/{shop.id}/deliveries/{first.webhook_id}/replay"
    answer = shop.request("POST", path)
    assert (answer.status_code, answer.json()) == (202, {"replayed": 1})
    _, again = wait_told(receiver, 2)
    assert (again.webhook_id, again.body) == (first.webhook_id, first.body)
    assert again.verified(made["signing_secret"])
    other = shop.stack.project()
    assert other.request("POST", f"/v1/projects/{other.id}/deliveries/{first.webhook_id}/replay").status_code == 404


def test_deliveries_that_were_given_up_are_replayed_together(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    receiver.answer = status(500)
    shop.stack.restart("delivery", HEADWATER_DELIVERY_RETRY_S="1", HEADWATER_DELIVERY_FAILURES_MAX="1000")
    shop.accept([purchase("o-1"), purchase("o-2")])
    path = f"/v1/projects/{shop.id}/destinations/{made['id']}/replay"

    def given_up() -> int:
        newest = {row["id"]: row for row in attempts(shop)}
        return sum(row["next_attempt_at"] is None for row in newest.values())

    eventually(lambda: given_up() == 2, LIMIT_S, lambda: f"{given_up()} given up")
    shop.stack.restart("delivery")
    receiver.answer = status(200)
    answer = shop.request("POST", path)
    assert (answer.status_code, answer.json()) == (202, {"replayed": 2})
    shop.eventually(lambda: outcomes(shop, outcome="delivered"), ["delivered", "delivered"])
    assert shop.request("POST", path).json() == {"replayed": 0}


def test_a_redirect_is_a_failure_and_is_not_followed(shop: Project, receiver: Receiver) -> None:
    with receiving() as inside:
        receiver.answer = status(302, Location=inside.url)
        made = destination(shop, receiver)
        shop.accept(purchase("o-1"))
        shop.eventually(lambda: outcomes(shop, destination=made["id"])[:1], ["redirected"])
        assert inside.told == []


def test_an_endless_answer_is_cut(shop: Project, receiver: Receiver) -> None:
    hung_up = threading.Event()

    def endless(one: Receiver, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            hung_up.set()

    receiver.answer = endless
    destination(shop, receiver)
    shop.accept(purchase("o-1"))
    shop.eventually(lambda: outcomes(shop), ["delivered"])
    assert hung_up.wait(LIMIT_S)


def test_a_slow_receiver_delays_neither_other_destinations_nor_the_stages(shop: Project, receiver: Receiver) -> None:
    release = threading.Event()

    def slow(one: Receiver, handler: BaseHTTPRequestHandler) -> None:
        release.wait(LIMIT_S)
        status(200)(one, handler)

    with receiving() as quick:
        receiver.answer = slow
        destination(shop, receiver)
        destination(shop, quick)
        shop.accept([purchase(f"o-{number}") for number in range(20)])
        wait_told(quick, 20)
        shop.settled(20)
        assert len(receiver.told) == 1
        assert quick.at_once == 1
        release.set()
    shop.eventually(lambda: len(outcomes(shop, outcome="delivered")), 40)
    assert receiver.at_once == 1


def test_a_private_address_is_not_asked_unless_the_installation_allows_it(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    named = destination(shop, receiver, url=f"http://localhost:{receiver.port}/webhook")
    mapped = destination(shop, receiver, url=f"http://[::ffff:127.0.0.1]:{receiver.port}/webhook")
    shop.stack.restart("delivery", HEADWATER_DELIVERY_ALLOW_PRIVATE="0", HEADWATER_DELIVERY_FAILURES_MAX="1000")
    shop.accept(purchase("o-1"))
    for one in (made, named, mapped):
        shop.eventually(lambda one=one: outcomes(shop, destination=one["id"])[:1], ["forbidden"])
    assert receiver.told == []
    shop.stack.restart("delivery")  # with the permission that this installation has
    wait_told(receiver, 2)


def test_a_delivery_that_lost_its_disk_goes_on_from_kafka(shop: Project, receiver: Receiver) -> None:
    made = destination(shop, receiver)
    shop.accept(purchase("o-1", 10.0), key=shop.public_key)
    wait_told(receiver, 1)
    shop.eventually(lambda: outcomes(shop), ["delivered"])
    receiver.answer = status(500)
    shop.accept(purchase("o-2"))
    wait_told(receiver, 2)
    stack = shop.stack
    stack.parts["delivery"].kill()
    shutil.rmtree(Path(stack.environment["HEADWATER_DATA_DIR"]) / "delivery")
    receiver.answer = status(200)
    stack.restart("delivery")
    shop.eventually(lambda: outcomes(shop, outcome="delivered"), ["delivered", "delivered"])
    shop.accept(purchase("o-1", 12.5, event_id="server"))
    shop.eventually(lambda: outcomes(shop, outcome="delivered"), ["delivered"] * 3)
    last = receiver.told[-1].verified(made["signing_secret"])
    assert (last["event"], last["value"]) == ("conversion.updated", 12.5)


def test_two_processes_share_the_destinations_and_one_takes_over_from_the_other(
    shop: Project, receiver: Receiver, tmp_path: Path
) -> None:
    def slowly(one: Receiver, handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.02)  # long enough for two to meet
        status(200)(one, handler)

    def ids() -> set[str]:
        return {told.webhook_id for told in receiver.told}

    receiver.answer = slowly
    for number in range(3):
        destination(shop, receiver, name=str(number))
    port = free_port()
    other = Process(
        "processors",
        "delivery",
        environment=shop.stack.environment
        | {
            "HEADWATER_INSTANCE": "other",
            "HEADWATER_DATA_DIR": str(tmp_path),
            "HEADWATER_METRICS_PORT": str(port),
        },
        directory=tmp_path,
        ready_url=f"http://127.0.0.1:{port}/readyz",
    ).start()
    try:
        shop.accept([purchase(f"o-{number}") for number in range(20)])
        shop.stack.parts["delivery"].kill()
        shop.accept([purchase(f"p-{number}") for number in range(20)])
        eventually(lambda: len(ids()) == 120, 90, lambda: f"{len(ids())} of 120 told")
        shop.eventually(lambda: len({row["id"] for row in attempts(shop, outcome="delivered", limit="1000")}), 120)
        assert receiver.at_once <= 3
        assert len(receiver.told) - 120 <= 3  # what each destination was being told when the first was killed
    finally:
        other.end()
        shop.stack.restart("delivery")
