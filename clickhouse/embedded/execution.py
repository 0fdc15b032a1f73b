"""Run one request on a connection: a SELECT in pieces where its format allows, an INSERT chunk by chunk."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from chdb.state.sqlitelike import Connection

from clickhouse.embedded import formats
from clickhouse.embedded.encodings import CHUNK, Input
from clickhouse.embedded.engine import Engine, literal, translated
from clickhouse.embedded.errors import Code, ServerError, refuse
from clickhouse.embedded.request import Request
from clickhouse.embedded.settings import EmbeddedSettings
from clickhouse.embedded.statement import Kind, Statement, parse
from clickhouse.embedded.tables import ExternalTable, external_tables


class Summary(msgspec.Struct):
    """The counts of X-ClickHouse-Summary; of an answer in pieces those of the pieces so far."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    seconds: float = 0.0

    def add(self, result: Any) -> None:
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read()
        self.result_bytes += result.bytes_read()
        self.seconds += result.elapsed()


class Answer(msgspec.Struct):
    kind: Kind
    format: str
    chunks: Iterator[bytes | memoryview]
    summary: Summary


@contextmanager
def execute(
    engine: Engine, settings: EmbeddedSettings, request: Request, stream: Input, tables: list[ExternalTable]
) -> Iterator[Answer]:
    """Run the request. Errors of the engine are raised on entering, or while the answer's chunks are taken.

    Raises:
        ServerError: with ClickHouse's code and message.
    """
    statement = _statement(stream, settings.query_limit)
    if request.session is not None and request.readonly and statement.kind not in {Kind.SELECT, Kind.SHOW}:
        raise refuse(Code.READONLY, "Cannot execute query in readonly mode. For queries over HTTP, use POST.")
    default = request.default_format or formats.DEFAULT
    summary = Summary()
    with ExitStack() as stack:
        connection = stack.enter_context(engine.prepared(request, leaves_nothing=statement.leaves_nothing))
        stack.enter_context(external_tables(connection, tables))
        if statement.kind is Kind.INSERT:
            text = stack.enter_context(_from_infile(statement, stream, settings.spool_dir))
            chunks = _whole(connection, text, default, request, summary)
        elif statement.kind is Kind.INSERT_INPUT:
            text = stack.enter_context(_from_file(statement, stream, settings.spool_dir))
            chunks = _whole(connection, text, default, request, summary)
        elif (
            statement.kind is Kind.SELECT
            and not statement.has_totals
            and formats.is_streamable(statement.format or default, request.settings)
        ):
            chunks = stack.enter_context(_pieces(connection, statement.text, default, request, summary))
        else:
            chunks = _whole(connection, statement.text, default, request, summary)
        yield Answer(statement.kind, statement.format or default, chunks, summary)


def _statement(stream: Input, limit: int) -> Statement:
    """Take the statement off the stream; of an INSERT with data the stream then holds the data."""
    head = stream.read(CHUNK)
    try:
        # An INSERT shows where its data begins long before this; the data must not be held in memory.
        statement = parse(head, whole=len(head) < CHUNK)
    except ServerError as error:
        if error.code != Code.QUERY_IS_TOO_LARGE:
            raise
        head += stream.read(limit - len(head))
        statement = parse(head, whole=len(head) < limit)
    if statement.data_at >= 0:
        stream.unread(head[statement.data_at :])
    return statement


def _whole(
    connection: Connection, text: str, default: str, request: Request, summary: Summary
) -> Iterator[bytes | memoryview]:
    with translated():
        result = connection.query(text, default, params=dict(request.parameters))
    summary.add(result)
    if not result.size():
        return iter(())
    view = result.get_memview().view()
    return (view[at : at + CHUNK] for at in range(0, len(view), CHUNK))


@contextmanager
def _pieces(
    connection: Connection, text: str, default: str, request: Request, summary: Summary
) -> Iterator[Iterator[bytes | memoryview]]:
    with translated():
        stream = connection.send_query(text, default, params=dict(request.parameters))

    def pieces() -> Iterator[bytes | memoryview]:
        while True:
            with translated():
                result = stream.fetch()  # type: ignore[no-untyped-call]
            if result is None:
                return
            summary.add(result)
            yield bytes(result.bytes())

    try:
        yield pieces()
    finally:
        with translated():
            stream.cancel()  # type: ignore[no-untyped-call]


@contextmanager
def _spooled(stream: Input, spool_dir: Path) -> Iterator[str]:
    """The rest of the stream in a file; its name as a literal."""
    with tempfile.NamedTemporaryFile(dir=spool_dir, prefix="input-") as file:
        for chunk in stream.chunks():
            file.write(chunk)
        file.flush()
        yield literal(file.name)


@contextmanager
def _from_infile(statement: Statement, stream: Input, spool_dir: Path) -> Iterator[str]:
    """The INSERT with its data in a file. The engine's own insert stream would keep silent about errors of writing."""
    assert statement.around_data is not None
    before, settings = statement.around_data
    with _spooled(stream, spool_dir) as file:
        yield f"{before} FROM INFILE {file} COMPRESSION 'none' {settings} FORMAT {statement.format}"


@contextmanager
def _from_file(statement: Statement, stream: Input, spool_dir: Path) -> Iterator[str]:
    """The INSERT .. SELECT with its data in a file, read where the statement says ``input(structure)``."""
    assert statement.around_input is not None
    before, structure, after = statement.around_input
    with _spooled(stream, spool_dir) as file:
        yield f"{before}file({file}, {literal(statement.format or '')}, {structure}){after}"
