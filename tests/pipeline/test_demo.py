"""The real clickstream, posted every which way, against an independent computation from the file."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from stack import Project, Stack

from deploy.demo.clickstream import Click, clicks, events, last_click
from deploy.demo.instance import make_goals, post, reports
from deploy.demo.oracle import GOALS, goals, sources


@pytest.fixture(scope="module")
def stream() -> list[Click]:
    return clicks(datetime.now(UTC) - last_click())


def check(project: Project, stream: list[Click]) -> None:
    """Wait until the reports equal the file's; they stay so when everything has come to rest."""
    days = min(click.at for click in stream).date().isoformat(), max(click.at for click in stream).date().isoformat()
    expected = goals(stream), sources(stream)
    project.eventually(lambda: asyncio.run(reports(project.shop, *days)), expected)


def test_the_demos_reports_equal_the_file_and_posting_it_again_shuffled_changes_nothing(
    stack: Stack, stream: list[Click]
) -> None:
    project = stack.project()
    asyncio.run(make_goals(project.shop, GOALS))
    asyncio.run(post(project.shop, events(stream), batch_size=200))
    check(project, stream)
    shuffled = events(stream)
    random.Random(7).shuffle(shuffled)
    before = stack.ledger()["events"]
    asyncio.run(post(project.shop, shuffled, batch_size=1000, compress=False))
    project.eventually(lambda: stack.ledger()["events"]["received"] - before["received"], len(stream))
    assert stack.ledger()["events"]["duplicate"] - before["duplicate"] == len(stream)
    check(project, stream)


def test_the_demo_posted_only_shuffled_and_in_odd_batches_gives_the_same_reports(
    stack: Stack, stream: list[Click]
) -> None:
    project = stack.project()
    shuffled = events(stream)
    random.Random(11).shuffle(shuffled)
    asyncio.run(post(project.shop, shuffled, batch_size=337, compress=True))
    asyncio.run(make_goals(project.shop, GOALS))  # goals made after the events count them
    check(project, stream)
    assert [stage["imbalance"] for stage in stack.ledger().values()] == [0, 0]
