"""A payment provider's list of orders, as CSV, JSON or one JSON object a line. Pure: text in, orders out.

1. CSV has a header that names ``order_id``, ``amount``, ``currency`` and ``time``, in any order and case; other columns
   are ignored. Comma, semicolon and tab separate. JSON is an array, or ``{"orders": [..]}``, of such objects.
2. ``amount``: a number or plain decimal, not negative, exact, rounded half-even to four digits. ``currency``: ISO 4217.
   ``time``: ISO 8601 (without an offset: UTC) or Unix seconds or milliseconds.
3. Rows of one order in one currency are parts of one payment: they add up. In two currencies they are refused.
4. What is wrong is told by line (JSON arrays: by item), up to ten of them; one bad row refuses the list.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import msgspec
from babel.numbers import list_currencies

from schemas.errors import Reason, Refused

ORDERS_MAX: Final = 100_000
BYTES_MAX: Final = 16 * 1024 * 1024
TOLD: Final = 10
"""So many bad rows are named."""
FIELDS: Final = ("order_id", "amount", "currency", "time")
ORDER_ID_MAX_CHARS: Final = 512

CURRENCIES: Final = frozenset(list_currencies())
"""ISO 4217, withdrawn codes included."""

_QUANTUM: Final = Decimal("0.0001")
_EXACT: Final = Context(prec=38, rounding=ROUND_HALF_EVEN)
_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,32}(?:\.[0-9]{0,32})?(?:[eE][+-]?[0-9]{1,2})?")
_UNIX: Final = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,9})?")
_SECONDS_BELOW: Final = 10**11
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

EARLIEST_MS: Final = -2_208_988_800_000
LATEST_MS: Final = 10_413_791_999_999
"""The years 1900 to 2299: what ClickHouse's DateTime64 can hold."""


class ProviderOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order. ``line``: where the list names it first. ``provider_ms``: its earliest time there."""

    line: int
    order_id: str
    amount: Decimal
    currency: str
    provider_ms: int


def from_csv(lines: Iterable[str]) -> list[ProviderOrder]:
    """The orders of a CSV file, in the order of their first lines. Raises :class:`Refused` as the module says."""
    try:
        return _orders(_csv_rows(lines))
    except csv.Error as error:
        raise Refused(Reason.INVALID_VALUE, f"not CSV: {error}") from None


def from_json(body: bytes) -> list[ProviderOrder]:
    """The orders of a JSON document. Raises :class:`Refused`."""
    document = _decoded(body)
    if isinstance(document, dict):
        document = document.get("orders")
    if not isinstance(document, list):
        raise Refused(Reason.WRONG_TYPE, "must be an array of orders", field="orders")
    return _orders(enumerate(document, start=1))


def from_json_lines(lines: Iterable[bytes]) -> list[ProviderOrder]:
    """The orders of one JSON object a line; empty lines are skipped. Raises :class:`Refused`."""
    return _orders((n, _decoded(line, n)) for n, line in enumerate(lines, start=1) if line.strip())


def instant(text: str) -> int:
    """Unix milliseconds of a time as the module says. Raises :class:`Refused` (invalid_timestamp)."""
    if _UNIX.fullmatch(text):
        number = Decimal(text)
        at = int((number * 1000 if number < _SECONDS_BELOW else number).to_integral_value(ROUND_HALF_EVEN))
    else:
        try:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            at = (moment - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            raise Refused(Reason.INVALID_TIMESTAMP, "must be ISO 8601 or a Unix time", field="time") from None
    if not EARLIEST_MS <= at <= LATEST_MS:
        raise Refused(Reason.INVALID_TIMESTAMP, "must lie between the years 1900 and 2299", field="time")
    return at


def _decoded(body: bytes, line: int | None = None) -> Any:
    where = "" if line is None else f"line {line}: "
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(Reason.MALFORMED_JSON, f"{where}not JSON") from None
    except RecursionError:
        raise Refused(Reason.TOO_DEEP, f"{where}nested too deeply") from None


# A number is kept as its own digits, never as a float.
_DECODER: Final = msgspec.json.Decoder(float_hook=str)


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    numbered = iter(lines)
    head = next(numbered, "").removeprefix("\ufeff")
    separator = max(",;\t", key=head.count)
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=separator), [])]
    for field in FIELDS:
        if field not in names:
            raise Refused(Reason.MISSING_FIELD, "line 1: the header must name this column", field=field)
    reader = csv.reader(numbered, delimiter=separator, strict=True)
    begins = 2
    for row in reader:
        if row:
            yield begins, dict(zip(names, row, strict=False))
        begins = reader.line_num + 2


def _orders(rows: Iterable[tuple[int, Any]]) -> list[ProviderOrder]:
    found: dict[str, ProviderOrder] = {}
    wrong: list[tuple[int, Refused]] = []
    for line, row in rows:
        try:
            order = _order(line, row)
            known = found.get(order.order_id)
            found[order.order_id] = order if known is None else _added(known, order)
        except Refused as refusal:
            wrong.append((line, refusal))
            if len(wrong) == TOLD:
                break
        if len(found) > ORDERS_MAX:
            raise Refused(Reason.TOO_LARGE, f"line {line}: a list may have at most {ORDERS_MAX} orders")
    if wrong:
        told = "; ".join(f"line {line}: {refusal.field or 'row'} {refusal.message}" for line, refusal in wrong)
        raise Refused(wrong[0][1].reason, told, field=wrong[0][1].field)
    if not found:
        raise Refused(Reason.EMPTY_BATCH, "the list has no orders")
    return list(found.values())


def _added(known: ProviderOrder, part: ProviderOrder) -> ProviderOrder:
    if part.currency != known.currency:
        message = f"differs from that of the same order in line {known.line}"
        raise Refused(Reason.INVALID_VALUE, message, field="currency")
    return msgspec.structs.replace(
        known,
        amount=_EXACT.add(known.amount, part.amount),
        provider_ms=min(known.provider_ms, part.provider_ms),
    )


def _order(line: int, row: Any) -> ProviderOrder:
    if not isinstance(row, Mapping):
        raise Refused(Reason.WRONG_TYPE, "must be an object")
    order_id, amount, currency, time = (_text(row, field) for field in FIELDS)
    if len(order_id) > ORDER_ID_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"may have at most {ORDER_ID_MAX_CHARS} characters", field="order_id")
    code = currency.upper()
    if code not in CURRENCIES:
        raise Refused(Reason.INVALID_CURRENCY, "must be an ISO 4217 code like USD", field="currency")
    return ProviderOrder(line=line, order_id=order_id, amount=_money(amount), currency=code, provider_ms=instant(time))


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise Refused(Reason.WRONG_TYPE, "must be text or a number", field=field)
    text = "" if value is None else str(value).strip()
    if not text:
        raise Refused(Reason.MISSING_FIELD, "is missing", field=field)
    return text


def _money(text: str) -> Decimal:
    if not _PLAIN.fullmatch(text):
        raise Refused(Reason.INVALID_MONEY, "must be a number or a plain decimal like 49.99", field="amount")
    exact = Decimal(text)
    if exact < 0:
        raise Refused(Reason.INVALID_MONEY, "must not be negative: leave refunds out", field="amount")
    if exact >= 10**14:
        raise Refused(Reason.INVALID_MONEY, "must have at most 14 digits before the point", field="amount")
    return exact.quantize(_QUANTUM, context=_EXACT)
