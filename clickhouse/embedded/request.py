"""One HTTP request, read by the rules of ClickHouse's HTTP interface."""

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from clickhouse.embedded.errors import Code, refuse

# Parameters of the interface itself; everything else in the URL is a setting of the engine.
_INTERFACE = frozenset(
    {"query", "query_id", "database", "default_format", "user", "password", "quota_key", "compress", "decompress"}
    | {"session_id", "session_timeout", "session_check", "close_session", "wait_end_of_query", "buffer_size"}
    | {"client_protocol_version", "role", "stacktrace", "snapshot_version", "enable_http_compression"}
    | {"http_response_buffer_size", "cancel_http_readonly_queries_on_client_close", "http_zlib_compression_level"}
    | {"send_progress_in_http_headers", "http_headers_progress_interval_ms", "http_wait_end_of_query"}
)
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_EXTERNAL = re.compile(r"(?P<table>.+)_(?:format|types|structure)")


class Session(msgspec.Struct, frozen=True):
    id: str
    timeout: float
    must_exist: bool
    closes: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for; its body is apart."""

    method: str
    query: str | None
    """The statement of the URL or of a form."""
    query_id: str
    database: str | None
    default_format: str | None
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    """``param_name=value``, by name."""
    session: Session | None
    waits: bool
    """wait_end_of_query: no answer begins before the query has ended."""
    accept_encoding: str
    content_encoding: str
    content_type: str
    external: Mapping[str, str]
    """The URL's ``table_structure``, ``table_format`` and ``table_types`` of a form's tables."""

    @property
    def readonly(self) -> bool:
        return self.method not in {"POST", "PUT"}


class Credentials(msgspec.Struct, frozen=True):
    user: str
    password: str
    given: bool


def pairs(query_string: bytes) -> dict[str, str]:
    """The URL's parameters; of one given twice the last counts."""
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"))


def read(method: str, url: Mapping[str, str], headers: Mapping[str, str], form: Mapping[str, str]) -> Request:
    """Read a request.

    Args:
        url: the URL's parameters.
        form: a multipart form's fields, which are parameters like those of the URL, but never settings.

    Raises:
        ServerError: a parameter that this server does not know or cannot honour.
    """
    is_form = headers.get("content-type", "").startswith("multipart/form-data")
    settings: dict[str, str] = {}
    external: dict[str, str] = {}
    parameters = {key[6:]: value for key, value in {**url, **form}.items() if key.startswith("param_")}
    for key, value in url.items():
        if key in _INTERFACE or key.startswith("param_"):
            continue
        if is_form and _EXTERNAL.fullmatch(key):
            external[key] = value
        elif _SETTING.fullmatch(key):
            settings[key] = value
        else:
            raise refuse(Code.UNKNOWN_SETTING, f"Unknown setting '{key[:100]}'.")
    for name in ("compress", "decompress"):
        if url.get(name, "0") not in {"0", "", "false"}:
            # ClickHouse's own block compression: clients that use it speak HTTP's compression as well.
            raise refuse(Code.NOT_IMPLEMENTED, f"'{name}=1' is not supported; use Accept- and Content-Encoding.")
    if url.get("role"):
        raise refuse(Code.NOT_IMPLEMENTED, "Roles are not supported.")
    return Request(
        method=method,
        query=form.get("query") or url.get("query") or None,
        query_id=url.get("query_id") or headers.get("x-clickhouse-query-id") or str(uuid.uuid4()),
        database=url.get("database") or headers.get("x-clickhouse-database") or None,
        default_format=url.get("default_format") or headers.get("x-clickhouse-format") or None,
        settings=settings,
        parameters=parameters,
        session=_session(url),
        waits=_is_on(url, "wait_end_of_query") or _is_on(url, "http_wait_end_of_query"),
        accept_encoding=headers.get("accept-encoding", "") if _is_on(url, "enable_http_compression") else "",
        content_encoding=headers.get("content-encoding", ""),
        content_type=headers.get("content-type", ""),
        external=external,
    )


def credentials(url: Mapping[str, str], headers: Mapping[str, str]) -> Credentials:
    """Who asks: ClickHouse's headers, else HTTP Basic, else the URL."""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return Credentials(headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", ""), given=True)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refuse(Code.AUTHENTICATION_FAILED, "Invalid HTTP Basic authentication.") from None
        return Credentials(user or "default", password, given=True)
    return Credentials(url.get("user") or "default", url.get("password", ""), given="password" in url)


def _session(url: Mapping[str, str]) -> Session | None:
    if not (name := url.get("session_id")):
        return None
    seconds = url.get("session_timeout", "60")
    if not (seconds.isascii() and seconds.isdigit() and int(seconds) <= 3600):
        raise refuse(Code.BAD_ARGUMENTS, "session_timeout must be a number of seconds up to 3600.")
    return Session(name, float(seconds), _is_on(url, "session_check"), _is_on(url, "close_session"))


def _is_on(url: Mapping[str, str], name: str) -> bool:
    return url.get(name, "0").lower() in {"1", "true"}
