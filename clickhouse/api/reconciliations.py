"""``POST /v1/projects/{id}/reconcile``: a payment provider's orders beside ours, each difference with its receipt."""

import asyncio
import io
import tempfile
from datetime import datetime
from decimal import Decimal
from typing import IO, Annotated, Any, Final

from litestar import Controller, Request, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.params import QueryParameter
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, ErrorAnswer, instant
from clickhouse.api.exact import money
from clickhouse.api.given import GivenProject, GivenReader
from clickhouse.provider_orders import BYTES_MAX, ORDERS_MAX, ProviderOrder, from_csv, from_json, from_json_lines
from clickhouse.reconciliation import (
    PAGE,
    TOLERANCE_S,
    Found,
    Outcome,
    Reconciliation,
    bound,
    receipt_path,
    reconcile,
    window,
)
from schemas.control import Scope
from schemas.errors import Reason, Refused

IN_MEMORY: Final = 1024 * 1024
"""A larger list waits on disk until it is read."""
TOLERANCE_MAX_S: Final = 31 * 86_400

Since = Annotated[
    str | None, QueryParameter(name="from", description="Day (UTC) or time from when on our orders must be in the list")
]
Until = Annotated[str | None, QueryParameter(name="to", description="Day or time, inclusive")]
Kinds = Annotated[list[str] | None, QueryParameter(name="kind", description="Our conversions of these kinds only")]
Tolerance = Annotated[
    int,
    QueryParameter(ge=0, le=TOLERANCE_MAX_S, description="Widens the times of the list where from or to is not given"),
]
Limit = Annotated[int, QueryParameter(ge=0, le=ORDERS_MAX, description="Show so many orders of each outcome")]


class Paid(Struct, frozen=True, kw_only=True):
    """One side's money. ``amount`` is null where that side states none."""

    amount: Decimal | None
    currency: str | None
    time: datetime


class OrderView(Struct, frozen=True, kw_only=True):
    """An order. ``line``: where the list has it. ``receipt``: of the event that reported (for a missing one: only
    named) the order to us, null without one."""

    order_id: str
    line: int | None
    provider: Paid | None
    ours: Paid | None
    kind: str | None
    conversion_id: str | None
    receipt: str | None


class Counts(Struct, frozen=True):
    """Orders by outcome; ``unnamed``: our conversions with money and without an order, which cannot be compared."""

    matched: int
    missing: int
    extra: int
    amount_differs: int
    unnamed: int


class ReconciledTotals(Struct, frozen=True, kw_only=True):
    """One currency. ``difference`` = ours - provider; ``unnamed`` is in neither."""

    currency: str | None
    provider: Decimal
    ours: Decimal
    difference: Decimal
    matched: Decimal
    unnamed: Decimal


class Times(Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Both inclusive."""

    since: datetime
    until: datetime


class ReconciliationAnswer(Struct, frozen=True, kw_only=True):
    """``truncated``: a list holds only the first ``limit`` of its orders; counts and totals are of all."""

    project_id: str
    time: Times
    agrees: bool
    counts: Counts
    totals: list[ReconciledTotals]
    missing: list[OrderView]
    extra: list[OrderView]
    amount_differs: list[OrderView]
    truncated: bool


LIST: Final = OpenAPIMediaType(schema=Schema(type="string", description="order_id, amount, currency, time"))  # type: ignore[arg-type]


class _Documented(Operation):
    """The body is read as a stream, so the framework cannot know of it."""

    def __post_init__(self) -> None:
        kinds = ("text/csv", "application/json", "application/x-ndjson")
        self.request_body = RequestBody(content=dict.fromkeys(kinds, LIST), required=True)


class Reconciliations(Controller):
    """Is every order of the provider here, with its money?"""

    path = "/v1/projects/{project_id:str}/reconcile"
    guards = (guard,)
    tags = ("Operations",)

    @post(
        opt=needs(Scope.ANALYTICS_READ),
        status_code=200,
        request_max_body_size=None,  # counted while it is read
        operation_class=_Documented,
        responses={
            **REFUSALS,
            413: ResponseSpec(ErrorAnswer, description="Too many orders or bytes", generate_examples=False),
            415: ResponseSpec(ErrorAnswer, description="Neither CSV nor JSON", generate_examples=False),
        },
        summary="Compare a payment provider's orders with ours: missing, extra, amount differs",
    )
    async def reconcile(
        self,
        request: Request[Any, Any, Any],
        project: GivenProject,
        reader: GivenReader,
        since: Since = None,
        until: Until = None,
        tolerance_s: Tolerance = TOLERANCE_S,
        kind: Kinds = None,
        limit: Limit = PAGE,
    ) -> ReconciliationAnswer:
        ends = bound(since, "from"), bound(until, "to")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in ("text/csv", "application/json", "application/x-ndjson"):
            message = "must be text/csv, application/json or application/x-ndjson"
            raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, message, field="Content-Type")
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as body:
            await _receive(request, body)
            orders = await asyncio.to_thread(_read, body, content_type)
        time = window(orders, *ends, tolerance_s)
        found = await reconcile(reader, project.id, orders, time, kinds=kind or (), page=limit)
        return _shown(project.id, found, Times(instant(time.from_ms), instant(time.to_ms)))


async def _receive(request: Request[Any, Any, Any], body: IO[bytes]) -> None:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BYTES_MAX:
            raise Refused(Reason.TOO_LARGE, f"a list may have at most {BYTES_MAX} bytes")
        body.write(chunk)
    body.seek(0)


def _read(body: IO[bytes], content_type: str) -> list[ProviderOrder]:
    if content_type == "application/json":
        return from_json(body.read())
    if content_type == "application/x-ndjson":
        return from_json_lines(body)
    try:
        return from_csv(io.TextIOWrapper(body, encoding="utf-8-sig", newline=""))
    except UnicodeDecodeError:
        raise Refused(Reason.BAD_ENCODING, "not UTF-8") from None


def _shown(project_id: str, found: Reconciliation, times: Times) -> ReconciliationAnswer:
    lines = {outcome: [_order(project_id, line) for line in group.lines] for outcome, group in found.groups.items()}
    listed = (Outcome.MISSING, Outcome.EXTRA, Outcome.AMOUNT_DIFFERS)
    return ReconciliationAnswer(
        project_id=project_id,
        time=times,
        agrees=found.agrees,
        counts=Counts(**{outcome.value: found.groups[outcome].orders for outcome in Outcome}),
        totals=[
            ReconciledTotals(
                currency=one.currency or None,
                provider=money(one.provider),
                ours=money(one.ours),
                difference=money(one.difference),
                matched=money(one.matched),
                unnamed=money(one.unnamed),
            )
            for one in found.totals()
        ],
        missing=lines[Outcome.MISSING],
        extra=lines[Outcome.EXTRA],
        amount_differs=lines[Outcome.AMOUNT_DIFFERS],
        truncated=any(len(lines[outcome]) < found.groups[outcome].orders for outcome in listed),
    )


def _order(project_id: str, line: Found) -> OrderView:
    return OrderView(
        order_id=line.order_id,
        line=line.line or None,
        provider=_paid(line.provider_amount, line.provider_currency, line.provider_ms) if line.line else None,
        ours=_paid(line.our_amount, line.our_currency, line.our_ms) if line.conversion_id else None,
        kind=line.kind or None,
        conversion_id=line.conversion_id or None,
        receipt=receipt_path(project_id, line.event_id),
    )


def _paid(amount: Decimal | None, currency: str, ms: int) -> Paid:
    return Paid(amount=None if amount is None else money(amount), currency=currency or None, time=instant(ms))
