"""Reading records: what is set aside, and what counts towards the halt."""

from typing import NamedTuple

import pytest

from processors.stages.lines import Reader
from schemas.codec import CONTROL_HEADER, VERSION_HEADER, decode_event
from schemas.errors import Invariant
from schemas.letters import LETTER_HEADER
from schemas.outcomes import Quarantine


class Sent(NamedTuple):
    offset: int
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


STAMPED = ((VERSION_HEADER, b"1"), (CONTROL_HEADER, b"7"))


def reader(bad_run_max: int = 2) -> Reader:  # type: ignore[type-arg]
    return Reader(decode_event, lambda *_: None, control_offset=0, bad_run=0, bad_run_max=bad_run_max)


def test_unreadable_lines_in_a_row_halt_but_dead_letters_that_were_sent_back_do_not() -> None:
    with pytest.raises(Invariant, match="3 unreadable lines in a row"):
        reader().read([Sent(number, b"x", STAMPED) for number in range(3)])
    again = reader()
    again.read([Sent(number, b"x", (*STAMPED, (LETTER_HEADER, b"events-0-1-0"))) for number in range(100)])
    assert (len(again.letters), again.received, again.bad_run) == (100, 100, 0)
    with pytest.raises(Invariant):
        again.read([Sent(number, b"x", STAMPED) for number in range(100, 103)])


@pytest.mark.parametrize("name", [VERSION_HEADER, CONTROL_HEADER])
@pytest.mark.parametrize("value", [None, b"", b"-1", b"\xff"])
def test_a_record_with_a_header_that_says_nothing_is_set_aside_with_its_headers(name: str, value: bytes | None) -> None:
    headers = tuple((known, value if known == name else held) for known, held in STAMPED)
    found = reader()
    assert found.read([Sent(5, b"x", headers)]) == []
    (letter,) = found.letters
    assert (letter.offset, letter.line, letter.reason) == (5, 0, Quarantine.UNKNOWN_SCHEMA)
    assert letter.headers == headers
