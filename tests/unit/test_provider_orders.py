"""A provider's list is read exactly, and what is wrong in it is told by line."""

import io
from decimal import Decimal

import pytest

from clickhouse import provider_orders
from clickhouse.provider_orders import ProviderOrder, from_csv, from_json, from_json_lines, instant
from clickhouse.reconciliation import Window, bound, window
from schemas.errors import Reason, Refused

NOON = 1_768_996_800_000
HEAD = "order_id,amount,currency,time\n"
GOOD = "o1,49.99,USD,2026-01-21T12:00:00Z\n"


def csv_of(text: str) -> list[ProviderOrder]:
    return from_csv(io.StringIO(text, newline=""))


def order(line: int, order_id: str = "o1", amount: str = "49.9900", currency: str = "USD") -> ProviderOrder:
    return ProviderOrder(line=line, order_id=order_id, amount=Decimal(amount), currency=currency, provider_ms=NOON)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + GOOD,
        "\ufeff" + HEAD.upper() + GOOD,
        "fee;Time;Currency;Amount;Order_ID\r\n0,30;2026-01-21 13:00:00+01:00;usd;49.99; o1 \r\n",
        "time\tnote\torder_id\tamount\tcurrency\n1768996800\tx\to1\t4999e-2\tUSD\n\n",
    ],
)
def test_columns_may_stand_in_any_order_with_any_of_three_separators(text: str) -> None:
    assert csv_of(text) == [order(2)]


def test_csv_and_json_say_the_same() -> None:
    row = '{"order_id": "o1", "amount": 49.99, "currency": "usd", "time": 1768996800000, "fee": [1]}'
    assert from_json(f"[{row}]".encode()) == from_json(f'{{"orders": [{row}]}}'.encode()) == [order(1)]
    assert from_json_lines([b"\n", row.encode()]) == [order(2)]
    numbered = '[{"order_id": 7, "amount": "49.99", "currency": "USD", "time": "2026-01-21T12:00:00"}]'
    assert from_json(numbered.encode()) == [order(1, "7")]


def test_amounts_are_exact_and_parts_of_a_payment_add_up() -> None:
    text = HEAD + "a,0.1,USD,1768996800\nb,1.00005,USD,1768996800\na,0.2,USD,1768996700\nb,1.00015,USD,1768996800\n"
    first, second = csv_of(text)
    assert (first.line, first.amount, first.provider_ms) == (2, Decimal("0.3000"), NOON - 100_000)
    assert second.amount == Decimal("2.0002")  # half-even: 1.0000 + 1.0002
    exact = from_json(b'[{"order_id":"x","amount":12345678901234.5678,"currency":"EUR","time":0}]')[0].amount
    assert exact == Decimal("12345678901234.5678")


def test_a_row_may_span_lines_and_the_next_ones_keep_their_numbers() -> None:
    text = HEAD + '"o\n1",1,USD,0\no2,1,USD,0\no3,x,USD,0\n'
    with pytest.raises(Refused, match=r"^line 5: amount"):
        csv_of(text)


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        (",1,USD,0", Reason.MISSING_FIELD, "order_id"),
        ("o2,,USD,0", Reason.MISSING_FIELD, "amount"),
        ("o2", Reason.MISSING_FIELD, "amount"),
        ("o2,1,,0", Reason.MISSING_FIELD, "currency"),
        ("o2,1,USD,", Reason.MISSING_FIELD, "time"),
        ("o2,nan,USD,0", Reason.INVALID_MONEY, "amount"),
        ("o2,1e400,USD,0", Reason.INVALID_MONEY, "amount"),
        ("o2,-1,USD,0", Reason.INVALID_MONEY, "amount"),
        ("o2,100000000000000,USD,0", Reason.INVALID_MONEY, "amount"),
        ('o2,"1,5",USD,0', Reason.INVALID_MONEY, "amount"),
        ("o2,1,ZZZ,0", Reason.INVALID_CURRENCY, "currency"),
        ("o2,1,USD,yesterday", Reason.INVALID_TIMESTAMP, "time"),
        ("o2,1,USD,1899-01-01", Reason.INVALID_TIMESTAMP, "time"),
        ("o2,1,USD,9999-12-31T23:59:59-14:00", Reason.INVALID_TIMESTAMP, "time"),
        (f"{'o' * 513},1,USD,0", Reason.TOO_LONG, "order_id"),
        ("o1,1,EUR,0", Reason.INVALID_VALUE, "currency"),
    ],
)
def test_a_bad_row_is_told_by_its_line(row: str, reason: Reason, field: str) -> None:
    with pytest.raises(Refused) as refused:
        csv_of(HEAD + GOOD + row + "\n")
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.message.startswith(f"line 3: {field} ")


