"""Seed S3's examples, executed as printed with curl: only base URL, token and ids are replaced."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from examples import in_shell, page
from stack import Project, Stack

PAGE = page("s3_conversions.txt")
CAMPAIGN = "7a0c6f1e-3b52-4c8e-9d5f-2e1a4b6c8d90"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(scope="module")
def project(
    kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    stack = Stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("s3"))
    try:
        stack.start()
        yield stack.project()
    finally:
        stack.end()


def example(start: str) -> tuple[str, Any]:
    """The command that begins so, and the answer that is printed below it."""
    lines = PAGE.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(start)]
    return lines[at], json.loads(lines[at + 1], parse_float=Decimal)


def run(command: str, project: Project) -> tuple[int, Any]:
    command = (
        command.replace("https://api.topmail.so", project.stack.url)
        .replace("tm_live_abc123", project.secret_key)
        .replace("campaign-uuid-11111", CAMPAIGN)
    )
    status, body = in_shell(command)
    return status, json.loads(body, parse_float=Decimal)


def printed(answer: Any, ids: dict[str, str], at: dict[str, str]) -> Any:
    """The page's answer with our ids and times."""
    text = json.dumps(answer, default=str)
    for theirs, ours in ids.items():
        text = text.replace(theirs, ours)
    found = json.loads(text)
    data = found["data"] if isinstance(found["data"], dict) else found["data"][0]
    data |= {"revenue": Decimal(data["revenue"]), **at}
    return found


def test_the_examples_work_as_printed(project: Project) -> None:
    command, expected = example("curl -X POST")
    named = project.request("PUT", f"/api/v1/campaigns/{CAMPAIGN}", json={"name": "Summer Sale"})
    assert named.status_code == 200, named.text

    status, made = run(command, project)
    assert status == 201
    data = made["data"]
    ids = {"conv-uuid-12345": data["id"], "contact-uuid-67890": data["contact_id"], "campaign-uuid-11111": CAMPAIGN}
    at = {name: data[name] for name in ("converted_at", "created_at")}
    assert all(re.fullmatch(TIME, value) for value in at.values())
    assert data.pop("attribution_window") == 7
    assert {"data": data} == printed(expected, ids, at)
    assert made["status"] == "accepted"

    command, expected = example('curl "https')
    project.eventually(lambda: run(command, project)[1]["pagination"]["total"], 1)
    status, listed = run(command, project)
    assert status == 200
    row = listed["data"][0]
    assert row.pop("attribution_window") == 7
    # The page's list has no metadata where its request has some: one of the two is abridged.
    assert row.pop("metadata") == {"product": "Premium Plan", "source": "checkout"}
    whole = printed(expected, ids, at)
    del whole["data"][0]["metadata"]
    assert listed == whole
    receipt = project.request("GET", made["receipt"])
    assert (receipt.status_code, receipt.json()["conversion"]["conversion_id"]) == (200, data["id"])
