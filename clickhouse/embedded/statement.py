"""Where a statement ends and its data begins, and what kind of statement it is.

ClickHouse's HTTP interface takes the statement and the data of an INSERT in one stream. The engine wants them apart, so
this reads tokens (never more than the statement's: data is not looked at) by the rules of ClickHouse's lexer: comments,
quotes, heredocs and brackets. Everything that is not an INSERT with data goes to the engine as it came.
"""

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

from clickhouse.embedded.errors import Code, refuse


class Kind(Enum):
    SELECT = "select"
    """Can be streamed."""
    SHOW = "show"
    """Reads, but only as a whole."""
    COMMAND = "command"
    """Changes something; INSERT .. SELECT among them."""
    INSERT = "insert"
    """Data follows the statement."""
    INSERT_INPUT = "insert_input"
    """INSERT .. SELECT .. FROM input(..): data follows, and is transformed."""


class Statement(msgspec.Struct, frozen=True):
    kind: Kind
    text: str
    """The statement; of an INSERT with data without the FORMAT clause."""
    format: str | None
    """What a FORMAT clause (or VALUES) names."""
    data_at: int = -1
    """Where in the stream the data begins; -1 if there is none."""
    has_totals: bool = False
    around_data: tuple[str, str] | None = None
    """Of INSERT: the text before the place of FROM INFILE, and what follows it: SETTINGS, or nothing."""
    around_input: tuple[str, str, str] | None = None
    """Of INSERT_INPUT: the text before ``input('structure')``, the structure's literal, the text after."""
    leaves_nothing: bool = True
    """The session is after it as it was before."""


