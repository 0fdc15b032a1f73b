"""The bytes of a postback, its signature, and who is told."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from control.seals import Seals, new_signing_secret
from processors.delivery.announcements import wanting
from processors.delivery.courier import signature
from processors.delivery.postback import ID_LIMIT, number_of, postback, shown
from processors.delivery.request import Notice, Outgoing
from schemas.control import (
    ControlRecord,
    ControlView,
    Destination,
    DestinationKind,
    LinkGoal,
    LinkGoalType,
    Project,
)
from schemas.events import Conversion
from schemas.outcomes import NoticeEvent, Trust

PROJECT = Project(id="p", name="P", site_key="s")
GOAL = LinkGoal(
    id="g", project_id="p", name="G", goal_type=LinkGoalType.PURCHASE, postback_url="https://a.example/", created_at=5
)


def conversion(**fields: Any) -> Conversion:
    defaults: dict[str, Any] = {
        "project_id": "p",
        "conversion_id": "abc123",
        "kind": "purchase",
        "event_id": "e",
        "trust": Trust.TOKEN,
        "received_at": 1,
        "converted_at": 1_768_996_800_000,
        "revenue": Decimal("99.9900"),
        "currency": "USD",
        "click_id": "789",
    }
    return Conversion(**{**defaults, **fields})


def destination(**fields: Any) -> Destination:
    defaults: dict[str, Any] = {"id": "d", "project_id": "p", "name": "D", "kind": DestinationKind.POSTBACK}
    return Destination(**{**defaults, "url": "https://your-server.com/webhook/pvtlnk", **fields})


def view(*bodies: Any) -> ControlView:
    made = ControlView()
    for offset, body in enumerate((PROJECT, *bodies)):
        current = made.entry(type(body), body.id)
        replaces = current.version if current else 0
        assert made.apply(offset, ControlRecord(record_id=str(offset), replaces=replaces, written_at=1, body=body))
    return made


def built(**fields: Any) -> Outgoing:
    found = postback(destination(), "", Notice(conversion(**fields), NoticeEvent.TRACKED, 456, 789))
    assert isinstance(found, Outgoing)
    return found


def test_the_body_is_the_seeds() -> None:
    made = built()
    assert made.body == (
        b'{"event":"conversion.tracked","conversion_id":"abc123","link_id":456,"click_id":789,'
        b'"value":99.99,"currency":"USD","timestamp":"2026-01-21T12:00:00Z"}'
    )
    assert (made.url, made.signed) == ("https://your-server.com/webhook/pvtlnk", True)


@given(st.decimals(0, 10**14 - 1, places=4))
def test_an_amount_is_told_to_its_last_digit(amount: Decimal) -> None:
    written = str(shown(amount))
    assert Decimal(written) == amount
    assert "E" not in written
    assert 2 <= len(written.partition(".")[2]) <= 4


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("789", 789),
        (str(ID_LIMIT - 1), ID_LIMIT - 1),
        (str(ID_LIMIT), None),
        ("0", None),
        ("", None),
        ("gclid-1", None),
    ],
)
def test_only_an_id_of_ours_is_told_as_a_number(text: str, number: int | None) -> None:
    assert number_of(text) == number


def test_a_signature_is_accepted_with_its_secret_only() -> None:
    secret = new_signing_secret()
    headers = signature(secret, "id", b'{"a":1}')
    assert Webhook(secret).verify(b'{"a":1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret()).verify(b'{"a":1}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a":2}', headers)


def test_secrets_are_sealed_for_one_project_and_one_installation() -> None:
    seals = Seals(b"x" * 32)
    sealed = seals.seal("p", "token")
    assert "token" not in sealed
    assert seals.unseal("p", sealed) == "token"
    assert seals.unseal("q", sealed) is None
    assert Seals(b"y" * 32).unseal("p", sealed) is None


def test_a_destination_without_a_secret_signs_with_one_of_its_own() -> None:
    seals = Seals(b"x" * 32)
    first, second = destination(), destination(id="e")
    assert seals.secret_of(first) == seals.secret_of(first) != seals.secret_of(second)
    assert Seals(b"y" * 32).secret_of(first) != seals.secret_of(first)
    assert seals.secret_of(destination(secret=seals.seal("p", "mine"))) == "mine"
    assert seals.secret_of(destination(secret="broken")) is None
    assert seals.secret_of(destination(kind=DestinationKind.META)) == ""


def test_a_destination_is_told_of_the_kinds_and_the_goal_it_wants() -> None:
    known = view(destination(), destination(id="only", events=("signup",)), GOAL)
    assert [one.id for one in wanting(known, conversion())] == ["d"]
    assert [one.id for one in wanting(known, conversion(kind="signup", goal_id="g"))] == ["d", "only", "g"]
    assert wanting(known, conversion(project_id="q")) == []


def test_a_disabled_destination_is_told_later_and_so_has_its_tasks() -> None:
    assert [one.id for one in wanting(view(destination(enabled=False)), conversion())] == ["d"]
