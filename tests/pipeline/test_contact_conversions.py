"""Seed S3 from the request to the list: over HTTP on both ends."""

import asyncio
import json
import uuid
from decimal import Decimal
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from stack import Project

from schemas.control import KeyKind, Scope
from schemas.settings import KafkaSettings, load
from schemas.topics import EVENTS_RAW

PATH = "/api/v1/conversions"
ANN = {"email": "ann@example.com"}


def post(project: Project, body: Any, *, key: str | None = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    return project.request("POST", PATH, key=key, content=content, headers=sent)


def accept(project: Project, **fields: Any) -> dict[str, Any]:
    answer = post(project, ANN | fields)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def listed(project: Project, **parameters: Any) -> dict[str, Any]:
    answer = project.request("GET", PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return found


def rows(project: Project, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = listed(project, **parameters)["data"]
    return found


def key_with(project: Project, *scopes: Scope, kind: KeyKind = KeyKind.SECRET) -> str:
    body = {"kind": kind, "scopes": scopes}
    answer = project.request("POST", f"/v1/projects/{project.id}/keys", json=body)
    assert answer.status_code == 201, answer.text
    text: str = answer.json()["key"]
    return text


def written(project: Project) -> int:
    """Records on events-raw."""

    async def ends() -> int:
        kafka = load(KafkaSettings, project.stack.environment)
        homes = [TopicPartition(kafka.topic_prefix + EVENTS_RAW.name, number) for number in range(kafka.partitions)]
        async with AIOKafkaConsumer(bootstrap_servers=kafka.kafka_bootstrap) as consumer:
            return sum((await consumer.end_offsets(homes)).values())

    return asyncio.run(ends())


def test_what_is_refused_says_why_and_writes_nothing(project: Project) -> None:
    stranger = project.stack.project()
    read_only = key_with(project, Scope.CONVERSIONS_READ)
    before = written(project)
    cases: list[tuple[Any, dict[str, str], str | None, int, str, str | None]] = [
        (b"{", {}, None, 400, "malformed_json", None),
        ({}, {}, None, 400, "missing_field", "email"),
        ([ANN], {}, None, 400, "wrong_type", None),
        (ANN | {"type": "refund"}, {}, None, 422, "invalid_value", "type"),
        (ANN | {"revenue": -1}, {}, None, 422, "invalid_money", "revenue"),
        (ANN | {"currency": "ZZZ"}, {}, None, 422, "invalid_currency", "currency"),
        (ANN | {"order_id": "o" * 101}, {}, None, 422, "too_long", "order_id"),
        (ANN | {"attribution_model": "x"}, {}, None, 422, "invalid_value", "attribution_model"),
        (ANN | {"attribution_window": 91}, {}, None, 422, "invalid_value", "attribution_window"),
        (ANN | {"metadata": "x"}, {}, None, 400, "wrong_type", "metadata"),
        (ANN, {"Content-Type": "text/csv"}, None, 415, "unsupported_media_type", "Content-Type"),
        (ANN, {"Idempotency-Key": "k" * 257}, None, 422, "too_long", "Idempotency-Key"),
        (ANN | {"metadata": {"x": "y" * 70_000}}, {}, None, 413, "too_large", None),
        (ANN, {}, "sk_live_wrong", 401, "unauthorized", None),
        (ANN, {}, project.public_key, 403, "insufficient_scope", None),
        (ANN, {}, read_only, 403, "insufficient_scope", None),
    ]
    for body, headers, key, status, code, field in cases:
        answer = post(project, body, key=key, **headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error.get("field")) == (status, code, field), body
    assert written(project) == before
    accept(project)
    assert written(project) == before + 1
    project.eventually(lambda: listed(project)["pagination"]["total"], 1)
    assert listed(stranger)["pagination"]["total"] == 0


@pytest.mark.parametrize(
    ("parameters", "status", "code", "field"),
    [
        ({"limit": 1001}, 400, "out_of_range", "limit"),
        ({"limit": 0}, 400, "out_of_range", "limit"),
        ({"limit": "many"}, 422, "invalid_value", "limit"),
        ({"offset": -1}, 400, "out_of_range", "offset"),
        ({"offset": 10**20}, 400, "out_of_range", "offset"),
        ({"type": "refund"}, 422, "invalid_value", "type"),
    ],
)
def test_a_bad_question_is_refused_by_its_parameter(
    project: Project, parameters: dict[str, Any], status: int, code: str, field: str
) -> None:
    answer = project.request("GET", PATH, params=parameters)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)


def test_the_list_asks_for_its_scope(project: Project) -> None:
    writer = key_with(project, Scope.CONVERSIONS_WRITE)
    assert project.request("GET", PATH, key=writer).status_code == 403
    assert project.request("GET", PATH, key=project.public_key).status_code == 403
    assert project.request("GET", PATH, key="sk_live_wrong").status_code == 401
    assert project.request("GET", PATH, params={"limit": 1000, "offset": 2**53}).status_code == 200


def test_a_repeated_order_has_one_id_and_the_list_shows_its_merged_truth(project: Project) -> None:
    order = {"type": "purchase", "order_id": "o1"}
    first = accept(project, **order, revenue=10)  # in the default currency
    second = accept(project, **order, revenue=12.5, currency="eur", campaign_id="summer", metadata={"plan": "pro"})
    third = accept(project, **order, revenue=99, currency="GBP", campaign_id="winter", attribution_model="linear")
    assert first["id"] == second["id"] == third["id"]
    project.eventually(lambda: listed(project)["pagination"]["total"], 1)
    project.settled(3)
    project.eventually(lambda: rows(project)[0]["attribution_model"], "linear")
    (row,) = rows(project)
    assert (row["revenue"], row["currency"], row["metadata"]) == (Decimal("12.5"), "EUR", {"plan": "pro"})
    assert row["campaign"] == {"id": second["campaign_id"], "name": None}
    (stored,) = project.stack.sql(f"SELECT revenue, currency FROM v_conversions WHERE project_id = '{project.id}'")
    assert (Decimal(stored["revenue"]), stored["currency"]) == (Decimal("12.5"), "EUR")


def test_the_same_request_again_is_answered_with_the_same_ids_and_counted_once(project: Project) -> None:
    goal = project.goal(currency="USD")
    body = ANN | {"type": "purchase", "revenue": 20}
    by_key = [post(project, body, **{"Idempotency-Key": "k"}).json() for _ in range(2)]
    by_order = [post(project, body | {"order_id": "o"}).json() for _ in range(2)]
    for one, other in (by_key, by_order):
        assert (one["data"]["id"], one["receipt"]) == (other["data"]["id"], other["receipt"])
    project.settled(2)
    expected = {"conversions": 2, "unique_conversions": 1, "revenue": Decimal("40.00")}
    project.eventually(lambda: project.stats(goal), expected)
    assert listed(project)["pagination"]["total"] == 2


def test_the_list_holds_every_conversion_and_its_filters_combine(project: Project) -> None:
    ids = {
        "purchase": accept(project, type="purchase", campaign_id="summer")["id"],
        "signup": accept(project, type="signup", campaign_id="summer")["id"],
        "other": accept(project, type="signup", email="bob@example.com", campaign_id="summer")["id"],
    }
    project.accept({"event_type": "conversion", "event_name": "purchase", "revenue": 1, "currency": "USD"})
    project.eventually(lambda: listed(project)["pagination"]["total"], 4)
    contacts = {row["id"]: row["contact"] for row in rows(project)}
    (reported,) = contacts.keys() - ids.values()
    assert contacts[reported] is None
    assert contacts[ids["other"]]["email"] == "bob@example.com"
    ann = contacts[ids["signup"]]
    assert ann == contacts[ids["purchase"]]
    assert {row["id"] for row in rows(project, type="purchase")} == {ids["purchase"], reported}
    assert {row["id"] for row in rows(project, contact_id=ann["id"])} == {ids["purchase"], ids["signup"]}
    assert {row["id"] for row in rows(project, contact_id=ann["id"].upper(), type="signup")} == {ids["signup"]}
    assert {row["id"] for row in rows(project, campaign_id="summer", type="signup")} == {ids["signup"], ids["other"]}
    assert rows(project, campaign_id="summer", type="upgrade") == rows(project, contact_id=str(uuid.uuid4())) == []


def test_pages_cut_the_list_newest_first_and_totals_agree_with_them_while_writes_go_on(project: Project) -> None:
    made = [accept(project, type="upgrade", order_id=f"o{number}")["id"] for number in range(7)]
    project.eventually(lambda: listed(project)["pagination"]["total"], 7)
    whole = [row["id"] for row in rows(project)]
    assert set(whole) == set(made)
    times = [row["converted_at"] for row in rows(project)]
    assert times == sorted(times, reverse=True)
    pages = [listed(project, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [[row["id"] for row in page["data"]] for page in pages] == [whole[:3], whole[3:6], whole[6:], []]
    assert [page["pagination"]["has_more"] for page in pages] == [True, True, False, False]
    assert {page["pagination"]["total"] for page in pages} == {7}
    for number in range(7, 17):
        accept(project, type="upgrade", order_id=f"o{number}")
        page = listed(project, limit=1000)
        assert page["pagination"]["total"] == len(page["data"])
    project.eventually(lambda: listed(project)["pagination"]["total"], 17)


def test_campaigns_and_flows_have_the_name_that_was_put_last_in_their_own_project(project: Project) -> None:
    stranger = project.stack.project()
    id = str(uuid.uuid4())
    for kind in ("campaigns", "flows"):
        path = f"/api/v1/{kind}/{id}"
        assert project.request("GET", path).status_code == 404
        for name in ("Summer", "Summer Sale"):
            put = project.request("PUT", path, json={"name": name})
            assert (put.status_code, put.json()["data"]["id"], put.json()["data"]["name"]) == (200, id, name)
        assert project.request("GET", path).json()["data"]["name"] == "Summer Sale"
        assert stranger.request("GET", path).status_code == 404
        assert stranger.request("PUT", path, json={"name": "Theirs"}).status_code == 200
        bad: list[tuple[Any, int, str, str]] = [
            ({}, 400, "missing_field", "name"),
            ({"name": 5}, 400, "wrong_type", "name"),
            ({"name": " "}, 422, "invalid_value", "name"),
            ({"name": "n" * 201}, 422, "too_long", "name"),
        ]
        for body, status, code, field in bad:
            error = project.request("PUT", path, json=body)
            found = error.json()["error"]
            assert (error.status_code, found["code"], found.get("field")) == (status, code, field), body
        reader = key_with(project, Scope.CONVERSIONS_READ)
        assert project.request("PUT", path, key=reader, json={"name": "x"}).status_code == 403
        assert project.request("GET", path, key=reader).status_code == 200
    accept(project, campaign_id=id, flow_id=id)
    project.eventually(lambda: listed(project)["pagination"]["total"], 1)
    (row,) = rows(project)
    assert row["campaign"] == row["flow"] == {"id": id, "name": "Summer Sale"}


def test_the_address_of_a_contact_is_shown_where_any_report_named_it_and_stored_nowhere_in_the_clear(
    project: Project,
) -> None:
    named = accept(project)
    answer = post(project, {"contact_id": named["contact_id"], "type": "signup", "order_id": "s"})
    assert answer.json()["data"]["contact_id"] == named["contact_id"]
    post(project, {"contact_id": "unknown"})
    project.eventually(lambda: listed(project)["pagination"]["total"], 3)
    contacts = [row["contact"] for row in rows(project)]
    assert sorted(contact["email"] or "" for contact in contacts) == ["", "ann@example.com", "ann@example.com"]
    for table in ("events", "conversion_arrivals", "event_log", "person_keys"):
        for row in project.stack.sql(f"SELECT * FROM {table} WHERE project_id = '{project.id}'"):
            assert "ann@" not in json.dumps(row), table
