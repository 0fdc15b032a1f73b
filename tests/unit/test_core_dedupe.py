"""Which event is a repeat."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.core.buckets import Buckets
from processors.core.dedupe import Dedupe, Seen

WINDOW = 1000
DEDUPE = Dedupe(WINDOW)


def kept(times: list[int]) -> list[int]:
    """Which of these receipts of one event, in log order, are stored."""
    seen: dict[bytes, Seen] = {}
    clock = 0
    stored = []
    for at in times:
        newest = max(clock, at) // WINDOW
        places = [head + b"e" for head in DEDUPE.heads(at, DEDUPE.buckets.first_live(clock), newest)]
        if DEDUPE.find(seen, places, at, clock) is None:
            clock = max(clock, at)
            stored.append(at)
            place = DEDUPE.place(b"e", at, clock)
            if place is not None:
                seen[place] = Seen(at, 0)
    return stored


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        ([0, 0], [0]),
        ([0, 1000], [0]),
        ([0, 1001], [0, 1001]),
        ([1500, 500], [1500]),
        ([1500, 499], [1500, 499]),
        ([999, 1999, 2001], [999, 2001]),
        ([2999, 1999], [2999]),
    ],
)
def test_an_event_is_a_repeat_within_one_window_of_a_stored_one(times: list[int], stored: list[int]) -> None:
    assert kept(times) == stored


def test_a_repeat_does_not_lengthen_the_window() -> None:
    assert kept([0, 600, 1200]) == [0, 1200]


def test_what_is_received_in_a_dead_bucket_is_stored_and_not_remembered() -> None:
    assert kept([5000, 100, 100]) == [5000, 100, 100]
    assert DEDUPE.place(b"e", 100, 5000) is None


def test_a_dead_bucket_is_not_looked_up_even_if_it_is_still_there() -> None:
    seen = {DEDUPE.buckets.key(0, b"e"): Seen(900, 0)}
    places = [head + b"e" for head in DEDUPE.heads(950, 0, 9)]
    assert DEDUPE.find(seen, places, 950, 1500) == Seen(900, 0)
    assert DEDUPE.find(seen, places, 950, 2000) is None


@given(st.lists(st.integers(0, 1500), max_size=20))
def test_stored_receipts_of_one_event_are_more_than_a_window_apart(times: list[int]) -> None:
    stored = sorted(kept(times))
    assert all(later - earlier > WINDOW for earlier, later in pairwise(stored))
    assert bool(stored) == bool(times)


@given(st.integers(0, 2**40), st.integers(0, 2**32 - 1))
def test_what_is_remembered_survives_its_encoding(at: int, checksum: int) -> None:
    assert Seen.unpack(Seen(at, checksum).pack()) == (at, checksum)


def test_a_bucket_lives_while_the_clock_is_in_it_or_in_the_next() -> None:
    buckets = Buckets(b"x", 10)
    assert [buckets.first_live(clock) for clock in (0, 9, 10, 19, 20, 29)] == [0, 0, 0, 0, 1, 1]
    assert buckets.of(29) == 2
    begin, end = buckets.dead_range(29)
    assert begin <= buckets.key(0, b"\xff" * 9) < end <= buckets.key(1, b"")
    writes = {buckets.key(bucket, b"tail"): b"" for bucket in range(4)}
    assert list(buckets.live(writes, 29)) == [buckets.key(1, b"tail"), buckets.key(2, b"tail"), buckets.key(3, b"tail")]
