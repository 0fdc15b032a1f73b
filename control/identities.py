"""Keyed hashes of identities: how the control log names a person whom it must not name.

HMAC-SHA-256, cut to 128 bits, under a key of the project that is derived from the installation's secret: without it a
known address or user id cannot be looked for in the log. ClickHouse computes the same from the two ``pads``, so that
no identity has to leave it to be compared.
"""

import functools
import hashlib
import hmac
from typing import Final

DIGEST_CHARS: Final = 32
PROJECTS_KEPT: Final = 4096
IDENTITIES_KEPT: Final = 65_536
BLOCK_BYTES: Final = 64
"""Of SHA-256."""


class Identities:
    """Hashes under one installation's secret."""

    def __init__(self, secret: bytes, *, lasting: bool = True) -> None:
        """``lasting``: the secret outlives this process, and others have it, too."""
        self.lasting = lasting
        self._secret = secret
        self._key = functools.lru_cache(PROJECTS_KEPT)(self._derive)
        self.digest = functools.lru_cache(IDENTITIES_KEPT)(self._digest)
        """``digest(project_id, kind, value)``: 32 hexadecimal digits."""

    def pads(self, project_id: str) -> tuple[str, str]:
        """Inner and outer key of the HMAC, in hexadecimal: hash(outer + hash(inner + text))."""
        key = self._key(project_id).ljust(BLOCK_BYTES, b"\0")
        return bytes(byte ^ 0x36 for byte in key).hex(), bytes(byte ^ 0x5C for byte in key).hex()

    def _digest(self, project_id: str, kind: str, value: str) -> str:
        text = f"{kind}\x1f{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key(project_id), text, hashlib.sha256).hex()[:DIGEST_CHARS]

    def _derive(self, project_id: str) -> bytes:
        return hmac.digest(self._secret, f"headwater\x1fidentities\x1f{project_id}".encode(), hashlib.sha256)
