"""Reconciliation over HTTP: a provider's list beside what was posted."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from stack import Project

from clickhouse.provider_orders import BYTES_MAX
from schemas.control import KeyKind, Scope

TIME = "2026-03-01T12:00:00Z"
HEAD = "order_id,amount,currency,time\n"


def ask(
    project: Project, body: str | bytes, content_type: str = "text/csv", *, key: str | None = None, **query: Any
) -> httpx.Response:
    return project.request(
        "POST",
        f"/v1/projects/{project.id}/reconcile",
        key=key,
        content=body,
        params=query,
        headers={"Content-Type": content_type},
    )


def sale(order: str, revenue: str, **fields: Any) -> dict[str, Any]:
    body = {"event_type": "conversion", "event_name": "purchase", "timestamp": TIME, "currency": "USD"}
    return body | {"revenue": revenue, "event_id": order, "properties": {"order_id": order}, **fields}


def found(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return result


def test_csv_and_json_lists_are_answered_alike_with_receipts_that_exist(project: Project) -> None:
    project.accept([sale("o1", "49.99"), sale("o2", "10.01"), sale("o3", "5"), sale("o4", "1", timestamp="2026-02-01")])
    rows = [("o1", "49.99"), ("o2", "10"), ("o5", "0.1")]
    project.eventually(lambda: found(ask(project, HEAD + f"o1,49.99,USD,{TIME}\n"))["counts"]["matched"], 1)
    project.eventually(lambda: found(ask(project, HEAD + f"o4,1,USD,{TIME}\n"))["counts"]["extra"], 3)
    listed = [{"order_id": name, "amount": Decimal(amount), "currency": "usd", "time": TIME} for name, amount in rows]
    as_json = "[" + ",".join(json.dumps(row, default=str) for row in listed) + "]"
    answers = [
        found(ask(project, HEAD + "".join(f"{name},{amount},USD,{TIME}\n" for name, amount in rows))),
        found(ask(project, f'{{"orders":{as_json}}}', "application/json; charset=utf-8")),
        found(ask(project, as_json[1:-1].replace("},{", "}\n{"), "application/x-ndjson")),
    ]
    for answer in answers:
        assert answer["counts"] == {"matched": 1, "missing": 1, "extra": 1, "amount_differs": 1, "unnamed": 0}
        assert (answer["agrees"], answer["truncated"]) == (False, False)
        assert answer["totals"] == [
            {
                "currency": "USD",
                "provider": Decimal("60.09"),
                "ours": Decimal("65.00"),
                "difference": Decimal("4.91"),
                "matched": Decimal("49.99"),
                "unnamed": Decimal("0.00"),
            }
        ]
        (missing,), (extra,), (differing,) = answer["missing"], answer["extra"], answer["amount_differs"]
        assert (missing["order_id"], missing["ours"], missing["receipt"]) == ("o5", None, None)
        assert (extra["order_id"], extra["provider"]) == ("o3", None)
        assert (differing["ours"]["amount"], differing["provider"]["amount"]) == (Decimal("10.01"), Decimal("10.00"))
        assert {extra["order_id"], differing["order_id"]} == {"o3", "o2"}
        for order in (extra, differing):
            receipt = project.request("GET", order["receipt"]).json()
            assert (receipt["outcome"], receipt["conversion"]["order_id"]) == ("stored", order["order_id"])
    wide = found(
        ask(project, HEAD + f"o1,49.99,USD,{TIME}\n", **{"from": "2026-02-01", "to": "2026-03-01", "limit": 1})
    )
    assert (wide["counts"]["extra"], len(wide["extra"]), wide["truncated"]) == (3, 1, True)
    assert wide["time"] == {"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T23:59:59.999000Z"}
    assert found(ask(project, HEAD + f"o1,49.99,USD,{TIME}\n", kind="signup"))["counts"]["missing"] == 1


def test_an_empty_project_misses_all_and_a_strangers_orders_are_not_seen(project: Project) -> None:
    stranger = project.stack.project()
    project.accept(sale("o1", "49.99"))
    row = HEAD + f"o1,49.99,USD,{TIME}\n"
    project.eventually(lambda: found(ask(project, row))["agrees"], True)
    assert found(ask(stranger, row))["counts"]["missing"] == 1
    answer = project.request(
        "POST", f"/v1/projects/{stranger.id}/reconcile", content=row, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 404
    assert ask(project, row, key=project.public_key).status_code == 403
    assert ask(project, row, key="sk_live_wrong").status_code == 401
    body = {"kind": KeyKind.SECRET, "scopes": [Scope.ANALYTICS_READ]}
    reader = project.request("POST", f"/v1/projects/{project.id}/keys", json=body).json()["key"]
    assert ask(project, row, key=reader).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "field", "told"),
    [
        (HEAD + f"o1,1,USD,{TIME}\no2,x,USD,{TIME}\n", "text/csv", 422, "invalid_money", "amount", "line 3: "),
        (HEAD + f"o1,1,USD,{TIME}\n,1,USD,{TIME}\n", "text/csv", 400, "missing_field", "order_id", "line 3: "),
        (HEAD + "o1,1,USD,soon\n", "text/csv", 422, "invalid_timestamp", "time", "line 2: "),
        ("order_id,amount\no1,1\n", "text/csv", 400, "missing_field", "currency", "line 1: "),
        (b"order_id,amount,currency,time\n\xff,1,USD,0\n", "text/csv", 400, "bad_encoding", None, ""),
        (HEAD, "text/csv", 400, "empty_batch", None, ""),
        ('[{"order_id": "o"}]', "application/json", 400, "missing_field", "amount", "line 1: "),
        ("[1", "application/json", 400, "malformed_json", None, ""),
        ('{"orders": 1}', "application/json", 400, "wrong_type", "orders", ""),
        ("{}", "application/xml", 415, "unsupported_media_type", "Content-Type", ""),
        (" " * (BYTES_MAX + 1), "text/csv", 413, "too_large", None, ""),
    ],
)
def test_a_bad_list_is_refused_by_line(
    project: Project, body: str | bytes, content_type: str, status: int, code: str, field: str | None, told: str
) -> None:
    answer = ask(project, body, content_type)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (status, code, field)
    assert error["message"].startswith(told)


@pytest.mark.parametrize(
    ("query", "field"), [({"from": "soon"}, "from"), ({"tolerance_s": -1}, "tolerance_s"), ({"limit": 10**6}, "limit")]
)
def test_a_bad_question_is_refused_by_its_parameter(project: Project, query: dict[str, Any], field: str) -> None:
    answer = ask(project, HEAD + f"o1,1,USD,{TIME}\n", **query)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
