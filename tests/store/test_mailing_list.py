"""Which campaign the list of conversions names, given what is booked: the question on the real engine."""

import asyncio
import uuid
from collections.abc import Iterator

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from databases import Databases
from history import MINUTE, PROJECT, START, Facts, raw_event

from clickhouse.api import contact_conversions
from clickhouse.client import connect
from clickhouse.read import Reader
from schemas.mailing import Mailing
from schemas.settings import ClickHouseSettings

RUN = uuid.UUID(int=1)
NO_RUN = uuid.UUID(int=0)


class Book:
    """A database with conversions, and credits that the test books itself."""

    def __init__(self, settings: ClickHouseSettings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._facts = Facts(client)

    def conversion(self, order: str, at: int, model: str = "", campaign: str = "", flow: str = "") -> str:
        event = raw_event("purchase", type="conversion", at=at, order=order, revenue="9")
        mailing = Mailing(contact_id="k", campaign_id=campaign, flow_id=flow, attribution_model=model)
        self._facts.store([msgspec.structs.replace(event, mailing=mailing)])
        return event.conversion_id

    def credit(self, id: str, model: str, campaign: str, share: str, at: int, *, run: uuid.UUID = RUN) -> None:
        """An entry over the touch at this minute."""
        self._client.command(
            "INSERT INTO credits (run_id, run_number, project_id, conversion_id, scope, model, touch_id, touched_at,"
            " converted_at, cell, email_campaign_id, share, amount)"
            f" SELECT '{run}', 1, '{PROJECT}', '{id}', 'email', '{model}', '{uuid.UUID(int=at)}', {instant(at)},"
            f" {instant(60)}, {instant(60)}, '{campaign}', {share}, 0"
        )

    def commit(self) -> None:
        self._client.command(
            f"INSERT INTO runs (number, run_id, parent_id, kind) SELECT 1, '{RUN}', '{NO_RUN}', 'book'"
        )

    def shown(self, campaign: str = "") -> dict[str, tuple[str, str]]:
        """Campaign and flow of each conversion of the list, which is filtered by a campaign."""

        async def ask() -> dict[str, tuple[str, str]]:
            reader = Reader(self._settings)
            try:
                scope = {"project_id": PROJECT, "kind": "", "contact_id": "", "campaign_id": campaign}
                page = await reader.row("mailing_page", contact_conversions._Page, scope | {"skip": 0, "page": 100})
                assert page.total == len(page.ids)
                asked = {"project_id": PROJECT, "ids": page.ids}
                rows = await reader.rows("mailing_conversions", contact_conversions._Row, asked)
                assert [row.id for row in rows] == page.ids
                return {row.id: (row.campaign_id, row.flow_id) for row in rows}
            finally:
                await reader.stop()

        return asyncio.run(ask())


def instant(at: int) -> str:
    return f"fromUnixTimestamp64Milli({START + at * MINUTE}, 'UTC')"


@pytest.fixture
def book(databases: Databases) -> Iterator[Book]:
    with databases.migrated() as settings, connect(settings) as client:
        yield Book(settings, client)


def test_of_equal_shares_the_latest_wins_whatever_rounding_added(book: Book) -> None:
    id = book.conversion("o", 60, model="linear")
    for at, campaign, share in ((1, "a", "0.333333334"), (2, "b", "0.333333333"), (3, "c", "0.333333333")):
        book.credit(id, "linear", campaign, share, at)
    book.commit()
    assert book.shown() == {id: ("c", "")}
    assert (book.shown("a"), book.shown("c")) == ({}, {id: ("c", "")})


def test_the_shares_of_one_campaign_count_together(book: Book) -> None:
    id = book.conversion("o", 60, model="linear")
    for at, campaign in ((1, "a"), (2, "a"), (3, "b")):
        book.credit(id, "linear", campaign, "0.333333333", at)
    book.commit()
    assert book.shown("a") == book.shown() == {id: ("a", "")}


def test_only_committed_entries_of_the_conversions_own_model_count_net_of_what_was_taken_back(book: Book) -> None:
    default, first = book.conversion("o", 60), book.conversion("p", 60, model="first_touch")
    for id in (default, first):
        book.credit(id, "last_touch", "b", "1", 2)
        book.credit(id, "first_touch", "a", "1", 1)
        book.credit(id, "last_touch", "c", "1", 3, run=uuid.UUID(int=2))  # of a run that died
    book.credit(default, "last_touch", "b", "-1", 2)
    book.credit(default, "last_touch", "d", "1", 4)
    book.commit()
    assert book.shown() == {default: ("d", ""), first: ("a", "")}
    assert [list(book.shown(campaign)) for campaign in "abcd"] == [[first], [], [], [default]]


def test_a_claim_wins_over_credit_and_of_a_claimed_flow_no_campaign_is_shown(book: Book) -> None:
    claimed, by_flow = book.conversion("o", 60, campaign="x"), book.conversion("p", 61, flow="f")
    none = book.conversion("q", 62)
    for id in (claimed, by_flow):
        book.credit(id, "last_touch", "a", "1", 1)
    book.commit()
    assert book.shown() == {claimed: ("x", ""), by_flow: ("", "f"), none: ("", "")}
    assert (book.shown("a"), book.shown("x")) == ({}, {claimed: ("x", "")})
