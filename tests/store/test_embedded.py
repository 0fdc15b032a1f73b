"""The embedded server speaks ClickHouse's HTTP interface: clickhouse-connect and curl take it for a server."""

import datetime
import gzip
import io
import json
import statistics
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
import httpx
import lz4.frame
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from harness import Process, base_environment, free_port, python, run_sql

Table = Callable[[str], str]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    directory: Path = tmp_path_factory.mktemp("embedded")
    port = free_port()
    environment = base_environment() | {
        "HEADWATER_DATA_DIR": str(directory),
        "HEADWATER_CLICKHOUSE_PORT": str(port),
        "HEADWATER_CLICKHOUSE_THREADS": "4",
    }
    server = Process(
        "clickhouse", "serve", environment=environment, directory=directory, ready_url=f"http://127.0.0.1:{port}/ping"
    )
    try:
        server.start()
        yield port
    finally:
        server.end()


@pytest.fixture
def http(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with clickhouse_connect.get_client(host="127.0.0.1", port=port) as client:
        yield client


@pytest.fixture
def table(http: httpx.Client) -> Iterator[Table]:
    """Makes a table of these columns, dropped after the test."""
    names: list[str] = []

    def make(columns: str) -> str:
        name = f"t{time.time_ns()}"
        names.append(name)
        ask(http, f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        return name

    yield make
    for name in names:
        ask(http, f"DROP TABLE {name} SYNC")


def ask(http: httpx.Client, sql: str | bytes, **url: str) -> str:
    response = http.post("/", content=sql, params=url)
    assert response.status_code == 200, response.text
    return response.text


# -- clickhouse-connect


def test_clickhouse_connect_reads_back_every_type_that_it_inserts(client: Client, table: Table) -> None:
    name = table(
        "id UInt64, text String, at DateTime64(3, 'UTC'), money Decimal(18, 4), maybe Nullable(Int32), "
        "tags Array(String), kind LowCardinality(String), key UUID, day Date, map Map(String, UInt8)"
    )
    at = datetime.datetime(2024, 2, 29, 12, 0, 0, 123000)
    key = "00000000-0000-0000-0000-00000000002a"
    row = [1, "naïve\t'\\\0", at, Decimal("0.3000"), None, ["a", ""], "k", key, at.date(), {"x": 1}]
    summary = client.insert(name, [row, row])
    assert summary.written_rows == 2
    result = client.query(f"SELECT * REPLACE (toString(key) AS key) FROM {name}")
    assert [list(found) for found in result.result_rows] == [row, row]
    assert result.summary["read_rows"] == "2"


def test_arrow_goes_in_and_comes_out(client: Client, table: Table) -> None:
    name = table("a UInt64, b String")
    data = pa.table({"a": pa.array(range(1000), pa.uint64()), "b": [f"row {i}" for i in range(1000)]})
    assert client.insert_arrow(name, data).written_rows == 1000
    back = client.query_arrow(f"SELECT a, b FROM {name} ORDER BY a", use_strings=True)
    assert back.to_pydict() == data.to_pydict()


def test_parameters_are_bound_by_the_engine(client: Client) -> None:
    text = "tab\t quote' back\\ new\nline {x:String} -- ; DROP TABLE t"
    result = client.query(
        "SELECT {text:String}, {list:Array(String)}, {n:Int64} + 1, {day:Date}, {none:Nullable(String)}",
        parameters={"text": text, "list": [text, ""], "n": -2, "day": datetime.date(2024, 2, 29), "none": None},
    )
    assert result.result_rows == [(text, [text, ""], -1, datetime.date(2024, 2, 29), None)]


def test_parameters_too_long_for_a_url_come_as_a_form(client: Client) -> None:
    ids = [f"id-{i:08}" for i in range(20_000)]
    query = "SELECT length({ids:Array(String)}), {ids:Array(String)}[-1]"
    assert client.query(query, parameters={"ids": ids}).result_rows == [(20_000, "id-00019999")]


def test_what_a_command_sets_or_makes_for_its_session_is_there_for_no_later_query(http: httpx.Client) -> None:
    # Queries of the same database and settings share connections.
    asked = "SELECT getSetting('max_threads'), currentDatabase(), count() FROM system.tables WHERE name = 'passing'"
    before = http.post("/", content=asked).text
    for command in ("SET max_threads = 3", "USE system", "CREATE TEMPORARY TABLE passing (x UInt8)", "SELECT nothing"):
        http.post("/", content=command)
        assert http.post("/", content=asked).text == before, command
    http.get("/", params={"query": "SELECT 1"})
    assert http.post("/", content="CREATE TEMPORARY TABLE passing (x UInt8)").status_code == 200


def test_external_data_is_a_table_of_its_query_only(client: Client) -> None:
    data = ExternalData(file_name="wanted.csv", data=b"2,b\n3,c\n", fmt="CSV", structure="id UInt8, name String")
    query = "SELECT sum(id), max(name) FROM wanted"
    assert client.query(query, external_data=data).result_rows == [(5, "c")]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query(query)


def test_a_session_keeps_what_set_and_use_did_and_drops_what_the_url_set(client: Client) -> None:
    client.command("SET max_block_size = 4321")
    client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    client.command("INSERT INTO mine VALUES (7)")
    seen = "SELECT getSetting('max_block_size'), getSetting('max_threads'), currentDatabase()"
    before = client.query(seen, settings={"max_threads": 3}).result_rows
    assert before == [(4321, 3, "default")]
    assert client.query(seen, settings={"max_block_size": 99}).result_rows[0][0] == 99
    [(blocks, threads, _)] = client.query(seen).result_rows
    assert (blocks, threads == 3) == (4321, False)
    assert client.command("SELECT a FROM mine") == 7


def test_a_session_runs_one_query_at_a_time(http: httpx.Client) -> None:
    codes: set[str | None] = set()

    def ask_often() -> None:
        for _ in range(10):
            response = http.post("/", content="SELECT sleep(0.02)", params={"session_id": "one"})
            codes.add(response.headers.get("x-clickhouse-exception-code"))

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {None, "373"}
    assert ask(http, "SELECT 1", session_id="one") == "1\n"


def test_a_session_that_must_exist_does(http: httpx.Client) -> None:
    missing = http.post("/", content="SELECT 1", params={"session_id": "another", "session_check": "1"})
    assert missing.headers["x-clickhouse-exception-code"] == "372"


# -- curl


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_probes_answer_ok(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert (response.status_code, response.text) == (200, "Ok.\n")


def test_an_answer_has_the_headers_of_a_server(http: httpx.Client) -> None:
    response = http.post("/", content="SELECT number FROM numbers(3)", params={"query_id": "mine"})
    assert response.text == "0\n1\n2\n"
    assert response.headers["x-clickhouse-query-id"] == "mine"
    assert response.headers["x-clickhouse-format"] == "TabSeparated"
    assert response.headers["x-clickhouse-timezone"] == "UTC"
    assert response.headers["x-clickhouse-server-display-name"]
    assert response.headers["content-type"] == "text/tab-separated-values; charset=UTF-8"
    summary = json.loads(response.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"], summary["written_rows"]) == ("3", "3", "0")


def test_the_format_is_the_statements_then_the_requests(http: httpx.Client) -> None:
    assert ask(http, "SELECT 1 AS a FORMAT JSONEachRow", default_format="CSV") == '{"a":1}\n'
    assert ask(http, "SELECT 1 AS a, 'x' AS b", default_format="CSVWithNames") == '"a","b"\n1,"x"\n'
    by_header = http.post("/", content="SELECT 1 AS a", headers={"X-ClickHouse-Format": "JSONCompact"})
    assert by_header.headers["x-clickhouse-format"] == "JSONCompact"
    assert by_header.json()["data"] == [[1]]


def test_a_get_only_reads(http: httpx.Client, table: Table) -> None:
    name = table("a UInt8")
    assert http.get("/", params={"query": f"SELECT count() FROM {name}"}).text == "0\n"
    for sql in (f"INSERT INTO {name} VALUES (1)", f"DROP TABLE {name}", f"CREATE TABLE {name}_2 (a Int8) ENGINE = Log"):
        for session in ({}, {"session_id": "reader"}):
            response = http.get("/", params={"query": sql, **session})
            assert response.headers["x-clickhouse-exception-code"] == "164", sql
    assert ask(http, f"SELECT count() FROM {name}") == "0\n"


def test_the_statement_may_be_in_the_url_the_body_or_both(http: httpx.Client) -> None:
    assert ask(http, b"", query="SELECT 1") == "1\n"
    assert ask(http, "+ 2", query="SELECT 1") == "3\n"


@pytest.mark.parametrize(
    ("sql", "url", "code", "status"),
    [
        ("SELECT * FROM nowhere", {}, 60, 404),
        ("SELECT * FROM nowhere.t", {}, 81, 404),
        ("SELECT 1", {"database": "nowhere"}, 81, 404),
        ("SELECT 1", {"no_such_setting": "1"}, 115, 404),
        ("SELECT 1", {"no such setting": "1"}, 115, 404),
        ("SELECT nofunction(1)", {}, 46, 404),
        ("SELECT nocolumn FROM system.one", {}, 47, 404),
        ("SELECT 1 FORMAT NoFormat", {}, 73, 404),
        ("SELEKT 1", {}, 62, 400),
        ("", {"query": " -- nothing"}, 62, 400),
        ("SELECT 1; SELECT 2", {}, 62, 400),
        ("SELECT toInt8('abc')", {}, 6, 400),
        ("SELECT toDate('abc')", {}, 38, 400),
        ("SELECT {a:Int8}", {}, 456, 500),
        ("SELECT {a:Int8}", {"param_a": "x"}, 457, 500),
        ("SELECT throwIf(1)", {}, 395, 500),
        ("SELECT 1 INTO OUTFILE '/nowhere/x'", {}, 358, 500),
        ("SELECT 1", {"max_threads": "many"}, 27, 400),
        ("SELECT 1", {"compress": "1"}, 48, 501),
    ],
)
def test_an_error_has_clickhouses_code_message_and_status(
    http: httpx.Client, sql: str, url: dict[str, str], code: int, status: int
) -> None:
    response = http.post("/", content=sql, params=url)
    assert response.headers["x-clickhouse-exception-code"] == str(code), response.text
    assert response.status_code == status
    assert response.text.startswith(f"Code: {code}. DB::Exception: ")
    assert response.text.count("(version 26.") == 1
    assert response.text.rstrip().endswith(")")


def test_settings_and_database_end_with_their_query(http: httpx.Client) -> None:
    ask(http, "CREATE DATABASE IF NOT EXISTS elsewhere")
    seen = "SELECT currentDatabase(), getSetting('max_block_size')"
    assert ask(http, seen, database="elsewhere", max_block_size="77") == "elsewhere\t77\n"
    threads = [threading.Thread(target=ask, args=(http, "SET max_block_size = 5")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):
        assert ask(http, seen) == "default\t65409\n"


@pytest.mark.parametrize("value", ["it's", "back\\slash", "a'; DROP TABLE x; --"])
def test_a_settings_value_is_never_sql(http: httpx.Client, value: str) -> None:
    assert ask(http, "SELECT getSetting('log_comment') FORMAT TSVRaw", log_comment=value) == value + "\n"


# -- inserts


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ("FORMAT JSONEachRow", b'{"a":1,"b":"x"}\n{"a":2,"b":"FORMAT TSV"}'),
        ("FORMAT JSONEachRow ", b'{"a":1,"b":"x"} {"a":2,"b":"FORMAT TSV"}'),
        ("FORMAT CSV\n", b'1,x\n2,"FORMAT TSV"\n'),
        ("FORMAT TSV\r\n", b"1\tx\n2\tFORMAT TSV\n"),
        ("VALUES", b" (1, 'x'), (1 + 1, concat('FORMAT', ' ', 'TSV'));"),
        ("SETTINGS max_insert_block_size = 1 FORMAT TSV\n", b"1\tx\n2\tFORMAT TSV\n"),
        ("FORMAT RowBinary\n", b"\x01\x00\x00\x00\x01x\x02\x00\x00\x00\x0aFORMAT TSV"),
        ("SELECT toUInt32(n), s FROM input('n String, s String') FORMAT TSV\n", b"1\tx\n2\tFORMAT TSV\n"),
        ("SELECT number + 1, ['x', 'FORMAT TSV'][number + 1] FROM numbers(2)", b""),
    ],
)
def test_data_follows_its_statement_in_the_body_or_alone(
    http: httpx.Client, table: Table, head: str, data: bytes
) -> None:
    name = table("a UInt32, b String")
    insert = f"INSERT INTO {name} (a, b) /* FORMAT Null */ {head}"
    together = {"content": insert.encode() + data}
    apart = {"content": data, "params": {"query": insert.rstrip("\r\n")}}
    for request in (together, apart):
        response = http.post("/", **request)
        assert response.status_code == 200, response.text
        assert json.loads(response.headers["x-clickhouse-summary"])["written_rows"] == "2"
        assert ask(http, f"SELECT * FROM {name} ORDER BY a") == "1\tx\n2\tFORMAT TSV\n"
        ask(http, f"TRUNCATE TABLE {name}")


def test_arrow_streams_are_data_like_any_other(http: httpx.Client, table: Table) -> None:
    name = table("a UInt32")
    sink = io.BytesIO()
    data = pa.table({"a": pa.array([1, 2, 3], pa.uint32())})
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    ask(http, f"INSERT INTO {name} FORMAT ArrowStream\n".encode() + sink.getvalue())
    arrow = http.post("/", content=f"SELECT sum(a) AS total FROM {name} FORMAT ArrowStream").content
    assert pa.ipc.open_stream(arrow).read_all().to_pydict() == {"total": [6]}


def test_an_insert_takes_parameters_for_its_table_and_values(http: httpx.Client, table: Table) -> None:
    name = table("a UInt32, b String")
    sql = "INSERT INTO {table:Identifier} (a, b) VALUES ({a:UInt32}, {b:String})"
    ask(http, sql, param_table=name, param_a="7", param_b="it\\'s")
    assert ask(http, f"SELECT a, b FROM {name} FORMAT CSV") == '7,"it\'s"\n'


def test_a_bad_row_leaves_nothing_of_its_insert(http: httpx.Client, table: Table) -> None:
    name = table("a UInt32")
    rows = b'{"a":1}\n' * 50_000
    response = http.post("/", content=f"INSERT INTO {name} FORMAT JSONEachRow\n".encode() + rows + b'{"a":"x"}')
    assert response.status_code == 400
    assert "at row 50001" in response.text
    assert ask(http, f"SELECT count() FROM {name}") == "0\n"


def test_one_insert_is_one_part(http: httpx.Client, table: Table) -> None:
    name = table("a UInt32, b String")
    rows = b"".join(b"%d\tsome text that makes the body larger than one chunk\n" % i for i in range(100_000))
    ask(http, f"INSERT INTO {name} FORMAT TSV\n".encode() + rows)
    assert ask(http, f"SELECT count(), sum(rows) FROM system.parts WHERE table = '{name}' AND active") == "1\t100000\n"


def test_a_body_that_breaks_off_inserts_nothing(http: httpx.Client, table: Table) -> None:
    name = table("a UInt32")

    def body() -> Iterator[bytes]:
        yield b"1\n" * 100_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        http.post("/", content=body(), params={"query": f"INSERT INTO {name} FORMAT TSV"})
    assert ask(http, f"SELECT count() FROM {name}") == "0\n"


# -- compression

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_compressed_body_is_inflated(http: httpx.Client, table: Table, encoding: str) -> None:
    name = table("a UInt32")
    body = ENCODERS[encoding](b"1\n" * 300_000 + b"2\n")
    headers = {"Content-Encoding": encoding}
    response = http.post("/", content=body, params={"query": f"INSERT INTO {name} FORMAT TSV"}, headers=headers)
    assert response.status_code == 200, response.text
    assert ask(http, f"SELECT count(), sum(a) FROM {name}") == "300001\t300002\n"
    if encoding != "identity":
        cut = http.post("/", content=body[:-20], params={"query": f"INSERT INTO {name} FORMAT TSV"}, headers=headers)
        assert cut.status_code == 400, cut.text
        assert ask(http, f"SELECT count() FROM {name}") == "300001\n"


def test_an_unknown_encoding_is_refused(http: httpx.Client) -> None:
    response = http.post("/", content=b"SELECT 1", headers={"Content-Encoding": "snappy"})
    assert (response.status_code, response.headers["x-clickhouse-exception-code"]) == (501, "48")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
@pytest.mark.parametrize("rows", [1, 500_000])
def test_an_answer_is_compressed_only_when_asked(http: httpx.Client, encoding: str, rows: int) -> None:
    inflate: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        "lz4": lz4.frame.decompress,
    }
    sql = f"SELECT number FROM numbers({rows})"
    headers = {"Accept-Encoding": encoding}
    with http.stream("POST", "/", content=sql, params={"enable_http_compression": "1"}, headers=headers) as response:
        assert response.headers["content-encoding"] == encoding
        data = inflate[encoding](b"".join(response.iter_raw()))
    assert data == b"".join(b"%d\n" % i for i in range(rows))
    assert "content-encoding" not in http.post("/", content=sql, headers=headers).headers


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_clickhouse_connect_may_compress_both_ways(port: int, table: Table, compress: str | bool) -> None:
    name = table("a UInt32")
    with clickhouse_connect.get_client(host="127.0.0.1", port=port, compress=compress) as client:
        client.insert(name, [[i] for i in range(1000)])
        assert client.query(f"SELECT a FROM {name} ORDER BY a").result_columns == [list(range(1000))]


# -- large answers, and many clients


@pytest.mark.parametrize("form", ["Native", "TSV", "CSVWithNames", "JSONEachRow", "JSON", "RowBinary", "Parquet"])
def test_a_large_answer_is_the_same_in_pieces_as_whole(http: httpx.Client, form: str) -> None:
    sql = f"SELECT number, toString(number) FROM numbers(400000) ORDER BY number FORMAT {form}"
    settings = {"output_format_write_statistics": "0", "output_format_parallel_formatting": "0"}
    pieces = http.post("/", content=sql, params=settings)
    whole = http.post("/", content=sql, params=settings | {"extremes": "0", "wait_end_of_query": "1"})
    assert (pieces.status_code, whole.status_code) == (200, 200)
    assert pieces.content == whole.content
    if form == "JSON":
        assert pieces.json()["rows"] == 400_000


def test_an_error_in_the_middle_of_an_answer_cannot_be_taken_for_its_end(http: httpx.Client, client: Client) -> None:
    sql = "SELECT throwIf(number = 3000000, 'too far') FROM numbers(4000000) SETTINGS max_threads = 1"
    pieces: list[bytes] = []
    with http.stream("POST", "/", content=sql) as response:
        tag = response.headers["x-clickhouse-exception-tag"]
        with pytest.raises(httpx.RemoteProtocolError):
            pieces.extend(response.iter_raw())
    assert f"__exception__\r\n{tag}\r\nCode: 395. DB::Exception: too far".encode() in b"".join(pieces)
    with pytest.raises(DatabaseError, match="too far"), client.query_row_block_stream(sql) as blocks:
        for _ in blocks:
            pass
    waited = http.post("/", content=sql, params={"wait_end_of_query": "1"})
    assert (waited.status_code, waited.headers["x-clickhouse-exception-code"]) == (500, "395")


def test_a_client_that_leaves_ends_its_query(http: httpx.Client, port: int) -> None:
    for _ in range(8):  # more than there are threads
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}") as other,
            other.stream("POST", "/", content="SELECT number FROM system.numbers") as response,
        ):
            assert next(response.iter_raw()).startswith(b"0\n1\n")
    assert ask(http, "SELECT 1") == "1\n"


