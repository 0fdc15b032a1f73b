"""Are credits queryable within 5 s of a conversion's 202 while so many events a second flow? A JSON document a rate.

``PYTHONPATH=.:tests python tests/bench/credits_bench.py [--seconds S] [RATE ..]`` starts a whole installation and, for
one rate after the other, lets ``load_of_bench`` post a shop's traffic at that rate. Meanwhile marked conversions are
posted, four a second by the clock, each of a user of its own whom a visit with a source made known before. A sample is
the time from the 202 of such a conversion until ``v_credits`` shows it under all five models (scope all, that source).

1. All times are seconds. A sample ends when ``runs`` shows the run that booked the conversion: from then on readers
   count its entries. ``runs`` is asked every 0.1 s; the wait for it and its answer is part of a sample. ``v_credits``
   itself is asked only after the load, since its answer takes CPU time that the installation needs.
2. A conversion that is not there 30 s after the load's end is ``never_seen``, and counts in the quantiles with the time
   it has waited by then: they are then lower bounds.
3. ``promise_kept``: p99 below 5 s, nothing never seen. ``rate_kept``: at least 95 % of the rate was accepted in the
   load's time; else the figures are those of ``achieved_rate``. The first rate that lacks one of them is the last.
4. A rate begins when everything before it is booked, and ends so, too: ``drained_s`` after the load's last answer.
   ``events_accepted`` have a 202, ``events_booked`` are below the offsets of the last run, both since the start.
5. ``cpu_s_per_1000_events``: user and system, all threads, from before the load until it is booked, by part of
   ``make run``. The engine's holds the bench's own queries; ``load`` and ``bench`` are not of the installation, but
   share its cores.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from harness import base_environment, python
from installation_of_bench import CpuSeconds, Installation, installation
from latency_bench import quantiles
from load_of_bench import BATCH, Load

from schemas.ids import conversion_id

RATES: Final = (1_000, 2_500, 5_000, 10_000, 20_000)
SECONDS: Final = 20.0
SAMPLES_A_SECOND: Final = 4
POLL_S: Final = 0.1
LOOK_S: Final = 1.0
PROMISE_S: Final = 5.0
RATE_KEPT: Final = 0.95
SEEN_LIMIT_S: Final = 30.0
DRAIN_LIMIT_S: Final = 180.0
LEDGER_LIMIT_S: Final = 30.0
MODELS: Final = 5
SOURCE: Final = "marked"

CREDITED: Final = """
    SELECT conversion_id, arrayStringConcat(groupUniqArray(toString(run_id)), ',') FROM credits
    WHERE project_id = '{project}' AND scope = 'all' AND source = '{source}' AND conversion_id IN
    (
        SELECT conversion_id FROM v_credits
        WHERE project_id = '{project}' AND scope = 'all' AND source = '{source}' AND conversion_id IN ({ids})
        GROUP BY conversion_id HAVING uniqExact(model) = {models}
    )
    GROUP BY conversion_id
"""
BOOKED: Final = """
    WITH (SELECT argMax(offsets, number) FROM runs) AS booked
    SELECT sumIf(received, stage = 'events'), sumIf(received, stage = 'conversions') FROM
    (
        SELECT DISTINCT stage, topic_id, kafka_partition, received FROM checkpoints
        WHERE end_offset = booked[concat(stage, ':', topic_id, ':', toString(kafka_partition))]
    )
"""
NEW_RUNS: Final = "SELECT number, run_id FROM runs WHERE number > {number}"
RUNS: Final = """
    SELECT toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(committed_at) FROM runs
    WHERE kind = 'book' AND started_at >= fromUnixTimestamp64Milli({began_ms})
"""


class Totals(msgspec.Struct):
    """Events of both stages since the installation began: accepted with a 202, or booked."""

    events: int = 0
    conversions: int = 0

    def reached(self, other: "Totals") -> bool:
        return self.events >= other.events and self.conversions >= other.conversions


class Sample(msgspec.Struct):
    """One marked conversion; moments are those of ``time.perf_counter``."""

    conversion_id: str
    posted: float
    acknowledged: float
    seen: float | None = None


def booked(running: Installation) -> Totals:
    ((events, conversions),) = running.sql(BOOKED)
    return Totals(int(events), int(conversions))


def credited(running: Installation, ids: list[str]) -> dict[str, list[str]]:
    """Those of the conversions that all models credit, each with the runs that have entries of it."""
    listed = ", ".join(f"'{one}'" for one in ids)
    rows = running.sql(CREDITED.format(project=running.project_id, source=SOURCE, ids=listed, models=MODELS))
    return {one: runs.split(",") for one, runs in rows}


def user(name: str, number: int) -> dict[str, str]:
    """Who makes the ``number``-th marked conversion."""
    return {"user_id": f"marked-{name}-{number}", "anonymous_id": f"marked-browser-{name}-{number}"}


def visits(name: str, count: int) -> list[dict[str, str]]:
    """The touches of those users."""
    url = f"https://shop.example/?utm_source={SOURCE}&utm_medium=cpc"
    return [
        user(name, number) | {"event_type": "pageview", "session_id": f"marked-{name}-{number}", "url": url}
        for number in range(count)
    ]


def purchase(name: str, number: int) -> dict[str, Any]:
    """A marked conversion, as a shop's server reports it."""
    return {
        "event_type": "conversion",
        "event_name": "purchase",
        "user_id": user(name, number)["user_id"],
        "revenue": "49.99",
        "currency": "USD",
        "properties": {"order_id": f"marked-{name}-{number}"},
    }


