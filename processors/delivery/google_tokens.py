"""Access tokens of the Google Ads API: got with a destination's refresh token, and kept in memory while they live."""

import hashlib
from collections.abc import Callable
from typing import Final

from processors.delivery.exchange import Exchange, Reply
from processors.delivery.forwarding.google_access import URL, credentials_of, exchange, granted, with_token
from schemas.control import Destination
from schemas.outcomes import DeliveryOutcome

MARGIN_MS: Final = 60_000
"""A token is not used so shortly before its end."""
UNAUTHORIZED: Final = 401


class GoogleTokens:
    """Belongs to one event loop."""

    def __init__(self, exchange: Exchange, *, clock: Callable[[], int]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._kept: dict[str, tuple[str, int]] = {}

    async def secret_of(self, destination: Destination, secret: str) -> str | Reply:
        """The secret with a token that lives, or what became of asking for one. Others' secrets stay as they are."""
        credentials = credentials_of(secret)
        if credentials is None or not credentials.refreshable:
            return secret
        name = _name(secret)
        known, until = self._kept.get(name, ("", 0))
        if self._clock() < until:
            return known
        reply = await self._exchange.post(exchange(credentials, destination.options.get("token_url") or URL))
        if reply.outcome is not DeliveryOutcome.DELIVERED:
            return Reply(reply.outcome, reply.status, f"no access token: {reply.detail}", reply.retry_after_ms)
        token = granted(reply.text.encode())
        if token is None:
            return Reply(DeliveryOutcome.HTTP_ERROR, reply.status, "no access token in the answer")
        full = with_token(credentials, token)
        self._kept[name] = (full, self._clock() + token.expires_in * 1000 - MARGIN_MS)
        return full

    def judge(self, secret: str, reply: Reply) -> None:
        """Forget the token if it was refused: the next attempt asks for another one."""
        if reply.status == UNAUTHORIZED:
            self._kept.pop(_name(secret), None)


def _name(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
