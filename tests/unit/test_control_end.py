"""One look-up for all who ask at the same time, and no answer that is older than its question."""

import asyncio

import pytest

from control.end import Shared


class Log:
    """A log whose end is read at once and answered when the test lets it."""

    def __init__(self) -> None:
        self.end = 0
        self.asked = 0
        self._asked = asyncio.Event()
        self._answer = asyncio.Event()

    async def ask(self) -> int:
        self.asked += 1
        end = self.end
        self._asked.set()
        await self._answer.wait()
        return end

    async def until_asked(self) -> None:
        await self._asked.wait()

    def answer(self) -> None:
        self._answer.set()


async def test_who_asks_while_a_question_is_under_way_gets_a_later_answer() -> None:
    log = Log()
    shared = Shared(log.ask)
    early = asyncio.create_task(shared.get())
    await log.until_asked()
    log.end = 1
    late = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    log.answer()

    assert (await early, await late) == (0, 1)


async def test_all_who_come_while_a_question_is_under_way_share_the_next() -> None:
    log = Log()
    shared = Shared(log.ask)
    early = asyncio.create_task(shared.get())
    await log.until_asked()
    late = [asyncio.create_task(shared.get()) for _ in range(100)]
    await asyncio.sleep(0)
    log.answer()
    await asyncio.gather(early, *late)

    assert log.asked == 2


async def test_an_answer_is_not_kept() -> None:
    log = Log()
    log.answer()
    shared = Shared(log.ask)
    assert await shared.get() == 0
    log.end = 1

    assert await shared.get() == 1


async def test_one_who_gives_up_does_not_keep_the_others_waiting() -> None:
    log = Log()
    shared = Shared(log.ask)
    first = asyncio.create_task(shared.get())
    await log.until_asked()
    second = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    first.cancel()
    log.answer()

    assert await second == 0
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_is_not_shared() -> None:
    failures = [ConnectionError()]

    async def ask() -> int:
        if failures:
            raise failures.pop()
        return 7

    shared = Shared(ask)
    outcomes = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConnectionError, int]
