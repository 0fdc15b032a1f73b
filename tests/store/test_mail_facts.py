"""What an interaction with an e-mail leaves in the tables, from which conversions are credited."""

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from databases import Databases
from history import PROJECT, Facts, raw_event

from clickhouse.client import connect
from schemas.events import RawEvent
from schemas.mailing import Mailing

ANN = "5f1c2f6e-0d0a-8d52-9a53-3f3f5e1f0d11"
SUMMER = "3f2b8f4e-7a52-4e7e-9f5c-0d5a1c2b3d4e"
WELCOME = "7a0c6f1e-3b52-4c8e-9d5f-2e1a4b6c8d90"


@pytest.fixture
def client(databases: Databases) -> Iterator[Client]:
    """A client of a database of its own."""
    with databases.migrated() as settings, connect(settings) as client:
        yield client


def with_mail(event: RawEvent, campaign: str = "", flow: str = "", **fields: Any) -> RawEvent:
    mailing = Mailing(contact_id=ANN, campaign_id=campaign, flow_id=flow)
    return msgspec.structs.replace(event, mailing=mailing, **fields)


def rows(client: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql).result_rows]


def test_interactions_are_found_by_their_contact(client: Client) -> None:
    facts = Facts(client)
    opened = with_mail(raw_event(type="email_open", at=1, user="u"), SUMMER)
    clicked = with_mail(raw_event(type="email_click", at=2, anonymous="a", session="s"), SUMMER, WELCOME)
    strange = raw_event(type="email_open", at=3, user="u")
    for _ in range(2):  # a replay writes the same rows
        facts = Facts(client)
        facts.store([opened, clicked, strange, with_mail(raw_event(at=4, anonymous="a", session="s"))])
    found = rows(
        client,
        "SELECT kind, key, touch_id, interaction, source, medium, campaign, channel, email_campaign_id, flow_id"
        " FROM mail_keys FINAL ORDER BY touched_at",
    )
    assert found == [
        ("contact", ANN, uuid.UUID(opened.event_id), "open", "email", "email", SUMMER, "Email", SUMMER, ""),
        ("contact", ANN, uuid.UUID(clicked.event_id), "click", "email", "email", SUMMER, "Email", SUMMER, WELCOME),
    ]
    stored = rows(client, "SELECT contact_id, email_campaign_id, flow_id, touch FROM events FINAL ORDER BY occurred_at")
    assert stored == [
        (ANN, SUMMER, "", "email"),
        (ANN, SUMMER, WELCOME, "email"),
        ("", "", "", ""),
        (ANN, "", "", "entry"),
    ]


def test_a_contact_leads_to_its_sessions_and_conversions(client: Client) -> None:
    visit = with_mail(raw_event(at=1, anonymous="a", session="s"))
    bought = with_mail(raw_event("purchase", at=2, type="conversion", user="u", revenue="5"))
    clicked = with_mail(raw_event(type="email_click", at=3, anonymous="b"), SUMMER)
    Facts(client).store([visit, bought, clicked])
    carriers = rows(
        client,
        "SELECT carrier_kind, carrier FROM person_keys FINAL"
        f" WHERE project_id = '{PROJECT}' AND kind = 'contact' AND key = '{ANN}'",
    )
    sessions = {carrier for kind, carrier in carriers if kind == "session"}
    assert {carrier for kind, carrier in carriers if kind == "conversion"} == {bought.conversion_id}
    mailbox = rows(client, "SELECT session_id FROM events FINAL WHERE touch = 'email'")[0][0]
    assert {"s", mailbox} < sessions
    tied = rows(
        client, f"SELECT kind, key FROM person_keys FINAL WHERE carrier_kind = 'session' AND carrier = '{mailbox}'"
    )
    assert set(tied) == {("contact", ANN), ("anonymous", "b")}


def test_the_fingerprint_of_a_visit_leads_to_its_session_and_that_of_a_mail_programs_proxy_nowhere(
    client: Client,
) -> None:
    visit = msgspec.structs.replace(raw_event(at=1, anonymous="a", session="s"), fingerprint="f")
    again = msgspec.structs.replace(raw_event(at=2, anonymous="a", session="s"), fingerprint="f")
    opened = with_mail(raw_event(type="email_open", at=3, anonymous="a"), SUMMER, fingerprint="proxy")
    Facts(client).store([visit, again, opened])
    found = rows(client, "SELECT kind, key, carrier FROM person_keys FINAL WHERE kind = 'fingerprint'")
    assert found == [("fingerprint", "f", "s")]
    announced = rows(client, "SELECT key_kinds FROM events FINAL ORDER BY occurred_at LIMIT 2")
    assert announced == [(["anonymous", "fingerprint"],), ([],)]