def test_several_bad_rows_are_told_at_once_but_not_all_of_many() -> None:
    with pytest.raises(Refused) as refused:
        csv_of(HEAD + "x\n" + GOOD + "o2,1,ZZZ,0\n" + "x\n" * 50)
    assert [part.partition(":")[0] for part in refused.value.message.split("; ")] == [
        "line 2", *(f"line {n}" for n in range(4, 13)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", Reason.MALFORMED_JSON),
        (b'"x"', Reason.WRONG_TYPE),
        (b'{"order": []}', Reason.WRONG_TYPE),
        (b"[1]", Reason.WRONG_TYPE),
        (b'[{"order_id": true}]', Reason.WRONG_TYPE),
        (b'[{"order_id": []}]', Reason.WRONG_TYPE),
        (b"[]", Reason.EMPTY_BATCH),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b'["\xff"]', Reason.MALFORMED_JSON),
    ],
)
def test_json_of_another_shape_is_refused(body: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        from_json(body)
    assert refused.value.reason is reason


def test_csv_without_its_columns_or_quotes_is_refused() -> None:
    for text, reason in (
        ("", Reason.MISSING_FIELD),
        ("order_id,amount,currency\no1,1,USD\n", Reason.MISSING_FIELD),
        (HEAD, Reason.EMPTY_BATCH),
        (HEAD + '"o1"x,1,USD,0\n', Reason.INVALID_VALUE),
        (HEAD + '"o1', Reason.INVALID_VALUE),
    ):
        with pytest.raises(Refused) as refused:
            csv_of(text)
        assert refused.value.reason is reason, text


def test_a_line_that_is_no_json_is_named() -> None:
    with pytest.raises(Refused, match=r"^line 2: not JSON"):
        from_json_lines([b'{"order_id":"o","amount":1,"currency":"USD","time":0}', b"{"])


def test_a_list_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_orders, "ORDERS_MAX", 2)
    rows = "".join(f"o{n},1,USD,0\n" for n in range(3))
    assert len(csv_of(HEAD + rows[: 2 * 11])) == 2
    with pytest.raises(Refused) as refused:
        csv_of(HEAD + rows)
    assert refused.value.reason is Reason.TOO_LARGE


def test_the_time_is_that_of_the_list_widened_or_as_given() -> None:
    orders = [order(1), order(2, "o2")]
    assert window(orders, None, None, 60) == Window(NOON - 60_000, NOON + 60_000)
    assert window(orders, 5, 7, 60) == Window(5, 7)
    edge = [ProviderOrder(line=1, order_id="o", amount=Decimal(1), currency="USD", provider_ms=instant("2299-12-31"))]
    assert window(edge, None, None, 10**6).to_ms == provider_orders.LATEST_MS
    assert (bound(None, "to"), bound("2026-01-21", "from"), bound("2026-01-21", "to")) == (
        None, NOON - 12 * 3_600_000, NOON + 12 * 3_600_000 - 1,
    )  # fmt: skip
    assert bound("2026-01-21T12:00:00Z", "to") == NOON
    with pytest.raises(Refused) as refused:
        bound("soon", "to")
    assert refused.value.field == "to"
