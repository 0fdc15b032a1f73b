"""The embedded server as a process: it starts again after kill -9, shares its directory with nobody, stops cleanly."""

import contextlib
import signal
import socket
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from harness import Process, base_environment, eventually, free_port, python

Server = Callable[..., Process]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Makes a server on ``tmp_path``, not yet started; all are ended after the test."""
    made: list[Process] = []

    def make(port: int, **environment: str) -> Process:
        settings = {"HEADWATER_DATA_DIR": str(tmp_path), "HEADWATER_CLICKHOUSE_PORT": str(port)}
        process = Process(
            "clickhouse",
            "serve",
            environment=base_environment() | settings | environment,
            directory=tmp_path,
            ready_url=f"http://127.0.0.1:{port}/ping",
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.end()


def ask(port: int, sql: str, **headers: str) -> str:
    response = httpx.post(f"http://127.0.0.1:{port}/", content=sql, headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return response.text


def refused(environment: dict[str, str]) -> str:
    """What a server that must not start says, on its one line."""
    done = subprocess.run(
        python("-m", "clickhouse", "serve"), env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def test_it_says_one_line_when_it_is_ready(server: Server) -> None:
    port = free_port()
    process = server(port).start()
    assert process.output == f"clickhouse: listening on http://127.0.0.1:{port}\n"


def test_acknowledged_rows_survive_kill_9_in_the_middle_of_inserts(server: Server) -> None:
    port = free_port()
    process = server(port).start()
    ask(port, "CREATE DATABASE shop")
    ask(
        port, "CREATE TABLE shop.t (writer UInt8, batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY (writer, batch)"
    )
    ask(port, "CREATE TABLE shop.sums (writer UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY writer")
    ask(port, "CREATE MATERIALIZED VIEW shop.v TO shop.sums AS SELECT writer, count() n FROM shop.t GROUP BY writer")
    acknowledged: list[set[int]] = [set(), set(), set()]

    def write(writer: int) -> None:
        with contextlib.suppress(httpx.HTTPError), httpx.Client(timeout=60) as client:
            for batch in range(100_000):
                rows = "".join(f"{writer}\t{batch}\t{row}\n" for row in range(500))
                sql = "INSERT INTO shop.t FORMAT TSV"
                client.post(f"http://127.0.0.1:{port}/", params={"query": sql}, content=rows).raise_for_status()
                acknowledged[writer].add(batch)

    for life in range(1, 4):
        for batches in acknowledged:
            batches.clear()
        ask(port, "TRUNCATE TABLE shop.t")
        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for thread in writers:
            thread.start()
        eventually(lambda: min(map(len, acknowledged)) >= 5 * life, 30)  # noqa: B023
        process.kill()
        for thread in writers:
            thread.join()
        process.start()
        for writer, batches in enumerate(acknowledged):
            sql = f"SELECT batch, count() FROM shop.t WHERE writer = {writer} GROUP BY batch"
            found = dict(map(int, line.split("\t")) for line in ask(port, sql).splitlines())
            assert batches <= found.keys()
            assert set(found.values()) == {500}, "an insert is there whole or not at all"
            assert len(found) <= len(batches) + 1
    assert {line.split("\t")[1] for line in ask(port, "CHECK TABLE shop.t").splitlines()} == {"1"}
    ask(port, "OPTIMIZE TABLE shop.t FINAL")
    assert int(ask(port, "SELECT sum(n) FROM shop.sums")) >= 3 * 500


def test_a_second_instance_on_the_directory_does_not_start(server: Server) -> None:
    process = server(free_port()).start()
    line = refused(process.environment | {"HEADWATER_CLICKHOUSE_PORT": str(free_port())})
    assert line.startswith(f"clickhouse: another instance (process {process.pid}) holds the data directory ")


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = {"HEADWATER_DATA_DIR": str(tmp_path), "HEADWATER_CLICKHOUSE_PORT": str(port)}
        line = refused(base_environment() | environment)
    assert line == f"clickhouse: cannot listen on 127.0.0.1 port {port}: Address already in use"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "clickhouse").write_text("a file where the directory should be")
    environment = {"HEADWATER_DATA_DIR": str(tmp_path), "HEADWATER_CLICKHOUSE_PORT": str(free_port())}
    line = refused(base_environment() | environment)
    assert line.startswith(f"clickhouse: the data directory {tmp_path / 'clickhouse'} cannot be written: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADWATER_CLICKHOUSE_PORT", "http"),
        ("HEADWATER_CLICKHOUSE_PORT", "70000"),
        ("HEADWATER_CLICKHOUSE_THREADS", "0"),
        ("HEADWATER_CLICKHOUSE_PASSWORD_FILE", "/nowhere/password"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    line = refused(base_environment() | {"HEADWATER_DATA_DIR": str(tmp_path), name: value})
    assert line.startswith(f"clickhouse: {name} ")
    assert not (tmp_path / "clickhouse").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_queries_finish(server: Server, number: signal.Signals) -> None:
    port = free_port()
    process = server(port).start()
    answers: list[str] = []
    sql = "SELECT sum(sleepEachRow(0.25)) FROM numbers(6) SETTINGS max_block_size = 1"
    query = threading.Thread(target=lambda: answers.append(ask(port, sql)))
    query.start()
    eventually(lambda: "queries_inflight 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text, 10)
    process.signal(number)
    assert process.wait(20) == 0
    query.join()
    assert answers == ["0\n"]
    with pytest.raises(httpx.ConnectError):
        ask(port, "SELECT 1")


def test_a_query_without_end_does_not_keep_the_process(server: Server) -> None:
    port = free_port()
    process = server(port).start()
    ask(port, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    ask(port, "INSERT INTO t VALUES (1)")
    query = threading.Thread(target=_ask_without_end, args=(port,))
    query.start()
    eventually(lambda: "queries_inflight 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text, 10)
    process.signal(signal.SIGTERM)
    assert process.wait(20) == 0
    query.join()
    process.start()
    assert ask(port, "SELECT a FROM t") == "1\n"


def _ask_without_end(port: int) -> None:
    with contextlib.suppress(httpx.HTTPError, AssertionError):  # cut off, or told so
        ask(port, "SELECT max(number) FROM system.numbers SETTINGS max_threads = 1")


def test_a_password_is_asked_for_however_it_comes(server: Server, tmp_path: Path) -> None:
    port = free_port()
    secret = tmp_path / "password"
    secret.write_text("pass:wörd\n")
    process = server(port, HEADWATER_CLICKHOUSE_PASSWORD_FILE=str(secret)).start()
    url = f"http://127.0.0.1:{port}/"
    right = "pass:wörd"
    headers = {b"X-ClickHouse-User": b"default", b"X-ClickHouse-Key": right.encode()}
    assert httpx.post(url, content="SELECT 1", headers=headers).text == "1\n"
    assert httpx.post(url, content="SELECT 1", auth=("default", right)).text == "1\n"
    assert httpx.post(url, content="SELECT 1", params={"user": "default", "password": right}).text == "1\n"
    assert httpx.post(url, content="SELECT 1", params={"password": right}).text == "1\n"
    without = httpx.post(url, content="SELECT 1")
    assert (without.status_code, without.headers["x-clickhouse-exception-code"]) == (401, "194")
    for user, password in (("default", "wrong"), ("default", ""), ("other", right), ("", "")):
        wrong = httpx.post(url, content="SELECT 1", auth=(user, password))
        assert (wrong.status_code, wrong.headers["x-clickhouse-exception-code"]) == (403, "516")
    assert httpx.get(f"{url}ping").status_code == 200
    assert "wörd" not in process.output


def test_a_compressed_bomb_does_not_fill_the_memory(server: Server) -> None:
    port = free_port()
    process = server(port).start()
    ask(port, "CREATE TABLE t (a String) ENGINE = Null")
    compressor = zlib.compressobj(1, wbits=31)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(512)) + compressor.flush()
    before = psutil.Process(process.pid).memory_info().rss
    peak: list[int] = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak.append(psutil.Process(process.pid).memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for body in (bomb, bomb[:-8]):
            response = httpx.post(
                f"http://127.0.0.1:{port}/", content=body, headers={"Content-Encoding": "gzip"}, timeout=60
            )
            assert response.status_code in {400, 413}, response.text
    finally:
        done.set()
        watcher.join()
    assert max(peak) - before < 300 << 20
    assert ask(port, "SELECT 1") == "1\n"


def test_what_a_killed_instance_left_in_its_spool_is_removed(server: Server, tmp_path: Path) -> None:
    spool = tmp_path / "clickhouse" / "spool"
    spool.mkdir(parents=True)
    (spool / "input-left").write_bytes(b"x")
    server(free_port()).start()
    assert list(spool.iterdir()) == []


def test_open_files_do_not_grow_with_queries(server: Server) -> None:
    port = free_port()
    process = server(port).start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def burst() -> tuple[int, int]:
            for _ in range(50):
                assert client.post("/", content="SELECT 1", params={"session_id": "s"}).text == "1\n"
                client.post("/", content="SELECT * FROM nowhere")
            found = psutil.Process(process.pid)
            return found.num_fds(), found.num_threads()

        burst()
        files, threads = burst()
        files_after, threads_after = burst()
    # A few come and go with background work; one left by each query would be fifty.
    assert files_after <= files + 20
    assert threads_after <= threads + 20
