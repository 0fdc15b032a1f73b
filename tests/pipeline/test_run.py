"""``make run`` as its user meets it: refused in one line, started whole, held up, stopped without a trace."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest
from harness import (
    ROOT,
    Process,
    eventually,
    free_ports,
    instance_environment,
    processes_with,
    python,
    run_sql,
    status,
)
from receiver import receiving

from deploy import demo_project
from deploy.processes import PROCESSES, to_run
from schemas.ids import conversion_id

STOP_LIMIT_S: Final = 20
START_LIMIT_S: Final = 120
# What the command line of each part holds: the broker has become a JVM.
MARKS: Final = {process.name: f"-m {' '.join(process.command)}" for process in PROCESSES} | {"kafka": "kafka.Kafka"}


RUN: Final = python("-m", "deploy.run")
# With what this interpreter has, instead of a new ``.venv``.
MAKE: Final = ("make", "--no-print-directory", "--old-file=.venv/.installed", f"PY={sys.executable}")


def make_run(environment: dict[str, str], directory: Path) -> Process:
    """``make run`` in this environment."""
    return Process(*MAKE, "run", environment=environment, directory=directory, is_module=False)


def ended(
    command: Sequence[str], environment: dict[str, str], *, cwd: Path = ROOT, limit_s: float = 60
) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=limit_s, check=False
    )


def make(target: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Another target, to its end."""
    return ended([*MAKE, target], environment, limit_s=START_LIMIT_S)


def wait_up(instance: Process, environment: dict[str, str]) -> None:
    ready = Path(environment["HEADWATER_DATA_DIR"]) / "ready"

    def is_up() -> bool:
        assert instance.running, instance.output
        return ready.exists()

    eventually(is_up, START_LIMIT_S, lambda: instance.output)


def parts_of(environment: dict[str, str]) -> dict[int, str]:
    return processes_with("HEADWATER_DATA_DIR", environment["HEADWATER_DATA_DIR"])


def assert_nothing_stays(environment: dict[str, str], limit_s: float = STOP_LIMIT_S) -> None:
    eventually(lambda: not parts_of(environment), limit_s, lambda: f"still running: {parts_of(environment)}")
    for name in ("HTTP", "CLICKHOUSE", "KAFKA"):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(environment[f"HEADWATER_{name}_PORT"]))) != 0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    of_tests = {"HEADWATER_DELIVERY_ALLOW_PRIVATE": "1"}  # receivers are on loopback
    return instance_environment(tmp_path_factory.mktemp("instance") / "a directory of ours") | of_tests


