"""The runtime on real Kafka and the real engine: nothing is lost, nothing is doubled, whatever dies."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))
from stages import Installation, purchase, raw_event

from processors.runtime.failpoint import FailPoint, unharmed
from processors.runtime.run import StageProcess
from schemas.outcomes import Stage


@pytest.fixture
async def installation(stack_env: dict[str, str]) -> Installation:
    return await Installation(stack_env).prepare()


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, limit_s: float = 60.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(limit_s):
        while True:
            held = condition()
            if held is True or (not isinstance(held, bool) and await held):
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(
    installation: Installation, stage: Stage, *, failpoint: FailPoint = unharmed
) -> AsyncIterator[StageProcess]:
    """A stage that runs while the block does."""
    process = installation.stage(stage, failpoint=failpoint)
    task = asyncio.create_task(process.run())
    try:
        yield process
    finally:
        process.stop()
        await task


async def test_events_become_rows_and_conversions(installation: Installation) -> None:
    events = [*(raw_event(number) for number in range(40)), purchase(40, "o1", "9.99"), purchase(41, "o1", "9.99")]
    await installation.produce([*events, *events])
    async with running(installation, Stage.EVENTS), running(installation, Stage.CONVERSIONS):
        await eventually(lambda: installation.rows("SELECT sum(received) FROM newest_checkpoints")[0][0] == 86)
    assert installation.rows("SELECT count() FROM v_events") == [(42,)]
    assert installation.rows("SELECT count() FROM conversion_arrivals FINAL") == [(2,)]
    assert [line["order_id"] for line in await installation.lines("conversions")] == ["o1"]
    assert installation.rows("SELECT stage, received, stored, duplicate, imbalance FROM v_ledger ORDER BY stage") == [
        ("conversions", 2, 2, 0, 0),
        ("events", 84, 42, 42, 0),
    ]
