"""Properties of the pure part of ingest, for any input."""

import json
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
import pytest
from depth import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from control.contacts import Contacts
from ingest import fields
from ingest.body import depth, split
from ingest.money import amount
from ingest.request import Limits, Sender, parse
from schemas.codec import decode_event, encode
from schemas.errors import Refused
from schemas.events import RawEvent
from schemas.outcomes import Trust
from schemas.settings import IngestSettings

NOON = 1_769_083_200_000
LIMITS = Limits.of(IngestSettings())

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
names = st.sampled_from([*fields._RULES, "events", "plan"])
likely_events = st.dictionaries(names, json_values, max_size=8)
events = st.fixed_dictionaries(
    {"event_type": st.sampled_from(["pageview", "conversion", "event"])},
    optional={
        "event_name": texts,
        "user_id": texts | st.integers(),
        "order_id": texts | st.integers(),
        "revenue": st.integers(0, 10**9) | st.floats(0, 1e9),
        "properties": st.dictionaries(texts, json_values, max_size=3),
        "plan": json_values,
    },
)


def sender(key: str = "", trust: Trust = Trust.SECRET) -> Sender:
    return Sender(
        project_id="p",
        trust=trust,
        received_at=NOON,
        new_id=lambda: "new",
        contacts=Contacts(b"secret"),
        idempotency_key=key,
    )


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def answered(body: bytes) -> None:
    """The body is accepted, or refused with a status of the client's, and what is accepted can be stored."""
    items: list[RawEvent | Refused] = []
    try:
        items = parse(body, sender(), LIMITS).items
    except Refused as refusal:
        items = [refusal]
    for item in items:
        if isinstance(item, Refused):
            assert 400 <= item.http_status < 500
        else:
            line = encode(item)
            assert b"\n" not in line
            assert encode(decode_event(line)) == line
            json.loads(line)


@given(json_values | likely_events | st.lists(likely_events, max_size=3), st.sampled_from([None, 2]))
@settings(max_examples=examples(150))
def test_any_json_is_answered(value: Any, indent: int | None) -> None:
    answered(json.dumps(value, indent=indent).encode())


@given(
    st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:\\ud8dcef0159-+.eE ntrf\x00'), max_size=60).map(str.encode)
)
@example(b'{"event_type":"\\ud800"}')
@example(b'{"events":[{"event_type":"\\udc00"}]}')
@settings(max_examples=examples(150))
def test_any_bytes_are_answered(body: bytes) -> None:
    answered(body)


@given(likely_events, st.data())
@settings(max_examples=examples(150))
def test_json_with_a_byte_changed_is_answered(value: Any, data: st.DataObject) -> None:
    body = bytearray(dumps(value))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    answered(bytes(body))


@given(st.lists(json_values, min_size=1, max_size=6), st.booleans())
def test_the_split_finds_the_items_json_finds(values: list[Any], envelope: bool) -> None:
    body = dumps({"events": values} if envelope else values)
    found = split(body, max_events=1000)
    if found.lone_surrogate:
        return
    assert [json.loads(bytes(item)) for item in found.items] == values


def json_depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((json_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((json_depth(inner) for inner in value), default=0)
    return 0


@given(json_values)
def test_depth_is_the_depth_of_the_value(value: Any) -> None:
    assert depth(dumps(value)) == json_depth(value)


@given(likely_events)
@example({"event_type": None, "campaign_id": 0})
@settings(max_examples=examples(150))
def test_the_two_ways_to_read_an_event_agree(value: dict[str, Any]) -> None:
    item = dumps({name: inner for name, inner in value.items() if inner is not None})
    try:
        fast = fields.decode(item)
    except msgspec.MsgspecError:
        return  # then there is only one way
    if fields.out_of_place(fast):
        return  # also then
    slow, notices = fields.read(item)
    assert notices == []
    for name in fast.__struct_fields__:
        first, second = getattr(fast, name), getattr(slow, name)
        if isinstance(first, msgspec.Raw):
            assert bytes(first) == bytes(second)
        elif isinstance(first, int) and isinstance(second, str):
            assert str(first) == second
        else:
            assert first == second


decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**13), max_value=10**13, places=None)
LITERAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")


@given(decimals | st.from_regex(LITERAL, fullmatch=True).map(Decimal), st.booleans())
@settings(max_examples=examples(150))
def test_money_is_the_decimal_oracles(value: Decimal, as_text: bool) -> None:
    literal = format(value, "f") if abs(value.adjusted()) < 100 else str(value)
    if len(literal) > 1000:
        return
    quoted = as_text and "e" not in literal.lower()
    sent = f'"{literal}"'.encode() if quoted else literal.encode()
    if value.copy_abs() >= Decimal("99999999999999.99995"):
        with pytest.raises(Refused, match="14 digits"):
            amount(sent, field="revenue")
        return
    got = amount(sent, field="revenue")
    if value.adjusted() < -100:
        assert got == 0
        return
    with_room = value.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)
    assert got == with_room
    assert str(got) == str(abs(with_room) if with_room == 0 else with_room)


@given(st.lists(events, min_size=1, max_size=8), st.data())
def test_any_part_of_a_batch_sent_again_under_its_key_has_the_same_ids(batch: list[Any], data: st.DataObject) -> None:
    batch = batch + data.draw(st.lists(st.sampled_from(batch), max_size=4))
    kept = data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch)))
    part = [item for item, keep in zip(batch, kept, strict=True) if keep]
    if not part:
        return

    def ids(items: list[Any]) -> list[str]:
        parsed = parse(dumps(items), sender(key="k"), LIMITS).items
        return [item.event_id for item in parsed if isinstance(item, RawEvent)]

    whole, again = ids(batch), ids(part)
    assert len(set(whole)) == len(whole)
    assert set(again) <= set(whole)
    assert ids(batch) == whole


bad_events = st.sampled_from(
    [
        b"5",
        b"{}",
        b'{"event_type":5}',
        b'{"event_type":"x","revenue":"12,5"}',
        b'{"event_type":"x","url":"\\ud800"}',
        b'{"event_type":"x","properties":{"a":' + b"[" * 200 + b"]" * 200 + b"}}",
        b'{"event_type":"x","properties":{"a":"' + b"y" * 70_000 + b'"}}',
    ]
)


@given(st.integers(0, 999), bad_events)
@settings(max_examples=examples(25), deadline=None)
def test_one_bad_event_in_a_thousand_costs_itself_only(index: int, bad: bytes) -> None:
    items = [b'{"event_type":"pageview","user_id":%d}' % number for number in range(1000)]
    items[index] = bad
    parsed = parse(b"[" + b",".join(items) + b"]", sender(), LIMITS).items
    refused = [at for at, item in enumerate(parsed) if isinstance(item, Refused)]
    assert refused == [index]
    assert len(parsed) == 1000
