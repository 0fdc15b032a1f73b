"""kill -9 of each process in the middle of the demo, then a restart: no number changes."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from harness import eventually
from stack import Stack

from deploy.demo.clickstream import clicks, events, last_click
from deploy.demo.instance import make_goals, post
from deploy.demo.oracle import GOALS
from processors.runtime.failpoint import Seam
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
        fragile.restart(name)
    posting.join()
    check(project, stream)
    assert [stage["imbalance"] for stage in fragile.ledger().values()] == [0, 0]


@pytest.mark.parametrize("seam", [Seam.AFTER_GOALS, Seam.BEFORE_COMMIT, Seam.AFTER_COMMIT])
def test_a_booker_killed_in_the_middle_of_a_run_changes_no_number(fragile: Stack, seam: Seam) -> None:
    project = fragile.project()
    goal = project.goal(currency="USD")
    fragile.restart("booker", HEADWATER_FAILPOINT=seam.value)
    project.accept(
        [{"event_type": "conversion", "event_name": "purchase", "revenue": 0.1, "currency": "USD"} for _ in range(100)]
    )
    eventually(lambda: not fragile.parts["booker"].running, 60, "the booker did not die")
    fragile.restart("booker")
    expected = {"conversions": 100, "unique_conversions": 100, "revenue": Decimal(10)}
    project.eventually(lambda: project.stats(goal), expected)
    credits = f"SELECT sum(amount) AS sum FROM v_credits WHERE project_id = '{project.id}' AND model = 'linear'"
    project.eventually(lambda: fragile.sql(credits), [{"sum": "10"}])
