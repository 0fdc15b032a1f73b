"""Every golden example of what clients POST is answered as its name says.

An invalid one is named ``<status>-<code>-<field or none>[-<what is special>].json``.
"""

from pathlib import Path

import pytest

from control.contacts import Contacts
from ingest.request import Limits, Sender, parse
from schemas.codec import decode_event, encode
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "events-raw"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.json"))
NOON = 1_769_083_200_000
"""2026-01-22T12:00:00Z"""
LIMITS = Limits.of(IngestSettings())


def sender(trust: Trust) -> Sender:
    return Sender(
        project_id="p", trust=trust, received_at=NOON, new_id=lambda: "made-here", contacts=Contacts(b"secret")
    )


def refusal_of(body: bytes, trust: Trust = Trust.SECRET) -> Refused:
    """The one refusal of a body, of the whole or of its only item."""
    try:
        (item,) = parse(body, sender(trust), LIMITS).items
    except Refused as refused:
        return refused
    assert isinstance(item, Refused), "accepted"
    return item


def test_there_are_examples_of_both_kinds() -> None:
    assert len(VALID) > 10
    assert len(INVALID) > 40


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
@pytest.mark.parametrize("trust", [Trust.SECRET, Trust.PUBLIC], ids=lambda trust: trust.label)
def test_a_valid_example_is_accepted_and_survives_the_wire(path: Path, trust: Trust) -> None:
    items = parse(path.read_bytes(), sender(trust), LIMITS).items
    if path.stem == "refund" and trust is Trust.PUBLIC:
        assert refusal_of(path.read_bytes(), trust).http_status == 403
        return
    assert items
    for item in items:
        assert isinstance(item, RawEvent)
        line = encode(item)
        assert b"\n" not in line
        assert encode(decode_event(line)) == line


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_is_refused_with_the_status_code_and_field_in_its_name(path: Path) -> None:
    status, code, field, *_ = path.stem.split("-")
    refused = refusal_of(path.read_bytes())
    expected = (int(status), code, None if field == "none" else field)
    assert (refused.http_status, refused.reason.value, refused.field) == expected


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_refusal_never_quotes_what_was_sent(path: Path) -> None:
    refused = refusal_of(path.read_bytes())
    for sent in ("12,5", "dollars", "yesterday", "ZZZ", "xxxx", "plan=pro"):
        assert sent not in refused.message