def test_select_1_answers_within_100_ms_while_a_large_insert_runs(
    http: httpx.Client, port: int, table: Table, tmp_path: Path
) -> None:
    name = table("a UInt64, b String")
    data = tmp_path / "rows"
    data.write_bytes(b"".join(b'{"a":%d,"b":"%s"}\n' % (i, b"x" * 50) for i in range(500_000)))
    # The inserts come from a process of their own, and there are more of them than threads of the server.
    insert = f"http://127.0.0.1:{port}/?query=INSERT%20INTO%20{name}%20FORMAT%20JSONEachRow"
    script = f"import urllib.request as u; u.urlopen({insert!r}, open({str(data)!r}, 'rb').read()).read()"
    inserts = [subprocess.Popen(python("-c", script)) for _ in range(5)]
    try:
        waits = []
        while any(process.poll() is None for process in inserts):
            started = time.monotonic()
            ask(http, "SELECT 1")
            waits.append(time.monotonic() - started)
    finally:
        for process in inserts:
            process.kill()
        codes = [process.wait() for process in inserts]
    assert codes == [0] * 5
    assert ask(http, f"SELECT count() FROM {name}") == "2500000\n"
    assert len(waits) > 20, "the inserts were over too soon to say anything"
    assert statistics.median(waits) < 0.1, sorted(waits)


