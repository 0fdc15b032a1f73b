"""Who an event belongs to: the key that its record is partitioned by.

The first of these that the event has, each prefixed by its kind so that no two kinds can collide:

======  ================  =======================================================================
prefix  kind              value
======  ================  =======================================================================
``a:``  anonymous id      the client's
``u:``  user id           the client's
``c:``  click id          the client's
``o:``  refunded          a refund's conversion or order: nobody came, so no other kind counts
``f:``  fingerprint       keyed hash of IP address and user agent; browser, pixel and redirect traffic only
``k:``  contact           of e-mail marketing
``e:``  event             the event's own id: a server's event that names nobody
======  ================  =======================================================================

An interaction with an e-mail has no click id and no fingerprint of a visit: where it is opened, a mail program's proxy
fetches it for many. The IP address goes into the hash and no further.
"""

import hashlib
import ipaddress
from functools import lru_cache
from typing import Final

from schemas.ids import partition_of

FINGERPRINT_BYTES: Final = 16


def visitor_key(
    *, anonymous_id: str, user_id: str, click_id: str, fingerprint: str, event_id: str, contact_id: str = ""
) -> str:
    """The visitor key; empty strings count as absent."""
    if anonymous_id:
        return "a:" + anonymous_id
    if user_id:
        return "u:" + user_id
    if click_id:
        return "c:" + click_id
    if fingerprint:
        return "f:" + fingerprint
    if contact_id:
        return contact_key(contact_id)
    return "e:" + event_id


def contact_key(contact_id: str) -> str:
    """The visitor key of a contact."""
    return "k:" + contact_id


def fingerprint(secret: bytes, project_id: str, address: str, user_agent: str) -> str:
    """Hex BLAKE2b of project, address and user agent under ``secret`` (at most 64 bytes)."""
    name = f"{project_id}\x1f{address}\x1f{user_agent}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(name, key=secret, digest_size=FINGERPRINT_BYTES).hexdigest()


def client_address(peer: str, forwarded_for: str, trusted_hops: int) -> str:
    """The client's address. The last ``trusted_hops`` entries of X-Forwarded-For were written by our proxies, so the
    first of those is what the outermost proxy saw; everything before it is the client's own claim and is ignored."""
    if trusted_hops == 0 or not forwarded_for:
        return peer
    entries = [entry.strip() for entry in forwarded_for.split(",")]
    try:
        return str(ipaddress.ip_address(entries[-min(trusted_hops, len(entries))]))
    except ValueError:
        return peer


@lru_cache(maxsize=65_536)
def partition(project_id: str, visitor: str, partitions: int) -> int:
    """The partition of ``events-raw`` that holds this visitor. Cached: murmur2 in Python costs more than a decode."""
    return partition_of(f"{project_id}:{visitor}", partitions)
