"""Answers and uploads, without a server."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from control.contacts import Contacts
from ingest import answers
from ingest.fields import Notice
from ingest.request import Limits, Parsed, Sender, parse
from ingest.upload import Disconnected, read_body
from schemas.errors import Reason, Refused, Unavailable
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

LIMIT = 1000


def parsed(body: object) -> Parsed:
    sender = Sender(project_id="p", trust=Trust.SECRET, received_at=0, new_id=lambda: "new", contacts=Contacts(b""))
    return parse(json.dumps(body).encode(), sender, Limits.of(IngestSettings()))


def test_a_single_event_is_answered_with_its_id() -> None:
    answer = answers.of_request(parsed({"event_type": "x"}), [0], frozenset())
    assert (answer.status, json.loads(answer.body)) == (202, {"status": "accepted", "event_id": "new"})


def test_a_single_event_that_moved_warns() -> None:
    answer = answers.of_request(parsed({"event_type": "x", "plan": 1}), [0], frozenset())
    assert [warning["field"] for warning in json.loads(answer.body)["warnings"]] == ["plan"]


def test_a_batch_has_a_result_for_each_item() -> None:
    request = parsed([{"event_type": "x"}, {"event_type": 5}, {"event_type": "x", "plan": 1}])
    answer = answers.of_request(request, [0, -1, 0], frozenset())
    body = json.loads(answer.body)
    assert (answer.status, body["accepted"], body["rejected"]) == (202, 2, 1)
    assert body["results"][0] == {"index": 0, "status": "accepted", "event_id": "new"}
    error = {"code": "wrong_type", "message": "must be a string", "field": "event_type"}
    assert body["results"][1] == {"index": 1, "status": "rejected", "error": error}
    assert body["results"][2]["warnings"][0]["field"] == "plan"


def test_a_batch_of_which_nothing_was_accepted_is_400_with_the_same_results() -> None:
    answer = answers.of_request(parsed([{}, {"event_type": "x", "currency": "ZZZ"}]), [-1, -1], frozenset())
    body = json.loads(answer.body)
    assert (answer.status, body["accepted"], body["rejected"], body["error"]["code"]) == (400, 0, 2, "missing_field")
    assert [result["error"]["code"] for result in body["results"]] == ["missing_field", "invalid_currency"]


def test_a_batch_that_kafka_took_in_part_says_what_to_send_again() -> None:
    request = parsed([{"event_type": "x"}, {}, {"event_type": "y"}])
    answer = answers.of_request(request, [0, -1, 3], frozenset({3}))
    body = json.loads(answer.body)
    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (503, b"1")
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected", "unavailable"]
    assert (body["accepted"], body["rejected"], body["unavailable"]) == (1, 1, 1)
    assert body["error"]["code"] == "unavailable"


def test_a_single_event_that_kafka_did_not_take_is_503_with_retry_after() -> None:
    answer = answers.of_request(parsed({"event_type": "x"}), [2], frozenset({2}))
    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (503, b"1")
    assert set(json.loads(answer.body)) == {"error"}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_answer(reason: Reason) -> None:
    answer = answers.of_error(Refused(reason, "because", field="f"))
    assert json.loads(answer.body) == {"error": {"code": reason.value, "message": "because", "field": "f"}}
    assert answers.of_error(Unavailable("away", retry_after_s=7)).headers == [(b"retry-after", b"7")]


def test_a_notice_without_a_field_names_none() -> None:
    request = Parsed(False, parsed({"event_type": "x"}).items, {0: [Notice("code", "message")]})
    body = json.loads(answers.of_request(request, [0], frozenset()).body)
    assert body["warnings"] == [{"code": "code", "message": "message"}]


class Upload:
    """A client that sends these chunks and then, if told so, nothing more."""

    def __init__(self, chunks: Iterator[bytes], *, ends: bool = True, leaves: bool = False) -> None:
        self.chunks = chunks
        self.ends = ends
        self.leaves = leaves
        self.bytes_read = 0

    async def receive(self) -> dict[str, Any]:
        chunk = next(self.chunks, None)
        if chunk is not None:
            self.bytes_read += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": True}
        if self.leaves:
            return {"type": "http.disconnect"}
        if not self.ends:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}


async def test_a_body_in_chunks_is_put_together() -> None:
    upload = Upload(iter([b"a" * 600, b"b" * 400]))
    assert await read_body(upload.receive, b"", LIMIT, 1) == b"a" * 600 + b"b" * 400


async def test_an_endless_body_stops_near_the_limit_without_content_length() -> None:
    upload = Upload(iter(lambda: b"x" * 100, None))
    with pytest.raises(Refused) as refusal:
        await read_body(upload.receive, b"", LIMIT, 1)
    assert refusal.value.http_status == 413
    assert upload.bytes_read <= 5 * LIMIT


async def test_a_body_announced_far_too_large_is_not_begun() -> None:
    upload = Upload(iter([b"x"]))
    with pytest.raises(Refused) as refusal:
        await read_body(upload.receive, b"5000000000", LIMIT, 1)
    assert (refusal.value.http_status, upload.bytes_read) == (413, 0)


@pytest.mark.parametrize("chunks", [[], [b"x"]])
async def test_a_body_that_never_ends_times_out(chunks: list[bytes]) -> None:
    with pytest.raises(Refused, match="in time") as refusal:
        await read_body(Upload(iter(chunks), ends=False).receive, b"", LIMIT, 0.02)
    assert (refusal.value.http_status, refusal.value.reason) == (408, Reason.READ_TIMEOUT)
    assert (b"connection", b"close") in answers.of_error(refusal.value).headers


async def test_a_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(Disconnected):
        await read_body(Upload(iter([b"x"]), leaves=True).receive, b"", LIMIT, 1)
