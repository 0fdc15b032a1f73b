"""A provider's orders beside ours, asked of the real engine, against plain Python; and the command."""

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from databases import Databases
from depth import examples
from harness import ROOT, base_environment, python
from history import MINUTE, PROJECT, START, Facts, raw_event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clickhouse.client import connect
from clickhouse.provider_orders import ProviderOrder
from clickhouse.read import Reader
from clickhouse.reconciliation import Outcome, Reconciliation, Window, reconcile
from schemas.events import RawEvent
from schemas.outcomes import Trust
from schemas.settings import ClickHouseSettings

ALL_TIME = Window(0, START + 10_000 * MINUTE)


class Store:
    """Facts, and questions about them."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self.client = connect(self.settings)
        self.facts = Facts(self.client)

    async def ask(self, *orders: ProviderOrder, time: Window = ALL_TIME, **options: Any) -> Reconciliation:
        reader = Reader(self.settings)
        try:
            return await reconcile(reader, options.pop("project", PROJECT), orders, time, **options)
        finally:
            await reader.stop()


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    with databases.migrated() as settings:
        store = Store(settings)
        yield store
        store.client.close()


def sale(order: str, revenue: str = "", *, at: int = 1, kind: str = "purchase", **fields: Any) -> RawEvent:
    return raw_event(kind, at=at, type="conversion", order=order, revenue=revenue, **fields)


def paid(order_id: str, amount: str, currency: str = "USD", *, line: int = 2) -> ProviderOrder:
    return ProviderOrder(line=line, order_id=order_id, amount=Decimal(amount), currency=currency, provider_ms=START)


def ids(found: Reconciliation) -> dict[str, list[str]]:
    return {outcome.value: [line.order_id for line in group.lines] for outcome, group in found.groups.items()}


async def test_each_order_has_its_outcome_and_its_receipt(store: Store) -> None:
    wrong = sale("differs", "10.01")
    extra = sale("extra", "5")
    named = raw_event("add_payment", at=3, type="event", order="named")
    store.facts.store([sale("same", "49.99"), wrong, extra, named, sale("euro", "7", currency="EUR"), sale("", "3")])
    found = await store.ask(
        paid("same", "49.99"), paid("differs", "10"), paid("euro", "7"), paid("named", "1"), paid("lost", "2.5")
    )
    assert ids(found) == {
        "matched": [],
        "missing": ["lost", "named"],
        "extra": ["extra"],
        "amount_differs": ["differs", "euro"],
        "unnamed": [],
    }
    assert {outcome.value: group.orders for outcome, group in found.groups.items()} == {
        "matched": 1, "missing": 2, "extra": 1, "amount_differs": 2, "unnamed": 1,
    }  # fmt: skip
    lines = {line.order_id: line for group in found.groups.values() for line in group.lines}
    receipts = {name: line.event_id for name, line in lines.items() if name != "euro"}
    assert receipts == {"differs": wrong.event_id, "extra": extra.event_id, "named": named.event_id, "lost": ""}
    assert (lines["differs"].our_amount, lines["differs"].provider_amount) == (Decimal("10.01"), Decimal("10"))
    assert (lines["extra"].line, lines["extra"].provider_amount) == (0, None)
    assert (lines["named"].our_amount, lines["named"].conversion_id) == (None, "")
    assert not found.agrees
    usd, eur = (next(one for one in found.totals() if one.currency == code) for code in ("USD", "EUR"))
    assert (usd.provider, usd.ours, usd.matched, usd.unnamed) == tuple(
        Decimal(amount) for amount in ("70.4900", "65.0000", "49.9900", "3.0000")
    )
    assert (eur.provider, eur.ours, eur.difference) == (Decimal(0), Decimal(7), Decimal(7))


async def test_an_order_of_several_kinds_is_one_and_the_one_with_the_providers_money_is_meant(store: Store) -> None:
    store.facts.store(
        [
            sale("o", "1", kind="signup"),
            sale("o", "20", kind="purchase", trust=Trust.PUBLIC),
            sale("o", "19", kind="purchase", id="server"),  # the server's amount counts
        ]
    )
    assert (await store.ask(paid("o", "19"))).agrees
    assert (await store.ask(paid("o", "1"))).agrees
    (line,) = (await store.ask(paid("o", "20"))).groups[Outcome.AMOUNT_DIFFERS].lines
    assert line.our_amount in (Decimal(1), Decimal(19))
    only = await store.ask(paid("o", "1"), kinds=["purchase"])
    assert only.groups[Outcome.AMOUNT_DIFFERS].lines[0].our_amount == Decimal(19)
    none = await store.ask(paid("o", "1"), kinds=["refund"])
    assert none.groups[Outcome.MISSING].orders == 1


async def test_only_the_time_decides_which_of_ours_are_extra_and_never_what_is_matched(store: Store) -> None:
    store.facts.store(
        [sale("early", "1", at=0), sale("first", "1", at=1), sale("last", "1", at=2), sale("late", "1", at=3)]
    )
    time = Window(START + MINUTE, START + 2 * MINUTE)
    assert ids(await store.ask(paid("x", "1"), time=time))["extra"] == ["first", "last"]
    found = await store.ask(paid("early", "1"), paid("late", "1"), time=time)
    assert (found.groups[Outcome.MATCHED].orders, ids(found)["extra"]) == (2, ["first", "last"])


async def test_a_conversion_without_an_amount_differs_and_another_tenants_is_not_there(store: Store) -> None:
    store.facts.store([sale("o")])
    found = await store.ask(paid("o", "0"))
    assert found.groups[Outcome.AMOUNT_DIFFERS].lines[0].our_amount is None
    other = await store.ask(paid("o", "0"), project="another")
    assert (other.groups[Outcome.MISSING].orders, other.groups[Outcome.EXTRA].orders) == (1, 0)


async def test_counts_and_totals_are_of_all_orders_also_where_the_page_is_full(store: Store) -> None:
    orders = [paid(f"o{n:04}", "0.1", line=n) for n in range(3000)]
    store.facts.store([sale(f"x{n:03}", "0.1") for n in range(100)])
    found = await store.ask(*orders, page=2)
    missing = found.groups[Outcome.MISSING]
    assert (missing.orders, [line.order_id for line in missing.lines]) == (3000, ["o0000", "o0001"])
    assert found.groups[Outcome.EXTRA].orders == 100
    assert [(one.provider, one.ours) for one in found.totals()] == [(Decimal("300.0"), Decimal("10.0"))]


@settings(
    max_examples=examples(25),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"),
        st.tuples(*[st.none() | st.tuples(st.integers(0, 3), st.sampled_from(["USD", "EUR"]))] * 2),
        min_size=1,
    )
)
async def test_it_says_what_two_dictionaries_say(
    store: Store, sides: dict[str, tuple[tuple[int, str] | None, tuple[int, str] | None]]
) -> None:
    """Each example uses orders of its own, so that those of earlier ones are outside its time."""
    run = sum(1 for _ in store.client.query("SELECT DISTINCT converted_at FROM conversion_arrivals").result_rows)
    at = 10 + run
    facts = [sale(f"{name}-{at}", str(ours[0]), at=at, currency=ours[1]) for name, (ours, _) in sides.items() if ours]
    if facts:
        store.facts.store(facts)
    orders = [paid(f"{name}-{at}", str(theirs[0]), theirs[1]) for name, (_, theirs) in sides.items() if theirs]
    time = Window(START + at * MINUTE, START + at * MINUTE)
    found = await store.ask(*orders, time=time)
    expected = dict.fromkeys(Outcome, 0)
    for ours, theirs in sides.values():
        if ours or theirs:
            expected[
                Outcome.EXTRA
                if theirs is None
                else Outcome.MISSING
                if ours is None
                else Outcome.MATCHED
                if ours == theirs
                else Outcome.AMOUNT_DIFFERS
            ] += 1
    assert {outcome: group.orders for outcome, group in found.groups.items()} == expected


def run(url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("-m", "clickhouse", "reconcile", *arguments),
        env=base_environment() | {"HEADWATER_CLICKHOUSE_URL": url, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_prints_a_table_and_its_status_says_whether_both_agree(store: Store, tmp_path: Path) -> None:
    url, event = store.settings.clickhouse_url, sale("o1", "49.99")
    store.facts.store([event, sale("o2", "5")])
    time = "2025-10-09T09:00:00Z"
    both = tmp_path / "orders.csv"
    both.write_text(f"order_id,amount,currency,time\no1,49.99,USD,{time}\no2,5,USD,{time}\n")
    agreed = run(url, str(both), HEADWATER_PROJECT_ID=PROJECT)
    assert (agreed.returncode, agreed.stderr) == (0, "")
    assert "54.9900" in agreed.stdout
    one = tmp_path / "orders.json"
    one.write_text(json.dumps([{"order_id": "o1", "amount": "50", "currency": "USD", "time": time}]))
    differing = run("http://127.0.0.1:1/", str(one), "--project", PROJECT, "--clickhouse", url)
    assert differing.returncode == 1
    assert f"/v1/projects/{PROJECT}/events/{event.event_id}/receipt" in differing.stdout
    assert "extra\n  o2" in differing.stdout
    lines = tmp_path / "orders.jsonl"
    lines.write_text(json.dumps({"order_id": "o1", "amount": 1, "currency": "USD"}) + "\n")
    bad = run(url, str(lines), "--project", PROJECT)
    assert (bad.returncode, bad.stderr) == (2, "reconcile: time: line 1: time is missing\n")
    for arguments, code in (
        ((str(both),), 2),
        ((str(tmp_path / "none.csv"), "--project", PROJECT), 2),
        ((str(both), "--project", PROJECT, "--from", "soon"), 2),
        ((), 2),
        (("--help",), 0),
        ((str(both), "--project", PROJECT, "--clickhouse", "http://127.0.0.1:1/"), 3),
    ):
        assert run(url, *arguments).returncode == code, arguments
