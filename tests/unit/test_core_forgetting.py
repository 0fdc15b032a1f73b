"""Who a request to forget concerns, and what stages keep of their events."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from history import FakeRecord, MemoryState

from control.identities import Identities
from processors.core.conversions import arrival_of
from processors.core.forgetting import REMEMBERED_MS, Forgetting, nameless_arrival, nameless_event, without_query
from processors.core.sessions import Limits
from processors.stages.conversions import ConversionsStage
from processors.stages.events import EventsStage
from processors.stages.totals import Totals
from schemas.codec import encode, headers
from schemas.control import CHECK, ControlRecord, ControlView, ForgetMode, Forgotten
from schemas.errors import Invariant
from schemas.events import Campaign, RawEvent, Refund
from schemas.identifiers import Identifiers
from schemas.ids import derived
from schemas.mailing import Mailing
from schemas.outcomes import Trust

IDENTITIES = Identities(b"secret" * 4)
AT = 1_760_000_000_000
P = "project"


def forgotten(
    *given: tuple[str, str], mode: ForgetMode = ForgetMode.ANONYMIZE, at: int = AT, more: tuple[str, ...] = ()
) -> Forgotten:
    id = f"request {given} {mode} {at}"
    return Forgotten(
        id=id,
        project_id=P,
        mode=mode,
        requested_at=at,
        given=tuple(IDENTITIES.digest(P, kind, value) for kind, value in given),
        identities=more,
        check=IDENTITIES.digest(P, CHECK, id),
    )


def rules(*requests: Forgotten) -> Forgetting:
    return Forgetting(lambda project: {one.id: one for one in requests if one.project_id == project}, IDENTITIES.digest)


def event(name: str = "e", **fields: Any) -> RawEvent:
    values: dict[str, Any] = {
        "project_id": P,
        "event_id": derived("test", name),
        "trust": Trust.SECRET,
        "received_at": AT - 1,
        "occurred_at": AT - 5,
        "event_type": "pageview",
        "visitor": f"e:{name}",
    }
    return RawEvent(**values | fields)


def test_a_refund_goes_with_its_sale() -> None:
    request = forgotten(("conversion", "order"), mode=ForgetMode.REMOVE)
    assert rules(request).verdict(event(refund=Refund(refund_id="r", conversion_id="order"))) is ForgetMode.REMOVE
    assert rules(request).verdict(event(refund=Refund(refund_id="r", conversion_id="other"))) is None


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({"user_id": "ann"}, True),
        ({"user_id": "ann", "anonymous_id": "tablet"}, True),
        ({"user_id": "bob", "anonymous_id": "phone"}, False),
        ({"user_id": "bob", "session_id": "visit"}, False),
        ({"mailing": Mailing(contact_id="mail")}, True),
        ({"mailing": Mailing(contact_id="other"), "anonymous_id": "phone"}, False),
        ({"conversion_id": "order"}, True),
        ({"anonymous_id": "phone"}, True),
        ({"anonymous_id": "tablet"}, False),
        ({"session_id": "visit"}, True),
        ({"click_id": "click"}, True),
        ({"fingerprint": "print"}, True),
        ({"fingerprint": "print", "anonymous_id": "tablet"}, False),
        ({}, False),
        ({"user_id": "ann", "received_at": AT}, False),
        ({"user_id": "ann", "project_id": "another"}, False),
        ({"anonymous_id": "ann"}, False),
    ],
)
def test_an_event_is_the_persons_by_the_rule(fields: dict[str, Any], theirs: bool) -> None:
    kinds = [("user", "ann"), ("contact", "mail"), ("anonymous", "phone"), ("session", "visit"), ("click", "click")]
    request = forgotten(*kinds, ("fingerprint", "print"), ("conversion", "order"))
    one = event(**fields)
    assert rules(request).verdict(one) == (ForgetMode.ANONYMIZE if theirs else None)
    assert rules(request).verdict(arrival_of(one, session_id=one.session_id, path="")) == rules(request).verdict(one)


def test_who_is_removed_by_one_request_is_removed_whatever_others_say() -> None:
    soft, hard = forgotten(("user", "ann")), forgotten(("user", "ann"), mode=ForgetMode.REMOVE)
    for order in ((soft, hard), (hard, soft)):
        assert rules(*order).verdict(event(user_id="ann")) is ForgetMode.REMOVE
    assert rules().verdict(event(user_id="ann")) is None


def test_identities_found_later_count_as_soon_as_the_record_has_them() -> None:
    view = ControlView()
    forgetting = Forgetting(view.forgotten, IDENTITIES.digest)
    request = forgotten(("user", "ann"))
    assert view.apply(0, ControlRecord(record_id="1", replaces=0, written_at=0, body=request))
    assert forgetting.verdict(event(anonymous_id="phone")) is None
    assert not request.resolved
    found = msgspec.structs.replace(request, identities=(IDENTITIES.digest(P, "anonymous", "phone"),))
    assert view.apply(1, ControlRecord(record_id="2", replaces=1, written_at=0, body=found))
    assert forgetting.verdict(event(anonymous_id="phone")) is ForgetMode.ANONYMIZE
    assert forgetting.verdict(event(user_id="ann")) is ForgetMode.ANONYMIZE
    assert view.forgotten("another") == {}


def test_another_secret_halts_instead_of_matching_nobody() -> None:
    other = Forgetting(rules(forgotten(("user", "ann")))._requests, Identities(b"another secret!!").digest)
    with pytest.raises(Invariant, match="secret"):
        other.verdict(event(user_id="ann"))


def test_only_who_comes_back_soon_needs_a_new_place() -> None:
    first, second = forgotten(("anonymous", "phone")), forgotten(("anonymous", "phone"), at=AT + 10)
    forgetting = rules(second, first)
    assert forgetting.renewal(P, "a:phone", AT - 1) == b""
    assert forgetting.renewal(P, "a:phone", AT) == f"\0{first.id}".encode()
    assert forgetting.renewal(P, "a:phone", AT + 10) == f"\0{second.id}".encode()
    assert forgetting.renewal(P, "a:phone", AT + 10 + REMEMBERED_MS) == b""
    assert forgetting.renewal(P, "a:tablet", AT) == forgetting.renewal(P, "e:phone", AT) == b""


def test_nothing_that_names_a_person_stays_and_what_is_counted_does() -> None:
    one = event(
        event_type="conversion",
        event_name="purchase",
        user_id="ann",
        anonymous_id="phone",
        session_id="visit",
        click_id="click",
        fingerprint="print",
        url="https://shop.example/thanks?user=ann#ann",
        referrer="https://mail.example/?to=ann",
        campaign=Campaign(source="ann"),
        identifiers=Identifiers(email="ann" * 20),
        consent="granted",
        revenue=Decimal("9.5000"),
        currency="USD",
        order_id="o1",
        conversion_id=derived("order", "o1"),
        mailing=Mailing(contact_id="ann", sealed_email="ann", campaign_id="summer"),
        properties=msgspec.Raw(b'{"ann":1}'),
        context=msgspec.Raw(b'{"ann":1}'),
    )
    left = nameless_event(one)
    arrival = nameless_arrival(arrival_of(one, session_id="visit ann", path="/thanks"))
    assert b"ann" not in encode(left)
    assert b"ann" not in encode(arrival)
    assert (left.url, left.order_id, left.revenue, left.mailing) == (
        "https://shop.example/thanks", "o1", Decimal("9.5000"), Mailing(campaign_id="summer"),
    )  # fmt: skip
    assert (arrival.path, arrival.conversion_id, arrival.revenue) == ("/thanks", one.conversion_id, one.revenue)
    assert without_query("https://a/b#c?d") == "https://a/b"


@pytest.mark.parametrize("mode", ForgetMode)
def test_both_stages_heed_a_request_and_account_for_every_line(mode: ForgetMode) -> None:
    forgetting = rules(forgotten(("user", "ann"), ("anonymous", "phone"), mode=mode))
    sale = {"event_type": "conversion", "event_name": "purchase"}
    events = [
        event("1", user_id="ann", conversion_id=derived("c", "1"), **sale),
        event("2", anonymous_id="phone", visitor="a:phone"),
        event("2", anonymous_id="phone", visitor="a:phone"),
        event("3", user_id="bob", conversion_id=derived("c", "3"), **sale),
    ]
    stage = EventsStage(
        lambda project, offset: True, window_ms=10**9, limits=Limits(), bad_run_max=9, forgetting=forgetting
    )
    records = [FakeRecord(n, encode(one), headers(1)) for n, one in enumerate(events)]
    done = stage.process(0, records, MemoryState(), Totals())
    removed = mode is ForgetMode.REMOVE
    assert done.totals.received == 4 == done.totals.stored + done.totals.duplicate + done.totals.erased
    assert (done.totals.erased, done.totals.duplicate) == (2 if removed else 0, 1)
    assert done.erased == ([(0, 0), (1, 0)] if removed else [])
    assert set(done.columns["user_id"]) == ({"bob"} if removed else {"", "bob"})
    assert not any("phone" in visitor for visitor in done.columns["visitor"])
    assert not any(b"ann" in message.line for message in done.messages)
    assert len(done.messages) == (1 if removed else 2)

    arrivals = [arrival_of(one, session_id="", path="") for one in (events[0], events[3])]
    records = [FakeRecord(n, encode(one), headers(1)) for n, one in enumerate(arrivals)]
    kept = ConversionsStage(bad_run_max=9, forgetting=forgetting).process(0, records, MemoryState(), Totals())
    assert (kept.totals.received, kept.totals.erased) == (2, 1 if removed else 0)
    assert kept.columns["user_id"] == (["bob"] if removed else ["", "bob"])
    assert len(kept.messages) == (1 if removed else 2)


def test_a_visitor_who_comes_back_opens_a_session_of_their_own() -> None:
    forgetting = rules(forgotten(("anonymous", "phone")))
    stage = EventsStage(
        lambda project, offset: True, window_ms=10**9, limits=Limits(), bad_run_max=9, forgetting=forgetting
    )
    aware = EventsStage(lambda project, offset: True, window_ms=10**9, limits=Limits(), bad_run_max=9)
    before = event("1", anonymous_id="phone", visitor="a:phone", occurred_at=AT - 1000)
    after = event("2", anonymous_id="phone", visitor="a:phone", occurred_at=AT + 5, received_at=AT + 5)
    state = MemoryState()
    first = aware.process(0, [FakeRecord(0, encode(before), headers(1))], state, Totals())
    state.update(first.writes)
    second = stage.process(0, [FakeRecord(1, encode(after), headers(1))], state, first.totals)
    assert second.columns["session_id"] != first.columns["session_id"]
    assert second.columns["session_opens"] == [True]
    assert second.columns["key_values"] == [["phone"]]
