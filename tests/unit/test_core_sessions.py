"""Which session an event belongs to, and what is known of it."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from processors.core.sessions import (
    KNOWN_IDENTITIES,
    KNOWN_PER_VISITOR,
    Limits,
    Session,
    choose,
    decode,
    encode,
    order_of,
    remember,
)
from processors.core.touches import UNKNOWN, Source

MINUTE = 60_000
HOUR = 60 * MINUTE
LIMITS = Limits()
A, B = Source("a"), Source("b")


def session(start: int, end: int, id: str = "s") -> Session:
    return Session(id, start, end)


def test_an_event_30_minutes_after_the_last_joins_and_31_minutes_after_opens_another() -> None:
    known = session(0, HOUR)
    assert choose([known], HOUR + 30 * MINUTE, LIMITS) is known
    assert choose([known], HOUR + 30 * MINUTE + 1, LIMITS) is None


def test_a_late_event_extends_its_session_backwards() -> None:
    known = session(HOUR, 2 * HOUR)
    assert choose([known], 31 * MINUTE, LIMITS) is known
    known.observe(31 * MINUTE, b"", None, [])
    assert (known.started_at, known.ended_at) == (31 * MINUTE, 2 * HOUR)


def test_no_session_grows_longer_than_a_day() -> None:
    known = session(0, 24 * HOUR - 10 * MINUTE)
    assert choose([known], 24 * HOUR, LIMITS) is known
    assert choose([known], 24 * HOUR + 1, LIMITS) is None


def test_the_session_around_the_event_wins_then_the_nearer_then_the_earlier() -> None:
    early, late = session(0, HOUR, "early"), session(HOUR + 40 * MINUTE, 3 * HOUR, "late")
    assert choose([late, early], HOUR + 10 * MINUTE, LIMITS) is early
    assert choose([early, late], HOUR + 30 * MINUTE, LIMITS) is late
    assert choose([late, early], HOUR + 20 * MINUTE, LIMITS) is early
    assert choose([early, late], HOUR + 20 * MINUTE, LIMITS) is early
    around = session(0, 2 * HOUR, "around")
    assert choose([early, around], HOUR + 5 * MINUTE, LIMITS) is around


def test_nobody_has_no_session() -> None:
    assert choose([], 0, LIMITS) is None


def test_the_first_pageview_by_event_time_gives_the_source_whatever_comes_first() -> None:
    known = session(100, 100)
    assert known.source == UNKNOWN
    known.observe(100, b"1", A, [])
    assert known.source == A
    known.observe(200, b"0", B, [])
    assert known.source == A
    known.observe(50, b"2", None, [])
    assert known.source == A
    known.observe(50, b"2", B, [])
    assert known.source == B


def test_of_two_pageviews_at_one_time_the_smaller_id_is_first() -> None:
    known = session(100, 100)
    known.observe(100, b"2", A, [])
    assert known.begins_with(100, b"1")
    assert not known.begins_with(100, b"2")
    assert not known.begins_with(101, b"0")


def test_identities_are_announced_once_a_session() -> None:
    known = session(0, 0)
    user, click = ("user", "u"), ("click", "c")
    assert known.unannounced([user, ("click", "")]) == [user]
    known.observe(0, b"", None, [user])
    assert known.unannounced([user, click]) == [click]


def test_more_identities_than_are_remembered_are_announced_again_and_none_is_lost() -> None:
    known = session(0, 0)
    many = [("user", str(number)) for number in range(KNOWN_IDENTITIES + 3)]
    known.observe(0, b"", None, many)
    assert len(known.identities) == KNOWN_IDENTITIES
    assert known.unannounced(many) == many[KNOWN_IDENTITIES:]


def test_of_a_visitors_sessions_the_last_opened_are_remembered() -> None:
    known: list[Session] = []
    for number in range(KNOWN_PER_VISITOR + 2):
        remember(known, session(number, number, str(number)))
    assert [one.id for one in known] == [str(number) for number in range(2, KNOWN_PER_VISITOR + 2)]


@given(st.lists(st.tuples(st.integers(), st.integers(0, 2)), max_size=8))
def test_what_is_known_does_not_depend_on_the_order_of_pageviews(pageviews: list[tuple[int, int]]) -> None:
    bounded = [(at % 1_000_000, tie) for at, tie in pageviews]

    def fold(order: list[tuple[int, int]]) -> Session:
        known = session(order[0][0], order[0][0]) if order else session(0, 0)
        for at, tie in order:
            known.observe(at, bytes([tie]), Source(f"{at}-{tie}"), [])
        return known

    assert fold(bounded) == fold(sorted(bounded)) == fold(bounded[::-1])


def test_a_session_survives_its_encoding() -> None:
    known = session(-5, 10)
    known.observe(-5, b"\0" * 16, A, [("user", "u")])
    assert decode(encode([known, session(1, 2)])) == [known, session(1, 2)]


def test_ids_are_ordered_by_their_second_half_first() -> None:
    low, high = uuid.UUID(int=1 << 64), uuid.UUID(int=1)
    assert order_of(low.bytes) < order_of(high.bytes)
