"""What a destination is told of a conversion, and when."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.delivery.folding import NOTHING, Known, settle, take
from processors.delivery.retries import RETRY_AFTER_MAX_MS, Retries
from schemas.control import DestinationKind
from schemas.deliveries import Attempt, Click, Mark, Replay, Task, decode_delivery, decode_replay, encode_delivery
from schemas.events import Conversion
from schemas.outcomes import DeliveryOutcome, NoticeEvent, Trust

DELIVERED, FAILED, EXPIRED = DeliveryOutcome.DELIVERED, DeliveryOutcome.HTTP_ERROR, DeliveryOutcome.EXPIRED


def conversion(revision: int = 1, amount: str | None = "1", **fields: Any) -> Conversion:
    return Conversion(
        project_id="p",
        conversion_id="c",
        kind="purchase",
        event_id="e",
        trust=Trust.SECRET,
        received_at=1,
        converted_at=1,
        revision=revision,
        revenue=None if amount is None else Decimal(amount),
        currency="USD",
        **fields,
    )


def task(revision: int = 1, amount: str | None = "1", **fields: Any) -> Task:
    return Task(destination_id="d", conversion=conversion(revision, amount), made_at=100, **fields)


def attempt(known: Known, outcome: DeliveryOutcome, next_at: int = 0) -> Attempt:
    """An attempt on what is first."""
    first = known.pending[0]
    return Attempt(
        attempt_id="a",
        destination_id="d",
        kind=DestinationKind.POSTBACK,
        conversion=first.conversion,
        event=known.next_event,
        number=first.attempts + 1,
        outcome=outcome,
        attempted_at=200,
        next_at=next_at,
        click=Click(1, 2),
    )


def delivered(known: Known) -> Known:
    return settle(known, attempt(known, DELIVERED))


def test_a_repeated_announcement_makes_no_task() -> None:
    once = take(NOTHING, task())
    assert take(once, task()) is once
    done = delivered(once)
    assert done.pending == ()
    assert take(done, task()) is done


def test_an_announcement_that_changes_no_money_is_not_told() -> None:
    done = delivered(take(NOTHING, task()))
    assert take(done, task(2, "1.00")) is done
    assert [one.conversion.revenue for one in take(done, task(3, "2")).pending] == [Decimal(2)]


def test_an_older_announcement_that_comes_late_is_not_told() -> None:
    newest = take(NOTHING, task(2, "2"))
    assert take(newest, task(1, "1")) is newest


def test_the_first_that_is_heard_is_tracked_and_what_follows_updated() -> None:
    known = take(NOTHING, task())
    assert known.next_event is NoticeEvent.TRACKED
    assert take(delivered(known), task(2, "2")).next_event is NoticeEvent.UPDATED
    given_up = settle(known, attempt(known, EXPIRED))
    assert take(given_up, task(2, "2")).next_event is NoticeEvent.TRACKED


def test_an_update_waits_its_turn() -> None:
    both = take(take(NOTHING, task()), task(2, "2"))
    assert [one.conversion.revision for one in both.pending] == [1, 2]
    later = settle(both, attempt(both, FAILED, next_at=300))
    assert [(one.attempts, one.next_at) for one in later.pending] == [(1, 300), (0, 100)]
    assert [one.conversion.revision for one in delivered(later).pending] == [2]


def test_what_was_sent_once_stays_as_it_was() -> None:
    known = take(NOTHING, task())
    known = settle(known, attempt(known, FAILED, next_at=300))
    assert (known.pending[0].event, known.pending[0].click) == (NoticeEvent.TRACKED, Click(1, 2))


def test_an_attempt_that_is_folded_twice_counts_once() -> None:
    both = take(take(NOTHING, task()), task(2, "2"))
    first = attempt(both, DELIVERED)
    once = settle(both, first)
    assert settle(once, first) is once
    assert settle(NOTHING, first) is NOTHING


def test_a_replay_tells_again_what_was_told() -> None:
    done = delivered(take(NOTHING, task()))
    again = take(done, task(replay=True, event=NoticeEvent.TRACKED))
    assert again.next_event is NoticeEvent.TRACKED
    assert again.pending[0].delivery_id == task().delivery_id
    assert delivered(again) == done


def test_a_replay_of_what_is_pending_begins_it_anew() -> None:
    known = take(NOTHING, task())
    tried = settle(known, attempt(known, FAILED, next_at=300))
    again = take(tried, Task(destination_id="d", conversion=conversion(), made_at=900, replay=True))
    assert [(one.made_at, one.next_at, one.attempts) for one in again.pending] == [(900, 900, 0)]


def test_a_replay_of_what_this_destination_never_heard_counts_as_told() -> None:
    known = take(NOTHING, task(replay=True))
    assert take(known, task()) is known


def test_delays_double_up_to_their_limit_and_end_with_the_time_for_them() -> None:
    retries = Retries(base_ms=1000, max_ms=5000, limit_ms=60_000)

    def longest(_: float, high: float) -> float:
        return high

    assert [retries.next_at(0, attempts, 0, longest) for attempts in (1, 2, 3, 4, 99)] == [1000, 2000, 4000, 5000, 5000]
    assert retries.next_at(0, 4, 54_999, longest) == 59_999
    assert retries.next_at(0, 4, 55_000, longest) == 0


@given(attempts=st.integers(1, 200), share=st.floats(0, 1))
def test_a_delay_is_drawn_from_nothing_to_the_longest(attempts: int, share: float) -> None:
    retries = Retries(base_ms=1000, max_ms=5000, limit_ms=10**9)
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return share * high

    at = retries.next_at(0, attempts, 7, draw)
    assert asked == [(0, min(5000, 1000 * 2 ** min(attempts - 1, 32)))]
    assert at == 7 + max(int(share * asked[0][1]), 1)


@pytest.mark.parametrize(("asked", "given_ms"), [(2000, 2000), (10**9, RETRY_AFTER_MAX_MS)])
def test_a_receiver_may_ask_for_patience(asked: int, given_ms: int) -> None:
    retries = Retries(base_ms=1, max_ms=1, limit_ms=10**10)
    assert retries.next_at(0, 1, 0, lambda low, high: low, asked) == given_ms


def test_what_is_on_the_log_of_deliveries_is_read_as_it_was_written() -> None:
    known = take(NOTHING, task())
    for item in (task(), attempt(known, FAILED, next_at=300), Mark("m")):
        assert decode_delivery(encode_delivery(item)) == item
    replay = Replay(destination_id="d", conversion=conversion(), event=NoticeEvent.UPDATED, asked_at=5)
    assert decode_replay(encode_delivery(replay)) == replay


def test_attempts_and_their_task_have_the_id_of_one_delivery() -> None:
    known = take(NOTHING, task())
    assert attempt(known, FAILED).delivery_id == task().delivery_id == known.pending[0].delivery_id
    assert task(2).delivery_id != task().delivery_id


def test_only_what_the_destination_is_to_blame_for_counts_as_its_failure() -> None:
    blamed = {outcome for outcome in DeliveryOutcome if outcome.failed}
    assert blamed == {
        DeliveryOutcome.HTTP_ERROR,
        DeliveryOutcome.REDIRECTED,
        DeliveryOutcome.TIMEOUT,
        DeliveryOutcome.UNREACHABLE,
        DeliveryOutcome.FORBIDDEN,
    }


def test_a_click_that_is_settled_when_the_task_is_made_is_that_of_its_deliveries() -> None:
    known = take(NOTHING, task(click=Click(3, 4)))
    assert [one.click for one in known.pending] == [Click(3, 4)]
    assert take(NOTHING, task()).pending[0].click is None
