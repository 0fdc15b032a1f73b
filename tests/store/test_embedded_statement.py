"""Where a statement ends and its data begins."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickhouse.embedded.errors import ServerError, engine_error
from clickhouse.embedded.statement import Kind, parse


@pytest.mark.parametrize(
    ("sql", "kind", "form"),
    [
        ("SELECT 1", Kind.SELECT, None),
        ("select 1 format JSON", Kind.SELECT, "JSON"),
        ("SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", Kind.SELECT, "JSON"),
        ("SELECT 'FORMAT CSV'", Kind.SELECT, None),
        ("SELECT 1 -- FORMAT CSV", Kind.SELECT, None),
        ("SELECT 1 /* x */ FORMAT/**/CSV", Kind.SELECT, "CSV"),
        ("SELECT (SELECT 1 AS format) AS `FORMAT` FORMAT CSV", Kind.SELECT, "CSV"),
        ("SELECT format AS x FROM t", Kind.SELECT, None),
        ("SELECT a FROM t ORDER BY format DESC", Kind.SELECT, None),
        ("SELECT {format:String} FORMAT TSV", Kind.SELECT, "TSV"),
        ("(SELECT 1) UNION ALL (SELECT 2) FORMAT TSV", Kind.SELECT, "TSV"),
        ("WITH 1 AS x SELECT x", Kind.SELECT, None),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Kind.COMMAND, None),
        ("SHOW TABLES FORMAT CSV", Kind.SHOW, "CSV"),
        ("EXPLAIN SELECT 1", Kind.SHOW, None),
        ("CREATE TABLE t (format String) ENGINE = Memory", Kind.COMMAND, None),
        ("INSERT INTO t SELECT 1", Kind.COMMAND, None),
        ("INSERT INTO t (SELECT 'x FORMAT CSV')", Kind.COMMAND, None),
        ("SELECT $$ FORMAT CSV $$ FORMAT TSV", Kind.SELECT, "TSV"),
        ("SELECT $tag$ '; DROP $tag$", Kind.SELECT, None),
    ],
)
def test_a_statement_is_what_its_words_outside_of_quotes_say(sql: str, kind: Kind, form: str | None) -> None:
    statement = parse(sql.encode(), whole=True)
    assert (statement.kind, statement.format, statement.text) == (kind, form, sql)


QUOTED = st.text(max_size=30).map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''") + "'")
NOTHING = st.sampled_from(["", " ", "\n", "/* FORMAT CSV */", "-- VALUES '\n", " # ' x\n"])
COLUMNS = st.sampled_from(["", " (a, `format`)", ' ("values", b)', " (* EXCEPT (`a b`))"])


@given(
    before=NOTHING,
    table=st.sampled_from(["t", "db.`FORMAT CSV`", '"values"', "format", "TABLE FUNCTION remote('a;', b)"]),
    columns=COLUMNS,
    settings=QUOTED.map(lambda text: f" SETTINGS log_comment = {text} ") | st.just(" "),
    between=NOTHING,
    end=st.sampled_from(["\n", " ", "\t", "\r\n", " \n"]),
    data=st.binary(max_size=200).filter(lambda data: data[:1] not in {b" ", b"\t", b"\f", b"\r", b"\n", b";"}),
)
def test_data_begins_behind_the_format_whatever_is_quoted_before_and_whatever_the_data_is(
    before: str, table: str, columns: str, settings: str, between: str, end: str, data: bytes
) -> None:
    insert = f"{before}INSERT INTO {table}{columns}{settings}{between}"
    head = f"{insert} FORMAT Native{end}".encode()
    statement = parse(head + data, whole=True)
    assert (statement.kind, statement.format) == (Kind.INSERT, "Native")
    assert (head + data)[statement.data_at :] == data
    assert statement.text.strip() == insert.strip()


def test_the_function_input_is_told_from_names_like_it() -> None:
    sql = "INSERT INTO t SELECT input, é FROM input ( 'a UInt8, é String' ) WHERE x = 'input(' FORMAT CSV\n1,2"
    statement = parse(sql.encode(), whole=True)
    assert statement.kind is Kind.INSERT_INPUT
    assert statement.around_input == (
        "INSERT INTO t SELECT input, é FROM ",
        "'a UInt8, é String'",
        " WHERE x = 'input(' ",
    )
    assert sql.encode()[statement.data_at :] == b"1,2"


@pytest.mark.parametrize(
    ("sql", "whole", "code"),
    [
        (b"", True, 62),
        (b" -- nothing", True, 62),
        (b"SELECT 1; SELECT 2", True, 62),
        (b"INSERT INTO t SELECT 1; DROP TABLE t", True, 62),
        (b"SELECT 1; ; -- nothing", True, None),
        (b"SELECT '\xff'", True, 62),
        (b"SELECT 1 INTO OUTFILE 'x'", True, 358),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", True, 48),
        (b"INSERT INTO t FORMAT CSV; 1", True, 62),
        (b"SELECT 1", False, 229),
        (b"INSERT INTO t (a,", False, 229),
        (b"INSERT INTO t FORMAT CSV 1,2", False, None),
    ],
)
def test_what_a_server_refuses_is_refused(sql: bytes, whole: bool, code: int | None) -> None:
    if code is None:
        parse(sql, whole=whole)
        return
    with pytest.raises(ServerError) as caught:
        parse(sql, whole=whole)
    assert caught.value.code == code


@given(st.binary(max_size=300))
def test_any_bytes_are_a_statement_or_a_clear_error(data: bytes) -> None:
    with contextlib.suppress(ServerError):
        statement = parse(b"INSERT INTO t " + data, whole=True)
        assert statement.data_at <= len(b"INSERT INTO t " + data)


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 60, "Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)"),
        (
            "Streaming query failed: Code: 73. DB::Exception: Code: 73. DB::Exception: No F. (UNKNOWN_FORMAT) "
            "(version 26.9.2.1). (UNKNOWN_FORMAT) (version 26.9.2.1). (UNKNOWN_FORMAT)",
            73,
            "Code: 73. DB::Exception: No F. (UNKNOWN_FORMAT)",
        ),
        ("out of luck", 1002, "Code: 1002. DB::Exception: out of luck (UNKNOWN_EXCEPTION)"),
    ],
)
def test_the_engines_errors_are_told_as_a_server_tells_them(raised: str, code: int, message: str) -> None:
    error = engine_error(RuntimeError(raised))
    assert (error.code, str(error)) == (code, message)
