"""Names of dead letters."""

import pytest

from schemas.letters import LetterId
from schemas.outcomes import Stage


def test_a_letter_is_found_again_by_its_name() -> None:
    letter = LetterId(Stage.CONVERSIONS, 3, 10**17, 4095)
    assert str(letter) == "conversions-3-100000000000000000-4095"
    assert LetterId.parse(str(letter)) == letter


@pytest.mark.parametrize(
    "text", ["", "events-1-2", "events-1-2-x", "events-1-2-3-4", "ingest-1-2-3", "events--1-2-3", "events-١-2-3"]
)
def test_what_names_no_letter_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        LetterId.parse(text)
