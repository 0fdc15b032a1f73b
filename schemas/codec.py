"""Bytes <-> structs. The only place where a record's value is encoded or decoded.

A record carries the events of one partition as newline-delimited JSON, at most ``RECORD_MAX_BYTES`` and
``RECORD_MAX_LINES``, so that a request of 100 events costs a few records and not 100. An event's position is
(topic, partition, offset, index); ``version`` orders positions so that the first one wins in a ReplacingMergeTree.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from schemas.events import Arrival, Conversion, RawEvent

SCHEMA_VERSION: Final = b"1"
VERSION_HEADER: Final = "schema-version"
CONTROL_HEADER: Final = "control-offset"
"""Offset up to which the writer had applied the control log: stages use the settings as of it."""

RECORD_MAX_BYTES: Final = 900 * 1024
RECORD_MAX_LINES: Final = 4096
_MAX_VERSION: Final = 2**64 - 2
"""Of the first position. 2**64 - 1 is a row written anew when its person was forgotten: it wins over any replay."""

_encoder = msgspec.json.Encoder(decimal_format="string")
decode_event = msgspec.json.Decoder(RawEvent).decode
decode_arrival = msgspec.json.Decoder(Arrival).decode
decode_conversion = msgspec.json.Decoder(Conversion).decode

T = TypeVar("T", RawEvent, Arrival, Conversion)


def encode(item: RawEvent | Arrival | Conversion) -> bytes:
    """One line, without its newline."""
    return _encoder.encode(item)


def lines(value: bytes) -> list[bytes]:
    """The lines of a record's value. JSON strings hold no raw newline, so splitting is safe."""
    return value.split(b"\n")


def pack(encoded: Iterable[bytes]) -> Iterator[bytes]:
    """Cut lines into record values, in order, each within the limits (a longer line is a record of its own)."""
    batch: list[bytes] = []
    size = 0
    for line in encoded:
        if batch and (size + len(line) + 1 > RECORD_MAX_BYTES or len(batch) == RECORD_MAX_LINES):
            yield b"\n".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield b"\n".join(batch)


def headers(control_offset: int) -> list[tuple[str, bytes]]:
    """Headers of a record written by a process that has applied the control log up to ``control_offset``."""
    return [(VERSION_HEADER, SCHEMA_VERSION), (CONTROL_HEADER, str(control_offset).encode())]


def version(offset: int, index: int) -> int:
    """Version of the fact at this position: the earliest position of a partition has the highest version."""
    return _MAX_VERSION - (offset * RECORD_MAX_LINES + index)
