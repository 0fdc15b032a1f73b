"""A body's text -> its items, each with its own bytes: one object, an array, or ``{"events": [...]}``.

The split is a scan that copies nothing and decodes nothing; it refuses what is not JSON. Two things it can only refuse
as a whole, so they are found here: nesting beyond the parser's stack, and lone surrogates. An escape like ``\\ud800``
that has no partner makes one event unstorable, not its neighbours, so it is replaced by a noncharacter (as long in
bytes) that the body does not contain, and the items that hold it are refused one by one.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from schemas.errors import Reason, Refused

EVENT_FIELDS: Final = frozenset({"event_type", "event_name"})
"""An object with one of these is an event, even if it has a field ``events``: then that is a field of its own."""

_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_envelope = msgspec.json.Decoder(dict[str, Raw]).decode
_scan = msgspec.json.Decoder(Raw).decode

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_NONCHARACTERS: Final = tuple(b"\\ufd%02x" % low for low in range(0xD0, 0xF0))
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)
_WHITESPACE: Final = b" \t\r\n"


class Items(msgspec.Struct, frozen=True):
    """What a body holds."""

    batch: bool
    """An array or an envelope, even of one event: the answer has a result for each item."""
    items: list[Raw]
    lone_surrogate: bytes = b""
    """Stands in the items where the client sent a lone surrogate; empty if there is none."""


def split(body: bytes, *, max_events: int) -> Items:
    """The items of a body. Raises :class:`Refused` for what is wrong with the body as a whole."""
    return _read(body, lambda text, lone_surrogate: _split(text, max_events, lone_surrogate))


def single(body: bytes, expected: str) -> Items:
    """The one object that a body is; ``expected`` says so to who sent something else. Raises :class:`Refused`."""
    return _read(body, lambda text, lone_surrogate: Items(False, [_object(text, expected)], lone_surrogate))


def _read(body: bytes, items: Callable[[bytes, bytes], Items]) -> Items:
    """What ``items`` makes of the body; if lone surrogates keep it from that, of the body without them."""
    _check_text(body)
    try:
        return items(body, b"")
    except RecursionError:
        raise too_deep() from None
    except msgspec.DecodeError:
        repaired, stand_in = _replace_lone_surrogates(body)
    if not stand_in:
        raise _malformed()
    try:
        return items(repaired, stand_in)
    except RecursionError:
        raise too_deep() from None
    except msgspec.DecodeError:
        raise _malformed() from None


def _object(body: bytes, expected: str) -> Raw:
    found = _scan(body.strip(_WHITESPACE))
    if bytes(found)[:1] != b"{":
        raise Refused(Reason.WRONG_TYPE, expected)
    return found


def _split(body: bytes, max_events: int, lone_surrogate: bytes) -> Items:
    text = body.strip(_WHITESPACE)
    if text[:1] == b"[":
        return Items(True, _counted(_decode_items(text), max_events), lone_surrogate)
    if text[:1] != b"{":
        _scan(text)
        raise Refused(Reason.WRONG_TYPE, "the body must be an event, an array of events or an object with events")
    if b'"events"' in text:
        envelope = _decode_envelope(text)
        if "events" in envelope and not envelope.keys() & EVENT_FIELDS:
            try:
                items = _decode_items(envelope["events"])
            except msgspec.ValidationError:
                raise Refused(Reason.WRONG_TYPE, "must be an array of events", field="events") from None
            return Items(True, _counted(items, max_events), lone_surrogate)
    return Items(False, [_scan(text)], lone_surrogate)


def _counted(items: list[Raw], max_events: int) -> list[Raw]:
    if not items:
        raise Refused(Reason.EMPTY_BATCH, "the batch has no events")
    if len(items) > max_events:
        raise Refused(Reason.TOO_MANY_EVENTS, f"a request may have at most {max_events} events; split the batch")
    return items


def _check_text(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError:
        try:
            body.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Refused(Reason.MALFORMED_JSON, "the body is not UTF-8") from None
        raise Refused(Reason.INVALID_TEXT, "the text holds a lone surrogate") from None


def _replace_lone_surrogates(body: bytes) -> tuple[bytes, bytes]:
    """The body with a stand-in for each lone surrogate, and the stand-in: empty if there was nothing to replace."""
    stand_in = next((escape for escape in _NONCHARACTERS if escape not in body.lower()), b"")
    replaced = 0

    def replace(escape: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if escape[1] is None:
            return escape[0]
        replaced += 1
        return stand_in

    repaired = _ESCAPE.sub(replace, body)
    return (repaired, stand_in) if replaced else (body, b"")


def depth(text: bytes) -> int:
    """How deep valid JSON is nested: 1 for ``{}``."""
    deepest = level = 0
    for token in _BRACKETS.finditer(text):
        if token[1]:
            level += 1
            deepest = max(deepest, level)
        elif token[2]:
            level -= 1
    return deepest


def too_deep() -> Refused:
    """The refusal of JSON nested deeper than the limit."""
    return Refused(Reason.TOO_DEEP, "the JSON is nested too deep")


def _malformed() -> Refused:
    return Refused(Reason.MALFORMED_JSON, "the body is not valid JSON")
