"""Identities: functions of the request, so that a retry names the same thing without any look-up.

1. ``event_id``: UUIDv5 of project, kind of key and the client's own id. The kind of key is in the name, so a page's
   public key can never pre-empt a server's event.
2. In a batch under one ``Idempotency-Key`` the name also holds the item's own bytes and its occurrence, so re-sending
   a part of the batch dedupes.
3. ``conversion_id``: UUIDv5 of project, kind and order id; without an order, of the event id. One order is one
   conversion for ever.
4. A refund is named by what it refunds and the client's id of it: sent again, it is the same refund.
5. The partition is Kafka's murmur2 of the key, chosen by us and not by a client library, so every writer agrees.
"""

import hashlib
import struct
import uuid
from typing import Final

from schemas.outcomes import Trust

NAMESPACE: Final = uuid.UUID("6f1c6f0e-6d5b-5f0e-9a57-5d6c2d0f4a11")
"""Root of all derived ids. Changing it renames every event: never change it."""


def derived(*parts: str) -> str:
    """UUIDv5 of the parts joined by the unit separator, in canonical lower-case form."""
    name = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def client_event_id(project_id: str, trust: Trust, client_id: str) -> str:
    """Id of an event whose client named it (``event_id``, ``messageId``) or of a single event's Idempotency-Key."""
    return derived("event", project_id, trust.label, client_id)


def batch_event_id(project_id: str, trust: Trust, key: str, item: bytes, occurrence: int) -> str:
    """Id of the ``occurrence``-th item with these bytes in a batch sent under one Idempotency-Key."""
    return derived("batch", project_id, trust.label, key, hashlib.sha256(item).hexdigest(), str(occurrence))


def conversion_id(project_id: str, kind: str, order_id: str, event_id: str) -> str:
    """Id of a conversion: by its order where it has one, else by its event."""
    if order_id:
        return derived("order", project_id, kind, order_id)
    return derived("conversion", project_id, kind, event_id)


def refund_event_id(project_id: str, target: str, refund_id: str) -> str:
    """Id of the event of a refund. ``target``: the conversion refunded, or the order where only that is known."""
    return derived("refund", project_id, target, refund_id)


def session_id(project_id: str, visitor: str, started_at: int) -> str:
    """Id of a session that the client did not name. ``started_at``: ms of the event that opened it."""
    return derived("session", project_id, visitor, str(started_at))


_MURMUR_M: Final = 0x5BD1E995
_WORD: Final = struct.Struct("<I")


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (org.apache.kafka.common.utils.Utils), as an unsigned 32-bit number."""
    length = len(data)
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length - length % 4
    for (k,) in _WORD.iter_unpack(data[:whole]):
        k = (k * _MURMUR_M) & 0xFFFFFFFF
        k ^= k >> 24
        k = (k * _MURMUR_M) & 0xFFFFFFFF
        h = (h * _MURMUR_M) & 0xFFFFFFFF
        h ^= k
    tail = data[whole:]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * _MURMUR_M) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * _MURMUR_M) & 0xFFFFFFFF
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: ``toPositive(murmur2(key)) mod partitions``, as Java clients choose it."""
    return (murmur2(key.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % partitions
