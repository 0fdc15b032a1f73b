"""An explanation names every candidate touch, why it is in or out, and shares that add up to what the book holds."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from history import PROJECT
from shop import Shop

from clickhouse.api.explainer import Explainer, Explanation
from clickhouse.read import Reader
from schemas.control import Project
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.mailing import Mailing
from schemas.settings import ApiSettings
from tests.store.test_attribution import DAY, booked, click, mail, order, page, with_click

TENANT = Project(id=PROJECT, name="Shop", site_key="sk_shop")


class Asked:
    """Explanations of one shop."""

    def __init__(self, shop: Shop) -> None:
        settings = ApiSettings(clickhouse=shop.settings)
        self.reader = Reader(settings.clickhouse)
        self._explainer = Explainer(settings, self.reader)

    async def __call__(self, conversion: RawEvent, tenant: Project = TENANT) -> Explanation:
        return await self._explainer.explain(tenant, conversion.conversion_id)


@pytest.fixture
async def explain(shop: Shop) -> AsyncIterator[Asked]:
    asked = Asked(shop)
    yield asked
    await asked.reader.stop()


def told(explanation: Explanation) -> list[tuple[str, str, Any, Any, Any]]:
    return [(t.source, t.kind, t.included, t.why, t.matched_by) for t in explanation.touches]


async def test_every_candidate_touch_is_there_in_time_order_with_its_reason(shop: Shop, explain: Asked) -> None:
    sold = order("o", 40 * DAY, user="ann", fingerprint="f", revenue="10")
    booked(
        shop,
        page(1, "google", session="old", user="ann"),
        page(30 * DAY, session="direct", user="ann"),
        click(1, 31 * DAY, "poster", fingerprint="f"),
        click(2, 32 * DAY, "newsletter"),
        with_click(page(32 * DAY + 1, "newsletter", session="landing", user="ann"), 2),
        page(33 * DAY, "bing", session="last", user="ann"),
        page(41 * DAY, "yahoo", session="after", user="ann"),
        sold,
    )
    found = await explain(sold)
    assert told(found) == [
        ("google", "campaign", False, "outside_lookback", "user"),
        ("(direct)", "entry", False, "direct", "user"),
        ("poster", "click", False, "weaker_key", "fingerprint"),
        ("newsletter", "click", False, "superseded", "user"),
        ("newsletter", "campaign", True, None, "user"),
        ("bing", "campaign", True, None, "user"),
        ("yahoo", "campaign", False, "after_conversion", "user"),
    ]
    assert found.person.matched_by == "user"
    identities = {(identity.kind, identity.value) for identity in found.person.identities}
    assert ("user", "ann") in identities
    assert ("fingerprint", None) in identities
    clicks = [verdict for touch in found.touches for verdict in touch.verdicts if verdict.scope == "clicks"]
    assert [(verdict.included, verdict.why) for verdict in clicks] == [(False, "weaker_key"), (True, None)]


async def test_shares_add_up_and_equal_the_book(shop: Shop, explain: Asked) -> None:
    sold = order("o", 9, user="ann", revenue="0.1", mailing=Mailing(contact_id="c"))
    booked(shop, *(page(n, f"s{n}", session=f"s{n}", user="ann") for n in range(3)), mail("spring", 4, "c"), sold)
    found = await explain(sold)
    sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for touch in found.touches:
        for one in touch.shares:
            share, amount = sums.get((one.scope, one.model), (Decimal(0), Decimal(0)))
            sums[one.scope, one.model] = (share + one.share, amount + one.amount)
    assert len(sums) == 10
    assert set(sums.values()) == {(Decimal(1), Decimal("0.1"))}
    assert found.net == Decimal("0.1")
    explained = {
        (one.scope, one.model, touch.touch_id): (one.share, one.amount)
        for touch in found.touches
        for one in touch.shares
    }
    in_book = {key[1:]: (credit.share, credit.amount) for key, credit in shop.credits().items()}
    assert explained == in_book


async def test_bookings_tell_their_run_and_cause(shop: Shop, explain: Asked) -> None:
    sold = order("o", 9, user="ann", revenue="5")
    booked(shop, page(0, "google", session="s", user="ann"), sold)
    booked(shop, page(5, "bing", session="t", user="ann"))
    entries = [
        (one.run, one.cause, one.source, one.share, one.amount)
        for one in (await explain(sold)).bookings
        if one.model == "last_touch"
    ]
    assert entries == [
        (1, "arrival", "google", 1, 5),
        (2, "touch", "google", -1, -5),
        (2, "touch", "bing", 1, 5),
    ]


async def test_a_conversion_of_nobody_is_credited_to_direct(shop: Shop, explain: Asked) -> None:
    sold = order("o", 9, revenue="5")
    booked(shop, sold)
    (touch,) = (await explain(sold)).touches
    assert (touch.touch_id, touch.source, touch.included) == (None, "(direct)", True)
    assert {(share.scope, share.share, share.amount) for share in touch.shares} == {("all", 1, 5)}


async def test_another_tenants_conversion_is_not_found(shop: Shop, explain: Asked) -> None:
    sold = order("o", 9, revenue="5")
    booked(shop, sold)
    with pytest.raises(Refused, match="no such conversion"):
        await explain(sold, Project(id="22222222-2222-4222-8222-222222222222", name="Other", site_key="sk_other"))
