"""``make run``: everything on this machine, in the foreground, until Ctrl-C or SIGTERM.

1. Check, and refuse in one line: room on disk, Java and Maven or Docker, the data directory, the ports.
2. Start Kafka and ClickHouse, unless they run elsewhere, and wait until they answer; create topics and, once, the demo
   project; migrate tables.
3. Start the stages, the booker and the web processes, and wait until each says that it is ready.
4. Print where everything is.
5. On a signal stop in the reverse order, within 20 s. Whatever goes wrong on the way: the same.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from deploy import demo_project, readiness
from deploy.checks import CannotStart, check_disk, check_kafka_can_run, check_path, check_ports, free_ports
from deploy.data_dir import DataDir
from deploy.processes import Phase, Process, to_run
from deploy.settings import RunSettings
from deploy.supervision import Supervisor, tethered
from schemas.settings import PREFIX, InvalidSettings, load

STOP_LIMIT_S: Final = 18.5
CLICKHOUSE_USER: Final = "default"
DATABASE: Final = "headwater"


def main(environ: Mapping[str, str]) -> int:
    try:
        settings = load(RunSettings, environ)
        check_disk(settings.directory, settings.min_free_bytes)
        if settings.local_clickhouse:
            check_path(settings.directory)
        if settings.local_kafka:
            check_kafka_can_run()
        data_dir = DataDir(settings.directory)
        try:
            check_ports(settings.ports)
            asyncio.run(_run(settings, data_dir, environ))
        finally:
            data_dir.release()
    except (CannotStart, InvalidSettings) as error:
        print(f"headwater: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: RunSettings, data_dir: DataDir, environ: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    instance = asyncio.create_task(_instance(settings, data_dir, environ))
    try:
        await asyncio.wait({stopping, instance}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if instance.done():
            await instance
        else:
            _say("stopping")
            instance.cancel()
            await asyncio.wait({instance})
            if not instance.cancelled() and (error := instance.exception()):
                raise error


async def _instance(settings: RunSettings, data_dir: DataDir, environ: Mapping[str, str]) -> None:
    """One life of an instance; cancelling it stops it in order."""
    began = time.monotonic()
    processes = to_run(
        local_kafka=settings.local_kafka,
        local_clickhouse=settings.local_clickhouse,
        web_processes=settings.web_processes,
    )
    environment = part_environment(settings, data_dir, environ)
    if settings.local_kafka:
        await _once("fetching Kafka (first time only)", ("deploy.kafka", "fetch"), environment)
    application = [process for process in processes if process.phase is Phase.APPLICATION]
    metrics_ports = dict(zip([process.name for process in application], free_ports(len(application)), strict=True))
    data_dir.write_targets(metrics_ports)
    own = {name: {f"{PREFIX}METRICS_PORT": str(port)} for name, port in metrics_ports.items()}

    parts = Supervisor(data_dir, processes, environment, own)
    try:
        bringing_up = asyncio.create_task(_bring_up(settings, parts, application, metrics_ports, environment))
        ended = asyncio.create_task(parts.ended())
        try:
            await asyncio.wait({bringing_up, ended}, return_when=asyncio.FIRST_COMPLETED)
            if bringing_up.done():
                await bringing_up
                _say(announcement(settings, data_dir, time.monotonic() - began))
                data_dir.mark_ready()
            status = await ended
            raise CannotStart(f"the supervisor ended (status {status}); see {data_dir.logs / 'supervisord.log'}")
        finally:
            for task in (bringing_up, ended):
                task.cancel()
            await asyncio.wait({bringing_up, ended})
    finally:
        data_dir.ready.unlink(missing_ok=True)
        await parts.stop(STOP_LIMIT_S)


async def _bring_up(
    settings: RunSettings,
    parts: Supervisor,
    application: list[Process],
    metrics_ports: Mapping[str, int],
    environment: Mapping[str, str],
) -> None:
    limit_s = settings.start_timeout_s
    bootstrap = environment[f"{PREFIX}KAFKA_BOOTSTRAP"]
    ping_url = readiness.ping_url(environment[f"{PREFIX}CLICKHOUSE_URL"])

    async def kafka() -> None:
        await _within(limit_s, f"Kafka at {bootstrap}", readiness.kafka_answers(bootstrap))
        await _once("creating topics", ("control", "topics"), environment)
        await _once("making the demo project", ("deploy.demo_project",), environment)

    async def clickhouse() -> None:
        await _within(limit_s, f"ClickHouse at {ping_url}", readiness.http_answers(ping_url))
        await _once("migrating tables", ("clickhouse", "migrate"), environment)

    await parts.start(Phase.SERVERS)
    await _all(kafka(), clickhouse())
    await parts.start(Phase.APPLICATION)
    await _all(
        *(
            _within(limit_s, process.name, readiness.http_answers(f"http://127.0.0.1:{port}/readyz"))
            for process in application
            for port in (metrics_ports[process.name],)
        ),
        _within(limit_s, settings.http_url, readiness.http_answers(f"{settings.http_url}/readyz")),
    )


def part_environment(settings: RunSettings, data_dir: DataDir, environ: Mapping[str, str]) -> dict[str, str]:
    """What every part is told; the rest of the environment is passed on."""
    environment = {
        f"{PREFIX}DATA_DIR": str(data_dir.path),
        f"{PREFIX}HTTP_PORT": str(settings.http_port),
        f"{PREFIX}CLICKHOUSE_PORT": str(settings.clickhouse_port),
        f"{PREFIX}KAFKA_PORT": str(settings.kafka_port),
        f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix,
        f"{PREFIX}SECRET_FILE": str(data_dir.kept_secret("secret", 32)),
        # Static membership: a part that was killed takes its partitions up again without waiting for its own ghost.
        f"{PREFIX}INSTANCE": "local",
        f"{PREFIX}KAFKA_BOOTSTRAP": settings.kafka_bootstrap or f"127.0.0.1:{settings.kafka_port}",
        f"{PREFIX}CLICKHOUSE_URL": settings.clickhouse_url,
        "PYTHONUNBUFFERED": "1",
    }
    if settings.local_clickhouse:
        password_file = data_dir.kept_secret("clickhouse-password", 16)
        address = f"{CLICKHOUSE_USER}:{password_file.read_text().strip()}@127.0.0.1:{settings.clickhouse_port}"
        environment[f"{PREFIX}CLICKHOUSE_URL"] = f"http://{address}/?database={DATABASE}"
        environment[f"{PREFIX}CLICKHOUSE_PASSWORD_FILE"] = str(password_file)
    return {**environ, **environment}


def announcement(settings: RunSettings, data_dir: DataDir, took_s: float) -> str:
    """Where everything is, and seed S0's first curl with the demo project's id and key."""
    demo = demo_project.read(data_dir.demo_env)
    clickhouse = readiness.ping_url(demo["CLICKHOUSE_URL"]).removesuffix("/ping")
    return f"""
Headwater is up after {took_s:.1f} s. Ctrl-C stops it.

  events and read API   {settings.http_url}
  API documentation     {settings.http_url}/docs
  ClickHouse (HTTP)     {clickhouse}
  Kafka                 {settings.kafka_bootstrap or f"127.0.0.1:{settings.kafka_port}"}
  demo project's keys   {data_dir.demo_env}

A first event:

{demo_project.first_curl(demo)}
"""


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read our output may have left
        print(text, flush=True)


async def _within(limit_s: float, what: str, wait: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await wait
    except TimeoutError:
        raise CannotStart(f"{what} was not ready within {limit_s:.0f} s (HEADWATER_START_TIMEOUT_S)") from None


async def _once(what: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    """Run ``python -m`` ``command`` to its end; raises :class:`CannotStart` with the last line it printed."""
    process = await asyncio.create_subprocess_exec(
        *tethered(sys.executable, "-m", *command),
        stdout=PIPE,
        stderr=STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        raise CannotStart(f"{what} failed: {lines[-1] if lines else f'status {process.returncode}'}")


async def _all(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them together; the first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except* CannotStart as failures:
        raise failures.exceptions[0] from None


if __name__ == "__main__":
    sys.exit(main(os.environ))
