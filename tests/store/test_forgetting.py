"""Forgetting persons on the real engine: nothing of them is left, and totals are what they should be."""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from databases import Databases
from history import MINUTE, PROJECT, START, Facts, goal, oracle, raw_event
from shop import Shop, opening

from control.contacts import Contacts
from control.identities import Identities
from processors.booker.erasure import Erasure, Round
from processors.core.forgetting import Forgetting
from processors.runtime.failpoint import FailPoint, Seam, unharmed
from schemas.control import CHECK, ForgetMode, Forgotten, GoalType, MatchType
from schemas.errors import Invariant
from schemas.events import RawEvent
from schemas.mailing import Mailing
from schemas.outcomes import Trust
from schemas.settings import ClickHouseSettings

SECRET = b"s" * 32
REQUESTED = START + 1000 * MINUTE
GOALS = [
    goal("purchase", GoalType.CUSTOM, MatchType.EXACT, "purchase", currency="USD"),
    goal("pages", GoalType.PAGEVIEW, MatchType.CONTAINS, "/"),
    goal("any", GoalType.CONVERSION, MatchType.EXACT, ""),
]
ANN = ("ann-user-1", "ann-browser-1", "ann-browser-2", "ann-session", "ann@example.com", "ann-click", "ann-print")
"""Whatever must not be found any more."""
TOTALS = {
    "goals": "SELECT goal_id, currency, sum(conversions), sum(revenue) FROM v_goal_stats GROUP BY ALL ORDER BY ALL",
    "sources": "SELECT * FROM v_source_stats ORDER BY ALL",
    "credits": "SELECT conversion_id, scope, model, touch_id, source, share, amount FROM v_credits ORDER BY ALL",
    "sessions": "SELECT source, medium, count(), sum(events), sum(pageviews) FROM v_sessions GROUP BY ALL ORDER BY ALL",
    "events": "SELECT event_type, event_name, path, count(), sum(revenue) FROM v_events GROUP BY ALL ORDER BY ALL",
    "conversions": "SELECT conversion_id, order_id, revenue, currency, source FROM v_conversions ORDER BY ALL",
    "converters": "SELECT goal_id, uniqExact(person) FROM goal_bookings GROUP BY goal_id ORDER BY ALL",
    "clicks": "SELECT count(), uniqExact(click_id) FROM clicks FINAL",
}


class Crash(Exception):
    """The booker dies here."""


