"""Credits against their twin in plain Python: five models, three scopes, persons over devices, any order of arrival."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from attribution import ledger
from depth import examples
from history import MINUTE, PROJECT, START, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shop import SIZES, Shop

from clickhouse.statements import PARTS, STATEMENTS, statements
from processors.runtime.failpoint import Seam
from schemas.events import RawEvent
from schemas.mailing import Mailing
from schemas.outcomes import Trust

DAY = 24 * 60
"""In minutes."""
MODELS = {"last_touch", "first_touch", "linear", "position", "time_decay"}


class Crash(Exception):
    """The booker dies here."""


def page(at: int, source: str = "", *, session: str, **who: str) -> RawEvent:
    return raw_event(at=at, source=source, session=session, **who)


def order(
    name: str, at: int, *, revenue: str = "10", session: str = "", mailing: Mailing | None = None, **who: Any
) -> RawEvent:
    fields = {key: who.pop(key) for key in ("click_id", "fingerprint", "window_days") if key in who}
    event = raw_event(
        "purchase", type="conversion", at=at, order=name, revenue=revenue, session=session or f"server {name}", **who
    )
    return msgspec.structs.replace(event, mailing=mailing or Mailing(), **fields)


def click(id: int, at: int, source: str = "", *, fingerprint: str = "", session: str = "") -> RawEvent:
    """A click on a link, as the redirect records it."""
    return RawEvent(
        project_id=PROJECT,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, str(id))),
        trust=Trust.PUBLIC,
        received_at=START + at * MINUTE,
        occurred_at=START + at * MINUTE,
        timed=True,
        event_type="click",
        visitor=f"c:{id}",
        session_id=session or f"click {id}",
        click_id=str(id),
        fingerprint=fingerprint,
        url=f"https://shop.example/?click_id={id}" + (f"&utm_source={source}&utm_medium=cpc" if source else ""),
        link_id=456,
    )


def mail(campaign: str, at: int, contact: str, *, flow: str = "", opened: bool = False, user: str = "") -> RawEvent:
    """An interaction with an e-mail, as the mailing software reports it."""
    event = raw_event(
        type="email_open" if opened else "email_click",
        at=at,
        id=f"mail {campaign} {flow} {at}",
        user=user,
        session=f"mail {campaign} {flow} {at}",
    )
    return msgspec.structs.replace(
        event,
        url="",
        visitor=f"k:{contact}",
        mailing=Mailing(contact_id=contact, campaign_id=campaign, flow_id=flow),
    )


def with_click(event: RawEvent, id: int) -> RawEvent:
    """The landing after a click."""
    return msgspec.structs.replace(
        event, click_id=str(id), url=f"{event.url}{'&' if '?' in event.url else '?'}click_id={id}"
    )


def booked(shop: Shop, *events: RawEvent) -> None:
    shop.facts.store(events)
    shop.books().book()


def sources(shop: Shop, model: str = "linear", scope: str = "all") -> list[tuple[str, str, Decimal]]:
    """(source, matched by, amount), by time of touch."""
    rows = shop.client.query(
        "SELECT source, matched_by, amount FROM v_credits WHERE scope = {scope:String} AND model = {model:String}"
        " ORDER BY touched_at",
        parameters={"scope": scope, "model": model},
    ).result_rows
    return [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.usefixtures("both_ways")
def test_five_models_share_one_order(shop: Shop) -> None:
    visits = [
        page(n * 7 * DAY, name, session=f"s{n}", user="u")
        for n, name in enumerate(["google", "facebook", "bing", "yahoo"])
    ]
    booked(shop, *visits, order("o", 21 * DAY + 1, revenue="100", user="u"))
    shares = {model: [amount for _, _, amount in sources(shop, model)] for model in sorted(MODELS)}
    assert shares == {
        "first_touch": [Decimal(100)],
        "last_touch": [Decimal(100)],
        "linear": [Decimal(25)] * 4,
        "position": [Decimal(40), Decimal(10), Decimal(10), Decimal(40)],
        "time_decay": [Decimal("6.6667"), Decimal("13.3333"), Decimal("26.6667"), Decimal("53.3333")],
    }
    assert [source for source, *_ in sources(shop, "first_touch")] == ["google"]
    assert [source for source, *_ in sources(shop, "last_touch")] == ["yahoo"]


@pytest.mark.usefixtures("both_ways")
def test_three_touches_share_ten_cents_to_the_last_digit(shop: Shop) -> None:
    booked(
        shop,
        *(page(n, f"s{n}", session=f"s{n}", user="u") for n in range(3)),
        order("o", 9, revenue="0.1", user="u"),
    )
    amounts = [amount for _, _, amount in sources(shop)]
    assert (amounts, sum(amounts)) == ([Decimal("0.0333"), Decimal("0.0334"), Decimal("0.0333")], Decimal("0.1"))
    (total,) = shop.client.query("SELECT sum(share) FROM v_credits WHERE model = 'linear'").result_rows[0]
    assert total == 1


@pytest.mark.usefixtures("both_ways")
def test_anonymous_visits_on_two_devices_of_one_user_are_one_person(shop: Shop) -> None:
    booked(
        shop,
        page(0, "google", session="phone 1", anonymous="phone"),
        page(10, "", session="phone 2", anonymous="phone", user="ann"),
        page(20, "bing", session="desk 1", anonymous="desk"),
        page(30, "", session="desk 2", anonymous="desk", user="ann"),
        order("of the phone", 40, session="phone 3", anonymous="phone"),
    )
    assert sources(shop) == [("google", "anonymous", Decimal(5)), ("bing", "anonymous", Decimal(5))]


@pytest.mark.usefixtures("both_ways")
def test_a_login_learned_later_reattributes_its_person_and_nobody_else(shop: Shop) -> None:
    booked(
        shop,
        page(0, "google", session="phone 1", anonymous="phone"),
        page(5, "yahoo", session="other", anonymous="other"),
        order("of ann", 40, user="ann"),
        order("of another", 41, anonymous="other"),
    )
    before = shop.client.query("SELECT sum(credits) FROM runs").result_rows[0][0]
    assert [source for source, *_ in sources(shop)] == ["(direct)", "yahoo"] or sources(shop)[0][0] == "yahoo"
    booked(shop, page(50, "", session="phone 2", anonymous="phone", user="ann"))
    assert {source for source, *_ in sources(shop)} == {"google", "yahoo"}
    changed = shop.client.query(
        "SELECT DISTINCT toString(conversion_id) = {id:String}, cause FROM credits WHERE run_number > 1",
        parameters={"id": order("of ann", 40).conversion_id},
    ).result_rows
    assert changed == [(True, "touch")]
    assert shop.client.query("SELECT sum(credits) FROM runs").result_rows[0][0] == before + 2 * len(MODELS)


@pytest.mark.usefixtures("both_ways")
def test_two_users_of_one_device_are_never_merged(shop: Shop) -> None:
    booked(
        shop,
        page(0, "google", session="1", anonymous="kiosk", user="ann"),
        page(10, "bing", session="2", anonymous="kiosk", user="bob"),
        page(20, "yahoo", session="3", anonymous="kiosk"),
        order("of ann", 30, user="ann"),
        order("of the kiosk", 31, anonymous="kiosk", revenue="20"),
    )
    assert sources(shop) == [("google", "user", Decimal(10)), ("yahoo", "anonymous", Decimal(20))]


@pytest.mark.usefixtures("both_ways")
def test_a_key_with_too_many_edges_ties_nothing_and_is_marked(shop: Shop) -> None:
    books = shop.books(key_max_edges=5)
    pages = [page(n, f"s{n}", session=f"s{n}", user="test") for n in range(4)]
    shop.facts.store([*pages[:2], order("o", 60, user="test")])
    books.book()
    assert [source for source, *_ in sources(shop)] == ["s0", "s1"]
    for one in pages[2:]:
        shop.facts.store([one])
        books.book()
    assert sources(shop) == [("(direct)", "", Decimal(10))]
    assert shop.client.query("SELECT kind, key FROM v_capped_keys").result_rows == [("user", "test")]
    assert books.sweep() is not None
    assert sources(shop) == [("(direct)", "", Decimal(10))]


@pytest.mark.usefixtures("both_ways")
def test_the_e_mails_of_a_contact_with_too_many_edges_are_nobodys(shop: Shop) -> None:
    books = shop.books(key_max_edges=3)
    shop.facts.store([mail(f"campaign{n}", n * 60, "c") for n in range(5)])
    books.book()
    shop.facts.store([order("o", DAY, mailing=Mailing(contact_id="c"))])
    books.book()
    assert sources(shop) == [("(direct)", "", Decimal(10))]
    assert sources(shop, scope="email") == []


@pytest.mark.usefixtures("both_ways")
def test_a_fingerprint_that_reports_alone_make_too_common_is_marked_in_their_run(shop: Shop) -> None:
    books = shop.books(key_max_edges=4)
    shop.facts.store([click(1, 0, "poster", fingerprint="f"), order("o0", 10, fingerprint="f")])
    reports = shop.facts.store([order("o1", 11, fingerprint="f")], arrive=False)
    books.book()
    assert [source for source, *_ in sources(shop)] == ["poster"]
    shop.facts.store_arrivals(reports)
    books.book()
    assert {source for source, *_ in sources(shop)} == {"(direct)"}
    assert shop.client.query("SELECT kind, key FROM v_capped_keys").result_rows == [("fingerprint", "f")]


@pytest.mark.usefixtures("both_ways")
def test_a_click_that_landed_counts_once_among_all_touches_and_as_a_click_among_clicks(shop: Shop) -> None:
    booked(
        shop,
        click(1, 0, "newsletter"),
        with_click(page(1, "newsletter", session="landing", anonymous="a"), 1),
        page(2, "google", session="again", anonymous="a"),
        order("o", 5, anonymous="a"),
    )
    assert sources(shop) == [("newsletter", "anonymous", Decimal(5)), ("google", "anonymous", Decimal(5))]
    assert sources(shop, scope="clicks") == [("newsletter", "anonymous", Decimal(10))]


@pytest.mark.usefixtures("both_ways")
def test_a_click_recorded_after_the_visit_it_led_to_and_the_sale_is_credited_to_whom_it_brought(shop: Shop) -> None:
    booked(
        shop,
        with_click(page(10, "google", session="landing", anonymous="phone"), 7),
        order("of the phone", 20, anonymous="phone"),
    )
    assert sources(shop, scope="clicks") == []
    booked(shop, click(7, 9, "poster"))
    assert sources(shop, scope="clicks") == [("poster", "anonymous", Decimal(10))]


@pytest.mark.usefixtures("both_ways")
def test_a_fingerprint_counts_only_where_nothing_better_has_a_touch(shop: Shop) -> None:
    booked(
        shop,
        click(1, 0, "poster", fingerprint="f"),
        page(1, "google", session="s", user="u"),
        order("known", 5, user="u", fingerprint="f"),
        order("unknown", 6, fingerprint="f", revenue="3"),
    )
    assert sources(shop) == [("poster", "fingerprint", Decimal(3)), ("google", "user", Decimal(10))]


@pytest.mark.usefixtures("both_ways")
def test_an_explicit_campaign_overrides_what_the_contact_did(shop: Shop) -> None:
    booked(
        shop,
        mail("spring", 0, "c"),
        mail("summer", 10, "c", opened=True),
        order("by model", 20, mailing=Mailing(contact_id="c")),
        order("claimed", 21, mailing=Mailing(contact_id="c", campaign_id="spring")),
        order("claimed for another", 22, mailing=Mailing(contact_id="c", campaign_id="autumn")),
        order("late", 8 * DAY, mailing=Mailing(contact_id="c")),
        order("late but inside", 8 * DAY + 1, mailing=Mailing(contact_id="c", attribution_window_days=9)),
    )
    rows = shop.client.query(
        "SELECT converted_at, groupArray((email_campaign_id, toFloat64(share))) FROM"
        " (SELECT * FROM v_credits WHERE scope = 'email' AND model = 'linear' ORDER BY touched_at)"
        " GROUP BY converted_at ORDER BY converted_at"
    ).result_rows
    assert [row[1] for row in rows] == [
        [("spring", 0.5), ("summer", 0.5)],
        [("spring", 1)],
        [("autumn", 1)],
        [("spring", 0.5), ("summer", 0.5)],
    ]


@pytest.mark.usefixtures("both_ways")
def test_contact_and_user_are_one_person(shop: Shop) -> None:
    booked(
        shop,
        mail("spring", 0, "c", user="ann"),
        page(1, "google", session="s", user="ann"),
        order("by contact", 5, mailing=Mailing(contact_id="c")),
    )
    assert sources(shop) == [("email", "contact", Decimal(5)), ("google", "user", Decimal(5))]


@pytest.mark.usefixtures("both_ways")
def test_a_model_added_in_one_place_applies_to_all_history(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    booked(shop, *(page(n, f"s{n}", session=f"s{n}", user="u") for n in range(3)), order("o", 9, revenue="9", user="u"))
    models = PARTS["/* models */"]
    added = models.replace("('linear',", "('middle', arrayMap(i -> toUInt64(i = 2), place)),\n('linear',")
    assert added != models
    for name, text in statements({**PARTS, "/* models */": added}).items():
        monkeypatch.setitem(STATEMENTS, name, text)
    for module in ("ledger", "books"):
        monkeypatch.setattr(f"processors.booker.{module}.RULES", 1)
    assert shop.books().book() is not None
    assert sources(shop, "middle") == [("s1", "user", Decimal(9))]
    assert shop.books().book() is None
    assert shop.views_equal_their_recomputation()


@st.composite
def histories(draw: st.DrawFn, *, minutes_apart: bool = True) -> list[RawEvent]:
    """Visits, clicks, e-mails and orders of a few people, on devices that some of them share."""
    times = st.integers(0, 40 * DAY) if minutes_apart else st.integers(0, 12).map(lambda n: n * 3 * DAY)
    minutes = iter(draw(st.lists(times, min_size=40, max_size=40, unique=minutes_apart)))

    def one(name: str, count: int, *, empty: bool = True) -> str:
        number = draw(st.integers(-1 if empty else 0, count - 1))
        return f"{name}{number}" if number >= 0 else ""

    events = []
    for number in range(draw(st.integers(2, 9))):
        visit = page(
            next(minutes),
            draw(st.sampled_from(["", "google", "facebook"])),
            session=one("session", 5, empty=False),
            user=one("user", 2),
            anonymous=one("device", 3),
        )
        visit = msgspec.structs.replace(visit, event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"page {number}")))
        events.append(with_click(visit, draw(st.integers(1, 3))) if draw(st.booleans()) else visit)
    events += [
        click(number + 1, next(minutes), draw(st.sampled_from(["", "poster"])), fingerprint=one("print", 2))
        for number in range(draw(st.integers(0, 3)))
    ]
    events += [
        mail(one("campaign", 2, empty=False), next(minutes), one("contact", 2, empty=False), user=one("user", 2))
        for _ in range(draw(st.integers(0, 3)))
    ]
    for number in range(draw(st.integers(1, 5))):
        mailing = Mailing(
            contact_id=one("contact", 2),
            campaign_id=draw(st.sampled_from(["", "", "campaign0", "campaign9"])),
            attribution_window_days=draw(st.sampled_from([0, 0, 3, 20])),
        )
        events.append(
            order(
                one("order", 4, empty=False),
                next(minutes),
                revenue=draw(st.sampled_from(["", "0.1", "0.0001", "49.99"])),
                mailing=mailing,
                user=one("user", 2),
                anonymous=one("device", 3),
                session=draw(st.sampled_from(["", f"session{number}"])),
                fingerprint=one("print", 2),
                click_id=draw(st.sampled_from(["", "", "1", "2"])),
                trust=draw(st.sampled_from([Trust.SECRET, Trust.PUBLIC])),
                id=f"order {number}",
            )
        )
    return events


@given(history=histories(), data=st.data())
@settings(
    max_examples=examples(6),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes on a real database
)
def test_credits_equal_their_twin_in_any_order_of_arrival_and_after_any_crash(
    new_shop: Callable[[], Shop], history: list[RawEvent], data: st.DataObject
) -> None:
    shop = new_shop()
    arriving = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arriving)), max_size=2)))
    small, books = data.draw(st.sampled_from(SIZES)), None
    for since, until in zip([0, *cuts], [*cuts, len(arriving)], strict=True):
        if since == until:
            continue
        shop.facts.store(arriving[since:until])
        point = data.draw(st.sampled_from([None, Seam.AFTER_GOALS, Seam.BEFORE_COMMIT, Seam.AFTER_COMMIT]))

        def die(reached: Seam, point: Seam | None = point) -> None:
            if reached is point:
                raise Crash

        if books is None or point is not None:  # else one booker goes on
            books = shop.books(failpoint=die, small_run_positions=small)
        try:
            books.book()
        except Crash:
            books = None
    shop.books(small_run_positions=small).book()
    assert shop.credits() == ledger(arriving)
    sums = shop.client.query(
        "SELECT DISTINCT share FROM (SELECT sum(share) AS share FROM v_credits GROUP BY conversion_id, scope, model)"
    ).result_rows
    assert sums == [(1,)]
    assert shop.views_equal_their_recomputation()
    assert shop.books().book() is None
    shop.books().sweep()
    assert shop.client.query("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1").result_rows == [(0, 0)]
