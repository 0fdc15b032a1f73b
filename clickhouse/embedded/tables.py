"""External data: tables that a client sends along with a query, as the parts of a multipart form."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import msgspec
from chdb.state.sqlitelike import Connection
from multipart import MultipartError, MultipartParser, parse_options_header  # type: ignore[import-untyped]

from clickhouse.embedded.encodings import CHUNK
from clickhouse.embedded.engine import name, translated
from clickhouse.embedded.errors import Code, refuse
from clickhouse.embedded.request import Request

_TYPE_SEPARATOR = re.compile(r",(?![^(]*\))")


class ExternalTable(msgspec.Struct, frozen=True):
    name: str
    structure: str
    format: str
    data: BinaryIO


class Form(msgspec.Struct, frozen=True):
    fields: dict[str, str]
    files: dict[str, BinaryIO]


def read_form(content_type: str, body: BinaryIO, spool_bytes: int) -> Form:
    """Read a multipart form; its fields are kept in memory, its files on disk beyond ``spool_bytes``.

    Raises:
        ServerError: the form is broken.
    """
    _, options = parse_options_header(content_type)
    fields: dict[str, str] = {}
    files: dict[str, BinaryIO] = {}
    try:
        parser = MultipartParser(body, options["boundary"], spool_limit=spool_bytes, disk_limit=1 << 40)
        for part in parser:
            if part.filename is None:
                fields[part.name] = part.value
            else:
                files[part.name] = part.file
    except (MultipartError, KeyError, UnicodeDecodeError) as error:
        raise refuse(Code.BAD_ARGUMENTS, f"The multipart form cannot be read: {error}.") from None
    return Form(fields, files)


def tables_of(request: Request, form: Form) -> list[ExternalTable]:
    """The form's files as tables, described by the URL's ``<table>_structure``, ``_types`` and ``_format``."""
    tables = []
    for table, data in form.files.items():
        structure = request.external.get(f"{table}_structure")
        if types := request.external.get(f"{table}_types"):
            structure = ", ".join(f"_{i} {kind}" for i, kind in enumerate(_TYPE_SEPARATOR.split(types), start=1))
        if not structure:
            raise refuse(Code.BAD_ARGUMENTS, f"Neither structure nor types of the external table '{table}' are given.")
        tables.append(ExternalTable(table, structure, request.external.get(f"{table}_format", "TabSeparated"), data))
    return tables


@contextmanager
def external_tables(connection: Connection, tables: list[ExternalTable]) -> Iterator[None]:
    """The tables, as temporary tables of the connection for as long as the query runs."""
    with ExitStack() as stack:
        for table in tables:
            with translated():
                connection.query(f"CREATE TEMPORARY TABLE {name(table.name)} ({table.structure}) ENGINE = Memory")
                stack.callback(connection.query, f"DROP TEMPORARY TABLE {name(table.name)}")
                with connection.send_insert(f"INSERT INTO {name(table.name)}", table.format) as inserter:
                    while chunk := table.data.read(CHUNK):
                        inserter.append(chunk)
                    inserter.finish()
        yield
