"""kill -9 of each process in the middle of the demo, then a restart: no number changes."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from harness import eventually

from deploy.demo.clickstream import clicks, events, last_click
from deploy.demo.instance import make_goals, post
from deploy.demo.oracle import GOALS
from tests.pipeline.conftest import Stack
from tests.pipeline.test_demo import check

KILLED = ("web", "events", "conversions", "booker")


@pytest.fixture(scope="module")
def fragile(new_stack: Callable[[], Stack]) -> Stack:
    """An installation whose processes die."""
    return new_stack()


def test_kill_9_of_every_process_in_the_middle_of_the_demo_changes_no_number(fragile: Stack) -> None:
    project = fragile.project()
    stream = clicks(datetime.now(UTC) - last_click())
    asyncio.run(make_goals(project.shop, GOALS))
    acknowledged = 0

    def count(posted: int) -> None:
        nonlocal acknowledged
        acknowledged += posted

    posting = threading.Thread(
        target=lambda: asyncio.run(post(project.shop, events(stream), batch_size=100, retry=True, posted=count))
    )
    posting.start()
    for number, name in enumerate(KILLED, start=1):
        # At 1/6, 2/6, .. of the events each process dies once, whatever it is doing then.
        due = len(stream) * number // (len(KILLED) + 2)
        eventually(lambda due=due: acknowledged >= due, 120)
        fragile.parts[name].kill()
        fragile.parts[name].start()
    posting.join()
    check(project, stream)
    assert [stage["imbalance"] for stage in fragile.ledger().values()] == [0, 0]