_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|--[^\n]*|\#[\ !][^\n]*|/\*.*?\*/)+)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<text>'(?:[^'\\]|\\.|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<name>"(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`)
      | (?P<number>\d[\w.]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_READS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"})
# A word FORMAT after one of these (or after an operator) names a column or a table.
_NOT_BEFORE_FORMAT = frozenset(
    {"SELECT", "DISTINCT", "BY", "WHERE", "PREWHERE", "HAVING", "AND", "OR", "NOT", "ON", "USING", "AS", "FROM", "JOIN"}
    | {"INTO", "TABLE", "IN", "LIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "WITH", "DATABASE"}
)


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""

    @property
    def ends_expression(self) -> bool:
        """Whether a clause may begin behind it."""
        return self.text in {")", "]", "}", "*"} if self.kind == "mark" else self.word not in _NOT_BEFORE_FORMAT


def _tokens(text: str) -> Iterator[tuple[_Token, int]]:
    """The tokens but for space and comments, with the depth of the brackets around each."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "tag":
            kind = "text"
        if kind == "space":
            continue
        token = _Token(kind, match.group(), match.start(), match.end())
        if kind == "mark" and token.text in ")]}":
            depth -= 1
        yield token, depth
        if kind == "mark" and token.text in "([{":
            depth += 1


def parse(head: bytes, *, whole: bool) -> Statement:
    """Parse the beginning of a request's stream.

    Args:
        head: the stream's first bytes, the whole statement at least.
        whole: whether ``head`` is the whole stream.

    Raises:
        ServerError: the statement is empty, not UTF-8, longer than ``head``, or one that a server refuses
            (several statements, INTO OUTFILE, FROM INFILE).
    """
    # Latin-1 keeps a character a byte, so that a token's position is its position in the stream.
    stream = head.decode("latin-1")
    tokens = _tokens(stream)
    first = next(tokens, None)
    if first is None:
        raise refuse(Code.SYNTAX_ERROR, "Syntax error: Empty query.")
    if first[0].word == "INSERT":
        return _insert(head, stream, tokens, whole=whole)
    if not whole:
        raise refuse(Code.QUERY_IS_TOO_LARGE, "The statement is larger than this server's limit.")
    return _query(head, first[0], tokens)


def _query(head: bytes, first: _Token, tokens: Iterator[tuple[_Token, int]]) -> Statement:
    kind = Kind.SELECT if first.word in {"SELECT", "WITH", ""} else Kind.SHOW if first.word in _READS else Kind.COMMAND
    format_name: str | None = None
    has_totals = False
    before, last = first, first
    for token, depth in tokens:
        if last.text == ";":
            _refuse_second(token)
        if depth == 0 and token.kind == "word":
            word = token.word
            if last.word == "FORMAT" and before.ends_expression:
                format_name = token.text
            elif word == "INSERT" and kind is Kind.SELECT and first.word == "WITH":
                kind = Kind.COMMAND
            elif word == "OUTFILE" and last.word == "INTO":
                raise refuse(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed.")
            has_totals = has_totals or word == "TOTALS"
        before, last = last, token
    reads = kind is not Kind.COMMAND
    return Statement(kind, _decoded(head), format_name, has_totals=has_totals, leaves_nothing=reads)


def _insert(head: bytes, stream: str, tokens: Iterator[tuple[_Token, int]], *, whole: bool) -> Statement:
    selects = False
    structure: tuple[_Token, _Token, _Token] | None = None
    settings_at: int | None = None
    recent = [_Token("word", "INSERT", 0, 0)] * 4

    def with_data(end: int, format_name: str, data_at: int) -> Statement:
        infile_at = end if settings_at is None else settings_at
        around = _decoded(head[:infile_at]), _decoded(head[infile_at:end])
        return Statement(Kind.INSERT, "".join(around), format_name, data_at, around_data=around)

    for token, depth in tokens:
        word, last = token.word, recent[-1]
        if last.text == ";":
            _refuse_second(token)
        if word == "SELECT":
            selects = True
        elif depth == 0 and word == "SETTINGS" and settings_at is None and last.ends_expression:
            settings_at = token.start
        elif word == "INFILE" and last.word == "FROM":
            raise refuse(Code.NOT_IMPLEMENTED, "FROM INFILE is for clients; send the data in the body.")
        elif token.text == ")" and recent[-2].text == "(" and recent[-3].word == "INPUT" and last.kind == "text":
            structure = (recent[-3], last, token)
        elif depth == 0 and word == "VALUES" and not selects and last.ends_expression:
            return with_data(token.start, "Values", token.end)
        elif depth == 0 and token.kind == "word" and last.word == "FORMAT" and recent[-2].ends_expression:
            if not selects:
                return with_data(last.start, token.text, _data_at(stream, token.end))
            if structure is not None:
                call, literal, close = structure
                parts = head[: call.start], head[literal.start : literal.end], head[close.end : last.start]
                around = _decoded(parts[0]), _decoded(parts[1]), _decoded(parts[2])
                data_at = _data_at(stream, token.end)
                return Statement(Kind.INSERT_INPUT, "".join(around), token.text, data_at, around_input=around)
        recent = [*recent[1:], token]
    if not whole:
        raise refuse(Code.QUERY_IS_TOO_LARGE, "The statement is larger than this server's limit.")
    return Statement(Kind.COMMAND, _decoded(head), None)


def _data_at(stream: str, end: int) -> int:
    """Where data begins behind a FORMAT name: after the blanks and at most one line end, as in ClickHouse."""
    if stream[end : end + 1] == ";":
        raise refuse(Code.SYNTAX_ERROR, "You have excessive ';' symbol before data for INSERT.")
    while stream[end : end + 1] in {" ", "\t", "\f"}:
        end += 1
    if stream[end : end + 1] == "\r":
        end += 1
    return end + 1 if stream[end : end + 1] == "\n" else end


def _refuse_second(token: _Token) -> None:
    if token.text != ";":
        raise refuse(Code.SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed).")


def _decoded(head: bytes) -> str:
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError:
        raise refuse(Code.SYNTAX_ERROR, "Syntax error: the statement is not UTF-8.") from None
