"""What the Google Ads API asks for: an access token, which lives for an hour, and what a new one is got with.

The secret of a destination is an access token, or JSON with the members of :class:`Credentials`. With a refresh token
whoever sends exchanges it first (:func:`exchange`) and hands the builder a secret that has the new access token.
"""

from typing import Final
from urllib.parse import urlencode

import msgspec

from processors.delivery.request import Outgoing

URL: Final = "https://oauth2.googleapis.com/token"


class Credentials(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Of an application that may use an account."""

    developer_token: str = ""
    access_token: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""

    @property
    def refreshable(self) -> bool:
        return bool(self.client_id and self.client_secret and self.refresh_token)


class AccessToken(msgspec.Struct, frozen=True):
    """A token that was granted."""

    access_token: str
    expires_in: int
    """Seconds."""


_credentials = msgspec.json.Decoder(Credentials).decode
_token = msgspec.json.Decoder(AccessToken).decode


def credentials_of(secret: str) -> Credentials | None:
    """The credentials; None if the secret is neither a token nor such JSON."""
    if not secret.lstrip().startswith("{"):
        return Credentials(access_token=secret) if secret.isascii() and secret.isprintable() else None
    try:
        return _credentials(secret)
    except (msgspec.MsgspecError, ValueError):
        return None


def exchange(credentials: Credentials, url: str = URL) -> Outgoing:
    """The POST that gets an access token, as the OAuth 2.0 documents say: all of it in the body, nothing in the URL."""
    form = {
        "grant_type": "refresh_token",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "refresh_token": credentials.refresh_token,
    }
    return Outgoing(url, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())


def granted(body: bytes) -> AccessToken | None:
    """The token in an answer; None if it grants none."""
    try:
        return _token(body)
    except (msgspec.MsgspecError, ValueError):
        return None


def with_token(credentials: Credentials, token: AccessToken) -> str:
    """The secret with the new token."""
    return msgspec.json.encode(msgspec.structs.replace(credentials, access_token=token.access_token)).decode()
