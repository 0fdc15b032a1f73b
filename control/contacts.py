"""E-mail addresses of contacts: named by a keyed hash, kept encrypted, in the clear nowhere.

1. A project's key of contact ids is derived (HKDF-SHA-256) from the installation's secret and the project's id. Whoever
   writes and whoever reads must be given the same secret file.
2. A contact's id is a UUID (version 8) of the HMAC-SHA-256 of the normalised address: a function of the address for
   those who hold the key, and not to be guessed by those who do not, as a plain hash of a known address could be.
3. The address itself is sealed with Fernet: nothing can be searched for in it, and a changed seal is noticed. The key
   is random and can be erased (:mod:`control.contact_keys`): then nobody can read the address, and ids still match.
   Addresses of before were sealed with a derived key; they can be read until a key of the project is erased.
"""

import base64
import contextlib
import functools
import hashlib
import hmac
import uuid
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control.contact_keys import ContactKeys

KEY_BYTES: Final = 32
PROJECTS_KEPT: Final = 4096
"""Derived keys that are remembered."""


def normalised(address: str) -> str:
    """The spelling that one person's address is known by: without surrounding space, in lower case."""
    return address.strip().lower()


class Contacts:
    """Names contacts by a key derived from ``secret``, and keeps their addresses with ``keys``."""

    def __init__(self, secret: bytes, keys: ContactKeys | None = None) -> None:
        self._secret = secret
        self._keys = keys or ContactKeys(None)
        self._key = functools.lru_cache(PROJECTS_KEPT)(self._derive)

    def id_of(self, project_id: str, address: str) -> str:
        """The contact's id."""
        digest = bytearray(
            hmac.new(self._key(project_id, "contact id"), normalised(address).encode(), hashlib.sha256).digest()[:16]
        )
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return str(uuid.UUID(bytes=bytes(digest)))

    def seal(self, project_id: str, address: str) -> str:
        """The normalised address, encrypted: each time another text."""
        return _fernet(self._keys.make(project_id)).encrypt(normalised(address).encode()).decode()

    def unseal(self, project_id: str, sealed: str) -> str | None:
        """The address; None if it was not sealed with this project's key, or if that was erased."""
        found = self._keys.find(project_id)
        keys = [] if found is None else [found]
        if not self._keys.was_erased(project_id):
            keys.append(self._key(project_id, "contact address"))
        for key in keys:
            with contextlib.suppress(InvalidToken):
                return _fernet(key).decrypt(sealed).decode()
        return None

    def erase_key(self, project_id: str) -> bool:
        """Make all addresses that the project has unreadable, for good; whether there was a key."""
        return self._keys.erase(project_id)

    def _derive(self, project_id: str, purpose: str) -> bytes:
        info = f"headwater\x1f{purpose}\x1f{project_id}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._secret)


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))