@pytest.fixture(scope="module")
def instance(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One instance that works, for the tests that leave it so."""
    process = make_run(environment, tmp_path_factory.mktemp("output")).start()
    try:
        wait_up(process, environment)
        yield process
    finally:
        process.end(STOP_LIMIT_S)


def refusal(environment: dict[str, str]) -> str:
    """The one line with which an instance refuses to start."""
    done = ended(RUN, environment)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert parts_of(environment) == {}
    return done.stderr


@pytest.mark.parametrize("name", ["HTTP", "CLICKHOUSE", "KAFKA"])
def test_a_busy_port_is_refused_by_number_and_variable(name: str, tmp_path: Path) -> None:
    environment = instance_environment(tmp_path)
    port = environment[f"HEADWATER_{name}_PORT"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(port)))
        taken.listen()
        assert f"{port} (HEADWATER_{name}_PORT)" in refusal(environment)


def test_one_port_for_two_parts_is_refused(tmp_path: Path) -> None:
    environment = instance_environment(tmp_path)
    environment["HEADWATER_KAFKA_PORT"] = environment["HEADWATER_HTTP_PORT"]
    assert environment["HEADWATER_HTTP_PORT"] in refusal(environment)


def test_without_java_and_docker_it_says_what_to_install(tmp_path: Path) -> None:
    environment = instance_environment(tmp_path / "data") | {"PATH": str(tmp_path)}
    line = refusal(environment)
    assert "java is not on the PATH" in line
    assert "Docker" in line
    assert not (tmp_path / "data").exists()


def test_without_maven_and_jars_it_says_what_to_install(tmp_path: Path) -> None:
    """In a copy of the package, which has no jars yet, with Java but without Maven."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("lib", "__pycache__"))
    programs = tmp_path / "bin"
    programs.mkdir()
    java = shutil.which("java")
    assert java is not None
    (programs / "java").symlink_to(java)
    environment = instance_environment(tmp_path / "data") | {"PATH": str(programs), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = ended(RUN, environment, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "mvn is not on the PATH" in done.stderr


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    environment = instance_environment(tmp_path / "data") | {"HEADWATER_MIN_FREE_BYTES": str(1 << 60)}
    assert "no room on disk" in refusal(environment)
    assert not (tmp_path / "data").exists()


def test_a_directory_that_the_engine_cannot_open_is_refused(tmp_path: Path) -> None:
    assert "must not contain" in refusal(instance_environment(tmp_path / "50%"))


def test_a_misspelt_port_is_refused(tmp_path: Path) -> None:
    assert "http_port" in refusal(instance_environment(tmp_path) | {"HEADWATER_HTTP_PORT": "99999"})


def test_a_broker_that_never_answers_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    """Half started, that is: ClickHouse runs by then, and must go again."""
    nobody = {"HEADWATER_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_ports(1)[0]}", "HEADWATER_START_TIMEOUT_S": "2"}
    environment = instance_environment(tmp_path) | nobody
    done = ended(RUN, environment)
    assert done.returncode != 0
    assert "Kafka at 127.0.0.1" in done.stderr
    assert_nothing_stays(environment)


def test_a_second_instance_on_the_same_directory_is_refused(instance: Process, environment: dict[str, str]) -> None:
    others = instance_environment(Path(environment["HEADWATER_DATA_DIR"]))
    done = ended(RUN, others)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "another instance" in done.stderr
    assert status(f"http://127.0.0.1:{environment['HEADWATER_HTTP_PORT']}/readyz") == 200


def test_every_part_is_ready_and_known_to_prometheus(instance: Process, environment: dict[str, str]) -> None:
    text = (Path(environment["HEADWATER_DATA_DIR"]) / "prometheus-targets.json").read_bytes()
    targets = {target["labels"]["part"]: target["targets"][0] for target in msgspec.json.decode(text)}
    assert set(targets) == {"web", "events", "conversions", "booker", "delivery"}
    for address in targets.values():
        assert status(f"http://{address}/readyz") == 200
        assert status(f"http://{address}/metrics") == 200


def test_demo_env_is_private_and_complete(instance: Process, environment: dict[str, str]) -> None:
    path = Path(environment["HEADWATER_DATA_DIR"]) / "demo.env"
    assert path.stat().st_mode & 0o777 == 0o600
    demo = demo_project.read(path)
    names = {"HEADWATER_URL", "PROJECT_ID", "SITE_KEY", "SECRET_KEY", "PUBLIC_KEY", "CLICKHOUSE_URL"}
    assert names | {"POSTBACK_TOKEN", "LINK_ID", "LINK_URL"} == set(demo)
    assert run_sql(demo["CLICKHOUSE_URL"], "SELECT currentDatabase()").strip() == "headwater"


def test_the_printed_curl_works(instance: Process, environment: dict[str, str]) -> None:
    command = instance.output.partition("A first event:")[2].partition("}'")[0] + "}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=True)
    assert msgspec.json.decode(done.stdout)["status"] == "accepted"


@pytest.mark.parametrize("part", [process.name for process in PROCESSES])
def test_a_part_that_dies_is_started_again(part: str, instance: Process, environment: dict[str, str]) -> None:
    def pids() -> set[int]:
        return {
            pid for pid, command in parts_of(environment).items() if MARKS[part] in command and "tether" not in command
        }

    (victim,) = pids()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(pids() - {victim}) == 1)
    text = (Path(environment["HEADWATER_DATA_DIR"]) / "prometheus-targets.json").read_bytes()
    addresses = [target["targets"][0] for target in msgspec.json.decode(text)]
    eventually(lambda: all(status(f"http://{address}/readyz") == 200 for address in addresses))


def test_after_every_part_has_died_a_conversion_is_booked_and_told(
    instance: Process, environment: dict[str, str]
) -> None:
    """The parts are those that the test before killed one after the other, Kafka among them."""
    demo = demo_project.read(Path(environment["HEADWATER_DATA_DIR"]) / "demo.env")
    project = f"{demo['HEADWATER_URL']}/v1/projects/{demo['PROJECT_ID']}"
    order = f"order-{uuid.uuid4()}"
    body = {
        "event_type": "conversion",
        "event_name": "purchase",
        "revenue": 12.5,
        "currency": "USD",
        "user_id": order,
        "properties": {"order_id": order},
    }
    credited = (
        f"SELECT sum(amount) FROM v_credits WHERE model = 'linear' AND scope = 'all' AND conversion_id ="
        f" '{conversion_id(demo['PROJECT_ID'], 'purchase', order, '')}'"
    )
    with receiving() as receiver, httpx.Client(headers={"Authorization": f"Bearer {demo['SECRET_KEY']}"}) as client:
        made = client.post(f"{project}/destinations", json={"name": "CRM", "url": receiver.url})
        assert made.status_code == 201, made.text
        posted = client.post(f"{project}/events", json=body)
        assert posted.status_code == 202, posted.text
        eventually(lambda: run_sql(demo["CLICKHOUSE_URL"], credited).strip() == "12.5", 60)
        eventually(lambda: len(receiver.told) == 1, 60, "nobody was told")
    imbalance = "SELECT sum(imbalance) FROM v_ledger"
    eventually(lambda: run_sql(demo["CLICKHOUSE_URL"], imbalance).strip() == "0", 60)


def test_sigterm_to_make_stops_all_and_a_second_run_finds_its_data(
    instance: Process, environment: dict[str, str]
) -> None:
    """The last test of the shared instance: it ends it."""
    demo_env = Path(environment["HEADWATER_DATA_DIR"]) / "demo.env"
    first = demo_project.read(demo_env)
    began = time.monotonic()
    instance.signal(signal.SIGTERM)
    instance.wait(STOP_LIMIT_S)
    assert_nothing_stays(environment, STOP_LIMIT_S - (time.monotonic() - began))

    instance.start()
    wait_up(instance, environment)
    assert demo_project.read(demo_env) == first

    # And if make itself is killed, everything stops by itself.
    instance.kill()
    assert_nothing_stays(environment)


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path) -> None:
    environment = instance_environment(tmp_path)
    instance = Process("deploy.run", environment=environment, directory=tmp_path).start()
    try:
        eventually(lambda: any("kafka.Kafka" in command for command in parts_of(environment).values()))
        instance.signal(signal.SIGINT)
        assert instance.wait(STOP_LIMIT_S) == 0
        assert_nothing_stays(environment, 1)
    finally:
        instance.end(STOP_LIMIT_S)


def test_up_on_named_servers_starts_no_others_and_down_stops_it_all(
    kafka_bootstrap: str, clickhouse_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    environment = instance_environment(tmp_path) | {
        "HEADWATER_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "HEADWATER_CLICKHOUSE_URL": clickhouse_url,
        "HEADWATER_TOPIC_PREFIX": topic_prefix,
    }
    try:
        up = make("up", environment)
        assert up.returncode == 0, up.stderr
        assert "Headwater is up" in up.stdout
        again = make("up", environment)
        assert again.returncode != 0
        assert "another instance" in again.stdout

        commands = parts_of(environment).values()
        assert [part for part in ("kafka", "clickhouse") if any(MARKS[part] in command for command in commands)] == []
        demo = demo_project.read(tmp_path / "demo.env")
        assert demo["CLICKHOUSE_URL"] == environment["HEADWATER_CLICKHOUSE_URL"]
        key = {"Authorization": f"Bearer {demo['SECRET_KEY']}"}
        events = f"{demo['HEADWATER_URL']}/v1/projects/{demo['PROJECT_ID']}/events"
        posted = httpx.post(events, headers=key, json={"event_type": "pageview", "url": "https://shop.example/"})
        assert posted.status_code == 202, posted.text
        stored = f"SELECT count() FROM v_events WHERE event_id = '{posted.json()['event_id']}'"
        eventually(lambda: run_sql(demo["CLICKHOUSE_URL"], stored).strip() == "1")
    finally:
        down = make("down", environment)
    assert (down.returncode, down.stderr) == (0, "")
    assert_nothing_stays(environment, 5)  # whoever held the directory is in its last moments
    assert run_sql(demo["CLICKHOUSE_URL"], stored).strip() == "1"
    assert make("down", environment).returncode == 0


def test_web_processes_are_as_many_as_wanted() -> None:
    chosen = to_run(local_kafka=False, local_clickhouse=False, web_processes=3)
    assert [process.name for process in chosen] == [
        "booker",
        "delivery",
        "conversions",
        "events",
        "web-1",
        "web-2",
        "web-3",
    ]


def test_all_parts_together_may_stop_within_the_limit() -> None:
    """Groups stop one after the other: the longest waits of all of them must fit."""
    waits = {process.group: process.stop_wait_s for process in PROCESSES}
    assert all(process.stop_wait_s == waits[process.group] for process in PROCESSES)
    assert sum(waits.values()) < STOP_LIMIT_S