class ForgetfulShop(Shop):
    """One installation whose stages and booker forget persons."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        super().__init__(settings)
        self.identities, self.contacts = Identities(SECRET), Contacts(SECRET)
        self.forgetting = Forgetting(self.control.view.forgotten, self.identities.digest)
        self.facts = Facts(self.client, self.forgetting)
        for one in GOALS:
            self.control.put(one)

    def ask(self, kind: str, value: str, mode: ForgetMode = ForgetMode.ANONYMIZE, *, at: int = REQUESTED) -> Forgotten:
        id = f"0000000a-0000-4000-8000-{secrets.token_hex(6)}"
        request = Forgotten(
            id=id,
            project_id=PROJECT,
            mode=mode,
            requested_at=at,
            given=(self.identities.digest(PROJECT, kind, value),),
            check=self.identities.digest(PROJECT, CHECK, id),
        )
        self.control.put(request)
        return request

    def forget(self, request: Forgotten, failpoint: FailPoint = unharmed) -> Round | None:
        """What the booker does with a request."""
        erasure = Erasure(self.connection, self.identities, self.contacts, failpoint=failpoint)
        begun = erasure.begin(request, erasure.rounds().get(request.id))
        if begun is None:
            return None
        newest = self.control.view.forgotten(PROJECT)[request.id]
        if not newest.resolved:
            newest = msgspec.structs.replace(newest, identities=erasure.hashes(newest))
            self.control.put(newest)
        erasure.erase(newest, begun, self.books().sweep)
        return erasure.rounds()[request.id]

    def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        return self.client.query(statement).result_rows

    def totals(self) -> dict[str, Sequence[Sequence[Any]]]:
        return {name: self.rows(statement) for name, statement in TOTALS.items()}

    def traces(self, *texts: str) -> list[str]:
        """Tables that hold one of the texts, anywhere in any row, also in old versions of it."""
        found = []
        for (table,) in self.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        ):
            for row in self.rows(f"SELECT toString(tuple(*)) FROM {table}"):
                found += [f"{table}: {text}" for text in texts if text in row[0]]
        return sorted(set(found))

    def sweep_books_nothing(self) -> bool:
        self.books().sweep()
        return self.rows("SELECT hits, credits FROM runs ORDER BY number DESC LIMIT 1") == [(0, 0)]


@pytest.fixture
def new_shop(databases: Databases) -> Iterator[Callable[[], ForgetfulShop]]:
    with opening(ForgetfulShop, databases) as make:
        yield make


@pytest.fixture
def shop(new_shop: Callable[[], ForgetfulShop]) -> ForgetfulShop:
    return new_shop()


def talkative(event: RawEvent, **fields: Any) -> RawEvent:
    """An event that tells of its person wherever it can."""
    said = json.dumps({"mail": "ann@example.com", "who": "ann-user-1", "device": "ann-browser-1"}).encode()
    query = "&" if "?" in event.url else "?"
    return msgspec.structs.replace(
        event,
        url=f"{event.url}{query}user=ann-user-1&mail=ann@example.com#ann-browser-1",
        referrer=f"https://mail.example/read?to=ann@example.com&page={event.event_id}",
        properties=msgspec.Raw(said),
        context=msgspec.Raw(said),
        **fields,
    )


def anns() -> list[RawEvent]:
    """Ann on two browsers, by link, server and e-mail."""
    mail = Contacts(SECRET)
    mailing = Mailing(
        contact_id=mail.id_of(PROJECT, "ann@example.com"), sealed_email=mail.seal(PROJECT, "ann@example.com")
    )
    one, two = "ann-browser-1", "ann-browser-2"
    click = raw_event("click", at=1, type="click", source="partner", id="click")
    return [
        talkative(
            msgspec.structs.replace(click, visitor="f:ann-print", link_id=7, event_name=""),
            click_id="ann-click",
            fingerprint="ann-print",
        ),
        talkative(raw_event(at=2, source="google", anonymous=one, session="ann-session"), click_id="ann-click"),
        talkative(raw_event(at=3, path="/cart", anonymous=one, session="ann-session", user="ann-user-1")),
        talkative(
            raw_event(
                "purchase", at=5, type="conversion", order="a1", revenue="10", anonymous=one, session="ann-session"
            )
        ),
        talkative(raw_event("purchase", at=6, type="conversion", order="a1", revenue="10.50", user="ann-user-1")),
        raw_event("purchase", at=7, type="conversion", order="a1", revenue="11", trust=Trust.TOKEN),
        talkative(raw_event(at=100, source="bing", anonymous=two, user="ann-user-1")),
        talkative(raw_event(at=110, path="/about", anonymous=two)),
        talkative(
            raw_event("purchase", at=120, type="conversion", order="a2", revenue="20", user="ann-user-1"),
            mailing=mailing,
        ),
        talkative(raw_event("purchase", at=130, type="conversion", revenue="5"), mailing=mailing),
    ]


def bobs() -> list[RawEvent]:
    """Bob, and nobody in particular."""
    return [
        raw_event(at=10, source="google", anonymous="bob-browser", session="bob-session", user="bob-user"),
        raw_event("purchase", at=12, type="conversion", order="b1", revenue="7", user="bob-user"),
        raw_event(at=20, source="facebook", anonymous="nobody", session="nobody-session"),
        raw_event(
            "purchase", at=22, type="conversion", revenue="3", anonymous="nobody", session="nobody-session", order="n1"
        ),
    ]


def filled(shop: ForgetfulShop, events: Sequence[RawEvent]) -> None:
    half = len(events) // 2
    for some in (events[:half], events[half:]):
        shop.facts.store(some)
        shop.books().book()
    shop.books().sweep()
    assert shop.imbalance() == 0


CONTACT = Contacts(SECRET).id_of(PROJECT, "ann@example.com")
by_any_name = pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("user", "ann-user-1", id="user"),
        pytest.param("contact", CONTACT, id="contact", marks=pytest.mark.slow),
        pytest.param("anonymous", "ann-browser-2", id="anonymous", marks=pytest.mark.slow),
    ],
)
in_both_modes = pytest.mark.parametrize(
    "mode", [ForgetMode.ANONYMIZE, pytest.param(ForgetMode.REMOVE, marks=pytest.mark.slow)]
)


@by_any_name
def test_anonymized_nothing_is_left_of_the_person_and_no_total_changes(
    shop: ForgetfulShop, kind: str, value: str
) -> None:
    filled(shop, [*anns(), *bobs()])
    before = shop.totals()
    assert {trace.partition(": ")[2] for trace in shop.traces(*ANN, CONTACT)} == {*ANN, CONTACT}
    proof = shop.forget(shop.ask(kind, value))
    assert proof is not None
    assert proof.done
    assert proof.salt == ""
    assert shop.traces(*ANN, CONTACT) == []
    assert shop.totals() == before
    assert shop.sweep_books_nothing()
    assert shop.totals() == before
    assert shop.imbalance() == 0
    assert [row[0] for row in shop.rows("SELECT DISTINCT user_id FROM v_events WHERE user_id LIKE 'bob%'")] == [
        "bob-user"
    ]
    assert shop.rows("SELECT count() FROM conversion_arrivals FINAL WHERE sealed_email != ''") == [(0,)]
    assert shop.rows("SELECT count() FROM erasure_values") == [(0,)]


@by_any_name
def test_removed_the_totals_lose_exactly_that_person(
    shop: ForgetfulShop, new_shop: Callable[[], ForgetfulShop], kind: str, value: str
) -> None:
    filled(shop, [*anns(), *bobs()])
    shop.forget(shop.ask(kind, value, ForgetMode.REMOVE))
    assert shop.traces(*ANN) == []
    without = new_shop()
    filled(without, bobs())
    ours, theirs = shop.totals(), without.totals()
    for name in ("goals", "sources", "credits", "sessions", "events", "conversions"):
        assert ours[name] == theirs[name], name
    assert shop.sweep_books_nothing()
    assert shop.imbalance() == 0
    erased = {row[0]: row[1] for row in shop.rows("SELECT stage, erased FROM v_ledger")}
    assert erased == {"events": len(anns()), "conversions": 5}
    truth = oracle(bobs(), GOALS)
    booked = {(row[0], row[1]): (row[2], row[3]) for row in ours["goals"]}
    assert {(str(key[0]), key[1]): value for key, value in booked.items()} == truth.goals


@pytest.mark.parametrize(
    ("seam", "mode"),
    [
        (Seam.AFTER_REWRITE, ForgetMode.ANONYMIZE),
        (Seam.AFTER_ERASE, ForgetMode.REMOVE),
        pytest.param(Seam.AFTER_REWRITE, ForgetMode.REMOVE, marks=pytest.mark.slow),
        pytest.param(Seam.AFTER_ERASE, ForgetMode.ANONYMIZE, marks=pytest.mark.slow),
    ],
)
def test_a_round_that_died_goes_on_to_the_same_end(shop: ForgetfulShop, mode: ForgetMode, seam: Seam) -> None:
    filled(shop, [*anns(), *bobs()])
    before = shop.totals()
    request = shop.ask("user", "ann-user-1", mode)

    def die(reached: Seam) -> None:
        if reached is seam:
            raise Crash

    for _ in range(2):
        with contextlib.suppress(Crash):
            shop.forget(request, die)
    proof = shop.forget(request)
    assert proof is not None
    assert proof.done
    assert proof.before["events"] >= len(anns())
    assert shop.traces(*ANN) == []
    assert shop.imbalance() == 0
    assert shop.sweep_books_nothing()
    if mode is ForgetMode.ANONYMIZE:
        assert shop.totals() == before
    assert shop.forget(request) is None
    assert shop.rows("SELECT count() FROM erasures FINAL") == [(1,)]


@in_both_modes
def test_a_replay_of_all_topics_brings_nobody_back(
    shop: ForgetfulShop, new_shop: Callable[[], ForgetfulShop], mode: ForgetMode
) -> None:
    events = [*anns(), *bobs()]
    filled(shop, events)
    request = shop.ask("user", "ann-user-1", mode)
    shop.forget(request)
    after = shop.totals()
    resolved = shop.control.view.forgotten(PROJECT)[request.id]

    lines = Facts(shop.client, shop.forgetting).store(events, arrive=False)
    assert not any(text in line for line in lines for text in (b"ann-", b"ann@"))
    assert shop.traces(*ANN) == []
    assert shop.totals() == after
    assert shop.sweep_books_nothing()
    assert shop.forget(request) is None

    fresh = new_shop()
    fresh.control.put(msgspec.structs.replace(resolved, identities=()))
    fresh.control.put(resolved)
    filled(fresh, events)
    assert fresh.traces(*ANN) == []
    for name in ("goals", "conversions"):
        ours, theirs = ([row[:4] for row in one.totals()[name]] for one in (shop, fresh))
        assert ours == theirs, name
    assert fresh.imbalance() == 0


def test_who_shares_a_device_keeps_what_is_theirs(shop: ForgetfulShop) -> None:
    shared = [
        raw_event(at=1, source="google", anonymous="tablet", session="s-carl", user="carl-user"),
        raw_event(at=2, path="/carl", anonymous="tablet", session="s-carl"),
        raw_event("purchase", at=3, type="conversion", order="c1", revenue="1", anonymous="tablet", session="s-carl"),
        raw_event(at=10, source="bing", anonymous="tablet", session="s-dora", user="dora-user"),
        raw_event("purchase", at=11, type="conversion", order="d1", revenue="2", user="dora-user"),
        raw_event(at=20, source="facebook", anonymous="tablet", session="s-both", user="dora-user"),
        raw_event(at=21, path="/both", anonymous="tablet", session="s-both", user="carl-user"),
        raw_event(at=30, path="/quiet", anonymous="tablet"),
    ]
    filled(shop, shared)
    before = shop.totals()
    shop.forget(shop.ask("user", "carl-user"))
    assert shop.traces("carl-user", "s-carl") == []
    assert shop.totals() == before
    assert shop.sweep_books_nothing()
    assert shop.rows("SELECT count() FROM v_events WHERE user_id = 'dora-user'") == [(3,)]
    assert shop.rows("SELECT path, anonymous_id FROM v_events WHERE path = '/quiet'") == [("/quiet", "tablet")]
    shop.forget(shop.ask("user", "dora-user", ForgetMode.REMOVE, at=REQUESTED + 1))
    assert shop.traces("dora-user", "s-dora") == []
    assert shop.rows("SELECT sum(revenue) FROM v_conversions") == [(Decimal(1),)]
    assert shop.sweep_books_nothing()
    assert shop.imbalance() == 0


@in_both_modes
def test_who_comes_back_is_a_new_person(shop: ForgetfulShop, mode: ForgetMode) -> None:
    filled(shop, anns())
    request = shop.ask("user", "ann-user-1", mode)
    later = [
        raw_event(at=1001, source="bing", anonymous="ann-browser-1", user="ann-user-1"),
        raw_event("purchase", at=1002, type="conversion", order="a9", revenue="9", user="ann-user-1"),
    ]
    shop.facts.store(later[:1])  # before the booker has looked at the request
    shop.forget(request)
    shop.facts.store(later[1:])
    shop.books().book()
    assert shop.sweep_books_nothing()
    assert shop.rows("SELECT user_id, anonymous_id FROM v_events WHERE user_id = 'ann-user-1' ORDER BY ALL") == [
        ("ann-user-1", ""),
        ("ann-user-1", "ann-browser-1"),
    ]
    (source,) = shop.rows(
        "SELECT DISTINCT c.source FROM v_credits AS c"
        " INNER JOIN v_conversions AS v ON v.conversion_id = c.conversion_id WHERE v.order_id = 'a9'"
    )
    assert source == ("bing",)
    assert shop.imbalance() == 0
    assert shop.forget(request) is None


def test_what_came_in_late_is_found_by_a_later_round(shop: ForgetfulShop) -> None:
    events = anns()
    filled(shop, events[:8])
    request = shop.ask("user", "ann-user-1")
    shop.forget(request)
    unaware = Facts(shop.client)
    unaware.store(events[8:9], partition=1)  # a stage that has not heard of it yet
    assert shop.traces("ann-user-1") != []
    second = shop.forget(request)
    assert second is not None
    assert second.number == 2
    assert shop.traces(*ANN) == []


def test_a_person_nobody_knows_is_done_at_once_and_blocks_replays(shop: ForgetfulShop) -> None:
    filled(shop, bobs())
    before = shop.totals()
    request = shop.ask("user", "ann-user-1", ForgetMode.REMOVE)
    proof = shop.forget(request)
    assert proof is not None
    assert set(proof.before.values()) == {0}
    assert shop.totals() == before
    shop.facts.store(anns()[2:3])
    assert shop.traces("ann-user-1") == []
    assert shop.imbalance() == 0


def test_dead_letters_of_the_person_are_emptied(shop: ForgetfulShop) -> None:
    filled(shop, anns())
    for payload in (f'{PROJECT} "ann-user-1" broken', f"{PROJECT} bob"):
        shop.client.insert(
            "dead_letters", [["events", len(payload), payload]], column_names=["stage", "kafka_offset", "payload"]
        )
    shop.forget(shop.ask("user", "ann-user-1"))
    assert shop.traces(*ANN) == []
    assert shop.rows("SELECT payload FROM dead_letters ORDER BY kafka_offset")[0][0].endswith("bob")


def test_another_secret_is_found_out_before_anything_happens(shop: ForgetfulShop) -> None:
    filled(shop, anns())
    request = msgspec.structs.replace(shop.ask("user", "ann-user-1"), check="0" * 32)
    with pytest.raises(Invariant, match="another secret"):
        shop.forget(request)
