"""Makes one attempt: finds out what to send and whether, sends it, and says what follows."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import uniform
from typing import Final

import uuid_utils
from msgspec import structs
from standardwebhooks.webhooks import Webhook

from control.destinations import change_destination
from control.log import ControlLog
from control.seals import Seals
from processors.delivery.builders import BUILDERS
from processors.delivery.clicks import Clicks
from processors.delivery.exchange import Exchange, Reply
from processors.delivery.folding import Known, Pending
from processors.delivery.google_tokens import GoogleTokens
from processors.delivery.lanes import Key
from processors.delivery.metrics import DeliveryMetrics
from processors.delivery.request import Notice, Outgoing, Skipped
from processors.delivery.retries import Retries
from schemas.control import Destination, DestinationKind
from schemas.deliveries import Attempt, Click
from schemas.errors import HeadwaterError
from schemas.outcomes import DeliveryOutcome, NoticeEvent, SkipReason

logger = logging.getLogger(__name__)

GONE: Final = 410
"""Standard Webhooks: the receiver wants nothing more, for good."""


class Courier:
    """Belongs to one event loop."""

    def __init__(
        self,
        *,
        control: ControlLog,
        seals: Seals,
        clicks: Clicks,
        exchange: Exchange,
        google_tokens: GoogleTokens,
        retries: Retries,
        failures_max: int,
        metrics: DeliveryMetrics,
        known: Callable[[Key], Known],
        failures: Callable[[str], int],
    ) -> None:
        self._control = control
        self._seals = seals
        self._clicks = clicks
        self._exchange = exchange
        self._google_tokens = google_tokens
        self._retries = retries
        self._failures_max = failures_max
        self._metrics = metrics
        self._known = known
        self._failures = failures

    async def make(self, key: Key) -> Attempt | None:
        """The attempt that is due; None while the destination is disabled (:data:`processors.delivery.lanes.Make`)."""
        known = self._known(key)
        if not known.pending:
            return None  # the fold is about to say so
        pending = known.pending[0]
        destination = self._control.view.destination(pending.conversion.project_id, pending.destination_id)
        if destination is None:
            return self._final(DestinationKind.POSTBACK, known, DeliveryOutcome.WITHDRAWN)
        if now_ms() >= self._retries.expires_at(pending.made_at):
            detail = f"disabled: {destination.disabled_reason}" if not destination.enabled else ""
            return self._final(destination.kind, known, DeliveryOutcome.EXPIRED, detail)
        if not destination.enabled:
            return None
        click = pending.click or await self._clicks.of(pending.conversion, pending.made_at)
        event = known.next_event
        asked = await self._asked(destination, pending, event, click)
        if isinstance(asked, Skipped):
            return self._final(destination.kind, known, DeliveryOutcome.SKIPPED, asked.reason.value)
        return await self._sent(destination, pending, event, click, asked)

    async def _asked(
        self, destination: Destination, pending: Pending, event: NoticeEvent, click: Click
    ) -> Outgoing | Skipped | Reply:
        """What is to be sent, signed where it must be; a reply, if there is no leave to send it."""
        builder = BUILDERS.get(destination.kind)
        secret = self._seals.secret_of(destination)
        if builder is None or secret is None:
            return Skipped(SkipReason.NOT_CONFIGURED)
        if destination.kind is DestinationKind.GOOGLE:
            leave = await self._google_tokens.secret_of(destination, secret)
            if isinstance(leave, Reply):
                return leave
            secret = leave
        built = builder(destination, secret, Notice(pending.conversion, event, click.link_id, click.click_id))
        if isinstance(built, Outgoing) and built.signed:
            return structs.replace(
                built, headers={**built.headers, **signature(secret, pending.delivery_id, built.body)}
            )
        return built

    async def _sent(
        self, destination: Destination, pending: Pending, event: NoticeEvent, click: Click, outgoing: Outgoing | Reply
    ) -> Attempt:
        number = pending.attempts + 1
        begun, begun_ms = time.monotonic(), now_ms()
        reply = outgoing if isinstance(outgoing, Reply) else await self._exchange.post(outgoing)
        self._google_tokens.judge(self._seals.secret_of(destination) or "", reply)
        took = time.monotonic() - begun
        self._metrics.seconds.labels(destination.kind.value).observe(took)
        failures, next_at = 0, 0
        if reply.outcome.failed:
            failures = await self._failed(destination, self._failures(destination.id) + 1, reply)
        if reply.outcome.repeated:
            next_at = self._retries.next_at(pending.made_at, number, now_ms(), uniform, reply.retry_after_ms)
        return Attempt(
            attempt_id=new_id(),
            destination_id=destination.id,
            kind=destination.kind,
            conversion=pending.conversion,
            event=event,
            number=number,
            outcome=reply.outcome,
            status=reply.status,
            detail=reply.detail,
            attempted_at=begun_ms,
            duration_ms=round(took * 1000),
            next_at=next_at,
            failures=failures,
            click=click,
        )

    async def _failed(self, destination: Destination, failures: int, reply: Reply) -> int:
        """Disable the destination if that is enough; its run of failures after that."""
        gone = reply.status == GONE
        if failures < self._failures_max and not gone:
            return failures
        said = f"HTTP {reply.status}" if reply.status else reply.detail or reply.outcome.value
        reason = "the receiver answered 410 Gone" if gone else f"{failures} failed attempts in a row, the last: {said}"
        try:
            await self._disable(destination, reason)
        except HeadwaterError as error:
            # Kafka is away, or someone else changed it just now: the next failure tries again.
            logger.warning("delivery: a destination could not be disabled: %s", error.message)
            return failures
        self._metrics.disabled.inc()
        return 0

    async def _disable(self, destination: Destination, reason: str) -> None:
        await change_destination(
            self._control,
            destination,
            lambda one: structs.replace(one, enabled=False, disabled_reason=reason),
        )

    def _final(self, kind: DestinationKind, known: Known, outcome: DeliveryOutcome, detail: str = "") -> Attempt:
        """An attempt that was none: nothing was sent, and nothing will be."""
        pending = known.pending[0]
        return Attempt(
            attempt_id=new_id(),
            destination_id=pending.destination_id,
            kind=kind,
            conversion=pending.conversion,
            event=known.next_event,
            number=pending.attempts + 1,
            outcome=outcome,
            detail=detail,
            attempted_at=now_ms(),
            failures=self._failures(pending.destination_id),
            click=pending.click,
        )


def signature(secret: str, delivery_id: str, body: bytes) -> dict[str, str]:
    """The headers that Standard Webhooks add. A receiver accepts them for five minutes."""
    now = datetime.now(UTC)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery_id, now, body.decode()),
    }


def new_id() -> str:
    return str(uuid_utils.uuid7())


def now_ms() -> int:
    return time.time_ns() // 1_000_000