class Watch:
    """Posts the marked conversions of one rate, and looks for their credits."""

    def __init__(self, running: Installation, name: str, count: int) -> None:
        self._running = running
        self._name = name
        self._count = count
        self._gives_up = float("inf")
        self._runs: dict[str, float] = {}
        """When each run was seen first."""
        self._number = 0
        self.samples: list[Sample] = []
        self.refused: Counter[str] = Counter()
        self.queries: list[float] = []
        """Seconds of each query."""

    async def during(self, load: Awaitable[bytes]) -> bytes:
        """Post and look while the load flows, and look until all are seen or the limit after its end; what it said."""
        await asyncio.to_thread(self._see_runs)
        looking = asyncio.create_task(self._look())
        _, said = await asyncio.gather(self._post(), load)
        self._gives_up = time.perf_counter() + SEEN_LIMIT_S
        await self._find()
        looking.cancel()
        return said

    def waits(self) -> list[float]:
        """Of each sample, from its 202 until it was seen, or until now."""
        now = time.perf_counter()
        return [(sample.seen or now) - sample.acknowledged for sample in self.samples]

    async def _post(self) -> None:
        """By the clock: a slow answer delays no other request."""
        began = time.perf_counter()
        async with (
            httpx.AsyncClient(headers=self._running.headers, timeout=15) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self._count):
                await asyncio.sleep(max(0.0, began + number / SAMPLES_A_SECOND - time.perf_counter()))
                group.create_task(self._post_one(client, number))

    async def _post_one(self, client: httpx.AsyncClient, number: int) -> None:
        posted = time.perf_counter()
        try:
            answer = await client.post(self._running.events_url, json=purchase(self._name, number))
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1
            return
        acknowledged = time.perf_counter()
        if answer.status_code != 202:
            self.refused[str(answer.status_code)] += 1
            return
        order = purchase(self._name, number)["properties"]["order_id"]
        named = conversion_id(self._running.project_id, "purchase", order, "")
        self.samples.append(Sample(named, posted, acknowledged))

    async def _look(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.to_thread(self._see_runs)
            await asyncio.sleep(max(0.0, began + POLL_S - time.perf_counter()))

    def _see_runs(self) -> None:
        began = time.perf_counter()
        rows = self._running.sql(NEW_RUNS.format(number=self._number))
        now = time.perf_counter()
        self.queries.append(now - began)
        for number, run_id in rows:
            self._number = max(self._number, int(number))
            self._runs[run_id] = now

    async def _find(self) -> None:
        """Until all samples are seen, or the limit."""
        while (
            outstanding := [one for one in self.samples if one.seen is None]
        ) and time.perf_counter() < self._gives_up:
            await asyncio.sleep(LOOK_S)
            found = await asyncio.to_thread(credited, self._running, [one.conversion_id for one in outstanding])
            for sample in outstanding:
                runs = found.get(sample.conversion_id, ())
                sample.seen = min((self._runs[run] for run in runs if run in self._runs), default=None)


async def under_load(watch: Watch, running: Installation, rate: int, seconds: float, name: str) -> Load:
    """The load, in a process of its own that ends by itself, and the watch that begins with it."""
    process = await asyncio.create_subprocess_exec(
        *python(str(Path(__file__).parent / "load_of_bench.py")),
        *(running.events_url, running.secret_key, str(rate), str(seconds), name),
        env=base_environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()  # its first batch is due
        return msgspec.json.decode(await watch.during(process.stdout.readline()), type=Load)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Bench:
    """One rate after the other on one installation."""

    def __init__(self, running: Installation, seconds: float) -> None:
        self._running = running
        self._seconds = seconds
        self._accepted = Totals()

    def measure(self, rate: int) -> dict[str, Any]:
        """The document of a rate. Everything earlier is booked when this begins, and all of this when it ends."""
        name, count = f"rate{rate}", int(self._seconds * SAMPLES_A_SECOND)
        self._make_known(visits(name, count))
        watch = Watch(self._running, name, count)
        accepted, began = self._accepted.events, time.time_ns() // 1_000_000
        parts, own_cpu = self._running.cpu_seconds(), time.process_time()
        load = asyncio.run(under_load(watch, self._running, rate, self._seconds, name))
        load_average = os.getloadavg()[0]
        samples = of_samples(watch)
        self._accepted.events += load.accepted_events + len(watch.samples)
        self._accepted.conversions += load.accepted_conversions + len(watch.samples)
        drained = self._drained()
        spent = since(parts, self._running.cpu_seconds()) | {
            "load": load.cpu_s,
            "bench": time.process_time() - own_cpu,
        }
        events = self._accepted.events - accepted
        return (
            {"bench": "credits", "target_rate": rate, "seconds": self._seconds}
            | of_load(load, rate)
            | samples
            | {
                "events_accepted": self._accepted.events,
                "events_booked": booked(self._running).events,
                "drained": drained,
                "ledger_imbalance": self._imbalance(),
                **self._runs(began, load.ended_ms),
                "cpu_s_per_1000_events": {name: round(cpu / events * 1000, 4) for name, cpu in sorted(spent.items())},
                "load_average": round(load_average, 2),
                "cores": os.cpu_count(),
            }
        )

    def _make_known(self, events: list[dict[str, str]]) -> None:
        with httpx.Client(headers=self._running.headers, timeout=30) as client:
            for start in range(0, len(events), BATCH):
                answer = client.post(self._running.events_url, json=events[start : start + BATCH])
                assert answer.status_code == 202, answer.text
                self._accepted.events += answer.json()["accepted"]
        assert self._drained(), "the visits before the load were not booked"

    def _drained(self) -> bool:
        """Wait until all that was accepted is booked; whether it was, in time."""
        return held(lambda: booked(self._running).reached(self._accepted), DRAIN_LIMIT_S)

    def _imbalance(self) -> int:
        """Of all stages, once it is 0 or has had time to become so: the stages may still write."""

        def found() -> int:
            return int(self._running.sql("SELECT sum(imbalance) FROM v_ledger")[0][0])

        held(lambda: found() == 0, LEDGER_LIMIT_S)
        return found()

    def _runs(self, began_ms: int, ended_ms: int) -> dict[str, Any]:
        """What the booker did since then, and when it was done."""
        rows = self._running.sql(RUNS.format(began_ms=began_ms))
        took = [int(committed) - int(started) for started, committed in rows]
        last = max((int(committed) for _, committed in rows), default=ended_ms)
        return {
            "drained_s": round(max(0, last - ended_ms) / 1000, 3),
            "runs": len(took),
            "seconds_of_a_run": of_many([each / 1000 for each in took]),
        }


def held(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether ``condition`` came to hold in time."""
    deadline = time.monotonic() + limit_s
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.5)  # the queries take what the installation needs
    return holds


def since(before: CpuSeconds, now: CpuSeconds) -> dict[str, float]:
    """CPU seconds of each part meanwhile; one that was started anew has all of its new life."""
    spent: dict[str, float] = defaultdict(float)
    for pid, (part, cpu) in now.items():
        spent[part] += cpu - before.get(pid, (part, 0.0))[1]
    return dict(spent)


def of_load(load: Load, rate: int) -> dict[str, Any]:
    achieved = load.accepted_events / load.took_s
    return {
        "achieved_rate": round(achieved),
        "rate_kept": achieved >= RATE_KEPT * rate,
        "behind_s": round(load.behind_s, 3),
        "slowest_answer_s": round(load.answer_s, 3),
        "unsent_events": load.unsent_events,
        "refused_events": dict(load.refused),
    }


def of_samples(watch: Watch) -> dict[str, Any]:
    waits = of_many(watch.waits())
    never_seen = sum(sample.seen is None for sample in watch.samples)
    return {
        "samples": len(watch.samples),
        "samples_refused": dict(watch.refused),
        "seconds_to_202": of_many([sample.acknowledged - sample.posted for sample in watch.samples]),
        "seconds_to_credits": waits,
        "seconds_of_a_query": of_many(watch.queries),
        "never_seen": never_seen,
        "promise_kept": bool(waits) and waits["p99"] < PROMISE_S and not never_seen,
    }


def of_many(values: list[float]) -> dict[str, float]:
    """Their quantiles; none of fewer than two."""
    return quantiles(values) if len(values) > 1 else {}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="seconds from a 202 to queryable credits, at rates of events a second")
    parser.add_argument("rates", nargs="*", type=int, default=RATES, metavar="RATE")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each rate is posted")
    asked = parser.parse_args(arguments)
    with installation() as running:
        bench = Bench(running, asked.seconds)
        for rate in asked.rates:
            found = bench.measure(rate)
            print(json.dumps(found), flush=True)
            if not (found["promise_kept"] and found["rate_kept"] and found["drained"]):
                break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
