"""One attempt at a time for each destination, in order of time, and nobody waits for another."""

import asyncio
import uuid
from collections import defaultdict

from processors.delivery.folding import Known, Pending
from processors.delivery.lanes import Due, Key, Lanes
from schemas.control import DestinationKind
from schemas.deliveries import Attempt
from schemas.events import Conversion
from schemas.outcomes import DeliveryOutcome, NoticeEvent, Trust


def pending(key: Key, at: int = 0) -> Pending:
    conversion = Conversion(
        project_id="p",
        conversion_id=key[1],
        kind="purchase",
        event_id="e",
        trust=Trust.SECRET,
        received_at=0,
        converted_at=0,
    )
    return Pending(destination_id=key[0], conversion=conversion, made_at=0, next_at=at)


def test_conversions_come_in_the_order_of_their_times() -> None:
    due = Due()
    for number, at in enumerate((30, 10, 20, 10)):
        due.set(("d", str(number)), at)
    due.set(("d", "1"), 40)
    due.drop(("d", "2"))
    due.drop(("d", "never"))
    came = []
    while (first := due.first()) is not None:
        came.append(first)
        due.drop(first[1])
    assert came == [(10, ("d", "3")), (30, ("d", "0")), (40, ("d", "1"))]
    assert len(due) == 0


class Installation:
    """Lanes with a clock of their own, and a fold that does at once what the agents do."""

    def __init__(self, concurrency: int = 10) -> None:
        self.now = 0
        self.made: list[Key] = []
        self.under_way: dict[str, int] = defaultdict(int)
        self.blocked: set[str] = set()
        self.disabled: set[str] = set()
        self.errors: list[BaseException] = []
        self.release = asyncio.Event()
        self.progress = asyncio.Event()
        self.lanes = Lanes(
            self.make,
            self.emit,
            clock=lambda: self.now,
            expires_at=lambda made_at: made_at + 1000,
            concurrency=concurrency,
            failed=self.failed,
        )

    async def make(self, key: Key) -> Attempt | None:
        if key[0] in self.disabled:
            return None
        self.under_way[key[0]] += 1
        assert self.under_way[key[0]] == 1
        if key[0] in self.blocked:
            await self.release.wait()
        await asyncio.sleep(0)
        self.under_way[key[0]] -= 1
        self.made.append(key)
        self.progress.set()
        return Attempt(
            attempt_id=str(uuid.uuid4()),
            destination_id=key[0],
            kind=DestinationKind.POSTBACK,
            conversion=pending(key).conversion,
            event=NoticeEvent.TRACKED,
            number=1,
            outcome=DeliveryOutcome.DELIVERED,
            attempted_at=self.now,
        )

    async def emit(self, attempt: Attempt) -> None:
        asyncio.get_running_loop().call_soon(lambda: self.folding(attempt))

    def folding(self, attempt: Attempt) -> None:
        self.lanes.update((attempt.destination_id, attempt.conversion.conversion_id), Known())
        self.task = asyncio.ensure_future(self.lanes.folded(attempt))

    def due(self, destination: str, conversion: str, at: int = 0) -> None:
        key = (destination, conversion)
        self.lanes.update(key, Known(None, (pending(key, at),)))

    def failed(self, error: BaseException) -> None:
        self.errors.append(error)
        self.progress.set()

    async def until(self, made: int, errors: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.made) < made or len(self.errors) < errors:
                self.progress.clear()
                await self.progress.wait()


async def test_nothing_is_attempted_before_it_may_be() -> None:
    one = Installation()
    one.due("d", "1")
    for _ in range(10):
        await asyncio.sleep(0)
    assert one.made == []
    one.lanes.begin()
    await one.until(1)
    await one.lanes.clear()


async def test_a_destination_has_one_attempt_at_a_time_and_others_do_not_wait_for_it() -> None:
    one = Installation()
    one.lanes.begin()
    one.blocked.add("slow")
    for number in range(5):
        one.due("slow", str(number))
        one.due("quick", str(number))
    await one.until(5)
    assert {key[0] for key in one.made} == {"quick"}
    one.release.set()
    await one.until(10)
    assert [key[1] for key in one.made[5:]] == ["0", "1", "2", "3", "4"]
    assert not one.errors
    await one.lanes.clear()


async def test_what_is_due_later_waits_and_is_overtaken() -> None:
    one = Installation()
    one.lanes.begin()
    one.due("d", "later", 10**9)
    one.due("d", "now")
    await one.until(1)
    assert one.made == [("d", "now")]
    one.due("d", "later")
    await one.until(2)
    await one.lanes.clear()


async def test_what_expires_is_looked_at_whenever_its_next_attempt_is_due() -> None:
    one = Installation()
    one.lanes.begin()
    one.due("d", "1", 10**9)
    one.now = 1000
    one.due("d", "2", 10**9)  # wakes the lane
    await one.until(2)
    await one.lanes.clear()


async def test_a_disabled_destination_is_looked_at_again() -> None:
    one = Installation()
    one.lanes.begin()
    one.disabled.add("d")
    one.due("d", "1")
    await asyncio.sleep(0)
    one.disabled.clear()
    await one.until(1)
    await one.lanes.clear()


async def test_an_error_of_ours_is_told() -> None:
    one = Installation()
    one.lanes.begin()

    async def broken(key: Key) -> Attempt | None:
        raise RuntimeError("broken")

    one.lanes._make = broken
    one.due("d", "1")
    await one.until(0, errors=1)
    assert str(one.errors[0]) == "broken"
    await one.lanes.clear()


async def test_after_a_clear_nothing_is_attempted() -> None:
    one = Installation()
    one.lanes.begin()
    one.blocked.add("d")
    one.due("d", "1")
    await asyncio.sleep(0)
    await one.lanes.clear()
    one.release.set()
    await asyncio.sleep(0.01)
    assert one.made == []
    assert len(one.lanes) == 0