def test_metrics_and_probes_tell_how_it_is(http: httpx.Client) -> None:
    ask(http, "SELECT 1")
    http.post("/", content="SELECT * FROM nowhere")
    assert (http.get("/livez").status_code, http.get("/readyz").status_code) == (200, 200)
    text = http.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['headwater_clickhouse_queries_total{kind="select",outcome="ok"}']) >= 1
    assert float(values['headwater_clickhouse_queries_total{kind="select",outcome="refused"}']) >= 1
    assert float(values['headwater_clickhouse_query_seconds_count{kind="select"}']) >= 2
    assert float(values["headwater_clickhouse_queries_inflight"]) == 0


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
def test_without_a_password_pages_of_other_sites_get_nothing(http: httpx.Client, headers: dict[str, str]) -> None:
    response = http.post("/", content="SELECT 1", headers=headers)
    assert (response.status_code, response.headers["x-clickhouse-exception-code"]) == (403, "497")
    assert http.post("/", content="SELECT 1", headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_an_unknown_path_or_user_is_refused(http: httpx.Client) -> None:
    assert http.get("/nothing").status_code == 404
    response = http.post("/", content="SELECT 1", auth=("nobody", ""))
    assert (response.status_code, response.headers["x-clickhouse-exception-code"]) == (403, "516")


@pytest.mark.parametrize("settings", ["", " SETTINGS async_insert = 0"])
def test_a_row_that_cannot_be_written_is_an_error_and_not_an_acknowledgement(
    clickhouse_url: str, settings: str
) -> None:
    run_sql(clickhouse_url, "CREATE TABLE few (n UInt8, CONSTRAINT small CHECK n < 10) ENGINE = MergeTree ORDER BY n")
    run_sql(clickhouse_url, f'INSERT INTO few (n){settings} FORMAT JSONEachRow {{"n": 5}}')
    with pytest.raises(AssertionError, match="small"):
        run_sql(clickhouse_url, f'INSERT INTO few (n){settings} FORMAT JSONEachRow {{"n": 11}}')
    assert run_sql(clickhouse_url, "SELECT n FROM few") == "5\n"


def test_an_insert_whose_view_fails_is_an_error(clickhouse_url: str) -> None:
    run_sql(clickhouse_url, "CREATE TABLE facts (n Int64) ENGINE = MergeTree ORDER BY n")
    run_sql(clickhouse_url, "CREATE TABLE halves (n Int64) ENGINE = MergeTree ORDER BY n")
    run_sql(clickhouse_url, "CREATE MATERIALIZED VIEW v TO halves AS SELECT intDiv(n, n - 1) AS n FROM facts")
    run_sql(clickhouse_url, "INSERT INTO facts VALUES (3)")
    with pytest.raises(AssertionError, match="ILLEGAL_DIVISION"):
        run_sql(clickhouse_url, "INSERT INTO facts VALUES (1)")
