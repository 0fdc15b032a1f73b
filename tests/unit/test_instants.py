"""Times as answers write them."""

import pytest

from schemas.instants import written


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (1_736_951_400_000, "2025-01-15T14:30:00.000Z"),
        (7, "1970-01-01T00:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-2_208_988_800_000, "1900-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_has_its_milliseconds_and_its_zone(ms: int, expected: str) -> None:
    assert written(ms) == expected
