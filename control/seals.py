"""Secrets of destinations: kept sealed in the control log, and in the clear nowhere.

1. The key is derived (HKDF-SHA-256) from the installation's secret and the project's id, apart from those of contacts:
   a record that was copied to another project cannot be opened there.
2. A destination without a secret of its own signs with one derived from its id: nothing need be stored for it, and
   whoever has the installation's secret can show it again.
"""

import base64
import functools
import secrets
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.control import Destination, DestinationKind

KEY_BYTES: Final = 32
PREFIX: Final = "whsec_"
"""What a signing secret of Standard Webhooks begins with; base64 of the key follows."""
KEYS_KEPT: Final = 4096
"""Derived keys that are remembered."""


class Seals:
    """Seals and opens secrets with keys derived from the installation's ``secret``."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._key = functools.lru_cache(KEYS_KEPT)(self._derive)

    def seal(self, project_id: str, text: str) -> str:
        """The text, encrypted: each time another one."""
        return self._fernet(project_id).encrypt(text.encode()).decode()

    def unseal(self, project_id: str, sealed: str) -> str | None:
        """The text; None if it was not sealed with this project's key."""
        try:
            return self._fernet(project_id).decrypt(sealed).decode()
        except InvalidToken:
            return None

    def secret_of(self, destination: Destination) -> str | None:
        """The destination's secret in the clear; empty for a platform without one, None if it cannot be opened."""
        if destination.secret:
            return self.unseal(destination.project_id, destination.secret)
        if destination.kind is not DestinationKind.POSTBACK:
            return ""
        return signing_secret(self._key(destination.project_id, f"signing secret\x1f{destination.id}"))

    def _fernet(self, project_id: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._key(project_id, "destination secret")))

    def _derive(self, project_id: str, purpose: str) -> bytes:
        info = f"headwater\x1f{purpose}\x1f{project_id}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._secret)


def signing_secret(key: bytes) -> str:
    """The key as Standard Webhooks write it."""
    return PREFIX + base64.b64encode(key).decode()


def new_signing_secret() -> str:
    """A random one."""
    return signing_secret(secrets.token_bytes(KEY_BYTES))
