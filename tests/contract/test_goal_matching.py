"""Funnel steps match as goals do: the same SQL stands in two statements, since a statement is one text."""

import re
from typing import Final

import pytest
from harness import ROOT

BOOKED: Final = "clickhouse/bookings/goals.sql"
ASKED: Final = "clickhouse/queries/funnel.sql"


def part(path: str, pattern: str) -> str:
    """The one place in a statement that the pattern finds, with single spaces."""
    (found,) = re.findall(pattern, (ROOT / path).read_text(), re.DOTALL)
    return " ".join(found.split())


@pytest.mark.parametrize(
    "pattern",
    [r"(multiIf\(\s+g\.type = 'pageview'.*?) AS subject", r"WHERE (isNotNull\(subject\) AND multiIf\(.*?\n    \)),"],
    ids=["what of an event is compared", "how it is compared"],
)
def test_a_funnels_step_takes_what_the_goal_of_its_fields_takes(pattern: str) -> None:
    assert part(ASKED, pattern) == part(BOOKED, pattern)
